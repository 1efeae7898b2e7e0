#!/usr/bin/env python3
"""Compares the importer with live Keras: every case of keras_cases.py, saved as .keras and .h5 by Keras 3 and tf_keras, is
imported and run by hone and, where it is installed, by ONNX Runtime. Then the published files of ../shared/data/keras.

Usage: HONE=build/hone live_keras.py [--only TEXT] [--engine hone|onnxruntime|both]      exit 77: no Keras here
       ... --random N [--seed S] [--library keras|tf_keras|both] [--kind layer|chain|graph] [--only LAYER] [--keep FOLDER]
N random models of random_models.py instead, from seed S on; --keep holds the files of what failed.
       ... --precision fp16|bf16|int8|int4     the file that this precision gives, against the float model, with room for it
A case fails above a relative error of 1e-5: max |a - b| / max |b| over each output."""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import numpy as np

import keras_cases

HONE = os.environ.get("HONE", "build/hone")
TOLERANCE = 1e-5
ROOM = {"fp32": 0, "fp16": 2e-2, "bf16": 1e-1, "int8": 2e-1, "int4": 1.0}
PRECISION = "fp32"


def import_model(path, out):
    r = subprocess.run([HONE, "optimize", path, "-o", out, "--precision", PRECISION], capture_output=True, text=True, timeout=120)
    return "" if r.returncode == 0 else (r.stderr.strip() or f"exit {r.returncode}")


def run_hone(model, values, folder):
    import onnx
    graph = onnx.load(model).graph
    args = [HONE, "run", model, "-o", folder]
    for i, (t, v) in enumerate(zip(graph.input, values)):
        file = os.path.join(folder, f"in{i}.npy")
        np.save(file, v)
        args += ["-i", f"{t.name}={file}"]
    r = subprocess.run(args, capture_output=True, text=True, timeout=120)
    if r.returncode:
        raise RuntimeError(r.stderr.strip())
    safe = ["".join(ch if ch.isascii() and (ch.isalnum() or ch in "._-") else "_" for ch in o.name) for o in graph.output]
    return [np.load(os.path.join(folder, s + ".npy")) for s in safe]


def run_onnxruntime(model, values, _folder):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    s = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return s.run(None, {i.name: v.astype(object) if v.dtype.kind == "U" else v for i, v in zip(s.get_inputs(), values)})


alone = 0  # models that only hone ran


def standard(model):
    """False: it holds operators of domains that a plain ONNX Runtime does not have."""
    import onnx
    return not {o.domain for o in onnx.load(model).opset_import} & {"ai.onnx.contrib", "hone.text"}


def compare(label, path, values, expected, engines, folder, tolerance=TOLERANCE):
    out = os.path.join(folder, "model.onnx")
    global alone
    problem = import_model(path, out)
    if not problem and not standard(out):
        engines = {"hone": run_hone}
        alone += 1
    for name, run in engines.items():
        if problem:
            break
        try:
            got = run(out, values, folder)
            errors = [keras_cases.relative_error(g, e) for g, e in zip(got, expected)]
            if len(got) != len(expected) or not all(e <= tolerance + ROOM[PRECISION] for e in errors):
                problem = f"{name}: relative errors {errors}"
        except Exception as e:  # an engine's failure is a failed case, whatever its class
            problem = f"{name}: {str(e).splitlines()[0][:200]}"
    if problem:
        print(f"FAILED {label}: {problem}")
    return not problem


def live_cases(K, prefix, only, engines, folder):
    table = dict(keras_cases.cases(K))
    table.update(keras_cases.op_cases(K))
    passed = failed = 0
    for name, make in table.items():
        if only and only not in name:
            continue
        try:
            model, inputs, expected = keras_cases.build(K, name, make)
        except Exception as e:
            print(f"not built by {prefix}: {name}: {str(e).splitlines()[0][:120]}")
            continue
        for ext in (".keras", ".h5"):
            if ext == ".h5" and name.endswith("adapted"):  # Keras leaves the vocabulary out of these
                continue
            path = os.path.join(folder, "case" + ext)
            try:
                model.save(path)
            except Exception as e:
                print(f"not saved by {prefix}: {name}{ext}: {str(e).splitlines()[0][:120]}")
                continue
            ok = compare(f"{prefix} {name}{ext}", path, list(inputs.values()), expected, engines, folder)
            passed, failed = passed + ok, failed + (not ok)
    return passed, failed


def random_cases(K, prefix, o, engines, folder):
    """Models that Keras itself cannot build, run or save are no case."""
    import random_models
    passed = failed = unbuilt = 0
    for seed in range(o.seed, o.seed + o.random):
        try:
            model, values, expected, tolerance, what = random_models.build(K, seed, o.kind, o.only or None)
        except Exception as e:
            unbuilt += 1
            if o.verbose:
                print(f"not built by {prefix}: {seed}: {str(e).splitlines()[0][:160]}")
            continue
        if not all(np.size(e) and np.isfinite(np.asarray(e, np.float64)).all() for e in expected):
            continue
        shaken = random_models.sensitivity(model, values, expected)
        for ext in (".keras", ".h5"):
            path = os.path.join(folder, "case" + ext)
            try:
                model.save(path)
            except Exception as e:
                if o.verbose:
                    print(f"not saved by {prefix}: {seed}{ext}: {str(e).splitlines()[0][:160]}")
                continue
            ok = compare(f"{prefix} {seed}{ext} {' '.join(what)}", path, values, expected, engines, folder, max(tolerance, 10 * shaken))
            passed, failed = passed + ok, failed + (not ok)
            if not ok and o.keep:
                shutil.copy(path, os.path.join(o.keep, f"{prefix}_{seed}{ext}"))
    print(f"{prefix}: {unbuilt} of {o.random} random models not built by Keras")
    return passed, failed


def tflite_outputs(path, x):
    from ai_edge_litert.interpreter import Interpreter
    it = Interpreter(path)
    it.allocate_tensors()
    out = []
    for row in x:
        it.set_tensor(it.get_input_details()[0]["index"], row[None])
        it.invoke()
        out.append(it.get_tensor(it.get_output_details()[0]["index"])[0])
    return np.array(out)


def published(engines, folder):
    import tf_keras
    data = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data/keras")
    files = [("mlcommons-tiny/pretrainedResnet.h5", (4, 32, 32, 3), 255.0, "mlcommons-tiny/pretrainedResnet.tflite"),
             ("mlcommons-tiny/vww_96.h5", (4, 96, 96, 3), 1.0, "mlcommons-tiny/vww_96_float.tflite"),
             ("face-classification/fer2013_mini_XCEPTION.102-0.66.hdf5", (4, 64, 64, 1), 1.0, None)]
    passed = failed = 0
    for name, shape, scale, twin in files:
        path = os.path.join(data, name)
        if not os.path.exists(path):
            print(f"skipped: {path} is not there")
            continue
        x = (np.random.default_rng(0).random(shape) * scale).astype("float32")
        y = tf_keras.models.load_model(path, compile=False).predict(x, verbose=0)
        checks = [("Keras", y)]
        if twin:
            checks.append(("its .tflite twin", tflite_outputs(os.path.join(data, twin), x)))
        for label, expected in checks:
            ok = compare(f"{name} against {label}", path, [x], [expected], engines, folder)
            passed, failed = passed + ok, failed + (not ok)
    return passed, failed


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--only", default="")
    p.add_argument("--engine", default="both", choices=["hone", "onnxruntime", "both"])
    p.add_argument("--random", type=int, default=0)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--library", default="both", choices=["keras", "tf_keras", "both"])
    p.add_argument("--kind", choices=["layer", "chain", "graph"])
    p.add_argument("--keep", default="")
    p.add_argument("--precision", default="fp32", choices=sorted(ROOM))
    p.add_argument("--verbose", action="store_true")
    o = p.parse_args()
    global PRECISION
    PRECISION = o.precision
    try:
        import keras
        import tf_keras
        import onnx  # noqa: F401
    except ImportError as e:
        print(f"skipped: {e}")
        return 77
    engines = {"hone": run_hone, "onnxruntime": run_onnxruntime}
    if o.engine != "both":
        engines = {o.engine: engines[o.engine]}
    with tempfile.TemporaryDirectory() as folder:
        libraries = [(K, n) for K, n in ((keras, "keras"), (tf_keras, "tf_keras")) if o.library in (n, "both")]
        if o.random:
            results = [random_cases(K, n, o, engines, folder) for K, n in libraries]
        else:
            results = [live_cases(K, n, o.only, engines, folder) for K, n in libraries]
        if not o.only and not o.random:
            results.append(published(engines, folder))
    passed, failed = (sum(r[i] for r in results) for i in (0, 1))
    print(f"{passed} passed, {failed} failed; {alone} run by hone alone")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
