"""llama.cpp through llama-cpp-python. The folder of a GPT-2 becomes a float16 GGUF file (written here with the gguf
package), which llama.cpp's own quantiser turns into q8_0 and q4_0."""
from language import *

LAYER = {"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up",
         "mlp.c_proj": "ffn_down"}
TOP = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm"}


def gguf_name(name):
    """The tensor's name there; None for what is no weight (masks)."""
    stem, _, kind = name.removeprefix("transformer.").rpartition(".")
    if stem in TOP:
        return f"{TOP[stem]}.{kind}"
    if stem.startswith("h."):
        _, layer, inner = stem.split(".", 2)
        return f"blk.{layer}.{LAYER[inner]}.{kind}" if inner in LAYER else None
    return None


def write_tokens(writer, folder, size):
    import gguf
    with open(os.path.join(folder, "vocab.json"), encoding="utf-8") as f:
        names = sorted((i, n) for n, i in json.load(f).items())
    with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as f:
        merges = [line for line in f.read().split("\n") if line and not line.startswith("#version")]
    tokens = [n for _, n in names] + [f"<unused {i}>" for i in range(len(names), size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(names) + [gguf.TokenType.UNUSED] * (size - len(names)))
    writer.add_token_merges(merges)


def write_gguf(folder, target):
    import gguf, numpy as np
    from safetensors import safe_open
    c = settings(folder)
    w = gguf.GGUFWriter(target, "gpt2")
    w.add_name(os.path.basename(folder))
    w.add_context_length(c["n_positions"])
    w.add_embedding_length(c["n_embd"])
    w.add_block_count(c["n_layer"])
    w.add_feed_forward_length(c.get("n_inner") or 4 * c["n_embd"])
    w.add_head_count(c["n_head"])
    w.add_layer_norm_eps(c["layer_norm_epsilon"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    write_tokens(w, folder, c["vocab_size"])
    for path in weights(folder):
        with safe_open(path, "numpy") as f:
            for name in f.keys():
                to = gguf_name(name)
                if not to:
                    continue
                t = f.get_tensor(name).astype(np.float32)
                if to.startswith("blk.") and t.ndim == 2:
                    t = t.T  # Conv1D is [in, out]
                half = t.ndim == 2 and not to.startswith("position")
                w.add_tensor(to, np.ascontiguousarray(t, np.float16 if half else np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def quantize(source, target, kind):
    import llama_cpp
    p = llama_cpp.llama_model_quantize_default_params()
    p.ftype, p.nthread = kind, 2
    if llama_cpp.llama_model_quantize(source.encode(), target.encode(), p):
        raise RuntimeError("llama_model_quantize failed")


def gguf_file(args, precision):
    def half():
        return converted(args, "f16.gguf", lambda to: write_gguf(args.model, to))
    if precision == "fp16":
        return half()
    import llama_cpp
    kind = {"q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0}[precision]
    source = half()
    return converted(args, precision + ".gguf", lambda to: quantize(source, to, kind))


def generator(args, model):
    import llama_cpp, numpy as np
    prompt, size = ids_of(args), model.n_vocab()

    def generate():
        model.reset()
        model._ctx.kv_cache_clear()
        ids, new = prompt, []
        for _ in range(args.tokens):
            model.eval(ids)
            scores = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(model.ctx, -1), (size,))
            ids = [int(scores.argmax())]
            new += ids
        return new
    return generate


def measure(args, precision):
    need("llama_cpp", "gguf", "safetensors", "tokenizers")
    family = settings(args.model)["model_type"]
    if family != "gpt2":
        raise Unsupported(f"no conversion of {family} here" if family != "gpt_neo" else "llama.cpp has no gpt_neo")
    path = gguf_file(args, precision)
    import llama_cpp
    start = clock_ms()
    model = llama_cpp.Llama(path, n_ctx=len(ids_of(args)) + args.tokens, n_threads=args.threads, n_threads_batch=args.threads,
                            verbose=False)
    init = clock_ms() - start
    text_line(args, "llama.cpp", "llama-cpp-python " + llama_cpp.__version__, precision, init, generator(args, model), [path])


if __name__ == "__main__":
    run_each("llama.cpp", ("fp16", "q8_0", "q4_0"), measure)
