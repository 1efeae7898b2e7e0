#!/usr/bin/env python3
"""Memory that importing a large language model takes: check_import_memory.py [--gb 2] [--keep] [FOLDER]
Makes Hugging Face folders of that many GB in FOLDER (a temporary one otherwise): the shape of a llama, tied and untied,
numbers drawn once and repeated, as safetensors in bfloat16 and as pytorch_model.bin in bfloat16 and, so that no number
is aligned, float32. Each goes through `hone optimize` (HONE names the command) in every precision, and the largest
private memory (RssAnon and RssShmem: what is no mapped file) is sampled every 5 ms. Exit 1 over --limit MB (200).
Without --gb: 0.3 GB, to fp32 and int8 only, 50 MB. 77 in sanitizer builds: they take memory of their own."""
import argparse, json, os, random, shutil, struct, subprocess, sys, tempfile, time, zipfile

HONE = os.environ.get("HONE", "build/hone")
PRECISIONS = ("fp32", "fp16", "bf16", "int8", "int4")
WIDTH, INNER, VOCAB, KV = 2048, 5632, 32000, 256


def shapes(layers):
    yield "model.embed_tokens.weight", (VOCAB, WIDTH)
    for i in range(layers):
        at = f"model.layers.{i}."
        for name, out, into in (("self_attn.q_proj", WIDTH, WIDTH), ("self_attn.k_proj", KV, WIDTH),
                                ("self_attn.v_proj", KV, WIDTH), ("self_attn.o_proj", WIDTH, WIDTH),
                                ("mlp.gate_proj", INNER, WIDTH), ("mlp.up_proj", INNER, WIDTH),
                                ("mlp.down_proj", WIDTH, INNER)):
            yield f"{at}{name}.weight", (out, into)
        yield f"{at}input_layernorm.weight", (WIDTH,)
        yield f"{at}post_attention_layernorm.weight", (WIDTH,)
    yield "model.norm.weight", (WIDTH,)
    yield "lm_head.weight", (VOCAB, WIDTH)


def count(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def numbers(half):
    """A block of numbers that occur in weights."""
    draw = random.Random(5)
    block = struct.pack("<1048576f", *(draw.gauss(0, 0.02) for _ in range(1 << 20)))
    if not half:
        return block
    return b"".join(block[i + 2:i + 4] for i in range(0, len(block), 4))


def write_numbers(f, block, size):
    while size:
        n = min(size, len(block))
        f.write(block[:n])
        size -= n


def write_safetensors(path, layers, half):
    size, at, header = 2 if half else 4, 0, {}
    for name, shape in shapes(layers):
        n = size * count(shape)
        header[name] = dict(dtype="BF16" if half else "F32", shape=shape, data_offsets=(at, at + n))
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        write_numbers(f, numbers(half), at)


def text(t):
    return b"X" + struct.pack("<I", len(t)) + t.encode()


def integer(v):
    return b"\x8a\x08" + struct.pack("<q", v)


def tensor(key, shape, half):
    strides = [count(shape[i + 1:]) for i in range(len(shape))]
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage")
            + b"ctorch\n" + (b"BFloat16Storage" if half else b"FloatStorage") + b"\n" + text(key) + text("cpu")
            + integer(count(shape)) + b"tQ" + integer(0)
            + b"(" + b"".join(map(integer, shape)) + b"t(" + b"".join(map(integer, strides)) + b"t"
            + b"\x89ccollections\nOrderedDict\n)RtR")


def member(z, name, aligned):
    """An entry whose bytes will begin at a multiple of 64, as torch.save has them, or as they come."""
    info = zipfile.ZipInfo(name)
    at = z.fp.tell() + 30 + len(name) + 20 + 4  # 20: the field that zipfile adds for sizes over 4 GB
    n = -at % 64 if aligned else -at % 64 + 1
    info.extra = struct.pack("<HH", 0x4246, n) + bytes(n)
    return info


def write_torch(path, layers, half):
    block, size = numbers(half), 2 if half else 4
    pickle = b"\x80\x02}("
    for i, (name, shape) in enumerate(shapes(layers)):
        pickle += text(name) + tensor(str(i), shape, half)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        z.writestr("m/data.pkl", pickle + b"u.")
        z.writestr("m/byteorder", "little")
        for i, (_, shape) in enumerate(shapes(layers)):
            with z.open(member(z, f"m/data/{i}", half), "w", force_zip64=True) as f:
                write_numbers(f, block, size * count(shape))


def make(folder, form, half, gb, tied):
    layer = count((WIDTH, 2 * WIDTH + 2 * KV + 3 * INNER))
    layers = max(1, round((gb * 1e9 / (2 if half else 4) - 2 * VOCAB * WIDTH) / layer))
    os.makedirs(folder)
    config = dict(model_type="llama", architectures=["LlamaForCausalLM"], hidden_size=WIDTH, intermediate_size=INNER,
                  num_hidden_layers=layers, num_attention_heads=32, num_key_value_heads=4, vocab_size=VOCAB,
                  max_position_embeddings=2048, rms_norm_eps=1e-5, tie_word_embeddings=tied)
    with open(f"{folder}/config.json", "w") as f:
        json.dump(config, f)
    if form == "bin":
        write_torch(f"{folder}/pytorch_model.bin", layers, half)
    else:
        write_safetensors(f"{folder}/model.safetensors", layers, half)


def private_bytes(pid):
    try:
        with open(f"/proc/{pid}/status") as f:
            lines = dict(line.split(":", 1) for line in f if line.startswith("Rss"))
    except OSError:
        return 0
    return sum(int(lines.get(k, "0 kB").split()[0]) << 10 for k in ("RssAnon", "RssShmem"))


def measure(source, out, precision):
    """(peak of private bytes, seconds, bytes written)"""
    begin, peak = time.time(), 0
    p = subprocess.Popen([HONE, "optimize", source, "-o", out, "-p", precision, "-q"])
    while p.poll() is None:
        peak = max(peak, private_bytes(p.pid))
        time.sleep(0.005)
    if p.returncode:
        sys.exit(f"hone optimize {source} -p {precision}: exit {p.returncode}")
    written = sum(os.path.getsize(f"{out}/{n}") for n in os.listdir(out))
    return peak, time.time() - begin, written


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("folder", nargs="?")
    ap.add_argument("--gb", type=float)
    ap.add_argument("--limit", type=float)
    ap.add_argument("--keep", action="store_true")
    a = ap.parse_args()
    if os.environ.get("HONE_SANITIZE") not in (None, "", "OFF"):
        print("skipped: a sanitizer takes memory of its own")
        return 77
    gb, limit = a.gb or 0.3, a.limit or (200 if a.gb else 50)
    work = a.folder or tempfile.mkdtemp(prefix="hone-import-")
    worst = 0
    try:
        for form, half, tied in (("safetensors", True, False), ("bin", True, True), ("bin", False, False)):
            name = f"{form}, {'bfloat16' if half else 'float32'}, {'tied' if tied else 'untied'}"
            source = os.path.join(work, name.replace(", ", "-"))
            if not os.path.exists(source):
                make(source, form, half, gb, tied)
            size = sum(os.path.getsize(f"{source}/{n}") for n in os.listdir(source))
            for precision in PRECISIONS if a.gb else ("fp32", "int8"):
                out = os.path.join(work, "out")
                peak, seconds, written = measure(source, out, precision)
                shutil.rmtree(out)
                worst = max(worst, peak)
                print(f"{name:32} {size / 1e9:5.2f} GB -> {precision} {written / 1e9:5.2f} GB: {peak / 1e6:7.1f} MB private,"
                      f" {seconds:5.1f} s", flush=True)
            if not a.keep:
                shutil.rmtree(source)
    finally:
        if not a.folder and not a.keep:
            shutil.rmtree(work, ignore_errors=True)
    return worst > limit * 1e6


sys.exit(main())
