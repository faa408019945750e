"""C++: the exercise's own CMake files, and the report of Catch, its test framework."""

import collections
import os
import pathlib
import re
import shutil
import xml.etree.ElementTree as ElementTree

SIGNALS_THREADS = False

TEST = re.compile(
    r'^[ \t]*TEST_CASE\((?:\s|//.*\n)*"(?P<name>(?:\\.|[^"\\])*)"[^{]*\{', re.MULTILINE
)
# Measured, not tested, and off unless asked for.
BENCHMARK = re.compile(r"^#if defined\(EXERCISM_INCLUDE_BENCHMARK\).*?^#endif", re.MULTILINE | re.DOTALL)
FAILING = [
    "REQUIRE(1 == 2);",
    "CHECK(1 == 2);",
    'FAIL("decoy");',
    "REQUIRE_FALSE(1 == 1);",
    "REQUIRE_THROWS(1 + 1);",
]


def tests_in(source, file):
    source = BENCHMARK.sub("", source)
    return [re.sub(r"\\(.)", r"\1", match["name"]) for match in TEST.finditer(source)]


def decoy(source):
    numbers = iter(range(len(source)))
    return TEST.sub(lambda match: match[0] + FAILING[next(numbers) % len(FAILING)], source)


class Attempt:
    """One run of the tests."""

    env = {"CLICOLOR": "0"}

    def __init__(self, plan, folder, place, tests, kept):
        self.output = bytearray()
        self.kept = kept
        self.build = pathlib.Path(place) / "build"
        self.report = pathlib.Path(place) / "report.xml"
        # Catch itself takes most of the time. What the first build made of it, before anything
        # of the solution ran, serves the second: this process has kept it.
        self.once = pathlib.Path(place) / "once"
        self.once.mkdir()
        shutil.copy("/tests/once.py", self.once / "once")
        os.chmod(self.once / "once", 0o755)
        if "catch" in kept:
            (self.once / "catch.o").write_bytes(kept["catch"])
        slug = plan["slug"]
        launcher = f"-DCMAKE_CXX_COMPILER_LAUNCHER={self.once / 'once'}"
        configure = ["cmake", "-DEXERCISM_RUN_ALL_TESTS=1", launcher, "-G", "Unix Makefiles"]
        self.steps = [
            [*configure, "-S", str(folder), "-B", str(self.build)],
            ["make", "-C", str(self.build), slug],
            [str(self.build / slug), "-r", "xml", "-o", str(self.report)],
        ]

    def after(self, step):
        made = self.once / "catch.o"
        if step is self.steps[1] and "catch" not in self.kept and made.is_file():
            self.kept["catch"] = made.read_bytes()

    def results(self):
        if not self.report.is_file() or self.report.is_symlink():
            return None
        results = collections.defaultdict(list)
        for case in ElementTree.parse(self.report).iter("TestCase"):
            overall = case.find("OverallResult")
            passed = overall is not None and overall.get("success") == "true"
            results[case.get("name", "")].append(passed)
        return results
