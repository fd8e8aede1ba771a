#!/usr/bin/env python3
"""Every acquire, release and fence says what it pairs with.

Fails for each line of code that names `Acquire`, `Release`, `AcqRel` or `SeqCst`, or calls `fence`, if no comment within the eight lines
above it, or on it, has the words "pairs with" or "pair with"; and if what such a comment names in backquotes after these words is no name
in the sources. Tests, models and benches are left out: what they order is explained by what they test.

    python3 .ci/orderings.py
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CRATES = ("moirai-core", "moirai-sync", "moirai-scheduler", "moirai-executor", "moirai-metrics", "moirai")
LEFT_OUT = re.compile(r"/(tests?|loom|examples|benches|conformance)(/|\.rs$)|test_executor\.rs$|/shim/|/queue/(double|tests)\.rs$")
# `Acquire<…>` and `Acquire { … }` are the future of a semaphore.
ORDERED = re.compile(r"\b(?:Acquire|Release|AcqRel|SeqCst)\b(?!<|\s*\{)|\bfence\(")
TESTS = re.compile(r"^#\[cfg\((?:all\()?test\b")
LINES_ABOVE = 8


def code_of(line):
    return line.partition("//")[0]


def faults(path, names):
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if TESTS.match(line) and re.match(r"(?:pub(?:\([^)]*\))? )?mod \w+ \{", following):
            return
        code = code_of(line)
        if not ORDERED.search(code) or code.strip().startswith(("use ", "pub use ", "#[")):
            continue
        near = lines[max(0, number - LINES_ABOVE) : number + 1]
        comments = " ".join(line.partition("//")[2].lstrip("/! ") for line in near)
        partners = re.findall(r"\bpairs? with\b(.*?)(?::|\.\s|$)", comments)
        if not partners:
            yield number + 1, f"says no partner: {code.strip()}"
        for name in re.findall(r"`([^`]+)`", " ".join(partners)):
            last = re.split(r"::|\.", name.strip("&()"))[-1]
            if last not in names:
                yield number + 1, f"pairs with `{name}`, which is no name in the sources"


def main():
    listed = subprocess.check_output(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.rs"], text=True, cwd=ROOT)
    files = [name for name in listed.split() if name.startswith(tuple(crate + "/" for crate in CRATES)) and (ROOT / name).exists()]
    names = set()
    for name in files:
        for line in (ROOT / name).read_text().splitlines():
            names.update(re.findall(r"\w+", code_of(line)))
    bad = 0
    for name in files:
        if not LEFT_OUT.search("/" + name):
            for number, fault in faults(ROOT / name, names):
                print(f"{name}:{number}: {fault}")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
