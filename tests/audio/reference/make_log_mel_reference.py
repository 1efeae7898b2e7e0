#!/usr/bin/env python3
"""Writes log_mel.bin beside this file: openai-whisper's log_mel_spectrogram of the signal of audio_signal.h, silence
behind it, float32 [80][FRAMES], then [128][FRAMES]. Needs from PyPI: numpy torch openai-whisper."""
import os
import numpy as np
import torch
import whisper

N, FRAMES = 6100, 40


def signal(n):
    out, seed, phase, step = np.empty(n, np.float32), 12345, 0, 300
    for i in range(n):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        phase = (phase + step) & 0xFFFF
        step += 1 + (i & 1)
        triangle = phase - 16384 if phase < 32768 else 49152 - phase
        out[i] = ((triangle * (256 - (i * 3 & 255)) >> 8) + ((seed >> 16) - 32768 >> 6)) / 32768
    return out


if __name__ == "__main__":
    sound = torch.from_numpy(signal(N))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "log_mel.bin"), "wb") as f:
        for mels in (80, 128):
            f.write(whisper.log_mel_spectrogram(sound, mels, padding=4000)[:, :FRAMES].numpy().tobytes())
