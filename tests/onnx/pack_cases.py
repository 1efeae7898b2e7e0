#!/usr/bin/env python3
"""Packs small ONNX test cases that pass into one archive, which check_onnx_cases.sh runs.

Usage: pack_cases.py CASES OUT.tar.gz --hone HONE [--max-bytes N]
CASES is what make_cases.py wrote. Cases of more than N bytes and expanded function bodies are left out."""
import argparse
import glob
import gzip
import io
import os
import subprocess
import tarfile


def folder_bytes(folder):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def failing(hone, folders):
    """Names of the cases in the failure lines of `hone test`."""
    lines = subprocess.run([hone, "test", *folders], capture_output=True, text=True, check=False).stdout.splitlines()
    return {line.split(":", 1)[0] for line in lines[:-1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases")
    parser.add_argument("out")
    parser.add_argument("--hone", required=True)
    parser.add_argument("--max-bytes", type=int, default=10000)
    args = parser.parse_args()
    folders = sorted(glob.glob(os.path.join(args.cases, "*", "*")))
    folders = [f for f in folders if not f.endswith("_expanded") and "_expanded_" not in f and folder_bytes(f) <= args.max_bytes]
    bad = failing(args.hone, folders)
    kept = [f for f in folders if f not in bad]
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for folder in kept:
            for path in sorted(glob.glob(os.path.join(folder, "**"), recursive=True)):
                if not os.path.isfile(path):
                    continue
                info = tarfile.TarInfo(os.path.relpath(path, args.cases))
                info.size, info.mode = os.path.getsize(path), 0o644
                with open(path, "rb") as file:
                    archive.addfile(info, file)
    with open(args.out, "wb") as file, gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=9, mtime=0) as packed:
        packed.write(raw.getvalue())
    print(f"{len(kept)} cases, {os.path.getsize(args.out)} bytes; {len(folders) - len(kept)} small ones do not pass")


if __name__ == "__main__":
    main()
