#!/usr/bin/env python3
"""What a new user does wrong: each mistake is named with its place and what would work, nothing half-written stays, and
Ctrl-C ends what would not end by itself (tests/cli/endless.onnx: a Loop of 2^62 rounds)."""
import os, resource, struct, subprocess
from command import expect, failures, hone, interrupted, report, root


def npy(name, kind, shape, data):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind, shape)
    head += " " * (-(len(head) + 11) % 64) + "\n"
    open(name, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data)


# y = x + sum, next_sum = y; and the same file with an operator that nobody knows, and from the future
model = open(f"{root}/tests/fuzz/corpus/onnx/running_sum.onnx", "rb").read()
open("sum.onnx", "wb").write(model)
open("unknown.onnx", "wb").write(model.replace(b"Identity", b"Identitz"))
opset = b"\x42\x04\x0a\x00\x10"
assert model.count(opset) == 1
open("future.onnx", "wb").write(model.replace(opset + b"\x15", opset + b"\x63"))
npy("x.npy", "<f4", "(2,)", struct.pack("<2f", 1, 2))
npy("three.npy", "<f4", "(3,)", struct.pack("<3f", 1, 2, 3))
npy("square.npy", "<f4", "(2, 2)", struct.pack("<4f", 1, 2, 3, 4))
npy("whole.npy", "<i8", "(2,)", struct.pack("<2q", 1, 2))
npy("object.npy", "|O", "(2,)", b"N.N.")
open("cut.npy", "wb").write(open("x.npy", "rb").read()[:-3])
os.mkdir("empty")
good = ["-i", "x=x.npy", "-i", "sum=x.npy"]

# slips of the hand
expect(2, "--hepl", says=["--hepl", "--help"])
expect(2, "-v", says=["-v"])
expect(2, "xx", says=["xx", "--help"])
expect(2, "run", "--treads", "2", says=["did you mean '--threads'"])
expect(2, "optimize", "--precison=int8", "sum.onnx", "-o", "y.onnx", says=["did you mean '--precision'"])
expect(2, "run", "--zzz", says=["--zzz", "hone run --help"])
expect(2, "bench", "sum.onnx", "--peers", "onxruntime", says=["onxruntime", "keras,tflite,onnxruntime,openvino"])

# models that no verb can use
for verb, more in (("inspect", []), ("run", [*good, "-o", "out"]), ("optimize", ["-o", "out.onnx"]), ("profile", []), ("compare", ["sum.onnx"]),
                   ("classify", ["x.npy"]), ("eval", ["empty"])):
    expect(2, verb, "unknown.onnx", *more, says=["unknown.onnx", "Identitz", "Identity"])
    expect(2, verb, "future.onnx", *more, says=["future.onnx", "opset 99", "28"])
    expect(2, verb, "x.npy", *more, says=["x.npy", "not an ONNX model"])
    for path, why in (("/dev/zero", "not a regular file"), (".", "directory"), ("nowhere.onnx", "No such file")):
        expect(1, verb, path, *more, says=[path, why])
expect(1, "bench", "unknown.onnx", "-o", "bench", says=["unknown.onnx", "Identitz", "nothing could be measured"])

open("pointer.onnx", "w").write("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
open("page.keras", "w").write("<!DOCTYPE html>\n")
open("list.onnx", "w").write("root:*:19000:0:99999:7:::\n" * 9)
for verb, more in (("inspect", []), ("optimize", ["-o", "out.onnx"])):
    expect(2, verb, "pointer.onnx", *more, says=["pointer.onnx", "git lfs pull"])
    expect(2, verb, "page.keras", *more, says=["page.keras", "neither HDF5 nor an archive"])
    expect(2, verb, "list.onnx", *more, says=["list.onnx", "not an ONNX model"])
    expect(1, verb, "empty", *more, says=["empty", "directory without model.onnx"])

# inputs of a run
open("text.npy", "w").write("1 2 3\n")
expect(2, "run", "sum.onnx", "-i", "x=x.npy", "-i", "sum=text.npy", "-o", "out", says=["text.npy", ".npy, .npz or .pb"])
expect(2, "run", "sum.onnx", "-i", "x=x.npy", "-o", "out", says=["'sum' is missing", "float32"])
expect(2, "run", "sum.onnx", *good, "-i", "x=x.npy", "-o", "out", says=["'x' is given twice"])
expect(2, "run", "sum.onnx", "-i", "X=x.npy", "-o", "out", says=["no input 'X'", "'x'", "'sum'"])
expect(2, "run", "sum.onnx", "-i", "x=", "-o", "out", says=["x=", "NAME=FILE"])
for name, says in (("three", "[3]"), ("square", "[2, 2]"), ("whole", "int64"), ("object", "'|O'"), ("cut", "cut.npy")):
    expect(2, "run", "sum.onnx", "-i", "x=x.npy", "-i", f"sum={name}.npy", "-o", "out", says=[says, "sum.onnx" if name not in ("object", "cut") else name])
expect(1, "run", "sum.onnx", "-i", "x=nowhere.npy", "-o", "out", says=["nowhere.npy"])
expect(1, "run", "sum.onnx", "-i", "x=/dev/zero", "-o", "out", says=["/dev/zero"])
expect(1, "run", "sum.onnx", *good, "--max-memory", "7", "-o", "out", says=["sum.onnx", "limit is 7"])
expect(2, "profile", "sum.onnx", "-i", "x=square.npy", "--repeat", "1", says=["sum.onnx", "[2, 2]"])
expect(2, "compare", "sum.onnx", "sum.onnx", "-i", "x=square.npy", says=["sum.onnx, sum.onnx", "first model", "[2, 2]"])

# places that cannot be written
expect(1, "run", "sum.onnx", *good, "-o", "x.npy", says=["x.npy"])
expect(2, "run", "sum.onnx", *good, "-o", "no/such/folder", says=["no/such/folder"])
os.makedirs("taken/next_sum.npy")
expect(1, "run", "sum.onnx", *good, "-o", "taken", says=["next_sum.npy"])
if os.listdir("taken") != ["next_sum.npy"]:
    failures.append("a run that failed leaves an output")
small = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))}  # a full disk
expect(1, "run", "sum.onnx", *good, "-o", "out", says=["out/y.npy"], **small)
expect(1, "optimize", "sum.onnx", "-o", "out.onnx", says=["out.onnx"], **small)
expect(1, "optimize", "sum.onnx", "-o", "out.onnx", "--report", "no/report.json", says=["no/report.json"])
expect(1, "bench", "sum.onnx", "-o", "x.npy", says=["x.npy"])
expect(2, "optimize", "sum.onnx", "--calibrate", "empty", "-p", "int8", "-o", "out.onnx", says=["empty"])
expect(0, "optimize", "sum.onnx", "--calibrate", "x.npy", "-p", "int8", "-o", "out.onnx", says=["data of --calibrate are not read"], leaves=["out.onnx"])
os.remove("out.onnx")
for args in (["inspect", "sum.onnx"], ["--help"], ["run", "--help"]):
    with open("/dev/full", "w") as full:
        p = subprocess.run([hone, *args], stdout=full, stderr=subprocess.PIPE)
    if p.returncode != 1 or b"No space left" not in p.stderr:
        failures.append(f"{args} to a full disk: exit {p.returncode}, {p.stderr[:200]}")
    closed, end = os.pipe()
    os.close(closed)
    p = subprocess.run([hone, *args], stdout=end, stderr=subprocess.PIPE)
    os.close(end)
    if p.returncode not in (0, 1) or p.stderr:
        failures.append(f"{args} to a closed pipe: exit {p.returncode}, {p.stderr[:200]}")

# Ctrl-C
npy("one.npy", "<f4", "(1,)", struct.pack("<f", 1))
endless = f"{root}/tests/cli/endless.onnx"
interrupted("run", endless, "-i", "x=one.npy", "-o", "out")
interrupted("run", endless, "-i", "x=one.npy", "-o", "out", "--plain")
interrupted("profile", endless)
interrupted("compare", endless, endless)
interrupted("bench", endless, "-o", "bench", leaves=["bench"])
report()
