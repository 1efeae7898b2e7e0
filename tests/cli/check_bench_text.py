#!/usr/bin/env python3
"""hone bench --task generate with zoo/gpt2-nano: every column of results.csv, plots, the report, a peer's figures and
notes, what is asked wrongly, and that nothing stays behind, also after Ctrl-C."""
import csv, json, os, re, shutil, signal, subprocess, sys, tempfile, time

hone = os.path.abspath(os.environ.get("HONE", "build/hone"))
nano = os.path.abspath("zoo/gpt2-nano")
COLUMNS = ("model,engine,version,precision,layout,threads,cpu,size_mb,init_ms,cold_ms,warm_ms,min_ms,max_ms,p90_ms,tokens,"
           "ms_per_token,tokens_per_s,peak_rss_mb,weights_mb,runtime_mb,quality_metric,quality,runs,note").split(",")
TEXTS = {"model", "engine", "version", "precision", "layout", "cpu", "quality_metric", "note"}
PEER = """import json, sys
line = {"engine": "fake", "threads": 2, "cpu": "x", "version": "1", "size_mb": 1, "init_ms": 3, "cold_ms": 9, "peak_rss_mb": 5}
assert sys.argv[sys.argv.index("--prompt") + 1] == "In the" and sys.argv[sys.argv.index("--tokens") + 1] == "2"
print("chatter")
print(json.dumps(dict(line, precision="a", tokens=2, times_ms=[8e6, 2e6, 4e6], note="commas, \\"quotes\\"")))
print(json.dumps({"engine": "fake", "precision": "b", "threads": 2, "note": "cannot"}))
"""
work = tempfile.mkdtemp(prefix="hone-bench-text-")
place = os.path.join(work, "temporary")
os.mkdir(place)
environment = dict(os.environ, TMPDIR=place, HONE_PEERS_PYTHON=sys.executable)
ask = ["--task", "generate", "--prompt", "In the", "-n", "2", "--repeat", "1"]


def fail(text):
    shutil.rmtree(work)
    sys.exit(text)


def bench(code, *args, says=()):
    done = subprocess.run([hone, "bench", *args], capture_output=True, text=True, cwd=work, env=environment)
    if done.returncode != code or any(s not in done.stderr + done.stdout for s in says):
        fail(f"bench {args}: exit {done.returncode}, {done.stdout!r}, {done.stderr!r}")
    if os.listdir(place):
        fail(f"bench {args}: leaves {os.listdir(place)}")
    return done


def rows(folder):
    with open(os.path.join(work, folder, "results.csv"), newline="", encoding="utf-8") as f:
        found = csv.DictReader(f)
        if found.fieldnames != COLUMNS:
            fail(f"columns {found.fieldnames}")
        return list(found)


with open(os.path.join(work, "text.txt"), "w") as f:
    f.write("In the beginning it was a very fine morning.\n")
os.mkdir(os.path.join(work, "peers"))
with open(os.path.join(work, "peers/generate_fa_ke.py"), "w") as f:
    f.write(PEER)

bench(0, nano, *ask, "--dataset", "text.txt", "-o", "all", says=["ms/token", "int4"])
found = rows("all")
if [r["precision"] for r in sorted(found, key=lambda r: float(r["size_mb"]))] != ["int4", "int8", "bf16", "fp32"]:
    fail(f"precisions {found}")
for r in found:
    empty = [c for c in COLUMNS if not r[c]]
    negative = [c for c in COLUMNS if c not in TEXTS and float(r[c] or 0) < 0]
    if empty or negative:
        fail(f"empty {empty}, negative {negative} in {r}")
    n = {c: float(r[c]) for c in COLUMNS if c not in TEXTS}
    if r["model"] != "gpt2-nano" or r["quality_metric"] != "perplexity" or not 2 < n["quality"] < 200 or n["runs"] != 3:
        fail(f"{r}")
    if not n["min_ms"] <= n["warm_ms"] <= n["max_ms"] or n["tokens"] != 2 or abs(2 * n["ms_per_token"] / n["warm_ms"] - 1) > 1e-3:
        fail(f"times of {r}")
    if not n["weights_mb"] < n["size_mb"] < n["weights_mb"] + 1 or not 0 < n["runtime_mb"] or n["peak_rss_mb"] < n["weights_mb"] / 2:
        fail(f"bytes of {r}")
for name in ("latency_plot", "memory_plot"):
    with open(os.path.join(work, "all/plots", name + ".png"), "rb") as f:
        if f.read(8) != b"\x89PNG\r\n\x1a\n" or len(f.read()) < 5000:
            fail(f"{name} is no picture")
with open(os.path.join(work, "all/report.html"), encoding="utf-8") as f:
    page = f.read()
if page.count("<svg") != 2 or "ms/token" not in page or "<th>perplexity" not in page or "<script" in page:
    fail("report.html")
if len(set(ids := re.findall(r' id="([^"]+)"', page))) != len(ids):
    fail("one name for two things in report.html")
with open(os.path.join(work, "all/results.json")) as f:
    whole = json.load(f)
if len(whole) != 4 or list(whole[0]) != COLUMNS:
    fail("results.json")

for name in ("one", "other"):
    os.mkdir(os.path.join(work, name))
    subprocess.run([hone, "optimize", nano, "-o", os.path.join(work, name, "m"), "-p", "int4", "-q"], check=True)
done = bench(0, "one/m/", "other/m", *ask, "--peers", "fa-ke", "--peers-dir", "peers", "-o", "two", "--json")
if json.loads(done.stdout) != json.load(open(os.path.join(work, "two/results.json"))):
    fail("--json is not results.json")
found = {(r["model"], r["engine"], r["precision"]): r for r in rows("two")}
if set(found) != {(m, *e) for m in ("m", "other/m") for e in (("hone", "int4"), ("fake", "a"), ("fake", "b"))}:
    fail(f"two models of one name and a peer: {set(found)}")
for r in (found["m", "fake", "a"], found["other/m", "fake", "a"]):
    if [float(r[c]) for c in ("warm_ms", "min_ms", "max_ms", "p90_ms", "ms_per_token", "runs")] != [4e6, 2e6, 8e6, 8e6, 2e6, 9]:
        fail(f"a peer's times: {r}")
if found["m", "fake", "a"]["note"] != "commas, \"quotes\"" or found["m", "fake", "b"]["note"] != "cannot" or found["m", "fake", "b"]["warm_ms"]:
    fail("a peer's notes")

bench(2, nano, "--task", "generate", says=["--prompt"])
bench(2, nano, *ask, "-n", "0", says=["--tokens"])
bench(2, nano, *ask, "--precisions", "fp32,int5", says=["int5", "int4"])
bench(2, nano, *ask, "--peers", "keras", says=["unknown peer 'keras'", "llama.cpp"])
bench(2, "nowhere", *ask, says=["nowhere"])
bench(2, nano, *ask, "--task", "generated", says=["run|generate"])
bench(1, nano, *ask, "--precisions", "int8", "-n", "300", "-o", "long", says=["256", "nothing could be measured"])
bench(1, "peers", *ask, "-o", "none", says=["model.onnx"])
bench(1, nano, *ask, "--precisions", "int8", "-o", "text.txt", says=["text.txt"])
if any(os.path.exists(os.path.join(work, n)) for n in ("bench-out", "long", "none")):
    fail(f"a failed bench leaves a folder: {os.listdir(work)}")

p = subprocess.Popen([hone, "bench", nano, *ask[:-1], "1000000", "-o", "cut"], cwd=work, env=environment, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)
deadline = time.time() + 120
while not any("int4" in n for _, folders, _ in os.walk(place) for n in folders) and time.time() < deadline:
    time.sleep(0.05)
time.sleep(1)
p.send_signal(signal.SIGTERM)
if p.wait(timeout=120) != -signal.SIGTERM or os.listdir(place) or os.path.exists(os.path.join(work, "cut")):
    fail(f"an interrupted bench: exit {p.returncode}, leaves {os.listdir(place)}, {os.listdir(work)}")
shutil.rmtree(work)
print("ok")
