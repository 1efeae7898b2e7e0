"""hone eval --metric perplexity beside transformers: zoo/gpt2-nano in float32 on its held-out text, the same windows, to
1e-4; and the figures that tests/tools/check_perplexity.py knows. --write stores transformers' figures anew.
Usage: live_perplexity.py [--write]     (needs torch and transformers; HONE names the command)"""
import json, os, subprocess, sys, tempfile

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
nano = os.path.join(root, "zoo/gpt2-nano")
sys.path.insert(0, nano)
try:
    import perplexity
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)
REFERENCE = os.path.join(root, "tests/reference/gpt2_nano_perplexity.json")
CASES = [(None, 256, 256), (None, 256, 128), (8000, 256, 256), (8000, 100, 37), (1000, 64, 1), (8000, 2, 2), (700, 256, 256)]

model, tokenizer = perplexity.load(nano)
with open(os.path.join(nano, "heldout.txt"), encoding="utf-8", newline="") as f:
    whole = f.read()
hone, cases, worst = os.environ.get("HONE", os.path.join(root, "build/hone")), [], 0
os.environ["HONE"] = hone
with tempfile.TemporaryDirectory() as place:
    folder, part = os.path.join(place, "fp32"), os.path.join(place, "text.txt")
    subprocess.run([hone, "optimize", nano, "-o", folder, "-q"], check=True)
    for size, context, stride in CASES:
        text = whole[:size]
        with open(part, "w", encoding="utf-8", newline="") as f:
            f.write(text)
        ids = tokenizer(text, verbose=False)["input_ids"]
        value, scored = perplexity.perplexity(model, ids, context, stride)
        own = perplexity.by_hone(folder, part, context, stride)
        off = abs(own["value"] / value - 1)
        worst = max(worst, off)
        print(f"{size or len(text)} characters, context {context}, stride {stride}: {value:.5f}, hone {own['value']:.5f}")
        if off > 1e-4 or own["scored"] != scored or own["tokens"] != len(ids):
            sys.exit(f"differs by {off:.2e}, {own['scored']} of {scored} tokens scored")
        cases.append({"characters": size, "context": context, "stride": stride, "tokens": len(ids), "scored": scored,
                      "perplexity": round(value, 6)})
if "--write" in sys.argv:
    with open(REFERENCE, "w") as f:
        f.write("[\n" + ",\n".join("  " + json.dumps(c) for c in cases) + "\n]\n")
stored = json.load(open(REFERENCE))
if any(abs(a["perplexity"] / b["perplexity"] - 1) > 1e-5 or a["scored"] != b["scored"] for a, b in zip(stored, cases)) or len(stored) != len(cases):
    sys.exit("the stored figures are not transformers' any more (--write)")
print(f"{len(cases)} texts, largest difference {worst:.1e}")
