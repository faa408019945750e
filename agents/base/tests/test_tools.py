"""The tools: all of them load, and each does what its description says."""

import os
import tempfile
import unittest

from agent import tools


class ToolsTest(unittest.TestCase):
    def setUp(self):
        self.before = os.getcwd()
        self.folder = tempfile.TemporaryDirectory()
        os.chdir(self.folder.name)
        self.toolbox = tools.load()

    def tearDown(self):
        os.chdir(self.before)
        self.folder.cleanup()

    def test_every_tool_describes_itself(self):
        for spec in self.toolbox.specs():
            function = spec["function"]
            self.assertTrue(function["name"] and function["description"])
            parameters = function["parameters"]
            self.assertLessEqual(set(parameters["required"]), set(parameters["properties"]))

    def test_editor_creates_overwrites_and_views(self):
        for command, content in (("create", "one\n"), ("overwrite", "two\n")):
            arguments = {"command": command, "path": "a/b.txt", "content": content}
            self.assertIn("Wrote 4", self.toolbox.run("editor", arguments))
            viewed = self.toolbox.run("editor", {"command": "view", "path": "a/b.txt"})
            self.assertEqual(viewed, content)

    def test_bash_shows_output_and_status(self):
        self.assertEqual(self.toolbox.run("bash", {"command": "echo a; echo b >&2"}), "a\nb\n")
        self.assertIn("[exit status 3]", self.toolbox.run("bash", {"command": "exit 3"}))

    def test_bash_does_not_wait_for_what_it_leaves_behind(self):
        self.assertEqual(self.toolbox.run("bash", {"command": "sleep 60 & echo a"}), "a\n")

    def test_failures_become_text(self):
        for name, arguments in (
            ("no such tool", {}),
            ("editor", {"command": "view", "path": "missing"}),
            ("editor", {"command": "create", "path": "x"}),
            ("editor", {"command": "burn", "path": "x"}),
            ("bash", {}),
            ("bash", []),
        ):
            self.assertTrue(self.toolbox.run(name, arguments).startswith("Error"), (name, arguments))
