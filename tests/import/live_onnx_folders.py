"""`hone generate` and `hone optimize` on folders that optimum and onnxruntime-genai wrote: live_onnx_folders.py
[family ...]. Random models in every form that this interpreter's packages can make. 32 greedy tokens, each the best one
for ONNX Runtime over the same file after those before it; the same from what `hone optimize` makes of the folder, in
fp32 and int8. HONE names the command; exit 77 without both packages."""
import os, subprocess, sys, tempfile
try:
    import torch
    import onnx_folders
    import transformers_cases as cases
except ImportError as e:
    print("skipped:", e)
    sys.exit(77)

HONE = os.environ.get("HONE", "build/hone")
TOKENS = 32
TIE = {"genai-int4": 5e-2}  # of the largest score; products of rounded activations are each engine's own

small = dict(vocab_size=263, hidden_size=64, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128)
FAMILIES = {
    "gpt2": dict(vocab_size=271, n_embd=64, n_layer=2, n_head=4, n_positions=128),
    "gpt_neo": dict(vocab_size=271, hidden_size=64, num_layers=2, num_heads=4, window_size=6,
                    attention_types=[[["global", "local"], 1]], max_position_embeddings=128),
    "llama": dict(small),
    "qwen2": dict(small, tie_word_embeddings=True),
    "mistral": dict(small, sliding_window=None),
}
GENAI = ("llama", "qwen2", "mistral")


def generate(folder, prompt):
    args = [HONE, "generate", folder, "-p", prompt, "--force-tokens", str(TOKENS), "--print-tokens", "-q"]
    return [int(t) for t in subprocess.run(args, check=True, capture_output=True, text=True).stdout.split()]


def encode(folder, prompt):
    out = subprocess.run([HONE, "tokenize", folder, prompt], check=True, capture_output=True, text=True).stdout
    return [int(t) for t in out.strip("[]\n ").split(",")]


def wrong_tokens(path, ids, made, tie):
    wrong = abs(len(made) - TOKENS)
    for token, scores in zip(made, onnx_folders.scores_of(path, ids, made)):
        wrong += scores.max() - scores[token] > tie * abs(scores).max()
    return wrong


def check(kind, form, tmp):
    source, folder = f"{tmp}/source", f"{tmp}/folder"
    cases.make(kind, FAMILIES[kind], source, torch.float32)
    path = onnx_folders.make(source, folder, form)
    prompt, tie, bad = "The tiny model said", TIE.get(form, 1e-4), {}
    made = generate(folder, prompt)
    bad["generate"] = wrong_tokens(path, encode(folder, prompt), made, tie)
    for precision in ("fp32", "int8"):
        out = f"{tmp}/{precision}"
        subprocess.run([HONE, "optimize", folder, "-o", out, "-p", precision, "-q"], check=True)
        made, ids = generate(out, prompt), encode(folder, prompt)
        # int8 is judged over its own file, where int8 products are each engine's own
        bad[precision] = wrong_tokens(f"{out}/model.onnx", ids, made, 5e-2 if precision == "int8" else tie)
    size = sum(os.path.getsize(f"{tmp}/{p}/{n}") for p in ("int8",) for n in os.listdir(f"{tmp}/{p}") if "onnx" in n)
    return {k: v for k, v in bad.items() if v}, size


def main():
    if not onnx_folders.FORMS:
        print("skipped: neither optimum nor onnxruntime-genai")
        return 77
    failed = 0
    for kind in sys.argv[1:] or FAMILIES:
        for form in onnx_folders.FORMS:
            if form.startswith("genai") and kind not in GENAI:
                continue
            with tempfile.TemporaryDirectory() as tmp:
                try:
                    bad, size = check(kind, form, tmp)
                except subprocess.CalledProcessError as e:
                    bad, size = {str(e.cmd[:3]): (e.stderr or b"")[-400:]}, 0
            failed += bool(bad)
            print(f"{'FAILED' if bad else 'ok    '}  {kind:8} {form:18} {size:8} bytes in int8  {bad or ''}", flush=True)
    return failed > 0


sys.exit(main())
