"""A stand-in for a foundation model: one request on stdin, one reply on stdout.

    python3 -I -S -E scripted.py --tasks DIR < request.json > reply.json

What it does and why is described in docs/scripted-model.md.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from player import answer  # noqa: E402  (the path must be set first)


def main(arguments):
    if len(arguments) != 2 or arguments[0] != "--tasks":
        sys.stderr.write("usage: scripted.py --tasks DIR < request.json > reply.json\n")
        return 2
    sys.stdout.write(answer.to_text(sys.stdin.read(), arguments[1], HERE))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
