"""Imported language models against transformers: python tests/import/live_transformers.py [family ...]
Small random models of every family are saved as transformers saves them, imported by `hone optimize`, and compared in
ONNX Runtime and in `hone run`: scores of a batch with left padding, with and without past, and one step over a past.
HONE names the command. Prints the largest relative error per family; exit 77 where transformers is not there."""
import json, os, shutil, subprocess, sys, tempfile, warnings
warnings.filterwarnings("ignore")
import numpy as np
try:
    import torch, onnxruntime
    from transformers_cases import CASES, LENGTH, ROWS, batch, make
except ImportError as e:
    print("skipped:", e)
    sys.exit(77)

HONE = os.environ.get("HONE", "build/hone")
LIMIT = 1e-4
def run_hone(path, feeds, folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    args = [HONE, "run", path, "-o", folder]
    for k, v in feeds.items():
        np.save(f"{folder}/in.{k}.npy", v)
        args += ["-i", f"{k}={folder}/in.{k}.npy"]
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL)
    return lambda name: np.load(f"{folder}/{name}.npy")


def run_ort(path, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    out = dict(zip(names, session.run(names, feeds)))
    return lambda name: out[name]


def check(name, model, path, cache, work):
    config = model.config.get_text_config()
    ids, mask, positions = batch(config.vocab_size)
    with torch.no_grad():
        want = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask),
                     position_ids=torch.tensor(positions)).logits.numpy()
    scale, real, errors = np.abs(want[mask > 0]).max(), mask > 0, {}
    feeds = dict(input_ids=ids, attention_mask=mask, position_ids=positions)
    if not cache:
        for engine, got in (("ort", run_ort(path, feeds)), ("hone", run_hone(path, feeds, work))):
            errors[engine] = np.abs(got("logits") - want)[real].max() / scale
        return errors
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    past = {i.name: i.shape for i in session.get_inputs() if i.name.startswith("past")}
    empty = {k: np.zeros((ROWS, s[1], 0, s[3]), np.float32) for k, s in past.items()}
    for engine, run in (("ort", run_ort), ("hone", lambda p, f: run_hone(p, f, work))):
        whole = run(path, {**feeds, **empty})("logits")
        errors[engine] = np.abs(whole - want)[real].max() / scale
        for cut in (LENGTH - 1, LENGTH - 4):
            first = dict(input_ids=ids[:, :cut], attention_mask=mask[:, :cut], position_ids=positions[:, :cut])
            got = run(path, {**first, **empty})
            kept = {k: got("present" + k[len("past_key_values"):]) for k in past}
            rest = dict(input_ids=ids[:, cut:], attention_mask=mask, position_ids=positions[:, cut:])
            step = run(path, {**rest, **kept})("logits")
            errors[engine + "-past"] = max(errors.get(engine + "-past", 0), np.abs(step - want[:, cut:]).max() / scale)
    return errors


def main():
    failed = False
    names = [n for n in CASES if not sys.argv[1:] or any(n.split("-")[0] == a or n == a for a in sys.argv[1:])]
    for name in names:
        kind, settings = CASES[name]
        stored = [(torch.float32, False)]
        if "-" not in name:
            stored += [(torch.float16, False), (torch.bfloat16, True)]
        for dtype, binary in stored:
            with tempfile.TemporaryDirectory() as tmp:
                source = f"{tmp}/source"
                label = f"{name} {str(dtype)[6:]} {'.bin' if binary else 'safetensors'}"
                try:
                    model, config = make(kind, settings, source, dtype, binary)
                    errors = {}
                    for layout in ("with-past", "no-cache"):
                        out = f"{tmp}/{layout}"
                        subprocess.run([HONE, "optimize", source, "-o", out, "--layout", layout, "-q"], check=True)
                        e = check(name, model, f"{out}/model.onnx", layout == "with-past", f"{tmp}/run")
                        errors.update({f"{layout} {k}": v for k, v in e.items()})
                except subprocess.CalledProcessError as e:
                    print(f"FAILED  {label}: {e}")
                    failed = True
                    continue
                worst = max(errors.values())
                ok = worst <= LIMIT
                failed |= not ok
                print(f"{'ok    ' if ok else 'FAILED'}  {label:40} {worst:.1e}"
                      + ("" if ok else "  " + str({k: f'{v:.1e}' for k, v in errors.items()})), flush=True)
    return failed


sys.exit(main())
