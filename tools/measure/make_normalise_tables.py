#!/usr/bin/env python3
"""Writes normalise_unicode_table.c from Python's unicodedata and normalise_spelling_table.c from english.json of
openai/whisper (MIT licence, Copyright (c) 2022 OpenAI; the list itself is that of tysto.com): python3
make_normalise_tables.py english.json"""
import json, os, sys, unicodedata

here = os.path.dirname(os.path.abspath(__file__))
LIMIT = 0x110000
HANGUL = range(0xAC00, 0xD7A4)


def kind(c):
    category = unicodedata.category(chr(c))
    return "M" if category == "Mn" else "S" if category[0] in "MSP" else ""


ranges, start = [], 0
for c in range(1, LIMIT + 1):
    if c == LIMIT or kind(c) != kind(start):
        if kind(start):
            ranges.append((start, c - 1, kind(start)))
        start = c

parts, texts, places = [], [], {}
for c in range(LIMIT):
    whole = unicodedata.normalize("NFKD", chr(c)) if c not in HANGUL and not 0xD800 <= c < 0xE000 else chr(c)
    if whole == chr(c):
        continue
    if whole not in places:
        places[whole] = len(texts)
        texts.extend(map(ord, whole))
    parts.append((c, places[whole], len(whole)))


def lines(items, per):
    return "".join("    " + " ".join(items[i:i + per]) + "\n" for i in range(0, len(items), per))


with open(os.path.join(here, "normalise_unicode_table.c"), "w") as f:
    f.write(f"/* normalise_unicode_table.c: categories and compatibility decompositions of Unicode {unicodedata.unidata_version}; written by\n"
            " * make_normalise_tables.py. */\n#include \"normalise_parts.h\"\n\n/* clang-format off */\n"
            "/* First, last, and whether the category is Mn; the others are M, S and P. */\n"
            "const hone__symbol_range hone__symbol_ranges[] = {\n")
    f.write(lines([f"{{{a},{b},{int(k == 'M')}}}," for a, b, k in ranges], 6))
    f.write("};\nconst size_t hone__symbol_range_count = sizeof hone__symbol_ranges / sizeof *hone__symbol_ranges;\n\n"
            "/* Code point, where its decomposition begins, and how long that is. */\nconst hone__decomposition hone__decompositions[] = {\n")
    f.write(lines([f"{{{c},{p},{n}}}," for c, p, n in parts], 8))
    f.write("};\nconst size_t hone__decomposition_count = sizeof hone__decompositions / sizeof *hone__decompositions;\n\n"
            "const uint32_t hone__decomposed[] = {\n")
    f.write(lines([f"{c}," for c in texts], 20))
    f.write("};\n/* clang-format on */\n")

spelling = sorted((a, b) for a, b in json.load(open(sys.argv[1])).items() if " " not in a)
assert all(a.isascii() and b.isascii() for a, b in spelling)
with open(os.path.join(here, "normalise_spelling_table.c"), "w") as f:
    f.write("/* normalise_spelling_table.c: British spellings and the American ones, in the order of strcmp; written by\n"
            " * make_normalise_tables.py from english.json of openai/whisper (MIT licence, Copyright (c) 2022 OpenAI). */\n"
            "#include \"normalise_parts.h\"\n\n/* clang-format off */\nconst char *const hone__spellings[][2] = {\n")
    f.write(lines([f'{{"{a}","{b}"}},' for a, b in spelling], 3))
    f.write("};\n/* clang-format on */\nconst size_t hone__spelling_count = sizeof hone__spellings / sizeof *hone__spellings;\n")
