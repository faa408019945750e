"""JavaScript: jest, whose report is a file in JSON."""

import collections
import json
import os
import pathlib
import re

SIGNALS_THREADS = True

TEST = re.compile(
    r"^[ \t]*(?:test|it)\([ \t]*\n?[ \t]*(?P<quote>['\"`])(?P<name>(?:\\.|(?!(?P=quote)).)*)(?P=quote),"
    r"\s*(?:async\s*)?(?:\(\w*\)|\w+|function\s*\w*\s*\(\w*\))\s*(?:=>)?[ \t\n]*(?P<block>\{)?",
    re.MULTILINE,
)
FAILING = [
    "expect(1).toBe(2);",
    "expect([1]).toEqual([2]);",
    "expect(true).toBe(false);",
    "expect(() => {}).toThrow();",
    "if (true) throw new Error('decoy');",
]


def tests_in(source, file):
    return [f"{file} #{number}" for number, _ in enumerate(TEST.finditer(source), 1)]


def decoy(source):
    numbers = iter(range(len(source)))

    def fail(match):
        line = FAILING[next(numbers) % len(FAILING)]
        # A test can be an expression, too.
        return match[0] + (line if match["block"] else f"(() => {{ {line} }})() ?? ")

    return TEST.sub(fail, source)


class Attempt:
    """One run of the tests."""

    env = {"CI": "true"}

    def __init__(self, plan, folder, place, tests, kept):
        self.output = bytearray()
        self.folder = folder
        self.report = pathlib.Path(place) / "report.json"
        modules = pathlib.Path("/npm-install/node_modules")
        os.symlink(modules, folder / "node_modules")
        command = ["node", str(modules / "jest/bin/jest.js"), "--runInBand", "--ci"]
        command += ["--no-cache", "--verbose", "--json", f"--outputFile={self.report}"]
        command += ["--testTimeout=60000", f"--rootDir={folder}", "--runTestsByPath"]
        self.steps = [command + tests]

    def after(self, step):
        pass

    def results(self):
        if not self.report.is_file() or self.report.is_symlink():
            return None
        results = collections.defaultdict(list)
        for suite in json.loads(self.report.read_text())["testResults"]:
            file = os.path.relpath(suite["name"], self.folder)
            # In the order of the file, which is how tests are named here: titles repeat.
            ran = [test for test in suite["assertionResults"] if test["status"] != "pending"]
            for number, test in enumerate(ran, 1):
                results[f"{file} #{number}"].append(test["status"] == "passed")
        return results
