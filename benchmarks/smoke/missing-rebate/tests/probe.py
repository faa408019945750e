"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

from cart import Cart

for amount in (99, 100, 101, 250, 499, 500):
    cart = Cart()
    cart.add(amount)
    print("%d: %.2f" % (amount, cart.total()))
