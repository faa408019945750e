"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

from intervals import merge

for name, given in [
    ("apart", [(5, 6), (1, 2)]),
    ("overlap", [(1, 4), (3, 8)]),
    ("touch", [(1, 2), (3, 4), (6, 7)]),
    ("inside", [(1, 9), (2, 3), (9, 12)]),
    ("none", []),
]:
    print("%s: %s" % (name, merge(given)))
