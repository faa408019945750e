"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

from units import convert

for amount, source, target in [
    (2, "nautical mile", "kilometre"),
    (1, "mile", "metre"),
    (3, "hour", "minute"),
    (1, "metre", "gram"),
    (1, "knot", "day"),
    (1, "parsec", "metre"),
]:
    try:
        result = "%.3f" % convert(amount, source, target)
    except ValueError as error:
        result = str(error)
    except KeyError:
        result = "KeyError"
    print("%s to %s: %s" % (source, target, result))
