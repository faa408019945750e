#!/bin/sh
# The grader runs the probe in a process of its own, knows the digests of the right lines
# and leaves the reward.
mkdir -p /logs/verifier
exec python3 -I -S -B /tests/grade.py
