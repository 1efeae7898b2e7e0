"""Makes everything in this folder but the sources: held-out text, tokenizer, trained model.

Needs: apt-get and dpkg-deb (Debian; corpus.py names the packages, about 4 MB, none is installed) and, from PyPI,
torch==2.15.* transformers==5.* tokenizers==0.23.* safetensors==0.8.* numpy.
Run: python train.py [--seed N] [--steps N] [--threads N] [--work FOLDER]
"""
import argparse
import itertools
import json
import os
import tempfile
import time

import numpy as np
import tokenizers
import torch
import transformers

import corpus
import perplexity

HERE = os.path.dirname(os.path.abspath(__file__))
END = "<|endoftext|>"
VOCABULARY = 2048  # 256 bytes, merges, END as the last, as in GPT-2
CONTEXT, WIDTH, LAYERS, HEADS = 256, 256, 4, 4


def write_tokenizer(texts, folder):
    """A byte-level BPE in both of its published forms: tokenizer.json, and vocab.json with merges.txt."""
    pattern = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = pattern
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=VOCABULARY - 1, min_frequency=2, show_progress=False,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    trained.train_from_iterator(texts, trainer)
    learnt = json.loads(trained.to_str())["model"]
    vocabulary = {**learnt["vocab"], END: VOCABULARY - 1}
    merges = [tuple(pair) for pair in learnt["merges"]]
    whole = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    whole.pre_tokenizer = pattern
    whole.decoder = tokenizers.decoders.ByteLevel()
    whole.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
    whole.add_special_tokens([END])
    whole.save(os.path.join(folder, "tokenizer.json"))
    whole.model.save(folder)
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, "model_max_length": CONTEXT,
                   "bos_token": END, "eos_token": END, "unk_token": END}, file, indent=2)
        file.write("\n")
    return whole


def turned(gradient):
    """The nearest orthogonal matrix, roughly: five Newton-Schulz steps of Muon, in float32 as CPUs like it."""
    x = gradient.T if gradient.shape[0] > gradient.shape[1] else gradient
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if gradient.shape[0] > gradient.shape[1] else x


class Muon(torch.optim.Optimizer):
    """Momentum whose every step is turned into an orthogonal matrix, as long as a step of Adam would be."""

    def __init__(self, weights, lr, momentum=0.95, weight_decay=0.1):
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                average = self.state[weight].setdefault("average", torch.zeros_like(weight))
                average.lerp_(weight.grad, 1 - group["momentum"])
                ahead = torch.lerp(weight.grad, average, group["momentum"])
                # c_attn holds three matrices side by side: queries, keys, values
                parts = ahead.split(weight.shape[0], 1) if weight.shape[1] == 3 * weight.shape[0] else [ahead]
                update = torch.cat([turned(part) for part in parts], 1)
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * 0.2 * max(parts[0].shape) ** 0.5)


def optimisers(model, rate):
    """Muon for the matrices between the layers, Adam for everything else; the rate of both has one scale."""
    inner, outer = [], []
    for name, weight in model.named_parameters():
        (inner if weight.ndim == 2 and ".h." in name else outer).append(weight)
    return [Muon(inner, rate), torch.optim.AdamW(outer, lr=rate, betas=(0.9, 0.97), weight_decay=0.01, fused=True)]


def share_of_rate(step, steps):
    """Up for 50 steps, level for half of them, then down to nearly nothing."""
    done = step / steps
    return min(1.0, (step + 1) / 50) * min(1.0, 2.02 * (1 - done) + 0.005)


def window_starts(tokens, seed):
    """Where windows begin, for ever: each epoch cuts the stream at a new phase and shuffles the pieces."""
    random = np.random.default_rng(seed)
    while True:
        starts = np.arange(random.integers(CONTEXT), tokens - CONTEXT, CONTEXT)
        random.shuffle(starts)
        yield from starts


def train(args, stream):
    """stream: int64 [tokens], chapters in a row."""
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=VOCABULARY - 1, eos_token_id=VOCABULARY - 1)
    model = transformers.GPT2LMHeadModel(config)
    both = optimisers(model, args.rate)
    starts = window_starts(len(stream), args.seed)
    began, recent = time.time(), []
    for step in range(args.steps):
        rows = torch.from_numpy(np.stack([stream[start:start + CONTEXT + 1]
                                          for start in itertools.islice(starts, args.batch)]))
        for optimiser in both:
            for group in optimiser.param_groups:
                group["lr"] = args.rate * share_of_rate(step, args.steps)
        logits = model(rows[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in both:
            optimiser.step()
            optimiser.zero_grad()
        recent.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            print(f"step {step + 1}: loss {sum(recent) / len(recent):.4f}, {time.time() - began:.0f} s", flush=True)
            recent = []
    return model


def write_model(model, folder):
    """float16 on disk, tied embedding once; greedy by default, as generation_config.json says."""
    model.half().eval()
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=VOCABULARY - 1, eos_token_id=VOCABULARY - 1, pad_token_id=VOCABULARY - 1)
    model.save_pretrained(folder)


def show(folder, heldout):
    """What the files give that were just written."""
    model, tokenizer = perplexity.load(folder)
    ids = tokenizer(heldout, verbose=False)["input_ids"]
    for stride in (CONTEXT, CONTEXT // 2):
        value, scored = perplexity.perplexity(model, ids, CONTEXT, stride)
        print(f"held out: {scored} tokens, stride {stride}, perplexity {value:.4f}")
    for prompt in ("In the beginning", "It was a very fine morning, and Emma"):
        row = tokenizer(prompt, return_tensors="pt")["input_ids"]
        print(repr(tokenizer.decode(model.generate(row, max_new_tokens=60, do_sample=False)[0])))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16, help="windows in a step")
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", help="folder for the packages (default: a temporary one)")
    parser.add_argument("--out", default=HERE)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as scratch:
        training, held = corpus.chapters(args.work or scratch)
    heldout = "\n".join(held)
    with open(os.path.join(args.out, "heldout.txt"), "w", newline="") as file:
        file.write(heldout)
    tokenizer = write_tokenizer(training, args.out)
    np.random.default_rng(args.seed).shuffle(training)
    rows = [row.ids + [VOCABULARY - 1] for row in tokenizer.encode_batch(training)]
    stream = np.concatenate(rows).astype(np.int64)
    print(f"{len(training)} chapters, {sum(map(len, training))} characters, {len(stream)} tokens", flush=True)
    model = train(args, stream)
    print(f"{model.num_parameters()} parameters")
    write_model(model, args.out)
    show(args.out, heldout)


if __name__ == "__main__":
    main()
