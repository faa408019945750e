"""The overview that the board gets."""

from totals import totals


def overview(sales):
    """Returns one line per quarter."""
    return ["%s %d" % item for item in sorted(totals(sales).items())]
