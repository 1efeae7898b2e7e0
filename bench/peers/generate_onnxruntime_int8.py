"""ONNX Runtime's dynamic int8 (quantize_dynamic) of hone's float32 export. int8: as the quantiser makes it, which leaves a
head that shares the embedding's table in float32 behind a DequantizeLinear; int8 untied: with transposed tables stored
by themselves first, which is larger and faster."""
from generate_onnxruntime import export, generator, session
from language import *


def untie(model):
    """Transpose of a weight becomes a weight."""
    import numpy as np
    from onnx import numpy_helper
    known = {i.name: i for i in model.graph.initializer}
    for node in [n for n in model.graph.node if n.op_type == "Transpose" and n.input[0] in known]:
        table = numpy_helper.to_array(known[node.input[0]])
        perm = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
        model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(table.transpose(perm)), node.output[0]))
        model.graph.node.remove(node)
    read = {i for n in model.graph.node for i in n.input}
    for tensor in [i for n, i in known.items() if n not in read]:
        model.graph.initializer.remove(tensor)


def quantize(source, target, untied):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    os.makedirs(target)
    model = onnx.load(os.path.join(source, "model.onnx"))
    if untied:
        untie(model)
    # Attention of opset 23 is not the com.microsoft operator that the quantiser takes it for
    quantize_dynamic(model, os.path.join(target, "model.onnx"), ["MatMul", "Gemm", "Gather"], weight_type=QuantType.QInt8,
                     per_channel=True)


def measure(args, precision):
    need("onnxruntime", "onnx")
    source, untied = export(args), precision == "int8 untied"
    folder = converted(args, "ort-" + precision.replace(" ", "-"), lambda to: quantize(source, to, untied))
    s, init = session(args, os.path.join(folder, "model.onnx"))
    import onnxruntime as ort
    text_line(args, "onnxruntime-int8", ort.__version__, precision, init, generator(args, s), [folder], note="quantize_dynamic, IO binding")


if __name__ == "__main__":
    run_each("onnxruntime-int8", ("int8", "int8 untied"), measure)
