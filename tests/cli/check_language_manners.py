#!/usr/bin/env python3
"""Bad input on the way of a language model, Hugging Face folder -> optimize -> generate, eval, bench: every mistake is
named with its file and place, nothing half-written stays, an older output stays as it was, and Ctrl-C and closed pipes end
what runs."""
import json, math, os, pickletools, re, resource, shutil, struct, subprocess, time, zipfile
from command import changed, expect, failures, files, hone, interrupted, report, root, slow, start, work


# A GPT-2 of one layer over bytes, and the files around it

END = 256
CONFIG = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 16,
          "vocab_size": 257, "eos_token_id": END, "bos_token_id": END}


def gpt2_shapes(e, vocab, positions):
    layer = {"ln_1.weight": [e], "ln_1.bias": [e], "attn.c_attn.weight": [e, 3 * e], "attn.c_attn.bias": [3 * e], "attn.c_proj.weight": [e, e],
             "attn.c_proj.bias": [e], "ln_2.weight": [e], "ln_2.bias": [e], "mlp.c_fc.weight": [e, 4 * e], "mlp.c_fc.bias": [4 * e],
             "mlp.c_proj.weight": [4 * e, e], "mlp.c_proj.bias": [e]}
    return {"wte.weight": [vocab, e], "wpe.weight": [positions, e], **{"h.0." + k: v for k, v in layer.items()}, "ln_f.weight": [e], "ln_f.bias": [e]}


SHAPES = gpt2_shapes(8, 257, 16)


def header_of(shapes, dtype="F32", size=4):
    at, out = 0, {}
    for name, shape in shapes.items():
        out[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size * math.prod(shape)]}
        at = out[name]["data_offsets"][1]
    return out


def numbers(n):
    return b"".join(struct.pack("<f", (i * 7919 % 101 - 50) / 50) for i in range(n))


WEIGHTS = {name: numbers(math.prod(shape)) for name, shape in SHAPES.items()}


def safetensors(header, data=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + (b"".join(WEIGHTS.values()) if data is None else data)


def tokenizer():
    shown = [b for b in range(256) if 33 <= b < 127 or 161 <= b < 173 or b > 173]
    vocab = {chr(b if b in shown else 256 + sum(c not in shown for c in range(b))): b for b in range(256)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    end = {"id": END, "content": "<|end|>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"added_tokens": [end], "normalizer": None, "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "vocab": {**vocab, "<|end|>": END}, "merges": []}}


def text_of(number):
    return b"X" + struct.pack("<I", len(number)) + number.encode()


def tuple_of(values):
    return b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"


def pickled(shapes):
    """As torch.save pickles a dictionary of float tensors, each in a storage of its own."""
    out = b"\x80\x02}("
    for i, (name, shape) in enumerate(shapes.items()):
        place = b"(" + text_of("storage") + b"ctorch\nFloatStorage\n" + text_of(str(i)) + text_of("cpu") + b"J" + struct.pack("<i", math.prod(shape)) + b"tQ"
        rows = [math.prod(shape[k + 1:]) for k in range(len(shape))]
        out += text_of(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + place + b"J\0\0\0\0" + tuple_of(shape) + tuple_of(rows) + b"\x89ccollections\nOrderedDict\n)RtR"
    return out + b"u."


def write(path, data):
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else json.dumps(data).encode())


def torch_file(path, pickle, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as z:
        for name, data in {"m/data.pkl": pickle, "m/byteorder": b"little", **{f"m/data/{i}": w for i, w in enumerate(WEIGHTS.values())}}.items():
            z.writestr(zipfile.ZipInfo(name), data, method)


def folder(name, **files):
    """A good folder but for the files given: file_name=bytes, an object, or None for none."""
    shutil.rmtree(name, True)
    os.mkdir(name)
    good = {"config.json": CONFIG, "tokenizer.json": TOKENIZER, "model.safetensors": GOOD}
    for file, data in {**good, **{k.replace("_json", ".json").replace("_safetensors", ".safetensors"): v for k, v in files.items()}}.items():
        if data is not None:
            write(os.path.join(name, file), data)
    return name


def refused(says, code=(1, 2), name="bad", **more):
    """optimize refuses the folder; the message names it and says what is expected."""
    before = files()
    begin, p = time.time(), start("optimize", name, "-o", "out", **more)
    err = p.communicate(timeout=600)[1].decode(errors="replace")
    if p.returncode not in code:
        failures.append(f"{says}: exit {p.returncode}: {err[:300]}")
    failures.extend(f"does not say '{s}': {err[:300]}" for s in [name + "/", *says] if s not in err)
    if changed(before, []):
        failures.append(f"{says}: leaves {changed(before, [])}")
    if time.time() - begin > (60 if slow else 10):
        failures.append(f"{says}: takes {time.time() - begin:.0f} s")


TOKENIZER, GOOD = tokenizer(), safetensors(header_of(SHAPES))
folder("good")
expect(0, "optimize", "good", "-o", "model", "-q", leaves=["model"])
expect(0, "generate", "model", "-p", "abc", "-n", "3", "-q")
folder("torch", model_safetensors=None)
torch_file("torch/pytorch_model.bin", pickled(SHAPES))
expect(0, "optimize", "torch", "-o", "model2", "-q", leaves=["model2"])
same = [subprocess.run([hone, "generate", m, "-p", "abc", "-n", "9", "-q"], capture_output=True).stdout for m in ("model", "model2")]
if same[0] != same[1]:
    failures.append(f"pytorch_model.bin and model.safetensors give {same}")

# safetensors


def with_entry(name, **entry):
    header = header_of(SHAPES)
    header[name] = {**header[name], **entry}
    return safetensors(header)


places = header_of(SHAPES)
first, second = places["wte.weight"]["data_offsets"], places["wpe.weight"]["data_offsets"]
twice = json.dumps(places).encode()[:-1] + b', "wpe.weight": ' + json.dumps(places["wpe.weight"]).encode() + b"}"
for says, data in (
        (["'wte.weight'", "'wpe.weight'", "overlap"], with_entry("wpe.weight", data_offsets=[0, second[1] - second[0]])),
        (["'wpe.weight'", "is there twice"], safetensors(twice)),
        (["'ln_f.bias'", "bytes"], safetensors(places, b"".join(WEIGHTS.values())[:-4])),
        (["'wpe.weight'", "lies at", str(1 << 50)], with_entry("wpe.weight", data_offsets=[first[1], 1 << 50])),
        (["bytes in front of tensor 'wpe.weight' belong to none"], safetensors({k: v for k, v in places.items() if k != "wte.weight"})),
        (["the tensors end at"], GOOD + b"more"),
        (["'wpe.weight'", "dtype 'F31'"], with_entry("wpe.weight", dtype="F31")),
        (["'wpe.weight'", "its dtype and shape need"], with_entry("wpe.weight", dtype="F16")),
        (["'wpe.weight'", "int32", "float weights"], with_entry("wpe.weight", dtype="I32")),
        (["no shape"], with_entry("wpe.weight", shape=[-1, 8])),
        (["a safetensors header of 100000001 bytes", "at most 100000000"], struct.pack("<Q", 100000001) + b"{}"),
        (["a safetensors header of 100000000 bytes in a file of 10"], struct.pack("<Q", 100000000) + b"{}"),
        (["a safetensors header of"], GOOD[:4000] if len(GOOD) > 4000 and struct.unpack("<Q", GOOD[:8])[0] > 3992 else GOOD[:100]),
        (["safetensors header", "byte 8"], safetensors(b"[]")),
        (["no safetensors file"], b"abc"),
        (["no safetensors file"], b"")):
    folder("bad", model_safetensors=data)
    refused(["model.safetensors", *says])
folder("bad", model_safetensors=safetensors(header_of({k if k != "wpe.weight" else "wpf.weight": v for k, v in SHAPES.items()})))
refused(["tensor 'wpe.weight' of shape [16, 8] is missing"])

# Headers of 100 MB: full of one thing, with the memory of a small program. The file has holes, not bytes.
HEADER = 100000000
limited = {} if slow else {"env": {**os.environ, "HONE_THREADS": "1"}, "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_DATA, (64 << 20, 64 << 20))}
for says, begin, filler, end in ((["header"], b'{"a', b"a", b'":{}}'), (["header"], b'{"a":', b"{", b"}"), (["header", "metadata"], b'{"__metadata__":{"a":"', b"x", b'"}}'),
                                 (["header"], b"{" + b"\0" * 9, None, b""), (["no dtype"], b'{"a":{}', b" ", b"}")):
    folder("bad", model_safetensors=None)
    with open("bad/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", HEADER) + begin)
        if filler:
            f.write(filler * (HEADER - len(begin) - len(end)))
        f.truncate(8 + HEADER - len(end))
        f.seek(0, os.SEEK_END)
        f.write(end)
    refused(["model.safetensors", *says], **limited)

# Pickles: nothing is executed, everything else is named
folder("bad", model_safetensors=None)
KNOWN = set("PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT SHORT_BINUNICODE BINUNICODE BINUNICODE8 "
            "SHORT_BINSTRING BINSTRING SHORT_BINBYTES BINBYTES BINBYTES8 TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM "
            "SETITEMS BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID".split())
for op in pickletools.opcodes:
    if op.name not in KNOWN:
        torch_file("bad/pytorch_model.bin", b"\x80\x02}" + op.code.encode("latin-1") + b".")
        refused(["pytorch_model.bin", f"({op.name})", "byte 3"])
for module, name in (("os", "system"), ("builtins", "eval"), ("numpy.core.multiarray", "_reconstruct"), ("torch._utils", "_rebuild_qtensor"),
                     ("torch.nn.modules.linear", "Linear"), ("collections", "defaultdict")):
    call = text_of("touch executed") + b"\x85R."
    torch_file("bad/pytorch_model.bin", b"\x80\x02" + f"c{module}\n{name}\n".encode() + call)
    refused(["pytorch_model.bin", f"'{module}.{name}'", "byte 2"])
    torch_file("bad/pytorch_model.bin", b"\x80\x04" + text_of(module) + text_of(name) + b"\x93" + call)
    refused(["pytorch_model.bin", f"'{module}.{name}'"])
itself = b"\x80\x02}q\0" + text_of("a") + b"h\0sh\0" + text_of("b") + b"h\0s."
for says, pickle, method in ((["pytorch_model.bin", "ends inside an opcode"], pickled(SHAPES)[:-1], zipfile.ZIP_STORED), (["pytorch_model.bin", "stack is empty"], b"\x80\x02" + b"0" * 9, zipfile.ZIP_STORED),
                             (["pytorch_model.bin", "is compressed"], pickled(SHAPES), zipfile.ZIP_DEFLATED), (["wte.weight'", "is missing"], itself, zipfile.ZIP_STORED)):
    torch_file("bad/pytorch_model.bin", pickle, method)
    refused(says)
write("bad/pytorch_model.bin", open("torch/pytorch_model.bin", "rb").read().replace(b"m/data/0", b"m/data/z"))
refused(["pytorch_model.bin", "'wte.weight'", "has no 'm/data/0'"])
write("bad/pytorch_model.bin", open("torch/pytorch_model.bin", "rb").read()[:-30])
refused(["pytorch_model.bin", "zip archive"])
if os.path.exists("executed"):
    failures.append("a pickle was executed")

# tokenizer.json
deep = b'{"type":"Sequence","pretokenizers":['
nested = TOKENIZER["pre_tokenizer"]
for _ in range(30):
    nested = {"type": "Sequence", "pretokenizers": [nested]}
whole = json.dumps(TOKENIZER).encode()
for says, data in ((["nested deeper than 256"], b'{"pre_tokenizer":' + deep * 100000), (["nested deeper than 256"], b"[" * 1000000), (["pre_tokenizer", "nested too deep"], {**TOKENIZER, "pre_tokenizer": nested}),
                   (["UTF-8"], whole.replace(b'"<|end|>"', b'"<|\xffnd|>"', 1)), (["UTF-8"], whole.replace(b'"merges"', b'"merg\xc3"')), (["JSON"], b"\xef\xbb\xbf" + whole), (["JSON", "NUL byte"], whole.decode().encode("utf-16-le")),
                   (["JSON"], whole[:-20]), (["JSON"], b""), (["no object"], b"[]"), (["no model"], {}), (["more than 8000000 values"], b"[" + b"1," * 8000001 + b"1]"),
                   (["merge 0"], {**TOKENIZER, "model": {**TOKENIZER["model"], "merges": ["a zz"]}})):
    folder("bad", tokenizer_json=data)
    refused(["tokenizer.json", *says])
folder("bad", tokenizer_json=None)
with open("bad/tokenizer.json", "wb") as f:
    f.truncate((64 << 20) + 1)
refused(["tokenizer.json", "larger than 67108864 bytes"])

# config.json against the tensors: both shapes
for says, change in ((["'wte.weight'", "[257, 8]", "[300, 8]"], {"vocab_size": 300}), (["'wte.weight'", "[257, 8]", "[257, 10]"], {"n_embd": 10}), (["'wpe.weight'", "[16, 8]", "[32, 8]"], {"n_positions": 32}),
                     (["c_fc.weight'", "[8, 32]", "[8, 33]"], {"n_inner": 33}), (["'h.1.", "of shape [8]", "is missing"], {"n_layer": 2}), (["'lm_head.weight'", "[257, 8]", "is missing"], {"tie_word_embeddings": False})):
    folder("bad", config_json={**CONFIG, **change})
    refused(["config.json", *says])
for says, data in ((["'n_layer'", "whole number"], {**CONFIG, "n_layer": -1}), (["'n_layer'"], {**CONFIG, "n_layer": 1 << 40}), (["layers"], {**CONFIG, "n_layer": 1 << 24}), (["'n_head'"], {**CONFIG, "n_head": 0}), (["heads"], {**CONFIG, "n_head": 3}),
                   (["model_type 'gpt5'", "known are gpt2"], {**CONFIG, "model_type": "gpt5"}), (["JSON"], json.dumps(CONFIG).encode()[:-9]), (["JSON object"], b"[]"), (["UTF-8"], b'{"model_type": "\xff"}'), (["nested deeper"], b'{"a":' * 300)):
    folder("bad", config_json=data)
    refused(["config.json", *says])
folder("bad", generation_config_json=b"{")
refused(["generation_config.json", "JSON"])

# prompts
write("empty.txt", b"")
write("bad.txt", b"ab\xffc")
write("cut.txt", b"ab\xc3")
write("zero.txt", b"a\0b")
write("long.txt", b"a" * 17)
expect(2, "generate", "model", "-p", "", says=["model", "prompt 0", "empty"])
expect(2, "generate", "model", "-p", "a", "-p", "", says=["model", "prompt 1", "empty"])
expect(2, "generate", "model", "-f", "empty.txt", says=["empty.txt", "empty"])
expect(1, "generate", "model", "-p", "a" * 17, says=["model", "17 tokens", "at most 16"])
expect(1, "generate", "model", "-f", "long.txt", says=["long.txt", "model", "17 tokens", "at most 16"])
expect(2, "generate", "model", "-p", b"ab\xff", says=["prompt 0", "byte 2", "UTF-8"])
expect(2, "generate", "model", "-p", "a", "-p", b"\xed\xa0\x80", says=["prompt 1", "byte 0", "UTF-8"])
expect(2, "generate", "model", "-f", "bad.txt", says=["bad.txt", "byte 2", "UTF-8"])
expect(2, "generate", "model", "-f", "cut.txt", says=["cut.txt", "byte 2", "UTF-8"])
expect(2, "generate", "model", "-f", "zero.txt", says=["zero.txt", "0 byte"])
expect(1, "generate", "model", "-f", "nowhere.txt", says=["nowhere.txt", "No such file"])
expect(1, "generate", "model", "-f", "model", says=["model", "directory"])
with open("bad.txt", "rb") as f:
    expect(2, "generate", "model", "-f", "-", says=["standard input", "byte 2", "UTF-8"], stdin=f)
for n in ("0", "-1", "x", "1.5", ""):
    expect(2, "generate", "model", "-p", "a", "-n", n, says=["--tokens"])
expect(2, "generate", "model", "-p", "a", "-f", "long.txt", says=["--prompt", "--file"])
for name, place in (("empty", "no text"), ("bad", "byte 2"), ("cut", "byte 2")):
    expect(2, "eval", "model", name + ".txt", "--metric", "perplexity", says=[name + ".txt", place])
ask = ["bench", "model", "--task", "generate", "-n", "2", "--repeat", "1", "-o", "bench", "-q"]
expect(2, *ask, "-p", "", says=["--prompt"])
expect(2, *ask, "-p", b"a\xff", says=["--prompt", "byte 1", "UTF-8"])
expect(1, *ask, "-p", "a" * 17, says=["model", "17 tokens", "at most 16"])
expect(2, *ask[:3], "generate", "-p", "a", "-n", "0", says=["--tokens"])
folder("none", tokenizer_json=None)
expect(0, "optimize", "none", "-o", "wordless", "-q", leaves=["wordless"])
expect(2, "generate", "wordless", "-p", "a", says=["wordless", "no tokenizer"])

# slips of the hand
for args, says in ((["generat", "model", "-p", "a"], "'generate'"), (["optimise", "good"], "'optimize'"), (["evel"], "'eval'"), (["generate", "model", "--promt", "a"], "'--prompt'"),
                   (["generate", "model", "-p", "a", "--temprature", "1"], "'--temperature'"), (["optimize", "good", "--presicion", "int8"], "'--precision'"), (["bench", "--reapeat", "1"], "'--repeat'"),
                   (["eval", "model", "long.txt", "--metrics", "perplexity"], "'--metric'")):
    expect(2, *args, says=["did you mean " + says])
expect(2, "optimize", "good", "-o", "out", "-p", "inr8", says=["--precision", "inr8", "int8"])

# A folder that nobody has optimised: the command that helps, which is then run
os.mkdir("a b")
for path in ("good", "good/", "./good", "a b/it's", "."):
    if path == "a b/it's":
        shutil.copytree("good", path)
    before = files()
    p = start("generate", path, "-p", "a", cwd="good" if path == "." else None)
    err = p.communicate()[1].decode()
    command = re.search(r": (hone optimize .*)$", err, re.M)
    if p.returncode != 2 or not command or path not in err.splitlines()[0] or changed(before, []):
        failures.append(f"generate {path}: exit {p.returncode}: {err}")
        continue
    shell = "hone() { " + f'"{hone}" "$@"; }}; ' + command[1] + " -q"
    p = subprocess.run(["bash", "-c", shell], cwd="good" if path == "." else None, capture_output=True)
    out = re.search(r" -o (.*) --precision", command[1])[1]
    made = {"good-int8": "good-int8", "model-int8": "good/model-int8"}.get(out, "it's-int8")
    if p.returncode or not os.path.exists(made + "/model.onnx"):
        failures.append(f"{command[1]}: exit {p.returncode}, {p.stderr.decode()}")
    shutil.rmtree(made, True)
for args in (["eval", "good", "long.txt", "--metric", "perplexity"], ["inspect", "good"], ["run", "good", "-o", "out"], ["profile", "good"]):
    expect(2, *args, says=["good", "hone optimize good -o good-int8"])

# places that cannot be written, before any work is done: with wrong weights the place would not be named
shutil.copytree("good", "damaged")
write("damaged/model.safetensors", b"")
write("file.txt", b"x")
os.makedirs("full/model.onnx")
expect(1, "optimize", "damaged", "-o", "no/such", says=["no/such", "No such file"])
expect(1, "optimize", "damaged", "-o", "no/such.onnx", says=["no/such.onnx", "No such file"])
expect(1, "optimize", "damaged", "-o", "file.txt", says=["file.txt", "no folder"])
expect(1, "optimize", "damaged", "-o", "/dev/full", says=["/dev/full", "no folder"])
expect(1, "optimize", "good", "-o", "full", says=["full/model.onnx", "directory"])
expect(1, "optimize", "damaged", "-o", "out", "--report", "no/report.json", says=["no/report.json", "No such file"])
expect(1, "optimize", "damaged", "-o", "out", "--report", "full", says=["full", "directory"])
expect(2, "optimize", "damaged", "-o", "out", "--report", "report.json", says=["damaged/model.safetensors"])
expect(2, "optimize", "damaged", "-o", "model", "--report", "report.json", says=["damaged/model.safetensors"])

# A report that cannot be written at the end: the model is whole, and said to be; the exit code is not 0
os.symlink("/dev/full", "report.full")
expect(1, "optimize", "good", "-o", "reported", "-q", "--report", "report.full", says=["reported is written, its report is not", "report.full", "No space left"], leaves=["reported"])
expect(0, "generate", "reported", "-p", "a", "-n", "2", "-q")
write("report.json", {"old": True})
expect(0, "optimize", "good", "-o", "inside", "-q", "--report", "inside/report.json", leaves=["inside"])
if not os.path.exists("inside/report.json") or not os.path.exists("inside/model.onnx"):
    failures.append("a report in the new folder is not there")

# A full disk at every place: each size of file that can be too much; the older output stays, a new one does not begin
sizes = sorted({os.path.getsize("model/" + n) for n in os.listdir("model")})
for most in sorted({100, *(s - 1 for s in sizes), *(s // 2 for s in sizes)}):
    tight = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))}
    expect(1, "optimize", "good", "-o", "out", says=["out/", "File too large"], **tight)
    expect(1, "optimize", "good", "-o", "model", says=["model/", "File too large"], **tight)
    expect(1, "optimize", "good", "-o", "model/", "-p", "int4", "--report", "report.json", says=["File too large"], **tight)
expect(1, "optimize", "good", "-o", "out.onnx", says=["out.onnx", "File too large"], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)))
expect(1, "bench", "good", *ask[2:], "-p", "a", says=["/tokenizer.json", "File too large"], env={**os.environ, "TMPDIR": work}, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)))
expect(0, "generate", "model", "-p", "abc", "-n", "3", "-q")


def on_small_disk(kilobytes, before, *args):
    """The command with "disk" on a file system of so many kilobytes, on which the shell has done `before`. It prints what
    is on it afterwards, and how disk/older differs from the model. None where no such file system can be made."""
    if not shutil.which("unshare"):
        return None
    script = 'mount -t tmpfs -o size=$0k none disk 2>/dev/null && eval "$1" || exit 99; shift; "$@"; code=$?; find disk; [ ! -e disk/older ] || diff -r model disk/older; exit $code'
    p = subprocess.run(["unshare", "-rm", "sh", "-c", script, str(kilobytes), before, hone, *args], capture_output=True)
    return None if p.returncode == 99 or p.stderr.startswith(b"unshare") else p


def full_disks(first, before, out):
    """Disks of every size from one where nothing fits to one where all does."""
    codes = set()
    for kilobytes in range(first, first + total + 24, 16 if slow else 4):
        p = on_small_disk(kilobytes, before, "optimize", "good", "-o", out, "-p", "int8", "-q")
        if p is None:
            return print("skipped: no small file system can be made here (unshare -rm, mount -t tmpfs)")
        left, err = p.stdout.decode(), p.stderr.decode()
        codes.add(p.returncode)
        touched = p.returncode and ("disk/new" in left or "diff" in left or "Only in" in left)
        if touched or ".tmp-" in left or p.returncode and (p.returncode != 1 or out not in err or "No space left" not in err):
            failures.append(f"{out} on a disk of {kilobytes} KB: exit {p.returncode}, {err}, leaves {left}")
    if codes != {0, 1}:
        failures.append(f"{out}: disks too small and large enough: exits {codes}")


os.mkdir("disk")
total = sum(os.path.getsize("model/" + n) // 4096 * 4 + 4 for n in os.listdir("model"))
full_disks(8, ":", "disk/new")
full_disks(total + 4, "cp -r model disk/older", "disk/older")
p = on_small_disk(8, "head -c 8192 /dev/zero > disk/other", "optimize", "good", "-o", "beside", "-q", "--report", "disk/report.json")
if p and (p.returncode != 1 or b"beside is written, its report is not: disk/report.json: cannot write: No space left" not in p.stderr or b"report" in p.stdout or not os.path.exists("beside/model.onnx")):
    failures.append(f"a report on a full disk: exit {p.returncode}, {p.stderr}, leaves {p.stdout}")
for args in (["generate", "model", "-p", "abc", "-n", "5", "-q"], ["generate", "model", "-p", "abc", "-n", "5", "-q", "--json"], ["eval", "model", "long.txt", "--metric", "perplexity", "--context", "16"],
             ["tokenize", "model", "abc"]):
    with open("/dev/full", "w") as full:
        expect(1, *args, says=["standard output", "No space left"], stdout=full)

# Ctrl-C and closed pipes: a model of many positions, and one of 400 MB that are not on the disk
LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 257, "max_position_embeddings": 1000000,
         "bos_token_id": END, "eos_token_id": END, "tie_word_embeddings": True}
llama = {"model.embed_tokens.weight": [257, 8], "model.norm.weight": [8], "model.layers.0.input_layernorm.weight": [8], "model.layers.0.post_attention_layernorm.weight": [8],
         **{f"model.layers.0.self_attn.{n}_proj.weight": [8, 8] for n in "qkvo"}, **{f"model.layers.0.mlp.{n}_proj.weight": [8, 8] for n in ("gate", "up", "down")}}
header = header_of(llama)
folder("llama", config_json=LLAMA, model_safetensors=safetensors(header, numbers(max(v["data_offsets"][1] for v in header.values()) // 4)))
expect(0, "optimize", "llama", "-o", "endless", "-q", leaves=["endless"])
forever = ["generate", "endless", "-p", "abc", "--force-tokens", "900000", "-c", "900010"]
with open("made.txt", "wb") as made:
    interrupted(*forever, leaves=["made.txt"], stdout=made, ready=lambda: os.path.getsize("made.txt") > 100)
with open("made.txt", "rb") as made:
    if len(made.read()) < 100:
        failures.append("Ctrl-C loses what was generated")
interrupted(*forever, "--json")
interrupted(*forever, "-p", "de")
write("text.txt", b"abcdefgh" * 20000)
interrupted("eval", "endless", "text.txt", "--metric", "perplexity", "-c", "100000")
for more in ([], ["--stream"], ["--print-tokens"]):
    p = start(*forever, *more)
    p.stdout.read(10)
    p.stdout.close()
    try:
        err = (p.wait(timeout=60), p.stderr.read())[1]
    except subprocess.TimeoutExpired:
        p.kill()
        err = b"it goes on"
    if p.returncode != 1 or err:
        failures.append(f"generate into head {more}: exit {p.returncode}, {err}")

big = gpt2_shapes(1024, 100000, 16)
header = header_of(big)
folder("big", config_json={**CONFIG, "n_embd": 1024, "vocab_size": 100000}, model_safetensors=safetensors(header, b""))
with open("big/model.safetensors", "r+b") as f:
    f.truncate(os.path.getsize("big/model.safetensors") + max(v["data_offsets"][1] for v in header.values()))


def writes(place):
    """Whether something is being written below."""
    try:
        return any(os.path.getsize(os.path.join(at, n)) > 1 << 20 for at, _, names in os.walk(place) for n in names if ".tmp-" in n)
    except FileNotFoundError:  # renamed or removed meanwhile
        return False


shutil.copytree("model", "older")
for out in ("out", "older"):
    interrupted("optimize", "big", "-o", out, "--report", "report.json", ready=lambda: any(".tmp-" in n for n in (os.listdir(out) if os.path.exists(out) else [])))
    interrupted("optimize", "big", "-o", out, "--report", "report.json", ready=lambda: writes(out))
interrupted("optimize", "big", "-o", "out.onnx", ready=lambda: writes("."))
expect(0, "generate", "older", "-p", "abc", "-n", "3", "-q")
report()
