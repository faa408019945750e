#!/bin/sh
# The probe imports the candidate and prints one line per check; the grader, another
# process, knows the digests of the right lines and writes the reward.
mkdir -p /logs/verifier
timeout 10 python3 -I -S -B /tests/probe.py > /logs/verifier/probe.txt 2>&1
python3 -I -S -B /tests/grade.py < /logs/verifier/probe.txt
