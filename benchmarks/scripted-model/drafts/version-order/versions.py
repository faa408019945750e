"""Puts version numbers into order."""


def key(version):
    """Returns what a version is compared by."""
    return [int(part) for part in version.split(".")]


def order(versions):
    """Returns the versions from the oldest to the newest."""
    return sorted(versions, key=key)
