"""OpenVINO on the CPU: float32 and bfloat16 inference of a float32 .onnx file."""
import subprocess
from common import *

args = arguments()
role = os.environ.get("HONE_PEER_PRECISION")
if role:
    import openvino as ov
    start = clock_ms()
    m = ov.Core().compile_model(args.model, "CPU", {"INFERENCE_NUM_THREADS": args.threads, "PERFORMANCE_HINT": "LATENCY",
                                                   "INFERENCE_PRECISION_HINT": "bf16" if role == "bf16" else "f32"})
    r = m.create_infer_request()
    init = clock_ms() - start
    shape = [d.get_length() if d.is_static else 1 for d in m.inputs[0].partial_shape]
    x = random_input(shape)
    emit(args, "openvino", ov.__version__.split("-")[0], role, init, lambda: r.infer([x]))
elif args.model.endswith(".onnx"):
    text = open(args.model, "rb").read()
    if not any(op in text for op in (b"ConvInteger", b"MatMulNBits", b"QuantizeLinear")):
        for precision in ("fp32", "bf16"):
            subprocess.run([sys.executable, os.path.abspath(__file__), args.model, "--repeat", str(args.repeat), "--threads",
                            str(args.threads)], check=True, env=dict(os.environ, HONE_PEER_PRECISION=precision))
