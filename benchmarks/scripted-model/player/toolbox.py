"""Understands the offered tools by their schemas, whatever they are called."""

from player import shell

PATH = ("path", "file", "file_path", "filepath", "filename", "file_name")
CONTENT = ("content", "file_text", "contents", "text", "new_content")
OLD = ("old_str", "old_string", "old_text", "old", "search", "find")
NEW = ("new_str", "new_string", "new_text", "new", "replace", "replacement")
SHELL = ("command", "cmd", "script")
SEARCH = ("pattern", "query", "regex")
VERBS = {
    "view": ("view", "read", "open", "cat", "show"),
    "write": ("write", "create", "overwrite", "save"),
    "replace": ("replace", "str_replace", "edit", "substitute"),
    "append": ("append",),
    "list": ("list", "ls", "tree"),
}


class Use:
    """One way to use a tool: its name, and which argument carries what."""

    def __init__(self, name, verb=None, path=None, texts=()):
        self.name, self.verb, self.path, self.texts = name, verb, path, texts

    def arguments(self, path, *data):
        values = {self.verb[0]: self.verb[1]} if self.verb else {}
        if self.path:
            values[self.path] = path
        values.update(zip(self.texts, data))
        return values


class Toolbox:
    """`uses` maps what can be done (view, write, append, replace, list, test, shell) to a tool."""

    def __init__(self, tools):
        self.uses = {}
        self.offered = bool(tools)
        self.all = []
        for tool in tools:
            function = tool.get("function") or {}
            parameters = (function.get("parameters") or {}).get("properties") or {}
            for kind, use in uses_of(function, parameters):
                self.uses.setdefault(kind, use)
                self.all.append((kind, use))

    def can(self, kind):
        return kind in self.uses

    def meaning(self, name, values):
        """Returns (kind, path, data) of a call; the inverse of `Use.arguments`."""
        for kind, use in self.all:
            if use.name != name or (use.verb and values.get(use.verb[0]) != use.verb[1]):
                continue
            texts = [values.get(key) for key in use.texts]
            if kind == "shell":
                return shell.meaning(texts[0])
            if kind in ("write", "append"):
                return kind, values.get(use.path), texts[0]
            return kind, values.get(use.path), texts
        return "unknown", None, None


def uses_of(function, parameters):
    """Lists what one tool can do."""
    name = function.get("name") or ""
    path, content = first(parameters, PATH), first(parameters, CONTENT)
    old, new = first(parameters, OLD), first(parameters, NEW)
    if first(parameters, SEARCH):
        return
    verb = next((key for key in parameters if parameters[key].get("enum")), None)
    if path and verb:
        for value in parameters[verb]["enum"]:
            kind = next((kind for kind, verbs in VERBS.items() if value in verbs), None)
            texts = {"write": (content,), "append": (content,), "replace": (old, new)}.get(kind, ())
            if kind and all(texts):
                yield kind, Use(name, (verb, value), path, texts)
    elif path and old and new:
        yield "replace", Use(name, None, path, (old, new))
    elif path and content:
        yield "append" if "append" in name else "write", Use(name, None, path, (content,))
    elif path:
        yield "list" if is_list(name) else "view", Use(name, None, path)
    elif is_test(name):
        command = first(parameters, SHELL)
        yield "test", Use(name, None, None, (command,) if command else ())
    elif first(parameters, SHELL):
        yield "shell", Use(name, None, None, (first(parameters, SHELL),))
    elif is_list(name):
        yield "list", Use(name)


def first(parameters, names):
    return next((name for name in names if name in parameters), None)


def is_list(name):
    return any(word in name for word in ("list", "ls", "tree", "dir"))


def is_test(name):
    return any(word in name for word in ("test", "check", "verify"))
