#!/usr/bin/env python3
"""hone tokenize on stored tokenizers of every pattern: the ids and texts that the tokenizers package gave, text that is no
UTF-8 comes back as it was, broken files are refused by name, and in time. A tokenizer of characters from its folder to text
that a model writes."""
import base64, json, os, subprocess, sys, tempfile

hone = os.environ.get("HONE", "build/hone")
slow = os.environ.get("HONE_SANITIZE", "") not in ("", "OFF", "0")  # there every run takes ten times as long
folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference", "tokenizers")


def run(*args, text=b""):
    return subprocess.run([hone, "tokenize", *args], input=text, capture_output=True, timeout=60)


def expect(what, got, want):
    if got != want:
        sys.exit(f"{what}: {got!r} instead of {want!r}")


cases = json.load(open(os.path.join(folder, "cases.json")))
for name, rows in cases.items():
    path = os.path.join(folder, name + ".json")
    for row in rows[:: 4 if slow else 1]:
        if "text" in row:
            text = row["text"].encode()
            expect(f"{name} {row['text']!r}", json.loads(run(path, "-f", "-", text=text).stdout), row["ids"])
            expect(f"{name} {row['text']!r}, plain", json.loads(run(path, "-f", "-", "--no-special", text=text).stdout), row["plain"])
        expect(f"{name} {row['ids']}", run(path, "--decode", json.dumps(row["ids"])).stdout.decode()[:-1], row["decoded"])
for bytes_ in (b"\xff\xfe abc \xc3", b"\xf0\x9f\x98", b"ab\x80\x80cd", bytes(range(256))):
    ids = run(os.path.join(folder, "gpt2.json"), "-f", "-", "--no-special", text=bytes_).stdout.decode()
    expect(f"{bytes_!r}", run(os.path.join(folder, "gpt2.json"), "--decode", ids).stdout[:-1], bytes_)
whole = open(os.path.join(folder, "gpt2.json"), "rb").read()
with tempfile.TemporaryDirectory() as place:
    path = os.path.join(place, "tokenizer.json")
    hostile = [whole[:n] for n in range(0, len(whole), len(whole) // 40)] + [
        b"[" * 100000, b'{"model": 5}', b'{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}',
        b'{"model": {"type": "BPE", "vocab": {"a": 4000000000}, "merges": []}}',
        b'{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}', b'{"model": {"type": "Unheard"}}', b"\xff\xfe{}"]
    for data in hostile:
        with open(path, "wb") as f:
            f.write(data)
        done = run(path, "some text")
        if done.returncode not in (1, 2) or b"tokenizer.json" not in done.stderr:
            sys.exit(f"{data[:60]!r}...: exit {done.returncode}, {done.stderr!r}")
    # a table whose tokens nobody can halve in time, and so many added tokens that each must not be compared with all
    path = os.path.join(place, "gpt2.tiktoken")
    with open(path, "w") as f:
        f.writelines(f"{base64.b64encode(b'a' * (n + 1)).decode()} {n}\n" for n in range(2000))
    done = run(path, "aaa")
    if done.returncode != 1 or b"gpt2.tiktoken: line " not in done.stderr:
        sys.exit(f"long tokens: exit {done.returncode}, {done.stderr!r}")
    path = os.path.join(place, "multilingual.tiktoken")
    with open(path, "w") as f:
        f.writelines(f"{word} {i}\n" for i, word in enumerate(["YQ==", "Yg==", "YWI=", "="]))
    expect("a token without bytes", json.loads(run(path, "abba<|endoftext|>").stdout), [2, 1, 0, 4])
    with open(os.path.join(place, "vocab.json"), "w") as f:
        json.dump({"a": 0, "b": 1, "ab": 2}, f)
    with open(os.path.join(place, "merges.txt"), "w") as f:
        f.write("a b\n")
    with open(os.path.join(place, "added_tokens.json"), "w") as f:
        json.dump({f"<|{i}|>": i + 3 for i in range(200000)}, f)
    os.remove(os.path.join(place, "tokenizer.json"))
    expect("many added tokens", json.loads(run(place, "ab<|199999|><|7|>a").stdout), [2, 200002, 10, 0])
done = run(os.path.join(folder, "gpt2.json"), "--decode", "[99999]")
if done.returncode not in (1, 2) or b"99999" not in done.stderr:
    sys.exit(f"an id beyond the vocabulary: {done!r}")
# a tokenizer of characters whose rare ones are bytes, from a folder through optimize to generate
letters = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in "\U0001f600\u00e9".encode()] + list("\u2581abcdefghijk") + ["\u2581a", "bc", "\u2581abc"]
root = {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": None, "added_tokens": [{"id": i, "content": letters[i], "special": True, "normalized": False} for i in range(3)],
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"},
                                                     {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": {x: i for i, x in enumerate(letters)},
                  "merges": ["\u2581 a", "b c", "\u2581a bc"]}}
mistral = os.path.join(folder, "..", "hugging_face", "mistral")
with tempfile.TemporaryDirectory() as place:
    source, model = os.path.join(place, "source"), os.path.join(place, "model")
    os.mkdir(source)
    for name in ("config.json", "model.safetensors"):
        os.symlink(os.path.abspath(os.path.join(mistral, name)), os.path.join(source, name))

    def write(**parts):
        with open(os.path.join(source, "tokenizer.json"), "w") as f:
            json.dump(dict(root, **parts), f)

    write()
    done = subprocess.run([hone, "optimize", source, "-o", model, "-q"], capture_output=True)
    if done.returncode:
        sys.exit(done.stderr.decode())
    expect("a stored tokenizer of characters", json.loads(run(model, "abc a\u00e9\U0001f600\u4e2d").stdout), [1, 23, 21, 7, 8, 3, 4, 5, 6, 0])
    seen = set()
    for seed in range(3 if slow else 8):
        args = ["generate", model, "-p", "abc", "-n", "40", "--force-tokens", "40", "--temperature", "3", "--seed", str(seed), "-q"]
        got = json.loads(subprocess.run([hone, *args, "--json"], capture_output=True).stdout)[0]
        decoded = run(model, "--decode", "--no-special", json.dumps(got["tokens"])).stdout.decode()[:-1]
        expect(f"{got['tokens']}", got["text"], decoded)
        streamed = subprocess.run([hone, *args, "--stream"], capture_output=True).stdout.decode()
        if decoded.strip() not in streamed:
            sys.exit(f"streamed {streamed!r} instead of {decoded!r}")
        seen.update(decoded)
    if "\ufffd" not in seen or not any(c > "\x7f" and c != "\ufffd" for c in seen):
        sys.exit(f"no bytes among {seen}")
    for part, words in (({"normalizer": {"type": "Nmt"}}, "normalizer 'Nmt'"), ({"decoder": {"type": "CTC"}}, "decoder 'CTC'"),
                        ({"normalizer": {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}}, "Replace's pattern ' {2,}'"),
                        ({"pre_tokenizer": {"type": "BertPreTokenizer"}}, "pre_tokenizer 'BertPreTokenizer'"), ({"decoder": None}, "decoder"),
                        ({"pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "last"}}, "Metaspace"),
                        ({"pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"}}, "prepend_scheme first"),
                        ({"pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "Joined", "invert": False}}, "behavior 'Joined'"),
                        ({"decoder": {"type": "Strip", "content": " ", "start": 1, "stop": 1}}, "Strip"),
                        ({"model": dict(root["model"], unk_token="<none>")}, "unk_token '<none>'"), ({"model": dict(root["model"], merges=["a z"])}, "merge 0")):
        write(**part)
        done = run(source, "abc")
        if done.returncode not in (1, 2) or b"tokenizer.json: " not in done.stderr or words.encode() not in done.stderr:
            sys.exit(f"{part}: exit {done.returncode}, {done.stderr!r}")
print("ok")
