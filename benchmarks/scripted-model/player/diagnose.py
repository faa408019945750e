"""The role that reads evidence of an agent's run and proposes one improvement.

A symptom is looked for in the evidence; a symptom that the agent's source already
handles does not count. Where no symptom is left the model speculates, and some of
its ideas are bad ones.
"""

import binascii
import json
import os
import re

from player.goal import folders, read

SECTION = re.compile(
    r"^# (Entry|Task instruction|Outcome|Patch|Test results|Agent log|Trajectory"
    r"|Agent source|Earlier attempts)[ \t]*$",
    re.M,
)

# What each symptom is, for a reader.
MEANING = {
    "reply-cut": "a reply reached its maximum length and was cut",
    "context": "the conversation did not fit into the context of the model",
    "wrong-file": "no file was named, and the model guessed one",
    "stopped-early": "the run ended while the model still meant to go on",
    "untested": "the model ended without having run a test",
    "idea": "nothing points to one cause",
}


def answer(conversation, here):
    """Returns the proposal, one JSON object."""
    evidence = sections("\n".join(t for role, t in conversation.messages if role == "user"))
    source = evidence.get("Agent source", "")
    ideas = [load(os.path.join(here, "improvements"), name) for name in folders(
        os.path.join(here, "improvements")
    )]
    done = [idea["name"] for idea in ideas if idea["present"] in source]
    possible = [i for i in ideas if i["name"] not in done and i["needs"] in source]
    tried = evidence.get("Earlier attempts", "")
    possible = [i for i in possible if i["title"] not in tried] or possible
    symptom, fitting = next(
        (
            (symptom, fitting)
            for symptom in symptoms(evidence) + ["idea"]
            for fitting in [[i for i in possible if symptom in i["symptoms"]]]
            if fitting
        ),
        ("idea", possible),
    )
    if not fitting:
        return json.dumps(proposal(evidence, "idea", [], nothing()), ensure_ascii=False)
    digest = binascii.crc32(" ".join([evidence.get("Entry", "")] + done).encode())
    chosen = fitting[digest % len(fitting)]
    return json.dumps(proposal(evidence, symptom, fitting, chosen), ensure_ascii=False)


def sections(text):
    """Returns the named parts of the evidence; the agent's source comes last."""
    parts = SECTION.split(text)
    found = {}
    for name, body in zip(parts[1::2], parts[2::2]):
        found.setdefault(name, body.strip())
    return found


def symptoms(evidence):
    """Lists what the evidence shows, the clearest first."""
    run = evidence.get("Trajectory", "") + "\n" + evidence.get("Agent log", "")
    entry = evidence.get("Entry", "")
    outcome = evidence.get("Outcome", "")
    if "solve_stochasticity" in entry:
        return []
    signs = [
        ("context", "error=context_length_exceeded" in run or "solve_contextlength" in entry),
        ("reply-cut", "finish=length" in run),
        ("wrong-file", "No file is named" in run),
        ("stopped-early", "Next I will change" in run),
        ("untested", "unresolved" in outcome and "I run `" not in run),
        ("reply-cut", "solve_empty_patches" in entry),
    ]
    return [symptom for symptom, seen in signs if seen]


def proposal(evidence, symptom, fitting, chosen):
    return {
        "log_summarization": "The entry `%s` ended as %s. What stands out: %s."
        % (evidence.get("Entry", "unknown"), evidence.get("Outcome", "unknown"), MEANING[symptom]),
        "potential_improvements": [idea["title"] for idea in fitting] or [chosen["title"]],
        "improvement_proposal": "%s %s" % (chosen["title"], chosen["problem"]),
        "implementation_suggestion": "%s %s" % (chosen["title"], chosen["suggestion"]),
        "problem_description": "%s\n\n%s\n\n%s"
        % (chosen["title"], chosen["problem"], tests_of(evidence.get("Agent source", ""))),
    }


def tests_of(source):
    """Returns the sentence that says how the agent's own tests are run."""
    if "tests/test_" not in source:
        return "The agent has no tests of its own."
    return "The agent's own tests run with `python3 -m unittest discover -s tests -t .`."


def nothing():
    return {
        "title": "Leave the agent as it is.",
        "problem": "No further improvement comes to mind.",
        "suggestion": "Change nothing.",
    }


def load(folder, name):
    about = json.loads(read(os.path.join(folder, name, "about.json")))
    return dict(about, name=name, title=read(os.path.join(folder, name, "title.txt")).strip())
