#!/usr/bin/env python3
"""The house's rules, read off the files: which room includes which, unique file names, a README per room, sizes, public
headers that compile alone as C11 and C++, and a library that cannot end the process."""
import os, re, subprocess, sys

root = os.environ.get("SOURCE", os.getcwd())
build = os.environ.get("BUILD", os.path.join(root, "build"))
bad = []


def files(*tops, ends=(".c", ".h")):
    for top in tops:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for n in sorted(names):
                if n.endswith(ends):
                    yield os.path.relpath(os.path.join(folder, n), root)


def read(path):
    return open(os.path.join(root, path), encoding="utf-8").read()


rules = {}
for line in read("tests/layers/rooms.txt").splitlines():
    if line and not line.startswith("#"):
        room, _, allowed = line.partition(":")
        rules[room] = set(allowed.split()) | {room}

for path in files("src"):
    room = path.split(os.sep)[1]
    if room not in rules:
        bad.append(f"{path}: room '{room}' is not in tests/layers/rooms.txt")
        continue
    for include in re.findall(r'^\s*#\s*include\s+"([^"]+)"', read(path), re.M):
        top = include.split("/")[0]
        if os.path.exists(os.path.join(root, os.path.dirname(path), include)):
            continue
        if top == "hone":
            continue
        if top in ("tools", "cli", "tests"):
            bad.append(f"{path}: the library includes {include}")
        elif top not in rules[room]:
            bad.append(f"{path}: room '{room}' includes {include}")
    if room == "base" and re.search(r"<(jansson|zip|hdf5|cairo|libav)", read(path)):
        bad.append(f"{path}: a library other than libc")

for path in files("cli"):
    for include in re.findall(r'^\s*#\s*include\s+"([^"]+)"', read(path), re.M):
        if include.startswith("kernels/") or include.startswith("exec/") or include.startswith("ops/"):
            bad.append(f"{path}: the command includes {include}")

seen = {}
for path in files("src", "tools", "cli", "include", "bench", "tests"):
    name = os.path.basename(path)
    if path.startswith("include") or name.endswith(".h"):
        continue
    if name in seen:
        bad.append(f"{path} and {seen[name]} have the same name")
    seen[name] = path

for path in files("src", "tools", "cli", "include"):
    text = read(path)
    if not text.startswith("/*"):
        bad.append(f"{path}: does not open with its purpose")
    if text.count("\n") > 1000 and not path.endswith("_table.h") and not path.endswith("_table.c"):
        bad.append(f"{path}: over 1,000 lines")

for top in ("src", "tools"):
    for name in sorted(os.listdir(os.path.join(root, top))):
        folder = os.path.join(root, top, name)
        if not os.path.isdir(folder) or not any(files(os.path.join(top, name))):
            continue
        readme = os.path.join(folder, "README.md")
        if not os.path.exists(readme):
            bad.append(f"{top}/{name}: no README.md")
        elif open(readme).read().count("\n") > 20:
            bad.append(f"{top}/{name}/README.md: over 20 lines")

for path in files("include"):
    for compiler, standard, language in (("cc", "-std=c11", "c"), ("c++", "-std=c++17", "c++")):
        r = subprocess.run([compiler, standard, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", language, "-I",
                            os.path.join(root, "include"), os.path.join(root, path)], capture_output=True, text=True)
        if r.returncode and "pragma once in main file" not in r.stderr:
            bad.append(f"{path} does not compile alone as {language}: {r.stderr.splitlines()[0]}")

library = os.path.join(build, "lib", "libhone.a")
if os.path.exists(library) and not os.environ.get("HONE_SANITIZE"):
    symbols = subprocess.run(["nm", "-u", library], capture_output=True, text=True).stdout
    for name in ("abort", "exit", "_exit", "__assert_fail", "printf", "puts", "putchar", "system", "popen", "execve", "fork"):
        if re.search(rf"\bU {name}$", symbols, re.M):
            bad.append(f"libhone.a refers to {name}()")

for b in bad:
    print(b)
print(f"{len(bad)} broken rules")
sys.exit(1 if bad else 0)
