"""The stored cases of tests/reference/hugging_face: python tests/import/make_transformers.py OUT [case ...]
A folder per case with a small random model as transformers saves it, in half precision, and case.safetensors with a
batch that has left padding and the scores that transformers gives in float32."""
import os, shutil, sys
import numpy as np
import torch
from safetensors.numpy import save_file
import transformers_cases as cases

tiny = dict(vocab_size=24, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=32)
gpt = dict(vocab_size=24, n_embd=16, n_layer=2, n_head=2, n_positions=32)
neo = dict(vocab_size=24, hidden_size=16, num_layers=2, num_heads=2, window_size=4, max_position_embeddings=32,
           attention_types=[[["global", "local"], 1]])
llama3 = dict(rope_theta=10000.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
yarn = dict(rope_theta=10000.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=8)
wide = dict(tiny, head_dim=8)
STORED = {
    "gpt2": ("gpt2", gpt),
    "gpt2_untied": ("gpt2", dict(gpt, tie_word_embeddings=False, scale_attn_by_inverse_layer_idx=True)),
    "gpt_neo": ("gpt_neo", neo),
    "llama_tied": ("llama", dict(tiny, tie_word_embeddings=True, rope_parameters=llama3)),
    "llama_yarn": ("llama", dict(tiny, attention_bias=True, mlp_bias=True, rope_parameters=yarn)),
    "llama_linear": ("llama", dict(tiny, num_hidden_layers=1, rope_parameters=dict(
        rope_theta=500.0, rope_type="linear", factor=4.0))),
    "llama_instead": ("llama", dict(tiny, WRITTEN=dict(rope_theta=300.0, original_max_position_embeddings=8,
                                                       rope_scaling=dict(type="yarn", factor=3.0)))),
    "mistral": ("mistral", dict(tiny, sliding_window=5)),
    "mistral_types": ("mistral", dict(tiny, sliding_window=5, WRITTEN=dict(
        attention_bias=True, mlp_bias=True, layer_types=["full_attention", "sliding_attention"]))),
    "qwen2": ("qwen2", dict(tiny, use_sliding_window=True, sliding_window=5, max_window_layers=1)),
    "qwen3": ("qwen3", wide),
    "gemma": ("gemma", wide),
    "gemma2": ("gemma2", dict(wide, sliding_window=5, query_pre_attn_scalar=20, attn_logit_softcapping=5.0,
                              final_logit_softcapping=3.0)),
    "gemma3": ("gemma3_text", dict(wide, sliding_window=5, sliding_window_pattern=2, query_pre_attn_scalar=24)),
    "gemma3_caps": ("gemma3_text", dict(wide, sliding_window=5, sliding_window_pattern=2, attn_logit_softcapping=3.0,
                                        final_logit_softcapping=2.0,
                                        WRITTEN=dict(rope_scaling=dict(rope_type="linear", factor=8.0)))),
    "gpt2_bin": ("gpt2", gpt, "bin-strided"),
    "gpt_neo_bin": ("gpt_neo", neo, "bin"),
    "llama_bin": ("llama", tiny, "bin-sharded"),
    "qwen2_sharded": ("qwen2", tiny, "safetensors-sharded"),
}


def main():
    out = sys.argv[1]
    for name, (kind, settings, *form) in STORED.items():
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        folder = os.path.join(out, name)
        shutil.rmtree(folder, ignore_errors=True)
        dtype = torch.bfloat16 if kind in ("qwen3", "gemma") else torch.float16
        model, config = cases.make(kind, dict(settings, bos_token_id=1, eos_token_id=2), folder, dtype, *form)
        ids, mask, positions = cases.batch(config.get_text_config().vocab_size)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask),
                           position_ids=torch.tensor(positions)).logits.numpy()
        save_file(dict(input_ids=ids, attention_mask=mask, position_ids=positions, logits=logits),
                  os.path.join(folder, "case.safetensors"))
        for extra in ("generation_config.json", "tokenizer.json"):
            if os.path.exists(os.path.join(folder, extra)):
                os.remove(os.path.join(folder, extra))
        print(name, sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)), "bytes")


main()
