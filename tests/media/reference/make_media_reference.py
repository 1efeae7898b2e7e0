"""Writes decoded.bin and keywords_features.bin beside this file: libsndfile's reading of zoo/keywords/clips and the
recipe's features of three held-out clips.

Needs from PyPI: numpy soundfile.
decoded.bin: per clip u32 length and bytes of the name, u32 samples, 64 float32 values at i * samples / 64.
keywords_features.bin: per clip u32 length and bytes of the name, u32 count, float32 values, normalised.
"""
import json
import os
import struct
import sys

import numpy as np
import soundfile

HERE = os.path.dirname(os.path.abspath(__file__))
ZOO = os.path.join(HERE, "..", "..", "..", "zoo", "keywords")
sys.path.insert(0, ZOO)
sys.dont_write_bytecode = True
import keyword_features


def name_of(path):
    return struct.pack("<I", len(path)) + path.encode()


with open(os.path.join(HERE, "decoded.bin"), "wb") as f:
    for name in ("yes.wav", "no.flac", "seven.ogg", "stop.mp3", "commands.flac"):
        samples, rate = soundfile.read(os.path.join(ZOO, "clips", name))
        assert rate == 16000 and samples.ndim == 1
        at = np.arange(64) * len(samples) // 64
        f.write(name_of("clips/" + name) + struct.pack("<I", len(samples)) + samples[at].astype("<f4").tobytes())

with open(os.path.join(ZOO, "features.json")) as f:
    settings = json.load(f)
with open(os.path.join(HERE, "keywords_features.bin"), "wb") as f:
    for name in ("test/yes/3.flac", "test/silence/1.flac", "test/seven/8.flac"):
        samples, rate = soundfile.read(os.path.join(ZOO, name))
        values = (keyword_features.log_mel(samples[None])[0].astype(np.float64) - settings["mean"]) / settings["std"]
        f.write(name_of(name) + struct.pack("<I", values.size) + values.astype("<f4").tobytes())
