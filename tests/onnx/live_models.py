#!/usr/bin/env python3
"""Real models under every tier, with 1 and 2 threads, frame after frame with their states, against ONNX Runtime.

Usage: live_models.py [--store]
build/tests/test_models runs hone and writes what it gives; the inputs here are made as they are there. Within 1e-4 of
the largest value of each output, the same bits for 1 and 2 threads; the mnist model's own vectors through `hone test`.
--store writes ONNX Runtime's values to tests/reference/models instead. Exit status 77 without the models."""
import os
import platform
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "../../../shared/data/onnx")
STORED = os.path.join(HERE, "../reference/models")
BUILD = os.environ.get("BUILD", "build")
TOLERANCE = 1e-4


class Draw:
    def __init__(self, seed):
        self.seed = seed

    def __call__(self, n):
        values = np.empty(n, np.int64)
        for i in range(n):
            self.seed = (self.seed * 1664525 + 1013904223) & 0xFFFFFFFF
            values[i] = self.seed >> 8
        return values


def session(file):
    return onnxruntime.InferenceSession(os.path.join(DATA, file), providers=["CPUExecutionProvider"])


def silero():
    pcm = np.frombuffer(open(os.path.join(DATA, "silero-vad/test.wav"), "rb").read()[44:], "<i2")
    run, x, state, kept = session("silero-vad/silero_vad_16k_op15.onnx"), np.zeros((1, 576), np.float32), np.zeros((2, 1, 128), np.float32), []
    for frame in pcm[:len(pcm) // 512 * 512].reshape(-1, 512):
        x = np.concatenate([x[:, 512:], frame[None].astype(np.float32) / np.float32(32768)], 1)
        y, state = run.run(["output", "stateN"], {"input": x, "state": state, "sr": np.array(16000, np.int64)})
        kept.append(y)
    speech = sum(float(y[0, 0]) > 0.5 for y in kept)
    print(f"silero: {speech} of {len(kept)} frames are speech, mean {np.mean(kept):.6f}")
    return kept + [state]


def dtln():
    run, state, kept, draw = session("dtln/model_1.onnx"), np.zeros((1, 2, 128, 2), np.float32), [], Draw(1)
    for _ in range(200):
        x = (draw(257) / 2 ** 27).astype(np.float32).reshape(1, 1, 257)
        y, state = run.run(["activation_2", "tf_op_layer_stack_2"], {"input_2": x, "input_3": state})
        kept.append(y)
    return kept[-4:] + [state]


def mnist():
    run, draw = session("mnist/model.onnx"), Draw(2)
    return [run.run(None, {"Input3": (draw(784) & 255).astype(np.float32).reshape(1, 1, 28, 28)})[0] for _ in range(3)]


def bert():
    run, draw, kept = session("tiny-bert/model.onnx"), Draw(3), []
    for n in (1, 7, 32):
        mask = np.ones((2, n), np.int64)
        mask[1, n - n // 3:] = 0
        kept.append(run.run(["logits"], {"input_ids": (draw(2 * n) % 1000).reshape(2, n), "attention_mask": mask})[0])
    return kept


def gpt2():
    run, ids, kept = session("tiny-random-gpt2/past.onnx"), np.array([[0, 0, 0, 52], [0, 0, 195, 731]], np.int32), []
    past, total = [np.zeros((2, 2, 4, 0, 8), np.float32)] * 5, 0
    for _ in range(6):
        feeds = {f"past_{i}": p for i, p in enumerate(past)}
        feeds["input_ids"] = ids
        feeds["position_ids"] = np.tile(np.arange(total, total + ids.shape[1], dtype=np.int32), (2, 1))
        total += ids.shape[1]
        feeds["attention_mask"] = np.ones((2, total), np.int32)
        logits, *past = run.run(["logits"] + [f"present_{i}" for i in range(5)], feeds)
        ids = logits[:, -1].argmax(-1).astype(np.int32)[:, None]
        kept.append(ids[:, 0].tolist())
    print(f"gpt2: tokens {list(zip(*kept))}")  # tests/api/test_models.c names them
    return [logits]


MODELS = {"silero": silero, "dtln": dtln, "mnist": mnist, "bert": bert, "gpt2": gpt2}


def flat(values):
    return np.concatenate([np.ravel(v) for v in values]).astype("<f4")


def relative_error(got, want):
    return np.abs(got - want).max(initial=0) / max(np.abs(want).max(initial=0), 1e-30)


def main():
    if not os.path.isdir(DATA):
        print("skipped: the models are not there")
        return 77
    lists = {name: make() for name, make in MODELS.items()}
    wanted = {name: flat(values) for name, values in lists.items()}
    last = {name: values[-1].size for name, values in lists.items()}  # a state, on a scale of its own
    if "--store" in sys.argv:
        os.makedirs(STORED, exist_ok=True)
        for name, values in wanted.items():
            values.tofile(os.path.join(STORED, name + ".f32"))
        return 0
    failed = 0
    tiers = ["scalar", "avx2", ""] if platform.machine() in ("x86_64", "AMD64") else ["scalar", ""]
    for tier in tiers:
        with tempfile.TemporaryDirectory() as folder:
            env = {k: v for k, v in os.environ.items() if k != "HONE_ISA"} | ({"HONE_ISA": tier} if tier else {})
            r = subprocess.run([f"{BUILD}/tests/test_models", folder], env=env, capture_output=True, text=True)
            if r.returncode:
                print(f"{tier or 'best'}: {r.stdout}{r.stderr}")
                failed += 1
                continue
            for name, want in wanted.items():
                one, two = (np.fromfile(f"{folder}/{name}-{n}.f32", "<f4") for n in (1, 2))
                error = np.inf
                if one.shape == want.shape:
                    error = max(relative_error(one[:-last[name]], want[:-last[name]]), relative_error(one[-last[name]:], want[-last[name]:]))
                good = error <= TOLERANCE and one.tobytes() == two.tobytes()
                failed += not good
                print(f"{tier or 'best'} {name}: {len(want)} values, relative error {error:.2g}{'' if good else ': WRONG'}")
            for threads in "12":
                r = subprocess.run([os.environ.get("HONE", f"{BUILD}/hone"), "test", "-t", threads, os.path.join(DATA, "mnist")], env=env, capture_output=True, text=True)
                failed += r.returncode != 0
                print(f"{tier or 'best'} mnist's own vectors, {threads} threads: {r.stdout.splitlines()[-1]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
