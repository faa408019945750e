"""Prints one line per check; the expected lines are in expected.txt."""

import os
import sys

sys.path.append(os.getcwd())

from overview import overview

print("december: %s" % overview([("December", 7), ("October", 1)]))
print("others: %s" % overview([("March", 2), ("June", 3), ("Smarch", 9)]))
