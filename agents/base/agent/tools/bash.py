"""Runs a shell command in the workspace."""

import os
import signal

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
    import tempfile

    # A file instead of a pipe: a process left in the background keeps a pipe open.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["sh", "-c", arguments["command"]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(settings.COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return "Error: the command took longer than %d seconds." % settings.COMMAND_SECONDS
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if status:
        text += "\n[exit status %d]" % status
    return text or "(no output)"
