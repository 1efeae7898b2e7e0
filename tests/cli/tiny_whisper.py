"""A Whisper of one layer over bytes with windows of 2 s, as a Hugging Face folder, in Python's own libraries: what it
says makes no sense, but it is the same every time."""
import json, math, os, struct

FRAMES, WIDTH, HIDDEN, CONTEXT, MELS = 200, 16, 32, 64, 80
LANGUAGES = ["en", "zh", "de", "es", "fr", "haw"]
SPECIAL = (["<|endoftext|>", "<|startoftranscript|>"] + [f"<|{x}|>" for x in LANGUAGES] +
           ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"] +
           [f"<|{i * 0.02:.2f}|>" for i in range(FRAMES // 2 + 1)])
VOCAB = 256 + len(SPECIAL)
END, FIRST_TIME = 256, 256 + len(SPECIAL) - FRAMES // 2 - 1


def byte_tokens():
    """GPT-2's letters for bytes, in the order of the bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return [chr(b) if b in plain else chr(256 + others.index(b)) for b in range(256)]


def shapes():
    linear = lambda name, to, of: {f"{name}.weight": [to, of], f"{name}.bias": [to]}
    norm = lambda name: {f"{name}.weight": [WIDTH], f"{name}.bias": [WIDTH]}
    def attention(name):
        out = {**linear(f"{name}.q_proj", WIDTH, WIDTH), **linear(f"{name}.v_proj", WIDTH, WIDTH), **linear(f"{name}.out_proj", WIDTH, WIDTH)}
        return {**out, f"{name}.k_proj.weight": [WIDTH, WIDTH]}
    def layer(name, parts):
        out = {}
        for part in parts:
            out |= {**attention(f"{name}.{part}"), **norm(f"{name}.{part}_layer_norm")}
        return {**out, **linear(f"{name}.fc1", HIDDEN, WIDTH), **linear(f"{name}.fc2", WIDTH, HIDDEN), **norm(f"{name}.final_layer_norm")}
    return {"model.encoder.conv1.weight": [WIDTH, MELS, 3], "model.encoder.conv1.bias": [WIDTH],
            "model.encoder.conv2.weight": [WIDTH, WIDTH, 3], "model.encoder.conv2.bias": [WIDTH],
            "model.encoder.embed_positions.weight": [FRAMES // 2, WIDTH], **norm("model.encoder.layer_norm"),
            **layer("model.encoder.layers.0", ["self_attn"]),
            "model.decoder.embed_tokens.weight": [VOCAB, WIDTH], "model.decoder.embed_positions.weight": [CONTEXT, WIDTH],
            **norm("model.decoder.layer_norm"), **layer("model.decoder.layers.0", ["self_attn", "encoder_attn"])}


def values(name, shape):
    """Evenly spread, from a congruential generator that goes on from name to name."""
    global state
    count, scale = math.prod(shape), 0.1 if len(shape) == 1 else 0.8 if "embed_tokens" in name else 0.3
    out = []
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        out.append((state / 2**30 - 1) * scale + (1 if name.endswith("norm.weight") else 0))
    return struct.pack(f"<{count}f", *out)


def make(folder):
    global state
    state = 7
    os.makedirs(folder)
    config = {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"], "d_model": WIDTH, "encoder_layers": 1,
              "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": HIDDEN,
              "decoder_ffn_dim": HIDDEN, "num_mel_bins": MELS, "max_source_positions": FRAMES // 2, "max_target_positions": CONTEXT,
              "vocab_size": VOCAB, "activation_function": "gelu", "eos_token_id": END, "bos_token_id": END, "pad_token_id": END,
              "decoder_start_token_id": END + 1}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "normalizer": None, "pre_tokenizer": level, "post_processor": None,
                 "decoder": level, "added_tokens": [{"id": 256 + i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                                                     "normalized": False, "special": i < len(SPECIAL) - FRAMES // 2 - 1} for i, t in enumerate(SPECIAL)],
                 "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                           "fuse_unk": False, "byte_fallback": False, "vocab": {t: i for i, t in enumerate(byte_tokens())}, "merges": []}}
    json.dump(config, open(f"{folder}/config.json", "w"))
    json.dump(tokenizer, open(f"{folder}/tokenizer.json", "w"))
    header, data = {}, b""
    for name, shape in shapes().items():
        piece = values(name, shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    head = json.dumps(header).encode()
    open(f"{folder}/model.safetensors", "wb").write(struct.pack("<Q", len(head)) + head + data)


def wav(path, seconds, hertz=440.0, times=1):
    """A tone that swells and fades, 16 kHz, over and over."""
    n = int(seconds * 16000)
    pcm = [int(12000 * math.sin(2 * math.pi * hertz * i / 16000) * math.sin(math.pi * i / 7000)) for i in range(n)]
    size = 2 * n * times
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", size)
    open(path, "wb").write(head + struct.pack(f"<{n}h", *pcm) * times)
