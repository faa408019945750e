"""Puts version numbers into order."""


def key(version):
    """Returns what a version is compared by: a release comes after its candidates."""
    number, _, candidate = version.partition("-rc")
    parts = [int(part) for part in number.split(".")]
    return parts, int(candidate) if candidate else float("inf")


def order(versions):
    """Returns the versions from the oldest to the newest."""
    return sorted(versions, key=key)
