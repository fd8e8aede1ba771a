#!/usr/bin/env python3
"""Every acquire, release and fence says what it pairs with.

Fails for each line of code with `Ordering::Acquire`, `Release`, `AcqRel` or `SeqCst`, or with a call of `fence`, that has no comment
within the eight lines above it, or on it, in which the words "pairs with" or "pair with" stand. Tests, models and benches are left out:
what they order is explained by what they test.

    python3 .ci/orderings.py
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CRATES = ("moirai-core", "moirai-sync", "moirai-scheduler", "moirai-executor", "moirai-metrics", "moirai")
LEFT_OUT = re.compile(r"/(tests?|loom|examples|benches|conformance)(/|\.rs$)|test_executor\.rs$|/shim/|/queue/(double|tests)\.rs$")
ORDERED = re.compile(r"Ordering::(?:Acquire|Release|AcqRel|SeqCst)\b|\bfence\(")
TESTS = re.compile(r"^#\[cfg\((?:all\()?test\b")
LINES_ABOVE = 8


def faults(path):
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        if TESTS.match(line) and number + 1 < len(lines) and lines[number + 1].rstrip().endswith("{"):
            return
        code = line.partition("//")[0]
        if not ORDERED.search(code) or code.strip().startswith(("use ", "pub use ")):
            continue
        near = lines[max(0, number - LINES_ABOVE) : number + 1]
        comments = " ".join(line.partition("//")[2].lstrip("/! ") for line in near)
        if not re.search(r"\bpairs? with\b", comments):
            yield number + 1, code.strip()


def main():
    listed = subprocess.check_output(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.rs"], text=True, cwd=ROOT)
    bad = 0
    for name in listed.split():
        if not name.startswith(tuple(crate + "/" for crate in CRATES)) or LEFT_OUT.search("/" + name):
            continue
        for number, code in faults(ROOT / name):
            print(f"{name}:{number}: says no partner: {code}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
