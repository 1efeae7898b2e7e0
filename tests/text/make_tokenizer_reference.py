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
for name, (pattern, nfc, digits) in live.KINDS.items():
    t = live.build(pattern, nfc, digits)
    live.train(t, texts, 700)
    t.save(os.path.join(out, name + ".json"), pretty=False)
    rows = extra + random.Random(4).sample([x for x in texts if len(x) < 120], 30)
    cases[name] = [{"text": x, "ids": t.encode(x).ids, "plain": t.encode(x, add_special_tokens=False).ids,
                    "decoded": t.decode(t.encode(x).ids, skip_special_tokens=False)} for x in rows]
with open(os.path.join(out, "cases.json"), "w") as f:
    json.dump(cases, f, indent=0)
