"""A small agent in memory: a workspace of texts, and tools of a chosen style."""

import json
import os
import re

from player import answer, goal, shell

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SMOKE = os.path.join(os.path.dirname(HERE), "smoke")
BASE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "agents", "base")


def tool(name, **properties):
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TEXT = {"type": "string"}
EDITOR = tool(
    "editor", command={"type": "string", "enum": ["view", "create", "overwrite"]}, path=TEXT, content=TEXT
)
STYLES = {
    "whole files": [tool("sh", cmd=TEXT), EDITOR],
    "replace": [EDITOR, tool("replace", path=TEXT, old_str=TEXT, new_str=TEXT)],
    "one editor": [
        tool(
            "str_replace_editor",
            command={"enum": ["view", "create", "str_replace"]},
            path=TEXT,
            file_text=TEXT,
            old_str=TEXT,
            new_str=TEXT,
        )
    ],
    "append": [EDITOR, tool("append", path=TEXT, content=TEXT)],
    "single tools": [tool("read_file", path=TEXT), tool("write_file", path=TEXT, content=TEXT)],
    "shell": [tool("bash", command=TEXT)],
    "none": [],
}


def ask(messages, tools=(), tasks=SMOKE):
    request = json.dumps({"model": "m", "messages": messages, "tools": list(tools)})
    return json.loads(answer.to_text(request, tasks, HERE))


def instruction(task):
    return goal.read(os.path.join(SMOKE, task, "instruction.md"))


def start(task):
    return goal.files(os.path.join(SMOKE, task, "environment", "workspace"))


def final(task):
    return dict(start(task), **goal.files(os.path.join(SMOKE, task, "solution", "files")))


class Agent:
    """Runs the model until it stops; `tests` is what a test command prints, in order."""

    def __init__(self, workspace, tools, system="You are an agent.", go_on=0, tests=()):
        self.workspace, self.tools, self.system = dict(workspace), tools, system
        self.go_on, self.tests, self.error, self.replies = go_on, list(tests), None, []

    def run(self, instruction):
        messages = [
            {"role": "system", "content": self.system},
            {"role": "user", "content": instruction},
        ]
        for _ in range(20):
            reply = ask(messages, self.tools)
            if "error" in reply:
                self.error = reply["error"]["code"]
                break
            self.replies.append(reply["choices"][0])
            message = reply["choices"][0]["message"]
            messages.append(message)
            results = list(self.results(message))
            messages += results
            if not results and not self.go_on:
                break
            if not results:
                self.go_on -= 1
                messages.append({"role": "user", "content": "If all is done, answer DONE."})
        return self.workspace

    def results(self, message):
        for call in message.get("tool_calls") or []:
            try:
                values = json.loads(call["function"]["arguments"])
            except ValueError:
                output = "Error: not valid JSON"
            else:
                output = self.use(call["function"]["name"], values)
            yield {"role": "tool", "tool_call_id": call["id"], "content": output}
        block = re.search(r"```sh\n(.*?)\n```", message.get("content") or "", re.S)
        if block:
            yield {"role": "user", "content": self.shell(block.group(1))}
        elif "```sh" in (message.get("content") or ""):
            yield {"role": "user", "content": "Error: no end of the block"}

    def use(self, name, values):
        path = values.get("path")
        command = values.get("command") or values.get("cmd")
        content = values.get("content", values.get("file_text"))
        if "old_str" in values:
            text = self.workspace[path]
            if text.count(values["old_str"]) != 1:
                return "Error: not exactly once"
            self.workspace[path] = text.replace(values["old_str"], values["new_str"])
        elif content is not None:
            before = self.workspace.get(path, "") if name == "append" else ""
            self.workspace[path] = before + content
        elif path:
            return self.workspace.get(path, "Error: no such file")
        else:
            return self.shell(command)
        return "ok"

    def shell(self, command):
        kind, path, data = shell.meaning(command)
        if kind == "list":
            return "\n".join("./" + name for name in sorted(self.workspace))
        if kind == "view":
            return self.workspace[path]
        if kind in ("write", "append"):
            before = self.workspace.get(path, "") if kind == "append" else ""
            self.workspace[path] = before + data
            return "(no output)"
        return self.tests.pop(0)
