#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets json, tokenizer, hugging_face, torch, safetensors, npz, keras_zip, h5_records and
media: small files of every kind that their readers know. Of hugging_face, torch and safetensors those whose names begin
with "refused" must be refused, and all others read.

Usage: make_reader_seeds.py [FOLDER [TARGET...]]   (default: tests/fuzz/corpus, all; the sounds need soundfile and numpy)"""
import base64
import io
import json
import math
import os
import struct
import sys
import zipfile

OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
DATE = (1980, 1, 1, 0, 0, 0)


def put(target, name, data):
    folder = os.path.join(OUT, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parts(head, *texts):
    return head.encode() + b"\n%%\n".join(t if isinstance(t, bytes) else t.encode() for t in texts)


# JSON

JSONS = {
    "values": '{"a":[1,-2,3.5e-7,true,false,null,"x"],"b":{"c":[[],{}]},"":0}',
    "text": '"\\u00e9\\n\\ud83d\\ude00 \\"quoted\\" \u00e9 \\u0000"',
    "nul_key": '{"a\\u0000b":1,"\\\\u0000":2}',
    "python": '{"x":NaN,"y":[Infinity,-Infinity],"z":"NaN \\" Infinity"}',
    "twice": '{"a":1,"a":2}',
    "big": "[9223372036854775807,-9223372036854775808,1e308,-0.0,1e-320]",
    "overflow": "[1e999]",
    "deep": "[" * 40 + "]" * 40,
    "too_deep": "[" * 300,
    "many": "[" + ",".join("1" for _ in range(299)) + "]",
    "too_many": "[" + "1," * 310 + "1]",
    "bad_utf8": b'["\xff"]',
    "lone": '["\\ud800"]',
}


# Tokenizers

def alphabet():
    """GPT-2's: the character of each byte."""
    plain = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    other = [b for b in range(256) if b not in plain]
    return {b: chr(b) if b in plain else chr(0x100 + other.index(b)) for b in range(256)}


LETTERS = alphabet()
FEW = [" ", "a", "b", "c", "'", "s", "1", "\n"]
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def vocabulary(characters, merges):
    tokens = [LETTERS[ord(c)] for c in characters] + ["".join(m).replace(" ", "") for m in merges]
    return {t: i for i, t in enumerate(tokens)}


def added(token, text, **flags):
    return dict({"id": token, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                 "normalized": False, "special": False}, **flags)


def tokenizer_json(characters, merges, before=None, extra=(), **parts_of_it):
    vocab = vocabulary(characters, merges)
    root = {"added_tokens": [added(len(vocab) + i, text, **flags) for i, (text, flags) in enumerate(extra)],
            "normalizer": None, "pre_tokenizer": LEVEL, "post_processor": None, "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": vocab, "merges": merges}}
    root.update(parts_of_it)
    root["model"].update(before or {})
    return root


def number(value):
    """LEB128"""
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def stored(tokens, merges, added_tokens, flags=0, steps=((0, 0),), before=(), behind=(), every_byte=True):
    """What stands in hone.tokenizer, before base64: every byte, then tokens of several bytes, then merges."""
    first = 256 + len(tokens)
    size = first + len(merges) + len(added_tokens)
    out = number(flags) + number(size) + number(0)
    out += b"".join(number(i + 1 if every_byte or chr(i) in "ab " else 0) for i in range(256))
    out += number(len(steps)) + b"".join(number(k) + number(a) for k, a in steps)
    out += number(len(tokens)) + b"".join(number(256 + i) + number(2 * len(t)) + t for i, t in enumerate(tokens))
    out += number(len(merges))
    for i, (left, right) in enumerate(merges):
        out += number(left) + number(right) + number(2 * first if i == 0 else 0)
    out += number(len(added_tokens))
    for i, (text, f) in enumerate(added_tokens):
        out += number(first + len(merges) + i) + number(f) + number(len(text)) + text
    return out + b"".join(number(len(ids)) + b"".join(map(number, ids)) for ids in (before, behind))


META = "\u2581"


def text_step(kind, argument, *texts):
    return number(kind) + number(argument) + b"".join(number(len(t)) + t for t in texts)


def stored_characters(flags, cut, normalize, decode):
    """The same of a tokenizer of characters: three special tokens, a few bytes, letters, merges."""
    tokens = [b"<unk>", b"<s>"] + [b"<0x%02X>" % b for b in range(256)] + [c.encode() for c in (META, "a", "b", "c")]
    first = len(tokens)
    out = number(flags) + number(first + 3) + number(1) + b"".join(number(3 + i) for i in range(256))
    out += b"".join(number(len(steps)) + b"".join(steps) for steps in (cut, normalize, decode))
    out += number(len(tokens)) + b"".join(number(i) + number(2 * len(t)) + t for i, t in enumerate(tokens))
    out += number(2) + number(first - 4) + number(first - 3) + number(2 * first) + number(first) + number(first - 2) + number(0)
    out += number(2) + number(1) + number(1) + number(3) + b"<s>" + number(first + 2) + number(16 | 2) + number(2) + b" m"
    return out + number(1) + number(1) + number(0)


def character_json(**parts_of_it):
    """A tokenizer.json of the kind that Llama 2 has."""
    tokens = ["<unk>", "<s>"] + [f"<0x{b:02X}>" for b in b"\xc3\xa9\xe4\xb8\xad\n"] + [META, "a", "b", "c", META + "a", "bc", META + "abc"]
    root = {"added_tokens": [added(0, "<unk>", special=True, normalized=True), added(1, "<s>", special=True), added(15, "m", rstrip=True, lstrip=True)],
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": META}, {"type": "Replace", "pattern": {"String": " "}, "content": META}]},
            "pre_tokenizer": None, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                                                      "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
            "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": META}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                                                         {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": {t: i for i, t in enumerate(tokens)},
                      "merges": [META + " a", ["b", "c"], META + "a bc"]}}
    root.update(parts_of_it)
    return dump(root)


def character_tokenizers():
    text = "abc  a<s> b\u00e9\u4e2d\n m a\u00e8"
    meta = {"type": "Metaspace", "replacement": META, "prepend_scheme": "first", "split": True}
    cut = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    files = {"llama2": character_json(), "mistral": character_json(normalizer=None, pre_tokenizer=dict(meta, split=False)),
             "gemma": character_json(normalizer={"type": "Replace", "pattern": {"String": " "}, "content": META}, pre_tokenizer=cut),
             "metaspace": character_json(normalizer={"type": "NFC"}, pre_tokenizer={"type": "Sequence", "pretokenizers": [dict(cut, behavior="Contiguous", invert=True), dict(meta, prepend_scheme="always")]},
                                         decoder={"type": "Sequence", "decoders": [{"type": "ByteFallback"}, meta]})}
    files = {name: parts("j", data, text) for name, data in files.items()}
    m = META.encode()
    unspace = [text_step(8, 0, m, b" "), text_step(9, 0), text_step(10, 0), text_step(11, 1, b" ")]
    for name, data in {"characters": stored_characters(16 | 32 | 8, [text_step(4, 4 | 2, m)], [text_step(8, 0, b"x", b"yy"), text_step(6, 0)], unspace),
                       "splits": stored_characters(16 | 32 | 1, [text_step(5, 8 | 3, b"a"), text_step(5, 4, b" "), text_step(5, 1, m)], [text_step(7, 0, m)], [text_step(4, 2, m)] + unspace[1:])}.items():
        files["stored_" + name] = parts("b", data, text)
    return files


def tokenizers():
    merges = ["a b", "ab c", LETTERS[32] + " a", "' s"]
    text = "abc 's <|end|> ab1\n  c\u00e9"
    special = [("<|end|>", {"special": True}), (" hone", {"single_word": True, "normalized": True}),
               ("<m>", {"lstrip": True, "rstrip": True})]
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|end|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "special_tokens": {"<|end|>": {"id": "<|end|>", "ids": [12], "tokens": ["<|end|>"]}}}
    split = {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": CL100K}, "behavior": "Isolated", "invert": False},
                                                   {"type": "Digits", "individual_digits": True}, dict(LEVEL, use_regex=False)]}
    files = {
        "gpt2": parts("j", dump(tokenizer_json(FEW, merges, extra=special)), text),
        "cl100k": parts("j", dump(tokenizer_json(FEW, merges, {"ignore_merges": True}, special, normalizer={"type": "NFC"}, pre_tokenizer=split, post_processor=template)), text),
        "bytes": parts("j", dump(tokenizer_json([chr(b) for b in range(256)], merges, extra=special[:1])), text),
        "pairs": parts("j", dump(tokenizer_json(FEW, [m.split(" ") for m in merges], {"unk_token": "a", "fuse_unk": True}, pre_tokenizer=dict(LEVEL, add_prefix_space=True),
                                                post_processor={"type": "RobertaProcessing", "sep": ["b", 2], "cls": ["a", 1]})), "zzab z"),
        "vocab": parts("v", dump(vocabulary(FEW, merges)), "#version: 0.2\n" + "\n".join(merges), dump({"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True, "add_bos_token": True, "bos_token": "a"}),
                       dump({"eos_token": {"content": "<|end|>", "lstrip": True}, "additional_special_tokens": ["b"]}), dump({"<|end|>": 12}), text),
        "roberta": parts("v", dump(dict(vocabulary(FEW, merges), **{"<s>": 12, "</s>": 13, "<mask>": 14})), "\n".join(merges),
                         dump({"tokenizer_class": "RobertaTokenizer", "added_tokens_decoder": {"15": added(15, "<x>", special=True)}}), "", "", "<s>abc <mask><x>"),
        "table": parts("t", "".join(f"{base64.b64encode(t).decode()} {i}\n" for i, t in enumerate([b"a", b"b", b"c", b" ", b"ab", b" a", b"abc", b"\xc3", b"\xa9"])), "abc a<|0.02|><|en|>\u00e9"),
    }
    merged = [(97, 98), (257, 99), (32, 97), (259, 98)]
    ends = [(b"<|end|>", 1), (b"hone", 8 | 16), (b"<m>", 2 | 4)]
    binary = {
        "plain": stored([b"xyz"], merged, ends[:1], before=(261,), behind=(261, 97)),
        "flags": stored([b"xyz"], merged, ends, flags=15, steps=((1, 3), (2, 1), (3, 0))),
        "holes": stored([b"xyz"], merged[:1], ends[1:], flags=2, steps=((1, 1), (2, 0)), every_byte=False),
        "chain": stored([], [(97, 97)] + [(256 + i, 256 + i) for i in range(6)], [(b"aaa", 0)], steps=()),
    }
    for name, data in binary.items():
        files["stored_" + name] = parts("b", data, "a" * 70 if name == "chain" else text)
    files.update(character_tokenizers())
    files["stored_text"] = parts("s", "hone byte-level-bpe 1\n" + base64.b64encode(binary["holes"]).decode(), text)
    return files


# Hugging Face folders

CONFIG = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 2, "n_head": 1, "n_layer": 1, "n_positions": 3, "vocab_size": 3, "eos_token_id": 2}


def gpt2_shapes(prefix, tied=True):
    e, inner = 2, 8
    shapes = {"wte.weight": [3, e], "wpe.weight": [3, e], "h.0.ln_1.weight": [e], "h.0.ln_1.bias": [e], "h.0.attn.c_attn.weight": [e, 3 * e], "h.0.attn.c_attn.bias": [3 * e],
              "h.0.attn.c_proj.weight": [e, e], "h.0.attn.c_proj.bias": [e], "h.0.ln_2.weight": [e], "h.0.ln_2.bias": [e], "h.0.mlp.c_fc.weight": [e, inner], "h.0.mlp.c_fc.bias": [inner],
              "h.0.mlp.c_proj.weight": [inner, e], "h.0.mlp.c_proj.bias": [e], "ln_f.weight": [e], "ln_f.bias": [e]}
    out = {prefix + k: v for k, v in shapes.items()}
    return out if tied else dict(out, **{"lm_head.weight": [3, e]})


def header(shapes, dtype="F32", size=4, **more):
    at, out = 0, dict(more)
    for name, shape in shapes.items():
        n = size * math.prod(shape)
        out[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + n]}
        at += n
    return dump(out), at


LLAMA = {"hidden_size": 4, "intermediate_size": 3, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 5,
         "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2}


def llama_shapes(c, head=2, qkv_bias=False, qk_norm=False, norms=("input_layernorm", "post_attention_layernorm"), tied=False):
    w, inner, q, kv = c["hidden_size"], c["intermediate_size"], c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    bias, mlp_bias = c.get("attention_bias", False), c.get("mlp_bias", False)
    linear = {"self_attn.q_proj": (q, w, bias or qkv_bias), "self_attn.k_proj": (kv, w, bias or qkv_bias), "self_attn.v_proj": (kv, w, bias or qkv_bias),
              "self_attn.o_proj": (w, q, bias), "mlp.gate_proj": (inner, w, mlp_bias), "mlp.up_proj": (inner, w, mlp_bias), "mlp.down_proj": (w, inner, mlp_bias)}
    out = {"model.embed_tokens.weight": [c["vocab_size"], w]}
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        for name, (rows, columns, has_bias) in linear.items():
            out[at + name + ".weight"] = [rows, columns]
            if has_bias:
                out[at + name + ".bias"] = [rows]
        out.update({at + n + ".weight": [w] for n in norms})
        if qk_norm:
            out.update({at + f"self_attn.{n}_norm.weight": [head] for n in "qk"})
    out["model.norm.weight"] = [w]
    return out if tied else dict(out, **{"lm_head.weight": [c["vocab_size"], w]})


def neo_shapes(e=4, layers=2):
    out = {"transformer.wte.weight": [5, e], "transformer.wpe.weight": [8, e], "transformer.ln_f.weight": [e], "transformer.ln_f.bias": [e]}
    for i in range(layers):
        at = f"transformer.h.{i}."
        out.update({at + f"attn.attention.{n}_proj.weight": [e, e] for n in ("q", "k", "v", "out")})
        out.update({at + "attn.attention.out_proj.bias": [e], at + "mlp.c_fc.weight": [4 * e, e], at + "mlp.c_fc.bias": [4 * e], at + "mlp.c_proj.weight": [e, 4 * e], at + "mlp.c_proj.bias": [e]})
        out.update({at + f"ln_{k}.{n}": [e] for k in (1, 2) for n in ("weight", "bias")})
    return out


def families():
    """A folder of every family of models, with what its settings may say."""
    four = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")

    def rope(kind, **more):
        return {"rope_parameters": dict(rope_theta=10000.0, rope_type=kind, **more)}

    two = {"num_hidden_layers": 2}
    wide = dict(LLAMA, head_dim=6)
    sliding = dict(wide, sliding_window=2, query_pre_attn_scalar=5, **two)
    cases = {
        "llama": (dict(LLAMA, model_type="llama", attention_bias=True, mlp_bias=True), {}),
        "llama_tied": (dict(LLAMA, model_type="llama", tie_word_embeddings=True, rope_theta=500.0, rope_scaling={"type": "linear", "factor": 4.0}), {"tied": True}),
        "llama_three": (dict(LLAMA, model_type="llama", **rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=4)), {}),
        "llama_yarn": (dict(LLAMA, model_type="llama", **rope("yarn", factor=4.0, original_max_position_embeddings=2, beta_fast=16.0, mscale=1.2, mscale_all_dim=0.7)), {}),
        "llama_dynamic": (dict(wide, model_type="llama", **rope("dynamic", factor=8.0)), {"head": 6}),
        "mistral": (dict(LLAMA, model_type="mistral", sliding_window=3), {}),
        "qwen2": (dict(LLAMA, model_type="qwen2", use_sliding_window=True, sliding_window=2, max_window_layers=1, **two), {"qkv_bias": True}),
        "qwen3": (dict(wide, model_type="qwen3"), {"head": 6, "qk_norm": True}),
        "gemma": (dict(wide, model_type="gemma", hidden_act="gelu"), {"head": 6, "tied": True}),
        "gemma2": (dict(sliding, model_type="gemma2", attn_logit_softcapping=5.0, final_logit_softcapping=3.0), {"head": 6, "norms": four, "tied": True}),
        "gemma3": (dict(sliding, model_type="gemma3_text", layer_types=["sliding_attention", "full_attention"], rope_local_base_freq=100.0), {"head": 6, "norms": four, "qk_norm": True, "tied": True}),
    }
    files = {name: parts("h0", dump(c), "", header(llama_shapes(c, **more), "BF16", 2)[0]) for name, (c, more) in cases.items()}
    neo = {"model_type": "gpt_neo", "hidden_size": 4, "num_layers": 2, "num_heads": 2, "vocab_size": 5, "max_position_embeddings": 8, "window_size": 2, "attention_types": [[["global", "local"], 1]], "eos_token_id": 2}
    files["gpt_neo"] = parts("h0", dump(neo), "", header(neo_shapes())[0])
    return files


def folders():
    text, size = header(gpt2_shapes(""), "F16", 2, __metadata__={"format": "pt"})
    data = b"".join(struct.pack("<e", (i % 7 - 3) / 4) for i in range(size // 2))
    whole = struct.pack("<Q", len(text)) + text.encode() + data
    generation = dump({"eos_token_id": [1, 2], "bos_token_id": 0})
    untied = dict(CONFIG, tie_word_embeddings=False, activation_function="relu", scale_attn_by_inverse_layer_idx=True, n_inner=8)
    shapes = gpt2_shapes("transformer.")
    names = list(shapes)
    halves = [{k: shapes[k] for k in names[:8]}, {k: shapes[k] for k in names[8:]}]
    index = {"metadata": {"total_size": 1}, "weight_map": {k: "ab"[i] + ".safetensors" for i in range(2) for k in halves[i]}}
    return dict(families(), **{
        "whole": parts("s0", dump(CONFIG), generation, whole),
        "widened": parts("s2", dump(CONFIG), "", whole),
        "header": parts("h0", dump(CONFIG), generation, header(shapes)[0]),
        "untied": parts("h1", dump(untied), "", header(gpt2_shapes("transformer.", False), "F64", 8)[0]),
        "bf16": parts("h3", dump(CONFIG), "", header(shapes, "BF16", 2)[0]),
        "shards": parts("i0", dump(CONFIG), "", dump(index), header(halves[0])[0], header(halves[1])[0]),
        "bin": parts("b0", dump(CONFIG), "", torch_archive(gpt2_shapes("transformer."))),
        "bin_half": parts("b4", dump(CONFIG), generation, torch_archive(gpt2_shapes(""), "HalfStorage", 2)),
        "refused_outside": parts("i0", dump(CONFIG), "", dump({"weight_map": {"wte.weight": "../a.safetensors"}}), header(halves[0])[0], ""),
    })


# Weights: safetensors, and what torch.save writes

def safetensors():
    kinds = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1}
    at, mixed = 0, {"__metadata__": {"format": "pt", "\"}{": "\\"}}
    for name, size in kinds.items():
        mixed[name.lower()] = {"dtype": name, "shape": [3, 1], "data_offsets": [at, at + 3 * size]}
        at += 3 * size
    mixed["none"] = {"dtype": "F32", "shape": [0, 7], "data_offsets": [at, at]}
    text, size = header({"a": [4, 9], "b": []}, "F16", 2)

    def two(begin, end, name="b", dtype="F32"):
        a = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
        return "{" + f'"a":{dump(a)},"{name}":{dump(dict(a, dtype=dtype, data_offsets=[begin, end]))}' + "}"

    return {"mixed": "h" + dump(mixed), "padded": "h" + text + " " * 9, "whole": b"s" + struct.pack("<Q", len(text)) + text.encode() + bytes(range(size)), "empty": "h{}",
            "refused_overlap": "h" + two(4, 12), "refused_gap": "h" + two(12, 20), "refused_twice": "h" + two(8, 16, "a"), "refused_outside": "h" + two(8, 1 << 40),
            "refused_dtype": "h" + two(8, 16, dtype="F31"), "refused_size": "h" + two(8, 12), "refused_length": b"s" + struct.pack("<Q", 100000000) + b"{}"}


def unicode(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def whole(n):
    return b"K" + bytes([n]) if 0 <= n < 256 else b"J" + struct.pack("<i", n)


def numbers(values):
    return b"(" + b"".join(map(whole, values)) + b"t"


def stored_tensor(key, storage, elements, shape, offset=0, strides=None, maker="_rebuild_tensor_v2", behind=b"", module="torch"):
    rows = [math.prod(shape[i + 1:]) for i in range(len(shape))] if strides is None else strides
    place = b"(" + unicode("storage") + f"c{module}\n{storage}\n".encode() + unicode(key) + unicode("cpu") + whole(elements) + b"tQ"
    return f"ctorch._utils\n{maker}\n(".encode() + place + whole(offset) + numbers(shape) + numbers(rows) + b"\x89ccollections\nOrderedDict\n)R" + behind + b"tR"


def pickled(items, begin=b"}", end=b"u"):
    return b"\x80\x02" + begin + b"(" + b"".join(unicode(k) + v for k, v in items.items()) + end + b"."


def pickles():
    views = {"plain": stored_tensor("0", "FloatStorage", 64, [4, 16]), "turned": stored_tensor("1", "HalfStorage", 128, [3, 2], 5, [1, 3]), "scalar": stored_tensor("2", "DoubleStorage", 32, [], 31),
             "spread": stored_tensor("3", "BFloat16Storage", 128, [2, 9], 1, [0, 0]), "none": stored_tensor("0", "FloatStorage", 64, [0, 3], 64), "shared": stored_tensor("0", "FloatStorage", 64, [16], 48),
             "bytes": stored_tensor("1", "ByteStorage", 256, [256])}
    typed = stored_tensor("3", "UntypedStorage", 256, [8], 2, maker="_rebuild_tensor_v3", behind=b"ctorch\nuint16\nN", module="torch.storage")
    parameter = b"ctorch._utils\n_rebuild_parameter\n(" + views["plain"] + b"\x88ccollections\nOrderedDict\n)RtR"
    subclass = b"ctorch._tensor\n_rebuild_from_type_v2\n(" + b"ctorch._utils\n_rebuild_tensor_v2\n" + b"ctorch.nn.parameter\nParameter\n" + views["plain"].split(b"_rebuild_tensor_v2\n")[1][:-1] + b"N" + b"tR"
    ordered = b"ccollections\nOrderedDict\n)R"
    metadata = b"}" + unicode("_metadata") + ordered + b"(" + unicode("") + b"}" + unicode("version") + b"K\x01su" + b"sb"
    training = {"model": b"}q\x01(" + unicode("w") + views["turned"] + b"u", "step": whole(70000), "rate": b"G" + struct.pack(">d", 0.1), "list": b"](K\x01h\x01Ne", "big": b"\x8a\x09" + bytes(9)}
    four = b"\x80\x04\x95" + struct.pack("<Q", 9) + b"}\x94(\x8c\x01w\x94" + views["plain"].replace(b"ctorch._utils\n_rebuild_tensor_v2\n", b"\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93") + b"u."
    return {"views": pickled(views), "typed": pickled({"u": typed}), "parameter": pickled({"p": parameter}), "subclass": pickled({"p": subclass}), "ordered": pickled(views, ordered, b"u" + metadata), "training": pickled(training), "four": four}


def torch_archive(shapes, storage="FloatStorage", size=4, **more):
    members = {"m/data.pkl": pickled({k: stored_tensor(str(i), storage, math.prod(v), v) for i, (k, v) in enumerate(shapes.items())}), "m/byteorder": b"little", "m/version": b"3\n"}
    members.update({f"m/data/{i}": bytes(j % 60 for j in range(size * math.prod(v))) for i, v in enumerate(shapes.values())})
    return archive(members, **more)


class Stream(io.RawIOBase):
    """Cannot seek: sizes then stand behind the members."""
    def __init__(self):
        self.data = b""

    def writable(self):
        return True

    def write(self, data):
        self.data += bytes(data)
        return len(data)


def streamed(members):
    out = Stream()
    with zipfile.ZipFile(out, "w") as z:
        for name, data in members.items():
            with z.open(zipfile.ZipInfo(name, DATE), "w", force_zip64=True) as f:
                f.write(data)
    return out.data


def torches():
    shapes = {"w": [2, 3], "b": [3]}
    files = {name: b"p" + data for name, data in pickles().items()}
    views = pickles()["views"]
    return dict(files, big=b"b" + views, archive=b"z" + torch_archive(shapes), comment=b"z" + torch_archive(shapes, comment=b"PK\5\6 is not the end"),
                streamed=b"z" + streamed({"n/data.pkl": pickled({"w": stored_tensor("a", "FloatStorage", 2, [2])}), "n/data/a": bytes(8)}),
                refused_deflated=b"z" + torch_archive(shapes, method=zipfile.ZIP_DEFLATED), refused_class=b"p\x80\x02cos\nsystem\nX\2\0\0\0ls\x85R.", refused_opcode=b"p\x80\x02}(ios\nsystem\n.",
                refused_old=b"z\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", refused_beyond=b"p" + pickled({"w": stored_tensor("0", "FloatStorage", 64, [65])}),
                refused_root=b"p\x80\x02].")


# Archives

def npy(descr, shape, data, fortran=False):
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 16) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


def archive(members, method=zipfile.ZIP_STORED, comment=b""):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in members.items():
            z.writestr(zipfile.ZipInfo(name, DATE), data, method)
        z.comment = comment
    return out.getvalue()


def npzs():
    members = {"x.npy": npy("<f4", (2, 3), struct.pack("<6f", *range(6))), "n.npy": npy(">i8", (), struct.pack(">q", -5)),
               "s.npy": npy("<U2", (3,), "a\0bcd\0".encode("utf-32-le")), "t.npy": npy("<f2", (2, 2), bytes(8), True)}
    return {"stored": archive(members), "deflated": archive(members, zipfile.ZIP_DEFLATED), "one": archive({"x.npy": members["x.npy"]}), "none": archive({}),
            "zeros": archive({"z.npy": npy("|u1", (20000,), bytes(20000))}, zipfile.ZIP_DEFLATED), "empty_strings": archive({"e.npy": npy("<U0", (200,), b"")}),
            "other": archive({"x.txt": b"no array"}), "bzip2": archive({"x.npy": members["x.npy"]}, zipfile.ZIP_BZIP2)}


def keras():
    members = {"metadata.json": dump({"keras_version": "3.15.0"}), "config.json": dump({"module": "keras", "class_name": "Sequential", "config": {"layers": []}}), "model.weights.h5": bytes(range(200))}
    return {"stored": archive(members), "deflated": archive(members, zipfile.ZIP_DEFLATED), "comment": archive(members, comment=b"PK\5\6 is not the end"), "partial": archive({"config.json": "{}"}),
            "zeros": archive({"config.json": bytes(40000)}, zipfile.ZIP_DEFLATED)}


# What the child of an HDF5 file writes (tools/import/hdf5/h5_records.h)

def words(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def text(value):
    return words(len(value)) + value.encode()


def data_set(path, dtype, dims, in_file, offset, size):
    return words(3) + text(path) + words(dtype, len(dims), *dims, in_file, offset, size, size)


def attribute(owner, name, dtype, count, *values):
    return words(4) + text(owner) + text(name) + words(dtype, count) + b"".join(values)


def catalogues():
    f32, string, i64, end = 1, 8, 7, words(0x484f4e4531)
    sets = data_set("a/kernel", f32, (2, 3), 1, 100, 24) + data_set("a", f32, (), 0, 0, 4) + data_set("b", 0, (5,), 1, 0, 0)
    names = attribute("", "names", string, 2, text("a"), text("b\0c")) + attribute("a", "names", i64, 500, words(7))
    return {"sets": sets + end, "both": names + sets + end, "none": end, "error": words(2) + text("not an HDF5 file"), "strings": data_set("s", string, (3,), 1, 0, 48) + end,
            "outside": data_set("x", f32, (100,), 0, 0, 400) + data_set("y", f32, (2,), 1, 996, 8) + end, "unfinished": sets, "many": attribute("", "names", string, 9, text("a")) + end}


# Sounds

def sounds():
    import numpy
    import soundfile
    rate = 8000
    x = 0.5 * numpy.sin(numpy.arange(rate // 20) * 0.3).astype("float32")
    kinds = {"pcm16.wav": ("WAV", "PCM_16"), "adpcm.wav": ("WAV", "MS_ADPCM"), "ima.wav": ("WAV", "IMA_ADPCM"), "gsm.wav": ("WAV", "GSM610"), "sound.flac": ("FLAC", "PCM_16"), "sound.mp3": ("MP3", "MPEG_LAYER_III"),
             "opus.ogg": ("OGG", "OPUS"), "vorbis.ogg": ("OGG", "VORBIS"), "sound.aiff": ("AIFF", "PCM_16"), "law.au": ("AU", "ULAW"), "sound.caf": ("CAF", "PCM_16"), "sound.voc": ("VOC", "PCM_U8"), "sound.w64": ("W64", "FLOAT")}
    files = {}
    for name, (kind, subtype) in kinds.items():
        out = io.BytesIO()
        soundfile.write(out, numpy.stack([x, -x], 1) if name == "pcm16.wav" else x, rate, format=kind, subtype=subtype)
        files[name] = out.getvalue()
    return files


def main():
    targets = {"json": lambda: JSONS, "tokenizer": tokenizers, "hugging_face": folders, "torch": torches, "safetensors": safetensors, "npz": npzs, "keras_zip": keras, "h5_records": catalogues, "media": sounds}
    for target in sys.argv[2:] or targets:
        for name, data in targets[target]().items():
            put(target, name, data)


if __name__ == "__main__":
    main()
