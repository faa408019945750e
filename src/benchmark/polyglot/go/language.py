"""Go: `go test -json`, one event a line."""

import collections
import json
import os
import re
import shutil

# The run-time preempts its own threads by signals.
SIGNALS_THREADS = True

TEST = re.compile(r"^func (Test[A-Z_0-9]\w*)\((\w+) \*testing\.T\) \{[ \t]*(?://.*)?$", re.MULTILINE)
FAILING = [
    '{t}.Fatal("decoy")',
    '{t}.Errorf("decoy %d", 1)',
    "{t}.FailNow()",
    "{t}.Fail()",
    'if testing.Verbose() || !testing.Verbose() {{ {t}.Error("decoy") }}',
]


# Files for a tag that nobody sets: a constraint that holds without any tag has a negation.
OFF = re.compile(r"^//go:build [^!\n]*$", re.MULTILINE)


def tests_in(source, file):
    if OFF.search(source.partition("package ")[0]):
        return []
    return [match[1] for match in TEST.finditer(source)]


def decoy(source):
    numbers = iter(range(len(source)))

    def fail(match):
        line = FAILING[next(numbers) % len(FAILING)].format(t=match[2])
        return f"{match[0]}\n\t{line}"

    return TEST.sub(fail, source)


class Attempt:
    """One run of the tests."""

    def __init__(self, plan, folder, place, tests, kept):
        self.output = bytearray()
        # What was compiled beforehand is shared and read-only; each run has a copy.
        cache = place / "go-cache"
        if os.path.isdir("/opt/go-cache"):
            shutil.copytree("/opt/go-cache", cache)
        self.env = {"GOCACHE": str(cache), "GOPATH": str(place / "go"), "GOTMPDIR": str(place)}
        for name in ("CGO_ENABLED", "GOFLAGS", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN", "GOTELEMETRY"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.steps = [["go", "test", "-json", "-count=1", "-timeout=0", "./..."]]

    def after(self, step):
        pass

    def results(self):
        results = collections.defaultdict(list)
        ended = False
        for line in self.output.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                # The build's messages.
                continue
            if not isinstance(event, dict) or event.get("Action") not in ("pass", "fail", "skip"):
                continue
            if "Test" in event:
                results[event["Test"]].append(event["Action"] == "pass")
            else:
                ended = True
        return results if ended else None
