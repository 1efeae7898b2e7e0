"""The stored cases of tests/reference/onnx_folders: python tests/import/make_onnx_folders.py OUT
Small random models as optimum and onnxruntime-genai save them (what this interpreter has of them), and case.txt: the
ids of a prompt, and the greedy tokens behind it that ONNX Runtime gives."""
import os, shutil, sys, tempfile
import torch
import onnx_folders
import transformers_cases as cases

tiny = dict(vocab_size=260, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=64)
STORED = {"optimum": ("llama", tiny),
          "optimum-merged": ("gpt2", dict(vocab_size=260, n_embd=16, n_layer=1, n_head=2, n_positions=64)),
          "genai-fp32": ("qwen2", tiny), "genai-int4": ("llama", tiny)}
KEPT = (".onnx", ".data", "config.json")


def main():
    for form, (kind, settings) in STORED.items():
        if form not in onnx_folders.FORMS:
            continue
        out = os.path.join(sys.argv[1], form)
        shutil.rmtree(out, ignore_errors=True)
        with tempfile.TemporaryDirectory() as tmp:
            cases.make(kind, settings, f"{tmp}/source", torch.float32)
            path = onnx_folders.make(f"{tmp}/source", f"{tmp}/folder", form)
            prompt = [*b"a small prompt"]
            made = onnx_folders.greedy(path, prompt, 12)
            os.makedirs(out)
            for name in os.listdir(f"{tmp}/folder"):
                if name.endswith(KEPT) and "tokenizer" not in name:
                    shutil.copy(f"{tmp}/folder/{name}", out)
                    os.chmod(f"{out}/{name}", 0o644)
        with open(f"{out}/case.txt", "w") as f:
            print(*prompt, file=f)
            print(*made, file=f)
        print(form, sum(os.path.getsize(f"{out}/{n}") for n in os.listdir(out)), "bytes", os.listdir(out))


main()
