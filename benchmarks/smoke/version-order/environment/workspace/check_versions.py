"""Checks of `order`: ends with an error if one fails."""

from versions import order

assert order(["1.10", "1.9"]) == ["1.9", "1.10"], "numbers, not letters"
assert order(["2.0", "2.0-rc1"]) == ["2.0-rc1", "2.0"], "a candidate comes before its release"
print("ok")
