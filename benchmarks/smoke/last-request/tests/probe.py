"""Prints one line per check; the expected lines are in expected.txt."""

import os
import sys

sys.path.append(os.getcwd())

try:
    with open("answer.txt") as file:
        print("answer: %s" % file.read().strip())
except OSError:
    print("answer: missing")
