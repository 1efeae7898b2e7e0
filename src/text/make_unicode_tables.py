#!/usr/bin/env python3
"""Writes unicode_classes.c and unicode_nfc.c.

Classes are those of the Unicode version of Python's unicodedata (or of unicodedata2, where installed): 16.0 is what the
regular expressions of published tokenizers are matched with. Normalisation knows the characters of Unicode 9.0 and
earlier, as the tokenizers library does: ids must be the ones that a model was trained with. Ages come from
DerivedAge.txt (Debian: unicode-data).

Usage: make_unicode_tables.py [DerivedAge.txt]"""
import os, sys

try:
    import unicodedata2 as U
except ImportError:
    import unicodedata as U

here = os.path.dirname(os.path.abspath(__file__))
LIMIT = 0x32400  # letters and numbers end below
SPACES = {0x9, 0xA, 0xB, 0xC, 0xD, 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
KIND = {"Lu": 2, "Lt": 2, "Ll": 3, "Lm": 4, "Lo": 4, "Mn": 5, "Mc": 5, "Me": 5, "Nd": 6, "Nl": 6, "No": 6}


def old_characters(path):
    old = set()
    for line in open(path, encoding="utf-8"):
        fields = line.split("#")[0].split(";")
        if len(fields) == 2 and float(fields[1]) <= 9.0:
            first, _, last = fields[0].strip().partition("..")
            old.update(range(int(first, 16), int(last or first, 16) + 1))
    return old


def hangul(c):
    return 0xAC00 <= c <= 0xD7A3


def rows(items, width):
    return "\n".join("    " + " ".join(items[i:i + width]) for i in range(0, len(items), width))


def write(name, text):
    with open(os.path.join(here, name), "w", encoding="utf-8") as f:
        f.write(text)


old = old_characters(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/unicode/DerivedAge.txt")
everything = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
split, ccc = {}, {}
for c in everything:
    if c not in old:
        continue
    if U.combining(chr(c)):
        ccc[c] = U.combining(chr(c))
    d = U.decomposition(chr(c))
    if d and d[0] != "<" and not hangul(c):
        parts = [int(x, 16) for x in d.split()]
        split[c] = (parts[0], parts[1] if len(parts) > 1 else 0)
joined = {p: c for c, p in split.items() if p[1] and U.normalize("NFC", chr(c)) == chr(c)}
care = set(ccc) | {p[1] for p in joined} | set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
care |= {c for c in split if U.normalize("NFC", chr(c)) != chr(c)}
assert max(care) < LIMIT

blocks, index = [], []
for base in range(0, LIMIT, 256):
    block = []
    for c in range(base, base + 256):
        kind = 0 if 0xD800 <= c < 0xE000 else 1 if c in SPACES else KIND.get(U.category(chr(c)), 0)
        block.append(kind | (8 if c in care else 0))
    words = tuple(sum(block[16 * k + i] << 4 * i for i in range(16)) for k in range(16))
    if words not in blocks:
        blocks.append(words)
    index.append(blocks.index(words))
assert len(blocks) <= 256
for c in range(LIMIT, 0x110000):
    assert KIND.get(U.category(chr(c)), 0) == (5 if 0xE0100 <= c <= 0xE01EF else 0), hex(c)

# \w of regular expressions beyond letters, marks and digits: connectors, joiners, letter-like symbols and numbers
word = sorted(c for c in everything if U.category(chr(c)) in ("Nd", "Nl", "Pc")) + [0x200C, 0x200D]
word += [*range(0x24B6, 0x24EA), *range(0x1F130, 0x1F14A), *range(0x1F150, 0x1F16A), *range(0x1F170, 0x1F18A)]
ranges = []
for c in sorted(word):
    if ranges and ranges[-1][1] == c - 1:
        ranges[-1][1] = c
    else:
        ranges.append([c, c])

write("unicode_classes.c", f"""/* unicode_classes.c: the class of every code point (Unicode {U.unidata_version}) and whether NFC must look at it.
 * Written by make_unicode_tables.py. */
#include "unicode.h"

/* One block of 256 code points, 4 bits each, per entry. */
const uint8_t hone__unicode_index[HONE__UNICODE_LIMIT / 256] = {{
{rows([f"{i}," for i in index], 24)}
}};

const uint64_t hone__unicode_blocks[][16] = {{
{chr(10).join("    {" + ("," + chr(10) + "     ").join(", ".join(f"{w:#x}" for w in b[i:i + 5]) for i in range(0, 16, 5)) + "}," for b in blocks)}
}};

const uint8_t hone__ascii_classes[128] = {{
{rows([f"{blocks[0][c // 16] >> c % 16 * 4 & 7}," for c in range(128)], 32)}
}};

/* Besides letters and marks, what a word holds. */
const hone__code_range hone__unicode_word[] = {{
{rows([f"{{{a:#x}, {b:#x}}}," for a, b in ranges], 5)}
}};
const size_t hone__unicode_word_count = sizeof hone__unicode_word / sizeof *hone__unicode_word;
""")

runs = []
for c in sorted(ccc):
    if runs and runs[-1][1] == c - 1 and runs[-1][2] == ccc[c]:
        runs[-1][1] = c
    else:
        runs.append([c, c, ccc[c]])
write("unicode_nfc.c", f"""/* unicode_nfc.c: canonical combining classes, decompositions and compositions of the characters of Unicode 9.0.
 * Written by make_unicode_tables.py. */
#include "unicode.h"

const hone__code_class hone__nfc_classes[] = {{
{rows([f"{{{a:#x}, {b:#x}, {k}}}," for a, b, k in runs], 5)}
}};
const size_t hone__nfc_class_count = sizeof hone__nfc_classes / sizeof *hone__nfc_classes;

/* {{whole, first, second}}, by whole; second is 0 where there is one part only. */
const uint32_t hone__nfc_parts[][3] = {{
{rows([f"{{{c:#x}, {p[0]:#x}, {p[1]:#x}}}," for c, p in sorted(split.items())], 4)}
}};
const size_t hone__nfc_part_count = sizeof hone__nfc_parts / sizeof *hone__nfc_parts;

/* {{first, second, whole}}, by first, then second */
const uint32_t hone__nfc_wholes[][3] = {{
{rows([f"{{{p[0]:#x}, {p[1]:#x}, {c:#x}}}," for p, c in sorted(joined.items())], 4)}
}};
const size_t hone__nfc_whole_count = sizeof hone__nfc_wholes / sizeof *hone__nfc_wholes;
""")
