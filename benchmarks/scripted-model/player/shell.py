"""The few shell commands that the model uses, written and read back."""

import re

END = "END_OF_FILE"
LIST = "find . -type f -not -path '*/.*' | sort"
VIEW = re.compile(r"cat (\S+)\Z")
WRITE = re.compile(r"(?:mkdir -p \S+ && )?cat (>>?) (\S+) <<'%s'\n(.*)\n?%s\Z" % (END, END), re.S)
STATUS = re.compile(r"\[?exit (?:status|code)[: ]+(\d+)\]?\s*\Z", re.I)


def view(path):
    return "cat " + path


def write(path, content):
    folder = "mkdir -p %s && " % path.rsplit("/", 1)[0] if "/" in path else ""
    end = "" if content.endswith("\n") else "\n"
    return "%scat > %s <<'%s'\n%s%s%s" % (folder, path, END, content, end, END)


def append(path, content):
    return write(path, content).replace("cat > ", "cat >> ", 1)


def meaning(command):
    """Returns (kind, path, data) of a command of ours; any other is plain shell."""
    command = command.strip()
    if command == LIST:
        return "list", None, None
    found = VIEW.match(command)
    if found:
        return "view", found.group(1), None
    found = WRITE.match(command)
    if found:
        return "write" if found.group(1) == ">" else "append", found.group(2), found.group(3)
    return "shell", None, command


def status(output):
    """Returns the exit status that an output ends with, 0 when it names none."""
    found = STATUS.search(output)
    return int(found.group(1)) if found else 0
