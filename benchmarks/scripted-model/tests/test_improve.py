"""Improvements and diagnosis: proposals follow from evidence, and edits fit the seeds."""

import json
import os
import unittest

from player import diagnose, edits, goal
from tests.world import BASE, HERE, STYLES, Agent, ask

FOLDER = os.path.join(HERE, "improvements")
SHELL = os.path.join(os.path.dirname(BASE), "shell")
SYSTEM = "Answer with JSON: improvement_proposal, problem_description, …"


def propose(entry, outcome="unresolved", trajectory="", agent=BASE, earlier=""):
    source = "\n".join(
        "## %s\n```\n%s\n```" % item for item in goal.files(agent).items() if "__pycache__" not in item[0]
    )
    evidence = (
        "# Entry\n%s\n\n# Outcome\n%s\n\n# Trajectory\n%s\n\n# Earlier attempts\n%s\n\n# Agent source\n%s"
        % (entry, outcome, trajectory, earlier, source)
    )
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": evidence}]
    return json.loads(ask(messages)["choices"][0]["message"]["content"])


def improvement_of(proposal):
    return next(
        name
        for name in goal.folders(FOLDER)
        if goal.read(os.path.join(FOLDER, name, "title.txt")).strip()
        in proposal["implementation_suggestion"]
    )


class DiagnosisTest(unittest.TestCase):
    def test_a_symptom_leads_to_an_improvement_for_it(self):
        for trajectory, wanted in (
            ("[call 2] finish=length", {"replace-tool", "append-tool"}),
            ("[call 2] error=context_length_exceeded", {"clip-view", "forget-output", "short-view"}),
            ("assistant: No file is named, so I write `solution.py`.", {"look-around", "list-files"}),
            ("assistant: One file is done. Next I will change `b`.", {"go-on", "finish-all"}),
            ("assistant: All changes are made.", {"verify", "check-tool"}),
        ):
            found = {improvement_of(propose(str(n), trajectory=trajectory)) for n in range(20)}
            self.assertEqual(found, wanted)

    def test_patterns_are_entries_too(self):
        self.assertIn(improvement_of(propose("solve_empty_patches", "empty")), ("replace-tool", "append-tool"))
        self.assertIn("context", propose("solve_contextlength", "empty")["log_summarization"])
        idea = improvement_of(propose("solve_stochasticity", trajectory="finish=length"))
        self.assertIn(idea, ("fewer-turns", "search-tool", "short-view"))

    def test_what_was_tried_is_not_proposed_again(self):
        first = propose("a", trajectory="finish=length")
        second = propose("a", trajectory="finish=length", earlier=first["improvement_proposal"])
        self.assertNotEqual(improvement_of(first), improvement_of(second))

    def test_the_shell_seed_gets_improvements_of_its_own(self):
        for trajectory in ("finish=length", "No file is named", "Next I will change", ""):
            name = improvement_of(propose("a", trajectory=trajectory, agent=SHELL))
            self.assertTrue(name.startswith("shell-"), name)

    def test_the_answer_has_the_five_keys(self):
        self.assertEqual(
            sorted(propose("a")),
            [
                "implementation_suggestion",
                "improvement_proposal",
                "log_summarization",
                "potential_improvements",
                "problem_description",
            ],
        )

    def test_without_an_idea_it_still_answers(self):
        evidence = {"Entry": "a", "Outcome": "unresolved"}
        nothing = diagnose.proposal(evidence, "idea", [], diagnose.nothing())
        self.assertEqual(nothing["potential_improvements"], ["Leave the agent as it is."])


class EditsTest(unittest.TestCase):
    def test_every_improvement_fits_its_seed_and_is_known_by_its_mark(self):
        for name in goal.folders(FOLDER):
            seed = goal.files(SHELL if name.startswith("shell-") else BASE)
            about = diagnose.load(FOLDER, name)
            wanted, edited = edits.load(os.path.join(FOLDER, name, "final"))
            self.assertFalse(any(about["present"] in text for text in seed.values()), name)
            made = {path: make(seed.get(path)) for path, make in wanted.items()}
            self.assertTrue(any(about["present"] in text for text in made.values()), name)
            self.assertLessEqual(set(edited), set(seed), name)
            for path, text in made.items():
                self.assertNotEqual(text, seed.get(path), name)
                if path.endswith(".py"):
                    compile(text, path, "exec")

    def test_what_is_too_long_for_the_base_agent_changes_nothing(self):
        seed = {p: t for p, t in goal.files(BASE).items() if "__pycache__" not in p}
        for name in goal.folders(FOLDER):
            if name.startswith("shell-"):
                continue
            asked = "Do it. " + diagnose.load(FOLDER, name)["title"]
            for style in ("whole files", "replace", "append"):
                made = Agent(seed, STYLES[style]).run(asked)
                hard = style == "whole files" and name in ("go-on", "forget-output")
                self.assertEqual(made == seed, hard, (name, style))

    def test_edits_of_one_file_compose(self):
        prompt = goal.files(BASE)["agent/prompts/system.md"]
        for name in ("look-around", "verify", "finish-all", "plan-first"):
            wanted, _ = edits.load(os.path.join(FOLDER, name, "final"))
            prompt = wanted["agent/prompts/system.md"](prompt)
        self.assertEqual(prompt.count("\n\n"), 6)

    def test_a_missing_anchor_ends_without_a_change(self):
        asked = "Do it. " + diagnose.load(FOLDER, "go-on")["title"]
        workspace = {"agent/loop.py": "something else\n"}
        self.assertEqual(Agent(workspace, STYLES["replace"]).run(asked), workspace)


if __name__ == "__main__":
    unittest.main()
