"""Who imports whom: reads the sources of a crate and gives the files that each file imports.

A path is followed through re-exports to the file that defines what it names, so that `use super::Key` counts as an import of the
file that has `struct Key`, and not of the `mod.rs` that passes it on. Tests, models and comments are left out.
"""

import re
from pathlib import Path

# What is no code, in one pass, so that neither a comment in a string nor a quote in a comment misleads.
NO_CODE = re.compile(
    r"//[^\n]*|/\*.*?\*/"
    r'|b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"'
    r"|b?'(?:\\(?:x..|u\{[^}]*\}|.)|[^'\\\n])'",
    re.S,
)
USE = re.compile(r"(?:^|\n)\s*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);")
TEST_MODULE = re.compile(r"#\[cfg\((?:test|doctest|all\(test,[^\n]*\))\)\]\s*(?:pub(?:\([^)]*\))?\s+)?(?:mod|fn)\s+\w+[^;{]*\{")
# `crate::a::B`, `super::a::B` outside of a `use`.
INLINE = re.compile(r"(?<![\w:])(\$?crate|super|self)((?:::\w+)+)")
DEFINITION = re.compile(
    r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:unsafe\s+|const\s+|async\s+)*"
    r"(?:(?:fn|struct|enum|union|trait|type|static|const|impl)\b|macro_rules!)",
    re.M,
)
TYPE = re.compile(r"\b(?:struct|enum|union|trait)\s+(\w+)")
FUNCTION = re.compile(r"\bfn\s+(\w+)")
VISIBLE_FUNCTION = re.compile(r"\bpub\s+(?:const\s+|unsafe\s+|async\s+)*fn\s+(\w+)")
# `impl Type {`, `impl<T> Type<T> where … {`, but not `impl Trait for Type {`.
INHERENT = re.compile(r"^impl(?:<[^{;]*?>)?\s+(\w+)(?:<[^{;]*?>)?\s*(?:where[^{]*)?\{", re.M)
LEFT_OUT = {"tests", "loom", "test_executor", "guide"}


VISIBILITY = re.compile(r"\bpub\((?:crate|super|self|in [\w:]+)\)")


def strip(text):
    """The code without comments, strings, visibilities and test modules."""
    text = NO_CODE.sub(lambda match: "" if match.group(0).startswith("/") else '""', text)
    text = VISIBILITY.sub("pub", text)
    while match := TEST_MODULE.search(text):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        text = text[: match.start()] + text[end:]
    return text


def expand(tree):
    """`a::{b, c::{self, d as e}}` as [(["a", "b"], "b"), …]: paths, and the names under which they are known."""
    tree = tree.strip()
    head, brace, rest = tree.partition("{")
    if not brace:
        path, _, alias = tree.partition(" as ")
        path = [part.strip() for part in path.strip().split("::")]
        name = alias.strip() or path[-1]
        if path[-1] == "self":
            path = path[:-1]
            name = alias.strip() or path[-1]
        return [(path, name)]
    prefix = [part for part in head.strip().split("::") if part]
    items, depth, item = [], 0, ""
    for char in rest[: rest.rindex("}")]:
        if char == "," and depth == 0:
            items.append(item)
            item = ""
            continue
        depth += {"{": 1, "}": -1}.get(char, 0)
        item += char
    items.append(item)
    found = []
    for part in items:
        if part.strip() == "self":
            found.append((prefix, prefix[-1]))
        elif part.strip():
            found += [(prefix + path, name) for path, name in expand(part)]
    return found


class Crate:
    """The modules of one crate: `files` maps a module's path, a tuple of names, to its file below `src`."""

    def __init__(self, source):
        self.source = Path(source)
        self.files, self.code, self.uses = {}, {}, {}
        for file in sorted(self.source.rglob("*.rs")):
            relative = file.relative_to(self.source)
            parts = relative.with_suffix("").parts
            if LEFT_OUT & set(parts) or parts[0] == "bin" or parts == ("main",):
                continue
            module = parts[:-1] if parts[-1] in ("mod", "lib") else parts
            self.files[module] = str(relative)
            self.code[module] = strip(file.read_text())
        for module, code in self.code.items():
            self.uses[module] = [
                (bool(match.group(1)), path, name)
                for match in USE.finditer(code)
                for path, name in expand(match.group(2))
            ]

    def absolute(self, module, path):
        """A path as the crate's root sees it; None if it leads out of the crate."""
        if path[0] in ("crate", "$crate"):
            return path[1:]
        here = list(module)
        path = list(path)
        if path[0] in ("super", "self"):
            while path and path[0] in ("super", "self"):
                if path.pop(0) == "super":
                    here = here[:-1]
            return here + path
        if tuple(here + [path[0]]) in self.files:
            return here + path
        return None

    def target(self, path, seen=()):
        """The module that defines what an absolute path names."""
        module = []
        while len(module) < len(path) and tuple(module + [path[len(module)]]) in self.files:
            module.append(path[len(module)])
        module = tuple(module)
        rest = path[len(module) :]
        if not rest or (module, rest[0]) in seen:
            return module if module in self.files else None
        for public, used, name in self.uses.get(module, []):
            if name == rest[0] and (absolute := self.absolute(module, used)) is not None:
                if tuple(absolute) != module + (rest[0],):
                    return self.target(absolute + list(rest[1:]), seen + ((module, rest[0]),))
        return module if module in self.files else None

    def imports(self):
        """{file: {file that it imports: the path by which it does}}."""
        graph = {}
        for module, code in self.code.items():
            mine = graph.setdefault(self.files[module], {})
            # A table of contents passes on what its files define. One that defines something itself is a file like any other.
            table = self.is_table(module) and not DEFINITION.search(code)
            body = USE.sub("", code)
            paths = [used for _, used, _ in self.uses[module]]
            paths += [[m.group(1).strip("$")] + m.group(2).split("::")[1:] for m in INLINE.finditer(body)]
            for path in paths:
                absolute = self.absolute(module, path)
                if absolute is None or (table and tuple(absolute[: len(module)]) == module):
                    continue
                found = self.target(absolute)
                if found is not None and found != module:
                    mine.setdefault(self.files[found], "::".join(path))
        for method, found in self.extensions().items():
            call = re.compile(rf"(?:\.|::){method}\b")
            for module, code in self.code.items():
                if module != found and call.search(code):
                    graph[self.files[module]].setdefault(self.files[found], f".{method}()")
        return graph

    def extensions(self):
        """Methods that are defined for a type in another file than the type: {method: file}. A file that calls one uses that file, though no
        import says so. Methods whose names are not unique in the crate are left out."""
        types, methods, count = {}, {}, {}
        for module, code in self.code.items():
            for match in TYPE.finditer(code):
                types.setdefault(match.group(1), set()).add(module)
            for match in FUNCTION.finditer(code):
                count[match.group(1)] = count.get(match.group(1), 0) + 1
        for module, code in self.code.items():
            for match in INHERENT.finditer(code):
                home = types.get(match.group(1), set())
                if not home or module in home:
                    continue
                depth, end = 1, match.end()
                while depth and end < len(code):
                    depth += {"{": 1, "}": -1}.get(code[end], 0)
                    end += 1
                for method in VISIBLE_FUNCTION.finditer(code[match.end() : end]):
                    if count[method.group(1)] == 1:
                        methods[method.group(1)] = module
        return methods

    def is_table(self, module):
        """Whether a module's file is a table of contents: `lib.rs` or a `mod.rs`. The compiler wants the macros of a crate of macros in
        its `lib.rs`."""
        return self.files[module].endswith(("lib.rs", "mod.rs")) and "#[proc_macro" not in self.code[module]

    def renamed_roots(self):
        """Files that give `crate`, `super` or `self` another name, by which imports could not be followed."""
        for module, code in self.code.items():
            if re.search(r"\buse\s+(?:crate|super|self)\s+as\b", code):
                yield self.files[module]

    def definitions_in_tables(self):
        """Tables of contents that define something, with the first line that does."""
        for module, code in self.code.items():
            if self.is_table(module) and (found := DEFINITION.search(code)):
                yield self.files[module], found.group(0).strip()


def circles(graph):
    """The strongly connected components of more than one node (Tarjan)."""
    index, low, stack, on, found = {}, {}, [], set(), []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on.add(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = []
            while True:
                component.append(stack.pop())
                on.discard(component[-1])
                if component[-1] == node:
                    break
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return found
