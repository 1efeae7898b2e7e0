"""Small random Whisper models as Hugging Face folders, with what transformers makes of an input.
usage: make_whisper.py OUT    needs torch, transformers, safetensors"""
import os, sys
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import torch
from safetensors.torch import save_file
from transformers import WhisperConfig, WhisperForConditionalGeneration

base = dict(vocab_size=61, num_mel_bins=8, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
            decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=40, max_source_positions=12,
            max_target_positions=16, pad_token_id=0, bos_token_id=1, eos_token_id=1, decoder_start_token_id=2,
            suppress_tokens=None, begin_suppress_tokens=None)
CASES = {
    "plain": (base, torch.float32),
    "distilled-relu": (dict(base, decoder_layers=1, encoder_layers=3, activation_function="relu"), torch.float32),
    "half": (dict(base, d_model=48, decoder_attention_heads=3, encoder_attention_heads=3), torch.float16),
}


def make(folder, config, dtype, seed):
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(WhisperConfig(**config)).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "embed_positions" in name and "encoder" in name:
                continue
            p.copy_(torch.randn_like(p) * (0.3 if p.dim() > 1 else 0.1) + (1.0 if "norm.weight" in name else 0.0))
    model.to(dtype).save_pretrained(folder)
    model.float()
    features = torch.randn(2, config["num_mel_bins"], 2 * config["max_source_positions"])
    ids = torch.randint(0, config["vocab_size"], (2, 9))
    with torch.no_grad():
        hidden = model.model.encoder(features).last_hidden_state
        logits = model(encoder_outputs=(hidden,), decoder_input_ids=ids).logits
    save_file({"input_features": features, "last_hidden_state": hidden.contiguous(), "input_ids": ids,
               "logits": logits.contiguous()}, os.path.join(folder, "case.safetensors"))
    os.remove(os.path.join(folder, "generation_config.json"))


for number, (name, (config, dtype)) in enumerate(CASES.items()):
    make(os.path.join(sys.argv[1], name), config, dtype, number)
