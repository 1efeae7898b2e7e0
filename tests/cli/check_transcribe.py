#!/usr/bin/env python3
"""hone transcribe and hone eval --metric wer|cer as a user meets them, on a small Whisper with random weights: every flag
of both dialects, where files go and that they are what their formats say, clips that fail, Ctrl-C, closed pipes."""
import csv, io, json, math, os, re, signal, struct, subprocess, time, wave
import tiny_whisper
from command import changed, expect, failures, files, hone, report, root, slow, start

tiny_whisper.make("source")
subprocess.run([hone, "optimize", "source", "-o", "model", "-q"], check=True, stdout=subprocess.DEVNULL)
tiny_whisper.wav("a.wav", 5)
tiny_whisper.wav("b.wav", 1.5, 700)
open("broken.wav", "wb").write(b"RIFF\0\0")
EN = ["-l", "en", "-nf"]


def check(good, what):
    if not good:
        failures.append(what)


def run(*args, code=0, **more):
    return expect(code, "transcribe", "model", *args, **more)


def made(name):
    """A file that a run left, which is gone afterwards."""
    if not os.path.exists(name):
        failures.append(f"no {name}")
        return ""
    text = open(name, encoding="utf-8", newline="").read()
    os.remove(name)
    return text


# standard output, and the same in both dialects
plain = run("a.wav", *EN)
line = re.compile(r"\[\d\d:\d\d:\d\d\.\d{3} --> \d\d:\d\d:\d\d\.\d{3}\]  .*")
check(plain.count("\n") >= 2 and all(line.fullmatch(x) for x in plain[:-1].split("\n")), f"lines of text: {plain!r}")
for same in (["--language", "English", "--no-fallback", "a.wav"], ["--language=en", "--temperature_increment_on_fallback", "None", "a.wav"],
             ["-f", "a.wav", "-l", "EN", "--no_fallback", "True"], ["a.wav", *EN, "--word_timestamps", "False", "--beam_size", "None"],
             ["a.wav", *EN, "-t", "2", "--fp16", "False", "-fa", "-ng", "-sns", "-p", "1", "--device", "cpu", "--threads", "0"],
             ["a.wav", *EN, "--suppress_tokens", "-1", "--suppress_blank", "True", "--task", "transcribe", "-bs", "1", "-tp", "0"],
             ["a.wav", *EN, "--clip_timestamps", "0", "-mc", "-1", "--condition_on_previous_text", "True", "-et", "0", "-ml", "0"],
             ["a.wav", *EN, "--verbose", "True", "-np", "-ac", "0", "--max-memory", "1G", "--patience", "None", "--max_line_width", "None"]):
    check(run(*same) == plain, f"{same} differs from the default")
check(expect(0, "transcribe", "a.wav", "--model", "model", *EN) == plain, "--model")
check(expect(0, "transcribe", "-m", "model", "-f", "a.wav", *EN) == plain, "-m and -f")
with open("a.wav", "rb") as f:
    check(run("-", *EN, stdin=f) == plain, "standard input")
for other in (["-tr"], ["--task", "translate"], ["--prompt", "Hello"], ["--initial_prompt", "Hello"], ["-mc", "0"], ["--audio-ctx", "10"],
              ["--suppress_tokens", "78,89,179"], ["-bs", "4"], ["--temperature", "1", "--seed", "3", "--best_of", "2"],
              ["--condition_on_previous_text", "False"], ["--suppress_tokens", "-1,89"]):
    check(run("a.wav", *EN, *other) != plain, f"{other} changes nothing")
check(run("a.wav", *EN, "-tr") == run("a.wav", *EN, "--task=translate") == run("a.wav", *EN, "--translate", "True"), "-tr is not --task translate")
check(run("a.wav", *EN, "--prompt", "Hi") == run("a.wav", *EN, "--initial-prompt=Hi"), "--prompt is not --initial_prompt")
check(run("a.wav", *EN, "--prompt", "") == plain, "an empty prompt")
carried = ["a.wav", *EN, "--prompt", "Hello there, world"]
check(run(*carried, "--carry_initial_prompt", "True") != run(*carried), "--carry_initial_prompt")
check(run("a.wav", "-l", "en") != plain and run("a.wav", "-l", "en") == run("a.wav", "-l", "en", "--seed", "0"), "fallback draws, and repeats itself")
check(run("a.wav", "-l", "en", "-lpt", "-1000", "--compression_ratio_threshold", "None") == plain, "without thresholds nothing is drawn again")
check(run("a.wav", "-l", "en", "-lpt", "-1000", "--compression_ratio_threshold", "None", "-et", "9") == plain, "entropy is for over 32 tokens")

# parts
check(run("a.wav", *EN, "-ot", "2000", "-d", "1000") == run("a.wav", *EN, "--clip_timestamps", "2,3"), "-ot and -d are a clip")
check(run("a.wav", *EN, "-ot", "4000") == run("a.wav", *EN, "--clip-timestamps", "4"), "-ot to the end")
check(run("a.wav", *EN, "-ot", "90000") == "", "an offset behind the end")

# what is printed
ids = run("a.wav", *EN, "--print-tokens", "--force-tokens", "5")
check(all(len(x.split()) == 5 for x in ids.splitlines() if x), f"--force-tokens: {ids!r}")
check("<|0." in run("a.wav", *EN, "-ps"), "-ps prints no times")
check("-->" not in run("a.wav", *EN, "-nt"), "-nt prints times")
check(run("a.wav", *EN, "-nt") == run("a.wav", *EN, "--without_timestamps", "True"), "--without_timestamps")
check(run("a.wav", *EN, "--verbose", "False") == "", "--verbose False")
p = start("transcribe", "model", "a.wav", *EN, "-pp")
out, err = p.communicate()
check(out.decode() == plain and b"progress = 100%" in err, f"-pp: {err}")
dl = run("a.wav", "-dl")
check(re.fullmatch(r"(en|zh|de|es|fr|haw) [01]\.\d{6}\n", dl), f"-dl: {dl!r}")
check(run("a.wav", "b.wav", "--detect_language", "True").startswith(f"a.wav: {dl}b.wav: "), "-dl of two")
check(json.loads(run("a.wav", "-dl", "--json"))["language"] == dl.split()[0], "-dl --json")
check(run("a.wav", "-nf") == run("a.wav", "-nf", "-l", dl.split()[0]) == run("a.wav", "-nf", "-l", "auto"), "the language that is found")

# openai-whisper's files
run("a.wav", *EN, "-o", "out", leaves=["out"])
check(sorted(os.listdir("out")) == ["a.json", "a.srt", "a.tsv", "a.txt", "a.vtt"], f"-o: {os.listdir('out')}")
text = made("out/a.json")
j = json.loads(text)
check(json.dumps(j) == text, "not what Python's json.dump writes")
check(list(j) == ["text", "segments", "language"] and j["language"] == "en", f"members {list(j)}")
check(all(list(s) == ["id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob"]
          for s in j["segments"]), "members of segments")
check(json.loads(run("a.wav", *EN, "--json")) == j, "--json is not the file")


def stamp(seconds, hours, mark):
    ms = round(seconds * 1000)
    return (f"{ms // 3600000:02d}:" if hours else "") + f"{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}{mark}{ms % 1000:03d}"


def strip(s):
    return s["text"].strip()


cue = lambda s, hours, mark: f"{stamp(s['start'], hours, mark)} --> {stamp(s['end'], hours, mark)}\n{strip(s).replace('-->', '->')}\n\n"
check(made("out/a.srt") == "".join(f"{i}\n" + cue(s, True, ",") for i, s in enumerate(j["segments"], 1)), "a.srt")
check(made("out/a.vtt") == "WEBVTT\n\n" + "".join(cue(s, False, ".") for s in j["segments"]), "a.vtt")
check(made("out/a.txt") == "".join(strip(s) + "\n" for s in j["segments"]), "a.txt")
check(made("out/a.tsv") == "start\tend\ttext\n" + "".join(f"{round(1000 * s['start'])}\t{round(1000 * s['end'])}\t{strip(s)}\n" for s in j["segments"]), "a.tsv")
os.rmdir("out")
run("a.wav", "b.wav", *EN, "--output_format", "srt", leaves=["a.srt", "b.srt"])
run("a.wav", *EN, "-f", "srt", leaves=["a.srt"])
srt = made("a.srt")
made("b.srt")
run("a.wav", *EN, "--output-format", "verbose_json", leaves=["a.json"])
v = json.loads(made("a.json"))
check(v["task"] == "transcribe" and v["language"] == "english" and v["duration"] == 5 and v["segments"] == j["segments"], "verbose_json")
with open("a.wav", "rb") as f:
    run("-", *EN, "-f", "srt", stdin=f, leaves=["stdin.srt"])
check(made("stdin.srt") == srt, "stdin.srt")

# whisper.cpp's files
spoken = [s for s in j["segments"] if strip(s)]
run("a.wav", *EN, "-otxt", "-ovtt", "-osrt", "-olrc", "-ocsv", "-oj", leaves=["a.wav." + x for x in ("txt", "vtt", "srt", "lrc", "csv", "json")])
check(made("a.wav.txt") == "".join(s["text"].lstrip(" \t") + "\n" for s in spoken), "a.wav.txt")
check(made("a.wav.vtt").startswith("WEBVTT\n\n" + stamp(spoken[0]["start"], True, ".")), "a.wav.vtt")
check(made("a.wav.srt").count(" --> ") == len(spoken), "a.wav.srt")
check(made("a.wav.lrc").count("\n") == len(spoken) + 1, "a.wav.lrc")
rows = list(csv.reader(io.StringIO(made("a.wav.csv"))))
check(rows == [["start", "end", "text"]] + [[str(round(s["start"] * 100) * 10), str(round(s["end"] * 100) * 10), s["text"]] for s in spoken], "a.wav.csv")
w = json.loads(made("a.wav.json"))
check(list(w) == ["systeminfo", "model", "params", "result", "transcription"] and w["result"] == {"language": "en"}, f"members {list(w)}")
check(w["model"]["audio"] == {"ctx": 100, "state": 16, "head": 2, "layer": 1} and w["model"]["multilingual"] is True, f"model {w['model']}")
check([t["text"] for t in w["transcription"]] == [s["text"] for s in spoken], "texts of -oj")
full = json.loads(run("a.wav", *EN, "-ojf", "-of", "-"))
check(all("".join(k["text"] for k in t["tokens"] if not k["text"].startswith("<|")) == t["text"] for t in full["transcription"]), "tokens of -ojf")
run("a.wav", "b.wav", *EN, "-otsv", "-of", "one", "--output-file", "two", leaves=["one.tsv", "two.tsv"])
os.remove("one.tsv"), os.remove("two.tsv")
check(re.search(r"^8\n", run("a.wav", *EN, "-osrt", "-of", "-", "-on", "7"), re.M), "-on")

# features
run("a.wav", *EN, "--dump-features", "f.npy", leaves=["f.npy"])
head = open("f.npy", "rb").read()
os.remove("f.npy")
size = struct.unpack("<H", head[8:10])[0]
check(b"'<f4'" in head[:128] and b"(80, 200)" in head[:128] and len(head) == 10 + size + 4 * 80 * 200, "f.npy")

# speech is found first: two bursts of it, what they are stitched to, and times of the whole
def write_wav(path, pcm):
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + 2 * len(pcm), b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", 2 * len(pcm))
    open(path, "wb").write(head + struct.pack(f"<{len(pcm)}h", *pcm))


def syllable():
    """A quarter of a second of a voice: harmonics of 120 Hz through three formants."""
    gains = [sum(math.exp(-((120 * h - f) / 130) ** 2) / (k + 1) for k, f in enumerate((550, 1500, 2600))) for h in range(30)]
    voice = [sum(g * math.sin(2 * math.pi * 120 * h * i / 16000) for h, g in enumerate(gains)) for i in range(400)]
    return [int(3000 * voice[i % 400] * (0.6 + 0.4 * math.sin(2 * math.pi * i / 4000))) for i in range(4000)]


def segments(*args):
    return json.loads(run(*args, *EN, "--json"))["segments"]


talk = [0] * 32000 + syllable() * 10 + [0] * 56000 + syllable() * 6 + [0] * 24000  # 2 to 4.5 s and 8 to 9.5 s of 11
write_wav("talk.wav", talk)
write_wav("silent.wav", [0] * 48000)
whole = segments("talk.wav", "--force-tokens", "8", "--vad")
(start1, start2), end2 = (segments("talk.wav", "--force-tokens", "8", "--vad", "--clip-timestamps", c)[0]["seek"] for c in ("0", "6")), round(whole[-1]["end"] * 100)
pause = 10  # frames of silence between pieces
length1 = 400 - pause - (whole[2]["seek"] - start2)  # the third window begins 4 s into what was stitched
check(185 <= start1 <= 205 and 785 <= start2 <= 805 and 440 <= start1 + length1 <= 475 and 945 <= end2 <= 965,
      f"speech from {start1} to {start1 + length1} and from {start2} to {end2}")
write_wav("stitched.wav", talk[start1 * 160:(start1 + length1) * 160] + [0] * 160 * pause + talk[start2 * 160:end2 * 160])


def mapped(at):
    """A frame of the stitched sound in the whole one."""
    if at < length1:
        return start1 + at
    if at < length1 + pause:
        return start1 + length1 + (at - length1) * (start2 - start1 - length1) / pause
    return min(start2 + at - length1 - pause, end2)


for more in (["--force-tokens", "8"], [], ["-bs", "3"], ["-nt"]):
    got, alone = segments("talk.wav", "--vad", *more), segments("stitched.wav", *more)
    check([s["text"] for s in got] == [s["text"] for s in alone] and [s["tokens"] for s in got] == [s["tokens"] for s in alone], f"--vad {more}: not what the speech alone says")
    check(any(s["start"] < 5 for s in got) and any(s["end"] > 8 for s in got), f"--vad {more}: speech is missing")
    for s, a in zip(got, alone):
        for part in ("seek", "start", "end"):
            unit = 1 if part == "seek" else 100
            check(abs(s[part] * unit - mapped(a[part] * unit)) <= 1, f"--vad {more}: {part} {s[part]}, expected {mapped(a[part] * unit) / unit}")
found = run("talk.wav", *EN, "--vad")
plain_talk = run("talk.wav", *EN)
check(found != plain_talk and run("talk.wav", *EN, "--vad_filter", "True") == found, "--vad_filter True is not --vad")
for same in (["--vad_filter", "False"], ["--vad", "False"], ["-vt", "0.9", "-vp", "300"]):
    check(run("talk.wav", *EN, *same) == plain_talk, f"{same} without --vad changes something")
numbers = (("-vt", "--vad-threshold", "0.5", "0.999"), ("-vspd", "--vad_min_speech_duration_ms", "250", "2000"),
           ("-vsd", "--vad-min-silence-duration-ms", "100", "5000"), ("-vmsd", "--vad_max_speech_duration_s", "None", "1"),
           ("-vp", "--vad-speech-pad-ms", "30", "400"), ("-vo", "--vad_samples_overlap", "0.1", "0"))
check(run("talk.wav", *EN, "--vad", *(x for short, _, default, _ in numbers for x in (short, default))) == found, "defaults of --vad")
check(run("talk.wav", *EN, "--vad", *(x for _, name, _, _ in numbers for x in (name, "None"))) == found, "None is not the default of --vad")
for short, name, _, other in numbers:
    a = run("talk.wav", *EN, "--vad", short, other)
    check(a == run("talk.wav", *EN, "--vad", f"{name}={other}") and a != found, f"{name} {other} changes nothing")
    run("talk.wav", "--vad", short, "-1", code=2, says=[name.replace("_", "-")])
check(run("talk.wav", *EN, "--vad", "--clip-timestamps", "5,7") == "", "a clip of silence alone")
part = ["talk.wav", "-ot", "3000", "-d", "1000"]  # all speech, where the parts begin alike
check([s["seek"] for s in segments(*part, "--vad")] == [s["seek"] for s in segments(*part)], "-ot is a time of the whole")
p = start("transcribe", "model", "talk.wav", *EN, "--vad", "-pp")
out, err = p.communicate()
check(out.decode() == found and b"progress = 100%" in err, f"-pp with --vad: {err}")

# silence has nothing to say, and its files are what their formats say
check(run("silent.wav", "--vad") == "" and run("silent.wav", *EN) != "", "silence")
run("silent.wav", *EN, "--vad", "-o", "out", leaves=["out"])
check(json.loads(made("out/silent.json")) == {"text": "", "segments": [], "language": "en"}, "silent.json")
check([made("out/silent." + x) for x in ("txt", "srt", "vtt", "tsv")] == ["", "", "WEBVTT\n\n", "start\tend\ttext\n"], "files of silence")
os.rmdir("out")
run("silent.wav", *EN, "--vad", "-otxt", "-ovtt", "-osrt", "-ocsv", "-oj", leaves=["silent.wav." + x for x in ("txt", "vtt", "srt", "csv", "json")])
check([made("silent.wav." + x) for x in ("txt", "srt", "vtt", "csv")] == ["", "", "WEBVTT\n\n", "start,end,text\n"], "whisper.cpp's files of silence")
check(json.loads(made("silent.wav.json"))["transcription"] == [], "silent.wav.json")

# models of speech
open("junk.onnx", "wb").write(b"junk" * 9)
run("talk.wav", "--vad", "-vm", "junk.onnx", code=2, says=["junk.onnx", "ONNX"])
run("talk.wav", "--vad-model=model/encoder_model.onnx", code=2, says=["model/encoder_model.onnx", "Silero", "'input'"])


def field(number, body):
    """Of a protobuf message: a number below 128, a text or a message of less than 16 KB."""
    if isinstance(body, int):
        return bytes([number * 8, body])
    body = body.encode() if isinstance(body, str) else body
    return bytes([number * 8 + 2, len(body) % 128 | 128, len(body) // 128]) + body


tensor = lambda name, kind: field(1, name) + field(2, field(1, field(1, kind)))
copy = lambda a, b: field(1, field(1, a) + field(2, b) + field(4, "Identity"))
graph = copy("state", "next") + copy("input", "output") + field(2, "g") + field(11, tensor("input", 1)) + field(11, tensor("state", 1)) + \
    field(11, tensor("sr", 7)) + field(12, tensor("output", 1)) + field(12, tensor("next", 1))
open("alike.onnx", "wb").write(field(1, 8) + field(7, graph) + field(8, field(2, 15)))
run("talk.wav", "-vm", "alike.onnx", code=2, says=["alike.onnx", "Silero", "outputs"])
run("talk.wav", "-vm", "nowhere.onnx", code=1, says=["nowhere.onnx"])
silero = os.path.join(root, "../shared/data/onnx/silero-vad")
if os.path.exists(silero + "/silero_vad_16k_op15.onnx") and os.path.exists(silero + "/test.wav"):
    with wave.open(silero + "/test.wav") as f:
        write_wav("voice.wav", struct.unpack("<160000h", f.readframes(160000)))
    clip, model = "voice.wav", ["-vm", silero + "/silero_vad_16k_op15.onnx"]
    heard = run(clip, *EN, *model)
    check(heard and heard == run(clip, *EN, "--vad", *model) and heard not in (run(clip, *EN), run(clip, *EN, "--vad")), "-vm")
    check(run("silent.wav", *EN, "--vad", *model) == "", "silence to Silero")
else:
    print(f"skipped: {silero} is not there: no run with a Silero model")

# what cannot be, and what cannot be yet
for flag in (["--word_timestamps", "True"], ["--word-timestamps"], ["-dtw", "tiny"], ["--stream"],
             ["-ml", "20"], ["-di"], ["-tdrz"], ["-owts"], ["-pc"], ["--grammar", "x"], ["--hotwords", "x"], ["--max_line_width", "40"]):
    name = {"-dtw": "dtw", "-ml": "max-len", "-di": "diarize", "-tdrz": "tinydiarize", "-owts": "output-words",
            "-pc": "print-colors"}.get(flag[0], flag[0].split("=")[0].lstrip("-").replace("_", "-"))
    run("a.wav", *flag, code=2, says=["--" + name, "hone"])
run("a.wav", "-osrtx", code=2, says=["-osrtx", "'-osrt'"])
run("a.wav", "--bem-size", "3", code=2, says=["'--beam-size'"])
run("a.wav", "-o", "b.wav", code=1, says=["b.wav", "no folder"])
expect(2, "transcribe", "source", "a.wav", says=["source", "hone optimize"])
run("a.wav", "-l", "Grman", code=2, says=["Grman", "did you mean 'german'"])
run("a.wav", "-l", "klingon", code=2, says=["klingon"])
run("a.wav", "-l", "ja", code=2, says=["ja"])
run("a.wav", "--output_format", "doc", code=2, says=["doc", "srt"])
run("a.wav", "--suppress_tokens", "1,x", code=2, says=["--suppress-tokens", "x"])
run("a.wav", "--clip_timestamps", "3,1", code=2, says=["--clip-timestamps"])
run("a.wav", "--clip_timestamps", "nan", code=2, says=["--clip-timestamps"])
run("a.wav", "-ot", "5", "--clip_timestamps", "1", code=2, says=["one of them"])
run("a.wav", "--translate", "--condition-on-previous-text=Maybe", code=2, says=["Maybe", "True or False"])
run("a.wav", "--device", "cuda", code=2, says=["cuda", "processor"])
run("a.wav", "-of", "x", code=2, says=["--output-file", "-osrt"])
run("a.wav", "-of", "-", "-osrt", "-ovtt", code=2, says=["standard output"])
run("a.wav", "-oj", "-ojf", "-f", "json", "-of", "x", code=2, says=["x.json", "two formats"])
run("a.wav", "./a.wav", "-f", "srt", code=2, says=["a.srt"])
run("a.wav", "b.wav", "--dump-features", "x.npy", code=2, says=["--dump-features"])
run("-", "-", code=2, says=["standard input"])
run(code=2, says=["clip"])
expect(2, "transcribe", says=["a model and a clip"])
run("a.wav", "--max_memory", "1K", code=1, says=["model", "1024"])
run("nowhere.wav", code=1, says=["nowhere.wav"])
run("broken.wav", code=2, says=["broken.wav"])
run("a.wav", *EN, "-osrt", "-of", "no/such/folder/x", code=1, says=["no/such/folder/x.srt"])
expect(1, "transcribe", "nowhere", "a.wav", "-o", "out", says=["nowhere"])
check(run("broken.wav", "a.wav", "nowhere.wav", *EN, code=1, says=["broken.wav", "nowhere.wav"]) == plain, "a clip that fails stops the others")
for value in ("nan", "-1") if slow else ("nan", "inf", "1e999", "", "x", "-1"):
    run("a.wav", "--temperature", value, code=2, says=["--temperature"])
    run("a.wav", "--beam_size", value, code=2, says=["--beam-size"])

# Ctrl-C: finished segments are written, whole, and nothing else stays
tiny_whisper.wav("long.wav", 5, times=100 if slow else 600)
before = files()
p = start("transcribe", "model", "long.wav", *EN, "-osrt", "-oj", start_new_session=True)
first = p.stdout.readline()
time.sleep(0.2)
os.killpg(p.pid, signal.SIGINT)
rest = p.stdout.read().decode()
p.wait(timeout=60)
check(p.returncode == -signal.SIGINT, f"Ctrl-C: {p.returncode}")
check(changed(before, ["long.wav.srt", "long.wav.json"]) == [], "Ctrl-C leaves more")
said = json.loads(made("long.wav.json"))["transcription"]
check(len(said) == 1 + rest.count("\n") and made("long.wav.srt").count(" --> ") == len(said), f"Ctrl-C: {len(said)} segments written")

# whoever reads has enough: quiet, and nothing stays
before = files()
p = start("transcribe", "model", "long.wav", *EN)
p.stdout.readline()
p.stdout.close()
err = p.stderr.read()
check(p.wait(timeout=60) == 1 and err == b"" and changed(before, []) == [], f"a closed pipe: {p.returncode} {err}")

# error rates
os.mkdir("corpus")
tiny_whisper.wav("corpus/a.wav", 5)
tiny_whisper.wav("corpus/b.wav", 1.5, 700)
heard = {c: json.loads(run(f"corpus/{c}.wav", *EN, "--json"))["text"] for c in "ab"}
open("corpus/a.txt", "w").write(heard["a"])
open("corpus/b.txt", "w").write(heard["b"])
wer = lambda *args: json.loads(expect(0, "eval", "model", *args, "-l", "en", "--no-fallback", "--json"))
e = wer("corpus", "--metric", "wer")
check(e["value"] == 0 and e["clips"] == 2 and e["seconds"] == 6.5, f"its own text: {e}")
open("corpus/a.txt", "w").write("nothing of that kind")
e = wer("corpus", "--metric", "wer")
check(e["value"] > 0 and e["words"] >= 4 and e["substitutions"] + e["deletions"] + e["insertions"] == round(e["value"] * e["words"]), f"another text: {e}")
check(wer("corpus", "--metric", "cer")["characters"] >= 20, "cer")
open("list.tsv", "w").write("id\tsentence\tpath\n1\tnothing of that kind\tcorpus/a.wav\n2\t" + heard["b"].replace("\n", " ").replace("\t", " ") + "\tcorpus/b.wav\n")
check(wer("list.tsv", "--metric", "wer") == e, "a manifest")
open("corpus/list.csv", "w").write('a.wav,"nothing\nof ""that"" kind"\n')
check(wer("corpus/list.csv", "--metric", "wer")["words"] == 4, "a manifest in CSV")
check(expect(0, "eval", "model", "corpus/list.csv", "--metric", "wer", "-l", "en", "--no-fallback").startswith("WER "), "WER as text")
open("short.tsv", "w").write("a.wav\n")
expect(2, "eval", "model", "short.tsv", "--metric", "wer", says=["short.tsv", "line 1"])
open("open.csv", "w").write('a.wav,"x')
expect(2, "eval", "model", "open.csv", "--metric", "wer", says=["open.csv", "line 1", "quote"])
open("gone.tsv", "w").write("nowhere.wav\tx\n")
expect(1, "eval", "model", "gone.tsv", "--metric", "wer", says=["nowhere.wav"])
os.mkdir("none")
expect(2, "eval", "model", "none", "--metric", "wer", says=["none", ".txt"])
expect(1, "eval", "model", "nowhere", "--metric", "wer", says=["nowhere"])
expect(2, "eval", "model", "a.wav", "--metric", "wer", says=["a.wav", ".tsv"])
expect(2, "eval", "model", "corpus", "--language", "en", says=["wer"])
report()
