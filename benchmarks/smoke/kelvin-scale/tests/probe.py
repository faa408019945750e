"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

from scale import to_kelvin
from show import show

print("zero: %.2f" % to_kelvin(0))
print("show: %s, %s, %s" % (show(21.5, "K"), show(21.5), show(21.5, "F")))
for name, call in [("too cold", lambda: to_kelvin(-300)), ("unknown", lambda: show(1, "X"))]:
    try:
        print("%s: %s" % (name, call()))
    except ValueError:
        print("%s: refused" % name)
