"""Runs a shell command in the workspace."""

from agent import settings

SPEC = {
    "name": "bash",
    "description": "Run a shell command in the workspace and return its output.",
    "parameters": {
        "type": "object",
        "properties": {"command": {"type": "string", "description": "The command."}},
        "required": ["command"],
    },
}


def run(arguments):
    import subprocess  # slow to import, and many runs never need it

    try:
        done = subprocess.run(
            ["sh", "-c", arguments["command"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=settings.COMMAND_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return "Error: the command took longer than %d seconds." % settings.COMMAND_SECONDS
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        output += "\n[exit status %d]" % done.returncode
    return output or "(no output)"
