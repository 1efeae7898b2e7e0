#!/usr/bin/env python3
"""One-node models whose attributes or inputs ask for far more memory than their file earns: an error about a limit or
memory (or about the number itself), never a crash, a kill or minutes of work.

Usage: live_hostile.py [--hone HONE] [--only TEXT]
Each runs under --max-memory 64M and again with none, in an address space of 4 GB and 20 s of processor time."""
import argparse
import os
import resource
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

BIG, MANY = 2 ** 40, 2 ** 31 - 8
CASES = []
SLOW = ("einsum sum", "nms")  # honest work without end, in little memory: processor time is the caller's to limit


def case(name, op, inputs, attributes=None, outputs=1, constant=True, domain="", opset=21):
    """Inputs are values; `constant` False makes them graph inputs, so that only the run knows them."""
    CASES.append((name, op, inputs, attributes or {}, outputs, constant, domain, opset))


def both(name, op, inputs, attributes=None, outputs=1, domain="", opset=21):
    for constant in (True, False):
        case(f"{name}{'' if constant else ' at run time'}", op, inputs, attributes, outputs, constant, domain, opset)


def i64(*v):
    return np.array(v, np.int64)


def f32(*v):
    return np.array(v, np.float32)


X = np.ones((2, 3), np.float32)
IMAGE = np.ones((1, 1, 4, 4), np.float32)
both("pad", "Pad", [X, i64(0, 0, BIG, 0)])
both("pad both", "Pad", [X, i64(2 ** 30, 2 ** 30, 2 ** 30, 2 ** 30)])
case("pad old", "Pad", [X], {"pads": [0, 0, BIG, BIG], "mode": "constant"}, opset=10)
both("tile", "Tile", [X, i64(BIG, BIG)])
both("tile some", "Tile", [X, i64(2 ** 20, 2 ** 16)])
both("expand", "Expand", [X, i64(BIG, 2, 3)])
both("resize sizes", "Resize", [IMAGE, f32(), f32(), i64(1, 1, 2 ** 30, 2 ** 30)])
both("resize scales", "Resize", [IMAGE, f32(), f32(1, 1, 1e6, 1e6)])
both("resize cubic", "Resize", [IMAGE, f32(), f32(1, 1, 1e5, 1e5)], {"mode": "cubic"})
case("upsample", "Upsample", [IMAGE, f32(1, 1, 1e6, 1e6)], opset=9)
case("upsample old", "Upsample", [IMAGE], {"scales": [1.0, 1.0, 1e5, 1e5]}, opset=7)
both("constant of shape", "ConstantOfShape", [i64(BIG, BIG)])
both("constant of shape some", "ConstantOfShape", [i64(2 ** 32)])
both("range", "Range", [np.array(0, np.int64), np.array(2 ** 62, np.int64), np.array(1, np.int64)])
both("range floats", "Range", [np.float32(0), np.float32(1e30), np.float32(1e-30)])
both("one hot", "OneHot", [i64(0, 1), np.array(2 ** 40, np.int64), f32(0, 1)])
both("max unpool", "MaxUnpool", [IMAGE, np.zeros((1, 1, 4, 4), np.int64), i64(1, 1, 2 ** 31, 2 ** 31)], {"kernel_shape": [2, 2]})
case("max unpool strides", "MaxUnpool", [IMAGE, np.zeros((1, 1, 4, 4), np.int64)], {"kernel_shape": [MANY, MANY], "strides": [MANY, MANY]})
case("tf-idf", "TfIdfVectorizer", [np.ones((4,), np.int32)], {"mode": "TF", "min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0,
     "ngram_counts": [0], "ngram_indexes": [2 ** 60], "pool_int64s": [1]})
case("tf-idf skips", "TfIdfVectorizer", [np.ones((64,), np.int32)], {"mode": "TF", "min_gram_length": 1, "max_gram_length": 2 ** 60, "max_skip_count": 2 ** 60,
     "ngram_counts": [0], "ngram_indexes": [0], "pool_int64s": [1]})
case("string split", "StringSplit", [np.array(["a" + " b" * 100000] + ["c"] * 20000, object)], outputs=2)
case("einsum", "Einsum", [np.ones((2000,), np.float32)] * 6, {"equation": "a,b,c,d,e,f->abcdef"})
case("einsum sum", "Einsum", [np.ones((5000,), np.float32)] * 6, {"equation": "a,b,c,d,e,f->"})
both("split to sequence", "SplitToSequence", [np.ones((1000000, 1), np.float32)], {"axis": 0})
both("dft", "DFT", [np.ones((1, 8, 1), np.float32), np.array(2 ** 40, np.int64), np.array(1, np.int64)], opset=20)
both("dft prime", "DFT", [np.ones((1, 8, 1), np.float32), np.array(2 ** 31 - 1, np.int64), np.array(1, np.int64)], opset=20)
both("stft", "STFT", [np.ones((1, 4096, 1), np.float32), np.array(1, np.int64), np.ones((4096,), np.float32), np.array(4096, np.int64)])
both("stft step 0", "STFT", [np.ones((1, 64, 1), np.float32), np.array(0, np.int64), np.ones((8,), np.float32)])
both("mel", "MelWeightMatrix", [np.array(2 ** 30, np.int64), np.array(2 ** 31, np.int64), np.array(16000, np.int64), np.float32(0), np.float32(8000)])
for window in ("HannWindow", "HammingWindow", "BlackmanWindow"):
    both(window, window, [np.array(2 ** 45, np.int64)])
both("col2im", "Col2Im", [np.ones((1, 4, 4), np.float32), i64(2 ** 31, 2 ** 31), i64(2, 2)])
both("concat from sequence", "ConcatFromSequence", [], {"axis": 0})
for op, more in (("RandomNormal", {}), ("RandomUniform", {})):
    case(op, op, [], {"shape": [2 ** 31, 2 ** 31], **more})
    case(op + " some", op, [], {"shape": [2 ** 34], **more})
both("multinomial", "Multinomial", [X], {"sample_size": 2 ** 40})
both("multinomial some", "Multinomial", [X], {"sample_size": 2 ** 31 - 1})
both("eye", "EyeLike", [np.zeros((1,), np.float32).reshape(1, 1)], {"k": 2 ** 62})
both("reshape", "Reshape", [X, i64(BIG, BIG, -1)])
both("gather", "Gather", [np.ones((1, 1 << 16), np.float32), np.zeros((1 << 16,), np.int64)])
both("add", "Add", [np.ones((1 << 17, 1), np.float32), np.ones((1, 1 << 17), np.float32)])
both("matmul", "MatMul", [np.ones((1 << 17, 1), np.float32), np.ones((1, 1 << 17), np.float32)])
case("conv pads", "Conv", [IMAGE, np.ones((1, 1, 1, 1), np.float32)], {"pads": [MANY, MANY, MANY, MANY]})
case("conv transpose", "ConvTranspose", [IMAGE, np.ones((1, 1, 1, 1), np.float32)], {"strides": [1 << 20, 1 << 20]})
case("conv transpose shape", "ConvTranspose", [IMAGE, np.ones((1, 1, 1, 1), np.float32)], {"output_shape": [MANY, MANY]})
case("average pool pads", "AveragePool", [IMAGE], {"kernel_shape": [1, 1], "pads": [1 << 30] * 4})
case("average pool kernel", "AveragePool", [IMAGE], {"kernel_shape": [1 << 30, 1 << 30], "pads": [1 << 29] * 4, "ceil_mode": 1})
case("lp pool", "LpPool", [IMAGE], {"kernel_shape": [1 << 30, 1 << 30], "pads": [1 << 29] * 4})
case("depth to space", "SpaceToDepth", [IMAGE], {"blocksize": MANY})
both("roi align", "RoiAlign", [IMAGE, np.ones((1, 4), np.float32), np.zeros((1,), np.int64)], {"output_height": 1 << 20, "output_width": 1 << 20})
both("roi align sampling", "RoiAlign", [IMAGE, np.array([[0, 0, 3, 3]], np.float32), np.zeros((1,), np.int64)], {"sampling_ratio": 1 << 30})
both("roi align large", "RoiAlign", [IMAGE, np.array([[-1e30, -1e30, 1e30, 1e30]], np.float32), np.zeros((1,), np.int64)])
both("max roi pool", "MaxRoiPool", [IMAGE, np.array([[0, 0, 0, 3, 3]], np.float32)], {"pooled_shape": [1 << 20, 1 << 20]})
both("grid sample", "GridSample", [IMAGE, np.zeros((1, 1 << 10, 1 << 10, 2), np.float32)])
both("affine grid", "AffineGrid", [np.ones((1, 2, 3), np.float32), i64(1, 1, 1 << 30, 1 << 30)])
both("nms", "NonMaxSuppression", [np.ones((1, 3000, 4), np.float32), np.ones((1, 100, 3000), np.float32), np.array(2 ** 62, np.int64), np.float32(1), np.float32(0)])
both("top k", "TopK", [X, i64(2 ** 62)], outputs=2)
both("shrink bits", "BitShift", [np.ones((4,), np.uint64), np.full((4,), 2 ** 63, np.uint64)], {"direction": "LEFT"})
case("lstm", "LSTM", [np.ones((1, 1, 1), np.float32), np.ones((1, 4, 1), np.float32), np.ones((1, 4, 1), np.float32)], {"hidden_size": 2 ** 60})
case("attention heads", "Attention", [np.ones((1, 2, 8), np.float32)] * 3, {"q_num_heads": 2 ** 60, "kv_num_heads": 2 ** 60}, opset=23)
case("one hot encoder", "OneHotEncoder", [np.ones((100000,), np.int64)], {"cats_int64s": list(range(20000))}, domain="ai.onnx.ml")
case("array features", "ArrayFeatureExtractor", [np.ones((1000, 1), np.float32), np.zeros((1 << 20,), np.int64)], domain="ai.onnx.ml")
case("crop", "CropAndResize", [IMAGE, np.zeros((1, 4), np.float32), np.zeros((1,), np.int32), np.array([1 << 30, 1 << 30], np.int32)], domain="com.microsoft")
case("unfold", "UnfoldTensor", [np.ones((4096,), np.float32)], {"dim": 0, "size": 1 << 62, "step": 1}, domain="com.microsoft")
case("range ms", "Range", [np.float32(0), np.float32(1e12), np.float32(1)], domain="com.microsoft")


def build(op, inputs, attributes, outputs, constant, domain, opset):
    node = helper.make_node(op, [f"i{k}" for k in range(len(inputs))], [f"o{k}" for k in range(outputs)], name="hostile", domain=domain, **attributes)
    nodes = [node]
    if op == "SplitToSequence":
        nodes.append(helper.make_node("SequenceLength", ["o0"], ["length"]))
    if op == "ConcatFromSequence":
        node.input.append("s")
        nodes = [helper.make_node("ConstantOfShape", ["n"], ["x"])] + [
            helper.make_node("SequenceConstruct", ["x"] * 4096, ["s"]), node]
        inputs = [i64(1 << 20)]
        nodes[0].input[0] = "i0"
    info, weights, feeds = [], [], {}
    for k, v in enumerate(inputs):
        v = np.asarray(v)
        name = f"i{k}"
        weights.append(numpy_helper.from_array(v, name)) if constant and op != "StringSplit" else None
        if not constant or op == "StringSplit":
            kind = T.STRING if v.dtype == object else helper.np_dtype_to_tensor_dtype(v.dtype)
            info.append(helper.make_tensor_value_info(name, kind, [None] * v.ndim))
            feeds[name] = v.astype(str) if v.dtype == object else v
    result = "length" if op == "SplitToSequence" else "o0"
    graph = helper.make_graph(nodes, "g", info, [onnx.ValueInfoProto(name=result)], weights)
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 3 if domain == "ai.onnx.ml" else 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), feeds


def limits():
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))


def one(hone, name, spec, folder):
    model, feeds = build(*spec)
    onnx.save(model, f"{folder}/m.onnx")
    args = []
    for k, v in feeds.items():
        np.save(f"{folder}/{k}.npy", v)
        args += ["-i", f"{k}={folder}/{k}.npy"]
    told = []
    for verb in (["run", f"{folder}/m.onnx", *args, "-o", f"{folder}/out", "--max-memory", "64M", "-q"], ["run", f"{folder}/m.onnx", *args, "-o", f"{folder}/out", "-q"],
                 ["optimize", f"{folder}/m.onnx", "-o", f"{folder}/o.onnx", "-q"]):
        try:
            r = subprocess.run([hone, *verb], capture_output=True, preexec_fn=limits, timeout=100)
        except subprocess.TimeoutExpired:
            return [f"{name}: {verb[0]} hangs"], told
        told.append((r.returncode, r.stderr.decode(errors="replace").strip()[:160]))
        if r.returncode == -9 and name.startswith(SLOW):
            continue
        if r.returncode not in (0, 1, 2) or (r.returncode and not r.stderr):
            return [f"{name}: {verb[0]} ends with {r.returncode} {r.stderr[-300:]}"], told
    return [], told


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hone", default=os.environ.get("HONE", "build/hone"))
    parser.add_argument("--only", default="")
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args()
    problems, refused, ran = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name, *spec in CASES:
            if args.only not in name:
                continue
            found, told = one(args.hone, name, spec, folder)
            problems += found
            ran += 1
            refused += any(code for code, _ in told)
            if args.verbose:
                print(name, *told, sep="\n    ")
    print("\n".join(problems + [f"{ran} cases, {refused} refused, {len(problems)} problems"]))
    sys.exit(1 if problems or not ran else 0)


if __name__ == "__main__":
    main()
