"""The next step towards a goal, taken with fixed habits through whatever tools there are.

Everything is decided from the conversation: what the model has seen of each file, what
it has written, which of its replies were cut, and whether it was shown a failing test.
"""

import json
import re

from player import shell
from player.goal import test_command

# Room for a text beside the arguments of a tool call, out of the limit of a reply.
SIDE_TEXT = 120

# So many replies in a row may be cut before the model stops trying.
CUTS = 2

PLAN = re.compile(r"\bwrite (down )?a plan\b", re.I)
LOOK = re.compile(r"\blook around\b|\blist the files\b|\bexplore\b", re.I)
CARRY_ON = re.compile(r"\bdo not stop before\b", re.I)
PARTS = "cat >>"
VERIFY = re.compile(r"\brun (the|its|all) (\w+ )?tests\b|\bverify\b", re.I)
FAILURE = re.compile(r"\bFAIL|Traceback|\w+Error\b|\bnot ok\b|exit (?:status|code)[: ]+[1-9]")
CLIPPED = re.compile(r"^.*\[[^\]\n]*(?:clipped|truncated|omitted|shortened)[^\]\n]*\].*\n?", re.M)
NUMBERED = re.compile(r"^ *\d+\t", re.M)


def next_message(conversation, goal):
    """Returns the model's next message, not yet cut to the limit of a reply."""
    if goal is None:
        return say("I do not know how to do this.")
    return Player(conversation, goal).step()


class File:
    """What the model knows of a file: at first, now, and the pieces it was really shown."""

    def __init__(self, content, pieces=None):
        self.first = self.now = content
        self.pieces = pieces  # None: all of it

    def shows(self, text):
        return self.pieces is None or any(text in piece for piece in self.pieces)


class Player:
    def __init__(self, conversation, goal):
        self.talk, self.goal, self.tools = conversation, goal, conversation.toolbox
        self.files, self.changed, self.cuts = {}, {}, 0
        self.command = test_command(conversation.asked)
        for action in conversation.actions:
            self.replay(action)
        self.corrected = self.saw_failure()

    # What has happened so far.

    def replay(self, action):
        if action.kind == "cut":
            self.cuts += 1
        elif action.kind == "view":
            self.replay_view(action.path, action)
        elif action.kind in ("write", "append", "replace") and not action.failed():
            self.cuts = 0
            self.changed[action.path] = action.index
            self.replay_change(action.path, action)

    def replay_view(self, path, action):
        if action.failed():
            self.files.setdefault(path, File(None))
            return
        text = action.result
        if text and all(NUMBERED.match(line) for line in text.splitlines()):
            text = NUMBERED.sub("", text)
        pieces = [piece for piece in CLIPPED.split(text) if piece.strip()]
        file = File(text) if not CLIPPED.search(text) else self.clipped(path, pieces)
        if path in self.files and self.files[path].first is not None:
            self.files[path].now, self.files[path].pieces = file.now, file.pieces
        else:
            self.files[path] = file

    def clipped(self, path, pieces):
        """A file of which only pieces were shown; a known task tells what lies between."""
        whole = self.goal.start.get(path)
        if whole is not None:
            return File(whole, pieces)
        wanted = self.goal.final.get(path)
        fit = [piece for piece in pieces if wanted and wanted(piece) is not None]
        return File(fit[0] if fit else "".join(pieces), pieces)

    def replay_change(self, path, action):
        file = self.files.setdefault(path, File(None))
        if action.kind == "write":
            file.now, file.pieces = action.data, None
        elif action.kind == "append":
            file.now = (file.now or "") + action.data
        else:
            old, new = action.data
            file.now = (file.now or "").replace(old, new, 1)
            if file.pieces is not None:
                file.pieces = [piece.replace(old, new, 1) for piece in file.pieces]

    def saw_failure(self):
        """Says whether a failing test was shown after a first draft was written."""
        drafted = [index for path, index in self.changed.items() if path in self.goal.draft]
        first = min(
            (a.index for a in self.talk.actions if a.path in self.goal.draft and a.kind != "view"),
            default=None,
        )
        if not drafted or first is None:
            return False
        shown = [a.result for a in self.talk.actions if self.is_test(a) and a.index > first]
        for index, (role, text) in enumerate(self.talk.messages):
            if role == "user" and index > first:
                shown.append(text)
        return any(FAILURE.search(text) for text in shown)

    def is_test(self, action):
        return action.kind == "test" or (action.kind == "shell" and action.data == self.command)

    # What to do next.

    def step(self):
        if self.plans():
            return say("My plan: open the files, make the change, then say that it is done.")
        for path in self.goal.reads:
            if path not in self.files and path not in (self.command or ""):
                return self.do("view", path)
        for path in self.goal.final:
            if not self.done(path):
                return self.work_on(path)
        return self.finish()

    def plans(self):
        """Says whether the model first answers with a plan, and with nothing but a plan."""
        spoke = any(role == "assistant" for role, _ in self.talk.messages)
        asked = PLAN.search(self.talk.system) and not CARRY_ON.search(self.talk.system)
        return asked and not spoke

    def wanted(self, path):
        """Returns the content that the model aims at; its first draft may hold a mistake."""
        file = self.files.get(path)
        drafted = path in self.goal.draft and not self.corrected
        source = self.goal.draft if drafted else self.goal.final
        return source[path](file.first if file else None)

    def done(self, path):
        file = self.files.get(path)
        if file is None or file.now is None:
            return False
        wanted = self.wanted(path)
        return wanted is not None and same(file.now, wanted)

    def work_on(self, path):
        if not self.located(path):
            return self.look_or_guess(path)
        if self.stops_before(path):
            return say("One file is done. " + announce(path))
        if self.goal.exists(path) and path not in self.files:
            return self.do("view", path)
        if self.cuts >= CUTS:
            return self.stop("My change of `%s` does not fit into one reply, so I stop." % path)
        file = self.files.get(path) or File(None)
        wanted = self.wanted(path)
        if wanted is None:
            return self.stop("I do not find the place to change in `%s`, so I stop." % path)
        return self.change(path, file, wanted)

    def stops_before(self, path):
        """Says whether the model, with one file done, only says that another comes next."""
        started = path in self.files or self.talk.said(announce(path))
        return self.changed and not started and not CARRY_ON.search(self.talk.system)

    def located(self, path):
        return self.goal.known or not self.goal.exists(path) or self.talk.shown(path) or any(
            action.kind == "list" for action in self.talk.actions
        )

    def look_or_guess(self, path):
        if LOOK.search(self.talk.system):
            return self.do("list", None)
        guess = "solution" + ("." + path.rsplit(".", 1)[1] if "." in path else "")
        if guess in self.changed or self.cuts >= CUTS:
            return self.stop("I changed `%s`." % guess)
        source = self.goal.final[path](self.goal.start[path])
        return self.do("write", guess, source, text="No file is named, so I write `%s`." % guess)

    def change(self, path, file, wanted):
        if file.now and self.tools.can("replace"):
            from player import hunk

            room = self.room("replace", path)
            old, new = hunk.first(normal(file.now), normal(wanted), room)
            if not file.shows(old):
                return self.stop("I was not shown the place to change in `%s`, so I stop." % path)
            return self.do("replace", path, old, new)
        if file.pieces is not None:
            return self.stop("I was shown only a part of `%s`, so I do not overwrite it." % path)
        room = self.room("write", path)
        if length(wanted) <= room or not (self.can_append() or self.tools.can("replace")):
            return self.do("write", path, wanted)
        if self.can_append() and file.now and wanted.startswith(file.now):
            return self.do("append", path, part(wanted[len(file.now) :], self.room("append", path)))
        return self.do("write", path, part(wanted, room))

    def can_append(self):
        by_shell = PARTS in self.talk.system and not self.tools.can("write")
        return self.tools.can("append") or by_shell

    def room(self, kind, path):
        """Returns how many characters of data fit into one reply."""
        from player.answer import REPLY_LIMIT

        use = self.tools.uses.get(kind)
        frame = len(json.dumps(use.arguments(path, "", ""))) if use else len(shell.write(path, ""))
        return REPLY_LIMIT - SIDE_TEXT - frame

    def finish(self):
        checks = VERIFY.search(self.talk.system) or self.tools.can("test")
        changed = max(self.changed.values(), default=0)
        if checks and self.command and self.changed:
            if not any(self.is_test(a) and a.index > changed for a in self.talk.actions):
                return self.do("test", self.command)
        return self.stop("All changes are made.")

    def stop(self, text):
        """Ends with a sentence; asked whether that was all, says so in the word asked for."""
        asked = self.talk.messages[-1] if len(self.talk.messages) > 2 else ("", "")
        return say("DONE" if asked[0] == "user" and "DONE" in asked[1] else text)

    # How to say it.

    def do(self, kind, path, *data, text=None):
        text = text or {"view": "I open `%s`.", "list": "I look around.%.0s", "test": "I run `%s`."}.get(
            kind, "I change `%s`."
        ) % path
        use = self.tools.uses.get(kind)
        if kind == "test" and use:
            return self.call(text, use.name, dict(zip(use.texts, [path])))
        if use:
            return self.call(text, use.name, use.arguments(path, *data))
        command = {
            "view": lambda: shell.view(path),
            "list": lambda: shell.LIST,
            "test": lambda: path,
            "write": lambda: shell.write(path, data[0]),
            "append": lambda: shell.append(path, data[0]),
        }[kind]()
        use = self.tools.uses.get("shell")
        if use:
            return self.call(text, use.name, {use.texts[0]: command})
        return say("%s\n\n```sh\n%s\n```" % (text, command))

    def call(self, text, name, values):
        return {
            "role": "assistant",
            "content": text,
            "tool_calls": [
                {
                    "id": "call_%d" % (len(self.talk.actions) + 1),
                    "type": "function",
                    "function": {"name": name, "arguments": json.dumps(values, ensure_ascii=False)},
                }
            ],
        }


def say(text):
    return {"role": "assistant", "content": text}


def announce(path):
    return "Next I will change `%s`." % path


def same(one, other):
    return normal(one) == normal(other)


def normal(text):
    return text.rstrip("\n") + "\n"


def length(text):
    """Returns the length of a text as an argument of a tool call."""
    return len(json.dumps(text, ensure_ascii=False))


def part(text, room):
    """Returns as many leading lines as fit, at least one."""
    end, used = 0, 2
    for line in text.splitlines(True):
        used += length(line) - 2
        if used > room and end:
            break
        end += len(line)
    return text[:end]
