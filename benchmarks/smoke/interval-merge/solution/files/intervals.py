"""Intervals of whole numbers, written as pairs (first, last), both included."""


def merge(intervals):
    """Returns the intervals in order; those that leave no gap are joined."""
    merged = []
    for first, last in sorted(intervals):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
