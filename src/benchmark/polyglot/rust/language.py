"""Rust: `cargo test`, each test by name in what the test programs print."""

import collections
import re

SIGNALS_THREADS = True

ATTRIBUTE = re.compile(r"^\s*#\[(.*)\]\s*$")
FUNCTION = re.compile(r"^\s*(?:pub )?fn (\w+)\s*\(")
MODULE = re.compile(r"^\s*(?:pub )?mod (\w+)\s*\{")
FAILING = [
    "assert_eq!(1, 2);",
    "assert!(false);",
    'if true { panic!("decoy"); }',
    "assert_ne!(1, 1);",
    "let _: () = None.unwrap();",
]
OUTCOME = re.compile(rb"^test ([\w:]+)(?: - should panic)? \.\.\. (.*)$", re.MULTILINE)


def walk(source):
    """Yields each line with its number and the test that begins there, if one does.

    A test is (path, whether it should panic). What a feature of the crate switches off is none.
    """
    modules = []
    depth = 0
    attributes = []
    off_from = None
    for number, line in enumerate(source.split("\n")):
        test = None
        code = line.split("//")[0]
        attribute = ATTRIBUTE.match(code)
        if attribute:
            attributes.append(attribute[1])
        elif code.strip():
            off = any(text.startswith("cfg(feature") for text in attributes)
            module, function = MODULE.match(code), FUNCTION.match(code)
            if off and off_from is None and "{" in code:
                off_from = depth
            if module:
                modules.append((depth, module[1]))
            elif function and "test" in attributes and off_from is None:
                path = "::".join([name for _, name in modules] + [function[1]])
                test = (path, any(text.startswith("should_panic") for text in attributes))
            attributes = []
        yield number, line, test
        # Braces in texts come in pairs in these files; what counts is that modules end.
        depth += code.count("{") - code.count("}")
        while modules and depth <= modules[-1][0]:
            modules.pop()
        if off_from is not None and depth <= off_from and "}" in code:
            off_from = None


def tests_in(source, file):
    return [test[0] for _, _, test in walk(source) if test]


def decoy(source):
    lines = []
    count = 0
    failing = None
    for _, line, test in walk(source):
        if test:
            # What should panic fails where it does not.
            failing = "if true { return; }" if test[1] else FAILING[count % len(FAILING)]
            count += 1
        if failing and "{" in line:
            at = line.index("{") + 1
            line = f"{line[:at]} {failing}{line[at:]}"
            failing = None
        lines.append(line)
    return "\n".join(lines)


class Attempt:
    """One run of the tests."""

    def __init__(self, plan, folder, place, tests, kept):
        self.output = bytearray()
        self.env = {
            "CARGO_HOME": "/opt/cargo-home",
            "CARGO_TARGET_DIR": str(place / "target"),
            "CARGO_NET_OFFLINE": "true",
            "CARGO_TERM_COLOR": "never",
            "CARGO_INCREMENTAL": "0",
            "CARGO_PROFILE_DEV_DEBUG": "0",
            "CARGO_PROFILE_TEST_DEBUG": "0",
        }
        release = ["--release"] if plan.get("release") else []
        targets = [part for test in tests for part in target(test)]
        build = ["cargo", "test", "--offline", *release, *targets]
        # One program's failure must not keep the others from running.
        test = [*build, "--no-fail-fast", "--", "--include-ignored"]
        self.steps = [[*build, "--no-run"], test]
        self.built = 0

    def after(self, step):
        # What compilers print is no report.
        if step is self.steps[0]:
            self.built = len(self.output)

    def results(self):
        output = bytes(self.output[self.built :])
        results = collections.defaultdict(list)
        for name, outcome in OUTCOME.findall(output):
            results[name.decode()].append(outcome.strip() == b"ok")
        return results if b"\ntest result: " in output else None


def target(test):
    """Returns the arguments that name a test program; the rest of `tests/` is for it to read."""
    parts = test.split("/")
    if len(parts) == 2 and parts[0] == "tests" and parts[1].endswith(".rs"):
        return ["--test", parts[1].removesuffix(".rs")]
    return []
