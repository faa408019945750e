"""Reads members from lines of the form `name;address`."""

from member import Member


def load(lines):
    """Returns the members that the lines describe."""
    members = []
    for line in lines:
        name, mail = line.strip().split(";")
        members.append(Member(name=name, mail=mail))
    return members
