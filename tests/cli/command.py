"""The command in a folder of its own, for the checks of manners: what it answers, what it leaves behind, and that what was
there before stays as it was. Failures are collected; report() prints them and ends."""
import atexit, os, shutil, signal, subprocess, sys, tempfile, time

hone = os.path.abspath(os.environ.get("HONE", "build/hone"))
root = os.path.abspath(os.environ.get("SOURCE", os.getcwd()))
slow = os.environ.get("HONE_SANITIZE", "") not in ("", "OFF", "0")
work = tempfile.mkdtemp(prefix="hone-manners-")
atexit.register(shutil.rmtree, work, True)
os.chdir(work)
failures = []


def start(*args, **more):
    more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen([hone, *args], **more)


def files():
    """Each file below the folder, with what changes when it is written or replaced."""
    found = {}
    for place, folders, names in os.walk(work):
        for name in folders + names:
            path = os.path.join(place, name)
            s = os.lstat(path)
            found[os.path.relpath(path, work)] = (s.st_ino,) if name in folders else (s.st_ino, s.st_size, s.st_mtime_ns)
    return found


def changed(before, leaves):
    """What is new, other or gone, but for what lies under the names that may be new or other."""
    after = files()
    return sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p) and p.split(os.sep)[0] not in leaves)


def expect(code, *args, says=(), leaves=(), **more):
    """Exit status, what standard error says, and that only the names `leaves` appear, or change, in the folder."""
    what, before = " ".join(map(os.fsdecode, args))[:300], files()
    p = start(*args, **more)
    out, err = (None if t is None else t.decode(errors="replace") for t in p.communicate(timeout=600))
    if p.returncode != code:
        failures.append(f"{what}: exit {p.returncode}, expected {code}: {err[:300]}")
    failures.extend(f"{what}: does not say '{s}': {err[:300]}" for s in says if s not in err)
    failures.extend(f"{what}: leaves nothing called {n}" for n in leaves if not os.path.exists(n))
    if changed(before, leaves):
        failures.append(f"{what}: leaves {changed(before, leaves)}")
    return out


def interrupted(*args, ready=lambda: time.sleep(1) or True, leaves=(), **more):
    """Ctrl-C in the middle, once ready() is true: the command ends by the signal (130 of a shell) with nothing left."""
    what, before = " ".join(args)[:300], files()
    p = start(*args, start_new_session=True, **more)
    while not ready() and p.poll() is None:
        time.sleep(0.002)
    if p.poll() is not None:
        failures.append(f"{what}: ended by itself with {p.returncode}: {p.communicate()[1][:200]}")
        return
    os.killpg(p.pid, signal.SIGINT)
    try:
        p.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        failures.append(f"{what}: goes on after Ctrl-C")
    if p.returncode != -signal.SIGINT or changed(before, leaves):
        failures.append(f"{what}: exit {p.returncode}, leaves {changed(before, leaves)}")


def report():
    print("\n".join(failures + [f"{len(failures)} failures"]))
    sys.exit(1 if failures else 0)
