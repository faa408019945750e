"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

from roman import to_roman

for number in (1, 4, 9, 14, 40, 90, 444, 1994, 2026, 3999):
    print("%d: %s" % (number, to_roman(number)))
for number in (0, 4000):
    try:
        print("outside %d: %s" % (number, to_roman(number)))
    except ValueError:
        print("outside %d: refused" % number)
