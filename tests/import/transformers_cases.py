"""Random configurations of every family of language models that is imported, and how they are saved."""
import copy, json, os
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import numpy as np
import torch, transformers
transformers.utils.logging.disable_progress_bar()

ROWS, LENGTH = 3, 21
PAD = [0, 4, 9]  # tokens of padding in front of each row
END = 256  # the token that ends a text; those before it are bytes

llama = dict(vocab_size=263, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=128)
theta = lambda **more: dict(rope_theta=10000.0, **more)
# WRITTEN: what is written into config.json behind what transformers saved.
CASES = {
    "gpt2": ("gpt2", dict(vocab_size=271, n_embd=48, n_layer=3, n_head=4, n_positions=128)),
    "gpt2-inverse-layer": ("gpt2", dict(vocab_size=260, n_embd=32, n_layer=3, n_head=2, n_positions=128, n_inner=50,
                                        scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True,
                                        activation_function="relu")),
    "gpt2-untied": ("gpt2", dict(vocab_size=260, n_embd=32, n_layer=2, n_head=2, n_positions=128,
                                 tie_word_embeddings=False, scale_attn_weights=False, activation_function="gelu")),
    "gpt_neo": ("gpt_neo", dict(vocab_size=271, hidden_size=48, num_layers=4, num_heads=4, window_size=6,
                                attention_types=[[["global", "local"], 2]], max_position_embeddings=128)),
    "gpt_neo-mixed": ("gpt_neo", dict(vocab_size=297, hidden_size=32, num_layers=3, num_heads=2, window_size=3,
                                      intermediate_size=40, max_position_embeddings=128,
                                      attention_types=[[["local"], 2], [["global"], 1]])),
    "llama": ("llama", dict(llama)),
    "llama-tied": ("llama", dict(llama, tie_word_embeddings=True, head_dim=12, attention_bias=True, mlp_bias=True)),
    "llama-rope-llama3": ("llama", dict(llama, rope_parameters=theta(
        rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=16))),
    "llama-rope-linear": ("llama", dict(llama, rope_parameters=theta(rope_type="linear", factor=4.0))),
    "llama-rope-dynamic": ("llama", dict(llama, max_position_embeddings=12, rope_parameters=theta(
        rope_type="dynamic", factor=8.0))),
    "llama-rope-yarn": ("llama", dict(llama, rope_parameters=theta(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=32))),
    "llama-rope-yarn-mscale": ("llama", dict(llama, rope_parameters=theta(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=16.0, beta_slow=2.0,
        mscale=1.2, mscale_all_dim=0.7, truncate=False))),
    "llama-rope-scaling-instead": ("llama", dict(llama, WRITTEN=dict(rope_theta=300.0, rope_scaling=dict(
        rope_type="linear", factor=3.0)))),
    "llama-rope-trained-outside": ("llama", dict(llama, rope_parameters=theta(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=32),
        WRITTEN=dict(original_max_position_embeddings=20))),
    "mistral": ("mistral", dict(llama, sliding_window=7)),
    "mistral-layer-types": ("mistral", dict(llama, sliding_window=5, WRITTEN=dict(
        layer_types=["full_attention", "sliding_attention", "full_attention"]))),
    "ministral": ("ministral", dict(llama, head_dim=8, sliding_window=5, layer_types=[
        "sliding_attention", "full_attention", "sliding_attention"])),
    "mistral-biases": ("mistral", dict(llama, WRITTEN=dict(attention_bias=True, mlp_bias=True))),
    "mistral-full": ("mistral", dict(llama, sliding_window=None)),
    "qwen2": ("qwen2", dict(llama, rope_parameters=theta())),
    "qwen2-window": ("qwen2", dict(llama, use_sliding_window=True, sliding_window=5, max_window_layers=1)),
    "qwen2-biases": ("qwen2", dict(llama, WRITTEN=dict(attention_bias=True, mlp_bias=True))),
    "qwen3": ("qwen3", dict(llama, head_dim=16)),
    "gemma": ("gemma", dict(llama, head_dim=16)),
    "gemma-tanh-by-gelu": ("gemma", dict(llama, head_dim=16, hidden_act="gelu", tie_word_embeddings=False)),
    "gemma2": ("gemma2", dict(llama, head_dim=16, sliding_window=5, query_pre_attn_scalar=20,
                              attn_logit_softcapping=5.0, final_logit_softcapping=3.0)),
    "gemma2-no-cap": ("gemma2", dict(llama, head_dim=16, sliding_window=5, attn_logit_softcapping=None,
                                     final_logit_softcapping=None)),
    "gemma3_text": ("gemma3_text", dict(llama, num_hidden_layers=4, head_dim=16, sliding_window=5,
                                        sliding_window_pattern=3, query_pre_attn_scalar=24)),
    "gemma3_text-caps": ("gemma3_text", dict(llama, head_dim=16, sliding_window=5, sliding_window_pattern=2,
                                             attn_logit_softcapping=3.0, final_logit_softcapping=2.0,
                                             WRITTEN=dict(rope_scaling=dict(rope_type="linear", factor=8.0)))),
}

# Configurations of published models (their weights are random here).
REAL = {
    "gpt2": ("gpt2", dict(vocab_size=50257, n_embd=768, n_layer=12, n_head=12, n_positions=1024)),
    "distilgpt2": ("gpt2", dict(vocab_size=50257, n_embd=768, n_layer=6, n_head=12, n_positions=1024)),
    "gpt-neo-125M": ("gpt_neo", dict(vocab_size=50257, hidden_size=768, num_layers=12, num_heads=12, window_size=256,
                                     attention_types=[[["global", "local"], 6]], max_position_embeddings=2048)),
}


def write_tokenizer(folder):
    """Byte-level BPE without merges: the id of a byte is the byte."""
    shown = [b for b in range(256) if 33 <= b < 127 or 161 <= b < 173 or b > 173]
    vocab = {chr(b if b in shown else 256 + sum(c not in shown for c in range(b))): b for b in range(256)}
    end = dict(id=END, content="<|end|>", single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
    model = dict(type="BPE", vocab=dict(vocab, **{"<|end|>": END}), merges=[])
    with open(os.path.join(folder, "tokenizer.json"), "w") as f:
        json.dump(dict(version="1.0", added_tokens=[end], pre_tokenizer=level, decoder=level, model=model), f)


def strided(i, t):
    """The same numbers, lying otherwise: turned, every other one of a larger storage, behind others; as a parameter;
    one number for all."""
    if t.dim() == 1 and (t == t[0]).all():
        return t[:1].expand(t.shape)
    if i % 4 == 0:
        return torch.nn.Parameter(t.permute(*reversed(range(t.dim()))).contiguous().permute(*reversed(range(t.dim()))))
    wide = torch.zeros(t.shape[0] + 2, *t.shape[1:-1], 2 * t.shape[-1] if t.dim() > 1 else 1, dtype=t.dtype)
    if i % 4 == 1 and t.dim() > 1:
        wide[1:-1, ..., ::2] = t
        return wide[1:-1, ..., ::2]
    if i % 4 == 2:
        return torch.cat([torch.ones(3, dtype=t.dtype), t.flatten()])[3:].view(t.shape)
    return t


def save_torch(state, folder, form):
    """pytorch_model.bin, or two shards with an index; "strided": tensors that do not lie row by row."""
    if form == "bin-strided":
        state = {k: strided(i, v) for i, (k, v) in enumerate(state.items())}
        state["attn.bias"] = torch.ones(1, 1, 3, 3, dtype=torch.bool).tril()  # as older versions keep it
        state["attn.masked_bias"] = torch.tensor(-1e4)
        state["position_ids"] = torch.arange(5).expand(2, -1)
    if form != "bin-sharded":
        torch.save(state, os.path.join(folder, "pytorch_model.bin"))
        return
    names, where = list(state), {}
    for i in range(2):
        file = f"pytorch_model-{i + 1:05}-of-00002.bin"
        part = {k: state[k] for k in names[i::2]}
        torch.save(part, os.path.join(folder, file))
        where.update(dict.fromkeys(part, file))
    with open(os.path.join(folder, "pytorch_model.bin.index.json"), "w") as f:
        json.dump(dict(metadata={}, weight_map=where), f)


def make(kind, settings, folder, dtype, form="safetensors"):
    """(model in float32, its configuration), and the folder with its weights as `dtype`. form: "safetensors" or "bin",
    "-sharded" or not, or "bin-strided"."""
    torch.manual_seed(7)
    settings, written = dict(settings), settings.get("WRITTEN")
    settings.pop("WRITTEN", None)
    config = transformers.AutoConfig.for_model(kind, **dict(dict(bos_token_id=END, eos_token_id=END), **settings))
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(torch.float32).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():  # norms and biases differ from 1 and 0, scores from each other
            p.copy_(torch.randn(p.shape) * (0.3 if p.dim() < 2 else 1.2 / p.shape[-1] ** 0.5)
                    + (1 if p.dim() < 2 and "norm" in name or "ln_" in name and name.endswith("weight") else 0))
            if form == "bin-strided" and name.endswith(("ln_1.weight", "input_layernorm.weight")):
                p.fill_(0.75)
            p.copy_(p.to(dtype).to(torch.float32))  # what is stored is what is compared
    os.makedirs(folder)
    if form.startswith("bin"):
        config.save_pretrained(folder)
        save_torch({k: v.to(dtype) for k, v in model.state_dict().items()}, folder, form)
    else:
        size = "4KB" if form.endswith("sharded") else "50GB"
        copy.deepcopy(model).to(dtype).save_pretrained(folder, max_shard_size=size)
    write_tokenizer(folder)
    return (read_again(folder, written) if written else model), config


def read_again(folder, written):
    """The model as transformers reads it with these members of config.json."""
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        members = json.load(f)
    with open(path, "w") as f:
        json.dump(dict(members, **written), f, indent=2)
    return transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager",
                                                             dtype=torch.float32).eval()


def batch(vocab, length=LENGTH):
    ids = np.random.default_rng(5).integers(0, vocab, (ROWS, length))
    mask = np.ones((ROWS, length), np.int64)
    for row, n in enumerate(PAD):
        mask[row, :n] = 0
    return ids.astype(np.int64), mask, np.maximum(np.cumsum(mask, 1) - 1, 0)
