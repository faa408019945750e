"""Intervals of whole numbers, written as pairs (first, last), both included."""


def merge(intervals):
    """Returns the intervals in order; those that share a number are joined."""
    return sorted(intervals)
