"""What a model sees of a conversation: texts, and its own actions with their results."""

import json
import re

from player import shell
from player.toolbox import Toolbox

BLOCK = re.compile(r"```(?:sh|bash)\n(.*?)(?:\n```|\Z)", re.S)


class Action:
    """Something the model did: `kind` is what it meant, `result` what it was shown.

    Kinds: view, write, append, replace, list, test, shell, cut (the reply was too
    long, so nothing happened), unknown.
    """

    def __init__(self, kind, path, data, index):
        self.kind, self.path, self.data, self.index = kind, path, data, index
        self.result = ""

    def failed(self):
        start = self.result.lstrip()[:40].lower()
        return (
            start.startswith(("error", "traceback", "no replacement", "unknown tool"))
            or shell.status(self.result) != 0
        )


class Conversation:
    def __init__(self, messages, tools):
        self.messages = [(m.get("role"), text_of(m.get("content"))) for m in messages]
        self.toolbox = Toolbox(tools)
        self.system = "\n".join(t for role, t in self.messages if role in ("system", "developer"))
        self.asked = next((text for role, text in self.messages if role == "user"), "")
        self.size = sum(len(text) for _, text in self.messages)
        self.actions = []
        self.read(messages)

    def read(self, messages):
        """Pairs the model's actions with their results."""
        waiting, block = {}, None
        for index, message in enumerate(messages):
            role, text = self.messages[index]
            if role == "assistant":
                block = None
                for call in message.get("tool_calls") or []:
                    function = call.get("function") or {}
                    arguments = function.get("arguments") or ""
                    self.size += len(arguments)
                    action = self.action(function.get("name"), arguments, index)
                    waiting[call.get("id")] = action
                if not message.get("tool_calls"):
                    block = self.block(text, index)
            elif role == "tool" and message.get("tool_call_id") in waiting:
                waiting.pop(message["tool_call_id"]).result = text
            elif role == "user" and block is not None:
                block.result, block = text, None

    def action(self, name, arguments, index):
        try:
            values = json.loads(arguments)
            kind, path, data = self.toolbox.meaning(name, values)
        except (ValueError, TypeError, AttributeError):
            kind, path, data = "cut", None, None
        self.actions.append(Action(kind, path, data, index))
        return self.actions[-1]

    def block(self, text, index):
        """Returns the action of a fenced block in a reply without tool calls."""
        found = BLOCK.search(text)
        if not found:
            return None
        closed = text.count("```") >= 2
        kind, path, data = shell.meaning(found.group(1)) if closed else ("cut", None, None)
        self.actions.append(Action(kind, path, data, index))
        return self.actions[-1]

    def said(self, words):
        """Says whether the model itself has said this already."""
        return any(role == "assistant" and words in text for role, text in self.messages)

    def shown(self, path):
        """Says whether something the model was shown names this file."""
        name = re.compile(r"(?<![\w-])" + re.escape(path.rsplit("/", 1)[-1]) + r"(?![\w-])")
        return any(role != "assistant" and name.search(text) for role, text in self.messages)


def text_of(content):
    """Returns the text of a message: a string, or a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content or ""
