"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

from slug import slug

for name, title in [
    ("plain", "Plain words"),
    ("punctuation", "Hello,  World!"),
    ("edges", " ...to be, or not? "),
    ("digits", "Top 10: 2nd_edition"),
    ("nothing", "?!"),
]:
    print("%s: %s" % (name, slug(title)))
