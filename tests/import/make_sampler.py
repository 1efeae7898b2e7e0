#!/usr/bin/env python3
"""What transformers makes of scores: make_sampler.py writes tests/reference/sampler.json.
Each case: settings of a GenerationConfig, the ids before (the first `prompt` of them given), the seed of the scores
(normal numbers by the recurrence below, times `spread`), and, after the processors that `generate` takes for these
settings, in its order: of greedy ones the scores that are left (null: banned), of drawn ones the probabilities."""
import json, os, random
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import torch, transformers

VOCAB = 53
DRAWN = [
    dict(temperature=0.7), dict(temperature=1.9), dict(top_k=1), dict(top_k=7), dict(top_k=VOCAB), dict(top_k=1000),
    dict(top_p=0.0), dict(top_p=0.05), dict(top_p=0.6), dict(top_p=0.95), dict(top_p=1.0), dict(min_p=0.0),
    dict(min_p=0.02), dict(min_p=0.4), dict(min_p=1.0), dict(typical_p=0.1), dict(typical_p=0.5), dict(typical_p=0.97),
    dict(temperature=1.3, top_k=20, top_p=0.8), dict(temperature=0.5, top_k=30, min_p=0.05, typical_p=0.8),
    dict(temperature=2.5, top_p=0.9, min_p=0.1, typical_p=0.9), dict(repetition_penalty=1.7, top_p=0.7, top_k=12),
    dict(repetition_penalty=0.6, typical_p=0.6, no_repeat_ngram_size=2), dict(no_repeat_ngram_size=1, temperature=1.2),
    dict(suppress_tokens=[1, 5, 52], top_k=9), dict(suppress_tokens=list(range(1, VOCAB)), top_p=0.3),
    dict(min_new_tokens=9, eos_token_id=[3, 8], temperature=1.1, top_k=25),
]
GREEDY = [
    dict(repetition_penalty=1.4), dict(repetition_penalty=0.5), dict(no_repeat_ngram_size=1),
    dict(no_repeat_ngram_size=2), dict(no_repeat_ngram_size=3), dict(repetition_penalty=2.0, no_repeat_ngram_size=2),
    dict(suppress_tokens=[0, 17, 52]), dict(min_new_tokens=9, eos_token_id=[3, 8]),
    dict(min_new_tokens=3, eos_token_id=[3, 8]),
    dict(repetition_penalty=1.2, no_repeat_ngram_size=2, suppress_tokens=[4], min_new_tokens=20, eos_token_id=[7]),
]


def words(ids):
    """Bad words of which some would be whole with the next token."""
    near = [[ids[-1], 20], ids[-2:] + [3], ids[-4:] + [51], [(ids[-1] + 1) % 12, 30], [ids[-2], 31], ids[-1:] * 3]
    return dict(bad_words_ids=[[17], [8]] + near)


# Rules that look at the place: settings, made of the ids where they are a function; how many ids there are, how many
# of them given.
PLACED = [
    (words, 11, 6), (lambda ids: dict(words(ids), eos_token_id=[8]), 11, 6), (words, 4, 4),
    (lambda ids: dict(bad_words_ids=[[5, 6, ids[0], 9], [ids[0], 9], [52]], eos_token_id=[52, 51]), 1, 1),
    (dict(begin_suppress_tokens=[0, 7, 52]), 6, 6), (dict(begin_suppress_tokens=[0, 7, 52]), 7, 6),
    (dict(begin_suppress_tokens=[4, 5], suppress_tokens=[5, 6]), 1, 1),
    (dict(forced_bos_token_id=9), 1, 1), (dict(forced_bos_token_id=9), 2, 1),
    (dict(forced_bos_token_id=0, begin_suppress_tokens=[0, 9]), 1, 1),
    (dict(forced_bos_token_id=0, begin_suppress_tokens=[0, 9]), 2, 1),
    (dict(forced_bos_token_id=0, begin_suppress_tokens=[0, 9]), 3, 1),
    (dict(forced_eos_token_id=52, max_length=12), 11, 6), (dict(forced_eos_token_id=52, max_length=12), 10, 6),
    (dict(forced_eos_token_id=52, max_length=11), 11, 6), (dict(forced_eos_token_id=8, max_length=2), 1, 1),
    (dict(forced_eos_token_id=8, forced_bos_token_id=3, max_length=2), 1, 1),
    (dict(forced_eos_token_id=8, bad_words_ids=[[8]], min_new_tokens=20, eos_token_id=[8], max_length=12), 11, 6),
    (dict(min_new_tokens=1, eos_token_id=[3, 8]), 6, 6), (dict(min_new_tokens=1, eos_token_id=[3, 8]), 7, 6),
    (lambda ids: dict(words(ids), repetition_penalty=1.3, no_repeat_ngram_size=2, suppress_tokens=[1, 2],
                      begin_suppress_tokens=[3], min_new_tokens=2, eos_token_id=[8, 40], max_length=40), 7, 6),
]


def scores_of(seed, spread):
    """Sums of four bytes of a generator (x = 1664525 x + 1013904223 mod 2^32), around 0."""
    x, out = seed, []
    for _ in range(VOCAB):
        total = 0
        for _ in range(4):
            x = (1664525 * x + 1013904223) % 2**32
            total += x >> 24
        out.append((total - 510) / 128 * spread)
    return out


def case(settings, drawn, seed, spread, length=11, prompt=6):
    draw = random.Random(seed)
    ids = [draw.randrange(12) for _ in range(length)]
    settings = settings(ids) if callable(settings) else settings
    config = transformers.GenerationConfig(do_sample=drawn, **dict(dict(top_k=0) if drawn else {}, **settings))
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=4, n_layer=1, n_head=1, vocab_size=VOCAB,
                                                                 bos_token_id=0, eos_token_id=0))
    model._prepare_special_tokens(config, device="cpu")
    processors = model._get_logits_processor(config, input_ids_seq_length=prompt, device="cpu")
    left = processors(torch.tensor([ids]), torch.tensor([scores_of(seed, spread)]))[0]
    result = torch.softmax(left.double(), -1) if drawn else left
    return dict(settings=settings, ids=ids, prompt=prompt, seed=seed, spread=spread,
                **{"probabilities" if drawn else "scores": [None if v == -torch.inf else float(f"{v:.6g}") for v in
                                                            result.tolist()]})


if __name__ == "__main__":
    cases = [case(s, drawn, 1000 * i + k, spread) for drawn, all_of in ((True, DRAWN), (False, GREEDY))
             for i, s in enumerate(all_of) for k, spread in enumerate((1.0, 3.5))]
    cases += [case(s, drawn, 1000 * i + 10 + drawn, 1.0, *at) for i, (s, *at) in enumerate(PLACED)
              for drawn in (False, True)]
    path = os.path.join(os.path.dirname(__file__), "../reference/sampler.json")
    with open(path, "w") as f:
        f.write('{"vocab": %d, "transformers": "%s", "cases": [\n' % (VOCAB, transformers.__version__))
        f.write(",\n".join(json.dumps(c) for c in cases) + "\n]}\n")
    print(len(cases), "cases")
