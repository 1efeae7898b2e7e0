"""Random configurations of every family of language models that is imported, and how they are saved."""
import os
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import numpy as np
import torch, transformers
transformers.utils.logging.disable_progress_bar()

ROWS, LENGTH = 3, 21
PAD = [0, 4, 9]  # tokens of padding in front of each row

llama = dict(vocab_size=203, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=128)
theta = lambda **more: dict(rope_theta=10000.0, **more)
CASES = {
    "gpt2": ("gpt2", dict(vocab_size=211, n_embd=48, n_layer=3, n_head=4, n_positions=64)),
    "gpt2-inverse-layer": ("gpt2", dict(vocab_size=64, n_embd=32, n_layer=3, n_head=2, n_positions=64, n_inner=50,
                                        scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True,
                                        activation_function="relu")),
    "gpt2-untied": ("gpt2", dict(vocab_size=64, n_embd=32, n_layer=2, n_head=2, n_positions=64,
                                 tie_word_embeddings=False, scale_attn_weights=False, activation_function="gelu")),
    "gpt_neo": ("gpt_neo", dict(vocab_size=211, hidden_size=48, num_layers=4, num_heads=4, window_size=6,
                                attention_types=[[["global", "local"], 2]], max_position_embeddings=64)),
    "gpt_neo-mixed": ("gpt_neo", dict(vocab_size=97, hidden_size=32, num_layers=3, num_heads=2, window_size=3,
                                      intermediate_size=40, max_position_embeddings=64,
                                      attention_types=[[["local"], 2], [["global"], 1]])),
    "llama": ("llama", dict(llama)),
    "llama-tied": ("llama", dict(llama, tie_word_embeddings=True, head_dim=12, attention_bias=True, mlp_bias=True)),
    "llama-rope-llama3": ("llama", dict(llama, rope_parameters=theta(
        rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=16))),
    "llama-rope-linear": ("llama", dict(llama, rope_parameters=theta(rope_type="linear", factor=4.0))),
    "llama-rope-yarn": ("llama", dict(llama, rope_parameters=theta(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=32))),
    "llama-rope-yarn-mscale": ("llama", dict(llama, rope_parameters=theta(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=16.0, beta_slow=2.0,
        mscale=1.2, mscale_all_dim=0.7, truncate=False))),
    "mistral": ("mistral", dict(llama, sliding_window=7)),
    "mistral-full": ("mistral", dict(llama, sliding_window=None)),
    "qwen2": ("qwen2", dict(llama, rope_parameters=theta())),
    "qwen2-window": ("qwen2", dict(llama, use_sliding_window=True, sliding_window=5, max_window_layers=1)),
    "qwen3": ("qwen3", dict(llama, head_dim=16)),
    "gemma": ("gemma", dict(llama, head_dim=16)),
    "gemma2": ("gemma2", dict(llama, head_dim=16, sliding_window=5, query_pre_attn_scalar=20,
                              attn_logit_softcapping=5.0, final_logit_softcapping=3.0)),
    "gemma2-no-cap": ("gemma2", dict(llama, head_dim=16, sliding_window=5, attn_logit_softcapping=None,
                                     final_logit_softcapping=None)),
    "gemma3_text": ("gemma3_text", dict(llama, num_hidden_layers=4, head_dim=16, sliding_window=5,
                                        sliding_window_pattern=3, query_pre_attn_scalar=24)),
}


def make(kind, settings, folder, dtype, binary):
    torch.manual_seed(7)
    config = transformers.AutoConfig.for_model(kind, **settings)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(torch.float32).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():  # norms and biases differ from 1 and 0, scores from each other
            p.copy_(torch.randn(p.shape) * (0.3 if p.dim() < 2 else 1.2 / p.shape[-1] ** 0.5)
                    + (1 if p.dim() < 2 and "norm" in name or "ln_" in name and name.endswith("weight") else 0))
        model.to(dtype).to(torch.float32)  # what is stored is what is compared
    os.makedirs(folder)
    if binary:
        config.save_pretrained(folder)
        state = {k: v.to(dtype) for k, v in model.state_dict().items()}
        torch.save(state, os.path.join(folder, "pytorch_model.bin"))
    else:
        model.to(dtype).save_pretrained(folder)
        model.to(torch.float32)
    return model, config


def batch(vocab):
    ids = np.random.default_rng(5).integers(0, vocab, (ROWS, LENGTH))
    mask = np.ones((ROWS, LENGTH), np.int64)
    for row, n in enumerate(PAD):
        mask[row, :n] = 0
    return ids.astype(np.int64), mask, np.maximum(np.cumsum(mask, 1) - 1, 0)
