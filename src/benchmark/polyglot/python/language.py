"""Python: pytest, whose report is a file in JUnit's format."""

import ast
import collections
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

SIGNALS_THREADS = False

FAILING = [
    "assert 1 == 2",
    "import unittest; unittest.TestCase().assertEqual(1, 2)",
    "import unittest; unittest.TestCase().assertTrue(False)",
    "import unittest; unittest.TestCase().assertIs(None, 0)",
    "import unittest; unittest.TestCase().assertIn(1, [2])",
    "import unittest\nwith unittest.TestCase().assertRaises(ValueError): pass",
    "raise AssertionError",
]


def tests_in(source, file):
    """Returns the names of the tests in a file, in order, as the report will call them."""
    module = file.removesuffix(".py").replace("/", ".")
    found = []
    for node in ast.parse(source).body:
        if is_test(node):
            found.append((module, "", node.name))
        elif isinstance(node, ast.ClassDef):
            found += [(module, node.name, item.name) for item in node.body if is_test(item)]
    return found


def is_test(node):
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test")


def decoy(source):
    """Returns a test file of the same shape in which every test must fail."""
    tree = ast.parse(source)
    tests = [node for node in ast.walk(tree) if is_test(node)]
    for number, test in enumerate(tests):
        test.body = ast.parse(FAILING[number % len(FAILING)]).body
    return ast.unparse(tree)


class Attempt:
    """One run of the tests."""

    env = {}

    def __init__(self, plan, folder, place, tests, kept):
        self.output = bytearray()
        self.report = pathlib.Path(place) / "report.xml"
        self.modules = {test.removesuffix(".py").replace("/", ".") for test in tests}
        command = [sys.executable, "-B", "-m", "pytest", "-rA", "--tb=short"]
        command += ["-p", "no:cacheprovider", f"--junitxml={self.report}", f"--rootdir={folder}"]
        self.steps = [command + tests]

    def after(self, step):
        pass

    def results(self):
        if not self.report.is_file() or self.report.is_symlink():
            return None
        results = collections.defaultdict(list)
        bad = {"failure", "error", "skipped"}
        for case in ElementTree.parse(self.report).iter("testcase"):
            owner = case.get("classname", "")
            name = case.get("name", "").split("[")[0]
            module, _, inner = (owner, "", "") if owner in self.modules else owner.rpartition(".")
            results[module, inner, name].append(not any(part.tag in bad for part in case))
        return results
