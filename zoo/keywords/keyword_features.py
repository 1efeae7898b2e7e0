"""Log-mel features of one-second clips in NumPy: the definition that the C front end is compared with.

The parameters are those of features.json. Everything is computed in double precision and rounded once at the end.
"""
import numpy as np

# Units: Hz, samples. The names are those of the `hone.features` metadata of a model.
PARAMETERS = {
    "kind": "log_mel", "sample_rate": 16000, "clip_samples": 16000,
    "frame_length": 512, "hop_length": 320, "fft_length": 512,
    "window": "hann", "window_periodic": 1, "frame_align": "left", "pad": "none", "power": 2,
    "mels": 40, "fmin": 20, "fmax": 7600, "mel_scale": "htk", "mel_norm": "none", "mel_triangle": "hz",
    "log": "natural", "log_floor": 0, "log_offset": 1e-6, "layout": "frames_mels", "channel_axis": "last",
}


def mel_filters(p):
    """Triangles, linear in Hz between edges that are equally spaced on the HTK mel scale. [mels, bins]"""
    low, high = (2595 * np.log10(1 + f / 700) for f in (p["fmin"], p["fmax"]))
    edges = 700 * (10 ** (np.linspace(low, high, p["mels"] + 2) / 2595) - 1)
    bins = np.arange(p["fft_length"] // 2 + 1) * p["sample_rate"] / p["fft_length"]
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rise, fall))


_FILTERS = mel_filters(PARAMETERS)
_WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(PARAMETERS["frame_length"]) / PARAMETERS["frame_length"])


def log_mel(pcm):
    """pcm: [clips, clip_samples] in -1..1 -> float32 [clips, frames, mels], not yet normalised."""
    p = PARAMETERS
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(pcm, np.float64), p["frame_length"], axis=-1)
    spectrum = np.fft.rfft(frames[:, ::p["hop_length"]] * _WINDOW, p["fft_length"])
    power = spectrum.real ** 2 + spectrum.imag ** 2
    return np.log(power @ _FILTERS.T + p["log_offset"]).astype(np.float32)
