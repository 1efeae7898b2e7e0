"""hone's log-mel features beside openai-whisper's: 30 s of a sound, one thread each, in turn, and the largest difference.
log_mel_speed.py SOUND.npy|SOUND.wav... [--rounds N]
    (needs: numpy, torch, openai-whisper, build/bench/bench_log_mel; sounds are mono, 16 kHz, wav of 16 bits)"""
import argparse, json, os, statistics, subprocess, tempfile, time, wave

import numpy, torch, whisper

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def load(path):
    if path.endswith(".npy"):
        return numpy.load(path).astype(numpy.float32)
    with wave.open(path) as w:
        return numpy.frombuffer(w.readframes(w.getnframes()), numpy.int16).astype(numpy.float32) / 32768


def own(sound, mels, runs, folder):
    into, out = (os.path.join(folder, name) for name in ("sound", "features"))
    sound.tofile(into)
    command = [os.path.join(ROOT, "build/bench/bench_log_mel"), str(mels), str(runs), into, out]
    times = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return times, numpy.fromfile(out, numpy.float32).reshape(mels, -1)


def theirs(sound, mels):
    start = time.process_time()
    features = whisper.log_mel_spectrogram(torch.from_numpy(sound), mels)
    return 1e3 * (time.process_time() - start), features.numpy()


def compare(path, mels, rounds, folder):
    sound = load(path)
    window = numpy.zeros(480000, numpy.float32)  # a window of silence behind the sound, as openai-whisper puts it
    whole = numpy.concatenate([sound, window])
    features = own(whole, mels, 1, folder)[1]
    length = len(sound) // 160
    difference = abs(features[:, :length] - theirs(whole, mels)[1][:, :length]).max()
    window = numpy.resize(sound, 480000)
    ours, others = [], []
    for _ in range(rounds):
        ours.append(own(window, mels, 5, folder)[0]["median_ms"])
        others += [theirs(window, mels)[0] for _ in range(3)]
    a, b = statistics.median(ours), statistics.median(others)
    print(f"{os.path.basename(path)}, {mels} bands: hone {a:.2f} ms, openai-whisper {b:.2f} ms ({min(others):.2f} at best): "
          f"{b / a:.1f}x; largest difference {difference:.1e}", flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("sounds", nargs="+")
    p.add_argument("--rounds", type=int, default=9)
    o = p.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        for sound in o.sounds:
            for bands in (80, 128):
                compare(sound, bands, o.rounds, scratch)
