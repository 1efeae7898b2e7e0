"""ONNX Runtime over the float32 file that hone exports, with past keys and values: a greedy loop with IO binding, so that
keys and values are never copied outside."""
from language import *


def export(args):
    """hone's export of the folder, made once per model and command."""
    hone = os.environ.get("HONE")
    if not hone:
        raise Unsupported("HONE does not name the command that exports")
    path = cache_path(weights(args.model)[0], "hone-fp32")
    if os.path.isdir(path) and os.path.getmtime(path) < os.path.getmtime(hone):
        shutil.rmtree(path)
    return converted(args, "hone-fp32", lambda to: subprocess.run([hone, "optimize", args.model, "-o", to, "-p", "fp32", "-q"], check=True))


def session(args, path):
    import onnxruntime as ort
    o = ort.SessionOptions()
    o.intra_op_num_threads = args.threads
    o.log_severity_level = 3
    start = clock_ms()
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    return s, clock_ms() - start


def generator(args, s):
    import numpy as np, onnxruntime as ort
    prompt = ids_of(args)
    past = {i.name: (i.shape[1], i.shape[3]) for i in s.get_inputs() if i.name.startswith("past_key_values.")}
    outputs = [o.name for o in s.get_outputs()]
    places = any(i.name == "position_ids" for i in s.get_inputs())
    order = [outputs.index(n.replace("past_key_values", "present")) for n in past]

    def generate():
        binding, ids, done, new = s.io_binding(), prompt, 0, []
        values = [ort.OrtValue.ortvalue_from_numpy(np.zeros((1, h, 0, d), np.float32)) for h, d in past.values()]
        for _ in range(args.tokens):
            binding.bind_cpu_input("input_ids", np.array([ids], np.int64))
            binding.bind_cpu_input("attention_mask", np.ones((1, done + len(ids)), np.int64))
            if places:
                binding.bind_cpu_input("position_ids", np.arange(done, done + len(ids))[None])
            for name, value in zip(past, values):
                binding.bind_ortvalue_input(name, value)
            for name in outputs:
                binding.bind_output(name, "cpu")
            s.run_with_iobinding(binding)
            found = binding.get_outputs()
            done, values = done + len(ids), [found[i] for i in order]
            ids = [int(found[outputs.index("logits")].numpy()[0, -1].argmax())]
            new += ids
        return new
    return generate


def measure(args, precision):
    need("onnxruntime")
    folder = export(args)
    s, init = session(args, os.path.join(folder, "model.onnx"))
    import onnxruntime as ort
    text_line(args, "onnxruntime", ort.__version__, precision, init, generator(args, s), [folder], note="IO binding, hone's export")


if __name__ == "__main__":
    run_each("onnxruntime", ("fp32",), measure)
