"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

from calculator import Mistake, calculate

for text in ["-2 * -(3 + 4)", "3 - -1", "--5", "2 * (3 + 4) - size", "1 / 0", "4 / (2 - 2)", "2 *", "a"]:
    try:
        result = "%g" % calculate(text, {"size": 10})
    except Mistake as error:
        result = str(error)
    except ZeroDivisionError:
        result = "ZeroDivisionError"
    print("%s: %s" % (text, result))
