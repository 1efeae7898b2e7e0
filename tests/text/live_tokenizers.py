"""Byte-level BPE tokenizers of every pattern that hone knows, and BPE over characters in every shape that is published,
trained here on mixed scripts, against the tokenizers package: the ids of every line, with and without what stands around a
text, and the text of the ids, and of ids drawn at random.

    live_tokenizers.py [--megabytes N] [--seed S] [--only NAME ...] [--vocabularies FOLDER]
needs: tokenizers (exit 77 without it); HONE names the command. FOLDER: published vocabularies (gpt2/, whisper/) instead, each
with every pattern.
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
# BPE over characters: normalizer, pre_tokenizer, decoder, what the model has beside merges, added tokens, merges as pairs
META, SPACE = "\u2581", " "
LLAMA = decoders.Sequence([decoders.Replace(META, SPACE), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(SPACE, 1, 0)])
UNSPACE = decoders.Sequence([decoders.Replace(META, SPACE), decoders.ByteFallback(), decoders.Fuse()])
PREPEND = normalizers.Sequence([normalizers.Prepend(META), normalizers.Replace(SPACE, META)])
REPLACE = normalizers.Replace(SPACE, META)
FALL = dict(byte_fallback=True, fuse_unk=True, unk_token="<unk>")
CONTROL = [AddedToken(x, special=True, normalized=False) for x in ("<unk>", "<s>", "</s>")]
NORMALIZED = [AddedToken(x, special=True, normalized=True) for x in ("<unk>", "<s>", "</s>")]
ROLES = CONTROL + [AddedToken("<|user|>", special=True, normalized=False, rstrip=True), AddedToken("<|end|>", special=True, normalized=False, lstrip=True)]
RUNS = CONTROL + [AddedToken("\n" * n, special=False, normalized=False) for n in (2, 3)] + [AddedToken(META * n, special=False, normalized=False) for n in (2, 3, 4)]
WORDS = CONTROL + [AddedToken("hone", single_word=True), AddedToken(" of", normalized=True), AddedToken("e\u0301", normalized=True)]


def meta(scheme, split):
    return pre_tokenizers.Metaspace(META, scheme, split)


def at(text, behavior, invert=False):
    return pre_tokenizers.Split(text, behavior, invert)


CHARACTERS = {
    "llama2": (PREPEND, None, LLAMA, FALL, CONTROL),
    "llama2_normalized": (PREPEND, None, LLAMA, FALL, NORMALIZED),
    "mistral": (None, meta("first", False), LLAMA, FALL, CONTROL),
    "gemma": (REPLACE, at(SPACE, "merged_with_previous"), UNSPACE, FALL, RUNS),
    "phi3": (PREPEND, None, LLAMA, FALL, ROLES),
    "metaspace": (normalizers.NFC(), meta("always", True), decoders.Metaspace(META, "always", True), dict(unk_token="<unk>"), CONTROL),
    "metaspace_first": (None, meta("first", True), decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(META, "first", True)]), FALL, ROLES),
    "metaspace_never": (None, meta("never", True), decoders.Sequence([decoders.Metaspace(META, "never", True), decoders.ByteFallback(), decoders.Fuse()]),
                        dict(FALL, ignore_merges=True), WORDS),
    "few_bytes": (REPLACE, pre_tokenizers.Sequence([pre_tokenizers.Digits(True), at(META, "merged_with_next")]), UNSPACE, dict(FALL, fuse_unk=False), CONTROL),
    "no_unknown": (normalizers.Sequence([normalizers.NFC(), REPLACE, normalizers.Replace("a", ""), normalizers.Prepend("x")]), at(META, "contiguous"), LLAMA, {}, WORDS),
    "removed": (None, pre_tokenizers.Sequence([at(SPACE, "removed"), at("e", "isolated"), at("t", "merged_with_next", True), at("o", "merged_with_previous", True)]),
                UNSPACE, dict(unk_token="<unk>", fuse_unk=True), CONTROL),
    "contiguous": (REPLACE, pre_tokenizers.Sequence([at(".", "contiguous", True), at(META, "removed", True)]),
                   decoders.Sequence([decoders.Strip(META, 2, 0), decoders.Replace(META, SPACE), decoders.ByteFallback(), decoders.Strip(SPACE, 1, 0)]), FALL, CONTROL),
    "crossing": (PREPEND, None, LLAMA, FALL, CONTROL),
}
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
SCRIPTS = [(0x61, 0x7a), (0x41, 0x5a), (0x430, 0x44f), (0x3b1, 0x3c9), (0x5d0, 0x5ea), (0x627, 0x64a), (0x905, 0x939),
           (0xe01, 0xe2e), (0x4e00, 0x4fff), (0x3041, 0x3096), (0xac00, 0xad00), (0x10d0, 0x10f0), (0xc0, 0x17f)]
MARKS = [chr(c) for c in list(range(0x300, 0x370)) + list(range(0x93e, 0x94d)) + list(range(0x64b, 0x655))]
SIGNS = list("....,,,!?;:'\"()-_/\\@#$%^&*+=<>~`|[]{}") + ["'s", "'re", "'LL", "'ve", "\u2019s", "\u20ac", "\u2014"]
SPACES = [" "] * 40 + ["  ", "   ", "\t", "\u00a0", "\u3000", "\u2009", "\u200b", " \t ", "\r", "\u2028", "\x0b", "\x85"]
ENDS = [" <mask>", " hone", " <s> x", "</s>", " <|user|>  y", " <|end|>", " of e\u0301", " \u2581\u2581\u2581 z", "   <unk>a", "<0x41>", "<s>"]
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


def build(pattern, normalizer, digits, model=None):
    t = Tokenizer(model or models.BPE())
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


def vocabularies(folder):
    """Each folder below with its vocab.json and merges.txt."""
    for place in sorted(os.listdir(folder)):
        files = [os.path.join(folder, place, x) for x in ("vocab.json", "merges.txt")]
        if all(map(os.path.exists, files)):
            yield os.path.join(folder, place), files


def published(folder, kinds=KINDS):
    """(name, tokenizer) of each vocabulary with each pattern; llama3: as in Llama 3's file, too, whole words go first."""
    for place, files in vocabularies(folder):
        for kind in kinds:
            t = build(*KINDS[kind], models.BPE.from_file(*files, ignore_merges=kind == "llama3"))
            t.add_special_tokens(["<|endoftext|>"])
            yield f"{os.path.basename(place)}_{kind}", t


def published_files(folder):
    """(path, tokenizer, whether it is the same with special tokens) of what lies there: a tokenizer.json, the older files that
    stand for it, a table of tiktoken's, which has the ids of the vocabulary beside it."""
    for place, files in vocabularies(folder):
        whole = os.path.join(place, "tokenizer.json")
        t = build(*KINDS["gpt2"], models.BPE.from_file(*files))
        t.add_special_tokens(["<|endoftext|>"])
        if os.path.exists(whole):
            yield whole, Tokenizer.from_file(whole), True
        yield files[0], t, True
        for name in sorted(os.listdir(place)):
            if name.endswith(".tiktoken"):
                yield os.path.join(place, name), t, False


def train(t, texts, size):
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  special_tokens=["<|endoftext|>", "<|start|>"], show_progress=False)
    t.train_from_iterator(texts, trainer)
    t.add_tokens([AddedToken("hone", single_word=True), AddedToken("<mask>", lstrip=True, special=True)])
    t.post_processor = processors.TemplateProcessing("<|start|> $A", special_tokens=[("<|start|>", t.token_to_id("<|start|>"))])


def train_characters(name, texts, size):
    """Trained with words apart ("crossing": without), then put together as the published files are."""
    normalizer, cut, decoder, model, tokens = CHARACTERS[name]
    t = Tokenizer(models.BPE())
    if name != "crossing":
        t.pre_tokenizer = meta("always", True)
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, limit_alphabet=250, show_progress=False))
    state = json.loads(t.to_str())["model"]
    special = [x.content for x in tokens[:3]]
    some = [b for b in range(256) if model.get("byte_fallback") and (name != "few_bytes" or b % 5)]
    vocab = {x: i for i, x in enumerate(special + [f"<0x{b:02X}>" for b in some])}
    for x in sorted(state["vocab"], key=state["vocab"].get):
        vocab.setdefault(x, len(vocab))
    t = Tokenizer(models.BPE(vocab=vocab, merges=[tuple(m) for m in state["merges"]], **model))
    if normalizer:
        t.normalizer = normalizer
    if cut:
        t.pre_tokenizer = cut
    t.decoder = decoder
    for x in tokens:
        (t.add_special_tokens if x.special else t.add_tokens)([x])
    t.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", t.token_to_id("<s>"))])
    return t


def hone(args, **more):
    done = subprocess.run([HONE, "tokenize", *args], capture_output=True, **more)
    if done.returncode:
        raise SystemExit(f"hone tokenize {args[:2]}: {done.stderr.decode()}")
    return done.stdout


def older(path):
    """Merges as one text each, as files were written before 2024."""
    root = json.load(open(path))
    if all(" " not in a + b for a, b in root["model"]["merges"]):
        root["model"]["merges"] = [" ".join(m) for m in root["model"]["merges"]]
    with open(path, "w") as f:
        json.dump(root, f)


def encode_lines(t, texts, special):
    """Some lines at a time, since the package keeps more than ids."""
    batch = getattr(t, "encode_batch_fast", t.encode_batch)
    for i in range(0, len(texts), 2000):
        yield from (e.ids for e in batch(texts[i:i + 2000], add_special_tokens=special))


def compare_lines(name, t, texts, path, folder, special):
    source, wrong, count = os.path.join(folder, "text"), 0, 0
    with open(source, "wb") as f:
        f.write("\n".join(texts).encode())
    got = hone([path, "-f", source, "--lines"] + ([] if special else ["--no-special"])).splitlines()
    assert len(got) == len(texts), (name, len(got), len(texts))
    for text, line, want in zip(texts, got, encode_lines(t, texts, special)):
        a, count = json.loads(line), count + len(want)
        if a != want:
            wrong += 1
            if wrong < 4:
                print(f"  {name}: {text!r}: {a} instead of {want}")
    return wrong, count


def compare(name, t, texts, folder, decoded=20):
    """decoded: of how many lines the ids are made text again, each by a command of its own."""
    path = os.path.join(folder, name + ".json")
    t.save(path)
    if name in ("llama2", "phi3"):
        older(path)
    wrong = compare_lines(name, t, texts, path, folder, False)[0] + compare_lines(name, t, texts[:20000], path, folder, True)[0]
    r = random.Random(1)
    want = [t.encode(x).ids for x in r.sample(texts, min(decoded, len(texts)))]
    drawn = [[r.randrange(t.get_vocab_size()) if r.random() < 0.3 else r.randrange(3, 259) for _ in range(r.randint(0, 9))] for _ in range(40)]
    for ids in want + (drawn if name in CHARACTERS else []):
        for special in (False, True):
            a = hone([path, "--decode", json.dumps(ids)] + ([] if special else ["--no-special"])).decode()[:-1]
            if a != t.decode(ids, skip_special_tokens=not special):
                wrong += 1
                print(f"  {name}: {ids}: {a!r} instead of {t.decode(ids, skip_special_tokens=not special)!r}")
    print(f"{name}: {len(texts)} lines, {wrong} differ", flush=True)
    return wrong


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--megabytes", type=float, default=10)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", nargs="+", default=list(KINDS) + list(CHARACTERS))
    p.add_argument("--vocabularies")
    o = p.parse_args()
    r = random.Random(o.seed)
    texts = [t + (r.choice(ENDS) if r.random() < 0.02 else "") for t in lines(r, int(o.megabytes * 1e6))]
    while texts and not texts[-1]:
        texts.pop()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        if o.vocabularies:
            for path, t, special in published_files(o.vocabularies):
                bad, count = compare_lines(path, t, texts, path, folder, special)
                print(f"{'/'.join(path.split('/')[-2:])}: {len(texts)} lines, {count} tokens, {bad} differ", flush=True)
                wrong += bad
            for name, t in published(o.vocabularies):
                wrong += compare(name, t, texts, folder, 3)
        for name in [] if o.vocabularies else o.only:
            if name in KINDS:
                t = build(*KINDS[name])
                train(t, texts[:2000], 3000)
            else:
                t = train_characters(name, texts[:2000], 3000)
            wrong += compare(name, t, texts, folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
