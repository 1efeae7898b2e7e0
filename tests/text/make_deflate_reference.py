#!/usr/bin/env python3
"""Writes deflate_sizes.txt: len(zlib.compress(text)) of texts that test_deflate_size.c makes in the same way, a line each:
kind, bytes, seed, packed bytes. usage: make_deflate_reference.py > deflate_sizes.txt"""
import zlib


def draws(seed):
    while True:
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        yield seed >> 16


def noise(d):
    while True:
        yield next(d) & 255


def words(d):
    while True:
        w = next(d) % 197
        yield from (97 + (w * (j + 3) + j * j) % 26 for j in range(1 + w % 9))
        yield 32


def letters(d):
    while True:
        yield 97 + next(d) % 2


def round_(d):
    """A unit again and again."""
    unit = [32 + next(d) % 90 for _ in range(1 + next(d) % 99)]
    while True:
        yield from unit


def skewed(d):
    """Every byte three fifths as common as the one before: long codes."""
    while True:
        at, byte, left = next(d) << 16 | next(d), 0, 1 << 32
        while byte < 40 and at < (left := left * 3 // 5):
            byte += 1
        yield byte * 37 & 255


def far(d):
    """Noise again at distances around the longest."""
    unit = [next(d) & 255 for _ in range(32500 + next(d) % 12)]
    while True:
        yield from unit


def utf8(d):
    while True:
        v = next(d)
        yield from chr((0x430 + v % 32, 0x4E00 + v % 512, 0x1F600 + v % 64, 0x61 + v % 26)[v >> 8 & 3]).encode()


def copies(d):
    text = []
    while True:
        n = 1 + next(d) % 200
        if next(d) % 2 or not text:
            new = [next(d) & 255 for _ in range(n)]
        else:
            start = (next(d) << 8) % len(text)
            new = []
            for j in range(n):
                new.append(text[start + j] if start + j < len(text) else new[start + j - len(text)])
        text += new
        yield from new


def make(kind, size, seed):
    g = kinds[kind](draws(seed))
    return bytes(next(g) for _ in range(size))


kinds = [noise, words, letters, round_, skewed, far, utf8, copies]
if __name__ == "__main__":
    for kind in range(len(kinds)):
        for seed, size in enumerate([0, 1, 2, 3, 4, 5, 9, 33, 100, 258, 259, 262, 263, 700, 2000, 16383, 16384, 40000, 100000]):
            if (kind == 0 or size > 1) and (size < 40000 or kind != 3 or size == 100000):
                print(kind, size, seed, len(zlib.compress(make(kind, size, seed))))
    for kind in (1, 5, 7):
        print(kind, 200000, 77, len(zlib.compress(make(kind, 200000, 77))))
