"""Shows a temperature to people."""

from scale import to_fahrenheit


def show(celsius, unit="C"):
    """Returns a temperature with its unit, which is `C` or `F`."""
    if unit == "C":
        return "%.1f C" % celsius
    if unit == "F":
        return "%.1f F" % to_fahrenheit(celsius)
    raise ValueError("unknown unit: " + unit)
