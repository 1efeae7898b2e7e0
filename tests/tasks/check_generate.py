#!/usr/bin/env python3
"""hone generate with zoo/gpt2-nano, from its Hugging Face folder: the tokens of transformers (float32, greedy) up to
where its two best tokens were nearly level; the same tokens in a batch, with guesses, on one thread; text that ends before
a stop string; every precision; rules for tokens; what is asked wrongly."""
import json, os, subprocess, sys, tempfile

hone = os.environ.get("HONE", "build/hone")
nano = "zoo/gpt2-nano"
slow = os.environ.get("HONE_SANITIZE", "") not in ("", "OFF", "0")  # there every run takes twenty times as long
LEVEL = 1e-3  # a margin between two logits that rounding may turn over


def run(*args, text=b""):
    return subprocess.run([hone, *args], input=text, capture_output=True)


def generate(model, prompts, *more):
    args = [x for p in prompts for x in ("-p", p)]
    done = run("generate", model, *args, "--json", "-q", *more)
    if done.returncode:
        sys.exit(f"generate {prompts} {more}: {done.stderr.decode()}")
    return json.loads(done.stdout)


def expect(what, got, want):
    if got != want:
        sys.exit(f"{what}: {got!r} instead of {want!r}")


cases = [c for c in json.load(open("tests/reference/gpt2_nano_greedy.json"))["cases"] if c.get("prompt")][:: 5 if slow else 1]
with tempfile.TemporaryDirectory() as place:
    models = {p: os.path.join(place, p) for p in ("fp32", "fp16", "int8", "int4")}
    for p, path in models.items():
        done = run("optimize", nano, "-o", path, "-p", p, "-q")
        if done.returncode:
            sys.exit(done.stderr.decode())
    count = str(len(cases[0]["next"]))
    for c in cases:
        got = generate(models["fp32"], [c["prompt"]], "-n", count, "--cache", "fp32", "--force-tokens", count)[0]
        sure = next((i for i, m in enumerate(c["margins"]) if m < LEVEL), len(c["next"]))
        expect(f"{c['prompt']!r}", got["tokens"][:sure], c["next"][:sure])
    for p, cache in [(p, "fp16") for p in models] + [("int4", "int8")]:
        few = cases[: 2 if slow else 4]
        path, args = models[p], ("-n", count, "--cache", cache)
        alone = [generate(path, [c["prompt"]], *args)[0] for c in few]
        together = generate(path, [c["prompt"] for c in few], *args)
        for c, a, b in zip(few, alone, together):
            what = f"{p}, cache {cache}, {c['prompt']!r}"
            expect(f"{what} in a batch", b, a)
            expect(f"{what} with guesses", generate(path, [c["prompt"]], *args, "--lookup", "4")[0], a)
            expect(f"{what} on a thread", generate(path, [c["prompt"]], *args, "-t", "1")[0], a)
    whole = generate(models["int8"], [cases[1]["prompt"]], "-n", count)[0]["text"]
    stop = whole[len(whole) // 2:][:5]
    expect("a stop string", generate(models["int8"], [cases[1]["prompt"]], "-n", count, "--stop", stop)[0]["text"],
           whole[:whole.index(stop)])
    draws = [generate(models["int8"], ["The king"], "-n", "20", "--temperature", "1.2", "--seed", s)[0] for s in "775"]
    expect("a seed again", draws[1], draws[0])
    if draws[2] == draws[0]:
        sys.exit("two seeds give one text")
    streamed = run("generate", models["int8"], "-f", "-", "-n", count, "-q", text=cases[1]["prompt"].encode())
    expect("standard input", streamed.stdout.decode()[:-1], whole)
    king, twenty = "The king", ("-n", "20")
    free = generate(models["int8"], [king], *twenty)[0]
    word = next(w for w in free["text"].split() if w.isalpha() and len(w) > 2)
    for beams in ("3",) if slow else ("1", "3"):
        for given in (word, " " + word):
            kept = generate(models["int8"], [king], *twenty, "--beams", beams, "--bad-words", given, "--bad-words", "zzz")
            if word in kept[0]["text"].split():
                sys.exit(f"bad word {given!r}, {beams} beams: {kept[0]['text']!r}")
        few = free["tokens"][:3]
        ids = ",".join(map(str, few))
        kept = generate(models["int8"], [king], *twenty, "--beams", beams, "--suppress-tokens", ids)[0]["tokens"]
        expect(f"suppressed tokens, {beams} beams", set(kept) & set(few), set())
        kept = generate(models["int8"], [king], *twenty, "--beams", beams, "--begin-suppress-tokens", ids)[0]["tokens"]
        expect(f"a suppressed first token, {beams} beams", kept[0] in few, False)
        kept = generate(models["int8"], [king], *twenty, "--beams", beams, "--forced-first", "77", "--forced-last", "0")
        expect(f"forced tokens, {beams} beams", kept[0]["tokens"][::19], [77, 0])
        end = ("--forced-first", "2047")  # what ends a text, but not before it may
        expect(f"an end, {beams} beams", generate(models["int8"], [king], *twenty, "--beams", beams, *end)[0]["tokens"], [2047])
        kept = generate(models["int8"], [king], *twenty, "--beams", beams, "--min-tokens", "20")[0]["tokens"]
        expect(f"a least length, {beams} beams", (len(kept), 2047 in kept), (20, False))
    with open("zoo/gpt2-nano/heldout.txt") as f:
        long = f.read(9000)
    for what, args, word in (("an empty prompt", [models["int8"], "-p", ""], "empty"),
                             ("a prompt over the context", [models["int8"], "-p", long], "at most 256"),
                             ("no tokens", [models["int8"], "-p", "x", "-n", "0"], "--tokens"),
                             ("no model", ["zoo/keywords", "-p", "x"], "model.onnx"),
                             ("no prompt", [models["int8"]], "--prompt")):
        done = run("generate", *args)
        if done.returncode not in (1, 2) or word not in done.stderr.decode():
            sys.exit(f"{what}: exit {done.returncode}, {done.stderr.decode()!r}")
    for option, *values in (("--bad-words", ""), ("--forced-first", "2048", "-1", "x"), ("--forced-last", "2048"),
                            ("--suppress-tokens", "", "1,", "1,x", "-1", "1 2", "3,2048", "9" * 30),
                            ("--begin-suppress-tokens", ",", "2048"), ("--min-tokens", "-1")):
        for value in values[-1:] if slow else values:
            done = run("generate", models["int8"], "-p", "x", option, value)
            if done.returncode != 2 or option[2:] not in done.stderr.decode():
                sys.exit(f"{option} {value!r}: exit {done.returncode}, {done.stderr.decode()!r}")
print("ok")
