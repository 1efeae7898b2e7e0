"""Perplexity of a folder with a GPT-2 on a text, by transformers in float32; with --hone ONNX, also by `hone eval` on a
folder that hone optimize made of it.

The text is one row of tokens. A window holds `context` tokens and starts `stride` tokens after the one before; in each
window those tokens are scored that no window before has held, but never its first one, which has nothing before it.
Run: python perplexity.py [FOLDER] [TEXT] [--context N] [--stride N] [--hone ONNX]     (HONE names the command)
"""
import argparse
import json
import math
import os
import subprocess

import torch
import transformers

HERE = os.path.dirname(os.path.abspath(__file__))


@torch.no_grad()
def perplexity(model, ids, context, stride):
    """-> (perplexity of a token, tokens scored)."""
    total, scored, end = 0.0, 0, 1
    for start in range(0, len(ids), stride):
        window = torch.tensor([ids[start:start + context]])
        first = max(end - start, 1)  # the window's first token has nothing before it
        if first < window.shape[1]:
            logits = model(window).logits[0, first - 1:-1].double()
            losses = torch.nn.functional.cross_entropy(logits, window[0, first:], reduction="sum")
            total, scored = total + float(losses), scored + window.shape[1] - first
        end = start + window.shape[1]
        if end == len(ids):
            break
    return math.exp(total / scored), scored


def by_hone(folder, text, context, stride):
    """-> what `hone eval` says of the text's file: a dictionary with value, tokens, scored, bits_per_byte."""
    done = subprocess.run([os.environ.get("HONE", "build/hone"), "eval", folder, text, "--metric", "perplexity", "--json", "-q",
                           "--context", str(context), "--stride", str(stride)], check=True, capture_output=True)
    return json.loads(done.stdout)


def load(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=HERE)
    parser.add_argument("text", nargs="?", default=os.path.join(HERE, "heldout.txt"))
    parser.add_argument("--context", type=int, help="tokens in a window (default: the model's context)")
    parser.add_argument("--stride", type=int, help="tokens between windows (default: context)")
    parser.add_argument("--hone", metavar="ONNX", help="a folder with model.onnx, measured by hone eval")
    args = parser.parse_args()
    model, tokenizer = load(args.folder)
    with open(args.text, encoding="utf-8", newline="") as file:
        text = file.read()
    ids = tokenizer(text, verbose=False)["input_ids"]
    context = args.context or model.config.n_positions
    stride = args.stride or context
    value, scored = perplexity(model, ids, context, stride)
    print(f"{len(text.encode())} bytes, {len(ids)} tokens, {scored} scored, context {context}, stride {stride}: "
          f"perplexity {value:.4f}, {math.log2(value) * scored / len(text.encode()):.4f} bits per byte")
    if args.hone:
        own = by_hone(args.hone, args.text, context, stride)
        print(f"hone: {own['tokens']} tokens, {own['scored']} scored: perplexity {own['value']:.4f}, {own['bits_per_byte']:.4f} "
              f"bits per byte, {own['value'] / value - 1:+.2e}")


if __name__ == "__main__":
    main()
