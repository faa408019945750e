"""Views, creates and overwrites whole files."""

import os

SPEC = {
    "name": "editor",
    "description": "View a file, or write all of it: create one or overwrite one.",
    "parameters": {
        "type": "object",
        "properties": {
            "command": {"type": "string", "enum": ["view", "create", "overwrite"]},
            "path": {"type": "string"},
            "content": {"type": "string"},
        },
        "required": ["command", "path"],
    },
}


def run(arguments):
    command, path = arguments["command"], arguments["path"]
    if command == "view":
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    if command not in ("create", "overwrite"):
        return "Error: there is no command `%s`." % command
    content = arguments["content"]
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    return "Wrote %d characters to %s." % (len(content), path)
