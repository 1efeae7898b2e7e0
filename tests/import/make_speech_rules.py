"""What openai-whisper's decoding.py makes of scores: which tokens its filters leave, and which sequence its beam search
ends with. usage: make_speech_rules.py OUT.json    needs openai-whisper (PyPI) and torch"""
import json, sys
from types import SimpleNamespace
import torch
from whisper.decoding import ApplyTimestampRules, BeamSearchDecoder, Inference, MaximumLikelihoodRanker, SuppressBlank, \
    SuppressTokens

VOCAB, END, NO_TIMESTAMPS, FIRST = 40, 20, 24, 25
tokenizer = SimpleNamespace(eot=END, no_timestamps=NO_TIMESTAMPS, timestamp_begin=FIRST, encode=lambda text: [3])
torch.manual_seed(1)


def sequence(i):
    """New tokens as a decoder might have made them, and some that it would not."""
    text, times = list(range(20)), list(range(FIRST, VOCAB))
    pick = lambda pool: pool[int(torch.randint(0, len(pool), (1,)))]
    a, b = sorted((pick(times), pick(times)))
    return [[], [a], [a, b], [a, pick(text)], [a, pick(text), b], [a, pick(text), b, b], [pick(text)],
            [pick(text), a], [a, pick(text), pick(text), b, b, pick(text)]][i % 9]


def filters():
    for i in range(54):
        made, most = sequence(i), [None, 3, 50][i % 3]
        suppressed = [[], [2, 7, 21, 22, 23]][i // 9 % 2]
        blank, timestamps = i // 18 % 2 == 0, i < 45
        # either side of "timestamps together are likelier than any text"
        scores = torch.randn(VOCAB) * 3 + torch.where(torch.arange(VOCAB) >= FIRST, (i % 5 - 2) * 2.0, 0.0)
        rows, prompt = scores.clone()[None], [1, 1]
        tokens = torch.tensor([prompt + made])
        chain = ([SuppressBlank(tokenizer, 2)] if blank else []) + [SuppressTokens(suppressed)]
        if timestamps:
            chain.append(ApplyTimestampRules(tokenizer, 2, most))
        for f in chain:
            f.apply(rows, tokens)
        yield dict(made=made, most=-1 if most is None else most, suppressed=suppressed, blank=blank,
                   timestamps=timestamps, scores=[round(float(x), 4) for x in scores],
                   left=[int(x) for x in torch.isfinite(rows[0]).nonzero().flatten()])


class Tables(Inference):
    """Scores depend on the last token and the step alone."""
    def rearrange_kv_cache(self, source_indices):
        pass


def beams():
    vocab, end = 7, 6
    for i in range(24):
        count, patience, steps = [2, 3, 5][i % 3], [1.0, 2.0, 0.5][i // 3 % 3], [4, 8][i // 9 % 2]
        penalty = [None, 0.6, 1.5][i // 2 % 3]
        table = (torch.randn(steps, vocab, vocab) * 2).round(decimals=3)
        table[:, :, end] -= 1.5
        table[0, :, end] = -1e9  # as SuppressBlank: a text of nothing has no rank
        decoder = BeamSearchDecoder(count, end, Tables(), patience)
        tokens, sums = torch.zeros(count, 1, dtype=torch.long), torch.zeros(count)
        for step in range(steps):
            tokens, done = decoder.update(tokens, table[step][tokens[:, -1]].clone(), sums)
            if done:
                break
        found, scores = decoder.finalize(tokens[None], sums[None])
        found = [[t[1:] for t in s] for s in found]
        cut = [[t[:t.index(end)] if end in t else t for t in map(lambda x: x.tolist() if hasattr(x, "tolist") else list(x), s)]
               for s in found]
        best = MaximumLikelihoodRanker(penalty).rank([[torch.tensor(t) for t in s] for s in cut], scores)[0]
        yield dict(beams=count, patience=patience, most=steps, penalty=-1 if penalty is None else penalty,
                   table=table.flatten().tolist(), best=cut[0][best], sum=round(float(scores[0][best]), 5))


json.dump(dict(vocab=VOCAB, end=END, no_timestamps=NO_TIMESTAMPS, first_timestamp=FIRST, blank=[3],
               filters=list(filters()), beams=list(beams())), open(sys.argv[1], "w"))
