"""Temperatures."""


def to_fahrenheit(celsius):
    """Returns a temperature in degrees Fahrenheit."""
    return celsius * 9 / 5 + 32


def to_kelvin(celsius):
    """Returns a temperature in kelvins; there is none below zero."""
    kelvin = celsius + 273.15
    if kelvin < 0:
        raise ValueError("below absolute zero")
    return kelvin
