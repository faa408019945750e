"""What a customer saves."""

# From this amount on, this part of it is saved.
STEPS = [(500, 0.15), (250, 0.10), (100, 0.05)]


def rebate(amount):
    """Returns the rebate on an amount; the highest step that it reaches counts."""
    for step, part in STEPS:
        if amount > step:
            return amount * part
    return 0
