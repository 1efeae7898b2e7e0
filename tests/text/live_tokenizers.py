"""Byte-level BPE tokenizers of every pattern that hone knows, trained here on mixed scripts, against the tokenizers
package: the ids of every line, with and without what stands around a text, and the text of the ids.

    live_tokenizers.py [--megabytes N] [--seed S]      needs: tokenizers (exit 77 without it); HONE names the command
"""
import argparse, json, os, random, subprocess, sys, tempfile, unicodedata

try:
    from tokenizers import Regex, Tokenizer, AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers
except ImportError:
    print("skipped: no tokenizers package")
    sys.exit(77)

HONE = os.environ.get("HONE", "build/hone")
KINDS = {"gpt2": ("gpt2", False, ""), "prefix": ("prefix", False, ""), "llama3": ("cl100k", False, "{1,3}"),
         "qwen2": ("cl100k", True, "")}  # pattern, NFC, how many digits together
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
SCRIPTS = [(0x61, 0x7a), (0x41, 0x5a), (0x430, 0x44f), (0x3b1, 0x3c9), (0x5d0, 0x5ea), (0x627, 0x64a), (0x905, 0x939),
           (0xe01, 0xe2e), (0x4e00, 0x4fff), (0x3041, 0x3096), (0xac00, 0xad00), (0x10d0, 0x10f0), (0xc0, 0x17f)]
MARKS = [chr(c) for c in list(range(0x300, 0x370)) + list(range(0x93e, 0x94d)) + list(range(0x64b, 0x655))]
SIGNS = list("....,,,!?;:'\"()-_/\\@#$%^&*+=<>~`|[]{}") + ["'s", "'re", "'LL", "'ve", "\u2019s", "\u20ac", "\u2014"]
SPACES = [" "] * 40 + ["  ", "   ", "\t", "\u00a0", "\u3000", "\u2009", "\u200b", " \t ", "\r", "\u2028", "\x0b", "\x85"]
EMOJI = ["\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1ee\U0001f1f9", "\u2764\ufe0f", "\U0001f44d\U0001f3fd"]


def any_character(r):
    while True:
        c = r.randrange(0x20, 0x30000)
        if not 0xd800 <= c < 0xe000 and unicodedata.category(chr(c)) not in ("Cs",):
            return chr(c)


def word(r, syllables):
    kind = r.random()
    if kind < 0.70:
        return "".join(r.choice(syllables[r.randrange(len(SCRIPTS)) if r.random() < 0.5 else 0]) for _ in range(r.randint(1, 4)))
    if kind < 0.80:
        return "".join(r.choice("0123456789\u0663\u096b\u00bd\u2167") for _ in range(r.randint(1, 9)))
    if kind < 0.90:
        return r.choice(SIGNS) * r.randint(1, 3)
    if kind < 0.93:
        return r.choice(EMOJI)
    if kind < 0.97:
        return "".join(r.choice(syllables[0]) + r.choice(MARKS) for _ in range(r.randint(1, 3)))
    return "".join(any_character(r) for _ in range(r.randint(1, 5)))


def lines(r, size):
    syllables = [[chr(r.randint(a, b)) + chr(r.randint(a, b)) for _ in range(40)] for a, b in SCRIPTS]
    total = 0
    while total < size:
        text = "".join(word(r, syllables) + (r.choice(SPACES) if r.random() < 0.85 else "") for _ in range(r.randint(0, 30)))
        text = text.replace("\n", " ")
        total += len(text.encode()) + 1
        yield text


def build(pattern, normalizer, digits):
    t = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=pattern == "prefix", use_regex=pattern in ("gpt2", "prefix"))
    if pattern in ("gpt2", "prefix"):
        t.pre_tokenizer = byte_level
    else:
        split = pre_tokenizers.Split(Regex(CL100K % digits), "isolated")
        t.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    if normalizer:
        t.normalizer = normalizers.NFC()
    t.decoder = decoders.ByteLevel()
    return t


def train(t, texts, size):
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  special_tokens=["<|endoftext|>", "<|start|>"], show_progress=False)
    t.train_from_iterator(texts, trainer)
    t.add_tokens([AddedToken("hone", single_word=True), AddedToken("<mask>", lstrip=True, special=True)])
    t.post_processor = processors.TemplateProcessing("<|start|> $A", special_tokens=[("<|start|>", t.token_to_id("<|start|>"))])


def hone(args, **more):
    done = subprocess.run([HONE, "tokenize", *args], capture_output=True, **more)
    if done.returncode:
        raise SystemExit(f"hone tokenize {args[:2]}: {done.stderr.decode()}")
    return done.stdout


def compare(name, t, texts, folder):
    path, source = os.path.join(folder, name + ".json"), os.path.join(folder, "text")
    t.save(path)
    with open(source, "wb") as f:
        f.write("\n".join(texts).encode())
    wrong = 0
    for special in (False, True):
        got = [json.loads(x) for x in hone([path, "-f", source, "--lines"] + ([] if special else ["--no-special"])).splitlines()]
        want = [e.ids for e in t.encode_batch(texts, add_special_tokens=special)]
        assert len(got) == len(want), (name, len(got), len(want))
        for text, a, b in zip(texts, got, want):
            if a != b:
                wrong += 1
                if wrong < 4:
                    print(f"  {name}: {text!r}: {a} instead of {b}")
    for ids in random.Random(1).sample(want, min(40, len(want))):
        a = hone([path, "--decode", "--no-special", json.dumps(ids)]).decode()[:-1]
        if a != t.decode(ids, skip_special_tokens=True):
            wrong += 1
            print(f"  {name}: {ids}: {a!r}")
    print(f"{name}: {len(texts)} lines, {wrong} differ", flush=True)
    return wrong


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--megabytes", type=float, default=10)
    p.add_argument("--seed", type=int, default=1)
    o = p.parse_args()
    r = random.Random(o.seed)
    texts = [t + (" <mask>" if r.random() < 0.01 else " hone" if r.random() < 0.01 else "") for t in lines(r, int(o.megabytes * 1e6))]
    while texts and not texts[-1]:
        texts.pop()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, args in KINDS.items():
            t = build(*args)
            train(t, texts[:2000], 3000)
            wrong += compare(name, t, texts, folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
