"""Runs the tests of the workspace."""

from agent.tools.bash import execute

SPEC = {
    "name": "check",
    "description": "Run the tests of the workspace. Use it after every change.",
    "parameters": {
        "type": "object",
        "properties": {"command": {"type": "string", "description": "Runs the tests."}},
        "required": ["command"],
    },
}


def run(arguments):
    output = execute(arguments)
    verdict = "The tests FAILED." if "[exit status" in output else "The tests ended."
    return verdict + "\n" + output
