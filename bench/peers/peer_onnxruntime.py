"""ONNX Runtime on the CPU: the file as it is; for a float32 file also its own dynamic and static (QDQ) int8, made once
(not with HONE_PEER_QUANTIZE=0)."""
import subprocess
from common import *


def is_float(path):
    import onnx
    m = onnx.load(path)
    return not any(n.op_type in ("ConvInteger", "MatMulNBits", "QuantizeLinear", "DynamicQuantizeLinear", "DequantizeLinear")
                   for n in m.graph.node)


def quantize(path, dynamic, static):
    import onnxruntime as ort
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
    quantize_dynamic(path, dynamic, weight_type=QuantType.QInt8, per_channel=True)
    info = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()[0]

    class Samples(CalibrationDataReader):
        def __init__(self):
            self.left = [{info.name: random_input(info.shape) * (i + 1) / 8} for i in range(8)]

        def get_next(self):
            return self.left.pop() if self.left else None
    quantize_static(path, static, Samples(), quant_format=QuantFormat.QDQ, per_channel=True, weight_type=QuantType.QInt8,
                    activation_type=QuantType.QUInt8)


def measure(args, path, precision):
    import onnxruntime as ort
    o = ort.SessionOptions()
    o.intra_op_num_threads = args.threads
    o.log_severity_level = 3
    start = clock_ms()
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    init = clock_ms() - start
    kinds = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(int32)": "int32"}
    feed = {i.name: random_input(i.shape, kinds.get(i.type, "float32")) for i in s.get_inputs()}
    emit(args, "onnxruntime", ort.__version__, precision, init, lambda: s.run(None, feed), model=path,
         name=os.environ.get("HONE_PEER_NAME"))


args = arguments()
role = os.environ.get("HONE_PEER_PRECISION")
if role:
    measure(args, args.model, role)
elif args.model.endswith(".onnx"):
    if is_float(args.model) and os.environ.get("HONE_PEER_QUANTIZE") != "0":
        dynamic, static = cache_path(args.model, "ort-dynamic.onnx"), cache_path(args.model, "ort-static.onnx")
        if not os.path.exists(static):
            code = "import sys; sys.argv = [sys.argv[0], 'x']; sys.path.insert(0, %r); import peer_onnxruntime as p; p.quantize(%r, %r, %r)"
            subprocess.run([sys.executable, "-c", code % (os.path.dirname(os.path.abspath(__file__)), args.model, dynamic, static)],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        jobs = [(args.model, "fp32"), (dynamic, "int8"), (static, "int8 static")]
    else:
        jobs = [(args.model, "fp32" if is_float(args.model) else "int8, hone's file")]
    for path, precision in jobs:
        subprocess.run([sys.executable, os.path.abspath(__file__), path, "--repeat", str(args.repeat), "--threads", str(args.threads)],
                       check=True, env=dict(os.environ, HONE_PEER_PRECISION=precision,
                                                           HONE_PEER_NAME=os.path.basename(args.model)))
