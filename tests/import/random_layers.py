"""Layers with random settings: `table(K)` gives name -> fn(r, shape), which returns a layer for an input of that shape (without
the batch, None where unknown) or None where it takes no such input. Works with Keras 3 and with tf_keras."""
import numpy as np


class Dice:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def coin(self, p=0.5):
        return bool(self.rng.random() < p)

    def int(self, low, high):
        """low <= n <= high"""
        return int(self.rng.integers(low, high + 1))

    def num(self, low, high):
        return float(np.round(self.rng.uniform(low, high), 3))


def activations(K):
    names = ["elu", "softmax", "selu", "softplus", "softsign", "relu", "tanh", "sigmoid", "exponential", "hard_sigmoid", "linear",
             "swish", "gelu", None, None, "relu"]
    if K.__version__[0] == "3":
        names += ["silu", "mish", "relu6", "leaky_relu", "log_softmax", "celu", "hard_silu", "hard_tanh", "hard_shrink",
                  "soft_shrink", "tanh_shrink", "squareplus", "sparse_plus", "sparse_sigmoid", "sparsemax", "log_sigmoid", "threshold"]
    return [n for n in names if n is None or hasattr(K.activations, n)]


def activation(K, r, plain=False):
    L, a = K.layers, r.pick(activations(K))
    if plain or r.coin(0.85):
        return a
    return r.pick([lambda: L.LeakyReLU(0.2), lambda: L.ReLU(max_value=0.8), lambda: L.ELU(0.6), lambda: K.activations.gelu])()


def extras(K, r, kernel=True, bias=True):
    """Settings without a meaning at inference."""
    kw = {}
    if r.coin(0.2) and kernel:
        kw["kernel_regularizer"] = r.pick(["l2", K.regularizers.l1_l2(0.1, 0.01)])
    if r.coin(0.2) and kernel:
        kw["kernel_constraint"] = r.pick([K.constraints.NonNeg(), K.constraints.MaxNorm(2)])
    if r.coin(0.2) and kernel:
        kw["kernel_initializer"] = r.pick(["he_normal", K.initializers.RandomUniform(-1, 1), "orthogonal"])
    if r.coin(0.2) and bias:
        kw["bias_initializer"] = r.pick(["ones", K.initializers.Constant(0.3)])
    if r.coin(0.2):
        kw["activity_regularizer"] = K.regularizers.L2(0.01)
    if r.coin(0.1):
        kw["trainable"] = False
    return kw


def one_or_all(r, nd, low, high):
    return r.int(low, high) if r.coin() else tuple(r.int(low, high) for _ in range(nd))


def fits(shape, first, nd, wide):
    axes = shape[1:] if first else shape[:-1]
    wide = (wide,) * nd if isinstance(wide, int) else wide
    return all(a is None or a >= w for a, w in zip(axes, wide))


def channels_of(shape, first):
    return shape[0] if first else shape[-1]


def data_format(r):
    return "channels_first" if r.coin(0.25) else r.pick(["channels_last", None])


def convolution(K, r, shape, kind):
    L, nd = K.layers, len(shape) - 1
    v3 = K.__version__[0] == "3"
    if not 1 <= nd <= 3 or (kind != "Conv{}D" and "Conv{}DT" not in kind and nd == 3) or (kind == "DepthwiseConv{}D" and nd == 1 and not v3):
        return None
    kw = {"padding": r.pick(["valid", "same"]), "use_bias": r.coin(0.7), "activation": activation(K, r)}
    kw["data_format"] = data_format(r)
    first = kw["data_format"] == "channels_first"
    channels = channels_of(shape, first)
    if channels is None:
        return None
    kernel = one_or_all(r, nd, 1, 4)
    dilated = r.coin(0.25)
    if dilated:
        kw["dilation_rate"] = one_or_all(r, nd, 1, 3)
    elif kind in ("Conv{}D", "Conv{}DTranspose"):
        kw["strides"] = one_or_all(r, nd, 1, 3)
    else:
        kw["strides"] = r.int(1, 3)
    if kind == "Conv{}D" and nd == 1 and r.coin(0.2):
        kw["padding"] = "causal"
    rate = kw.get("dilation_rate", 1)
    wide = [(k - 1) * d + 1 for k, d in zip((kernel,) * nd if isinstance(kernel, int) else kernel, (rate,) * nd if isinstance(rate, int) else rate)]
    step = kw.get("strides", 1)
    step = (step,) * nd if isinstance(step, int) else step
    if nd == 3 and kw["padding"] == "same" and any(k < v - 1 for k, v in zip(wide, step)):
        return None  # TensorFlow's kernel on CPUs starts such windows elsewhere than it documents
    if kw["padding"] == "valid" and kind != "Conv{}DTranspose" and not fits(shape, first, nd, wide):
        return None
    kw.update(extras(K, r, kind in ("Conv{}D", "Conv{}DTranspose"), kw["use_bias"]))
    if kind == "DepthwiseConv{}D":
        return getattr(L, f"DepthwiseConv{nd}D")(kernel, depth_multiplier=r.int(1, 3), **kw)
    if kind == "SeparableConv{}D":
        return getattr(L, f"SeparableConv{nd}D")(r.int(1, 6), kernel, depth_multiplier=r.int(1, 3), **kw)
    if kind == "Conv{}DTranspose":
        if r.coin(0.3):
            s = kw.get("strides", 1)
            s = (s,) * nd if isinstance(s, int) else s
            if min(s) > 1:
                kw["output_padding"] = tuple(r.int(0, v - 1) for v in s)
        return getattr(L, f"Conv{nd}DTranspose")(r.int(1, 6), kernel, **kw)
    groups = r.pick([g for g in range(1, channels + 1) if channels % g == 0]) if r.coin(0.3) else 1
    return getattr(L, f"Conv{nd}D")(groups * r.int(1, 4), kernel, groups=groups, **kw)


def pooling(K, r, shape, kind):
    L, nd = K.layers, len(shape) - 1
    if not 1 <= nd <= 3:
        return None
    fmt = data_format(r)
    first = fmt == "channels_first"
    if kind.startswith("Global"):
        return getattr(L, f"{kind}{nd}D")(data_format=fmt, keepdims=r.coin())
    if kind.startswith("Adaptive"):
        axes = shape[1:] if first else shape[:-1]
        if None in axes:
            return None
        return getattr(L, f"{kind}{nd}D")(tuple(r.int(1, a) for a in axes), data_format=fmt)
    pool = one_or_all(r, nd, 1, 3)
    padding = r.pick(["valid", "same"])
    if padding == "valid" and not fits(shape, first, nd, pool):
        return None
    strides = r.pick([None, one_or_all(r, nd, 1, 3)])
    if nd == 3 and padding == "same" and strides is not None:
        strides = pool  # TensorFlow on a CPU moves windows that are narrower than their stride, as it does nowhere else
    return getattr(L, f"{kind}{nd}D")(pool, strides=strides, padding=padding, data_format=fmt)


def recurrent(K, r, shape, stackable=True):
    L = K.layers
    if len(shape) != 2 or shape[1] is None:
        return None
    cell = r.pick(["LSTM", "GRU", "SimpleRNN"])
    kw = {"use_bias": r.coin(0.8)}
    if r.coin(0.4):
        kw["activation"] = r.pick(["relu", "sigmoid", "elu", "softsign", "linear", "hard_sigmoid", "gelu", "selu", None])
    if cell != "SimpleRNN" and r.coin(0.3):
        kw["recurrent_activation"] = r.pick(["hard_sigmoid", "relu", "tanh", "linear", "softplus"])
    if cell == "GRU":
        kw["reset_after"] = r.coin()
    if cell == "LSTM" and r.coin(0.3):
        kw["unit_forget_bias"] = False
    layer = {"return_sequences": r.coin(), "go_backwards": r.coin(0.3), "unroll": r.coin(0.15) and shape[0] is not None}
    if r.coin(0.15):
        layer["zero_output_for_mask"] = True
    if r.coin(0.2):
        kw.update(dropout=0.3, recurrent_dropout=0.2 if r.coin() else 0.0)
    if r.coin(0.25) and stackable:
        cells = [getattr(L, cell + "Cell")(r.int(1, 5), **{k: v for k, v in kw.items()}) for _ in range(r.int(1, 3))]
        if layer.get("zero_output_for_mask"):
            layer.pop("zero_output_for_mask")
        return L.RNN(L.StackedRNNCells(cells) if len(cells) > 1 and r.coin() else cells if len(cells) > 1 else cells[0], **layer)
    return getattr(L, cell)(r.int(1, 6), **kw, **layer)


def bidirectional(K, r, shape):
    L = K.layers
    inner = recurrent(K, r, shape, stackable=False)
    if inner is None:
        return None
    mode = r.pick(["concat", "sum", "mul", "ave"])
    if r.coin(0.2):
        other = type(inner).from_config({**inner.get_config(), "name": "other", "go_backwards": not inner.go_backwards})
        return L.Bidirectional(inner, merge_mode=mode, backward_layer=other)
    return L.Bidirectional(inner, merge_mode=mode)


def conv_lstm(K, r, shape):
    L, nd = K.layers, len(shape) - 2
    fmt = data_format(r)
    if not 1 <= nd <= 3 or None in shape:
        return None
    first = fmt == "channels_first"
    kernel, padding = one_or_all(r, nd, 1, 3), r.pick(["valid", "same"])
    if padding == "valid" and not fits(shape[1:], first, nd, kernel):
        return None
    kw = {"strides": r.int(1, 2)} if r.coin(0.7) else {"dilation_rate": 1}
    return getattr(L, f"ConvLSTM{nd}D")(r.int(1, 4), kernel, padding=padding, data_format=fmt, use_bias=r.coin(0.8),
                                        return_sequences=r.coin(), go_backwards=r.coin(0.3), recurrent_activation=r.pick(["sigmoid", "hard_sigmoid"]),
                                        activation=r.pick(["tanh", "relu", "elu"]), **kw)


def distributed(K, r, shape):
    if len(shape) < 2:
        return None
    choices = [n for n in table(K) if n not in ("td", "rnn", "bidirectional", "convlstm", "masking", "normalization")]
    for _ in range(4):
        inner = table(K)[r.pick(choices)](r, shape[1:])
        if inner is not None:
            return K.layers.TimeDistributed(inner)
    return None


def axis_of(r, shape, known=True):
    axes = [i + 1 for i, d in enumerate(shape) if d is not None or not known]
    if not axes:
        return None
    a = r.pick(axes)
    return a - len(shape) - 1 if r.coin() else a


def norm_axes(r, shape):
    axes = [i + 1 for i, d in enumerate(shape) if d is not None]
    if not axes:
        return None
    n = r.int(1, len(axes))
    if r.coin(0.6):
        return axis_of(r, shape)
    chosen = sorted(r.rng.choice(axes, n, replace=False).tolist())
    if r.coin(0.3):
        chosen = [a - len(shape) - 1 for a in chosen]
    return chosen


def normalizing(K, r, shape, kind):
    L = K.layers
    if kind == "batch":
        a = norm_axes(r, shape) if K.__version__[0] == "2" and r.coin(0.3) else axis_of(r, shape)
        return None if a is None else L.BatchNormalization(axis=a, center=r.coin(0.8), scale=r.coin(0.8), epsilon=r.pick([1e-3, 1e-5]), momentum=0.9)
    if kind == "group":
        a = axis_of(r, shape)
        if a is None:
            return None
        n = shape[a - 1 if a > 0 else a]
        groups = r.pick([g for g in range(1, n + 1) if n % g == 0] + [-1])
        if len(shape) == 1 and groups in (n, -1):
            return None  # one element less itself: only rounding is left
        return L.GroupNormalization(groups, axis=a, center=r.coin(0.8), scale=r.coin(0.8), epsilon=r.pick([1e-3, 1e-5]))
    axes = norm_axes(r, shape)
    if axes is None:
        return None
    over = [shape[a - 1 if a > 0 else a] for a in (axes if isinstance(axes, list) else [axes])]
    if kind == "layer":
        if all(d == 1 for d in over):
            return None  # one element less itself: only rounding is left
        return L.LayerNormalization(axis=axes, center=r.coin(0.8), scale=r.coin(0.8), epsilon=r.pick([1e-3, 1e-6]))
    if kind == "unit":
        return L.UnitNormalization(axis=axes)
    return L.RMSNormalization(axis=axes, epsilon=r.pick([1e-6, 1e-3]))


def spectral(K, r, shape):
    inner = table(K)[r.pick(["dense", "conv"])](r, shape)
    return None if inner is None or inner.activation is None else K.layers.SpectralNormalization(inner, trainable=r.coin(0.7))


def size_prod(shape):
    return int(np.prod(shape))


def reshape(K, r, shape):
    if None in shape:
        return K.layers.Reshape((-1, shape[-1])) if shape[-1] else None
    n, out = size_prod(shape), []
    while n > 1 and len(out) < 3:
        d = r.pick([k for k in range(1, n + 1) if n % k == 0])
        out.append(d)
        n //= d
    out.append(n)
    if r.coin(0.4):
        out[r.int(0, len(out) - 1)] = -1
    return K.layers.Reshape(tuple(out))


def padding(K, r, shape, kind):
    L, nd = K.layers, len(shape) - 1
    if not 1 <= nd <= 3:
        return None
    kw = {} if nd == 1 and K.__version__[0] != "3" or kind == "Cropping" and nd == 1 else {"data_format": data_format(r)}
    first = kw.get("data_format") == "channels_first"
    axes = shape[1:] if first else shape[:-1]
    high = 3 if kind == "ZeroPadding" else 1
    if kind == "Cropping" and any(a is not None and a < 3 for a in axes):
        return None
    pair = lambda: (r.int(0, high), r.int(0, high))
    amount = r.pick([r.int(0, high), tuple(pair() for _ in axes), tuple(r.int(0, high) for _ in axes)])
    if nd == 1:
        amount = r.pick([r.int(0, high), pair()])
    return getattr(L, f"{kind}{nd}D")(amount, **kw)


def upsampling(K, r, shape):
    L, nd = K.layers, len(shape) - 1
    if not 1 <= nd <= 3:
        return None
    if nd == 1:
        return L.UpSampling1D(r.int(1, 3))
    kw = {"data_format": data_format(r)}
    if nd == 2 and None not in shape:
        kw["interpolation"] = r.pick(["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"])
    return getattr(L, f"UpSampling{nd}D")(one_or_all(r, nd, 1, 3), **kw)


def resizing(K, r, shape):
    v3 = K.__version__[0] == "3"
    if len(shape) != 3 or None in shape:
        return None
    kw = {"interpolation": r.pick(["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"] + ([] if v3 else ["area", "gaussian", "mitchellcubic"]))}
    if v3:
        kw["data_format"] = data_format(r)
        kw["antialias"] = r.coin(0.3)
    if r.coin(0.3):
        kw[r.pick(["crop_to_aspect_ratio", "pad_to_aspect_ratio"]) if v3 else "crop_to_aspect_ratio"] = True
    return K.layers.Resizing(r.int(1, 9), r.int(1, 9), **kw)


def center_crop(K, r, shape):
    if len(shape) != 3 or None in shape:
        return None
    kw = {"data_format": data_format(r)} if K.__version__[0] == "3" else {}
    return K.layers.CenterCrop(r.int(1, 7), r.int(1, 7), **kw)


def einsum_dense(K, r, shape):
    E = K.layers.EinsumDense
    if None in shape or len(shape) > 3:
        return None
    n, act = r.int(1, 5), activation(K, r, plain=True)
    if len(shape) == 1:
        return E(*r.pick([("ab,bc->ac", n)]), bias_axes=r.pick([None, "c"]), activation=act)
    if len(shape) == 2:
        return r.pick([lambda: E("abc,cd->abd", (None, n), bias_axes=r.pick([None, "d"]), activation=act),
                       lambda: E("abc,cde->abde", (None, n, 3), bias_axes=r.pick([None, "de", "e", "d"]), activation=act),
                       lambda: E("abc,bcd->ad", (n,), bias_axes=r.pick([None, "d"]), activation=act),
                       lambda: E("abc,bd->adc", (n, shape[1]), bias_axes=r.pick([None, "d", "c", "dc"]), activation=act),
                       lambda: E("...x,xy->...y", n, bias_axes=r.pick([None, "y"]), activation=act)])()
    return r.pick([lambda: E("abcd,cde->abe", (None, n), bias_axes=r.pick([None, "e"]), activation=act),
                   lambda: E("...x,xy->...y", (n,), bias_axes=r.pick([None, "y"]), activation=act)])()


def normalization(K, r, shape):
    axes = r.pick([-1, None, norm_axes(r, shape)])
    if shape[-1] is None and axes == -1:
        return None
    kw = {} if axes is None else {"axis": tuple(axes) if isinstance(axes, list) else axes}
    if axes is None:
        kw["axis"] = None
    if r.coin(0.2):
        kw["invert"] = True
    if axes is None and r.coin():
        return K.layers.Normalization(mean=r.num(-1, 1), variance=r.num(0.2, 2), **kw)
    layer = K.layers.Normalization(**kw)
    layer.adapt(r.rng.standard_normal((6,) + tuple(d or 3 for d in shape)).astype("float32") * 2 + 1)
    return layer


def advanced(K, r, shape):
    L = K.layers
    v3 = K.__version__[0] == "3"
    slope = "negative_slope"
    options = [lambda: L.ReLU(max_value=r.pick([None, 0.9]), threshold=r.pick([0.0, 0.3]), **{slope: r.pick([0.0, 0.2])}), lambda: L.LeakyReLU(r.num(0, 0.5)),
               lambda: L.ELU(r.num(0.1, 1.5)), lambda: L.Softmax(axis=axis_of(r, shape, False)),
               lambda: L.PReLU(shared_axes=[i + 1 for i in range(len(shape) - 1)] if r.coin() or None in shape else None)]
    if not v3:
        options.append(lambda: L.ThresholdedReLU(r.num(0, 0.5)))
    if shape[-1] is None:
        options.pop(4)
    return r.pick(options)()


def identity(K, r, shape):
    L = K.layers
    options = [lambda: L.Dropout(0.4), lambda: L.GaussianNoise(0.4), lambda: L.GaussianDropout(0.3), lambda: L.ActivityRegularization(0.1), lambda: L.Activation("linear")]
    if hasattr(L, "AlphaDropout"):
        options.append(lambda: L.AlphaDropout(0.2))
    if len(shape) in (2, 3, 4):
        options.append(lambda: getattr(L, f"SpatialDropout{len(shape) - 1}D")(0.3))
    if len(shape) == 3 and shape[-1] == 3:
        options += [lambda: L.RandomFlip("horizontal"), lambda: L.RandomZoom(0.1), lambda: L.RandomContrast(0.2)]
    return r.pick(options)()


def table(K):
    L, v3 = K.layers, K.__version__[0] == "3"
    t = {
        "dense": lambda r, s: L.Dense(r.int(1, 7), activation=activation(K, r), use_bias=r.coin(0.7), **extras(K, r, True)) if s[-1] else None,
        "act": lambda r, s: L.Activation(activation(K, r)) if r.coin(0.9) else advanced(K, r, s),
        "advanced": lambda r, s: advanced(K, r, s),
        "identity": lambda r, s: identity(K, r, s),
        "conv": lambda r, s: convolution(K, r, s, "Conv{}D"),
        "convt": lambda r, s: convolution(K, r, s, "Conv{}DTranspose"),
        "depthwise": lambda r, s: convolution(K, r, s, "DepthwiseConv{}D"),
        "separable": lambda r, s: convolution(K, r, s, "SeparableConv{}D"),
        "maxpool": lambda r, s: pooling(K, r, s, "MaxPooling"),
        "avgpool": lambda r, s: pooling(K, r, s, "AveragePooling"),
        "gmaxpool": lambda r, s: pooling(K, r, s, "GlobalMaxPooling"),
        "gavgpool": lambda r, s: pooling(K, r, s, "GlobalAveragePooling"),
        "batchnorm": lambda r, s: normalizing(K, r, s, "batch"),
        "layernorm": lambda r, s: normalizing(K, r, s, "layer"),
        "groupnorm": lambda r, s: normalizing(K, r, s, "group"),
        "unitnorm": lambda r, s: normalizing(K, r, s, "unit"),
        "flatten": lambda r, s: L.Flatten(data_format=data_format(r)),
        "reshape": lambda r, s: reshape(K, r, s),
        "permute": lambda r, s: L.Permute(tuple((r.rng.permutation(len(s)) + 1).tolist())) if len(s) > 1 else None,
        "repeat": lambda r, s: L.RepeatVector(r.int(1, 4)) if len(s) == 1 else None,
        "zeropad": lambda r, s: padding(K, r, s, "ZeroPadding"),
        "crop": lambda r, s: padding(K, r, s, "Cropping"),
        "upsampling": lambda r, s: upsampling(K, r, s),
        "resizing": lambda r, s: resizing(K, r, s),
        "center_crop": lambda r, s: center_crop(K, r, s),
        "rnn": lambda r, s: recurrent(K, r, s),
        "bidirectional": lambda r, s: bidirectional(K, r, s),
        "convlstm": lambda r, s: conv_lstm(K, r, s),
        "td": lambda r, s: distributed(K, r, s),
        "einsum": lambda r, s: einsum_dense(K, r, s),
        "masking": lambda r, s: L.Masking(r.pick([0.0, 1.0])) if len(s) == 2 else None,
        "rescaling": lambda r, s: L.Rescaling(r.num(-1, 1), offset=r.num(-1, 1)),
        "normalization": lambda r, s: normalization(K, r, s),
    }
    if v3:
        t["adaptive_avg"] = lambda r, s: pooling(K, r, s, "AdaptiveAveragePooling")
        t["adaptive_max"] = lambda r, s: pooling(K, r, s, "AdaptiveMaxPooling")
        t["rmsnorm"] = lambda r, s: normalizing(K, r, s, "rms")
        t["spectral"] = lambda r, s: spectral(K, r, s)
    return t
