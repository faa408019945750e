"""Checks of `merge`: prints what fails, and `ok` if nothing does."""

from intervals import merge

CASES = [
    ([(5, 6), (1, 2)], [(1, 2), (5, 6)]),
    ([(1, 4), (3, 8)], [(1, 8)]),
    ([(1, 2), (3, 4)], [(1, 4)]),
]

failed = [(given, merge(given), wanted) for given, wanted in CASES if merge(given) != wanted]
for given, got, wanted in failed:
    print("FAIL: merge(%s) is %s, not %s" % (given, got, wanted))
print("%d failed" % len(failed) if failed else "ok")
