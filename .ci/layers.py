#!/usr/bin/env python3
"""Holds the imports of every crate to the order in `layers.txt`, and draws them.

    python3 .ci/layers.py          # checks: imports against the order, circles, definitions in tables of contents, stale drawings
    python3 .ci/layers.py draw     # draws the page docs/src/architecture/imports.md and its figures anew
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from imports import Crate, circles  # noqa: E402

ROOT = Path(__file__).parent.parent
RULES = ROOT / ".ci" / "layers.txt"
PAGE = ROOT / "docs" / "src" / "architecture" / "imports.md"
FIGURES = ROOT / "docs" / "src" / "figures"


class Section:
    """A crate, or a folder of one, and the order of what is in it: `rows` from top to bottom."""

    def __init__(self, name):
        self.name, self.rows = name, []

    def entry_of(self, file, folder):
        """The entry to which a file below `folder` belongs; None if the file is not there, or is the folder's table of contents."""
        if folder and not file.startswith(folder + "/"):
            return None
        entry = file[len(folder) + 1 if folder else 0 :].split("/")[0].removesuffix(".rs")
        return None if entry in ("lib", "mod") else entry

    def row_of(self, entry):
        return next((number for number, row in enumerate(self.rows) if entry in row), None)


def read_rules():
    sections = []
    for line in RULES.read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("["):
            sections.append(Section(line.strip("[]")))
        elif line:
            sections[-1].rows.append(line.split())
    return sections


def crate_of(name, crates):
    """The crate of a section, and the folder in it: `moirai-executor/task` is the folder `task` of `moirai-executor`."""
    home = max((crate for crate in crates if name == crate or name.startswith(crate + "/")), key=len)
    return home, name[len(home) + 1 :]


def entries_and_edges(section, folder, graph):
    """The entries of a section with their numbers of files, and the imports between them: {(from, to): [what imports what]}."""
    sizes, edges = {}, {}
    for file, imported in graph.items():
        entry = section.entry_of(file, folder)
        if entry is None:
            continue
        sizes[entry] = sizes.get(entry, 0) + 1
        for other, path in imported.items():
            target = section.entry_of(other, folder)
            if target is not None and target != entry:
                edges.setdefault((entry, target), []).append((file, other, path))
    return sizes, edges


def check(sections, graphs):
    faults = []
    for section in sections:
        crate, folder = crate_of(section.name, graphs)
        sizes, edges = entries_and_edges(section, folder, graphs[crate])
        listed = {entry for row in section.rows for entry in row}
        faults += [f"{section.name}: {entry} is not in .ci/layers.txt" for entry in sorted(set(sizes) - listed)]
        faults += [f"{section.name}: {entry} is in .ci/layers.txt and not in the sources" for entry in sorted(listed - set(sizes))]
        for (entry, target), imports in sorted(edges.items()):
            above, below = section.row_of(entry), section.row_of(target)
            if above is None or below is None or above < below:
                continue
            where = "beside" if above == below else "above"
            for file, other, path in imports:
                faults.append(f"{crate}/src/{file} imports {other} ({path}), but {target} stands {where} {entry} in [{section.name}]")
    return faults


def draw_section(section, folder, graph):
    """One figure: a row of boxes for each line of the section, and an arrow for each import. Arrows that others imply are pale."""
    sizes, edges = entries_and_edges(section, folder, graph)
    height, gap, character = 30, 46, 7.4
    label = {entry: f"{entry}/ {size}" if size > 1 else entry for entry, size in sizes.items()}
    widths = {entry: len(text) * character + 22 for entry, text in label.items()}
    rows = [[entry for entry in row if entry in sizes] for row in section.rows]
    rows = [row for row in rows if row]
    total = max(sum(widths[entry] for entry in row) + 18 * (len(row) - 1) for row in rows) + 48
    boxes = {}
    for number, row in enumerate(rows):
        left = (total - sum(widths[entry] for entry in row) - 18 * (len(row) - 1)) / 2
        for entry in row:
            boxes[entry] = (left, 24 + number * (height + gap))
            left += widths[entry] + 18
    bottom = 24 + len(rows) * (height + gap) - gap + 24

    below = {}

    def reach(entry):
        if entry not in below:
            below[entry] = set()
            for origin, target in edges:
                if origin == entry:
                    below[entry] |= {target} | reach(target)
        return below[entry]

    def implied(origin, target):
        return any(start == origin and end != target and target in reach(end) for start, end in edges)

    def spread(entry, index, count):
        return boxes[entry][0] + widths[entry] * (index + 1) / (count + 1)

    lines = []
    for origin, target in sorted(edges, key=lambda edge: not implied(*edge)):
        outgoing = sorted((end for start, end in edges if start == origin), key=lambda end: boxes[end][0])
        incoming = sorted((start for start, end in edges if end == target), key=lambda start: boxes[start][0])
        x1 = spread(origin, outgoing.index(target), len(outgoing))
        x2 = spread(target, incoming.index(origin), len(incoming))
        y1, y2 = boxes[origin][1] + height, boxes[target][1]
        bend = min(40, (y2 - y1) / 2)
        pale = ' class="implied"' if implied(origin, target) else ""
        lines.append(f'  <path{pale} d="M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"/>')
    for entry, (x, y) in boxes.items():
        lines.append(f'  <rect x="{x:.0f}" y="{y:.0f}" width="{widths[entry]:.0f}" height="{height}" rx="4"/>')
        lines.append(f'  <text x="{x + widths[entry] / 2:.0f}" y="{y + 20:.0f}">{label[entry]}</text>')
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{total:.0f}" height="{bottom:.0f}" viewBox="0 0 {total:.0f} {bottom:.0f}" role="img" font-family="system-ui, sans-serif" font-size="13">',
            f"  <title>Imports inside {section.name}: every arrow points down</title>",
            "  <defs>",
            '    <marker id="to" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="6" markerHeight="6" orient="auto">',
            '      <path d="M0 0 L10 5 L0 10 z" style="fill: #555; stroke: none"/>',
            "    </marker>",
            "    <style>",
            "      rect { fill: #fff; stroke: #345; stroke-width: 1.2; }",
            "      .back { fill: #fafafa; stroke: none; }",
            "      text { fill: #123; text-anchor: middle; }",
            "      path { fill: none; stroke: #555; stroke-width: 1.1; marker-end: url(#to); }",
            "      path.implied { stroke: #c9d0d8; marker-end: none; }",
            "    </style>",
            "  </defs>",
            f'  <rect class="back" width="{total:.0f}" height="{bottom:.0f}"/>',
            *lines,
            "</svg>",
            "",
        ]
    )


def figure_name(section):
    return "imports-" + section.name.replace("/", "-") + ".svg"


def drawings(sections, graphs):
    """The page and its figures: {path: text}."""
    files = {}
    text = [
        "# Who imports whom",
        "",
        "In each crate imports run one way: a file or folder imports only what stands on a line below its own. What is shared stands at the",
        "bottom and knows nothing that acts on it. The order is in `.ci/layers.txt`; `.ci/run` fails on an import against it, and this page is",
        "drawn from the sources by `python3 .ci/layers.py draw`.",
        "",
        "A box is a file, or a folder with its number of files. An arrow is an import, followed through re-exports to the file that defines",
        "what is imported; a call of a method that another file adds to a type counts as one. Pale lines are imports that others imply.",
        "",
        "| crate | files | imports between them | circles |",
        "| --- | --- | --- | --- |",
    ]
    for crate, graph in graphs.items():
        count = sum(len(imported) for imported in graph.values())
        text.append(f"| `{crate}` | {len(graph)} | {count} | {len(circles(graph))} |")
    for section in sections:
        crate, folder = crate_of(section.name, graphs)
        files[FIGURES / figure_name(section)] = draw_section(section, folder, graphs[crate])
        title = f"`{crate}`, folder `{folder}`" if folder else f"`{crate}`"
        text += ["", f"## {title}", "", f"![Imports inside {section.name}](../figures/{figure_name(section)})"]
    files[PAGE] = "\n".join(text) + "\n"
    return files


def members():
    """The crates of the workspace, without the examples."""
    listed = re.search(r"^members = \[(.*?)\]", (ROOT / "Cargo.toml").read_text(), re.S | re.M).group(1)
    return [name for name in re.findall(r'"([^"]+)"', listed) if "/examples/" not in name]


def main():
    sections = read_rules()
    # A section is a crate if it has a manifest of its own.
    crates = {section.name: Crate(ROOT / section.name / "src") for section in sections if (ROOT / section.name / "Cargo.toml").exists()}
    graphs = {name: crate.imports() for name, crate in crates.items()}
    files = drawings(sections, graphs)
    if sys.argv[1:] == ["draw"]:
        for path, text in files.items():
            path.write_text(text)
        return 0
    if sys.argv[1:]:
        print(__doc__)
        return 2
    faults = check(sections, graphs)
    faults += [f"{name} is a crate of the workspace without an order in .ci/layers.txt" for name in members() if name not in crates]
    for name, graph in graphs.items():
        faults += [f"{name}: these files import each other in a circle: {', '.join(circle)}" for circle in circles(graph)]
        faults += [
            f"{name}/src/{file} is a table of contents, and defines something: {found}"
            for file, found in crates[name].definitions_in_tables()
        ]
        faults += [
            f"{name}/src/{file} gives `crate`, `super` or `self` another name: write the path in full"
            for file in crates[name].renamed_roots()
        ]
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    faults += [f"{path.relative_to(ROOT)} is not what the sources say: run `python3 .ci/layers.py draw`" for path in stale]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
