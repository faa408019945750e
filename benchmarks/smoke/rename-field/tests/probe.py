"""Imports the candidate and prints one line per check, `name: result`."""

import os
import sys

sys.path.append(os.getcwd())

import letter
import member
import store

ada = member.Member("Ada", email="ada@example.org")
print("attribute: %s %s" % (ada.email, hasattr(ada, "mail")))
print("label: %s" % ada.label())
(bob,) = store.load(["Bob;bob@example.org\n"])
print("store: %s %s" % (bob.name, bob.email))
print("letter: %r" % letter.letter(bob, "hello"))
