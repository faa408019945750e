"""What is printed for the customer."""


def receipt(cart):
    """Returns the receipt of a cart."""
    lines = ["%8.2f" % price for price in cart.prices]
    lines.append("--------")
    lines.append("%8.2f" % cart.total())
    return "\n".join(lines)
