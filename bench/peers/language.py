"""What the peers for texts share. Each precision runs in a fresh process of its own; what an engine lacks becomes a line
with a note and no times. MODEL is a Hugging Face folder."""
import glob, importlib.util, json, math, os, shutil, subprocess, sys

from common import *

ROLE = "HONE_PEER_PRECISION"


class Unsupported(Exception):
    """This engine, or this installation of it, cannot do it; the text says why."""


def need(*modules):
    for name in modules:
        if importlib.util.find_spec(name) is None:
            raise Unsupported(f"not installed: {name} (make language-peers)")


def say(args, engine, precision, note):
    print(json.dumps({"engine": engine, "precision": precision, "threads": args.threads, "cpu": cpu_name(), "note": note}), flush=True)


def run_each(engine, precisions, measure):
    """measure(args, precision) prints a line; it is called in a process started for it, with what it converts kept
    outside. Exits with 1 where one failed for no known reason."""
    args = arguments()
    if not os.path.exists(os.path.join(args.model, "config.json")) or not weights(args.model):
        sys.exit()  # no Hugging Face folder: nothing to say
    role = os.environ.get(ROLE)
    if role:
        try:
            measure(args, role)
        except Unsupported as e:
            say(args, engine, role, str(e))
        sys.exit()
    failed = False
    for precision in precisions:
        done = subprocess.run([sys.executable, *sys.argv], env=dict(os.environ, **{ROLE: precision}), stderr=subprocess.PIPE, text=True)
        sys.stderr.write(done.stderr)
        if done.returncode:
            say(args, engine, precision, "failed: " + (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:200])
            failed = True
    sys.exit(failed)


def text_line(args, engine, version, precision, init_ms, generate, paths, note=""):
    """generate() makes the text and returns its new tokens, of which there must be args.tokens. paths: the model's files."""
    def run():
        new = [int(t) for t in generate()]
        if len(new) != args.tokens:
            raise RuntimeError(f"{len(new)} new tokens instead of {args.tokens}")
        return new
    if os.environ.get("HONE_PEER_TOKENS"):
        print(engine, precision, *run(), file=sys.stderr)
    emit(args, engine, version, precision, init_ms, run, note=note, model=paths[0], limit_ms=math.inf, warm_ups=1,
         tokens=args.tokens, layout="with-past", size_mb=sum(map(bytes_of, paths)) / 1e6)


def weights(folder):
    """The files of weights in a Hugging Face folder."""
    return sorted(glob.glob(os.path.join(folder, "*.safetensors"))) or sorted(glob.glob(os.path.join(folder, "pytorch_model*.bin")))


def settings(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        return json.load(f)


def ids_of(args):
    """The prompt's tokens."""
    need("tokenizers")
    import tokenizers
    whole, parts = (os.path.join(args.model, n) for n in ("tokenizer.json", "vocab.json"))
    if os.path.exists(whole):
        t = tokenizers.Tokenizer.from_file(whole)
    else:
        t = tokenizers.ByteLevelBPETokenizer(parts, os.path.join(args.model, "merges.txt"))
    return t.encode(args.prompt).ids


def converted(args, name, convert):
    """The path of what convert(path) made of the folder's weights: made once, in a process of its own, so that its memory
    does not count here."""
    path = cache_path(weights(args.model)[0], name)
    if os.path.exists(path):
        return path
    shutil.rmtree(path + ".making", ignore_errors=True)
    here, there = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.dup2(2, 1)  # converters chatter
            convert(path + ".making")
            code = 0
        except BaseException as e:  # whatever happens, this process ends here
            code = 3 if isinstance(e, Unsupported) else 1
            os.write(there, f"{e}".encode()[:4000])
        finally:
            os._exit(code)
    os.close(there)
    with open(here, "rb") as f:
        reason = f.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise (Unsupported if code == 3 else RuntimeError)(reason or f"the conversion to {name} ended with {code}")
    os.replace(path + ".making", path)
    return path
