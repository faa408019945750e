"""Intervals of whole numbers, written as pairs (first, last), both included."""


def merge(intervals):
    """Returns the intervals in order; those that share a number are joined."""
    merged = []
    for first, last in sorted(intervals):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged
