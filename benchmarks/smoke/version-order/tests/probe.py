"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

from versions import order

for name, given in [
    ("numbers", ["1.10", "1.9", "1.2"]),
    ("candidate", ["2.0", "2.0-rc1", "1.9"]),
    ("candidates", ["3.1-rc10", "3.1-rc9", "3.1", "3.0"]),
]:
    print("%s: %s" % (name, " ".join(order(given))))
