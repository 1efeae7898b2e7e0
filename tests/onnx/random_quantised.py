"""Random cases of com.microsoft's operators on quantised numbers."""
import numpy as np
from onnx import TensorProto, helper

F32 = np.float32


def bytes_of(d, dtype, *shape):
    low = np.iinfo(dtype).min
    return d.ints(low, low + 256, shape, dtype)


def small_bytes(d, dtype, *shape):
    """Weights whose products with uint8 add up in pairs within 16 bits: older processors saturate there."""
    return d.ints(-64, 64, shape, np.int8) if dtype == np.int8 else bytes_of(d, dtype, *shape)


def scale(d):
    return F32(d.random.uniform(0.005, 0.1))


def zero(d, dtype):
    return bytes_of(d, dtype)


def shape_of(d, most=4):
    shape = [d.size(1, 5) for _ in range(d.size(1, most))]
    if d.maybe(0.06):
        shape[d.size(0, len(shape) - 1)] = 0
    return shape


def two_inputs(d, op):
    dtype = d.pick(np.uint8, np.int8)
    shape = shape_of(d)
    a, b = list(shape), list(shape)
    for side in (a, b):
        for i in range(len(shape)):
            if d.maybe(0.2):
                side[i] = 1
    b = b[d.size(0, len(b)):] if d.maybe(0.3) else b
    if d.maybe():
        a, b = b, a
    if d.maybe(0.3):
        a = b = [d.size(1, 3), d.size(20, 90)]
    inputs = [bytes_of(d, dtype, *a), scale(d), zero(d, dtype), bytes_of(d, dtype, *b), scale(d), zero(d, dtype), scale(d), zero(d, dtype)]
    for i in (2, 5, 7):
        if d.maybe(0.1):
            inputs[i] = None
    d.add(op, inputs, constant=[i for i in range(8) if i not in (0, 3)] + d.some(0, 3)[:1])


def qlinear_add(d):
    two_inputs(d, "QLinearAdd")


def qlinear_mul(d):
    two_inputs(d, "QLinearMul")


def one_input(d, op, y_scale=None, **attributes):
    dtype = d.pick(np.uint8, np.int8)
    x = bytes_of(d, dtype, *([d.size(1, 3), d.size(100, 300)] if d.maybe(0.3) else shape_of(d)))
    inputs = [x, scale(d), zero(d, dtype), scale(d) if y_scale is None else F32(y_scale), zero(d, dtype)]
    for i in (2, 4):
        if d.maybe(0.1):
            inputs[i] = None
    d.add(op, inputs, constant=(1, 2, 3, 4) if d.maybe(0.7) else (), **attributes)


def qlinear_sigmoid(d):
    one_input(d, "QLinearSigmoid", d.pick(1 / 256, 1 / 100))


def qlinear_leaky(d):
    one_input(d, "QLinearLeakyRelu", alpha=d.pick(0.1, 0.01, 0.5))


def qlinear_softmax(d):
    dtype = d.pick(np.uint8, np.int8)
    shape = shape_of(d) if d.maybe() else [d.size(1, 4), d.size(5, 90)]
    axis = d.size(0, len(shape) - 1)
    opset = d.pick(12, 13)
    if 1 in (shape[axis], np.prod(shape[axis:])):
        shape[axis] = 2  # of a single value ONNX Runtime 1.31 makes the zero point: not drawn
    inputs = [bytes_of(d, dtype, *shape), scale(d), zero(d, dtype), F32(1 / 256), d.pick(zero(d, dtype), np.asarray(np.iinfo(dtype).min, dtype))]
    d.add("QLinearSoftmax", inputs, constant=(1, 2, 3, 4), axis=d.pick(axis, axis - len(shape)), opset=opset)


def qlinear_concat(d):
    dtype = d.pick(np.uint8, np.int8)
    shape = shape_of(d)
    axis = d.size(0, len(shape) - 1)
    inputs = [scale(d), zero(d, dtype)]
    for _ in range(d.size(1, 4)):
        part = list(shape)
        part[axis] = d.size(0 if d.maybe(0.1) else 1, 4)
        same = d.maybe(0.2)
        inputs += [bytes_of(d, dtype, *part), inputs[0] if same else scale(d), inputs[1] if same else zero(d, dtype)]
    d.add("QLinearConcat", inputs, constant=[i for i in range(len(inputs)) if i < 2 or (i - 2) % 3], axis=d.pick(axis, axis - len(shape)))


def qlinear_where(d):
    dtype = d.pick(np.uint8, np.int8)
    shape = shape_of(d)
    sides = []
    for _ in range(3):
        side = [1 if d.maybe(0.2) else v for v in shape]
        sides.append(side[d.size(0, len(side)):] if d.maybe(0.2) else side)
    inputs = [d.ints(0, 2, sides[0], bool), bytes_of(d, dtype, *sides[1]), scale(d), zero(d, dtype), bytes_of(d, dtype, *sides[2]), scale(d), zero(d, dtype),
              scale(d), zero(d, dtype)]
    d.add("QLinearWhere", inputs, constant=(2, 3, 5, 6, 7, 8))


def qlinear_pool(d):
    dtype, rank, last = d.pick(np.uint8, np.int8), d.size(1, 3), d.size(0, 1)
    channels, space = d.size(1, 5), [d.size(4, 8) for _ in range(rank)]
    kernel = [d.size(1, 3) for _ in range(rank)]
    x = bytes_of(d, dtype, d.size(1, 2), *([*space, channels] if last else [channels, *space]))
    a = {"kernel_shape": kernel, "channels_last": last, "count_include_pad": d.size(0, 1), "ceil_mode": d.size(0, 1),
         "strides": [d.size(1, 2) for _ in range(rank)], "pads": [min(d.size(0, 1), kernel[i % rank] - 1) for i in range(2 * rank)]}
    if d.maybe(0.2):
        a.pop("pads")
        a["auto_pad"] = d.pick("SAME_UPPER", "SAME_LOWER", "VALID")
    d.add("QLinearAveragePool", [x, scale(d), zero(d, dtype), scale(d), zero(d, dtype)], constant=(1, 2, 3, 4), **a)


def qlinear_global_pool(d):
    dtype, last = d.pick(np.uint8, np.int8), d.size(0, 1)
    channels, space = d.size(1, 9), [d.size(1, 8) for _ in range(d.size(1, 3))]
    x = bytes_of(d, dtype, d.size(1, 2), *([*space, channels] if last else [channels, *space]))
    d.add("QLinearGlobalAveragePool", [x, scale(d), zero(d, dtype), scale(d), zero(d, dtype)], constant=(1, 2, 3, 4), channels_last=last)


def qlinear_conv(d):
    """ai.onnx's, and com.microsoft's with the channels last."""
    xt = d.pick(np.uint8, np.uint8, np.int8)
    wt = np.int8 if xt == np.int8 else d.pick(np.uint8, np.int8)
    rank, group, last = d.size(1, 3), d.pick(1, 1, 2, 3), d.size(0, 1)
    c, m = group * d.pick(1, 1, 2, 3), group * d.size(1, 3)
    space, kernel = [d.size(5, 8) for _ in range(rank)], [d.size(1, 3) for _ in range(rank)]
    w = small_bytes(d, wt, m, c // group, *kernel)
    per = d.maybe()
    ws = d.scales(m) if per else scale(d)
    wz = np.zeros(m, wt) if per else (zero(d, wt) if wt == np.uint8 else np.int8(0))
    x = bytes_of(d, xt, d.size(1, 2), *([*space, c] if last else [c, *space]))
    a = {"group": group, "kernel_shape": kernel, "strides": [d.size(1, 2) for _ in range(rank)], "pads": [d.size(0, 1) for _ in range(2 * rank)]}
    if d.maybe(0.3):
        a["dilations"] = [d.size(1, 2) for _ in range(rank)]
    if last:
        a.update(channels_last=1, domain="com.microsoft")
    bias = d.ints(-900, 900, m) if d.maybe() else None
    d.add("QLinearConv", [x, scale(d), zero(d, xt), w, ws, wz, F32(d.random.uniform(0.05, 0.5)), zero(d, xt), bias], constant=(1, 2, 3, 4, 5, 6, 7, 8),
          **{"domain": "", **a})


def weights(d, dtype, k, n, lead=()):
    """w, scales, zero points of one or of every column."""
    per = d.maybe()
    shape = (*lead, 1, n) if lead and per else (n,)
    w = small_bytes(d, dtype, *lead, k, n)
    scales = d.scales(shape) if per else d.pick(scale(d), d.scales(1))
    zeros = None if d.maybe(0.3) else (small_bytes(d, dtype, *np.shape(scales)) if per or np.ndim(scales) else zero(d, dtype))
    return w, scales, zeros


def rows(d, k, dtype=None):
    shape = ([] if d.maybe(0.3) else [d.size(0 if d.maybe(0.1) else 1, 3)]) + [d.size(1, 9), k]
    return d.floats(*shape) if dtype is None else bytes_of(d, dtype, *shape)


def dynamic_matmul(d):
    k, n, dtype = d.size(1, 40), d.size(1, 20), d.pick(np.uint8, np.int8)
    x = rows(d, k)
    w, s, z = weights(d, dtype, k, n, (x.shape[0],) if x.ndim == 3 and x.shape[0] and d.maybe(0.2) else ())
    d.add("DynamicQuantizeMatMul", [x, w, s, z, d.floats(n) if d.maybe() else None], constant=[1, 2, 3, 4] if d.maybe(0.8) else (), exact=False)


def integer_to_float(d):
    k, n, xt = d.size(1, 40), d.size(1, 20), d.pick(np.uint8, np.int8)
    x = rows(d, k, xt)
    w, s, z = weights(d, np.int8 if xt == np.int8 else d.pick(np.uint8, np.int8), k, n, (x.shape[0],) if x.ndim == 3 and x.shape[0] and d.maybe(0.2) else ())
    inputs = [x, w, scale(d), s, None if d.maybe(0.3) else zero(d, xt), z, d.floats(n) if d.maybe() else None]
    d.add("MatMulIntegerToFloat", inputs, constant=[1, 2, 3, 5, 6] if d.maybe(0.8) else ())


def qgemm(d):
    m, k, n, ta, tb, xt = d.size(1, 8), d.size(1, 30), d.size(1, 12), d.size(0, 1), d.size(0, 1), d.pick(np.uint8, np.int8)
    wt = np.int8 if xt == np.int8 else d.pick(np.uint8, np.int8)
    x, w, s, z = bytes_of(d, xt, *([k, m] if ta else [m, k])), *weights(d, wt, k, n)
    w = w.T.copy() if tb else w
    z = np.zeros(np.shape(s), wt) if z is None else z
    c = d.pick(None, d.ints(-500, 500, n), d.ints(-500, 500, (m, n)), d.ints(-500, 500, (1, n)), d.ints(-500, 500, 1))
    whole = d.maybe()
    inputs = [x, scale(d), zero(d, xt), w, s, z, c, F32(d.random.uniform(0.05, 0.5)) if whole else None, zero(d, xt) if whole else None]
    d.add("QGemm", inputs, constant=[1, 2, 3, 4, 5, 7, 8] + ([6] if c is not None else []), transA=ta, transB=tb, alpha=d.pick(1.0, 0.5))


def matmul_integer_16(d):
    m, k, n = d.size(1, 8), d.size(1, 9), d.size(1, 8)
    d.add("MatMulInteger16", [d.ints(-300, 300, (m, k), np.int16), d.ints(-300, 300, (k, n), np.int16)])


def axis_scales(d, shape):
    """Scales (and their shape) of the whole tensor or of one axis."""
    if d.maybe() or not shape:
        return scale(d), (), {}
    axis = d.size(0, len(shape) - 1)
    return d.scales(shape[axis]), (shape[axis],), {"axis": d.pick(axis, axis - len(shape))}


LIMITS = {np.uint8: (0, 256), np.int8: (-128, 128), np.uint16: (0, 65536), np.int16: (-32768, 32768)}


def quantize(d):
    shape = [d.size(1, 5) for _ in range(d.size(0, 4))]
    s, at, a = axis_scales(d, shape)
    dtype = d.pick(*LIMITS)
    z = None if d.maybe(0.1) else d.ints(LIMITS[dtype][0], LIMITS[dtype][1], at, dtype)
    d.add("QuantizeLinear", [d.floats(*shape) * 3, s, z], constant=d.some(1, 2), **a)


def dequantize(d):
    shape = [d.size(1, 5) for _ in range(d.size(0, 4))]
    s, at, a = axis_scales(d, shape)
    dtype = d.pick(*LIMITS, np.int32)
    low, high = LIMITS.get(dtype, (-10000, 10000))
    z = None if d.maybe(0.2) or dtype == np.int32 else d.ints(low, high, at, dtype)
    d.add("DequantizeLinear", [d.ints(low, high, shape, dtype), s, z], constant=d.some(1, 2), **a)


def packed(d, kind, shape):
    """A tensor of 4-bit integers."""
    n = int(np.prod(shape))
    data = d.ints(0, 256, (n + 1) // 2, np.uint8)
    if n % 2:
        data[-1] &= 15
    return helper.make_tensor("t", kind, shape, data.tobytes(), raw=True)


def dequantize_int4(d):
    shape, kind = [d.size(1, 4) for _ in range(d.size(1, 3))], d.pick(TensorProto.UINT4, TensorProto.INT4)
    s, at, a = axis_scales(d, shape)
    d.add("DequantizeLinear", [packed(d, kind, shape), s, None if d.maybe(0.3) else packed(d, kind, at)], **a)


def nbits(d):
    bits = d.pick(2, 4, 4, 8)
    block, n, k = d.pick(16, 32, 64, 128, 256), d.size(1, 40), d.pick(d.size(1, 40), d.size(100, 300))
    blocks, dtype = (k + block - 1) // block, d.pick(F32, F32, np.float16)
    shape = ([] if d.maybe(0.3) else [d.size(0 if d.maybe(0.1) else 1, 2)]) + [d.pick(1, d.size(1, 5), 20), k]
    zeros = d.pick(None, "packed", "typed")
    if zeros == "packed":
        zeros = d.ints(0, 256, (n, (blocks * bits + 7) // 8), np.uint8)
    elif zeros:
        zeros = d.random.uniform(0, 2**bits, (n, blocks)).astype(dtype)
    order, a = None, {"accuracy_level": d.size(0, 4)} if d.maybe(0.8) else {}
    # With g_idx ONNX Runtime 1.31 refuses bits other than 4 and drops packed zero points: not drawn.
    if bits == 4 and (zeros is None or zeros.dtype != np.uint8) and d.maybe(0.4):
        order = d.random.permutation(np.arange(blocks * block) // block)[:k].astype(np.int32)
    x, w = d.floats(*shape).astype(dtype), d.ints(0, 256, (n, blocks, block * bits // 8), np.uint8)
    s = d.scales((n, blocks)).astype(dtype)
    # Level 4 lets 8 bits stand for the activations. Of 2 bits, hone keeps the activations as they are, ONNX Runtime does not.
    slack = rounding_of_rows(x, s, block, bits) if bits == 2 and a.get("accuracy_level") == 4 else 0.0
    d.add("MatMulNBits", [x, w, s, zeros, order, d.floats(n).astype(dtype) if d.maybe(0.4) else None], constant=(1, 2, 3, 4, 5), slack=slack, K=k, N=n,
          bits=bits, block_size=block, **a)


def rounding_of_rows(x, scales, block, bits):
    """What a product can be off when every block of a row is rounded to 8 bits: half a step times the largest weights."""
    short = -x.shape[-1] % block
    blocks = np.abs(np.pad(x.reshape(-1, x.shape[-1]).astype(np.float64), ((0, 0), (0, short)))).reshape(-1, scales.shape[1], block)
    step = blocks.max(axis=2) / 127
    return float((step @ (scales.astype(np.float64).T * block * (2**bits - 1) / 2)).max(initial=0))


def gather_blocks(d):
    kind = d.pick("u8", "u8", TensorProto.UINT4, TensorProto.INT4)
    bits, block = d.pick(4, 8, 2) if kind == "u8" else 4, d.pick(16, 32, 64)
    rank = d.size(2, 3)
    last = d.pick(1, 2, 3) * block - (d.pick(0, 0, 6) if kind != "u8" else 0)
    shape = [*[d.size(2, 5) for _ in range(rank - 1)], last]
    axis = d.size(0, rank - 1) if kind != "u8" else d.size(0, rank - 2)
    along = rank - 1 if kind == "u8" or d.maybe(0.7) else d.size(0, rank - 1)
    if axis == along:
        axis = (axis + 1) % rank
    scales = list(shape)
    scales[along] = (shape[along] + block - 1) // block
    zeros = None
    if kind == "u8":
        data = d.ints(0, 256, [*shape[:-1], shape[-1] * bits // 8], np.uint8)
        if d.maybe():
            zeros = d.ints(0, 256, [*scales[:-1], (scales[-1] * bits + 7) // 8], np.uint8)
    else:
        data = packed(d, kind, shape)
        if d.maybe():
            zeros = packed(d, kind, scales)
    index = d.ints(-shape[axis], shape[axis], [d.size(1, 3) for _ in range(d.size(0, 2))], d.pick(np.int32, np.int64))
    a = {"gather_axis": axis, "quantize_axis": along, "block_size": block}
    if kind == "u8":
        a["bits"] = bits
    d.add("GatherBlockQuantized", [data, index, d.scales(scales).astype(d.pick(F32, np.float16)), zeros], constant=(0, 2, 3), **a)


def dynamic_lstm(d):
    steps, batch, size, hidden, direction = d.size(1, 6), d.size(1, 3), d.size(1, 9), d.size(1, 9), d.pick("forward", "reverse", "bidirectional")
    n, dtype = 2 if direction == "bidirectional" else 1, d.pick(np.uint8, np.int8)
    per = d.maybe()
    at = (n, 4 * hidden) if per else (n,)
    z = [np.zeros(at, dtype) if per or d.maybe() else bytes_of(d, dtype, n) for _ in range(2)]
    state = d.maybe()
    inputs = [d.floats(steps, batch, size), small_bytes(d, dtype, n, size, 4 * hidden), small_bytes(d, dtype, n, hidden, 4 * hidden),
              d.floats(n, 8 * hidden) if d.maybe(0.7) else None, d.ints(1, steps + 1, batch) if d.maybe(0.3) else None,
              d.floats(n, batch, hidden) if state else None, d.floats(n, batch, hidden) if state else None, d.floats(n, 3 * hidden) if d.maybe(0.3) else None,
              d.scales(at) * F32(0.1), z[0], d.scales(at) * F32(0.1), z[1]]
    a = {"hidden_size": hidden, "direction": direction}
    if d.maybe(0.2):
        a["clip"] = 0.7
    if d.maybe(0.2):
        a["input_forget"] = 1
    d.add("DynamicQuantizeLSTM", inputs, d.pick([1, 1, 1], [1], [1, 1]), constant=(1, 2, 3, 7, 8, 9, 10, 11), **a)


def qembed(d):
    b, s, n, v, p, g = d.size(1, 3), d.size(1, 6), d.size(1, 40), d.size(2, 20), d.size(7, 12), d.size(1, 3)
    dtype, segments = d.pick(np.uint8, np.int8), d.maybe(0.6)
    tables = [bytes_of(d, dtype, v, n), bytes_of(d, dtype, p, n), bytes_of(d, dtype, g, n) if segments else None, bytes_of(d, dtype, n), bytes_of(d, dtype, n)]
    mask = np.sort(d.ints(0, 2, (b, s)), axis=1)[:, ::-1].copy() if d.maybe(0.6) else None
    present = [t is not None for t in tables]
    inputs = [d.ints(0, v, (b, s)), d.ints(0, g, (b, s)) if segments else None, *tables, mask, *[scale(d) if t else None for t in present],
              *[zero(d, dtype) if t else None for t in present]]
    a = {"epsilon": 1e-5} if d.maybe() else {}
    d.add("QEmbedLayerNormalization", inputs, 2, constant=[2, 3, 4, 5, 6, *range(8, 18)], **a)


def qattention(d):
    heads, size, batch, s = d.size(1, 3), d.pick(2, 4, 8), d.size(1, 3), d.size(1, 6)
    width, inner = heads * size, d.size(2, 20)
    wt, causal, past = d.pick(np.uint8, np.int8), d.size(0, 1), d.pick(None, None, 0, 3)
    total = s + (past or 0)
    per = d.maybe(0.3)
    w = small_bytes(d, wt, inner, 3 * width)
    mask = d.pick(None, d.ints(1, s + 1, batch), d.ints(0, 2, (batch, total)), np.concatenate([d.ints(1, s + 1, batch), np.zeros(batch, np.int32)]))
    if past is not None and mask is not None and mask.ndim == 1:
        mask = None
    inputs = [bytes_of(d, np.uint8, batch, s, inner), scale(d) * F32(0.3), w, d.floats(3 * width), scale(d) * F32(0.3)]
    inputs = [inputs[0], w, inputs[3], inputs[1], d.scales(3 * width) * F32(0.2) if per else inputs[4], mask, zero(d, np.uint8),
              np.zeros(3 * width, wt) if per else (zero(d, wt) if wt == np.uint8 else np.int8(0)), None if past is None else d.floats(2, batch, heads, past, size)]
    a = {"mask_filter_value": -5000.0} if d.maybe(0.2) else {}
    if d.maybe(0.2):
        a["scale"] = 0.3
    d.add("QAttention", inputs, 2 if past is not None else [1], constant=(1, 2, 3, 4, 6, 7), num_heads=heads, unidirectional=causal, **a)


def bnb4(d):
    block, n, k, kind = d.pick(16, 32, 64), d.size(1, 20), d.pick(16, 32, 64, 96, 17, 5), d.size(0, 1)
    count = n * k
    w, absmax = d.ints(0, 256, (count + 1) // 2, np.uint8), d.scales((count + block - 1) // block)
    d.add("MatMulBnb4", [d.floats(d.size(1, 4), k), w, absmax], constant=(1, 2), K=k, N=n, block_size=block, quant_type=kind)


GENERATORS = {
    "QLinearAdd": qlinear_add, "QLinearMul": qlinear_mul, "QLinearSigmoid": qlinear_sigmoid, "QLinearLeakyRelu": qlinear_leaky,
    "QLinearSoftmax": qlinear_softmax, "QLinearConcat": qlinear_concat, "QLinearWhere": qlinear_where, "QLinearAveragePool": qlinear_pool,
    "QLinearGlobalAveragePool": qlinear_global_pool, "QLinearConv": qlinear_conv, "DynamicQuantizeMatMul": dynamic_matmul,
    "MatMulIntegerToFloat": integer_to_float, "QGemm": qgemm, "MatMulInteger16": matmul_integer_16, "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize, "DequantizeLinear of int4": dequantize_int4, "MatMulNBits": nbits, "GatherBlockQuantized": gather_blocks,
    "DynamicQuantizeLSTM": dynamic_lstm, "QEmbedLayerNormalization": qembed, "QAttention": qattention,
    "MatMulBnb4": bnb4,
}
