"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

try:
    with open("answer.txt") as file:
        print("answer: %s" % file.read().strip())
except OSError:
    print("answer: missing")
