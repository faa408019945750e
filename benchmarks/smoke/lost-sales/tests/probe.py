"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

from overview import overview

print("december: %s" % overview([("December", 7), ("October", 1)]))
print("others: %s" % overview([("March", 2), ("June", 3), ("Smarch", 9)]))
