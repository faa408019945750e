"""Runs the probe, compares its lines with the expected digests and leaves the reward.

The probe loads the candidate, so nothing that it does or says is enough by itself:

- A candidate that ends the interpreter early leaves lines missing, one that prints adds
  some; both score 0. Only digests are stored, so a candidate cannot read the right lines,
  and they are gone from the disk before it runs. They come from the reference solution:
  `python3 probe.py` in a solved workspace prints the lines that belong to expected.txt.
- The reward is made here, in a process that never loads the candidate and whose memory is
  closed to it. `dgm` delivers a secret with the tests, which is taken away first; the seal
  made with it holds for this reward alone, so that one written by anything else, then or
  later, does not count. Harbor delivers none, and trusts the file.
"""

import ctypes
import hashlib
import hmac
import os
import sys

TESTS, LOGS = "/tests/", "/logs/verifier/"
PR_SET_DUMPABLE = 4
# More than any probe prints.
MOST = 1 << 16


def taken(name):
    """Returns the content of a file of the tests, which is gone afterwards."""
    with open(TESTS + name, "rb") as file:
        content = file.read()
    os.unlink(TESTS + name)
    return content


# Loaded before the candidate runs: nothing is looked up on disk afterwards.
if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
    sys.exit("this process cannot be protected from the candidate")
secret = taken("seal") if os.path.exists(TESTS + "seal") else None
wanted = [line.split("  ", 1) for line in taken("expected.txt").decode().splitlines()]
with open(LOGS + "probe.txt", "w+b") as said:
    command = ["timeout", "-s", "KILL", "10", sys.executable, "-I", "-S", "-B", TESTS + "probe.py"]
    streams = [(os.POSIX_SPAWN_DUP2, said.fileno(), stream) for stream in (1, 2)]
    os.waitpid(os.posix_spawnp("timeout", command, os.environ, file_actions=streams), 0)
    said.seek(0)
    lines = said.read(MOST).splitlines()
given = [hashlib.sha256(line).hexdigest() for line in lines]
for digest, name in wanted:
    print("%s %s" % ("PASSED" if digest in given else "FAILED", name))
reward = b"%d\n" % (given == [digest for digest, _ in wanted])
with open(LOGS + "reward.txt", "wb") as file:
    file.write(reward)
if secret:
    with open(LOGS + "seal", "w") as file:
        file.write(hmac.new(secret, reward, "sha256").hexdigest())
