"""Random cases of com.microsoft's operators on floats that are no attention."""
import numpy as np

from case_writer import MICROSOFT, answers_of, one_node

F32 = np.float32


def rows_of(d, cols):
    """[..., cols]: rank 1 to 4, sometimes empty."""
    shape = [d.size(1, 5) for _ in range(d.size(0, 3))]
    if shape and d.maybe(0.08):
        shape[d.size(0, len(shape) - 1)] = 0
    return d.floats(*shape, cols)


def gelu(d):
    d.add("Gelu", [rows_of(d, d.size(1, 40)) * 3])


def bias_gelu(d):
    n = d.size(1, 40)
    d.add("BiasGelu", [rows_of(d, n), d.floats(n)], constant=d.some(1))


def fast_gelu(d):
    n = d.size(1, 40)
    d.add("FastGelu", [rows_of(d, n) * 3, d.floats(n) if d.maybe() else None], constant=d.some(1))


def quick_gelu(d):
    a = {"alpha": d.pick(1.0, 0.5, 1.702, -1.0)} if d.maybe() else {}
    d.add("QuickGelu", [rows_of(d, d.size(1, 300)) * 3], **a)


def norm_rows(d, n):
    return [d.size(0 if d.maybe(0.1) else 1, 3), d.size(1, 6), n] if d.maybe(0.7) else [d.size(1, 7), n]


def skip_layer_norm(d):
    n, dtype = d.size(1, 70), d.pick(F32, F32, np.float64, np.float16)
    x = norm_rows(d, n)
    skip = x if d.maybe(0.6) or len(x) < 3 else d.pick([1, *x[1:]], x[1:])
    inputs = [d.floats(*x), d.floats(*skip), d.floats(n), d.floats(n) if d.maybe(0.7) else None, d.floats(n) if d.maybe() else None]
    a = {"epsilon": d.pick(1e-5, 1e-3)} if d.maybe() else {}
    d.add("SkipLayerNormalization", [v if v is None else v.astype(dtype) for v in inputs], d.pick([1], [1, 0, 0, 1]), constant=d.some(2, 3, 4), **a)


def skip_simplified(d):
    n, dtype = d.size(1, 70), d.pick(F32, F32, np.float64, np.float16)
    x = norm_rows(d, n)
    skip = x if d.maybe(0.6) or len(x) < 3 else d.pick([1, *x[1:]], x[1:])
    inputs = [d.floats(*x), d.floats(*skip), d.floats(n), d.floats(n) if d.maybe() else None]
    a = {"epsilon": d.pick(1e-5, 1e-3)} if d.maybe() else {}
    d.add("SkipSimplifiedLayerNormalization", [v if v is None else v.astype(dtype) for v in inputs], d.pick([1], [1, 0, 0, 1]), constant=d.some(2, 3), **a)


def simplified_norm(d):
    shape = [d.size(1, 5) for _ in range(d.size(1, 4))]
    axis, dtype = d.size(0, len(shape) - 1), d.pick(F32, np.float64, np.float16)
    a = {"axis": d.pick(axis, axis - len(shape)), "epsilon": d.pick(1e-5, 1e-2), "stash_type": 1}
    d.add("SimplifiedLayerNormalization", [d.floats(*shape).astype(dtype), d.floats(*shape[axis:]).astype(dtype)], domain="", **a)


def embed_layer_norm(d):
    b, s, n, v, p, g = d.size(0 if d.maybe(0.1) else 1, 3), d.size(1, 6), d.size(1, 40), d.size(2, 20), d.size(7, 12), d.size(1, 3)
    segments = d.maybe(0.6)
    mask = np.sort(d.ints(0, 2, (b, s)), axis=1)[:, ::-1].copy() if d.maybe(0.6) else None
    positions = d.ints(0, p, (d.pick(1, b) if b else b, s)) if d.maybe(0.4) else None
    inputs = [d.ints(0, v, (b, s)), d.ints(0, g, (b, s)) if segments else None, d.floats(v, n), d.floats(p, n),
              d.floats(g, n) if segments else None, d.floats(n), d.floats(n), mask, positions]
    a = {"epsilon": 1e-5} if d.maybe() else {}
    if d.maybe(0.3):
        a["mask_index_type"] = d.pick(0, 1) if mask is not None else 0
    outputs = d.pick([1, 1], [1, 1, 1], [1, 0, 1]) if a.get("mask_index_type") != 0 else [1, 0, 1]
    d.add("EmbedLayerNormalization", inputs, outputs, constant=d.some(2, 3, 4, 5, 6), **a)


def fused_matmul(d, op="FusedMatMul"):
    ta, tb = d.maybe(), d.maybe()
    m, k, n = d.size(1, 9), d.size(0 if d.maybe(0.1) else 1, 9), d.size(1, 9)
    if d.maybe(0.05):
        m = 0
    lead = [d.size(1, 4) for _ in range(d.size(0, 3))]
    a, b = ([k, m] if ta else [m, k]), ([n, k] if tb else [k, n])
    attributes = {"alpha": float(d.pick(1.0, 0.5, -2.0)), "transA": int(ta), "transB": int(tb)}
    # (ONNX Runtime divides by zero where nothing is left of a matrix whose batches are turned.)
    batch_a, batch_b = (m * k > 0 and op == "FusedMatMul" and len(lead) > 0 and d.maybe(0.3) for _ in range(2))
    if batch_a or batch_b:
        a = [a[0], *lead, a[1]] if batch_a else [*lead, *a]
        b = [b[0], *lead, b[1]] if batch_b else [*lead, *b]
        attributes.update(transBatchA=int(batch_a), transBatchB=int(batch_b))
    else:
        a = lead[d.size(0, len(lead)):] + a if d.maybe(0.3) else [1 if d.maybe(0.2) else v for v in lead] + a
        b = lead[d.size(0, len(lead)):] + b if d.maybe(0.3) else [1 if d.maybe(0.2) else v for v in lead] + b
        if d.maybe(0.1) and not ta:
            a = [k]
        elif d.maybe(0.1) and not tb and not ta:  # ONNX Runtime 1.31 forgets transA before a vector
            b = [k]
    dtype = np.float64 if op == "FusedMatMul" and d.maybe(0.15) else F32
    d.add(op, [d.floats(*a).astype(dtype), d.floats(*b).astype(dtype)], constant=d.some(0, 1), **attributes)


def transpose_matmul(d):
    fused_matmul(d, "TransposeMatMul")


ACTIVATIONS = {"Relu": (), "Tanh": (), "Sigmoid": (), "LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta"), "Clip": ("min", "max")}


def fused_gemm(d):
    ta, tb = d.maybe(), d.maybe()
    m, k, n = d.size(0 if d.maybe(0.05) else 1, 9), d.size(1, 9), d.size(1, 9)
    c = d.pick(None, [n], [m, n], [1, n], [m, 1], [1], [])
    name = d.pick("Relu", "LeakyRelu", "Tanh", "Sigmoid", "HardSigmoid", "Elu", "Selu", "Softplus", "Softsign", "ThresholdedRelu", "ParametricSoftplus", "ScaledTanh")
    a = {"activation": name, "transA": int(ta), "transB": int(tb), "alpha": float(d.pick(1.0, 0.5)), "beta": float(d.pick(1.0, 2.0))}
    if d.maybe(0.7):
        a.update(activation_alpha=0.3, activation_beta=0.2, activation_gamma=1.1)
    inputs = [d.floats(*([k, m] if ta else [m, k])), d.floats(*([n, k] if tb else [k, n])), None if c is None else d.floats(*c)]
    d.add("FusedGemm", inputs, constant=d.some(1, 2), **a)


def fused_conv(d):
    rank, group = d.size(1, 3), d.pick(1, 1, 2)
    c, m, kernel = group * d.size(1, 3), group * d.size(1, 4), [d.size(1, 3) for _ in range(rank)]
    space = [d.size(5, 8) for _ in range(rank)]
    batch = d.size(0 if d.maybe(0.05) else 1, 2)
    a = {"group": group, "kernel_shape": kernel, "pads": [d.size(0, 1) for _ in range(2 * rank)], "strides": [d.size(1, 2) for _ in range(rank)],
         "dilations": [d.size(1, 2) for _ in range(rank)]}
    if d.maybe(0.2):
        a["auto_pad"] = d.pick("SAME_UPPER", "SAME_LOWER", "VALID")
        a.pop("pads")
        a["dilations"] = [1] * rank
    name = d.pick(None, *ACTIVATIONS)
    if name:
        a["activation"] = name
    if name in ("LeakyRelu", "HardSigmoid", "Clip"):
        a["activation_params"] = {"LeakyRelu": [0.2], "HardSigmoid": [0.3, 0.4], "Clip": [-0.5, 0.5]}[name]
    x, w = d.floats(batch, c, *space), d.floats(m, c // group, *kernel)
    z = None
    if d.maybe(0.4):
        model, feeds = one_node("FusedConv", [x, w], domain=MICROSOFT, **{k: v for k, v in a.items() if not k.startswith("activation")})
        z = d.floats(*answers_of(model, feeds)[0].shape)
    d.add("FusedConv", [x, w, d.floats(m) if d.maybe() or z is not None else None, z], constant=d.some(1, 2), **a)


def inverse(d):
    n, dtype = d.size(1, 8), d.pick(F32, np.float64)
    x = d.floats(*[d.size(1, 3) for _ in range(d.size(0, 2))], n, n) + 3 * np.eye(n, dtype=F32)
    d.add("Inverse", [x.astype(dtype)])


def trilu(d):
    dtype = d.pick(F32, np.float64, np.int64)
    x = (d.floats(*[d.size(1, 3) for _ in range(d.size(0, 2))], d.size(1, 6), d.size(1, 6)) * 9).astype(dtype)
    d.add("Trilu", [x, np.int64(d.size(-7, 7)) if d.maybe(0.7) else None], upper=d.size(0, 1))


def cdist(d):
    dtype = d.pick(F32, np.float64)
    k = d.size(1, 20)
    d.add("CDist", [d.floats(d.size(1, 9), k).astype(dtype), d.floats(d.size(1, 9), k).astype(dtype)], metric=d.pick("euclidean", "sqeuclidean"))


def expand_dims(d):
    shape = [d.size(1, 4) for _ in range(d.size(0, 4))]
    d.add("ExpandDims", [d.floats(*shape), np.int32(d.size(-len(shape) - 1, len(shape)))], constant=[1])


def gather_nd(d):
    shape = [d.size(1, 4) for _ in range(d.size(1, 4))]
    last = d.size(1, len(shape))
    lead = [d.size(1, 4) for _ in range(d.size(0, 2))]
    index = np.stack([d.ints(-n, n, lead, np.int64) for n in shape[:last]], axis=-1)
    d.add("GatherND", [d.floats(*shape), index.astype(d.pick(np.int32, np.int64))])


def unfold(d):
    shape = [d.size(2, 7) for _ in range(d.size(1, 4))]
    dim = d.size(0, len(shape) - 1)
    dtype = d.pick(F32, np.float64, np.int64, np.int32, np.uint8, np.int16)
    a = {"dim": d.pick(dim, dim - len(shape)), "size": d.size(1, shape[dim]), "step": d.size(1, 3)}
    d.add("UnfoldTensor", [(d.floats(*shape) * 9).astype(dtype)], **a)


def ngram_block(d):
    b, s, v = d.size(1, 3), d.size(1, 10), d.size(3, 9)
    d.add("NGramRepeatBlock", [d.ints(0, 3, (b, s), np.int64), d.floats(b, v)], ngram_size=d.size(1, 4))


def time_warping(d):
    rows, cols = d.size(1, 9), d.size(1, 12)
    d.add("DynamicTimeWarping", [d.floats(*([1] if d.maybe() else []), rows, cols)])


def murmur(d):
    dtype = d.pick(np.int32, np.uint32, np.int64, np.uint64, F32, np.float64)
    x = (d.floats(*[d.size(1, 4) for _ in range(d.size(0, 3))]) * 1000).astype(np.int64).astype(dtype)
    a = {"seed": d.size(0, 1000)} if d.maybe() else {}
    if d.maybe():
        a["positive"] = d.size(0, 1)
    d.add("MurmurHash3", [x], **a)


def murmur_text(d):
    texts = np.array(["".join(chr(d.size(32, 1000)) for _ in range(d.size(0, 19))) for _ in range(d.size(1, 5))], dtype=object)
    d.add("MurmurHash3", [texts], seed=d.size(0, 9), positive=d.size(0, 1))


def tokenizer(d):
    letters = "ab c,.1-\u00e9\u4e2d A_"
    shape = [d.size(1, 4)] if d.maybe() else [d.size(1, 3), d.size(1, 3)]
    texts = np.array(["".join(d.pick(*letters) for _ in range(d.size(0, 14))) for _ in range(int(np.prod(shape)))], dtype=object).reshape(shape)
    a = {"mark": d.size(0, 1), "pad_value": d.pick("#", "", "pad"), "mincharnum": d.size(1, 3)}
    kind = d.size(0, 3)
    if kind == 0:
        a.update(separators=[""], mincharnum=1)
    elif kind == 1:
        a["separators"] = d.pick([" "], [" ", ","], ["a", "b"], ["a b", "b"], ["\\s+", "[,.]"], ["a*b"], [",|\\."])
    else:
        a["tokenexp"] = d.pick(".", "[a-zA-Z0-9_]+", "\\w+", "a|ab", "[^ ]+", "\\b\\w\\w+\\b", "a+|b", "[a-z]{2,3}")
    d.add("Tokenizer", [texts], **a)


def causal_conv(d):
    batch, channels, length, k = d.size(1, 3), d.size(1, 5), d.size(1, 9), d.size(2, 4)
    a = {"activation": d.pick("none", "silu", "swish")} if d.maybe() else {}
    d.add("CausalConvWithState", [d.floats(batch, channels, length), d.floats(channels, 1, k), d.floats(channels) if d.maybe() else None,
                                  d.floats(batch, channels, k - 1) if d.maybe() else None], 2, constant=(1, 2), **a)


def linear_attention(d):
    batch, steps, groups, size, v_size = d.size(1, 3), d.size(1, 7), d.size(1, 3), d.pick(4, 8), d.pick(4, 8)
    heads, rule = groups * d.size(1, 2), d.pick("linear", "gated", "delta", "gated_delta")
    key = d.floats(batch, steps, groups, size)
    key /= np.linalg.norm(key, axis=-1, keepdims=True)
    inputs = [d.floats(batch, steps, heads * size), key.reshape(batch, steps, -1), d.floats(batch, steps, groups * v_size),
              d.floats(batch, groups, size, v_size) if d.maybe() else None]
    inputs.append(-np.abs(d.floats(batch, steps, groups * d.pick(1, size))) if "gated" in rule else None)
    inputs.append(d.random.random((batch, steps, d.pick(1, groups))).astype(F32) if "delta" in rule else None)
    a = {"scale": 0.7} if d.maybe(0.3) else {}
    d.add("LinearAttention", inputs, 2, q_num_heads=heads, kv_num_heads=groups, update_rule=rule, **a)


def gated_norm(d):
    c, a = d.size(1, 9), {}
    shape = [d.size(1, 3) for _ in range(d.size(1, 3))] + [c * d.size(1, 3)]
    if d.maybe():
        a.update(epsilon=1e-3, activation=d.pick("silu", "swish", "sigmoid"))
    dtype = d.pick(F32, F32, np.float16)
    d.add("GatedRMSNorm", [v.astype(dtype) for v in (d.floats(*shape), d.floats(c), d.floats(*shape))], constant=d.some(1), **a)


def crop_and_resize(d):
    x = d.floats(d.size(1, 3), d.size(1, 3), d.size(2, 8), d.size(2, 8))
    rois = d.size(1, 5)
    boxes = d.random.uniform(-0.2, 1.2, (rois, 4)).astype(F32)
    a = {"mode": d.pick("bilinear", "nearest")}
    if d.maybe():
        a["extrapolation_value"] = 2.5
    d.add("CropAndResize", [x, boxes, d.ints(0, x.shape[0], rois), d.ints(1, 6, 2)], **a)


def pool_with_mask(d):
    x = d.floats(d.size(1, 2), d.size(1, 3), d.size(4, 9), d.size(4, 9))
    a = {"kernel_shape": [d.size(1, 3), d.size(1, 3)], "strides": [d.size(1, 2), d.size(1, 2)], "pads": [d.size(0, 1) for _ in range(4)]}
    a["pads"] = [min(p, a["kernel_shape"][i % 2] - 1) for i, p in enumerate(a["pads"])]
    # One mask for all: of several, ONNX Runtime 1.31 reads from other places.
    d.add("MaxpoolWithMask", [x, d.ints(0, 2, (1, 1, *x.shape[2:]))], **a)


def pad(d):
    shape = [d.size(3, 6) for _ in range(d.size(1, 4))]
    mode = d.pick("constant", "reflect", "edge")
    pads = d.ints(-1 if mode == "constant" else 0, 3, 2 * len(shape), np.int64)
    value = d.pick(None, F32(1.5), np.array([2.5], F32)) if mode == "constant" else None
    d.add("Pad", [d.floats(*shape), pads[None] if d.maybe(0.2) else pads, value], mode=mode)


def unique(d):
    d.add("Unique", [d.ints(-4, 5, d.size(1, 30)).astype(F32)], 3)


def ms_range(d):
    dtype = d.pick(np.int32, np.int64, F32, np.float64, np.int16)
    start, step = d.size(-5, 5), d.pick(1, 2, 3)
    values = [start, start + d.size(0, 12), step]
    d.add("Range", [np.asarray(v, dtype) for v in values[: d.pick(2, 3)]])


def grid_sample(d):
    n, c = d.size(1, 2), d.size(1, 3)
    a = {"mode": d.pick("bilinear", "nearest", "bicubic"), "padding_mode": d.pick("zeros", "border", "reflection"), "align_corners": d.size(0, 1)}
    d.add("GridSample", [d.floats(n, c, d.size(2, 6), d.size(2, 6)), d.random.uniform(-1.3, 1.3, (n, d.size(1, 5), d.size(1, 5), 2)).astype(F32)], **a)


def nhwc_max_pool(d):
    rank = d.size(1, 3)
    dtype = d.pick(np.uint8, np.int8)
    low = np.iinfo(dtype).min
    x = d.ints(low, low + 256, [d.size(1, 2), *[d.size(5, 8) for _ in range(rank)], d.size(1, 5)], dtype)  # no window is larger
    kernel = [d.size(1, 3) for _ in range(rank)]
    a = {"kernel_shape": kernel, "strides": [d.size(1, 2) for _ in range(rank)], "pads": [min(d.size(0, 1), kernel[i % rank] - 1) for i in range(2 * rank)]}
    if d.maybe(0.3):
        a["dilations"] = [d.size(1, 2) for _ in range(rank)]
    if d.maybe(0.3):
        a["ceil_mode"] = 1
    d.add("NhwcMaxPool", [x], **a)


def conv_transpose_dynamic(d):
    c, m = d.size(1, 3), d.size(1, 3)
    a = {"kernel_shape": [d.size(2, 3), d.size(2, 3)], "strides": [d.size(1, 2), d.size(1, 2)]}
    d.add("ConvTransposeWithDynamicPads", [d.floats(1, c, 4, 5), d.floats(c, m, *a["kernel_shape"]), d.ints(0, 2, 4, np.int64), d.floats(m) if d.maybe() else None], **a)


def bifurcation(d):
    n = d.size(4, 12)
    src, cur = d.ints(1, 5, n, np.int64), d.ints(1, 5, d.size(1, 12), np.int64)
    prev = d.size(0, n // 2)
    pred = d.ints(1, 5, n + 1 - prev, np.int64)
    pred[: d.size(0, n - prev)] = 0
    pred[: n - prev] = np.where(pred[: n - prev] > 0, pred[: n - prev], src[prev:])
    a = {"min_ngram_size": d.size(1, 2), "max_ngram_size": d.size(2, 4)}
    d.add("BifurcationDetector", [src, cur, np.int64(prev), pred if d.maybe(0.7) else None], 2, **a)


def word_conv(d):
    words, length, chars, size = d.size(1, 4), d.size(4, 8), d.size(3, 9), d.size(1, 4)
    window, filters = d.size(1, 3), d.size(1, 5)
    text = d.ints(0, chars, (words, length))
    text[:, 0] = d.ints(1, chars, words)  # what a word without characters becomes ONNX Runtime 1.31 leaves open
    inputs = [text, d.floats(filters, 1, window, size), d.floats(filters), d.floats(chars, size)]
    d.add("WordConvEmbedding", inputs, constant=[1, 2, 3], embedding_size=filters, conv_window_size=window, char_embedding_size=size)


def sample_op(d):
    d.add("SampleOp", [d.floats(3, 4)])


GENERATORS = {
    "Gelu": gelu, "BiasGelu": bias_gelu, "FastGelu": fast_gelu, "QuickGelu": quick_gelu, "SkipLayerNormalization": skip_layer_norm,
    "SkipSimplifiedLayerNormalization": skip_simplified, "SimplifiedLayerNormalization": simplified_norm, "EmbedLayerNormalization": embed_layer_norm,
    "FusedMatMul": fused_matmul, "TransposeMatMul": transpose_matmul, "FusedGemm": fused_gemm, "FusedConv": fused_conv, "Inverse": inverse,
    "Trilu": trilu, "CDist": cdist, "ExpandDims": expand_dims, "GatherND": gather_nd, "UnfoldTensor": unfold, "NGramRepeatBlock": ngram_block,
    "DynamicTimeWarping": time_warping, "MurmurHash3": murmur, "MurmurHash3 of text": murmur_text, "Tokenizer": tokenizer, "CausalConvWithState": causal_conv,
    "LinearAttention": linear_attention, "GatedRMSNorm": gated_norm, "CropAndResize": crop_and_resize,
    "MaxpoolWithMask": pool_with_mask, "Pad": pad, "Unique": unique, "Range": ms_range, "GridSample": grid_sample, "NhwcMaxPool": nhwc_max_pool,
    "ConvTransposeWithDynamicPads": conv_transpose_dynamic, "BifurcationDetector": bifurcation, "WordConvEmbedding": word_conv, "SampleOp": sample_op,
}
