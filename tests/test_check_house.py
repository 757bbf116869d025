"""The checks of the house find what they are there for, and the house passes them."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from helpers import ROOT


def load() -> Any:
    spec = importlib.util.spec_from_file_location("check_house", ROOT / "tools" / "check_house.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


house = load()
Check = Callable[[Mapping[str, ast.Module]], Iterator[str]]


def trees(**sources: str) -> dict[str, ast.Module]:
    return {f"a.{name}": ast.parse(source) for name, source in sources.items()}


@pytest.mark.parametrize(
    ("check", "sources", "expected"),
    [
        (
            "import_circles",
            {
                "b": "import a.c",
                "c": "def late():\n    from a import d",
                "d": "from a.b import name",
                "e": "import a.b",
            },
            ["import circle: a.b <-> a.c <-> a.d"],
        ),
        (
            "twice_named",
            {"b": "class Row: pass\nclass Other: pass", "c": "def f():\n    class Row: pass"},
            ["class Row stands 2 times: a.b:1, a.c:2"],
        ),
        ("evaluated", {"b": "submit(eval, text)", "c": "evaluate(text)"}, ["a.b:1: eval"]),
        ("old_limits", {"b": "_MOST_ROWS = 3\nMAX_ROWS = 3"}, ["a.b:1: limit _MOST_ROWS"]),
    ],
)
def test_a_check_finds_its_fault(check: str, sources: dict[str, str], expected: list[str]) -> None:
    assert list(getattr(house, check)(trees(**sources))) == expected


def test_loops_over_one_are_counted() -> None:
    loops = trees(b="\n".join(["[one for one in x]"] * (house.MAX_LOOPS_OVER_ONE + 1)))
    assert len(list(house.loops_over_one(loops))) == house.MAX_LOOPS_OVER_ONE + 1
    assert not list(house.loops_over_one(trees(b="[one for one in x]")))


@pytest.mark.parametrize("text", ["whence it came", "Nobody answers", "it is let go of", "asked in vain"])
def test_archaic_words(text: str) -> None:
    assert house.ODD_WORDS.search(text)


@pytest.mark.parametrize("name", ["told", "_said", "is_spoken_to", "vain_lookups"])
def test_odd_names(name: str) -> None:
    assert house.ODD_NAMES.search(name)


@pytest.mark.parametrize("name", ["toll", "unsaid", "hearing", "years", "nearby", "talkative"])
def test_names_that_are_not_odd(name: str) -> None:
    assert not house.ODD_NAMES.search(name)
