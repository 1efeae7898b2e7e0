#!/usr/bin/env python3
"""Prints vad_spans.txt: what silero-vad makes of probabilities that test_vad.c makes in the same way, two lines each: seed,
count, samples, threshold, min_speech_duration_ms, min_silence_duration_ms, max_speech_duration_s, speech_pad_ms, number of
spans; then their starts and ends. Needs from PyPI: silero-vad 6.2.3. usage: make_vad_reference.py > vad_spans.txt"""
from silero_vad.utils_vad import get_speech_timestamps_from_probs


def scores(seed, count):
    """Levels that last a while."""
    out = []
    while len(out) < count:
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        length, level = 1 + (seed >> 28), (seed >> 8 & 0xFFFF) % 100
        out += [level / 100] * length
    return out[:count]


if __name__ == "__main__":
    for seed in range(60):
        count = (0, 1, 7, 60, 300, 900)[seed % 6]
        samples = count * 512 - (seed * 37 % 512 if count else 0)
        threshold = (0.5, 0.3, 0.7, 0.1)[seed // 2 % 4]
        speech, silence, pad = (250, 0, 700)[seed % 3], (100, 0, 400, 2000)[seed // 3 % 4], (30, 0, 400)[seed // 5 % 3]
        longest = (float("inf"), 3, 30, 1.5)[seed // 7 % 4]
        spans = get_speech_timestamps_from_probs(
            scores(seed, count), threshold=threshold, min_speech_duration_ms=speech, min_silence_duration_ms=silence,
            max_speech_duration_s=longest, speech_pad_ms=pad, audio_length_samples=samples)
        print(seed, count, samples, threshold, speech, silence, longest, pad, len(spans))
        print(*(v for s in spans for v in (int(s["start"]), int(s["end"]))))
