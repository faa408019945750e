"""A member of the club."""


class Member:
    def __init__(self, name, mail):
        self.name = name
        self.mail = mail

    def label(self):
        """Returns the member as one line of text."""
        return "%s <%s>" % (self.name, self.mail)
