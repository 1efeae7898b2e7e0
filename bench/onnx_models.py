"""Models of others, as bench/onnx.sh measures them: real ones with their free dimensions fixed, and the `light` networks
of the onnx package with random weights in place of constants, and integer products and convolutions between the
quantisation and scaling that quantisers put around them. usage: onnx_models.py DATA OUT"""
import os, sys
import numpy as np
import onnx
from onnx import helper, numpy_helper

data, out = sys.argv[1:3]
LIGHT = ["resnet50", "densenet121", "inception_v1", "inception_v2", "vgg19", "shufflenet", "squeezenet"]
REAL = {  # file, dimensions of its inputs
    "silero": ("silero-vad/silero_vad_16k_op15.onnx", {"input": [1, 576], "state": [2, 1, 128], "sr": []}),
    "dtln": ("dtln/model_1.onnx", None), "mnist": ("mnist/model.onnx", None),
    "tiny-bert": ("tiny-bert/model.onnx", {"input_ids": [1, 32], "attention_mask": [1, 32], "token_type_ids": [1, 32]}),
}


def fix(model, dims):
    for i in model.graph.input:
        for k, n in enumerate((dims or {}).get(i.name, [])):
            i.type.tensor_type.shape.dim[k].dim_value = n
        for d in i.type.tensor_type.shape.dim:
            if not d.dim_value:
                d.dim_value = 1
    return model


def random_weights(model, rng):
    """ConstantOfShape of a constant shape becomes an initializer: He's scale for matrices, near 1 for vectors."""
    known = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    for n in list(model.graph.node):
        if n.op_type != "ConstantOfShape" or n.input[0] not in known:
            continue
        shape = [int(d) for d in known[n.input[0]]]
        if len(shape) > 1:
            w = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        else:
            w = rng.uniform(0.5, 1.5, shape)
        model.graph.initializer.append(numpy_helper.from_array(w.astype(np.float32), n.output[0]))
        model.graph.node.remove(n)
    return model


GEMM = {"gemm-int-1500": (1500, 384, 1536), "gemm-int-128": (128, 768, 768), "gemm-int-1": (1, 768, 3072)}  # M, K, N
CONV = {"conv-int-3x3": ((1, 64, 56, 56), (64, 64, 3, 3)), "conv-int-1x1": ((1, 256, 28, 28), (128, 256, 1, 1)),
        "conv-int-1d": ((1, 80, 1, 1000), (384, 80, 1, 3))}  # input, weights


def integer_graph(op, in_dims, out_dims, weights, **attributes):
    """x -> DynamicQuantizeLinear -> op with int8 weights -> float32, scaled."""
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
             helper.make_node(op, ["q", "w", "z"], ["sum"], **attributes),
             helper.make_node("Cast", ["sum"], ["float"], to=onnx.TensorProto.FLOAT),
             helper.make_node("Mul", ["s", "ws"], ["scale"]),
             helper.make_node("Mul", ["float", "scale"], ["y"])]
    graph = helper.make_graph(
        nodes, op, [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, in_dims)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, out_dims)],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.float32([0.01]), "ws")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def integer_models(rng):
    for name, (m, k, n) in GEMM.items():
        yield name, integer_graph("MatMulInteger", (m, k), (m, n), rng.integers(-127, 128, (k, n), np.int8))
    for name, (x, w) in CONV.items():
        pads = [d // 2 for d in w[2:]] * 2
        unsigned = rng.integers(0, 256, w, np.uint8)  # the only ones that ONNX Runtime's ConvInteger takes
        yield name, integer_graph("ConvInteger", x, (x[0], w[0], *x[2:]), unsigned, pads=pads)


os.makedirs(out, exist_ok=True)
for name, model in integer_models(np.random.default_rng(2)):
    onnx.save(model, os.path.join(out, name + ".onnx"))
for name, (path, dims) in REAL.items():
    source = os.path.join(data, path)
    if not os.path.exists(source):
        print(f"{name} is skipped: {source} is not there")
        continue
    onnx.save(fix(onnx.load(source), dims), os.path.join(out, name + ".onnx"))
folder = os.path.join(os.path.dirname(onnx.__file__), "backend/test/data/light")
for name in LIGHT:
    model = random_weights(onnx.load(os.path.join(folder, f"light_{name}.onnx")), np.random.default_rng(1))
    onnx.save(fix(model, None), os.path.join(out, name + ".onnx"))
