#!/usr/bin/env python3
"""What ONNX Runtime's quantiser makes of real models runs in hone as it runs in ONNX Runtime.

Usage: live_quantised.py [--hone HONE] [--only TEXT] [--keep DIR]
Every integer operator's result becomes a graph output too: those are equal exactly, floats within 1e-4 of the largest.
A float that differs by less than that can fall on the other side of a rounding step behind it, so models are run node
by node where they differ: each node gets the inputs that ONNX Runtime computed. Exit status 1 on a difference, 77
without the models of ../shared/data/onnx."""
import argparse
import collections
import itertools
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data/onnx")
TOLERANCE = 1e-4


def silero(r):
    return {"input": r.normal(0, 0.2, (1, 576)).astype(np.float32), "state": r.normal(0, 0.5, (2, 1, 128)).astype(np.float32),
            "sr": np.array(16000, np.int64)}


def dtln(r):
    return {"input_2": np.abs(r.normal(0, 1, (1, 1, 257))).astype(np.float32), "input_3": r.normal(0, 0.5, (1, 2, 128, 2)).astype(np.float32)}


def mnist(r):
    return {"Input3": r.uniform(0, 255, (1, 1, 28, 28)).astype(np.float32)}


def by_shape(session, r):
    """Token ids, masks and caches, whatever the model calls them."""
    feeds, length, past = {}, 7, 3
    for i in session.get_inputs():
        dims = [d if isinstance(d, int) else past if "past" in d and "seq" in d and "+" not in d else length + (past if "total" in d else 0) if "seq" in d else 1
                for d in i.shape]
        if i.type == "tensor(float)":
            feeds[i.name] = r.normal(0, 0.5, dims).astype(np.float32)
        elif "mask" in i.name:
            feeds[i.name] = np.ones(dims, np.int64 if "64" in i.type else np.int32)
        else:
            feeds[i.name] = r.integers(0, 2 if "type" in i.name else 100, dims).astype(np.int64 if "64" in i.type else np.int32)
    return feeds


MODELS = {"silero": ("silero-vad/silero_vad_16k_op15.onnx", silero), "dtln": ("dtln/model_1.onnx", dtln), "mnist": ("mnist/model.onnx", mnist),
          "bert": ("tiny-bert/model.onnx", None), "gpt2": ("tiny-random-gpt2/past.onnx", None)}
INTEGER = {"MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv", "QuantizeLinear", "QLinearAdd", "QLinearMul", "QGemm",
           "QLinearConcat", "QLinearSigmoid", "QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearSoftmax"}


class Reader(CalibrationDataReader):
    def __init__(self, feeds):
        self.left = iter(feeds)

    def get_next(self):
        return next(self.left, None)


def makers():
    for per_channel, reduce, weight in itertools.product((False, True), (False, True), (QuantType.QInt8, QuantType.QUInt8)):
        what = f"{'channel' if per_channel else 'tensor'}-{'reduced' if reduce else 'whole'}-{'s8' if weight == QuantType.QInt8 else 'u8'}"
        yield f"dynamic-{what}", lambda a, b, _, p=per_channel, r=reduce, w=weight: quantize_dynamic(
                a, b, per_channel=p, reduce_range=r, weight_type=w, extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
        for form, activation in itertools.product((QuantFormat.QDQ, QuantFormat.QOperator), (QuantType.QUInt8, QuantType.QInt8)):
            if weight == QuantType.QUInt8 and activation == QuantType.QInt8:
                continue  # ONNX Runtime has no kernel for it
            name = f"{'qdq' if form == QuantFormat.QDQ else 'qoperator'}-{'s8' if activation == QuantType.QInt8 else 'u8'}-{what}"
            yield name, lambda a, b, feeds, p=per_channel, r=reduce, w=weight, f=form, x=activation: quantize_static(
                a, b, Reader(feeds), quant_format=f, per_channel=p, reduce_range=r, activation_type=x, weight_type=w)


def with_outputs(path, out):
    """The same model that also returns what its integer nodes compute."""
    model = onnx.load(path)
    seen = {o.name for o in model.graph.output}
    for node in model.graph.node:
        if node.op_type in INTEGER and node.output[0] not in seen:
            model.graph.output.append(onnx.ValueInfoProto(name=node.output[0]))
    onnx.save(model, out)
    return model


def session_of(path):
    o = onnxruntime.SessionOptions()
    o.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    o.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, o, providers=["CPUExecutionProvider"])


def in_hone(hone, path, feeds, names, folder):
    args = [hone, "run", path, "-o", folder, "-q"]
    for i, (name, value) in enumerate(feeds.items()):
        np.save(f"{folder}/in{i}.npy", value)
        args += ["-i", f"{name}={folder}/in{i}.npy"]
    r = subprocess.run(args, capture_output=True, timeout=300)
    if r.returncode:
        raise RuntimeError(r.stderr.decode(errors="replace").strip()[:300])
    safe = lambda n: "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in n)
    return [np.load(f"{folder}/{safe(n)}.npy") for n in names]


def difference(got, expected):
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return f"{got.dtype}{got.shape}, expected {expected.dtype}{expected.shape}"
    if expected.dtype.kind in "iub":
        wrong = int((got != expected).sum())
        return f"{wrong} of {got.size} integers, by up to {np.abs(got.astype(np.int64) - expected.astype(np.int64)).max()}" if wrong else None
    odd = ~np.isfinite(expected)
    if odd.any():
        if not np.array_equal(got[odd], expected[odd], equal_nan=True):
            return "other infinities or no numbers"
        got, expected = got[~odd], expected[~odd]
    scale = max(np.abs(expected).max(initial=0), 1e-6)
    error = np.abs(got.astype(np.float64) - expected).max(initial=0) / scale
    return f"relative error {error:.2g}" if not error <= TOLERANCE else None


def node_model(model, node, values):
    """One node with every input that is computed as a graph input."""
    weights = {t.name: t for t in model.graph.initializer}
    used = [n for n in dict.fromkeys(node.input) if n]
    if any(n not in weights and n not in values for n in used):
        return None, None
    inputs = {n: values[n] for n in used if n not in weights}
    info = [onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in inputs.items()]
    outputs = [onnx.ValueInfoProto(name=o) for o in node.output if o]
    graph = onnx.helper.make_graph([node], "node", info, outputs, [weights[n] for n in used if n in weights])
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=min(model.ir_version, 10)), inputs


def exact_conv(single, inputs):
    """QLinearConv in whole numbers held as float64, scaled at the end."""
    node = single.graph.node[0]
    v = dict(inputs, **{t.name: onnx.numpy_helper.to_array(t) for t in single.graph.initializer})
    x, xs, xz, w, ws, wz, ys, yz = (v[n] for n in node.input[:8])
    column = (-1,) + (1,) * (w.ndim - 1)
    wide = {"x": x.astype(np.float64) - float(xz), "w": w.astype(np.float64) - wz.astype(np.float64).reshape(column if wz.size > 1 else ())}
    conv = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    conv.attribute.extend(node.attribute)
    info = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.DOUBLE, t.shape) for n, t in wide.items()]
    graph = onnx.helper.make_graph([conv], "conv", info, [onnx.ValueInfoProto(name="y")])
    total = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])).run(None, wide)[0]
    spread = (1, -1) + (1,) * (w.ndim - 2)
    if len(node.input) > 8 and node.input[8]:
        total = total + v[node.input[8]].astype(np.float64).reshape(spread)
    scale = float(xs) * ws.astype(np.float64).reshape(spread if ws.size > 1 else ()) / float(ys)
    bounds = np.iinfo(yz.dtype)
    return np.clip(np.rint(total * scale) + float(yz), bounds.min, bounds.max).astype(yz.dtype)


def saturates(single, inputs, got):
    """Without VNNI, ONNX Runtime adds pairs of products of 8-bit numbers in 16 bits, which saturates unless the weights
    have a reduced range. Then exact arithmetic has the last word."""
    op = single.graph.node[0].op_type
    if op not in ("QLinearConv", "QLinearMatMul", "MatMulInteger", "ConvInteger"):
        return False
    exact = exact_conv(single, inputs) if op == "QLinearConv" else ReferenceEvaluator(single).run(None, inputs)[0]
    step = 1 if op.startswith("QLinear") else 0  # scales in another order round differently
    return exact.shape == got.shape and np.abs(exact.astype(np.int64) - got.astype(np.int64)).max(initial=0) <= step


def unsigned(single):
    """The same node with its signed weights shifted to unsigned bytes, whose sums ONNX Runtime does not saturate."""
    model = onnx.ModelProto.FromString(single.SerializeToString())
    node = model.graph.node[0]
    shifted = {node.input[i] for i in ((1, 7) if node.op_type == "QAttention" else (1, 2, 9, 11))}
    for t in model.graph.initializer:
        if t.name in shifted and t.data_type == onnx.TensorProto.INT8:
            t.CopyFrom(onnx.numpy_helper.from_array((onnx.numpy_helper.to_array(t).astype(np.int16) + 128).astype(np.uint8), t.name))
    return model


def differs(single, inputs, got):
    """What is wrong with the results of one node."""
    found = [d for g, e in zip(got, session_of(single.SerializeToString()).run(None, inputs)) if (d := difference(g, e)) and not saturates(single, inputs, g)]
    if found and single.graph.node[0].op_type in ("QAttention", "DynamicQuantizeLSTM"):
        found = [d for g, e in zip(got, session_of(unsigned(single).SerializeToString()).run(None, inputs)) if (d := difference(g, e))]
    return found


def nodes_differ(hone, path, feeds, folder):
    """Every top-level node of the model alone, on what ONNX Runtime computed before it."""
    model = onnx.load(path)
    names = [o for n in model.graph.node for o in n.output if o]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names)
    values = dict(feeds)
    values.update(zip(names, session_of(model.SerializeToString()).run(None, feeds)))
    problems = []
    for node in model.graph.node:
        single, inputs = node_model(model, node, values)
        if single is None or node.op_type in ("If", "Loop", "Scan", "Constant"):
            continue
        onnx.save(single, f"{folder}/node.onnx")
        outs = [o for o in node.output if o]
        try:
            got = in_hone(hone, f"{folder}/node.onnx", inputs, outs, folder)
            problems += [f"{node.op_type} '{node.name}': {d}" for d in differs(single, inputs, got)]
        except Exception as e:
            problems.append(f"{node.op_type} '{node.name}': {str(e)[:200]}")
    return problems


def compare(hone, path, feeds_list, folder):
    with_outputs(path, f"{folder}/all.onnx")
    session = session_of(f"{folder}/all.onnx")
    names = [o.name for o in session.get_outputs()]
    for feeds in feeds_list:
        expected = session.run(None, feeds)
        got = in_hone(hone, f"{folder}/all.onnx", feeds, names, folder)
        if any(difference(g, e) for g, e in zip(got, expected)):
            problems = nodes_differ(hone, path, feeds, folder)
            if problems:
                return problems
    return []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hone", default=os.environ.get("HONE", "build/hone"))
    parser.add_argument("--only", default="")
    parser.add_argument("--keep")
    args = parser.parse_args()
    if not os.path.isdir(ROOT):
        print("skipped: the models are not there")
        sys.exit(77)
    onnxruntime.set_default_logger_severity(4)
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as temporary:
        for name, (file, draw) in MODELS.items():
            path = os.path.join(ROOT, file)
            session = session_of(path)
            random = np.random.default_rng(5)
            feeds = [draw(random) if draw else by_shape(session, random) for _ in range(3)]
            for how, make in makers():
                if args.only not in f"{name} {how}":
                    continue
                out = os.path.join(args.keep or temporary, f"{name}-{how}.onnx")
                try:
                    make(path, out, feeds)
                    session_of(out)
                except Exception as e:
                    counts["refused"] += 1
                    print(f"{name} {how}: ONNX Runtime itself: {str(e).splitlines()[0][:120]}")
                    continue
                try:
                    problems = compare(args.hone, out, feeds, temporary)
                except Exception as e:
                    problems = [str(e)]
                counts["differ" if problems else "agree"] += 1
                for p in problems[:4]:
                    print(f"{name} {how}: {p}")
    print(f"{counts['agree']} models agree, {counts['differ']} differ, {counts['refused']} that ONNX Runtime does not make or load")
    sys.exit(1 if counts["differ"] or not counts["agree"] else 0)


if __name__ == "__main__":
    main()
