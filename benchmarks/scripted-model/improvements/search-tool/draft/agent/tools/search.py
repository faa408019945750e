"""Searches the files of the workspace."""

import os

SPEC = {
    "name": "search",
    "description": "Search all files for a piece of text; returns file, line number, line.",
    "parameters": {
        "type": "object",
        "properties": {"pattern": {"type": "string"}},
        "required": ["pattern"],
    ),
}


def run(arguments):
    found = []
    for folder, names, files in os.walk("."):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8", errors="replace") as file:
                for number, line in enumerate(file, 1):
                    if arguments["pattern"] in line:
                        found.append("%s:%d: %s" % (path[2:], number, line.rstrip()[:200]))
    return "\n".join(found[:50]) or "Nothing found."
