#!/usr/bin/env python3
"""Writes the small models with sequences, optionals and strings: seeds of fuzz_onnx, and what tests/api runs.

Usage: make_value_seeds.py [FOLDER]   (default: tests/fuzz/corpus/onnx)"""
import os
import sys

import onnx
from onnx import TensorProto, helper

INT64, FLOAT, BOOL, STRING = TensorProto.INT64, TensorProto.FLOAT, TensorProto.BOOL, TensorProto.STRING


def tensor(name, dtype, shape):
    return helper.make_tensor_value_info(name, dtype, shape)


def sequence(name, dtype=FLOAT):
    return helper.make_tensor_sequence_value_info(name, dtype, ["n"])


def optional(name, dtype=FLOAT, of_sequence=False):
    inner = helper.make_tensor_type_proto(dtype, ["n"])
    if of_sequence:
        inner = helper.make_sequence_type_proto(inner)
    return helper.make_value_info(name, helper.make_optional_type_proto(inner))


def constant(name, dtype, dims, values):
    return helper.make_tensor(name, dtype, dims, values)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def loop():
    """n -> the sequence of n tensors [i, x], its length, and its elements joined."""
    body = helper.make_graph(
        [node("Identity", ["c"], ["c_out"]), node("Cast", ["i"], ["f"], to=FLOAT), node("Reshape", ["f", "one"], ["row"]),
         node("Concat", ["row", "x"], ["pair"], axis=0), node("SequenceInsert", ["s", "pair"], ["s_out"])],
        "body", [tensor("i", INT64, []), tensor("c", BOOL, []), sequence("s")], [tensor("c_out", BOOL, []), sequence("s_out")])
    return ([node("SequenceEmpty", [], ["empty"]), node("Loop", ["n", "", "empty"], ["all"], body=body),
             node("SequenceLength", ["all"], ["length"]), node("ConcatFromSequence", ["all"], ["joined"], axis=0, new_axis=1)],
            [tensor("n", INT64, []), tensor("x", FLOAT, [1])],
            [sequence("all"), tensor("length", INT64, []), tensor("joined", FLOAT, ["n", 2])], [constant("one", INT64, [1], [1])])


def edit():
    """An input sequence edited at both ends and in the middle; two ways go on from one sequence."""
    return ([node("SequenceInsert", ["s", "x", "zero"], ["front"]), node("SequenceInsert", ["front", "x"], ["back"]),
             node("SequenceErase", ["back"], ["shorter"]), node("SequenceInsert", ["shorter", "y"], ["other"]),
             node("SequenceErase", ["other", "zero"], ["edited"]), node("SequenceAt", ["other", "last"], ["at"])],
            [sequence("s"), tensor("x", FLOAT, ["a"]), tensor("y", FLOAT, ["b"])],
            [sequence("back"), sequence("edited"), tensor("at", FLOAT, ["m"])],
            [constant("zero", INT64, [], [0]), constant("last", INT64, [], [-1])])


def split_map():
    body = helper.make_graph([node("Add", ["e", "k"], ["sum"]), node("Shape", ["e"], ["shape"])], "body",
                             [tensor("e", FLOAT, ["r", "c"]), tensor("k", FLOAT, [1])], [tensor("sum", FLOAT, ["r", "c"]), tensor("shape", INT64, [2])])
    return ([node("SplitToSequence", ["x", "sizes"], ["parts"], axis=1), node("SequenceMap", ["parts", "k"], ["sums", "shapes"], body=body),
             node("ConcatFromSequence", ["sums"], ["y"], axis=1)],
            [tensor("x", FLOAT, [2, 4]), tensor("k", FLOAT, [1])], [sequence("sums"), sequence("shapes", INT64), tensor("y", FLOAT, ["r", "c"])],
            [constant("sizes", INT64, [2], [1, 3])])


def optionals():
    then = helper.make_graph([node("OptionalGetElement", ["o"], ["got"]), node("SequenceConstruct", ["got", "got"], ["two"]), node("Optional", ["two"], ["t"])],
                             "then", [], [optional("t", of_sequence=True)])
    other = helper.make_graph([node("Optional", [], ["e"], type=helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, ["n"])))],
                              "other", [], [optional("e", of_sequence=True)])
    return ([node("OptionalHasElement", ["o"], ["has"]), node("If", ["has"], ["r"], then_branch=then, else_branch=other),
             node("Identity", ["o"], ["same"]), node("OptionalHasElement", ["r"], ["some"])],
            [optional("o")], [tensor("has", BOOL, []), optional("r", of_sequence=True), optional("same"), tensor("some", BOOL, [])], [])


def strings():
    return ([node("StringConcat", ["a", "dash"], ["b"]), node("StringSplit", ["b"], ["parts", "counts"], delimiter="-"),
             node("StringNormalizer", ["a"], ["upper"], case_change_action="UPPER", is_case_sensitive=1, stopwords=["the"]),
             node("RegexFullMatch", ["a"], ["match"], pattern="(?i)[a-z\\d]+(;x|b{2,3})?"), node("Equal", ["a", "word"], ["same"]),
             node("Cast", ["same"], ["n"], to=FLOAT), node("Cast", ["n"], ["text"], to=STRING), node("Concat", ["a", "text"], ["all"], axis=0)],
            [tensor("a", STRING, ["n"])],
            [tensor("parts", STRING, ["n", "m"]), tensor("counts", INT64, ["n"]), tensor("upper", STRING, ["k"]), tensor("match", BOOL, ["n"]),
             tensor("all", STRING, ["l"])],
            [constant("dash", STRING, [], [b"-z"]), constant("word", STRING, [], [b"Ab"])])


def grams():
    return ([node("TfIdfVectorizer", ["a"], ["y"], mode="TFIDF", min_gram_length=1, max_gram_length=2, max_skip_count=1, ngram_counts=[0, 2],
                  ngram_indexes=[0, 1, 2], pool_strings=["Ab", "7.5", "Ab", "7.5"], weights=[1.0, 2.0, 0.5])],
            [tensor("a", STRING, ["n"])], [tensor("y", FLOAT, [3])], [])


def string_loop():
    """A state of strings that grows, and strings in a sequence."""
    body = helper.make_graph([node("StringConcat", ["t", "a"], ["t_out"]), node("SequenceInsert", ["s", "t_out"], ["s_out"]), node("Identity", ["c"], ["c_out"])],
                             "body", [tensor("i", INT64, []), tensor("c", BOOL, []), tensor("t", STRING, ["n"]), sequence("s", STRING)],
                             [tensor("c_out", BOOL, []), tensor("t_out", STRING, ["n"]), sequence("s_out", STRING), tensor("t_out", STRING, ["n"])])
    return ([node("SequenceEmpty", [], ["empty"], dtype=STRING), node("Loop", ["n", "", "a", "empty"], ["last", "all", "rows"], body=body)],
            [tensor("n", INT64, []), tensor("a", STRING, ["n"])], [tensor("last", STRING, ["n"]), sequence("all", STRING), tensor("rows", STRING, ["i", "n"])], [])


def running_sum():
    """y = x + sum; the next sum is y."""
    return ([node("Add", ["x", "sum"], ["y"]), node("Identity", ["y"], ["next_sum"])],
            [tensor("x", FLOAT, ["n"]), tensor("sum", FLOAT, ["n"])], [tensor("y", FLOAT, ["n"]), tensor("next_sum", FLOAT, ["n"])], [])


MODELS = {"running_sum": running_sum, "strings": strings, "grams": grams, "string_loop": string_loop, "seq_loop": loop, "seq_edit": edit, "seq_map": split_map, "optional": optionals}


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "tests/fuzz/corpus/onnx"
    for name, make in MODELS.items():
        nodes, inputs, outputs, weights = make()
        model = helper.make_model(helper.make_graph(nodes, name, inputs, outputs, weights), opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)],
                                  ir_version=10, producer_name="")
        onnx.checker.check_model(model)
        onnx.save(model, os.path.join(out, name + ".onnx"))


if __name__ == "__main__":
    main()
