"""Adds up sales."""

from periods import quarter_of


def totals(sales):
    """Returns the sum per quarter of a list of (month, amount)."""
    sums = {"Q1": 0, "Q2": 0, "Q3": 0, "Q4": 0}
    for month, amount in sales:
        quarter = quarter_of(month)
        if quarter:
            sums[quarter] += amount
    return sums
