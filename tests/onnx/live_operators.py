#!/usr/bin/env python3
"""Compares operators with ONNX Runtime on random one-node models: random shapes and options, empty batches included.

Usage: live_operators.py [--hone HONE] [--seed N] [--cases N] [--only PATTERN] [--keep DIR] [--pack OUT]
Every case runs on every instruction tier with one and two threads; integers must be equal, floats within 1e-4. --pack
writes OUT/operators/ instead, which pack_cases.py packs. Exit status 1 when a case differs."""
import argparse
import collections
import fnmatch
import os
import subprocess
import sys
import tempfile
import traceback
import zlib

import numpy as np
import onnxruntime

import random_attention
import random_floats
import random_ml
import random_old
import random_quantised
import random_search
from case_writer import MICROSOFT, Refused, Writer

TIERS = ("scalar", "avx2", None)


class Draw(Writer):
    """What a generator draws from. Its one call of add() is the case."""

    def __init__(self, out, seed):
        super().__init__(out, "operators")
        self.seed, self.why = seed, collections.defaultdict(collections.Counter)

    def start(self, op, i):
        """Each case has a generator of its own: it is the same whatever else is drawn."""
        self.random = np.random.default_rng([self.seed, zlib.crc32(op.encode()), i])
        self.name = f"{op.replace(' ', '_')}_{i}"

    def size(self, low, high):
        return int(self.random.integers(low, high + 1))

    def maybe(self, chance=0.5):
        return bool(self.random.random() < chance)

    def pick(self, *values):
        return values[self.size(0, len(values) - 1)]

    def ints(self, low, high, shape, dtype=np.int32):
        return self.random.integers(low, high, shape).astype(dtype)

    def some(self, *candidates):
        """A random set of positions: which inputs are weights."""
        return [c for c in candidates if self.maybe()]

    def half(self, array):
        return array.astype(np.float16)

    def add(self, op, inputs, outputs=1, constant=(), domain=MICROSOFT, exact=True, **attributes):
        super().add(op, inputs, outputs, constant, domain, exact, name=self.name, **attributes)


def apart(call):
    """What call() returns as text, or how it ended: ONNX Runtime crashes on some inputs, so each case has its own process."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        try:
            text = call()
        except BaseException:
            text = "!" + traceback.format_exc()
        os.write(write, text.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8", errors="replace") as pipe:
        text = pipe.read()
    status = os.waitpid(child, 0)[1]
    if text.startswith("!"):
        raise RuntimeError(text[1:])
    return text if not status else f"crashes with status {status}"


def generate(draw, cases, only):
    for module in (random_floats, random_quantised, random_attention, random_search, random_ml, random_old):
        asked = {k: v for k, v in getattr(module, "REFUSED", {}).items() if k == only}
        for op, generator in (module.GENERATORS | asked).items():
            if not fnmatch.fnmatch(op, only) and module.__name__ != only:
                continue
            for i in range(cases):
                def case(generator=generator):
                    try:
                        generator(draw)
                    except Refused as error:
                        return str(error)[:300].replace("\n", " ") or "refused"
                    return ""
                draw.start(op, i)
                why = apart(case)
                if why:
                    draw.why[op][why] += 1


def compare(hone, folders, tier, threads):
    """Lines of the cases that differ."""
    environment = dict(os.environ)
    environment.pop("HONE_ISA", None)
    if tier:
        environment["HONE_ISA"] = tier
    result = subprocess.run([hone, "test", "--threads", str(threads), *folders], env=environment, capture_output=True, text=True, check=False)
    lines = result.stdout.splitlines()
    if result.returncode not in (0, 1) or not lines:
        return [f"hone test ended with {result.returncode}: {result.stderr.strip()}"]
    return lines[:-1] if result.returncode else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hone", default=os.environ.get("HONE", "build/hone"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=24, help="per operator")
    parser.add_argument("--only", default="*", help="operators, as a shell pattern, or a generator's file such as random_ml")
    parser.add_argument("--keep", help="folder for the cases")
    parser.add_argument("--pack", metavar="OUT", help="write OUT/operators/ and stop")
    parser.add_argument("--verbose", action="store_true", help="every difference, and what ONNX Runtime refuses")
    args = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    with tempfile.TemporaryDirectory() as temporary:
        draw = Draw(args.pack or args.keep or temporary, args.seed)
        generate(draw, args.cases, args.only)
        folders = sorted(os.path.join(draw.out, name) for name in os.listdir(draw.out))
        bad = {} if args.pack else {(t, n): compare(args.hone, folders, t, n) for t in TIERS for n in (1, 2)}
    print(f"{len(folders)} cases")
    if args.verbose:
        for op, reasons in draw.why.items():
            for reason, count in reasons.most_common():
                print(f"  {op}: ONNX Runtime refuses {count}: {reason}")
    failed = collections.defaultdict(set)
    for (tier, threads), lines in bad.items():
        for line in lines:
            name, _, reason = os.path.relpath(line, draw.out).partition(": ")
            failed[name].add((reason, tier or "best", threads))
    for name, reasons in sorted(failed.items()):
        reason, tier, threads = sorted(reasons)[0]
        print(f"{name}: {reason} ({tier}, {threads} threads; {len(reasons)} of {2 * len(TIERS)} runs)")
    silent = [op for op, reasons in draw.why.items() if sum(reasons.values()) > args.cases * 2 // 3]
    for op in silent:
        print(f"{op}: ONNX Runtime refuses {sum(draw.why[op].values())} of {args.cases} cases")
    print(f"{len(folders) - len(failed)} cases agree, {len(failed)} differ")
    sys.exit(1 if failed or silent else 0)


if __name__ == "__main__":
    main()
