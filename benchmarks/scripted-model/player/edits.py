"""Edits of an agent's source that compose: new files, and replacements at an anchor.

`final/` and `draft/` of an improvement hold files by their path in the agent's tree.
A file `x.edit` describes replacements in `x`, any other file is created as it is:

    ---- find
    text that the file must contain
    ---- replace
    text that takes its place
    ---- end
"""

import os
import re

EDIT = re.compile(r"^---- find\n(.*?)^---- replace\n(.*?)^---- end$", re.S | re.M)


def load(folder):
    """Returns the wanted contents as functions of what is seen, and the files edited."""
    from player import goal

    wanted, start = {}, {}
    for path, text in goal.files(folder).items():
        if path.endswith(".edit"):
            path = path[: -len(".edit")]
            wanted[path] = replacing(EDIT.findall(text))
            start[path] = None
        else:
            wanted[path] = goal.constant(text)
    return wanted, start


def replacing(pairs):
    def apply(seen):
        for old, new in pairs:
            if new.strip() and new in (seen or ""):
                continue
            if seen is None or seen.count(old) != 1:
                return None
            seen = seen.replace(old, new)
        return seen

    return apply
