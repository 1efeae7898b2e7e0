"""Writes features.bin and resampled.bin beside this file: what librosa, Keras, TensorFlow and soxr make of one signal.

Needs from PyPI: numpy librosa soxr keras tensorflow-cpu. The signal is made of integers, so that C makes the same.
features.bin holds, per case: u32 length and bytes of the name, of the `hone.features` text, u32 count, float32 values.
"""
import os
import struct

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import librosa
import numpy as np
import soxr
import tensorflow as tf

HERE = os.path.dirname(os.path.abspath(__file__))
N = 4000


def signal(n):
    """A rising triangle wave under a sawtooth envelope, and noise; tests/audio/audio_signal.h is its twin."""
    out, seed, phase, step = np.empty(n), 12345, 0, 300
    for i in range(n):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        noise = (seed >> 16) - 32768
        phase = (phase + step) & 0xFFFF
        step += 1 + (i & 1)
        triangle = phase - 16384 if phase < 32768 else 49152 - phase
        envelope = 256 - (i * 3 & 255)
        out[i] = ((triangle * envelope >> 8) + (noise >> 6)) / 32768
    return out


def text(**keys):
    return "".join(f"{k}={v}\n" for k, v in keys.items())


def librosa_cases(y):
    mel = librosa.feature.melspectrogram
    base = dict(sample_rate=16000, clip_samples=N)
    s = mel(y=y, sr=16000, n_fft=512, hop_length=200, n_mels=40, fmin=0, fmax=8000, pad_mode="constant")
    yield ("librosa, slaney, db against the largest", text(
        **base, frame_length=512, hop_length=200, fft_length=512, pad="zero", mels=40, mel_scale="slaney",
        mel_norm="slaney", log="db", log_ref="max", log_range=80, layout="mels_frames"),
        librosa.power_to_db(s, ref=np.max, amin=1e-10, top_db=80))
    s = mel(y=y, sr=16000, n_fft=512, win_length=400, hop_length=160, window="hamming", n_mels=64, fmin=60, fmax=7600,
            htk=True, norm=None, pad_mode="reflect", power=1.0)
    yield ("librosa, htk, magnitude, short window", text(
        **base, frame_length=400, hop_length=160, fft_length=512, window="hamming", pad="reflect", power=1, mels=64,
        fmin=60, fmax=7600, log="natural", log_floor=1e-5, layout="frames_mels"), np.log(np.maximum(s, 1e-5)).T)
    s = mel(y=y, sr=16000, n_fft=441, hop_length=220, window=("blackman", ), n_mels=20, center=False, fmin=0, fmax=8000,
            norm="slaney")
    yield ("librosa, odd length, not centred, no log", text(
        **base, frame_length=441, hop_length=220, fft_length=441, window="blackman", pad="none", mels=20,
        mel_scale="slaney", mel_norm="slaney", log="none"), s.T)
    m = librosa.feature.mfcc(y=y, sr=16000, n_mfcc=20, n_fft=400, hop_length=160, n_mels=40, lifter=22,
                             pad_mode="edge", fmax=8000)
    yield ("librosa, mfcc with lifter", text(
        **base, kind="mfcc", frame_length=400, hop_length=160, fft_length=400, pad="edge", mels=40, mel_scale="slaney",
        mel_norm="slaney", log="db", log_range=80, n_mfcc=20, lifter=22, layout="mels_frames"), m)


def whisper_case(y):
    """openai-whisper's log_mel_spectrogram: filters as librosa's, the last frame dropped, eight decades."""
    spectrum = np.abs(librosa.stft(y, n_fft=400, hop_length=160, pad_mode="reflect")[:, :-1]) ** 2
    filters = librosa.filters.mel(sr=16000, n_fft=400, n_mels=80, dtype=np.float64)
    log = np.log10(np.maximum(filters @ spectrum, 1e-10))
    yield ("openai-whisper", text(
        clip_samples=N, frame_length=400, hop_length=160, fft_length=400, pad="reflect", drop_last_frame=1, mels=80,
        mel_scale="slaney", mel_norm="slaney", log="log10", log_range=8, mean=-4, std=4, layout="mels_frames"),
        (np.maximum(log, log.max() - 8) + 4) / 4)


def keras_cases(y):
    layer = keras.layers.MelSpectrogram(fft_length=512, sequence_stride=160, sequence_length=400, num_mel_bins=32,
                                        min_freq=50, max_freq=7000, dtype="float64",
                                        ref_power=np.float64(1))
    yield ("keras MelSpectrogram", text(
        clip_samples=N, frame_length=400, hop_length=160, fft_length=512, pad="reflect", mels=32, fmin=50, fmax=7000,
        mel_triangle="mel", log="db", log_range=80, layout="mels_frames", channel_axis="last"),
        np.asarray(layer(y[None]))[0])
    layer = keras.layers.MelSpectrogram(fft_length=256, sequence_stride=128, window="hamming", num_mel_bins=16,
                                        mag_exp=1.5, min_power=1e-6, ref_power=np.float64(0.5), top_db=40,
                                        dtype="float64")
    yield ("keras MelSpectrogram, odd exponent", text(
        clip_samples=N, frame_length=256, hop_length=128, fft_length=256, window="hamming", pad="reflect", power=1.5,
        mels=16, fmin=20, fmax=8000, mel_triangle="mel", log="db", log_floor=1e-6, log_ref=0.5, log_range=40,
        layout="mels_frames"), np.asarray(layer(y[None]))[0])


def tensorflow_cases(y):
    """MFCC as in the keyword spotting examples: tf.signal, the window at the left of the transform."""
    for pad in (False, True):
        s = tf.abs(tf.signal.stft(y, 480, 320, 512, pad_end=pad))
        matrix = tf.signal.linear_to_mel_weight_matrix(40, 257, 16000, 20.0, 4000.0, dtype=tf.float64)
        log = tf.math.log(tf.tensordot(s, matrix, 1) + 1e-6)
        m = tf.signal.mfccs_from_log_mel_spectrograms(log)[..., :10]
        yield ("tensorflow mfcc" + (", padded end" if pad else ""), text(
            clip_samples=N, kind="mfcc", frame_length=480, hop_length=320, fft_length=512, frame_align="left",
            pad="end" if pad else "none", power=1, mels=40, fmin=20, fmax=4000, mel_triangle="mel", log="natural",
            log_floor=0, log_offset=1e-6, n_mfcc=10, dct_norm="htk"), m.numpy())


def spectrogram_case(y):
    """The spectrogram of TensorFlow's tutorial on simple audio recognition. Its windows of odd length are symmetric."""
    s = tf.abs(tf.signal.stft(y, frame_length=255, frame_step=128))
    yield ("tensorflow spectrogram", text(
        clip_samples=N, kind="spectrogram", frame_length=255, hop_length=128, fft_length=256, frame_align="left",
        window_periodic=0, power=1, log="none", channel_axis="last"), s.numpy())


def own_cases(y):
    """What has no reference elsewhere, by its definition in NumPy."""
    emphasised = y * 32768 - 0.97 * np.concatenate([[0], y[:-1] * 32768])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, 400)[::160] * window
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    filters = librosa.filters.mel(sr=16000, n_fft=512, n_mels=23, fmin=20, fmax=8000, htk=True, norm=None,
                                  dtype=np.float64)
    mean, std = np.arange(23) / 4, 1 + np.arange(23) / 8
    values = (np.log(np.maximum(power @ filters.T, 1e-7)) - mean) / std
    yield ("integers, pre-emphasis, symmetric window, statistics per band", text(
        clip_samples=N, sample_scale=32768, preemphasis=0.97, frame_length=400, hop_length=160, fft_length=512,
        window_periodic=0, frame_align="left", mels=23, fmin=20, fmax=8000, log_floor=1e-7,
        mean=",".join(map(str, mean)), std=",".join(map(str, std))), values)
    yield ("raw", text(clip_samples=N, kind="raw", mean=0.25, std=0.5), (y - 0.25) / 0.5)


def main():
    y = signal(N)
    cases = [*librosa_cases(y), *whisper_case(y), *keras_cases(y), *tensorflow_cases(y),
             *spectrogram_case(y), *own_cases(y)]
    with open(os.path.join(HERE, "features.bin"), "wb") as f:
        for name, config, values in cases:
            values = np.ascontiguousarray(values, "<f4")
            for part in (name.encode(), config.encode()):
                f.write(struct.pack("<I", len(part)) + part)
            f.write(struct.pack("<I", values.size) + values.tobytes())
            print(name, values.shape, float(values.min()), float(values.max()))
    # 0.2 s at 44.1 kHz of sines below 0.85 of the lower Nyquist frequency, so that both filters are flat
    t = np.arange(8820) / 44100
    y = sum(0.2 * np.sin(2 * np.pi * f * t + f) for f in (110, 997, 3001, 6700))
    soxr.resample(y, 44100, 16000, "VHQ").astype("<f4").tofile(os.path.join(HERE, "resampled.bin"))


if __name__ == "__main__":
    main()
