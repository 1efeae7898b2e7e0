#!/usr/bin/env python3
"""What transformers generates with zoo/gpt2-nano under rules for tokens: make_rules.py writes
tests/reference/gpt2_nano_rules.json, by beams and token by token, in the form of zoo/gpt2-nano/check.py, whose
functions it uses: cases that float32 and float64 answer alike."""
import os, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../zoo/gpt2-nano"))
import check, perplexity

NEW = 16


def rules(tokenizer, row, free):
    """-> settings; `free`: what comes without any."""
    stop = tokenizer(".")["input_ids"]
    yield dict(bad_words_ids=[free[:1]])
    yield dict(bad_words_ids=[free[2:4], free[6:9], [stop[0], free[0]], row[-2:] + free[:1]])
    yield dict(bad_words_ids=[stop, free[3:4]], eos_token_id=stop)
    yield dict(suppress_tokens=sorted(set(free[::2])))
    yield dict(begin_suppress_tokens=free[:2])
    yield dict(forced_eos_token_id=stop[0])
    yield dict(forced_eos_token_id=stop[0], eos_token_id=stop, min_new_tokens=NEW)
    yield dict(min_new_tokens=9, eos_token_id=stop)
    yield dict(min_new_tokens=4, eos_token_id=[free[2], free[5]])
    yield dict(suppress_tokens=free[4:6], bad_words_ids=[free[1:3]], no_repeat_ngram_size=2, repetition_penalty=1.2,
               begin_suppress_tokens=free[:1], forced_eos_token_id=tokenizer.eos_token_id, min_new_tokens=3, eos_token_id=[free[3]])
    if len(row) == 1:
        yield dict(forced_bos_token_id=free[5])
        yield dict(forced_bos_token_id=free[5], begin_suppress_tokens=[free[5], free[0]], forced_eos_token_id=stop[0])


def cases(tokenizer, model):
    for text in ("And it came to pass", "She was not", "E"):
        row = tokenizer(text)["input_ids"]
        base = dict(max_new_tokens=NEW, eos_token_id=[tokenizer.eos_token_id])
        free = check.beam_answer(model, row, dict(base, num_beams=2))[0]["ids"]
        for settings in rules(tokenizer, row, free):
            for search in (dict(num_beams=1), dict(num_beams=4, num_return_sequences=3, length_penalty=0.8)):
                yield row, {**base, **settings, **search}


def answer(model, row, options):
    if options["num_beams"] > 1:
        return check.beam_answer(model, row, options)
    ids = model.generate(check.torch.tensor([row]), do_sample=False, **options)[0, len(row):].tolist()
    return [dict(ids=ids)]


model, tokenizer = perplexity.load(os.path.join(HERE, "../../zoo/gpt2-nano"))
answers = [(row, options, answer(model, row, options)) for row, options in list(cases(tokenizer, model))]
model.double()
kept = [dict(ids=row, options=options, sequences=[dict(ids=s["ids"]) for s in found])
        for row, options, found in answers
        if [s["ids"] for s in found] == [s["ids"] for s in answer(model, row, options)]]
head = check.json.dumps(dict(model="zoo/gpt2-nano", made_by="tests/import/make_rules.py",
                             transformers=check.transformers.__version__))
with open(os.path.join(HERE, "../reference/gpt2_nano_rules.json"), "w") as f:
    f.write(head[:-1] + ', "cases": [\n' + ",\n".join(check.json.dumps(c) for c in kept) + "\n]}\n")
print(len(kept), "of", len(answers), "cases are the same in float32 and float64")
