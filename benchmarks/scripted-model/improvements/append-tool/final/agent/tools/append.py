"""Adds text at the end of a file, to write a long file in parts."""

SPEC = {
    "name": "append",
    "description": "Append text to a file. Write a long file in parts with it.",
    "parameters": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
        "required": ["path", "content"],
    },
}


def run(arguments):
    path, content = arguments["path"], arguments["content"]
    with open(path, "a", encoding="utf-8") as file:
        file.write(content)
    return "Appended %d characters to %s." % (len(content), path)
