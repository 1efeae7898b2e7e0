#!/usr/bin/env python3
"""Writes the test cases of the `onnx` Python package as folders that `hone test` runs.

Usage: make_cases.py OUT [--kinds node,simple,pytorch-converted,pytorch-operator] [--only PATTERN]
Each case becomes OUT/<kind>/<name>/ with model.onnx and test_data_set_<n>/{input,output}_<i>.pb."""
import argparse
import fnmatch
import glob
import os
import shutil
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests


def node_cases():
    """The package computes these while it loads, from random input drawn from numpy's one generator: seeded, so that two
    runs give the same files."""
    np.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_node_model_tests
        return load_node_model_tests()


def to_proto(value, type_proto):
    if isinstance(value, (onnx.TensorProto, onnx.SequenceProto, onnx.OptionalProto)):
        return value
    kind = type_proto.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.from_list(value)
    if kind == "optional_type":
        return numpy_helper.from_optional(value)
    return numpy_helper.from_array(np.asarray(value))


def write_arrays(case, folder):
    graph = case.model.graph
    onnx.save(case.model, os.path.join(folder, "model.onnx"))
    for n, (inputs, outputs) in enumerate(case.data_sets):
        at = os.path.join(folder, f"test_data_set_{n}")
        os.makedirs(at)
        for kind, values, infos in (("input", inputs, graph.input), ("output", outputs, graph.output)):
            for i, (value, info) in enumerate(zip(values, infos)):
                with open(os.path.join(at, f"{kind}_{i}.pb"), "wb") as file:
                    file.write(to_proto(value, info.type).SerializeToString())


def copy_folder(case, folder):
    shutil.copy(os.path.join(case.model_dir, "model.onnx"), folder)
    for source in glob.glob(os.path.join(case.model_dir, "test_data_set_*")):
        shutil.copytree(source, os.path.join(folder, os.path.basename(source)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--kinds", default="node,simple,pytorch-converted,pytorch-operator")
    parser.add_argument("--only", default="*", help="names of cases, as a shell pattern")
    args = parser.parse_args()
    for kind in args.kinds.split(","):
        cases = node_cases() if kind == "node" else load_model_tests(kind=kind)
        written, failed = 0, []
        for case in cases:
            if not fnmatch.fnmatch(case.name, args.only):
                continue
            folder = os.path.join(args.out, kind, case.name)
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            try:
                if case.model_dir:
                    copy_folder(case, folder)
                else:
                    write_arrays(case, folder)
                if (case.rtol, case.atol) != (1e-3, 1e-7):
                    with open(os.path.join(folder, "tolerance"), "w", encoding="ascii") as file:
                        file.write(f"{case.rtol:g} {case.atol:g}\n")
                written += 1
            except Exception as error:  # a case that this version of the package cannot serialise
                shutil.rmtree(folder)
                failed.append(f"{case.name}: {error}")
        print(f"{kind}: {written} cases")
        for line in failed:
            print("  not written:", line)


if __name__ == "__main__":
    main()
