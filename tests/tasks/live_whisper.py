"""hone transcribe beside openai-whisper's own transcribe.py: random models, both kinds of vocabulary, sounds of several
windows, and the options that steer decoding. Everything of every segment must agree.
usage: live_whisper.py HONE    needs openai-whisper, torch, numpy, and a tokenizer that whisper itself brings"""
import itertools, json, os, shutil, subprocess, sys, tempfile, wave
import numpy as np
import torch, whisper
from whisper.model import ModelDimensions, Whisper

hone = os.path.abspath(sys.argv[1])
assets = os.path.join(os.path.dirname(whisper.__file__), "assets")
work = tempfile.mkdtemp(prefix="hone-whisper-")
os.chdir(work)


def make_model(name, seed, multilingual, mels):
    """mels 128: as large-v3, which knows a language more"""
    torch.manual_seed(seed)
    dims = ModelDimensions(n_mels=mels, n_audio_ctx=1500, n_audio_state=64, n_audio_head=1, n_audio_layer=2,
                           n_vocab=51864 + multilingual + (mels == 128), n_text_ctx=448, n_text_state=64, n_text_head=1,
                           n_text_layer=2)
    model = Whisper(dims).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * (0.25 if p.dim() > 1 else 0.1) + (1.0 if "ln" in key and "weight" in key else 0))
        # what an alignment would do: later sound makes later timestamps likelier, and texts end
        model.decoder.token_embedding.weight[50256 + multilingual + (107 if multilingual else 106):] *= 1.4
    os.makedirs(name)
    torch.save(dict(dims=dims.__dict__, model_state_dict=model.state_dict()), f"{name}/model.pt")
    for table in ("multilingual.tiktoken", "gpt2.tiktoken"):
        shutil.copy(os.path.join(assets, table), name)
    subprocess.run([hone, "optimize", f"{name}/model.pt", "-o", f"{name}-onnx", "-q"], check=True)
    return model


def make_sound(name, seconds, seed):
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16000)) / 16000
    x = sum(np.sin(2 * np.pi * f * t + rng.uniform(0, 6)) * (np.sin(2 * np.pi * g * t) > 0) for f, g in
            zip(rng.uniform(100, 3000, 6), rng.uniform(0.2, 3, 6))) * 0.08 + rng.normal(0, 0.01, t.size)
    x = (np.clip(x, -1, 1) * 32767).astype(np.int16)
    with wave.open(name, "wb") as w:
        w.setnchannels(1), w.setsampwidth(2), w.setframerate(16000)
        w.writeframes(x.tobytes())
    return x.astype(np.float32) / 32768


OPTIONS = [
    {}, dict(beam_size=3), dict(beam_size=4, patience=2.0, length_penalty=0.7), dict(condition_on_previous_text=False),
    dict(initial_prompt="Some words, before."), dict(initial_prompt="Some words", carry_initial_prompt=True),
    dict(task="translate"), dict(without_timestamps=True), dict(suppress_tokens="50,60,70", suppress_blank=False),
    dict(clip_timestamps="1,7.5,9"), dict(no_speech_threshold=None, logprob_threshold=None),
]


def compare(model, folder, sound, samples, options):
    ours = dict(options)
    flags = ["--cache", "fp32", "--temperature", "0", "--temperature_increment_on_fallback", "None"]
    if ours.pop("without_timestamps", False):
        flags.append("-nt")
    for key, value in ours.items():
        flags += [f"--{key}", str(value)]
    if model.is_multilingual and "task" not in options:
        flags += ["--language", "en"]
    subprocess.run([hone, "transcribe", f"{folder}-onnx", sound, *flags, "-f", "json", "-o", "out", "-np"], check=True,
                   stdout=subprocess.DEVNULL)
    got = json.load(open(f"out/{os.path.splitext(sound)[0]}.json"))
    theirs = dict(options, language="en") if "task" not in options or not model.is_multilingual else dict(options)
    want = whisper.transcribe(model, samples, fp16=False, temperature=0, **theirs)
    assert got["language"] == want["language"], (got["language"], want["language"])
    assert len(got["segments"]) == len(want["segments"]), (len(got["segments"]), len(want["segments"]))
    for a, b in zip(got["segments"], want["segments"]):
        for key in ("id", "seek", "text", "tokens"):
            assert a[key] == b[key], (key, a[key], b[key])
        for key in ("start", "end", "avg_logprob", "compression_ratio", "no_speech_prob"):
            assert abs(a[key] - b[key]) <= 2e-3 * max(1, abs(b[key])), (key, a[key], b[key])
    return len(want["segments"])


failed = passed = segments = 0
models = [("multilingual", make_model("multilingual", 1, True, 80)), ("english", make_model("english", 2, False, 80)),
          ("wide", make_model("wide", 3, True, 128))]
sounds = [("short.wav", make_sound("short.wav", 4.3, 1)), ("long.wav", make_sound("long.wav", 71, 2))]
for (folder, model), (sound, samples), options in itertools.product(models, sounds, OPTIONS):
    try:
        segments += compare(model, folder, sound, samples, options)
        passed += 1
    except (AssertionError, subprocess.CalledProcessError) as e:
        failed += 1
        print(f"{folder}, {sound}, {options}: {str(e)[:300]}")
shutil.rmtree(work)
print(f"{passed} passed, {failed} failed ({segments} segments)")
sys.exit(1 if failed else 0)
