"""What the model knows: the end a conversation asks for, as files and their content.

A task of a benchmark is recognised by its instruction, an improvement of an agent
by its title, and one simple request is understood by its words.
"""

import os
import re

from player import edits

CREATE = re.compile(r"Create a file `([^`]+)` containing exactly the line `([^`]*)`")
SPAN = re.compile(r"`([^`\n]+)`")
TEST = re.compile(r"(?:python3|sh|bash|make|\./)\S*( .*)?\Z")


class Goal:
    """The files to reach. `draft` is a first version with a mistake, where there is one.

    Both map a path to a function from what the model has seen of the file (None:
    nothing) to the wanted content, or to None when it does not find the place to edit.
    """

    def __init__(self, final, draft=None, start=None, reads=(), known=False):
        self.final, self.draft = final, draft or {}
        self.start = start or {}  # content of the files that were there before
        self.reads = reads  # files that the request names and that are only to be read
        self.known = known  # the request names every file

    def exists(self, path):
        return path in self.start


def find(conversation, tasks, here):
    """Returns the goal of a conversation, None when the model does not know what to do."""
    asked = squeeze(conversation.asked)
    created = CREATE.search(conversation.asked)
    return task(asked, tasks, here) or improvement(asked, here) or (
        Goal({created.group(1): constant(created.group(2) + "\n")}, known=True) if created else None
    )


def task(asked, tasks, here):
    name = max(
        (n for n in folders(tasks) if instruction(tasks, n) and instruction(tasks, n) in asked),
        key=lambda n: len(instruction(tasks, n)),
        default=None,
    )
    if name is None:
        return None
    folder = os.path.join(tasks, name)
    final = files(os.path.join(folder, "solution", "files"))
    draft = files(os.path.join(here, "drafts", name))
    workspace = os.path.join(folder, "environment", "workspace")
    start = files(workspace)
    text = read(os.path.join(folder, "instruction.md"))
    reads = [path for path in spans(text) if path in start and path not in final]
    return Goal(constants(final), constants(draft), start, reads)


def improvement(asked, here):
    folder = os.path.join(here, "improvements")
    for name in folders(folder):
        title = squeeze(read(os.path.join(folder, name, "title.txt")))
        if title and title in asked:
            final, start = edits.load(os.path.join(folder, name, "final"))
            draft, _ = edits.load(os.path.join(folder, name, "draft"))
            return Goal(final, draft, start, known=True)
    return None


def test_command(text):
    """Returns the command for the tests that a text names, if it names one."""
    return next((s for s in spans(text) if TEST.match(s) and ("test" in s or "check" in s)), None)


def spans(text):
    """Lists what a Markdown text sets in backticks."""
    return SPAN.findall(text)


def constants(contents):
    return {path: constant(content) for path, content in contents.items()}


def constant(content):
    return lambda seen: content


def instruction(tasks, name):
    text = read(os.path.join(tasks, name, "instruction.md"))
    lines = [line for line in text.split("\n") if "canary" not in line.lower()]
    return squeeze("\n".join(lines))


def squeeze(text):
    return " ".join(text.split())


def folders(folder):
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def files(folder):
    """Maps the relative path of every text file under a folder to its content."""
    found = {}
    for top, names, leaves in os.walk(folder):
        names.sort()
        for leaf in sorted(leaves):
            path = os.path.join(top, leaf)
            found[os.path.relpath(path, folder)] = read(path)
    return found


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (OSError, ValueError):
        return ""
