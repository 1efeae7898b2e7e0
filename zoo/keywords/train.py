"""Makes everything in this folder: speech, features, the trained model, the held-out clips and their reference.

Needs: espeak-ng's library and data (Debian: libespeak-ng1 espeak-ng-data) and, from PyPI,
numpy==2.4.* keras==3.15.* tensorflow-cpu==2.21.* soundfile==0.14.*.
Run: python train.py [--seed N] [--words N] [--epochs N]
"""
import argparse
import json
import os
import shutil
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import keras
import numpy as np
import soundfile

import keyword_features as features
import keyword_speech as speech

HERE = os.path.dirname(os.path.abspath(__file__))
LABELS = speech.LABELS
TRAIN_SNR, TEST_SNR = (6, 45), (15, 45)  # dB
TRAIN_PEAK, TEST_PEAK = (-32, -1), (-30, -10)  # dB of full scale; quiet clips keep the held-out set small
STRETCH = 0.15  # in training only
TEST_CLIPS = 10  # per label


def labelled_words(synthesiser, random, count, test):
    """Yields (label number, wave or None); `unknown` has three times the share of a word, since it holds many."""
    others = speech.OTHER_TEST if test else speech.OTHER_TRAIN
    numbers = list(range(len(LABELS)))
    weights = np.array([3.0 if name == "unknown" else 1.0 for name in LABELS])
    for _ in range(count):
        number = int(random.choice(numbers, p=weights / weights.sum()))
        name = LABELS[number]
        if name == "silence":
            yield number, None
        else:
            text = str(random.choice(others)) if name == "unknown" else name
            yield number, speech.random_word(synthesiser, random, text, test)


def feature_set(random, words, snr, peak, stretch=0.0):
    """One augmented clip per word -> features float32 [words, frames, mels], labels [words]."""
    out, batch = [], []
    for _, wave in words:
        if stretch and wave is not None:
            wave = speech.stretched(random, wave, stretch)
        batch.append(speech.clip_of(random, wave, snr, peak))
        if len(batch) == 512:
            out.append(features.log_mel(np.stack(batch)))
            batch = []
    if batch:
        out.append(features.log_mel(np.stack(batch)))
    return np.concatenate(out), np.array([number for number, _ in words])


def build(frames, mels):
    layers = keras.layers

    def norm(x):
        return layers.ReLU(max_value=6.0)(layers.BatchNormalization()(x))

    start = keras.Input((frames, mels, 1), name="features")
    x = norm(layers.Conv2D(32, 5, strides=(2, 2), padding="same", use_bias=False)(start))
    x = norm(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
    x = norm(layers.Conv2D(64, 1, use_bias=False)(x))
    x = layers.MaxPooling2D(2)(x)
    x = norm(layers.SeparableConv2D(96, 3, padding="same", use_bias=False)(x))
    x = layers.MaxPooling2D(2, padding="same")(x)
    side = x = norm(layers.SeparableConv2D(128, 3, padding="same", use_bias=False)(x))
    x = norm(layers.SeparableConv2D(128, 3, padding="same", use_bias=False)(x))
    x = layers.Add()([x, side])
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = norm(layers.SeparableConv2D(160, 3, strides=2, padding="valid", use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    end = layers.Dense(len(LABELS), activation="softmax", name="label")(x)
    return keras.Model(start, end, name="keywords")


def train(args, synthesiser):
    random = np.random.default_rng(args.seed)
    began = time.time()
    words = list(labelled_words(synthesiser, random, args.words, False))
    print(f"{len(words)} words spoken in {time.time() - began:.0f} s", flush=True)
    first, labels = feature_set(random, words, TRAIN_SNR, TRAIN_PEAK, STRETCH)
    mean, std = float(first.mean()), float(first.std())
    mean, std = round(mean, 4), round(std, 4)
    network = build(*first.shape[1:])
    steps = args.words // args.batch * args.epochs
    warm = min(200, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(1e-4, steps - warm, 0.01, warmup_target=3e-3, warmup_steps=warm)
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    for epoch in range(args.epochs):
        x = first if epoch == 0 else feature_set(random, words, TRAIN_SNR, TRAIN_PEAK, STRETCH)[0]
        x = ((x - np.float32(mean)) / np.float32(std))[..., None]
        history = network.fit(x, labels, batch_size=args.batch, epochs=1, verbose=0).history
        print(f"epoch {epoch + 1}: loss {history['loss'][0]:.4f}, accuracy {history['accuracy'][0]:.4f}, "
              f"{time.time() - began:.0f} s", flush=True)
    return network, mean, std


def write_test_clips(args, synthesiser):
    """test/<label>/<n>.flac: every voice and accent in them is absent from training, and so is every `unknown` word."""
    random = np.random.default_rng(args.seed + 1)
    root = os.path.join(HERE, "test")
    shutil.rmtree(root, ignore_errors=True)
    for name in LABELS:
        os.makedirs(os.path.join(root, name))
        for n in range(TEST_CLIPS):
            text = str(random.choice(speech.OTHER_TEST)) if name == "unknown" else name
            wave = None if name == "silence" else speech.random_word(synthesiser, random, text, True)
            clip = speech.clip_of(random, wave, TEST_SNR, TEST_PEAK)
            soundfile.write(os.path.join(root, name, f"{n}.flac"), clip, speech.RATE, subtype="PCM_16")


def write_calibration_clips(args, synthesiser):
    """calibration/<label>.flac: one clip per label of the training voices, for the ranges of static int8."""
    random = np.random.default_rng(args.seed + 3)
    folder = os.path.join(HERE, "calibration")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name in LABELS:
        text = str(random.choice(speech.OTHER_TRAIN)) if name == "unknown" else name
        wave = None if name == "silence" else speech.random_word(synthesiser, random, text, False)
        clip = speech.clip_of(random, wave, TRAIN_SNR, TEST_PEAK)
        soundfile.write(os.path.join(folder, f"{name}.flac"), clip, speech.RATE, subtype="PCM_16")


def write_demo_clips(args, synthesiser):
    """Clips of several kinds; `commands` holds six words, one every 1.5 s, for reading in windows."""
    random = np.random.default_rng(args.seed + 2)
    folder = os.path.join(HERE, "clips")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)

    def spoken(text):
        return speech.clip_of(random, speech.random_word(synthesiser, random, text, True), (25, 40), (-12, -2))

    for name, text in (("yes.wav", "yes"), ("no.flac", "no"), ("seven.ogg", "seven"), ("stop.mp3", "stop")):
        clip = spoken(text)
        soundfile.write(os.path.join(folder, name), clip, speech.RATE)
    gap = np.zeros(speech.RATE // 2, np.float32)
    parts = [part for text in "go left up zero four off".split() for part in (gap, spoken(text))]
    long = np.concatenate(parts + [gap])
    long += 3e-4 * speech.coloured_noise(random, len(long))
    soundfile.write(os.path.join(folder, "commands.flac"), long, speech.RATE, subtype="PCM_16")
    nine = np.fft.rfft(spoken("nine"))  # to 48 kHz stereo, so that reading it resamples and mixes down
    wide = np.fft.irfft(np.pad(nine, (0, speech.CLIP)), 3 * speech.CLIP) * 3
    soundfile.write(os.path.join(folder, "nine.opus"), np.stack([wide, wide * 0.8], 1), 48000, format="OGG",
                    subtype="OPUS")


def read_test_set():
    names, waves = [], []
    for name in LABELS:
        for n in range(TEST_CLIPS):
            wave, rate = soundfile.read(os.path.join(HERE, "test", name, f"{n}.flac"))
            assert rate == speech.RATE and wave.shape == (speech.CLIP,)
            names.append((name, f"test/{name}/{n}.flac"))
            waves.append(wave)
    return names, np.stack(waves)


def write_reference(network, mean, std):
    """Keras's answer for each held-out clip, from the file that was saved, one clip at a time."""
    names, waves = read_test_set()
    x = ((features.log_mel(waves) - np.float32(mean)) / np.float32(std))[..., None]
    answers = np.concatenate([network(x[i:i + 1], training=False).numpy() for i in range(len(x))])
    right, clips = 0, []
    for (label, path), row in zip(names, answers):
        right += LABELS[int(row.argmax())] == label
        clips.append({"file": path, "label": label, "predicted": LABELS[int(row.argmax())],
                      "probabilities": [round(float(v), 7) for v in row]})
    with open(os.path.join(HERE, "reference.json"), "w") as f:
        rows = ",\n".join(json.dumps(clip) for clip in clips)
        f.write(f'{{"model": "keywords.keras", "right": {right}, "clips": [\n{rows}\n]}}\n')
    wrong = [(c["file"], c["predicted"], round(max(c["probabilities"]), 3))
             for c in clips if c["label"] != c["predicted"]]
    tops = np.sort(answers, 1)
    print(f"held out: {right} of {len(clips)} right = {100 * right / len(clips):.2f} %", wrong[:20])
    print("smallest margins:", np.sort(tops[:, -1] - tops[:, -2])[:8].round(3), flush=True)


def evaluate_fresh(args, synthesiser, network, mean, std):
    """Accuracy on many more clips of the held-out voices, which are not kept."""
    random = np.random.default_rng(args.seed + 3)
    words = list(labelled_words(synthesiser, random, args.fresh, True))
    x, labels = feature_set(random, words, TEST_SNR, TEST_PEAK)
    answers = network.predict(((x - np.float32(mean)) / np.float32(std))[..., None], verbose=0)
    right = 100 * float((answers.argmax(1) == labels).mean())
    print(f"{args.fresh} fresh clips of held-out voices: {right:.2f} % right")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--words", type=int, default=36000, help="spoken words for training")
    parser.add_argument("--epochs", type=int, default=16, help="each with new shifts, gains and noise")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--fresh", type=int, default=3000, help="clips of held-out voices for the second measurement")
    args = parser.parse_args()
    keras.utils.set_random_seed(args.seed)
    synthesiser = speech.Synthesiser()
    network, mean, std = train(args, synthesiser)
    for name in ("keywords.keras", "keywords.h5"):
        network.save(os.path.join(HERE, name))
    with open(os.path.join(HERE, "features.json"), "w") as f:
        json.dump({**features.PARAMETERS, "mean": mean, "std": std, "labels": LABELS}, f, indent=2)
        f.write("\n")
    with open(os.path.join(HERE, "labels.txt"), "w") as f:
        f.write("\n".join(LABELS) + "\n")
    write_test_clips(args, synthesiser)
    write_demo_clips(args, synthesiser)
    write_calibration_clips(args, synthesiser)
    saved = keras.models.load_model(os.path.join(HERE, "keywords.keras"))
    write_reference(saved, mean, std)
    evaluate_fresh(args, synthesiser, saved, mean, std)
    print(f"{saved.count_params()} parameters, " + ", ".join(
        f"{name} {os.path.getsize(os.path.join(HERE, name))} bytes" for name in ("keywords.keras", "keywords.h5")))


if __name__ == "__main__":
    main()
