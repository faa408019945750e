"""Reads members from lines of the form `name;address`."""

from member import Member


def load(lines):
    """Returns the members that the lines describe."""
    members = []
    for line in lines:
        name, email = line.strip().split(";")
        members.append(Member(name=name, email=email))
    return members
