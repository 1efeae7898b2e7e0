#!/usr/bin/env python3
"""hone eval --metric perplexity with zoo/gpt2-nano: transformers' figures for the same windows (live_perplexity.py stored
them), every precision near them, and texts, models and options that make no sense."""
import json, os, subprocess, sys, tempfile

hone = os.environ.get("HONE", "build/hone")
nano = "zoo/gpt2-nano"
slow = os.environ.get("HONE_SANITIZE", "") not in ("", "OFF", "0")
NEAR = {"fp32": 1e-4, "fp16": 1e-4, "bf16": 1e-3, "int8": 3e-3, "int4": 0.05}  # relative


def run(*args, text=None):
    return subprocess.run([hone, *args], input=text, capture_output=True)


def perplexity(model, path, *more, text=None):
    done = run("eval", model, path, "--metric", "perplexity", "--json", *more, text=text)
    if done.returncode:
        sys.exit(f"eval {model} {path} {more}: {done.stderr.decode()}")
    return json.loads(done.stdout)


with open(f"{nano}/heldout.txt", encoding="utf-8", newline="") as f:
    whole = f.read()
cases = [c for c in json.load(open("tests/reference/gpt2_nano_perplexity.json")) if c["characters"] or c["stride"] == 256]
if slow:  # there every run takes a hundred times as long
    cases, NEAR = cases[-1:], {p: NEAR[p] for p in ("fp32", "int8")}
with tempfile.TemporaryDirectory() as place:
    part = os.path.join(place, "text.txt")
    for precision, near in NEAR.items():
        model = os.path.join(place, precision)
        done = run("optimize", nano, "-o", model, "-p", precision, "-q")
        if done.returncode:
            sys.exit(done.stderr.decode())
        for c in cases if precision == "fp32" else cases[-1:]:
            with open(part, "w", encoding="utf-8", newline="") as f:
                f.write(whole[:c["characters"]])
            got = perplexity(model, part, "--context", str(c["context"]), "--stride", str(c["stride"]))
            if (got["tokens"], got["scored"]) != (c["tokens"], c["scored"]) or abs(got["value"] / c["perplexity"] - 1) > near:
                sys.exit(f"{precision} {c}: {got}")
    model, text = os.path.join(place, "fp32"), whole[:100 if slow else 700].encode()
    first = perplexity(model, "-", text=text)
    for more, near in ((["-t", "1"], 0), (["--cache", "fp32"], 5e-5), (["--cache", "int8"], 2e-3),
                       (["--context", "256", "--stride", "256"], 5e-5)):
        again = perplexity(model, "-", *more, text=text)
        if abs(again["value"] / first["value"] - 1) > near:
            sys.exit(f"{more}: {again} instead of {first}")
    if perplexity(os.path.join(model, "model.onnx"), "-", text=text) != first:
        sys.exit("the file is not the folder")
    done = run("eval", model, "-", "--metric", "perplexity", text=text)
    if f"perplexity {first['value']:.4f}" not in done.stdout.decode():
        sys.exit(f"{done.stdout.decode()!r} has no {first['value']}")
    keywords = os.path.join(place, "keywords.onnx")
    run("optimize", "zoo/keywords/keywords.h5", "-o", keywords, "-q")
    for what, args, given, says in (
            ("an empty text", [model, "-"], b"", "standard input: holds no text"),
            ("no UTF-8", [model, "-"], b"abc\xff", "byte 3 is not UTF-8"),
            ("a cut character", [model, "-"], "ab\u00e9".encode()[:-1], "byte 2 is not UTF-8"),
            ("one token", [model, "-"], b"e", "a text of 1 token"),
            ("no text", [model, os.path.join(place, "nowhere.txt")], None, "nowhere.txt"),
            ("a folder as text", [model, place], None, place),
            ("no language model", [keywords, "-"], text, "keywords.onnx: no language model"),
            ("a folder without a model", ["zoo/keywords", "-"], text, "model.onnx"),
            ("a folder of Hugging Face", [nano, "-"], text, "hone optimize"),
            ("a context over the model's", [model, "-", "--context", "257"], text, "at most 256"),
            ("a stride over the context", [model, "-", "--context", "16", "--stride", "17"], text, "stride of 17"),
            ("a context of one", [model, "-", "--context", "1"], text, "--context"),
            ("no stride", [model, "-", "--stride", "0"], text, "--stride")):
        done = run("eval", *args, "--metric", "perplexity", text=given)
        if done.returncode not in (1, 2) or says not in done.stderr.decode() or done.stdout:
            sys.exit(f"{what}: exit {done.returncode}, {done.stderr.decode()!r}")
    done = run("eval", keywords, "zoo/keywords/test", "--stride", "3")
    if done.returncode != 2 or b"--metric perplexity" not in done.stderr:
        sys.exit(f"a stride of accuracy: exit {done.returncode}, {done.stderr.decode()!r}")
print("ok")
