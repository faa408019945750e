#!/bin/sh
# The probe imports the candidate and prints one line per check; this shell, which
# does not, compares. A candidate that ends early or prints something of its own
# leaves lines missing or adds some, and then the reward is 0.
out=$(timeout 10 python3 -I -S -B /tests/probe.py 2>&1)
while IFS= read -r line; do
    case "
$out
" in
    *"
$line
"*) echo "PASSED ${line%%: *}" ;;
    *) echo "FAILED ${line%%: *}" ;;
    esac
done < /tests/expected.txt
reward=0
[ "$out" = "$(cat /tests/expected.txt)" ] && reward=1
mkdir -p /logs/verifier
echo "$reward" > /logs/verifier/reward.txt
