"""Runs the agent once, in the workspace it was started in."""

import os
import sys
import time

from agent import loop, model, tools


def main():
    deadline = time.monotonic() + float(os.environ.get("DGM_DEADLINE", "600"))
    client = model.Client(os.environ["DGM_MODEL_SOCKET"], deadline)
    with open(os.environ["DGM_INSTRUCTION"], encoding="utf-8") as file:
        instruction = file.read()
    prompt = os.path.join(os.path.dirname(__file__), "prompts", "system.md")
    with open(prompt, encoding="utf-8") as file:
        system = file.read()
    loop.run(client, tools.load(), system, instruction)
    return 0


if __name__ == "__main__":
    sys.exit(main())
