#!/usr/bin/env python3
"""The command as a user meets it: results, exit codes, messages that name file and place, nothing left behind."""
import atexit, json, os, shutil, subprocess, sys, tempfile

hone = os.path.abspath(os.environ.get("HONE", "build/hone"))
root = os.environ.get("SOURCE", os.getcwd())
zoo = os.path.join(root, "zoo/keywords")
work = tempfile.mkdtemp(prefix="hone-cli-")
failures = []
atexit.register(lambda: [print(f) for f in failures])  # also when this script itself fails


def run(*args, stdin=None, env=None, cwd=work):
    return subprocess.run([hone, *args], capture_output=True, cwd=cwd, timeout=900, input=stdin,
                          env=dict(os.environ, **(env or {})))


def check(what, truth, detail=""):
    if not truth:
        failures.append(f"{what} {detail}")


def expect(code, *args, says=(), **kw):
    r = run(*args, **kw)
    err = r.stderr.decode(errors="replace")
    check(" ".join(args)[:120], r.returncode == code, f"-> exit {r.returncode}, expected {code}: {err[:200]}")
    for s in says:
        check(" ".join(args)[:120], s in err + r.stdout.decode(errors="replace"), f"does not say '{s}': {err[:200]}")
    check(" ".join(args)[:120], not any(ord(c) < 32 and c not in "\n\t" for c in err), "echoes control characters")
    return r


def path(name):
    return os.path.join(work, name)


# the whole path
for precision in ("fp32", "fp16", "bf16", "int8", "int4"):
    expect(0, "optimize", f"{zoo}/keywords.h5", "--features", f"{zoo}/features.json", "-p", precision, "-o", path(precision + ".onnx"),
           "--report", path("report.json"), says=["optimiser state"])
    report = json.load(open(path("report.json")))
    check("report", report["import"]["optimizer_bytes_dropped"] > 500000 and report["precision"] == precision)
expect(0, "optimize", f"{zoo}/keywords.keras", "--features", f"{zoo}/features.json", "-p", "int8", "--calibrate", f"{zoo}/calibration",
       "-o", path("static.onnx"))
reference = {c["file"]: c for c in json.load(open(f"{zoo}/reference.json"))["clips"]}
names = sorted(reference)
for model, lost in (("fp32", 0), ("int8", 0), ("static", 2), ("int4", 8)):
    r = expect(0, "classify", path(model + ".onnx"), *[os.path.join(zoo, n) for n in names], "--json")
    answers = json.loads(r.stdout)
    same = sum(a["windows"][0]["labels"][0]["label"] == reference[n]["predicted"] for a, n in zip(answers, names))
    right = sum(a["windows"][0]["labels"][0]["label"] == reference[n]["label"] for a, n in zip(answers, names))
    keras = sum(c["predicted"] == c["label"] for c in reference.values())
    if model == "fp32":
        check("fp32 labels equal Keras's", same == len(names), f"only {same} of {len(names)}")
        worst = max(abs(a["windows"][0]["labels"][0]["probability"] - max(reference[n]["probabilities"])) for a, n in zip(answers, names))
        check("fp32 probabilities equal Keras's", worst < 1e-4, f"off by {worst}")
    check(f"{model} accuracy", right >= keras - lost, f"{right}, Keras {keras}")
    for tier in ("scalar", "avx2"):
        other = run("classify", path(model + ".onnx"), *[os.path.join(zoo, n) for n in names[:40]], "--json", env={"HONE_ISA": tier})
        labels = [a["windows"][0]["labels"][0]["label"] for a in json.loads(other.stdout)]
        check(f"{model} labels under {tier}", labels == [a["windows"][0]["labels"][0]["label"] for a in answers[:40]])

# the same bytes twice, with any number of threads
for n in ("1", "2"):
    expect(0, "optimize", f"{zoo}/keywords.keras", "--features", f"{zoo}/features.json", "-p", "int8", "-o", path(f"again{n}.onnx"), "-t", n,
           env={"MALLOC_PERTURB_": n})
check("reproducible", open(path("again1.onnx"), "rb").read() == open(path("again2.onnx"), "rb").read())

# standard input, windows, several kinds
clip = open(f"{zoo}/clips/yes.wav", "rb").read()
check("stdin", b"yes" in expect(0, "classify", path("int8.onnx"), "-", stdin=clip).stdout)
lines = expect(0, "classify", path("int8.onnx"), f"{zoo}/clips/commands.flac", "--hop", "0.5").stdout.decode().splitlines()
check("windows", len(lines) >= 17 and lines[1].split("\t")[1].startswith("0.50-"))
expect(0, "inspect", path("int8.onnx"), says=["ConvInteger", "hone.labels"])
info = json.loads(expect(0, "inspect", path("int8.onnx"), "--json").stdout)
check("inspect --json", info["inputs"][0]["shape"] == ["batch_size", 49, 40, 1])
expect(0, "eval", path("int8.onnx"), f"{zoo}/test", says=["accuracy"])
profile = json.loads(expect(0, "profile", path("int8.onnx"), "--repeat", "3", "--json", "--trace", path("trace.json")).stdout)
ops, nodes = profile["operators"], profile["nodes"]
check("profile counts", sum(o["nodes"] for o in ops) == len(nodes) > 3 and all(n["calls"] == 3 for n in nodes))
check("profile shares", abs(sum(o["share"] for o in ops) - 1) < 1e-3 and profile["limits"]["int8_gops"] > 0)
check("profile kernels", any(o["kernel"] == "conv int8" and o["operations"] > 1e6 and o["limit_share"] > 0 for o in ops))
events = json.load(open(path("trace.json")))["traceEvents"]
check("profile --trace", len(events) == len(nodes) and all(e["ph"] == "X" and e["dur"] >= 0 for e in events))
expect(0, "profile", path("int8.onnx"), "--repeat", "2", says=["GOP/s", "limit%", "conv int8"])
expect(1, "profile", path("int8.onnx"), "--repeat", "1", "--trace", path("no/such/folder.json"), says=["folder.json"])

# wrong usage
expect(2, says=["usage"])
expect(2, "optimise", says=["did you mean 'optimize'"])
expect(2, "run", "--nonsense", says=["--nonsense"])
expect(2, "optimize", path("fp32.onnx"), says=["-o"])
expect(2, "optimize", path("fp32.onnx"), "-o", path("x.onnx"), "-p", "int9", says=["int9", "int8"])
expect(2, "classify", path("int8.onnx"), says=["clip"])
expect(2, "classify", path("int8.onnx"), f"{zoo}/clips/yes.wav", "--top", "0", says=["--top"])
expect(1, "run", path("fp32.onnx"), "-i", "nothing=" + path("x.npy"), "-o", path("out"), says=["x.npy"])
expect(2, "run", path("fp32.onnx"), "-o", path("out"), says=["features"])
for verb, option in (("run", "threads"), ("classify", "top"), ("classify", "hop"), ("run", "max-memory"), ("bench", "repeat"),
                     ("optimize", "calibrate-samples"), ("test", "rtol")):
    for value in ("NaN", "inf", "1e999", "-1", "2147483648" if option not in ("max-memory",) else "x", "9223372036854775808", "", "x"):
        if option == "hop" and value == "2147483648":
            continue
        expect(2, verb, "m", "c", f"--{option}={value}", says=["--" + option])
r = run("classify", path("int8.onnx"), f"{zoo}/clips/yes.wav", env={"HONE_ISA": "mmx"})
check("unknown HONE_ISA", r.returncode == 2 and b"HONE_ISA" in r.stderr)

# wrong files
for name, data in (("empty.onnx", b""), ("text.onnx", b"hello world, this is no model"), ("cut.onnx", open(path("int8.onnx"), "rb").read()[:5000]),
                   ("empty.h5", b""), ("cut.h5", open(f"{zoo}/keywords.h5", "rb").read()[:50000]), ("cut.keras", open(f"{zoo}/keywords.keras", "rb").read()[:30000])):
    open(path(name), "wb").write(data)
    before = set(os.listdir(work))
    expect(2, "optimize", path(name), "-o", path("bad-out.onnx"), says=[name])
    check(name, set(os.listdir(work)) == before, "left something behind")
r = run("inspect", path("nowhere.onnx"))
check("missing file", r.returncode in (1, 2) and b"nowhere.onnx" in r.stderr)
r = run("inspect", work)
check("a folder", r.returncode in (1, 2) and work.encode() in r.stderr)
r = run("optimize", path("fp32.onnx"), "-o", work)
check("output is a folder", r.returncode == 1 and b"directory" in r.stderr)
r = run("optimize", path("fp32.onnx"), "-o", "/nowhere/x.onnx")
check("output folder is missing", r.returncode == 1 and b"/nowhere/x.onnx" in r.stderr)
shutil.copy(path("fp32.onnx"), path("self.onnx"))
expect(0, "optimize", path("self.onnx"), "-p", "int8", "-o", path("self.onnx"))
expect(0, "classify", path("self.onnx"), f"{zoo}/clips/no.flac", says=["no "])
for name, data in (("empty.wav", b""), ("noise.mp3", bytes(range(256)) * 20), ("cut.wav", clip[:1000]), ("none.wav", clip[:44])):
    open(path(name), "wb").write(data)
    r = run("classify", path("int8.onnx"), path(name))
    check(name, r.returncode in (1, 2) and name.encode() in r.stderr, r.stderr.decode()[:200])
# names that are no UTF-8; devices as outputs
open(path("odd.onnx"), "wb").write(open(path("fp32.onnx"), "rb").read().replace(b"features", b"f\xffatures"))
r = run("inspect", path("odd.onnx"), "--json")
try:
    check("names that are no UTF-8", "f\ufffdatures" in str(json.loads(r.stdout.decode("utf-8"))))
except ValueError as e:
    check("names that are no UTF-8", False, str(e))
expect(0, "optimize", path("fp32.onnx"), "-o", "/dev/null")
check("a device stays one", not os.path.isfile("/dev/null"))
expect(1, "optimize", path("fp32.onnx"), "-o", "/dev/full", says=["/dev/full"])
check("nothing temporary is left", not [n for n in os.listdir(work) if ".tmp-" in n])

shutil.rmtree(work)
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
