"""Random cases of forms that operators had in old opsets: what a reader must lift."""
import numpy as np
from onnx import TensorProto, helper


def scan_8(d):
    """Scan over a batch: every row is a sequence of its own."""
    batch, steps, n = d.size(1, 3), d.size(1, 5), d.size(1, 4)
    scanned = d.size(1, 2)
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Add", ["s", "x0"], ["t"]), helper.make_node(d.pick("Mul", "Sub"), ["t", f"x{scanned - 1}"], ["s1"]),
             helper.make_node("Neg", ["s1"], ["y"])]
    inputs = [value("s", TensorProto.FLOAT, [n])] + [value(f"x{i}", TensorProto.FLOAT, [n]) for i in range(scanned)]
    body = helper.make_graph(nodes, "body", inputs, [value("s1", TensorProto.FLOAT, [n]), value("y", TensorProto.FLOAT, [n])])
    a = {"directions": [d.size(0, 1) for _ in range(scanned)]} if d.maybe(0.7) else {}
    arrays = [d.floats(batch, n)] + [d.floats(batch, steps, n) for _ in range(scanned)]
    d.add("Scan", [None, *arrays], 2, domain="", default_opset=8, body=body, num_scan_inputs=scanned, **a)


def old_softmax(d):
    """Softmax of what is left when the axes before and behind `axis` are each made one."""
    shape = [d.size(1, 4) for _ in range(d.size(1, 4))]
    a = {"axis": d.size(0, len(shape) - 1)} if d.maybe(0.8) and len(shape) > 1 else {"axis": 0} if len(shape) == 1 else {}
    d.add(d.pick("Softmax", "LogSoftmax", "Hardmax"), [d.floats(*shape)], domain="", default_opset=d.pick(7, 11, 12), **a)


def old_reduce(d):
    shape = [d.size(1, 4) for _ in range(d.size(1, 4))]
    axes = sorted(int(v) for v in d.random.permutation(len(shape))[: d.size(1, len(shape))])
    op = d.pick("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp")
    a = {"axes": axes} if d.maybe(0.8) else {}
    d.add(op, [d.floats(*shape)], domain="", default_opset=d.pick(7, 11, 12), keepdims=d.size(0, 1), **a)


def old_slice(d):
    shape = [d.size(1, 6) for _ in range(d.size(1, 4))]
    axes = [int(v) for v in d.random.permutation(len(shape))[: d.size(1, len(shape))]]
    starts, ends = [d.size(-3, 3) for _ in axes], [d.size(-2, 9) for _ in axes]
    d.add("Slice", [d.floats(*shape)], domain="", default_opset=d.pick(7, 9), axes=axes, starts=starts, ends=ends)


def old_pad(d):
    shape = [d.size(3, 5) for _ in range(d.size(1, 4))]
    pads = [d.size(0, 2) for _ in range(2 * len(shape))]
    d.add("Pad", [d.floats(*shape)], domain="", default_opset=d.pick(7, 10), mode=d.pick("constant", "reflect", "edge"), pads=pads, value=1.5)


def old_clip(d):
    a = {key: v for key, v in (("min", -0.5), ("max", 0.5)) if d.maybe()}
    d.add("Clip", [d.floats(d.size(1, 9))], domain="", default_opset=d.pick(7, 10), **a)


def old_resize(d):
    shape = [1, d.size(1, 2), d.size(2, 5), d.size(2, 5)]
    scales = np.array([1, 1, d.pick(1, 2, 1.5), d.pick(1, 2, 3)], np.float32)
    op, opset = d.pick(("Upsample", 9), ("Resize", 10))
    d.add(op, [d.floats(*shape), scales], domain="", default_opset=opset, constant=[1], mode=d.pick("nearest", "linear"))


def old_squeeze(d):
    shape = [d.pick(1, 2, 3) for _ in range(d.size(1, 5))]
    ones = [i for i, s in enumerate(shape) if s == 1]
    if d.maybe() and ones:
        d.add("Squeeze", [d.floats(*shape)], domain="", default_opset=d.pick(7, 11, 12), axes=ones[: d.size(1, len(ones))])
    else:
        d.add("Unsqueeze", [d.floats(*shape)], domain="", default_opset=d.pick(7, 11, 12), axes=sorted({d.size(0, 2), d.size(0, len(shape))} & set(range(len(shape) + 1))))


def old_topk(d):
    shape = [d.size(2, 5), d.size(2, 9)]
    d.add("TopK", [d.floats(*shape)], 2, domain="", default_opset=d.pick(7, 9), k=d.size(1, 2), axis=d.size(0, 1))


def old_split(d):
    sizes = [d.size(1, 3) for _ in range(d.size(1, 4))]
    d.add("Split", [d.floats(2, sum(sizes))], len(sizes), domain="", default_opset=d.pick(7, 11, 12), axis=1, split=sizes)


GENERATORS = {
    "Clip old": old_clip,
    "Pad old": old_pad,
    "Reduce old": old_reduce,
    "Resize old": old_resize,
    "Scan 8": scan_8,
    "Slice old": old_slice,
    "Softmax old": old_softmax,
    "Split old": old_split,
    "Squeeze old": old_squeeze,
    "TopK old": old_topk,
}
