"""Writes to members."""


def letter(member, text):
    """Returns a letter to a member."""
    return "To: %s\nDear %s,\n%s" % (member.mail, member.name, text)
