"""The text that gpt2-nano is trained on: books in the public domain, out of packages of Debian.

bible-kjv-text  the King James Version, printed by the program of bible-kjv (which is only run, in a scratch folder)
r-cran-janeaustenr  Jane Austen's six novels as data of R, whose serialised strings are read here without R
"""
import os
import re
import struct
import subprocess
import zlib

PACKAGES = ("bible-kjv", "bible-kjv-text", "r-cran-janeaustenr")
AUSTEN = {  # first line of the book -> title
    "EMMA": "Emma", "MANSFIELD PARK": "Mansfield Park", "NORTHANGER ABBEY": "Northanger Abbey",
    "Persuasion": "Persuasion", "PRIDE AND PREJUDICE": "Pride and Prejudice",
    "SENSE AND SENSIBILITY": "Sense and Sensibility"}
HELD_BOOKS = ("Ruth", "Jonah", "Philippians", "James")  # nothing else in the Bible repeats them
HELD_CHAPTERS = {"Emma": 20, "Mansfield Park": 21, "Northanger Abbey": 11, "Persuasion": 8,
                 "Pride and Prejudice": 23, "Sense and Sensibility": 17}


def unpacked(folder):
    """Downloads the packages through apt and unpacks them into `folder`, without installing anything."""
    root = os.path.join(folder, "root")
    if not os.path.isdir(root):
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, check=True)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".deb"):
                subprocess.run(["dpkg-deb", "-x", os.path.join(folder, name), root], check=True)
    return root


def bible(root):
    """-> [(book, number, text)]: one chapter each, one verse a line, without verse numbers."""
    printed = subprocess.run([os.path.join(root, "usr/bin/bible"), "-p", os.path.join(root, "usr/lib/"), "-l100000",
                              "gen1:1-rev22:21"], check=True, capture_output=True, text=True).stdout
    chapters = []
    for line in printed.splitlines():
        verse = re.match(r" +\d+ (.+)", line)
        heading = re.fullmatch(r"(\S.*) (\d+)", line)
        if verse:
            chapters[-1][2].append(verse[1].strip())
        elif heading:
            chapters.append((heading[1], int(heading[2]), []))
        elif line.strip():
            raise ValueError(f"neither a heading nor a verse: {line!r}")
    if len(chapters) != 1189:
        raise ValueError(f"the Bible has 1189 chapters, not {len(chapters)}")
    return [(book, number, "\n".join(verses)) for book, number, verses in chapters]


def r_strings(data):
    """The strings of one character vector that R has serialised (XDR, version 3)."""
    if data[:2] != b"X\n":
        raise ValueError("not serialised by R in XDR")
    at = 14 + 4 + struct.unpack_from(">i", data, 14)[0]  # versions, then the name of the native encoding
    flags, count = struct.unpack_from(">ii", data, at)
    if flags & 0xFF != 16:
        raise ValueError(f"R type {flags & 0xFF}, expected a character vector (16)")
    at += 8
    strings = []
    for _ in range(count):
        size = max(struct.unpack_from(">i", data, at + 4)[0], 0)
        strings.append(data[at + 8:at + 8 + size].decode("utf-8"))
        at += 8 + size
    return strings


def r_database(path):
    """Each object of a lazy-load database of R: big-endian size, then a zlib stream."""
    with open(path, "rb") as file:
        data = file.read()
    while data:
        stream = zlib.decompressobj()
        yield stream.decompress(data[4:])
        data = stream.unused_data


def austen(root):
    """-> [(title, number, text)]: one chapter each, numbered through the volumes, one paragraph a line."""
    chapters = []
    for data in r_database(os.path.join(root, "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb")):
        lines = r_strings(data)
        title, number, paragraphs = AUSTEN[lines[0]], 0, None
        for line in lines + [""]:
            line = line.replace("_", "").strip()
            if re.fullmatch(r"(?i)chapter [0-9IVXL]+", line):
                number, paragraphs = number + 1, [""]
                chapters.append((title, number, paragraphs))
            elif re.match(r"(?i)volume [IVX]+$|finis$|the end$|\*? *a note on the text", line):
                paragraphs = None  # what follows is no part of a chapter
            elif paragraphs is not None and not line:
                paragraphs.append("")
            elif paragraphs is not None:
                paragraphs[-1] += " " + line
    return [(title, number, "\n".join(p.strip() for p in paragraphs if p))
            for title, number, paragraphs in chapters]


def chapters(folder):
    """-> (training, held out): lists of texts, each a chapter under its heading, in the order of the books."""
    root = unpacked(folder)
    training, held = [], []
    for book, number, text in bible(root):
        (held if book in HELD_BOOKS else training).append(f"{book} {number}\n{text}\n")
    for title, number, text in austen(root):
        (held if HELD_CHAPTERS[title] == number else training).append(f"{title}, chapter {number}\n{text}\n")
    return training, held
