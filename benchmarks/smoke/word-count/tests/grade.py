"""Compares the probe's lines on stdin with the expected digests and writes the reward.

A candidate that ends the interpreter early leaves lines missing, one that prints adds
some; both score 0. Only digests are stored, so a candidate cannot read the right lines
here. They come from the reference solution: `python3 probe.py` in a solved workspace
prints the lines that belong to expected.txt.
"""

import hashlib
import sys

with open("/tests/expected.txt", encoding="utf-8") as file:
    wanted = [line.rstrip("\n").split("  ", 1) for line in file]
given = [hashlib.sha256(line).hexdigest() for line in sys.stdin.buffer.read().splitlines()]
for digest, name in wanted:
    print("%s %s" % ("PASSED" if digest in given else "FAILED", name))
with open("/logs/verifier/reward.txt", "w", encoding="utf-8") as file:
    file.write("%d\n" % (given == [digest for digest, _ in wanted]))
