#!/usr/bin/env python3
"""Check what keeps the code a good house: exit with 1, and say where, if one of these does not hold.

No modules import each other in a circle, imports within functions included. No two classes share a name.
Nothing is evaluated from text. No identifier, comment or docstring has an archaic word, and a limit is a MAX.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "amtdiag"
FORBIDDEN_CALLS = frozenset({"eval", "exec"})
MAX_LOOPS_OVER_ONE = 350
"""Loop variables that are called `one`, an item without a name: of 712 these are left."""

# In comments, docstrings and identifiers. What users read has a style guide and a pass of its own.
ODD_WORDS = re.compile(
    r"""
    \b(?:whither|whence|hither|thither|hence|thence|henceforth|thereof|thereby|therein|thereto|wherein|whereof
    |whereupon|whereby|herein|hereby|hereof|heretofore|nought|aught|lest|ere|oft|betwixt|amongst|whilst|unto
    |upon|for\ want\ of|lets?\ go\ of|letting\ go\ of|in\ vain|as\ it\ were|of\ old|nobody|somebody)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
ODD_NAMES = re.compile(
    r"(?:^|_)(?:told|tell|teller|tells|said|says|saying|talk|talks|talking|heard|hear|spoken|speaks|shaken|mouth|ear|ears|nobody"
    r"|somebody|hands|crew|whom|thing|things|bag|stuff|vain)(?:_|$)",
    re.IGNORECASE,
)
OLD_LIMIT = re.compile(r"^_?(?:MOST|LEAST)_")


def modules() -> dict[str, ast.Module]:
    """Every module of the package, by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text("utf-8"), filename=str(path))
    return found


def imports(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """Which modules each module imports, wherever in it."""
    found: dict[str, set[str]] = {}
    for name, tree in trees.items():
        wanted = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    wanted.add(inner if inner in trees else node.module)
        found[name] = {module for module in wanted if module in trees and module != name}
    return found


def circles(graph: Mapping[str, Iterable[str]]) -> Iterator[list[str]]:
    """Yield the strongly connected groups of more than one module (Tarjan's algorithm)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[list[str]]:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in number:
                yield from visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], number[other])
        if lowest[module] == number[module]:
            place = stack.index(module)
            group = stack[place:]
            del stack[place:]
            if len(group) > 1:
                yield sorted(group)

    for module in sorted(graph):
        if module not in number:
            yield from visit(module)


def import_circles(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Say which modules import each other in a circle."""
    for group in circles(imports(trees)):
        yield f"import circle: {' <-> '.join(group)}"


def twice_named(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Say which class names stand in more than one place."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{module}:{node.lineno}")
    for name, found in sorted(places.items()):
        if len(found) > 1:
            yield f"class {name} stands {len(found)} times: {', '.join(found)}"


def evaluated(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Say where text is evaluated as code, or `eval` is handed to something that would."""
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in FORBIDDEN_CALLS:
                yield f"{module}:{node.lineno}: {node.id}"


def names_of(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the names that a module defines: functions, classes, parameters, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def shown_to_users(tree: ast.Module) -> set[ast.Expr]:
    """Docstrings of rules and of their `look`, which `amtdiag explain` prints."""
    shown = set()
    for rule in ast.walk(tree):
        if isinstance(rule, ast.ClassDef) and any(
            ast.unparse(mark) == "rule" for mark in rule.decorator_list
        ):
            looks = [part for part in rule.body if isinstance(part, ast.FunctionDef) and part.name == "look"]
            shown |= {part.body[0] for part in (rule, *looks) if isinstance(part.body[0], ast.Expr)}
    return shown


def docstrings_of(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield docstrings, those of fields and constants too, but for those that users read."""
    shown = shown_to_users(tree)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
            and node not in shown
        ):
            yield node.value.value, node.lineno


def comments_of(path: Path) -> Iterator[tuple[str, int]]:
    """Yield comments."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.string, token.start[0]


def odd_words(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Say where a comment, a docstring or a name has an odd or archaic word."""
    for module, tree in trees.items():
        path = ROOT.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        for text, line in (*docstrings_of(tree), *comments_of(path)):
            for match in ODD_WORDS.finditer(text):
                yield f"{module}:{line + text.count(chr(10), 0, match.start())}: word {match[0]!r}"
        for name, line in sorted(set(names_of(tree))):
            if ODD_NAMES.search(name):
                yield f"{module}:{line}: name {name!r}"


def old_limits(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Say where a limit is not called MAX or MIN."""
    for module, tree in trees.items():
        for name, line in sorted(set(names_of(tree))):
            if OLD_LIMIT.match(name):
                yield f"{module}:{line}: limit {name}"


def loops_over_one(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Say where a loop variable has no better name than `one`, once there are too many of them."""
    found = []
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.For | ast.comprehension):
                found += [
                    f"{module}:{name.lineno}: loop over 'one'"
                    for name in ast.walk(node.target)
                    if isinstance(name, ast.Name) and name.id == "one"
                ]
    if len(found) > MAX_LOOPS_OVER_ONE:
        yield from found


CHECKS = (import_circles, twice_named, evaluated, odd_words, old_limits, loops_over_one)


def main() -> int:
    """Run all checks, or those named on the command line."""
    trees = modules()
    wanted = set(sys.argv[1:])
    bad = 0
    for check in CHECKS:
        if not wanted or check.__name__ in wanted:
            lines = list(check(trees))
            print(*lines, sep="\n", end="\n" if lines else "")
            print(f"{check.__name__.replace('_', ' ')}: {len(lines)}")
            bad += len(lines)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
