"""What transformers generates with gpt2-nano: greedy and by beams, stored for the tests of the decoder.

Without options the stored references are compared with what transformers gives now, and the exit code is 1 where they
differ. A difference at a step where the two best tokens are nearly level is no difference. `--write` makes them anew:
tests/reference/gpt2_nano_greedy.json  ids of a prompt, the next 48, and how far each was ahead of the second best
tests/reference/gpt2_nano_beams.json   options, ids and scores; kept only where float32 and float64 choose the same ids
Weights are widened from float16. Needs torch and transformers as train.py does. Run: python check.py [--write]
"""
import argparse
import json
import os
import sys

import torch
import transformers

import perplexity

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE = os.path.join(HERE, "..", "..", "tests", "reference")
GREEDY, BEAMS = "gpt2_nano_greedy.json", "gpt2_nano_beams.json"
NEXT = 48
LEVEL = 1e-3  # a margin between two logits that rounding may turn over
SCORE = 1e-4  # largest difference of a beam's score
TYPED = ["Explain 5G technology in simple terms.", "In the beginning", "And the LORD said unto Moses,", "Mr. Darcy",
         "\"My dear,\" said Mrs. Bennet,", "Emma, chapter 3\n", "0 1 2 3", "Caf\u00e9 \u65e5\u672c\u8a9e \U0001f600", "\n"]
HELD_LENGTHS = [1, 2, 3, 7, 16, 31, 32, 33, 64, 127, 208]  # tokens; 208 and 48 fill the context


def prompts(tokenizer):
    """-> rows of ids: typed ones, then pieces of the held-out text of all lengths."""
    with open(os.path.join(HERE, "heldout.txt"), encoding="utf-8", newline="") as file:
        held = tokenizer(file.read(), verbose=False)["input_ids"]
    apart = len(held) // len(HELD_LENGTHS)
    return [tokenizer(text)["input_ids"] for text in TYPED] + [
        held[n * apart:n * apart + length] for n, length in enumerate(HELD_LENGTHS)]


def greedy(model, tokenizer):
    cases = []
    for ids in prompts(tokenizer):
        out = model.generate(torch.tensor([ids]), max_new_tokens=NEXT, do_sample=False, output_logits=True,
                             return_dict_in_generate=True)
        best = torch.stack([logits[0] for logits in out.logits]).topk(2).values
        cases.append({"prompt": tokenizer.decode(ids), "ids": ids, "next": out.sequences[0, len(ids):].tolist(),
                      "margins": [round(float(first - second), 5) for first, second in best]})
    return cases


def beam_options(tokenizer):
    """-> (row of ids, options), as generate() names them. Sentences end early where a full stop ends the text."""
    stop = tokenizer(".")["input_ids"]
    rows = [tokenizer(text)["input_ids"] for text in ("And it came to pass", "She was not", "Emma could not but")]
    for penalty in (1.0, 0.6, 2.0):
        for early in (True, False, "never"):
            for ngram in (0, 2):
                for n, row in enumerate(rows):
                    for ends in (stop, [tokenizer.eos_token_id]):
                        yield row, {"num_beams": 4, "length_penalty": penalty, "early_stopping": early,
                                    "no_repeat_ngram_size": ngram, "num_return_sequences": (1, 4, 2)[n],
                                    "eos_token_id": ends, "max_new_tokens": 24}
    for count in (2, 3, 8):
        yield rows[1], {"num_beams": count, "length_penalty": 1.0, "early_stopping": False, "no_repeat_ngram_size": 0,
                        "num_return_sequences": count, "eos_token_id": stop, "max_new_tokens": 40}


def beam_answer(model, row, options):
    """-> [(ids after the prompt, with the end token where it was reached; score)], best first."""
    out = model.generate(torch.tensor([row]), do_sample=False, return_dict_in_generate=True, output_scores=True,
                         **options)
    found = []
    for sequence, score in zip(out.sequences[:, len(row):].tolist(), out.sequences_scores.tolist()):
        ends = [n for n, token in enumerate(sequence) if token in options["eos_token_id"]]
        found.append({"ids": sequence[:ends[0] + 1] if ends else sequence, "score": round(score, 6)})
    return found


def beams(model, tokenizer):
    """Choices that hang on rounding would test nothing but luck: they are left out."""
    answers = [(row, options, beam_answer(model, row, options)) for row, options in beam_options(tokenizer)]
    model.double()
    cases = []
    for row, options, found in answers:
        exact = beam_answer(model, row, options)
        if [answer["ids"] for answer in found] == [answer["ids"] for answer in exact]:
            cases.append({"ids": row, "options": options, "sequences": exact})
    model.float()
    print(f"beams: {len(cases)} of {len(answers)} cases are the same in float32 and float64")
    return cases


def same_greedy(stored, fresh):
    if stored["ids"] != fresh["ids"]:
        return False
    for old, new, margin in zip(stored["next"], fresh["next"], stored["margins"]):
        if old != new:
            return margin < LEVEL  # what follows a turned tie is another text
    return len(stored["next"]) == len(fresh["next"])


def same_beams(stored, fresh):
    return (stored["ids"], stored["options"]) == (fresh["ids"], fresh["options"]) and len(stored["sequences"]) == len(
        fresh["sequences"]) and all(
            old["ids"] == new["ids"] and abs(old["score"] - new["score"]) < SCORE
            for old, new in zip(stored["sequences"], fresh["sequences"]))


def write(name, cases):
    head = json.dumps({"model": "zoo/gpt2-nano", "made_by": "zoo/gpt2-nano/check.py",
                       "transformers": transformers.__version__})
    with open(os.path.join(REFERENCE, name), "w") as file:
        file.write(head[:-1] + ', "cases": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]}\n")
    print(f"{name}: {len(cases)} cases written")


def compare(name, cases, same):
    """-> number of differences."""
    with open(os.path.join(REFERENCE, name)) as file:
        stored = json.load(file)["cases"]
    wrong = [n for n, pair in enumerate(zip(stored, cases)) if not same(*pair)]
    print(f"{name}: {len(stored)} stored, {len(cases)} made, different: {wrong or 'none'}")
    return len(wrong) + abs(len(stored) - len(cases))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="make the references anew")
    args = parser.parse_args()
    model, tokenizer = perplexity.load(HERE)
    wrong = 0
    for name, make, same in ((GREEDY, greedy, same_greedy), (BEAMS, beams, same_beams)):
        cases = make(model, tokenizer)
        if args.write:
            write(name, cases)
        else:
            wrong += compare(name, cases, same)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
