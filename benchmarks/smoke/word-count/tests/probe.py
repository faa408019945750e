"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

import subprocess

for name, text in [
    ("case", "The cat and the dog"),
    ("punctuation", "one, two; two\n\nthree... one two!"),
    ("empty", ""),
]:
    done = subprocess.run(["sh", "count.sh"], input=text.encode(), stdout=subprocess.PIPE)
    print("%s: %s" % (name, done.stdout.decode().strip().replace("\n", ", ")))
