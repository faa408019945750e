"""A calculator for expressions such as `2 * (3 + 4) - size`.

The work is done in two steps: `tokens` cuts the text into tokens, `Parser` reads
the tokens by recursive descent and computes as it goes. Names stand for values that
the caller gives.
"""

DIGITS = "0123456789"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
SIGNS = "+-*/()"


class Mistake(Exception):
    """The text is no expression; the message says where."""


def tokens(text):
    """Returns the tokens of a text as a list of (kind, value, position)."""
    found = []
    position = 0
    while position < len(text):
        letter = text[position]
        start = position
        if letter == " ":
            position += 1
            continue
        if letter in DIGITS:
            while position < len(text) and text[position] in DIGITS + ".":
                position += 1
            found.append(("number", float(text[start:position]), start))
        elif letter in LETTERS:
            while position < len(text) and text[position] in LETTERS + DIGITS:
                position += 1
            found.append(("name", text[start:position], start))
        elif letter in SIGNS:
            position += 1
            found.append(("sign", letter, start))
        else:
            raise Mistake("unexpected %r at %d" % (letter, position))
    found.append(("end", None, len(text)))
    return found


class Parser:
    def __init__(self, text, names):
        self.tokens = tokens(text)
        self.names = names
        self.index = 0

    def peek(self):
        """Returns the sign that comes next, None if something else does."""
        kind, value, _ = self.tokens[self.index]
        return value if kind == "sign" else None

    def take(self):
        token = self.tokens[self.index]
        self.index += 1
        return token

    def sum(self):
        """sum = product { ("+" | "-") product }"""
        value = self.product()
        while self.peek() in ("+", "-"):
            _, sign, _ = self.take()
            right = self.product()
            value = value + right if sign == "+" else value - right
        return value

    def product(self):
        """product = factor { ("*" | "/") factor }"""
        value = self.factor()
        while self.peek() in ("*", "/"):
            _, sign, _ = self.take()
            right = self.factor()
            value = value * right if sign == "*" else value / right
        return value

    def factor(self):
        """factor = number | name | "(" sum ")" """
        kind, value, position = self.take()
        if kind == "number":
            return value
        if kind == "name":
            if value not in self.names:
                raise Mistake("unknown name %r at %d" % (value, position))
            return self.names[value]
        if kind == "sign" and value == "(":
            inner = self.sum()
            self.close()
            return inner
        raise Mistake("a value is missing at %d" % position)

    def close(self):
        _, value, position = self.take()
        if value != ")":
            raise Mistake("a closing parenthesis is missing at %d" % position)


def calculate(text, names=None):
    """Returns the value of an expression."""
    parser = Parser(text, names or {})
    value = parser.sum()
    kind, _, position = parser.take()
    if kind != "end":
        raise Mistake("unexpected text at %d" % position)
    return value
