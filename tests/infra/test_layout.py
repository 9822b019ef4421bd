"""The layout of the Rust sources: no two files import each other, directly or through other files.

A file imports another one if it names an item of it by a path that begins with `crate::`, `self::` or `super::`, or
with the name of another crate of the workspace. A module and the files of its submodules are one unit for the
privacy rules of Rust, so they may name each other."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CRATES = {"onething": "src", "onething_hub": "hub/src", "onething_device": "device/src"}
PATH = re.compile(r"\b(crate|self|super|%s)((?:::(?:super\b|\w+))*)(::\{)?" % "|".join(CRATES))


def modules(folder):
    """The file of each module, by the path of the module in its crate."""
    found = {}
    for file in sorted((ROOT / folder).rglob("*.rs")):
        if file.stem == "tests" or file.stem.endswith("_tests") or "tests" in file.relative_to(ROOT).parts[1:-1]:
            continue
        parts = list(file.relative_to(ROOT / folder).with_suffix("").parts)
        if parts[-1] in ("mod", "lib", "main"):
            parts.pop()
        if file.stem != "main":
            found[tuple(parts)] = file
    return found


def code(file):
    """The text of a file without comments, strings and unit tests."""
    text = file.read_text(encoding="utf-8")
    text = re.split(r"(?m)^#\[cfg\((?:all\()?test\b", text)[0]
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', text)


def tree(text, at):
    """The paths of a braced list of imports that begins at `at`, and the position after the list."""
    paths, prefix, token = [], [], ""
    while True:
        c = text[at]
        at += 1
        if c == "{":
            inner, at = tree(text, at)
            paths += [prefix + path for path in inner]
            prefix, token = [], None
        elif c in ",}":
            if token is not None and (prefix or token.strip()):
                paths.append(prefix + [token.split(" as ")[0].strip()])
            prefix, token = [], ""
            if c == "}":
                return paths, at
        elif text[at - 1 : at + 1] == "::":
            prefix, token, at = prefix + [token.strip()], "", at + 1
        else:
            token = (token or "") + c


def named(text):
    """All paths that a file names, as lists of segments."""
    for match in PATH.finditer(text):
        head = [match[1], *match[2].split("::")[1:]]
        if match[3]:
            for tail in tree(text, match.end())[0]:
                yield head + tail
        else:
            yield head


def resolve(path, crate, module, trees):
    """The crate and the module that contain the item of the path."""
    first, rest = path[0], path[1:]
    if first in CRATES:
        crate, base = first, ()
    elif first == "crate":
        base = ()
    else:
        base = module if first == "self" else module[:-1]
    while rest and rest[0] == "super":
        base, rest = base[:-1], rest[1:]
    target = base + tuple(rest)
    while target and target not in trees[crate]:
        target = target[:-1]
    return crate, target


def imports():
    trees = {crate: modules(folder) for crate, folder in CRATES.items()}
    graph = {}
    for crate, files in trees.items():
        for module, file in files.items():
            edges = graph.setdefault((crate, module), set())
            for path in named(code(file)):
                other, target = resolve(path, crate, module, trees)
                inside = other == crate and (target[: len(module)] == module or module[: len(target)] == target)
                if not inside and target in trees[other]:
                    edges.add((other, target))
    return trees, graph


def circles(graph):
    """The strongly connected components of more than one file (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            component = stack[at:]
            del stack[at:]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def test_imports_are_found():
    text = 'use crate::a::{b::{C, d as e}, F};\nlet x = super::g::h();\n// crate::comment\n"crate::text"'
    found = {"::".join(path) for path in named(re.sub(r"//[^\n]*", "", text.replace('"crate::text"', '""')))}
    assert found == {"crate::a::b::C", "crate::a::b::d", "crate::a::F", "super::g::h"}
    assert circles({1: {2}, 2: {3}, 3: {1}, 4: {1}}) == [[1, 2, 3]]


def test_no_files_import_each_other():
    trees, graph = imports()
    assert sum(map(len, graph.values())) > 500, "too few imports were found"
    show = {(crate, module): str(file.relative_to(ROOT)) for crate, files in trees.items() for module, file in files.items()}
    found = []
    for circle in circles(graph):
        ties = [f"  {show[node]} -> {show[other]}" for node in circle for other in sorted(graph[node]) if other in circle]
        found.append("\n".join(["these files import each other:", *ties]))
    assert not found, "\n".join(found)
