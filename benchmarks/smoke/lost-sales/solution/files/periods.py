"""Quarters and the months that they hold."""

QUARTERS = {
    "Q1": ("January", "February", "March"),
    "Q2": ("April", "May", "June"),
    "Q3": ("July", "August", "September"),
    "Q4": ("October", "November", "December"),
}


def quarter_of(month):
    """Returns the quarter of a month, None for anything else."""
    for quarter, months in QUARTERS.items():
        if month in months:
            return quarter
    return None
