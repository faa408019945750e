"""Runs the hidden tests of one exercise on a solution, and leaves the reward.

The solution is untrusted, and tests load it into their own process. So nothing that
process does or says is enough by itself:

- The tests are taken as they were delivered, together with the solution's files alone.
- The reward is made here, in a process that never loads the solution. A solution can reach
  neither its memory nor its life: this process is not dumpable, and the tests run under a
  filter that forbids signals to others and tracing (where a run-time must signal its own
  threads, all that can be won is no reward). Everything they start dies with them.
- The reward carries a seal, made with a secret that `dgm` delivers with the tests and this
  process takes away before anything else: a reward that something else writes, even after
  this one, does not count.
- A pass needs each test by name in the report of the run, passed; no end of the process by
  itself (`os._exit(0)`) and no text that it prints can stand in for that.
- A solution that passes is run a second time on tests of the same names which must all fail.
  One that bends the test framework so that everything passes is found out by it.
- What is particular to a language is in `language.py` beside this file.

What is left: tests compare what a solution returns, in the solution's own process. A solution
made to fool this very file, or one whose objects claim to equal everything, can pass.
"""

import ctypes
import errno
import hmac
import importlib.util
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time

TESTS = pathlib.Path("/tests")
LOGS = pathlib.Path("/logs/verifier")
MOST_REPORT = 16 << 20
MOST_FILE = 64 << 20

PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 22, 36, 38
SECCOMP_MODE_FILTER = 2

# Loaded before the solution runs: nothing may be looked up on disk afterwards.
LIBC = ctypes.CDLL(None, use_errno=True)


def load(name):
    """Returns a module that lies beside this file: nothing else is on the search path."""
    spec = importlib.util.spec_from_file_location(name, TESTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What is particular to the language: names of tests, decoys, commands, reports.
LANGUAGE = load("language")


def main():
    seal = take_seal()
    plan = json.loads((TESTS / "grade.json").read_text())
    hidden = {name: (TESTS / "files" / name).read_bytes() for name in plan["tests"]}
    wanted = {name: LANGUAGE.tests_in(text(source), name) for name, source in hidden.items()}
    count = sum(len(tests) for tests in wanted.values())
    if count != plan["count"]:
        sys.exit(f"the tests were changed: {count} of them, not {plan['count']}")
    protect()
    solution = {name: read_file(pathlib.Path.cwd() / name) for name in plan["solution"]}
    if plan["folder"]:
        solution |= read_folder(plan["folder"])
    reward, why = grade(plan, solution, hidden, wanted)
    print(f"reward {reward}: {why}", flush=True)
    leave(reward, seal)


def take_seal():
    """Takes the seal away, if there is one: Harbor's own runs have none."""
    file = TESTS / "seal"
    try:
        seal = file.read_bytes()
    except FileNotFoundError:
        return None
    file.unlink()
    return seal


def grade(plan, solution, hidden, wanted):
    for name, content in solution.items():
        if content is None:
            return 0, f"{name} is not there"
    fixed = {name: (TESTS / "fixed" / name).read_bytes() for name in plan["fixed"]}
    files = {**solution, **fixed}
    # What building the untouched tests gave before anything of the solution ran.
    kept = {}
    wrong = run(files, hidden, wanted, plan, plan["timeout_sec"], kept, passing=True)
    if wrong:
        return 0, wrong
    if not plan["count"]:
        return 1, "the tests ran and passed; the exercise has none of its own"
    decoys = {
        name: bytes_of(LANGUAGE.decoy(text(source))) if wanted[name] else source
        for name, source in hidden.items()
    }
    wrong = run(files, decoys, wanted, plan, plan["decoy_timeout_sec"], kept, passing=False)
    if wrong:
        return 0, wrong
    return 1, f"all {plan['count']} tests ran and passed"


def run(files, tests, wanted, plan, timeout, kept, passing):
    """Runs tests on a solution in a fresh folder; returns what went wrong."""
    place = pathlib.Path(tempfile.mkdtemp())
    # Some languages' build files take the exercise's name from the folder.
    folder = place / plan["slug"]
    for name, content in [*files.items(), *tests.items()]:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    attempt = LANGUAGE.Attempt(plan, folder, place, list(tests), kept)
    keep = ("PATH", "LANG", "LC_ALL")
    env = {name: os.environ[name] for name in keep if name in os.environ}
    env |= {"HOME": str(place), "TMPDIR": str(place), **attempt.env}
    end = time.monotonic() + timeout
    wrong = None
    for step in attempt.steps:
        code = execute(step, folder, env, max(1, end - time.monotonic()), attempt.output, passing)
        if code is None:
            wrong = f"the tests did not end within {timeout} s"
            break
        attempt.after(step)
        if step is not attempt.steps[-1] and code != 0:
            # Tests that must fail may fail to build no more than those that must pass.
            wrong = f"it does not build: `{step[0]}` ended with exit code {code}"
            break
    else:
        wrong = judged(code, attempt, wanted, passing)
    shutil.rmtree(place, ignore_errors=True)
    return wrong


def execute(command, folder, env, timeout, output, passing):
    """Runs a command to its end and ends everything that it started; none is too late."""
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=confine,
    )
    reader = threading.Thread(target=collect, args=(child.stdout, output, passing), daemon=True)
    reader.start()
    try:
        code = child.wait(timeout)
    except subprocess.TimeoutExpired:
        code = None
    end_all(child)
    # Whatever held the pipe open is dead now.
    reader.join(10)
    return code


def collect(pipe, output, passing):
    """Keeps what the tests print, up to a size, and passes it on to the log.

    What decoys print would only mislead whoever reads the log.
    """
    while chunk := pipe.read1(1 << 16):
        if len(output) < MOST_REPORT:
            output += chunk
            if passing:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()


def judged(code, attempt, wanted, passing):
    try:
        results = attempt.results()
    except Exception as error:
        return f"the report of the tests cannot be read: {error}"
    if results is None:
        return f"the tests ended before their time, with exit code {code}"
    for tests in wanted.values():
        for test in tests:
            got = results.pop(test, [])
            if not got:
                return f"{name_of(test)} did not run"
            if passing and not all(got):
                return f"{name_of(test)} did not pass"
            if not passing and any(got):
                return f"a test that must fail passed in place of {name_of(test)}: the tests were bent"
    if passing and (code != 0 or not all(ok for group in results.values() for ok in group)):
        return f"the tests ended with exit code {code}"
    return None


def name_of(test):
    return test if isinstance(test, str) else " > ".join(part for part in test if part)


def text(source):
    return source.decode("utf-8", "surrogateescape")


def bytes_of(text):
    return text.encode("utf-8", "surrogateescape")


def protect():
    """Keeps this process out of reach, and everything that it starts in reach."""
    if LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) or LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        sys.exit("this process cannot be protected from the solution")


def confine():
    """Runs in the child before it becomes pytest."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FILE, MOST_FILE))
    try:
        # Out of memory is the solution's doing: it goes first.
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass
    program = seccomp_filter()
    array = (ctypes.c_uint64 * len(program))(*program)

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    filter_ = Program(len(program), ctypes.cast(array, ctypes.c_void_p))
    if LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError("no_new_privs was refused")
    if LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0):
        raise OSError("the filter was refused")


# Architecture as the kernel numbers it, then: calls that reach other processes, calls that
# reach threads (some run-times signal their own; one who ends this process by them ends it
# without a reward), prlimit64 (its first argument is a process; 0 is oneself), fcntl and ioctl (which can name a process
# that gets a signal).
MACHINES = {
    "x86_64": (
        0xC000003E,
        (62, 129, 297, 101, 310, 311, 424, 434, 438),
        (200, 234),
        302,
        72,
        16,
    ),
    "aarch64": (
        0xC00000B7,
        (129, 138, 240, 117, 270, 271, 424, 434, 438),
        (130, 131),
        261,
        25,
        29,
    ),
}
FCNTL_OWNER = (8, 10, 15)
IOCTL_OWNER = (0x8901, 0x8902)


def seccomp_filter():
    """Returns the filter as instructions of the kernel's classic packet filter."""
    if platform.machine() not in MACHINES:
        raise OSError(f"no filter is known for {platform.machine()}")
    arch, others, threads, prlimit, fcntl, ioctl = MACHINES[platform.machine()]
    if not LANGUAGE.SIGNALS_THREADS:
        others += threads
    load, equal, above, give = 0x20, 0x15, 0x35, 0x06
    deny = (give, 0, 0, 0x00050000 | errno.EPERM)
    allow = (give, 0, 0, 0x7FFF0000)
    lines = [(load, 0, 0, 4), (equal, 1, 0, arch), deny, (load, 0, 0, 0)]
    # Another numbering of the same calls (x32).
    lines += [(above, 0, 1, 0x40000000), deny]
    for call in others:
        lines += [(equal, 0, 1, call), deny]
    for call, argument, values, then, otherwise in [
        (prlimit, 16, (0,), allow, deny),
        (fcntl, 24, FCNTL_OWNER, deny, allow),
        (ioctl, 24, IOCTL_OWNER, deny, allow),
    ]:
        checks = [(load, 0, 0, argument)]
        for value in values:
            checks += [(equal, 0, 1, value), then]
        checks.append(otherwise)
        lines += [(equal, 0, len(checks), call), *checks]
    lines.append(allow)
    return [code | yes << 16 | no << 24 | value << 32 for code, yes, no, value in lines]


def end_all(child):
    """Ends everything below this process, and collects it."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        alive = below(os.getpid())
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            if not alive:
                break
        time.sleep(0.01)
    child.returncode = child.returncode if child.returncode is not None else -signal.SIGKILL


def below(top):
    """Returns every living process that descends from one."""
    parents = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue
        if state not in (b"Z", b"X"):
            parents[int(entry)] = int(parent)
    found = {top}
    grew = True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grew = bool(more)
    return found - {top}


def read_folder(folder):
    """Returns the regular files below a folder of the workspace, by name."""
    found = {}
    top = pathlib.Path.cwd()
    for where, folders, files in os.walk(top / folder):
        for file in files:
            path = pathlib.Path(where) / file
            content = read_file(path)
            if content is not None:
                found[str(path.relative_to(top))] = content
    return found


def read_file(path, most=MOST_FILE):
    """Returns the content of a regular file of bounded size, or nothing."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode) or about.st_size > most:
            return None
        with open(file, "rb", closefd=False) as reader:
            return reader.read(most)
    finally:
        os.close(file)


def leave(reward, seal):
    """Writes the reward where nothing else is left."""
    for entry in os.scandir(LOGS):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
    # A folder that resists is moved aside: what decides is that its name is free.
    for name in ("reward.json", "reward.txt", "seal"):
        if os.path.lexists(LOGS / name):
            os.rename(LOGS / name, LOGS / f"left-by-the-solution-{name}")
    text = f"{reward}\n".encode()
    with open(LOGS / "reward.txt", "xb") as file:
        file.write(text)
    if seal:
        with open(LOGS / "seal", "x") as file:
            file.write(hmac.new(seal, text, "sha256").hexdigest())


main()
