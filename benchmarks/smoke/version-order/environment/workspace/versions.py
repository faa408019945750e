"""Puts version numbers into order."""


def order(versions):
    """Returns the versions from the oldest to the newest."""
    return sorted(versions)
