"""Turns titles into the last part of a web address."""


def slug(title):
    """Returns the title in lower case, its words joined by hyphens."""
    words = []
    word = ""
    for letter in title.lower():
        if letter.isalnum():
            word += letter
        elif word:
            words.append(word)
            word = ""
    if word:
        words.append(word)
    return "-".join(words)
