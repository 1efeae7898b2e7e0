"""LiteRT (TensorFlow Lite) with XNNPACK: float, dynamic int8 and full int8, converted from the Keras file once through
a SavedModel; or a .tflite file as it is."""
import subprocess
from common import *

KINDS = {"fp32": "float.tflite", "int8": "dynamic.tflite", "int8 static": "int8.tflite"}


def convert(path):
    import tempfile, numpy as np, tensorflow as tf
    model, version = load_keras(path)
    shape = (1,) + tuple(model.input_shape[1:])
    rng = np.random.default_rng(0)
    samples = [[rng.standard_normal(shape).astype(np.float32)] for _ in range(20)]
    with tempfile.TemporaryDirectory() as folder:
        # straight from the traced function LiteRT's converter loses the weights; a SavedModel keeps them
        if version.startswith("tf-keras"):
            fixed = tf.function(lambda v: model(v, training=False), input_signature=[tf.TensorSpec(shape, tf.float32)])
            tf.saved_model.save(model, folder, signatures=fixed.get_concrete_function())
        else:
            model.export(folder, verbose=False, input_signature=[tf.TensorSpec(shape, tf.float32)])
        for precision, name in KINDS.items():
            c = tf.lite.TFLiteConverter.from_saved_model(folder)
            if precision != "fp32":
                c.optimizations = [tf.lite.Optimize.DEFAULT]
            if precision == "int8 static":
                c.representative_dataset = lambda: iter(samples)
                c.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                c.inference_input_type = c.inference_output_type = tf.int8
            target = cache_path(path, name)
            with open(target + ".tmp", "wb") as f:
                f.write(c.convert())
            os.replace(target + ".tmp", target)


def measure(args, path, precision):
    from importlib.metadata import version
    from ai_edge_litert.interpreter import Interpreter
    start = clock_ms()
    i = Interpreter(path, num_threads=args.threads)
    i.allocate_tensors()
    init = clock_ms() - start
    d, o = i.get_input_details()[0], i.get_output_details()[0]
    x = random_input(list(d["shape"]), d["dtype"].__name__)

    def run():
        i.set_tensor(d["index"], x)
        i.invoke()
        return i.get_tensor(o["index"])
    emit(args, "tflite", version("ai-edge-litert"), precision, init, run, model=path, name=os.environ.get("HONE_PEER_NAME"))


args = arguments()
if args.model.endswith(".tflite"):
    guess = "int8 static" if "int8" in args.model or "quant" in args.model else "fp32"
    measure(args, args.model, os.environ.get("HONE_PEER_PRECISION", guess))
elif is_keras(args.model):
    if any(not os.path.exists(cache_path(args.model, n)) for n in KINDS.values()):
        # in a process of its own, so that TensorFlow's memory does not count here
        code = "import sys; sys.argv = [sys.argv[0], '/dev/null']; sys.path.insert(0, %r); import peer_tflite as p; p.convert(%r)"
        subprocess.run([sys.executable, "-c", code % (os.path.dirname(os.path.abspath(__file__)), args.model)],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for precision, name in KINDS.items():
        # a process each: memory is a high-water mark
        subprocess.run([sys.executable, os.path.abspath(__file__), cache_path(args.model, name), "--repeat", str(args.repeat),
                        "--threads", str(args.threads)], check=True,
                       env=dict(os.environ, HONE_PEER_PRECISION=precision, HONE_PEER_NAME=os.path.basename(args.model)))
