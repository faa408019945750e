"""Temperatures."""


def to_fahrenheit(celsius):
    """Returns a temperature in degrees Fahrenheit."""
    return celsius * 9 / 5 + 32
