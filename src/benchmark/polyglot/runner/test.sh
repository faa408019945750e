#!/bin/sh
# Hands over at once and for good: a shell reads its script while it runs, so nothing of it
# may be left to read when the solution runs. `-I` and `-B`: nothing is taken from the
# working directory or the environment, nothing is left behind.
exec python3 -I -B /tests/grade.py
