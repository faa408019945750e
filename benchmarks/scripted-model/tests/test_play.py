"""Habits and limits: what the model does with an agent's tools, prompt and loop."""

import json
import os
import subprocess
import sys
import unittest

from player.answer import CONTEXT_LIMIT, REPLY_LIMIT
from tests.world import HERE, SMOKE, STYLES, Agent, ask, final, instruction, start

LOOK = "Before the first edit, look around."
VERIFY = "After the last edit, run the tests."


def solves(task, style, **settings):
    agent = Agent(start(task), STYLES[style], **settings)
    return agent.run(instruction(task)) == final(task)


class ToolsTest(unittest.TestCase):
    def test_a_small_file_is_changed_through_any_tools(self):
        for style in STYLES:
            self.assertTrue(solves("slug-text", style), style)

    def test_a_simple_request_is_understood_through_any_tools(self):
        for style in STYLES:
            agent = Agent({}, STYLES[style])
            agent.run("Create a file `hello.txt` containing exactly the line `hello`.")
            self.assertEqual(agent.workspace, {"hello.txt": "hello\n"}, style)

    def test_a_long_file_needs_replacing_or_appending(self):
        for task in ("unit-factors", "calculator-minus"):
            for style in STYLES:
                able = style in ("replace", "one editor", "append")
                self.assertEqual(solves(task, style), able, (task, style))

    def test_a_long_file_is_written_in_parts_at_the_shell_if_the_prompt_says_so(self):
        for style in ("shell", "none"):
            self.assertTrue(solves("calculator-minus", style, system="Use `cat >>`."))

    def test_every_reply_fits_or_is_marked_as_cut(self):
        for style in STYLES:
            agent = Agent(start("calculator-minus"), STYLES[style])
            agent.run(instruction("calculator-minus"))
            for choice in agent.replies:
                message = choice["message"]
                calls = message.get("tool_calls") or []
                size = len(message["content"]) + sum(len(c["function"]["arguments"]) for c in calls)
                self.assertLessEqual(size, REPLY_LIMIT)
                self.assertEqual(size == REPLY_LIMIT, choice["finish_reason"] == "length")


class HabitsTest(unittest.TestCase):
    def test_several_files_need_a_loop_or_a_prompt_that_goes_on(self):
        for task in ("rename-field", "kelvin-scale"):
            self.assertFalse(solves(task, "replace"))
            self.assertTrue(solves(task, "replace", go_on=5))
            self.assertTrue(solves(task, "replace", system="Do not stop before all is done."))

    def test_an_unnamed_file_needs_a_look_or_a_listing(self):
        for task in ("missing-rebate", "lost-sales"):
            self.assertFalse(solves(task, "whole files"))
            self.assertTrue(solves(task, "whole files", system=LOOK))
            agent = Agent(start(task), STYLES["whole files"])
            agent.run(instruction(task) + "\n".join(start(task)))
            self.assertEqual(agent.workspace, final(task))

    def test_a_draft_is_corrected_by_a_failing_test(self):
        for task in ("interval-merge", "version-order"):
            self.assertFalse(solves(task, "whole files"))
            failing = ["FAIL: 1\n[exit status 1]", "ok"]
            self.assertTrue(solves(task, "whole files", system=VERIFY, tests=failing))
            self.assertFalse(solves(task, "whole files", system=VERIFY, tests=["ok"]))

    def test_the_context_overflows(self):
        agent = Agent(start("last-request"), STYLES["whole files"])
        agent.run(instruction("last-request"))
        self.assertEqual(agent.error, "context_length_exceeded")
        shown = {"server.log": "first\n[30000 characters omitted]\nlast\n"}
        agent = Agent(shown, STYLES["whole files"])
        self.assertIn("answer.txt", agent.run(instruction("last-request")))

    def test_a_file_shown_in_part_is_not_overwritten(self):
        task = "slug-text"
        text = start(task)["slug.py"]
        shown = {"slug.py": text[:60] + "\n[400 characters omitted]\n"}
        for style in ("whole files", "replace"):
            self.assertEqual(Agent(shown, STYLES[style]).run(instruction(task)), shown)

    def test_a_plan_comes_without_a_call(self):
        self.assertFalse(solves("slug-text", "whole files", system="First write down a plan."))
        self.assertTrue(solves("slug-text", "whole files", system="Write down a plan.", go_on=3))


class InterfaceTest(unittest.TestCase):
    def test_the_same_request_has_the_same_answer_whoever_asks(self):
        messages = [{"role": "user", "content": instruction("slug-text")}]
        one, two = ask(messages), ask(messages)
        self.assertEqual(one, two)

    def test_wrong_requests_are_refused_as_a_provider_does(self):
        from player import answer

        for text in ("", "[]", "{}", '{"messages": 1}'):
            error = json.loads(answer.to_text(text, SMOKE, HERE))["error"]
            self.assertEqual(error["type"], "invalid_request_error")

    def test_what_it_does_not_know_it_says(self):
        choice = ask([{"role": "user", "content": "What is the weather?"}])["choices"][0]
        self.assertEqual(choice["finish_reason"], "stop")
        self.assertNotIn("tool_calls", choice["message"])

    def test_usage_is_estimated_from_the_characters(self):
        usage = ask([{"role": "user", "content": "x" * 400}])["usage"]
        self.assertEqual(usage["prompt_tokens"], 100)
        self.assertEqual(usage["total_tokens"], 100 + usage["completion_tokens"])
        long = ask([{"role": "user", "content": "x" * (CONTEXT_LIMIT + 1)}])
        self.assertEqual(long["error"]["code"], "context_length_exceeded")

    def test_the_command_line(self):
        command = [sys.executable, "-I", "-S", "-E", os.path.join(HERE, "scripted.py")]
        request = json.dumps({"messages": [{"role": "user", "content": "hi ü"}]}).encode()
        done = subprocess.run(
            command + ["--tasks", SMOKE], input=request, stdout=subprocess.PIPE, env={"LC_ALL": "C"}
        )
        self.assertEqual(json.loads(done.stdout)["choices"][0]["finish_reason"], "stop")
        wrong = subprocess.run(command, stderr=subprocess.PIPE)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn(b"usage:", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
