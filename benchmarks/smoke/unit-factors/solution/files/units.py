"""Converts between units of the same kind.

Every unit is given by its size in the base unit of its kind.
"""

# Length, in metres.
LENGTH = {
    "millimetre": 0.001,
    "centimetre": 0.01,
    "decimetre": 0.1,
    "metre": 1.0,
    "kilometre": 1000.0,
    "inch": 0.0254,
    "foot": 0.3048,
    "yard": 0.9144,
    "mile": 1609.344,
    "nautical mile": 1852.0,
}

# Mass, in kilograms.
MASS = {
    "milligram": 0.000001,
    "gram": 0.001,
    "kilogram": 1.0,
    "tonne": 1000.0,
    "ounce": 0.028349523125,
    "pound": 0.45359237,
    "stone": 6.35029318,
}

# Volume, in litres.
VOLUME = {
    "millilitre": 0.001,
    "centilitre": 0.01,
    "litre": 1.0,
    "hectolitre": 100.0,
    "pint": 0.473176473,
    "quart": 0.946352946,
    "gallon": 3.785411784,
}

# Time, in seconds.
TIME = {
    "millisecond": 0.001,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
    "week": 604800.0,
}

# Speed, in metres per second.
SPEED = {
    "metre per second": 1.0,
    "kilometre per hour": 0.277777777778,
    "mile per hour": 0.44704,
    "knot": 0.514444444444,
}

# Energy, in joules.
ENERGY = {
    "joule": 1.0,
    "kilojoule": 1000.0,
    "calorie": 4.184,
    "kilocalorie": 4184.0,
    "watt hour": 3600.0,
    "kilowatt hour": 3600000.0,
}

KINDS = [LENGTH, MASS, VOLUME, TIME, SPEED, ENERGY]


def kind_of(unit):
    """Returns the table that a unit stands in."""
    for kind in KINDS:
        if unit in kind:
            return kind
    raise ValueError("unknown unit: " + unit)


def convert(amount, source, target):
    """Returns an amount of one unit as an amount of another one of the same kind."""
    kind = kind_of(source)
    if target not in kind:
        raise ValueError("%s and %s are of different kinds" % (source, target))
    return amount * kind[source] / kind[target]
