"""Java: `javac`, then JUnit's own launcher, whose report is a file."""

import collections
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

SIGNALS_THREADS = True

JARS = pathlib.Path("/usr/share/java")
OWN = pathlib.Path("/opt/java")
# What the exercises' `build.gradle` names, and what JUnit's launcher needs.
LIBRARIES = [
    "apiguardian-api", "assertj-core", "byte-buddy", "hamcrest", "junit-jupiter-api",
    "junit-jupiter-engine", "junit-jupiter-params", "junit-platform-commons",
    "junit-platform-console", "junit-platform-engine", "junit-platform-launcher",
    "junit-platform-reporting", "opentest4j", "opentest4j-reporting-events",
    "opentest4j-reporting-schema", "picocli", "reactive-streams", "univocity-parsers",
]  # fmt: skip
QUICK = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]

TEST = re.compile(
    r"@Test\b(?P<more>(?:\s*@\w+(?:\([^)]*\))?)*)\s+(?:public\s+|protected\s+|final\s+)*"
    r"void\s+(?P<name>\w+)\s*\(\s*\)[^{;]*\{"
)
# Before a test: it is left out, as published runs do; a mode that runs all has none of these.
DISABLED = re.compile(r'@Disabled(?:\("[^"]*"\))?\s*\Z')
FAILING = [
    "org.junit.jupiter.api.Assertions.assertEquals(1, 2);",
    "org.assertj.core.api.Assertions.assertThat(1).isEqualTo(2);",
    "org.junit.jupiter.api.Assertions.assertTrue(false);",
    "org.assertj.core.api.Assertions.assertThat(true).isFalse();",
    'if (true) throw new AssertionError("decoy");',
]


def tests_in(source, file):
    owner = pathlib.PurePath(file).stem
    return [
        (owner, match["name"])
        for match in TEST.finditer(source)
        if "@Disabled" not in match["more"] and not DISABLED.search(source, 0, match.start())
    ]


def decoy(source):
    numbers = iter(range(len(source)))
    return TEST.sub(lambda match: match[0] + FAILING[next(numbers) % len(FAILING)], source)


class Attempt:
    """One run of the tests."""

    env = {}

    def __init__(self, plan, folder, place, tests, kept):
        self.output = bytearray()
        for name in plan.get("needs", []):
            if not (OWN / name).is_file():
                sys.exit(
                    f"this image has no {name}: build it where Maven Central can be reached "
                    "(sandbox/polyglot/java)"
                )
        own = sorted(str(jar) for jar in OWN.glob("*.jar"))
        path = ":".join([str(JARS / f"{name}.jar") for name in LIBRARIES] + own)
        classes, self.reports = place / "classes", place / "reports"
        sources = sorted(str(file) for file in (folder / "src").rglob("*.java"))
        compiler = ["javac", *(f"-J{option}" for option in QUICK), "-encoding", "UTF-8", "-nowarn"]
        launcher = ["java", *QUICK, "-cp", f"{classes}:{path}"]
        launcher += ["org.junit.platform.console.ConsoleLauncher", "execute"]
        launcher += ["--disable-banner", "--disable-ansi-colors", "--details=tree"]
        launcher += [f"--scan-class-path={classes}", "--fail-if-no-tests"]
        self.steps = [
            [*compiler, "-cp", path, "-d", str(classes), *sources],
            [*launcher, f"--reports-dir={self.reports}"],
        ]

    def after(self, step):
        pass

    def results(self):
        report = self.reports / "TEST-junit-jupiter.xml"
        if not report.is_file() or report.is_symlink():
            return None
        results = collections.defaultdict(list)
        bad = {"failure", "error"}
        for case in ElementTree.parse(report).iter("testcase"):
            owner = case.get("classname", "").rpartition(".")[2]
            name = case.get("name", "").split("(")[0]
            if case.find("skipped") is None:
                results[owner, name].append(not any(part.tag in bad for part in case))
        return results
