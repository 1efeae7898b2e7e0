#!/usr/bin/env python3
"""Writes docs/operators.md from the table of operators, the sources of operators and kernels, and the stored test cases.

Usage: make_operators.py [--check] [--list build/tests/list_operators]
--check writes nothing: exit status 1 when docs/operators.md is not what would be written."""
import argparse
import collections
import glob
import os
import re
import subprocess
import sys
import tarfile

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TYPES = ("", "f32", "u8", "i8", "u16", "i16", "i32", "i64", "string", "bool", "f16", "f64", "u32", "u64", "c64", "c128", "bf16", "f8e4m3fn",
         "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz", "u4", "i4", "f4e2m1", "f8e8m0", "u2", "i2")
STRINGS, VALUES, SUBGRAPH = 32, 64, 8


def read(path):
    with open(os.path.join(HOME, path), encoding="utf-8") as file:
        return file.read()


def fields(data):
    """(number, value) of a protobuf message; a value is an integer or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            size = varint() if key & 7 == 2 else 8 if key & 7 == 1 else 4
            yield key >> 3, data[at:at + size]
            at += size


def first(data, number, default=b""):
    return next((v for n, v in fields(data) if n == number), default)


def types_of(graph):
    """Element types of inputs and initializers by name: ValueInfoProto.type.tensor_type.elem_type, TensorProto.data_type."""
    types = {}
    for number, value in fields(graph):
        if number == 11:
            inner = first(value, 2)
            while inner and not isinstance(first(inner, 1, 0), int):
                inner = first(inner, 1)
            types[first(value, 1)] = first(inner, 1, 0) if inner else 0
        if number == 5:
            types[first(value, 8)] = first(value, 2, 0)
    return types


def covered(archives):
    """(domain, operator) -> element types of first inputs, how many cases, opsets."""
    types, cases, opsets = collections.defaultdict(set), collections.Counter(), collections.defaultdict(set)
    for archive in archives:
        with tarfile.open(archive) as tar:
            for member in tar:
                if os.path.basename(member.name) != "model.onnx":
                    continue
                model = tar.extractfile(member).read()
                graph = first(model, 7)
                versions = {first(v, 1).decode() or "ai.onnx": first(v, 2, 0) for n, v in fields(model) if n == 8}
                known = types_of(graph)
                for number, node in fields(graph):
                    if number != 1:
                        continue
                    key = (first(node, 7).decode() or "ai.onnx", first(node, 4).decode())
                    cases[key] += 1
                    opsets[key].add(versions.get(key[0], 0))
                    for n, name in fields(node):
                        if n == 1 and known.get(name):
                            types[key].add(known[name])
                            break
    return types, cases, opsets


def lifted():
    """Operator -> opsets below which its old form is lifted."""
    rows = re.findall(r'\{"(\w+)", (\d+), \w+\}', read("src/onnx/upgrade.c"))
    result = collections.defaultdict(list)
    for op, before in rows:
        result[op].append(int(before))
    return result


def tiers_of(family):
    found = set()
    for path in glob.glob(os.path.join(HOME, "src", "kernels", family, "*.c")):
        tier = os.path.basename(path)[:-2].rsplit("_", 1)[-1]
        if tier.startswith("avx") or tier.startswith("neon"):
            found.add(tier)
    return sorted(found)


def files_of():
    """Path -> (text, kernel families)."""
    result = {}
    for path in sorted(glob.glob(os.path.join(HOME, "src", "ops", "*.[ch]"))):
        text = read(path)
        result[os.path.basename(path)] = (text, set(re.findall(r'"kernels/(\w+)/', text)))
    return result


def source_of(row, name, files):
    """The file that holds an operator's descriptor: by its symbol, else by what a macro pastes it from."""
    for pattern in (rf"\bhone__op_{row}\b", rf"\b\w+\({row},", rf"\({row}\b", rf'"{name}"'):
        for path, (text, _) in files.items():
            if path.startswith("op_") and re.search(pattern, text):
                return path
    return ""


def families_of(path, files):
    families = set(files[path][1]) if path else set()
    for header in re.findall(r'#include "(\w+\.h)"', files[path][0]) if path else []:
        if header in files:
            families |= files[header][1]
            source = header[:-2] + ".c"
            if source in files:
                families |= files[source][1]
    return sorted(families)


def table(lines):
    files, old = files_of(), lifted()
    types, cases, opsets = covered(sorted(glob.glob(os.path.join(HOME, "tests", "reference", "onnx", "*.tar.gz"))))
    domains = collections.defaultdict(list)
    for line in lines:
        row, domain, name, flags = line.split("\t")
        if domain == "hone":
            continue
        key, flags = (domain, name), int(flags)
        seen = ", ".join(TYPES[t] for t in sorted(types[key]) if 0 < t < len(TYPES))
        notes = [text for bit, text in ((STRINGS, "strings"), (VALUES, "sequences, optionals"), (SUBGRAPH, "subgraphs")) if flags & bit]
        notes += [f"forms before opset {b} are lifted" for b in old.get(name, ()) if domain == "ai.onnx"]
        span = sorted(o for o in opsets[key] if o)
        span = f"{span[0]}" + (f" to {span[-1]}" if span[-1] != span[0] else "") if span else ""
        path = source_of(row, name, files)
        domains[domain].append((name, path, seen, span, cases[key], ", ".join(families_of(path, files)), ", ".join(notes)))
    return domains


def page(lines):
    domains = table(lines)
    text = ["# Operators", "",
            "Written by `docs/make_operators.py` from `src/ops/ops.def`, the sources and the stored test cases; a test fails when this page is",
            "not up to date. **Types in cases** are the element types of the first input in the cases that `make test` runs, **opsets** those of",
            "their models, **kernels** the families of `src/kernels` that the operator's source uses (the list below says which tiers they have).",
            "", "| kernels | tiers besides scalar C |", "|---|---|"]
    for family in sorted(os.listdir(os.path.join(HOME, "src", "kernels"))):
        if os.path.isdir(os.path.join(HOME, "src", "kernels", family)):
            text.append(f"| {family} | {', '.join(tiers_of(family))} |")
    for domain, rows in sorted(domains.items()):
        text += ["", f"## {domain}: {len(rows)} operators", "", "| operator | types in cases | opsets | cases | kernels | also | source |", "|---|---|---|---|---|---|---|"]
        for name, path, seen, span, count, kernels, notes in sorted(rows):
            text.append(f"| {name} | {seen} | {span} | {count or ''} | {kernels} | {notes} | {path} |")
    text += ["", "Not known: ImageDecoder; Gradient (ai.onnx.preview.training); CastMap and DictVectorizer (ai.onnx.ml), which take maps.",
             "ZipMap (ai.onnx.ml) is lifted when a file is read: its maps are a table of scores, columns in the order of its labels."]
    return "\n".join(text) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--list", default=os.path.join(HOME, "build", "tests", "list_operators"))
    args = parser.parse_args()
    lines = subprocess.run([args.list], capture_output=True, text=True, check=True).stdout.splitlines()
    want, path = page(lines), os.path.join(HOME, "docs", "operators.md")
    if args.check:
        if not os.path.exists(path) or read("docs/operators.md") != want:
            print("docs/operators.md is not up to date: run docs/make_operators.py")
            sys.exit(1)
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write(want)


if __name__ == "__main__":
    main()
