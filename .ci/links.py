#!/usr/bin/env python3
"""What the README and the book name must exist.

Every relative link names a file; every chapter is in the summary; and every test and file that the guarantees and the page on soundness
cite is there: a list item `path`: `name`, `name` of these pages is held by functions of those names in that file.

    python3 .ci/links.py
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "docs/src"


def pages():
    listed = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], text=True, cwd=ROOT
    )
    names = [name for name in listed.split() if (ROOT / name).exists()]
    return [ROOT / name for name in names if "/" not in name or name.startswith("docs/src/")]


def anchors(page):
    """The anchors that a page's headings have."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for heading in re.findall(r"^#+ (.*)$", text, flags=re.M):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def broken_links(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.S)
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'][^)]*)?\)", text)
    targets += re.findall(r"^\[[^\]]+\]:\s*<?(\S+?)>?(?:\s.*)?$", text, flags=re.M)
    targets += re.findall(r"<(?:img|a)\b[^>]*?(?:src|href)=[\"']([^\"']+)", text)
    for target in targets:
        file, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        at = page.parent / file if file else page
        if not at.exists():
            yield f"broken link to {target}"
        elif anchor and at.suffix == ".md" and anchor not in anchors(at):
            yield f"there is no heading for {target}"


def is_test(name, source):
    """Whether a file has a test of this name, which is run."""
    found = re.search(rf"((?:^[ \t]*#\[[^\n]*\n)+)[ \t]*(?:pub )?fn {name}\b", source, flags=re.M)
    return bool(found and "#[test]" in found.group(1) and "#[ignore" not in found.group(1))


def broken_citations(page):
    for item in re.findall(r"^[ \t]*[-*] (.*?)(?=^[ \t]*[-*] |^\s*$)", page.read_text() + "\n", flags=re.S | re.M):
        source, folder = None, page.parent
        for name in re.findall(r"`([^`\s]+)`", item):
            if "/" in name or name.endswith((".rs", ".txt")):
                source = ROOT / name if "/" in name else folder / name
                folder = source.parent
                if not source.exists():
                    yield f"there is no file {name}"
                    source = None
            elif source and source.is_file() and re.fullmatch(r"[a-z][a-z0-9_]+", name):
                if not is_test(name, source.read_text()):
                    yield f"{source.relative_to(ROOT)} has no test {name}, or ignores it"


def main():
    summary = (BOOK / "SUMMARY.md").read_text()
    bad = 0
    for page in pages():
        faults = list(broken_links(page))
        if page.is_relative_to(BOOK) and page.name != "SUMMARY.md":
            if f"({page.relative_to(BOOK)})" not in summary:
                faults.append("is not in the summary")
        if page.name in ("guarantees.md", "soundness.md"):
            faults += broken_citations(page)
        for fault in faults:
            print(f"{page.relative_to(ROOT)}: {fault}")
        bad += len(faults)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
