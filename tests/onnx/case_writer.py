"""Writes one-node models with ONNX Runtime's answers as folders in ONNX's own test layout, which `hone test` runs."""
import os
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

MICROSOFT = "com.microsoft"
ML = "ai.onnx.ml"


class Refused(Exception):
    """ONNX Runtime does not take the model or what is fed."""


def answers_of(model, feeds):
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options(), providers=["CPUExecutionProvider"])
        answers = session.run(None, feeds)
        if any(a is None for a in answers):
            raise Refused("an output is left unset")
        return answers
    except Exception as error:  # its classes have no common base
        if type(error).__module__.startswith("onnxruntime"):
            raise Refused(str(error)) from error
        raise


def answers_in_place(model, feeds, shared):
    """Likewise where ONNX Runtime wants inputs and outputs (a dict of names) in the same memory."""
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options(), providers=["CPUExecutionProvider"])
        binding, bound = session.io_binding(), []
        for name, value in feeds.items():
            given = onnxruntime.OrtValue.ortvalue_from_numpy(np.array(value))
            binding.bind_ortvalue_input(name, given)
            if name in shared:
                binding.bind_ortvalue_output(shared[name], given)
                bound.append(shared[name])
        for output in session.get_outputs():
            if output.name not in shared.values():
                binding.bind_output(output.name)
                bound.append(output.name)
        session.run_with_iobinding(binding)
        answers = dict(zip(bound, binding.copy_outputs_to_cpu()))
        return [answers[output.name] for output in session.get_outputs()]
    except Exception as error:
        if type(error).__module__.startswith("onnxruntime"):
            raise Refused(str(error)) from error
        raise


def options():
    """Products of uint8 and int8 without the saturation of 16-bit sums that ONNX Runtime has on older processors; the graph
    as it is."""
    o = onnxruntime.SessionOptions()
    o.add_session_config_entry("session.x64quantprecision", "1")
    o.intra_op_num_threads = 1
    o.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return o


def element_type(array):
    return helper.np_dtype_to_tensor_dtype(array.dtype)


def one_node(op, inputs, outputs=1, constant=(), domain="", default_opset=21, ml_opset=5, declared=None, **attributes):
    """The model and what is fed. outputs: how many, or a list of 0 and 1 for absent and present ones. declared: types of
    outputs that ONNX Runtime does not infer, by position. constant: which
    inputs are weights. inputs may hold None, arrays and TensorProtos (always weights)."""
    inputs = [v if v is None or isinstance(v, onnx.TensorProto) else np.asarray(v) for v in inputs]
    wanted = [1] * outputs if isinstance(outputs, int) else outputs
    names = ["" if v is None else f"i{k}" for k, v in enumerate(inputs)]
    results = [f"o{k}" if w else "" for k, w in enumerate(wanted)]
    node = helper.make_node(op, names, results, domain=domain, **attributes)
    feeds, weights = {}, []
    for k, v in enumerate(inputs):
        if isinstance(v, onnx.TensorProto):
            v.name = f"i{k}"
            weights.append(v)
        elif v is not None and k in constant:
            weights.append(numpy_helper.from_array(v, f"i{k}"))
        elif v is not None:
            feeds[f"i{k}"] = v
    values = [helper.make_tensor_value_info(k, element_type(v), v.shape) for k, v in feeds.items()]
    declared = declared or {}
    made = [helper.make_tensor_value_info(r, declared[k], None) if k in declared else onnx.ValueInfoProto(name=r) for k, r in enumerate(results) if r]
    graph = helper.make_graph([node], op, values, made, weights)
    imports = [helper.make_opsetid("", default_opset), helper.make_opsetid(MICROSOFT, 1), helper.make_opsetid(ML, ml_opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10), feeds


def tolerance(answers, exact, slack=0.0):
    """Relative to the largest value; half precision rounds more coarsely. Cases with integers alone may be told not to be
    exact. slack: by how much ONNX Runtime may be off itself."""
    floats = [a for a in answers if a.dtype.kind == "f" or a.dtype.name == "bfloat16"]
    if not floats:
        return "0 0\n" if exact else "0 1\n"
    finite = [np.abs(a[np.isfinite(a)].astype(np.float64)).max() for a in floats if np.isfinite(a).any()]
    coarse = 20 if any(a.dtype.itemsize == 2 for a in floats) else 1
    return f"{1e-4 * coarse:g} {2e-5 * coarse * max(finite + [1e-3]) + slack:g}\n"


class Writer:
    def __init__(self, out, kind="runtime", seed=0):
        self.out, self.random, self.counts = os.path.join(out, kind), np.random.default_rng(seed), {}
        shutil.rmtree(self.out, ignore_errors=True)
        os.makedirs(self.out)

    def floats(self, *shape):
        return self.random.standard_normal(shape).astype(np.float32)

    def scales(self, n):
        return (self.random.random(n) * 0.1 + 0.01).astype(np.float32)

    def add(self, op, inputs, outputs=1, constant=(), domain="", exact=False, name=None, slack=0.0, **attributes):
        model, feeds = one_node(op, inputs, outputs, constant, domain, **attributes)
        self.write(op, model, feeds, answers_of(model, feeds), exact, name, slack)

    def write(self, op, model, feeds, answers, exact=False, name=None, slack=0.0):
        n = self.counts[op] = self.counts.get(op, -1) + 1
        folder = os.path.join(self.out, name or f"{op}_{n}")
        os.makedirs(os.path.join(folder, "test_data_set_0"))
        onnx.save(model, os.path.join(folder, "model.onnx"))
        answers = [np.asarray(a) for a in answers]
        for kind, values in (("input", feeds.values()), ("output", answers)):
            for i, value in enumerate(values):
                with open(os.path.join(folder, "test_data_set_0", f"{kind}_{i}.pb"), "wb") as file:
                    file.write(numpy_helper.from_array(np.asarray(value)).SerializeToString())
        with open(os.path.join(folder, "tolerance"), "w", encoding="ascii") as file:
            file.write(tolerance(answers, exact, slack))
        return folder
