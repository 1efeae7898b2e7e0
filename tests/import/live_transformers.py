"""Imported language models against transformers: python tests/import/live_transformers.py [family ...]
Random models of every family are saved as transformers saves them and imported by `hone optimize`. Compared are scores
of a batch with left padding, in ONNX Runtime and in `hone run`, with and without past, and over a past; and 64 greedy
tokens of `hone generate`, each the best one for transformers after those before it. `--real` adds configurations of
published models. HONE names the command. Prints the largest relative error per model; exit 77 without transformers."""
import json, os, shutil, subprocess, sys, tempfile, warnings
warnings.filterwarnings("ignore")
import numpy as np
try:
    import torch, onnxruntime
    from transformers_cases import CASES, LENGTH, REAL, ROWS, batch, make
except ImportError as e:
    print("skipped:", e)
    sys.exit(77)

HONE = os.environ.get("HONE", "build/hone")
LIMIT = 1e-4
TIE = 1e-4  # of the largest score: what the best two may differ by to count as equally good
TOKENS = 64


def run_hone(path, feeds, folder, env={}):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    args = [HONE, "run", path, "-o", folder]
    for k, v in feeds.items():
        np.save(f"{folder}/in.{k}.npy", v)
        args += ["-i", f"{k}={folder}/in.{k}.npy"]
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, **env))
    return lambda name: np.load(f"{folder}/{name}.npy")


def run_ort(path, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    out = dict(zip(names, session.run(names, feeds)))
    return lambda name: out[name]


@torch.no_grad()
def run_torch(model, feeds, past=None):
    r = model(**{k: torch.tensor(v) for k, v in feeds.items()}, past_key_values=past, use_cache=True)
    return r.logits.numpy(), r.past_key_values


def forget(model):
    """Rotary positions that grew with the last text ("dynamic") start again."""
    run_torch(model, dict(input_ids=np.zeros((1, 1), np.int64), position_ids=np.zeros((1, 1), np.int64)))


def parts(feeds, cut):
    first = {k: v[:, :cut] for k, v in feeds.items()}
    rest = {k: v if k == "attention_mask" else v[:, cut:] for k, v in feeds.items()}
    return first, rest


def engines(work, env={}):
    return ("ort", run_ort), ("hone", lambda p, f: run_hone(p, f, work, env))


def check_whole(model, path, feeds, work, errors, layout, past):
    """Relative errors of the scores of all tokens that are no padding."""
    forget(model)
    want, real = run_torch(model, feeds)[0], feeds["attention_mask"] > 0
    empty = {k: np.zeros((ROWS, s[1], 0, s[3]), np.float32) for k, s in past.items()}
    for engine, run in engines(work):
        got = run(path, {**feeds, **empty})("logits")
        errors[f"{layout} {engine}"] = np.abs(got - want)[real].max() / np.abs(want[real]).max()


def check_precisions(model, source, feeds, work, tmp, kinds):
    """Both layouts in fewer bits: ONNX Runtime and hone against each other, and hone against the float model; the
    relative errors over what they may be. The products of int8 and int4 are of rounded activations, in each engine;
    those of bf16 would be so in hone alone, on the tier that has them: it is left out."""
    forget(model)
    want, real, errors = run_torch(model, feeds)[0], feeds["attention_mask"] > 0, {}
    for precision, (engines_apart, off) in kinds.items():
        for layout in ("with-past", "no-cache"):
            out = f"{tmp}/{precision}-{layout}"
            subprocess.run([HONE, "optimize", source, "-o", out, "-p", precision, "--layout", layout, "-q"], check=True)
            path = f"{out}/model.onnx"
            empty = {k: np.zeros((ROWS, s[1], 0, s[3]), np.float32) for k, s in past_shapes(path).items()}
            ort, hone = (run(path, {**feeds, **empty})("logits")[real] for _, run in engines(work, dict(HONE_ISA="avx512vnni")))
            top = np.abs(want[real]).max()
            errors[f"{precision} {layout} engines"] = LIMIT * np.abs(ort - hone).max() / top / engines_apart
            errors[f"{precision} {layout}"] = LIMIT * np.abs(hone - want[real]).max() / top / off
    return errors


def check_past(model, path, feeds, work, errors, past):
    empty = {k: np.zeros((ROWS, s[1], 0, s[3]), np.float32) for k, s in past.items()}
    for cut in (LENGTH - 1, LENGTH - 4):
        first, rest = parts(feeds, cut)
        forget(model)
        want = run_torch(model, rest, run_torch(model, first)[1])[0]
        for engine, run in engines(work):
            got = run(path, {**first, **empty})
            kept = {k: got("present" + k[len("past_key_values"):]) for k in past}
            step = run(path, {**rest, **kept})("logits")
            errors[f"past {engine} {cut}"] = np.abs(step - want).max() / np.abs(want).max()


def check_tokens(model, folder, length, end, errors):
    """How many of hone's tokens are not the best one, and not as good as it; returns how many are merely as good."""
    prompt = "".join(chr(c) for c in np.random.default_rng(3).integers(97, 123, length))
    args = [HONE, "generate", folder, "-p", prompt, "-n", str(TOKENS), "--print-tokens", "--cache", "fp32", "-q"]
    made = [int(t) for t in subprocess.run(args, check=True, capture_output=True, text=True).stdout.split()]
    forget(model)
    scores, past = run_torch(model, dict(input_ids=np.array([list(prompt.encode())])))
    wrong = ties = 0
    for i, token in enumerate(made):
        last = scores[0, -1]
        if token != last.argmax():
            worse = last.max() - last[token] > TIE * np.abs(last).max()
            wrong, ties = wrong + worse, ties + (not worse)
        if i + 1 < len(made):
            scores, past = run_torch(model, dict(input_ids=np.array([[token]])), past)
    errors["tokens"] = wrong
    if len(made) != TOKENS and made[-1:] != [end]:
        errors["tokens made"] = len(made)
    return ties


def past_shapes(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return {i.name: i.shape for i in session.get_inputs() if i.name.startswith("past")}


# Apart in the two engines, and from the float model, at most, of the largest score. (Random weights pass on errors of
# rounding that trained ones do not: how good a precision is, is measured elsewhere.)
PRECISIONS = dict(fp16=(1e-4, 3e-2), bf16=(1e-4, 2e-1), int8=(5e-2, 4e-1), int4=(1e-1, 2))


def check(kind, settings, dtype, form, published, tmp):
    model, config = make(kind, settings, f"{tmp}/source", dtype, form)
    errors, work = {}, f"{tmp}/run"
    for layout in ("with-past", "no-cache")[:1 if published else 2]:
        out = f"{tmp}/{layout}"
        subprocess.run([HONE, "optimize", f"{tmp}/source", "-o", out, "-p", "fp32", "--layout", layout, "-q"],
                       check=True)
        path = f"{out}/model.onnx"
        past = past_shapes(path)
        feeds = dict(zip(("input_ids", "attention_mask", "position_ids"), batch(config.vocab_size)))
        check_whole(model, path, feeds, work, errors, layout, past)
        if past and not published:
            check_past(model, path, feeds, work, errors, past)
        if past:
            prompt = 300 if published else 20  # longer than any window
            ties = check_tokens(model, out, prompt, config.eos_token_id, errors)
    if form == "safetensors" and not published:
        errors.update(check_precisions(model, f"{tmp}/source", feeds, work, tmp, PRECISIONS))
    return errors, ties


def main():
    wanted = [a for a in sys.argv[1:] if not a.startswith("--")]
    forms = ["safetensors-sharded", "bin", "bin-sharded", "bin-strided"]
    jobs = [(n, *CASES[n], dtype, form, False) for n in CASES for dtype, form in
            [(torch.float32, "safetensors")] + ([(d, "safetensors") for d in (torch.float16, torch.bfloat16)]
                                                + [(torch.float32, f) for f in forms]) * ("-" not in n)]
    jobs += [("gpt2", *CASES["gpt2"], d, "bin-strided", False) for d in (torch.float16, torch.bfloat16)]
    if "--real" in sys.argv:
        jobs += [(n, *REAL[n], torch.float32, "safetensors", True) for n in REAL]
    failed = 0
    for name, kind, settings, dtype, form, published in jobs:
        if wanted and name not in wanted and name.split("-")[0] not in wanted:
            continue
        label = f"{name} {str(dtype)[6:]}{' ' + form if form != 'safetensors' else ''}{' (published sizes)' * published}"
        with tempfile.TemporaryDirectory() as tmp:
            try:
                errors, ties = check(kind, settings, dtype, form, published, tmp)
            except subprocess.CalledProcessError as e:
                print(f"FAILED  {label}: {e} {e.stderr or ''}", flush=True)
                failed += 1
                continue
        worst = max(errors.values())
        bad = not worst <= LIMIT
        failed += bad
        note = f", {ties} of {TOKENS} tokens are ties" if ties else ""
        print(f"{'FAILED' if bad else 'ok    '}  {label:48} {worst:.1e}{note}"
              + ("  " + str({k: f"{v:.1e}" for k, v in errors.items() if not v <= LIMIT}) if bad else ""), flush=True)
    return failed > 0


sys.exit(main())
