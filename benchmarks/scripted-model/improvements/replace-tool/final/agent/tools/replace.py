"""Replaces one piece of text in a file and leaves the rest alone."""

SPEC = {
    "name": "replace",
    "description": "Replace a piece of text that occurs exactly once in a file.",
    "parameters": {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "old_str": {"type": "string", "description": "The text as it stands there."},
            "new_str": {"type": "string", "description": "What takes its place."},
        },
        "required": ["path", "old_str", "new_str"],
    },
}


def run(arguments):
    path, old = arguments["path"], arguments["old_str"]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.count(old) != 1:
        return "Error: the text occurs %d times in %s." % (text.count(old), path)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, arguments["new_str"]))
    return "Replaced one place in %s." % path
