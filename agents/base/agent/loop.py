"""The loop: ask the model, run the tools it calls, show it the results.

The conversation is a list of Chat Completions messages that only grows. The run
ends when the model calls no tool, when it is out of turns, time or allowance, or
when the model cannot be asked any more; what has changed in the workspace by then
is the answer, so none of these is an error.
"""

import json

from agent import model, settings


def run(client, toolbox, system, instruction):
    """Works on one task and returns the conversation."""
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": instruction},
    ]
    overflows = 0
    for turn in range(1, settings.MAX_TURNS + 1):
        try:
            reply = client.complete(messages, toolbox.specs())
        except model.ContextOverflow as error:
            log(turn, "error", str(error))
            overflows += 1
            if overflows == 2:
                break
            continue
        except model.Stop as error:
            log(turn, "stopped", str(error))
            break
        overflows = 0
        messages.append(reply)
        if reply.get("content"):
            log(turn, "assistant", reply["content"])
        calls = reply.get("tool_calls") or []
        if not calls:
            break
        for call in calls:
            output = answer(call, toolbox, turn)
            messages.append(
                {"role": "tool", "tool_call_id": call.get("id", ""), "content": output}
            )
    return messages


def answer(call, toolbox, turn):
    """Runs one tool call and returns what the model is shown."""
    function = call.get("function") or {}
    name, arguments = function.get("name", ""), function.get("arguments", "")
    log(turn, "call", name + " " + arguments)
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError:
        output = "Error: the arguments are not valid JSON."
    else:
        output = toolbox.run(name, parsed)
    log(turn, "result", output)
    return output


def log(turn, kind, text):
    """Prints one readable entry; long ones are shortened for the reader only."""
    shown = text if len(text) <= 2000 else text[:2000] + "\n(shortened in this log)"
    print("[turn %d] %s: %s" % (turn, kind, shown.rstrip("\n")), flush=True)
