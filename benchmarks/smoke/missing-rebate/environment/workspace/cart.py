"""A cart and what it costs."""

from rebate import rebate


class Cart:
    def __init__(self):
        self.prices = []

    def add(self, price, pieces=1):
        """Puts pieces of the same price into the cart."""
        self.prices += [price] * pieces

    def total(self):
        """Returns what the customer pays."""
        amount = sum(self.prices)
        return amount - rebate(amount)
