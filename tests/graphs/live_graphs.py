#!/usr/bin/env python3
"""Random graphs with branches and loops (test_random_graphs.c) after the portable passes, as ONNX Runtime runs them,
against what hone makes of them as they were written.

Usage: live_graphs.py [PROGRAM]   (default: build/tests/test_random_graphs). Exit status 1 where one differs."""
import glob
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime


def feeds(shapes):
    """run_graph.h: the same numbers for every graph."""
    seed = 5
    for shape in shapes:
        values = []
        for _ in range(int(np.prod(shape))):
            seed = (seed * 1664525 + 1013904223) & 0xffffffff
            values.append((seed >> 8) / 8388608 - 1)
        yield np.array(values, np.float32).reshape(shape)


def check(path):
    """What differs; None."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    inputs = session.get_inputs()
    values = feeds([[2, *i.shape[1:]] for i in inputs])
    for i, got in enumerate(session.run(None, {i.name: v for i, v in zip(inputs, values)})):
        want = np.fromfile(f"{path[:-5]}.{i}.f32", np.float32).reshape(got.shape)
        top = max(1, np.abs(want[np.isfinite(want)]).max(initial=0))
        if not np.allclose(got, want, rtol=0, atol=1e-4 * top, equal_nan=True):
            return f"output {i} is off by {np.nanmax(np.abs(got - want)):.3g} of {top:.3g}"
    return None


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "build/tests/test_random_graphs"
    onnxruntime.set_default_logger_severity(4)
    with tempfile.TemporaryDirectory() as folder:
        environ = {k: v for k, v in os.environ.items() if k != "HONE_TEST_ALL"}
        subprocess.run([program], env=dict(environ, HONE_GRAPHS=folder), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        paths, bad = glob.glob(f"{folder}/*.onnx"), 0
        for path in paths:
            try:
                why = check(path)
            except Exception as e:  # a graph that ONNX Runtime refuses
                why = str(e)
            if why:
                bad += 1
                print(f"seed {os.path.basename(path)[:-5]}: {why}")
    print(f"{len(paths) - bad} graphs agree, {bad} differ")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
