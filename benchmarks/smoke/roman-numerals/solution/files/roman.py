"""Numbers in Roman numerals."""

LETTERS = [
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
]


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
