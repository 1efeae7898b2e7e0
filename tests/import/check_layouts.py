#!/usr/bin/env python3
"""What `hone optimize` writes for language models, in both layouts and every precision: the inputs and outputs, and how
often the embedding is stored when it is the head, too: once. Random models of a few families; nothing but Python."""
import json, os, random, struct, subprocess, sys, tempfile

HONE = os.environ.get("HONE", "build/hone")
BITS = {"fp32": 32, "fp16": 16, "bf16": 16, "int8": 8, "int4": 4}
V, W, I, P, LAYERS, KV, HEAD = 1024, 64, 96, 32, 2, 2, 16


def gpt2():
    yield from (("transformer.wte.weight", (V, W)), ("transformer.wpe.weight", (P, W)))
    for i in range(LAYERS):
        at = f"transformer.h.{i}."
        for n in ("ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias", "attn.c_proj.bias", "mlp.c_proj.bias"):
            yield at + n, (W,)
        yield from ((at + "attn.c_attn.weight", (W, 3 * W)), (at + "attn.c_attn.bias", (3 * W,)),
                    (at + "attn.c_proj.weight", (W, W)), (at + "mlp.c_fc.weight", (W, I)), (at + "mlp.c_fc.bias", (I,)),
                    (at + "mlp.c_proj.weight", (I, W)))
    yield from (("transformer.ln_f.weight", (W,)), ("transformer.ln_f.bias", (W,)))


def gpt_neo():
    yield from (("transformer.wte.weight", (V, W)), ("transformer.wpe.weight", (P, W)))
    for i in range(LAYERS):
        at = f"transformer.h.{i}."
        for n in ("ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias", "attn.attention.out_proj.bias",
                  "mlp.c_proj.bias"):
            yield at + n, (W,)
        for n in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield f"{at}attn.attention.{n}.weight", (W, W)
        yield from ((at + "mlp.c_fc.weight", (I, W)), (at + "mlp.c_fc.bias", (I,)), (at + "mlp.c_proj.weight", (W, I)))
    yield from (("transformer.ln_f.weight", (W,)), ("transformer.ln_f.bias", (W,)))


def llama():
    yield "model.embed_tokens.weight", (V, W)
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        for n, out, into in (("self_attn.q_proj", W, W), ("self_attn.k_proj", KV * HEAD, W),
                             ("self_attn.v_proj", KV * HEAD, W), ("self_attn.o_proj", W, W), ("mlp.gate_proj", I, W),
                             ("mlp.up_proj", I, W), ("mlp.down_proj", W, I)):
            yield f"{at}{n}.weight", (out, into)
        yield from ((at + "input_layernorm.weight", (W,)), (at + "post_attention_layernorm.weight", (W,)))
    yield "model.norm.weight", (W,)


LLAMA = dict(hidden_size=W, intermediate_size=I, num_hidden_layers=LAYERS, num_attention_heads=W // HEAD,
             num_key_value_heads=KV, head_dim=HEAD, vocab_size=V, max_position_embeddings=P, tie_word_embeddings=True)
MODELS = {
    "gpt2": (gpt2, "wte", dict(n_embd=W, n_layer=LAYERS, n_head=W // HEAD, n_positions=P, n_inner=I, vocab_size=V)),
    "gpt_neo": (gpt_neo, "wte", dict(hidden_size=W, num_layers=LAYERS, num_heads=W // HEAD, intermediate_size=I,
                                     window_size=8, max_position_embeddings=P, vocab_size=V,
                                     attention_types=[[["global", "local"], 1]])),
    "llama": (llama, "embed_tokens", LLAMA),
    "qwen3": (lambda: [*llama(), *((f"model.layers.{i}.self_attn.{n}_norm.weight", (HEAD,)) for i in range(LAYERS)
                                   for n in "qk")], "embed_tokens", LLAMA),
    "gemma": (llama, "embed_tokens", LLAMA),
}


def count(shape):
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def write(folder, kind, shapes, settings, dtype):
    size, at, header = 4 if dtype == "F32" else 2, 0, {}
    for name, shape in shapes:
        header[name] = dict(dtype=dtype, shape=shape, data_offsets=(at, at + size * count(shape)))
        at += size * count(shape)
    text = json.dumps(header).encode()
    draw = random.Random(3)
    data = struct.pack(f"<{at // size}f", *(draw.gauss(0, 0.1) for _ in range(at // size)))
    if dtype == "BF16":
        data = b"".join(data[i + 2:i + 4] for i in range(0, len(data), 4))
    os.makedirs(folder)
    with open(f"{folder}/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    with open(f"{folder}/config.json", "w") as f:
        json.dump(dict(settings, model_type=kind), f)


def expected_bytes(shapes, precision):
    """Matrices in the precision, with a scale per block where it has some (at most W = one or two blocks); vectors in
    float32."""
    total = 0
    for _, shape in shapes:
        n = count(shape)
        block = 32 if precision == "int4" else 128
        scales = 0 if BITS[precision] > 8 else 4 * max(shape[0], shape[-1]) * -(-shape[-1] // block)
        total += 4 * n if len(shape) == 1 else n * BITS[precision] // 8 + scales
    return total


def names(entries):
    return [e["name"] for e in entries]


def check_inputs(model, layout):
    past = [f"past_key_values.{i}.{k}" for i in range(LAYERS) for k in ("key", "value")]
    present = [p.replace("past_key_values", "present") for p in past]
    if layout == "no-cache":
        past = present = []
    assert names(model["inputs"]) == ["input_ids", "attention_mask", "position_ids"] + past, names(model["inputs"])
    assert names(model["outputs"]) == ["logits"] + present, names(model["outputs"])


def check(kind, folder, dtype, precision, layout, out):
    make, table, _ = MODELS[kind]
    subprocess.run([HONE, "optimize", folder, "-o", out, "-p", precision, "--layout", layout, "-q"], check=True)
    model = json.loads(subprocess.run([HONE, "inspect", f"{out}/model.onnx", "--json"], check=True,
                                      capture_output=True).stdout)
    check_inputs(model, layout)
    large = [w for w in model["weights"] if w["bytes"] >= V * W * BITS[precision] // 8]
    assert len(large) == 1 and table in large[0]["name"], names(large)
    stored, want = sum(w["bytes"] for w in model["weights"]), expected_bytes(list(make()), precision)
    slack = 0.5 * V * W * BITS[precision] / 8  # less than another table
    assert want * 0.8 < stored < want + slack, (stored, want)
    sides = os.path.getsize(f"{out}/model.onnx") + os.path.getsize(f"{out}/model.onnx_data")
    assert stored <= sides < stored + slack, (stored, sides)
    return stored


def main():
    checks = 0
    for kind, (make, _, settings) in MODELS.items():
        for dtype in ("F32", "BF16"):
            with tempfile.TemporaryDirectory() as tmp:
                write(f"{tmp}/source", kind, list(make()), settings, dtype)
                for precision in BITS:
                    sizes = {check(kind, f"{tmp}/source", dtype, precision, layout, f"{tmp}/{precision}-{layout}")
                             for layout in ("with-past", "no-cache")}
                    assert max(sizes) - min(sizes) < 256, sizes  # constants of the masks
                    checks += 2
    print(checks, "models")


main()
