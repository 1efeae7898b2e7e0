"""What the peer scripts share: arguments, timing, memory, the line of JSON. Every script is started in a fresh process:
peer_<name>.py MODEL --repeat N --threads N; it prints one JSON object per way of running the model, or none where it
cannot run this kind of file. Scripts for texts, generate_<name>.py, also take --prompt and --tokens (language.py)."""
import argparse, json, os, signal, sys, time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")


WARM_UP_MS = 300  # as hone's own child
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what subprocess.run waits for, too


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("--repeat", type=int, default=30)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--prompt", help="texts: what they go on from")
    p.add_argument("--tokens", type=int, default=50, help="texts: new tokens, exactly")
    a = p.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(a.threads)
    return a


def clock_ms():
    return time.perf_counter() * 1e3


def peak_mb():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024


def cpu_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown CPU"


def emit(args, engine, version, precision, init_ms, run, note="", model=None, name=None, limit_ms=4000, warm_ups=3, **more):
    """Runs cold once, for a while to warm up, then args.repeat times (fewer when that takes over limit_ms)."""
    start = clock_ms()
    run()
    cold = clock_ms() - start
    warm, runs = clock_ms(), 0
    while runs < warm_ups or clock_ms() - warm < WARM_UP_MS:
        run()
        runs += 1
    times = []
    while len(times) < args.repeat and (sum(times) < limit_ms or len(times) < 3):
        start = clock_ms()
        run()
        times.append(clock_ms() - start)
    path = model or args.model
    line = {"engine": engine, "version": version, "model": name or os.path.basename(path), "precision": precision,
            "threads": args.threads, "cpu": cpu_name(), "size_mb": bytes_of(path) / 1e6, "init_ms": init_ms,
            "cold_ms": cold, "times_ms": times, "peak_rss_mb": peak_mb(), "note": note}
    print(json.dumps(line | more), flush=True)


def bytes_of(path):
    """Of a file, or of the files in a folder."""
    if os.path.isdir(path):
        return sum(os.path.getsize(os.path.join(path, n)) for n in os.listdir(path))
    return os.path.getsize(path)


def random_input(shape, dtype="float32"):
    import numpy as np
    rng = np.random.default_rng(0)
    shape = [int(d) if hasattr(d, "__index__") and d > 0 else 1 for d in shape]
    if str(dtype).startswith("float"):
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(-100, 100, shape).astype(dtype)


def cache_path(model, suffix):
    """Where a conversion of `model` is kept: made once, not timed."""
    import hashlib
    st = os.stat(model)
    key = hashlib.sha256(f"{os.path.abspath(model)} {st.st_size} {st.st_mtime_ns}".encode()).hexdigest()[:16]
    folder = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "hone-peers")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, f"{key}-{suffix}")


def load_keras(path):
    """Keras 3 first; files of older formats through tf-keras."""
    import keras
    try:
        return keras.models.load_model(path, compile=False), keras.__version__
    except Exception:
        import tf_keras
        return tf_keras.models.load_model(path, compile=False), "tf-keras " + tf_keras.__version__


def is_keras(path):
    return path.endswith((".h5", ".hdf5", ".keras"))
