"""hone's tokenizer beside the tokenizers package: a text of mixed scripts, one thread each, in turn, medians of processor time.
tokenizer_speed.py [TOKENIZER.json] [--vocabularies FOLDER] [--text FILE] [--megabytes N] [--rounds N]
    (needs: tokenizers, build/bench/bench_tokenizer)
The text is one string, and then its lines one by one. The package's fastest way counts: encode_batch_fast makes no offsets.
FOLDER: published vocabularies (gpt2/vocab.json and merges.txt, ...), each with the patterns of GPT-2, Llama 3 and Qwen 2."""
import argparse, json, os, random, statistics, subprocess, sys, tempfile, time

os.environ["TOKENIZERS_PARALLELISM"], os.environ["RAYON_NUM_THREADS"] = "false", "1"
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests/text"))
import tokenizers
from live_tokenizers import lines as mixed_lines, published


def own(tokenizer, path, lines):
    command = [os.path.join(ROOT, "build/bench/bench_tokenizer"), tokenizer, path, "1"] + ["lines"] * lines
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def theirs(t, texts, way):
    start = time.process_time()
    if way == "encode":
        found = [t.encode(x, add_special_tokens=False) for x in texts]
    else:
        found = getattr(t, way)(texts, add_special_tokens=False)
    seconds = time.process_time() - start
    return seconds, found


def total(found):
    count = s = 0
    for e in found:
        for i in e.ids:
            s = (s * 31 + i) & 0xffffffffffff
            count += 1
    return count, s


def compare(rounds, tokenizer, t, whole, path, lines):
    texts = [x for x in whole.split("\n")] if lines else [whole]
    ways = {w: [] for w in ("encode", "encode_batch", "encode_batch_fast") if w == "encode" or hasattr(t, w)}
    ours, seen = [], set()
    for i in range(rounds):
        result = own(tokenizer, path, lines)
        ours += result["seconds"]
        seen.add((result["tokens"], result["sum"]))
        for way, times in ways.items():
            seconds, found = theirs(t, texts, way)
            times.append(seconds)
            if not i:
                seen.add(total(found))
            del found
    size = len(whole.encode()) / 1e6
    a = statistics.median(ours)
    best, b = min(((w, statistics.median(s)) for w, s in ways.items()), key=lambda x: x[1])
    name = os.path.splitext(os.path.basename(tokenizer))[0]
    print(f"{name}, {'lines' if lines else 'one string'}: {size:.1f} MB, {result['tokens']} tokens: hone {a:.3f} s ({size / a:.1f} MB/s), "
          f"tokenizers {tokenizers.__version__} {b:.3f} s ({size / b:.1f} MB/s, {best}): {b / a:.2f} times as fast", flush=True)
    for way, times in ways.items():
        print(f"  {way}: {statistics.median(times):.3f} s")
    if len(seen) != 1:
        sys.exit(f"the ids differ: {seen}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("tokenizer", nargs="?", default=os.path.join(ROOT, "zoo/gpt2-nano/tokenizer.json"))
    p.add_argument("--vocabularies")
    p.add_argument("--text")
    p.add_argument("--megabytes", type=float, default=10)
    p.add_argument("--rounds", type=int, default=5)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as place:
        path = args.text or os.path.join(place, "text")
        if not args.text:
            with open(path, "w", encoding="utf-8", newline="") as f:
                f.write("\n".join(mixed_lines(random.Random(1), int(args.megabytes * 1e6))))
        with open(path, encoding="utf-8", newline="") as f:
            whole = f.read()
        files = [] if args.vocabularies else [args.tokenizer]
        for name, t in published(args.vocabularies, ("gpt2", "llama3", "qwen2")) if args.vocabularies else []:
            files.append(os.path.join(place, name + ".json"))
            t.save(files[-1])
        for file in files:
            for lines in (False, True):
                compare(args.rounds, file, tokenizers.Tokenizer.from_file(file), whole, path, lines)


if __name__ == "__main__":
    main()
