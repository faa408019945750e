"""Numbers in Roman numerals."""

LETTERS = [(1000, "M"), (500, "D"), (100, "C"), (50, "L"), (10, "X"), (5, "V"), (1, "I")]


def to_roman(number):
    """Returns a number from 1 to 3999 as a Roman numeral."""
    if not 1 <= number <= 3999:
        raise ValueError("a Roman numeral is between 1 and 3999")
    numeral = ""
    for value, letter in LETTERS:
        while number >= value:
            numeral += letter
            number -= value
    return numeral
