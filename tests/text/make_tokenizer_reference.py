"""Writes tests/reference/tokenizers: a small tokenizer.json of every pattern, trained on the texts of live_tokenizers.py,
and cases.json: texts with the ids that the tokenizers package gives (0.23).     needs: tokenizers"""
import json, os, random, sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
import live_tokenizers as live

out = os.path.join(here, "..", "reference", "tokenizers")
os.makedirs(out, exist_ok=True)
texts = list(live.lines(random.Random(3), 400000))
extra = ["", " ", "\n", "I'm here, you'LL see: it's 12345678 o'clock\r\n\r\n  yes", "a  b   c    ", "caf\u00e9 cafe\u0301 \u1e9b\u0323",
         "<|endoftext|>x<|start|> y <mask> z hone honey", "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u0e01\u0e33 \u0915\u094d\u0937"]
cases = {}
for name in [*live.KINDS, "llama2", "gemma", "metaspace_first"]:
    if name in live.KINDS:
        t = live.build(*live.KINDS[name])
        live.train(t, texts, 700)
    else:
        t = live.train_characters(name, texts, 900)
    t.save(os.path.join(out, name + ".json"), pretty=False)
    rows = extra + random.Random(4).sample([x for x in texts if len(x) < 120], 30)
    cases[name] = [{"text": x, "ids": t.encode(x).ids, "plain": t.encode(x, add_special_tokens=False).ids,
                    "decoded": t.decode(t.encode(x).ids, skip_special_tokens=False)} for x in rows]
    if name not in live.KINDS:  # bytes that stand beside each other, whole characters or not
        r = random.Random(5)
        for _ in range(12):
            row = [r.randrange(3, 259) if r.random() < 0.6 else r.randrange(259, 900) for _ in range(6)]
            row += [3 + b for b in r.choice(["\u00e9", "\u4e2d", "\U0001f600"]).encode()] * r.randint(0, 2)
            cases[name].append({"ids": row, "decoded": t.decode(row, skip_special_tokens=False)})
with open(os.path.join(out, "cases.json"), "w") as f:
    json.dump(cases, f, indent=0)
