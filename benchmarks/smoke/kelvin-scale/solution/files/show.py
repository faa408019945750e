"""Shows a temperature to people."""

from scale import to_fahrenheit, to_kelvin


def show(celsius, unit="C"):
    """Returns a temperature with its unit, which is `C`, `F` or `K`."""
    if unit == "C":
        return "%.1f C" % celsius
    if unit == "F":
        return "%.1f F" % to_fahrenheit(celsius)
    if unit == "K":
        return "%.1f K" % to_kelvin(celsius)
    raise ValueError("unknown unit: " + unit)
