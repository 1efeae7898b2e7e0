"""Random Keras models: `build(K, seed)` gives (model, values of its inputs, tolerance, what it holds). Three kinds by seed: one
layer, a chain, a graph of layers, merges, nested and shared models and operations on tensors."""
import numpy as np

import keras_cases
import random_layers
from random_layers import Dice


def shape_of(t):
    return tuple(t.shape)[1:]


def known(t):
    return None not in shape_of(t)


def set_weights(model, rng):
    """Weights that hide nothing: no zeros in biases, statistics away from 0 and 1. Adapted statistics stay."""
    import keras_cases
    adapted = [id(v) for l in keras_cases.flat_layers(model) if type(l).__name__ == "Normalization" for v in l.weights]
    for v in model.weights:
        path = getattr(v, "path", None) or v.name
        if id(v) in adapted:
            continue
        name = path.split("/")[-1].split(":")[0]
        dtype = str(v.dtype if isinstance(v.dtype, str) else v.dtype.name)
        if not dtype.startswith("float"):
            continue
        x = rng.standard_normal(tuple(v.shape)) * (1 / np.sqrt(max(np.prod(v.shape[:-1]), 1)) if len(v.shape) > 1 else 0.3)
        v.assign((0.5 + np.abs(x) if name == "moving_variance" else x).astype(dtype))


# ---- operations on tensors ----

def keras_ops(K):
    o = K.ops
    def axes_of(r, t):
        n = len(t.shape)
        a = r.int(1, n - 1) if n > 1 else 0
        return r.pick([a, a - n, tuple(range(1, n))]) if n > 1 else a
    def axis_of(r, t):
        return r.int(1, len(t.shape) - 1)
    def index(r, t):
        cut = [slice(None)]
        for d in shape_of(t):
            if d is None or d < 2:
                cut.append(slice(None))
            else:
                cut.append(r.pick([slice(None), r.int(0, d - 1), -1, slice(1, None), slice(None, -1), slice(None, None, 2), slice(None, None, -1), slice(r.int(0, 1), r.int(1, d) + 1)]))
        while cut and r.coin(0.2):
            cut.pop()
        if r.coin(0.2):
            cut = cut[:1] + [Ellipsis, r.pick([-1, slice(0, 1)])] if shape_of(t)[-1] else [Ellipsis]
        if r.coin(0.2) and len(t.shape) < 5:
            cut.insert(1, None)
        return tuple(cut) or (slice(None),)
    positive = lambda x: o.abs(x) + 0.5
    ops = {
        "arith": lambda r, x: r.pick([lambda: x + 1.5, lambda: 2 - x, lambda: x * -0.5, lambda: 1.0 / positive(x), lambda: -x, lambda: x / 3, lambda: x ** 2, lambda: abs(x), lambda: x % 0.7, lambda: x // 0.4, lambda: 2.0 ** x])(),
        "unary": lambda r, x: r.pick([o.exp, o.abs, o.square, o.sin, o.cos, o.tan, o.tanh, o.arctan, o.sign, o.floor, o.ceil, o.round, o.negative, o.expm1, o.erf, o.sinh, o.cosh, o.arcsinh, o.sigmoid])(x * 0.7),
        "positive": lambda r, x: r.pick([o.log, o.sqrt, o.rsqrt, o.log1p, o.log2, o.log10, o.reciprocal])(positive(x)),
        "trig": lambda r, x: r.pick([o.arcsin, o.arccos, o.arctanh])(o.clip(x, -0.9, 0.9)),
        "reduce": lambda r, x: getattr(o, r.pick(["mean", "sum", "max", "min", "amax", "amin", "prod", "var", "std", "logsumexp"]))(x, axis=axes_of(r, x), keepdims=r.coin()),
        "arg": lambda r, x: o.cast(r.pick([o.argmax, o.argmin])(x, axis=axis_of(r, x)), "float32"),
        "item": lambda r, x: x[index(r, x)],
        "nn": lambda r, x: r.pick([o.relu, o.relu6, o.softplus, o.softsign, o.silu, o.gelu, o.selu, o.hard_sigmoid, o.hard_silu, o.log_sigmoid, o.celu, o.elu, o.leaky_relu, o.tanh_shrink, o.hard_tanh, o.soft_shrink, o.hard_shrink, o.squareplus])(x),
        "softmax": lambda r, x: r.pick([o.softmax, o.log_softmax])(x, axis=axis_of(r, x)),
        "where": lambda r, x: r.pick([lambda: o.where(x > 0.1, x, r.num(-1, 1)), lambda: o.where(o.less_equal(x, 0), x * 2, x), lambda: o.where(x < 0.2, 1.0, x)])(),
        "clip": lambda r, x: o.clip(x, r.num(-1, 0), r.num(0.1, 1)),
        "cast": lambda r, x: o.cast(o.cast(x * 3, r.pick(["int32", "bool", "int64", "float16", "int8"])), "float32"),
        "compare": lambda r, x: o.cast(o.logical_or(x > 0.3, o.logical_not(o.greater_equal(x, -0.3))), "float32"),
        "logic": lambda r, x: o.cast(o.logical_and(o.isfinite(x), o.not_equal(x, 0.0)), "float32"),
        "expand": lambda r, x: o.expand_dims(x, r.pick([1, -1, len(x.shape)])) if len(x.shape) < 5 else x,
        "squeeze": lambda r, x: o.squeeze(o.expand_dims(x, 1), r.pick([1, [1]])) if len(x.shape) < 5 else x,
        "transpose": lambda r, x: o.transpose(x, [0] + (r.rng.permutation(len(x.shape) - 1) + 1).tolist()),
        "swap": lambda r, x: r.pick([lambda: o.swapaxes(x, axis_of(r, x), -1), lambda: o.moveaxis(x, axis_of(r, x), axis_of(r, x))])(),
        "reshape": lambda r, x: o.reshape(x, (-1, random_layers.size_prod(shape_of(x)))) if known(x) else x,
        "flip": lambda r, x: o.flip(x, axis=axis_of(r, x)),
        "roll": lambda r, x: o.roll(x, r.int(-2, 3), axis=axis_of(r, x)),
        "pad": lambda r, x: o.pad(x, [[0, 0]] + [[r.int(0, 2), r.int(0, 1)] for _ in shape_of(x)], **r.pick([{}, {"constant_values": 0.7}, {"mode": "edge"}])),
        "tile": lambda r, x: o.tile(x, [1] + [r.int(1, 2) for _ in shape_of(x)]),
        "repeat": lambda r, x: o.repeat(x, r.int(1, 3), axis=axis_of(r, x)),
        "cum": lambda r, x: r.pick([o.cumsum])(x, axis=axis_of(r, x)),
        "split": lambda r, x: (lambda parts: o.concatenate(parts[::-1], axis=-1))(o.split(x, [max(1, (shape_of(x)[-1] or 1) // 2)], axis=-1)) if (shape_of(x)[-1] or 0) > 1 else x,
        "unstack": lambda r, x: o.stack(o.unstack(x, axis=1), axis=r.int(1, 2)) if len(x.shape) > 2 and shape_of(x)[0] else x,
        "stack": lambda r, x: o.stack([x, x * 2], axis=r.pick([1, -1])) if len(x.shape) < 5 else x,
        "take": lambda r, x: o.take(x, [0, -1, 0], axis=-1) if shape_of(x)[-1] else x,
        "onehot": lambda r, x: o.one_hot(o.cast(o.clip(x, 0, 3), "int32"), 5) if len(x.shape) < 5 else x,
        "like": lambda r, x: x + o.ones_like(x) * 0.5 + o.zeros_like(x),
        "normalize": lambda r, x: o.normalize(x, axis=axis_of(r, x), order=r.pick([2, 1])),
        "matmul": lambda r, x: o.matmul(x, o.swapaxes(x, -1, -2)) if len(x.shape) > 2 else o.matmul(o.expand_dims(x, 1), o.expand_dims(x, -1)),
        "einsum": lambda r, x: o.einsum(r.pick(["bij,bkj->bik", "bij,bij->bj", "bij,bik->bjk", "bij,bkj->b", "...ij,...kj->...ik"]), x, x) if len(x.shape) == 3 else o.einsum("b...,b...->b...", x, x),
        "tri": lambda r, x: r.pick([o.tril, o.triu])(x, k=r.int(-1, 1)) if len(x.shape) > 2 else x,
        "sort": lambda r, x: r.pick([lambda: o.sort(x, axis=-1), lambda: o.top_k(x, 1)[0], lambda: o.cast(o.argsort(x, axis=-1), "float32")])(),
        "norm": lambda r, x: o.norm(x, axis=axis_of(r, x), keepdims=r.coin()),
        "average": lambda r, x: o.average(x, axis=axis_of(r, x)),
        "broadcast": lambda r, x: o.broadcast_to(o.expand_dims(x, 1), (2, 3) + shape_of(x)) [:1] if False else x,
        "diff": lambda r, x: o.diff(x, axis=-1) if (shape_of(x)[-1] or 0) > 1 else x,
        "moments": lambda r, x: o.moments(x, axes=[axis_of(r, x)], keepdims=r.coin())[r.int(0, 1)],
        "hypot": lambda r, x: r.pick([lambda: o.logaddexp(x, x * 0.3), lambda: o.arctan2(x, positive(x)), lambda: o.maximum(x, 0.1), lambda: o.minimum(0.2, x), lambda: o.nan_to_num(x), lambda: o.squeeze(o.outer(x, x)[None], 0) if False else x * x])(),
        "stop": lambda r, x: K.ops.stop_gradient(x),
        "any": lambda r, x: o.cast(r.pick([o.any, o.all])(x > 0, axis=axis_of(r, x)), "float32"),
        "count": lambda r, x: o.cast(o.count_nonzero(o.relu(x), axis=axis_of(r, x)), "float32"),
        "dot": lambda r, x: r.pick([lambda: o.tensordot(x, np.ones((shape_of(x)[-1], 2), "float32") * 0.3, axes=1) if shape_of(x)[-1] else x, lambda: o.matmul(x, np.full((shape_of(x)[-1], 3), 0.2, "float32")) if shape_of(x)[-1] else x, lambda: x + np.arange(shape_of(x)[-1] or 1).astype("float32")])(),
        "pool": lambda r, x: r.pick([o.max_pool, o.average_pool])(x, 2, strides=r.int(1, 2), padding="same") if len(x.shape) in (3, 4, 5) else x,
        "resize": lambda r, x: o.image.resize(x, (r.int(2, 7), r.int(2, 7)), interpolation=r.pick(["bilinear", "nearest"])) if len(x.shape) == 4 and known(x) else x,
    }
    return ops


def tf_ops(K):
    import tensorflow as tf
    def axis_of(r, t):
        return r.int(1, len(t.shape) - 1)
    positive = lambda x: tf.abs(x) + 0.5
    def index(r, t):
        cut = [slice(None)]
        for d in shape_of(t):
            cut.append(slice(None) if d is None or d < 2 else r.pick([slice(None), r.int(0, d - 1), -1, slice(1, None), slice(None, -1), slice(None, None, 2), slice(None, None, -1)]))
        if r.coin(0.2) and len(t.shape) < 5:
            cut.insert(1, tf.newaxis)
        return tuple(cut)
    m = tf.math
    return {
        "arith": lambda r, x: r.pick([lambda: x + 1.5, lambda: 2 - x, lambda: x * -0.5, lambda: 1.0 / positive(x), lambda: -x, lambda: x / 3, lambda: x ** 2, lambda: abs(x), lambda: x % 0.7, lambda: x // 0.4])(),
        "unary": lambda r, x: r.pick([tf.exp, tf.abs, tf.square, tf.sin, tf.cos, tf.tan, tf.tanh, tf.atan, tf.sign, tf.floor, m.ceil, tf.round, m.negative, m.expm1, m.erf, tf.sinh, tf.cosh, tf.sigmoid, tf.identity])(x),
        "positive": lambda r, x: r.pick([m.log, tf.sqrt, m.rsqrt, m.log1p, m.reciprocal])(positive(x)),
        "reduce": lambda r, x: getattr(m, r.pick(["reduce_mean", "reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_variance", "reduce_std", "reduce_logsumexp"]))(x, axis=r.pick([axis_of(r, x), -1]), keepdims=r.coin()),
        "arg": lambda r, x: tf.cast(r.pick([tf.argmax, tf.argmin])(x, axis=axis_of(r, x)), tf.float32),
        "item": lambda r, x: x[index(r, x)],
        "nn": lambda r, x: r.pick([tf.nn.relu, tf.nn.relu6, m.softplus, tf.nn.softsign, tf.nn.silu, tf.nn.gelu, tf.nn.selu, tf.nn.elu, tf.nn.leaky_relu, m.log_sigmoid, tf.nn.swish])(x),
        "softmax": lambda r, x: r.pick([tf.nn.softmax, tf.nn.log_softmax])(x, axis=axis_of(r, x)),
        "where": lambda r, x: tf.where(x > 0.1, x, 0.5 * x),
        "clip": lambda r, x: tf.clip_by_value(x, r.num(-1, 0), r.num(0.1, 1)),
        "cast": lambda r, x: tf.cast(tf.cast(x * 3, r.pick([tf.int32, tf.int64, tf.bool])), tf.float32),
        "compare": lambda r, x: tf.cast(tf.logical_or(x > 0.3, tf.logical_not(tf.greater_equal(x, -0.3))), tf.float32),
        "expand": lambda r, x: tf.expand_dims(x, r.pick([1, -1])) if len(x.shape) < 5 else x,
        "squeeze": lambda r, x: tf.squeeze(tf.expand_dims(x, 1), [1]),
        "transpose": lambda r, x: tf.transpose(x, [0] + (r.rng.permutation(len(x.shape) - 1) + 1).tolist()),
        "reshape": lambda r, x: tf.reshape(x, [-1, random_layers.size_prod(shape_of(x))]) if known(x) else x,
        "flip": lambda r, x: tf.reverse(x, [axis_of(r, x)]),
        "roll": lambda r, x: tf.roll(x, r.int(-2, 3), axis_of(r, x)),
        "pad": lambda r, x: tf.pad(x, [[0, 0]] + [[r.int(0, 2), r.int(0, 1)] for _ in shape_of(x)], **r.pick([{}, {"constant_values": 0.7}])),
        "tile": lambda r, x: tf.tile(x, [1] + [r.int(1, 2) for _ in shape_of(x)]),
        "repeat": lambda r, x: tf.repeat(x, r.int(1, 3), axis=axis_of(r, x)),
        "cum": lambda r, x: tf.cumsum(x, axis_of(r, x)),
        "split": lambda r, x: tf.concat(tf.split(x, [1, shape_of(x)[-1] - 1], axis=-1)[::-1], -1) if (shape_of(x)[-1] or 0) > 1 else x,
        "unstack": lambda r, x: tf.stack(tf.unstack(x, axis=1), axis=1) if shape_of(x)[0] and len(x.shape) > 2 else x,
        "stack": lambda r, x: tf.stack([x, x * 2], axis=r.pick([1, -1])) if len(x.shape) < 5 else x,
        "gather": lambda r, x: tf.gather(x, [0, 0], axis=-1),
        "onehot": lambda r, x: tf.one_hot(tf.cast(tf.clip_by_value(x, 0, 3), tf.int32), 5) if len(x.shape) < 5 else x,
        "like": lambda r, x: x + tf.ones_like(x) * 0.5 + tf.zeros_like(x),
        "matmul": lambda r, x: tf.matmul(x, x, transpose_b=True) if len(x.shape) > 2 else tf.matmul(x[:, None], x[..., None]),
        "einsum": lambda r, x: tf.einsum(r.pick(["bij,bkj->bik", "bij,bij->bj", "bij,bik->bjk"]), x, x) if len(x.shape) == 3 else x * x,
        "l2": lambda r, x: r.pick([lambda: m.l2_normalize(x, axis=-1), lambda: tf.norm(x, axis=-1), lambda: tf.add_n([x, x, x]), lambda: m.divide_no_nan(x, tf.nn.relu(x))])(),
        "dot": lambda r, x: tf.tensordot(x, np.ones((shape_of(x)[-1], 2), "float32") * 0.3, axes=1) if shape_of(x)[-1] else x,
        "resize": lambda r, x: tf.image.resize(x, (r.int(2, 7), r.int(2, 7))) if len(x.shape) == 4 and known(x) else x,
        "backend": lambda r, x: r.pick([K.backend.relu, K.backend.sigmoid, K.backend.square, lambda v: K.backend.mean(v, axis=-1), lambda v: K.backend.sum(v, axis=1, keepdims=True), lambda v: K.backend.l2_normalize(v, axis=-1), K.backend.flatten, lambda v: K.backend.concatenate([v, v]), lambda v: K.backend.permute_dimensions(v, list(range(len(v.shape)))), lambda v: K.backend.expand_dims(v) if len(v.shape) < 5 else v])(x),
    }


# ---- shapes, inputs, graphs ----

def random_shape(r, rank, unknown=True):
    shape = [r.int(1, 9) if r.coin(0.2) else r.int(3, 8) for _ in range(rank)]
    if rank > 1 and unknown and r.coin(0.25):
        shape[r.int(0, rank - 2)] = None
    return tuple(shape)


def attention(K, r, t, pool):
    L, s = K.layers, shape_of(t)
    if len(s) != 2 or s[1] is None:
        return None
    others = [o for o in pool if len(o.shape) == 3 and shape_of(o)[1] == s[1]]
    other = r.pick(others)
    kind = r.int(0, 3 if K.__version__[0] == "3" else 2)
    causal = {"use_causal_mask": True} if r.coin(0.3) and other is t else {}
    if kind == 0:
        return L.Attention(use_scale=r.coin(), **({"score_mode": "concat"} if r.coin(0.3) else {}))([t, other], **causal)
    if kind == 1:
        return L.AdditiveAttention(use_scale=r.coin())([t, other], **causal)
    if kind == 2:
        return L.MultiHeadAttention(r.int(1, 3), r.int(1, 4), value_dim=r.pick([None, 3]), use_bias=r.coin(0.8), output_shape=r.pick([None, 5]))(t, other, **causal)
    return L.GroupQueryAttention(r.int(1, 4), *r.pick([(4, 2), (4, 4), (3, 1)]), use_bias=r.coin(0.8))(t, other, **causal)


def merge(K, r, t, pool):
    L, s = K.layers, shape_of(t)
    same = [o for o in pool if shape_of(o) == s]
    choice = r.int(0, 4)
    if choice <= 1:
        layer = getattr(L, r.pick(["Add", "Multiply", "Average", "Maximum", "Minimum"]))()
        return layer([t, r.pick(same)] + ([t] if r.coin(0.2) else []))
    if choice == 2:
        return L.Subtract()([t, r.pick(same)])
    if choice == 3:
        axis = r.int(1, len(s))
        fit = [o for o in pool if len(shape_of(o)) == len(s) and all(a == b for i, (a, b) in enumerate(zip(shape_of(o), s)) if i != axis - 1)]
        return L.Concatenate(axis=r.pick([axis, axis - len(s) - 1]))([t, r.pick(fit)])
    other = r.pick([o for o in pool if 1 <= len(shape_of(o)) <= 2])  if any(1 <= len(shape_of(o)) <= 2 for o in pool) else None
    if other is None or len(s) > 2:
        return None
    pairs = [(i + 1, j + 1) for i, a in enumerate(s) for j, b in enumerate(shape_of(other)) if a == b and a is not None]
    return L.Dot(r.pick(pairs), normalize=r.coin(0.3))([t, other]) if pairs else None


class Graph:
    def __init__(self, K, r, what, deep=0):
        self.K, self.r, self.what, self.deep = K, r, what, deep
        self.layers = random_layers.table(K)
        self.ops = keras_ops(K) if K.__version__[0] == "3" else tf_ops(K)
        self.shared = []

    def layer(self, t, only=None):
        for _ in range(8):
            name = only or self.r.pick(sorted(self.layers))
            layer = self.layers[name](self.r, shape_of(t))
            if layer is not None:
                self.what.append(name)
                if self.r.coin(0.2) and not getattr(layer, "stateful", False):
                    self.shared.append((layer, tuple(t.shape)))
                return layer(t)
        return t

    def op(self, t):
        name = self.r.pick(sorted(self.ops))
        self.what.append("op:" + name)
        return self.ops[name](self.r, t)

    def nested(self, t):
        K, r = self.K, self.r
        if r.coin(0.4):
            layers = [K.Input(shape_of(t))]
            x = layers[0]
            for _ in range(r.int(1, 3)):
                name = r.pick(sorted(self.layers))
                layer = self.layers[name](r, shape_of(x))
                if layer is None:
                    continue
                self.what.append("seq:" + name)
                x = layer(x)
                layers.append(layer)
            if len(layers) == 1:
                return t
            m = K.Sequential(layers)
        else:
            i = K.Input(shape_of(t))
            g = Graph(K, r, self.what, self.deep + 1)
            out = g.grow([i], r.int(1, 3))
            m = K.Model(i, out[0] if len(out) == 1 else out)
        self.what.append("nested")
        y = m(t)
        if r.coin(0.3) and not isinstance(y, (list, tuple)):
            self.shared.append((m, tuple(t.shape)))
        return y

    def step(self, pool):
        r = self.r
        t = r.pick(pool[-3:]) if r.coin(0.8) else r.pick(pool)
        fit = [l for l, s in self.shared if s == tuple(t.shape)]
        p = r.rng.random()
        if fit and r.coin(0.3):
            self.what.append("shared")
            y = r.pick(fit)(t)
        elif p < 0.55:
            y = self.layer(t)
        elif p < 0.7:
            y = self.op(t)
        elif p < 0.85:
            y = merge(self.K, r, t, pool)
        elif p < 0.92:
            y = attention(self.K, r, t, pool)
        elif self.deep < 2:
            y = self.nested(t)
        else:
            y = None
        return list(y) if isinstance(y, (list, tuple)) else [] if y is None else [y]

    def grow(self, pool, steps):
        pool, start = list(pool), len(pool)
        for _ in range(steps):
            pool += [y for y in self.step(pool) if 2 <= len(y.shape) <= 5]
        made = pool[start:] or [self.layer(pool[0], "act")]
        outs = [made[-1]]
        if self.r.coin(0.3):
            other = self.r.pick(made)
            if not any(other is o for o in outs):
                outs.append(other)
        return outs


def value_for(r, t, shape, masked):
    dtype = t.dtype if isinstance(t.dtype, str) else t.dtype.name
    if dtype.startswith("int"):
        v = r.rng.integers(0, 5, shape)
    else:
        v = r.rng.standard_normal(shape)
        if masked and len(shape) == 3:
            v[r.rng.random(shape[:2]) < 0.3] = 0
    return v.astype(dtype)


def plain(y):
    if isinstance(y, dict):
        y = list(y.values())
    return sum((plain(e) for e in y), []) if isinstance(y, (list, tuple)) else [np.array(y)]


def sensitivity(model, values, expected):
    """How far the outputs move when inputs move by float32's rounding: a normalisation of nearly equal values, say, tells no
    more digits than that."""
    import keras_cases
    rng, worst = np.random.default_rng(1), 0.0
    for _ in range(2):
        moved = [(v * (1 + 6e-8 * rng.standard_normal(v.shape))).astype(v.dtype) if v.dtype.kind == "f" else v for v in values]
        again = plain(model(moved if len(moved) > 1 else moved[0], training=False))
        worst = max([worst] + [keras_cases.relative_error(a, e) for a, e in zip(again, expected)])
    return worst


def build(K, seed, kind=None, only=None):
    r = Dice(seed)
    if hasattr(K.backend, "clear_session"):
        K.backend.clear_session()
    K.utils.set_random_seed(seed)
    what = []
    g = Graph(K, r, what)
    kind = kind or r.pick(["layer", "layer", "chain", "graph", "graph"])
    half = r.coin(0.08)
    policy = K.mixed_precision if hasattr(K, "mixed_precision") else None
    if half:
        what.append("half")
        name = r.pick(["mixed_float16", "mixed_bfloat16", "float16"])
        policy.set_global_policy(name) if hasattr(policy, "set_global_policy") else K.config.set_dtype_policy(name)
    try:
        rank = r.pick([1, 2, 2, 3, 3, 4])
        ids = kind == "graph" and r.coin(0.15)
        shape = random_shape(r, rank)
        batch = 2 if r.coin(0.1) else None
        if ids:
            x = K.Input((r.pick([6, None]),), dtype="int32", name="ids")
            first = K.layers.Embedding(5, r.int(2, 5), mask_zero=r.coin(0.7))(x)
            what.append("embedding")
        else:
            x = K.Input(shape, name="x", batch_size=batch)
            first = x
        inputs = [x]
        if kind == "layer":
            outs = [g.layer(first, only)]
        elif kind == "chain":
            y = first
            for _ in range(r.int(2, 6)):
                y = g.layer(y)
            outs = [y]
        else:
            pool = [first]
            if r.coin(0.3) and not ids:
                inputs.append(K.Input(shape, name="second", batch_size=batch))
                pool.append(inputs[-1])
            outs = g.grow(pool, r.int(3, 9))
            if len(inputs) == 2:
                extra = g.layer(inputs[1])
                outs.append(extra)
        model = K.Model(inputs if len(inputs) > 1 else inputs[0], outs if len(outs) > 1 else outs[0])
    finally:
        if half:
            policy.set_global_policy("float32") if hasattr(policy, "set_global_policy") else K.config.set_dtype_policy("float32")
    for layer in keras_cases.flat_layers(model):  # what is frozen lies in another order in .h5
        if r.coin(0.08):
            layer.trainable = False
    set_weights(model, r.rng)
    sizes = [d if d is not None else r.int(9, 12) for d in shape]
    b = batch or r.int(1, 3)
    values = [value_for(r, t, [b] + (sizes if t.name.split(":")[0] != "ids" else [6]), "masking" in what) for t in inputs]
    expected = plain(model(values if len(values) > 1 else values[0], training=False))
    return model, values, expected, 5e-2 if half else 1e-5, what
