"""A member of the club."""


class Member:
    def __init__(self, name, email):
        self.name = name
        self.email = email

    def label(self):
        """Returns the member as one line of text."""
        return "%s <%s>" % (self.name, self.email)
