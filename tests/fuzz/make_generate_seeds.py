#!/usr/bin/env python3
"""Writes the seeds of the fuzz target generate: tiny decoders of several families and precisions with their tokenizer,
as `hone optimize` makes them, and how to generate in metadata `fuzz` (fuzz_generate.c says what the letters are); and
one of the target onnx, a decoder inside an operator that searches.

Usage: make_generate_seeds.py [FOLDER]   (default: tests/fuzz/corpus; needs the package onnx, and HONE or build/hone)"""
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

import onnx

import make_reader_seeds as readers

HONE = os.environ.get("HONE", "build/hone")
MERGES = ["a b", "ab c", "\u0120 a"]
VOCAB = len(readers.FEW) + len(MERGES) + 1
END = VOCAB - 1
GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 16, "n_head": 2, "n_layer": 1, "n_positions": 12, "vocab_size": VOCAB, "eos_token_id": END, "n_inner": 16}
WIDE = dict(GPT2, n_inner=64)  # 1024 weights: as few as are quantised
GEMMA = {"model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"], "hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "num_hidden_layers": 2, "intermediate_size": 8,
         "max_position_embeddings": 16, "vocab_size": VOCAB, "eos_token_id": [END, 0], "bos_token_id": 1, "sliding_window": 3, "query_pre_attn_scalar": 4, "rms_norm_eps": 1e-5}
LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1, "intermediate_size": 8, "attention_bias": True,
         "max_position_embeddings": 16, "vocab_size": VOCAB, "tie_word_embeddings": False, "rope_scaling": {"rope_type": "linear", "factor": 2.0}}


def gpt2_shapes(c):
    e, inner = c["n_embd"], c["n_inner"]
    h = {"ln_1.weight": [e], "ln_1.bias": [e], "attn.c_attn.weight": [e, 3 * e], "attn.c_attn.bias": [3 * e], "attn.c_proj.weight": [e, e], "attn.c_proj.bias": [e], "ln_2.weight": [e], "ln_2.bias": [e],
         "mlp.c_fc.weight": [e, inner], "mlp.c_fc.bias": [inner], "mlp.c_proj.weight": [inner, e], "mlp.c_proj.bias": [e]}
    return dict({"wte.weight": [VOCAB, e], "wpe.weight": [c["n_positions"], e], "ln_f.weight": [e], "ln_f.bias": [e]}, **{"h.0." + k: v for k, v in h.items()})


def llama_shapes(c):
    e, inner, size = c["hidden_size"], c["intermediate_size"], c.get("head_dim", c["hidden_size"] // c["num_attention_heads"])
    q, kv, bias = c["num_attention_heads"] * size, c["num_key_value_heads"] * size, c.get("attention_bias")
    shapes = {"model.embed_tokens.weight": [VOCAB, e], "model.norm.weight": [e]}
    norms = ["input_layernorm", "post_attention_layernorm"] + (["pre_feedforward_layernorm", "post_feedforward_layernorm"] if c["model_type"] == "gemma2" else [])
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        shapes.update({at + n + ".weight": [e] for n in norms})
        for name, rows, columns in (("q", q, e), ("k", kv, e), ("v", kv, e), ("o", e, q)):
            shapes[f"{at}self_attn.{name}_proj.weight"] = [rows, columns]
            if bias:
                shapes[f"{at}self_attn.{name}_proj.bias"] = [rows]
        shapes.update({at + "mlp.gate_proj.weight": [inner, e], at + "mlp.up_proj.weight": [inner, e], at + "mlp.down_proj.weight": [e, inner]})
    if not c.get("tie_word_embeddings", True):
        shapes["lm_head.weight"] = [VOCAB, e]
    return shapes


def write_folder(folder, config, shapes):
    text, size = readers.header(shapes)
    weights = b"".join(struct.pack("<f", math.sin(i * i * 0.37 + i)) for i in range(size // 4))
    files = {"config.json": json.dumps(config).encode(), "model.safetensors": struct.pack("<Q", len(text)) + text.encode() + weights,
             "tokenizer.json": readers.dump(readers.tokenizer_json(readers.FEW, MERGES, extra=[("<|end|>", {"special": True})])).encode()}
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)


def make(config, shapes, how, *options):
    """The bytes of one file with its weights inside."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = os.path.join(folder, "source"), os.path.join(folder, "out")
        os.mkdir(source)
        write_folder(source, config, shapes)
        subprocess.run([HONE, "optimize", source, "-o", out, "-q", *options], check=True, stdout=subprocess.DEVNULL)
        model = onnx.load(os.path.join(out, "model.onnx"))
    onnx.helper.set_model_props(model, dict({p.key: p.value for p in model.metadata_props}, fuzz=how))
    return model.SerializeToString()


def search():
    """GreedySearch over a decoder of one layer that reads weights of the graph around."""
    from onnx import TensorProto, helper
    wide, vocab, heads = 4, 6, 2

    def tensor(name, kind, *shape):
        return helper.make_tensor_value_info(name, kind, shape)

    def weight(name, *shape):
        return helper.make_tensor(name, TensorProto.FLOAT, shape, [math.sin(i * i + len(name)) for i in range(math.prod(shape))])

    def number(name, value):
        return helper.make_tensor(name, TensorProto.INT32, [1], [value])

    nodes = [helper.make_node("Gather", ["words", "input_ids"], ["x"]), helper.make_node("Gather", ["places", "position_ids"], ["p"]), helper.make_node("Add", ["x", "p"], ["s"]),
             helper.make_node("Attention", ["s", "w", "b", "attention_mask", "past_0"], ["y", "present_0"], domain="com.microsoft", num_heads=heads, unidirectional=1),
             helper.make_node("Identity", ["y"], ["same"]), helper.make_node("MatMul", ["same", "turned"], ["m"]), helper.make_node("Add", ["m", "bias"], ["logits"])]
    ids = [tensor(n, TensorProto.INT32, "b", "s") for n in ("input_ids", "position_ids")]
    past = tensor("past_0", TensorProto.FLOAT, 2, "b", heads, "p", wide // heads)
    decoder = helper.make_graph(nodes, "decoder", [*ids, tensor("attention_mask", TensorProto.INT32, "b", "t"), past],
                                [tensor("logits", TensorProto.FLOAT, "b", "s", vocab), tensor("present_0", TensorProto.FLOAT, 2, "b", heads, "t", wide // heads)])
    node = helper.make_node("GreedySearch", ["ids", "max", "min", ""], ["sequences"], domain="com.microsoft", decoder=decoder, eos_token_id=5, pad_token_id=0, no_repeat_ngram_size=2, vocab_size=vocab)
    weights = [weight("words", vocab, wide), weight("places", 12, wide), weight("w", wide, 3 * wide), weight("b", 3 * wide), weight("turned", wide, vocab), weight("bias", vocab), number("max", 7), number("min", 3)]
    graph = helper.make_graph([node], "search", [tensor("ids", TensorProto.INT32, 2, 2)], [tensor("sequences", TensorProto.INT32, 2, 7)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8).SerializeToString()


def main():
    gpt2, wide, gemma, llama = gpt2_shapes(GPT2), gpt2_shapes(WIDE), llama_shapes(GEMMA), llama_shapes(LLAMA)
    seeds = {
        "gpt2_greedy": (GPT2, gpt2, "n6|ab c\nb\n<|end|>1s"),
        "gpt2_int8_guess": (WIDE, wide, "n8l3x1f1|ab ab", "-p", "int8", "--block", "16"),
        "gpt2_int4_draw": (WIDE, wide, "n5t4k3p7m1y7r6q2u2g2s3d9|a b", "-p", "int4", "--block", "16"),
        "gpt2_rules": (GPT2, gpt2, "n6A4B3C2D2E3F2G5l2|ab c"),
        "gpt2_rules_beams": (GPT2, gpt2, "n6A4B3C2D2E3F2G5b3|ab\nb c"),
        "gpt2_standard_beams": (WIDE, wide, "n5b3s2e1w:|abc\na", "-p", "int8", "--block", "16", "--opset-only"),
        "gemma2_fp16_beams": (GEMMA, gemma, "n6b2e2c>|b\n  a", "-p", "fp16"),
        "gemma2_window": (GEMMA, gemma, "n8t3d1a1z2|abcabcabcab"),
        "llama_bf16": (LLAMA, llama, "n3a3|a\nbb\nccc", "-p", "bf16"),
        "llama_no_cache": (LLAMA, llama, "n2|a", "--layout", "no-cache"),
    }
    for name, (config, shapes, how, *options) in seeds.items():
        readers.put("generate", name + ".onnx", make(config, shapes, how, *options))
    readers.put("onnx", "greedy_search.onnx", search())


if __name__ == "__main__":
    main()
