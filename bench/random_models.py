"""Models of real size with random weights, for speed and memory: random_models.py OUT [NAME...] [--tokenizer FOLDER]
audio         OUT/audio.h5 and audio.keras: an audio classifier of 4.19 M parameters on [128, 130, 1] log-mel frames, with
              Adam's state (needs Keras; what is made when no name is given)
gpt2, distilgpt2, gpt-neo-125M
              OUT/NAME as Hugging Face publishes it: config.json, model.safetensors in float32 and a tokenizer of 50,257
              tokens: that of --tokenizer, else zoo/gpt2-nano's, filled up with pairs of its tokens (needs NumPy)"""
import argparse, json, os, shutil, struct, sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SIDE = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json")
VOCABULARY, WIDTH, INNER, END = 50257, 768, 3072, "<|endoftext|>"
LAYERS = {"gpt2": 12, "distilgpt2": 6, "gpt-neo-125M": 12}
COMMON = {"bos_token_id": VOCABULARY - 1, "eos_token_id": VOCABULARY - 1, "vocab_size": VOCABULARY, "initializer_range": 0.02,
          "layer_norm_epsilon": 1e-05, "activation_function": "gelu_new", "tie_word_embeddings": True, "torch_dtype": "float32"}


def audio(out):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np
    import keras
    keras.utils.set_random_seed(7)
    layers = keras.layers
    blocks = [keras.Input((128, 130, 1), name="features")]
    for filters, pool in ((32, 2), (64, 2), (128, 4)):
        blocks += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D(pool)]
    blocks += [layers.Flatten(), layers.Dense(500, activation="relu"), layers.Dense(10, activation="softmax")]
    model = keras.Sequential(blocks)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(np.zeros((2, 128, 130, 1), np.float32), np.zeros(2), verbose=0)
    for name in ("audio.h5", "audio.keras"):
        model.save(os.path.join(out, name))
        print(name, os.path.getsize(os.path.join(out, name)))


def config(name):
    layers = LAYERS[name]
    if name == "gpt-neo-125M":
        return {"model_type": "gpt_neo", "architectures": ["GPTNeoForCausalLM"], "hidden_size": WIDTH, "num_layers": layers,
                "num_heads": 12, "intermediate_size": None, "max_position_embeddings": 2048, "window_size": 256,
                "attention_types": [[["global", "local"], layers // 2]], "attention_layers": ["global", "local"] * (layers // 2),
                **COMMON}
    return {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": WIDTH, "n_layer": layers, "n_head": 12,
            "n_positions": 1024, "n_ctx": 1024, **COMMON}


def shapes(name):
    """-> {tensor: shape}, as transformers saves them; the head is the embedding."""
    neo = name == "gpt-neo-125M"
    every = {"ln_1.weight": [WIDTH], "ln_1.bias": [WIDTH], "ln_2.weight": [WIDTH], "ln_2.bias": [WIDTH],
             "mlp.c_fc.bias": [INNER], "mlp.c_proj.bias": [WIDTH]}
    if neo:  # [out, in]
        every |= {f"attn.attention.{p}_proj.weight": [WIDTH, WIDTH] for p in ("q", "k", "v", "out")}
        every |= {"attn.attention.out_proj.bias": [WIDTH], "mlp.c_fc.weight": [INNER, WIDTH], "mlp.c_proj.weight": [WIDTH, INNER]}
    else:  # [in, out]
        every |= {"attn.c_attn.weight": [WIDTH, 3 * WIDTH], "attn.c_attn.bias": [3 * WIDTH], "attn.c_proj.weight": [WIDTH, WIDTH],
                  "attn.c_proj.bias": [WIDTH], "mlp.c_fc.weight": [WIDTH, INNER], "mlp.c_proj.weight": [INNER, WIDTH]}
    found = {"wte.weight": [VOCABULARY, WIDTH], "wpe.weight": [2048 if neo else 1024, WIDTH]}
    found |= {f"h.{i}.{n}": s for i in range(LAYERS[name]) for n, s in every.items()}
    found |= {"ln_f.weight": [WIDTH], "ln_f.bias": [WIDTH]}
    return {"transformer." + n: s for n, s in found.items()}


def write_weights(name, path):
    """Normal with deviation 0.02; biases 0, gains of norms 1."""
    import numpy as np
    rng, at, header, tensors = np.random.default_rng(7), 0, {"__metadata__": {"format": "pt"}}, shapes(name)
    for n, s in tensors.items():
        size = 4 * int(np.prod(s))
        header[n] = {"dtype": "F32", "shape": s, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for n, s in tensors.items():
            if len(s) == 2:
                data = rng.standard_normal(s, np.float32) * np.float32(0.02)
            else:
                data = np.full(s, ".ln_" in n and n.endswith("weight"), np.float32)
            f.write(data.tobytes())


def filled(tokens, merges):
    """Pairs of tokens become tokens, those of low ids first, until only END's place is left."""
    names = sorted(tokens, key=tokens.get)
    inner = [n for n in names if not n.startswith("\u0120")]  # a word has its space in front
    for total in range(2 * len(names)):
        for i in range(max(0, total - len(inner) + 1), min(total, len(names) - 1) + 1):
            pair = names[i], inner[total - i]
            if len(tokens) == VOCABULARY - 1:
                return
            if "".join(pair) not in tokens:
                tokens["".join(pair)] = len(tokens)
                merges.append(list(pair))


def write_tokenizer(folder):
    nano = os.path.join(ROOT, "zoo/gpt2-nano")
    with open(os.path.join(nano, "tokenizer.json"), encoding="utf-8") as f:
        whole = json.load(f)
    tokens, merges = whole["model"]["vocab"], whole["model"]["merges"]
    del tokens[END]
    filled(tokens, merges)
    tokens[END] = whole["added_tokens"][0]["id"] = VOCABULARY - 1
    for name, value in (("tokenizer.json", whole), ("vocab.json", tokens)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(value, f, ensure_ascii=False)
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in merges))
    with open(os.path.join(nano, "tokenizer_config.json")) as f:
        settings = json.load(f)
    settings["model_max_length"] = 1024
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump(settings, f, indent=2)


def language_model(out, name, tokenizer):
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config(name), f, indent=2)
    if tokenizer:
        for side in SIDE:
            if os.path.exists(os.path.join(tokenizer, side)):
                shutil.copy(os.path.join(tokenizer, side), folder)
    else:
        write_tokenizer(folder)
    path = os.path.join(folder, "model.safetensors")
    write_weights(name, path)
    print(name, os.path.getsize(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--tokenizer", metavar="FOLDER")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for name in args.names or ["audio"]:
        if name == "audio":
            audio(args.out)
        elif name in LAYERS:
            language_model(args.out, name, args.tokenizer)
        else:
            sys.exit(f"unknown model '{name}'; there are audio, {', '.join(LAYERS)}")


if __name__ == "__main__":
    main()
