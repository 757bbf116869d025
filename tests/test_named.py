"""Our NamedTuple beside typing's."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import typing
from typing import Any

import pytest

from amtdiag import named

DEFINITION = '''
class Point(NamedTuple):
    """A place."""

    x: int
    y: list[Unknown]
    """Unknown is nothing: annotations are not looked at."""
    name: str = "here"
    tags: tuple[str, ...] = ()

    far = 3

    @property
    def total(self):
        return self.x + self.far

    def __bool__(self):
        return self.x > 0
'''


def defined(base: type, definition: str = DEFINITION) -> Any:
    """The class of the definition, with annotations as they are in every module here."""
    space: dict[str, Any] = {"NamedTuple": base, "__name__": __name__}
    exec(compile(f"from __future__ import annotations\n{definition}", __name__, "exec"), space)
    return space["Point"]


Point = defined(named.NamedTuple)
Model = defined(typing.NamedTuple)
ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1, 2), {}),
    ((1,), {"y": [2], "tags": ("a",)}),
    ((), {"x": 0, "y": None, "name": "n"}),
    ((1, 2, "n", ("t",)), {}),
]


@pytest.mark.parametrize(("values", "names"), ARGUMENTS)
def test_an_instance_is_that_of_typing(values: tuple[Any, ...], names: dict[str, Any]) -> None:
    ours, theirs = Point(*values, **names), Model(*values, **names)
    assert tuple(ours) == tuple(theirs) == ours
    assert hash(tuple(map(str, ours))) == hash(tuple(map(str, theirs)))
    assert (repr(ours), bool(ours), ours.total) == (repr(theirs), bool(theirs), theirs.total)
    assert ours._asdict() == theirs._asdict()
    assert ours._replace(x=7, tags=1) == theirs._replace(x=7, tags=1)
    assert type(ours._replace(x=7)) is Point
    assert Point._make(iter(ours)) == ours
    assert [getattr(ours, field) for field in Point._fields] == list(theirs)
    assert copy.deepcopy(ours) == ours


@pytest.mark.parametrize(
    ("values", "names"), [((), {}), ((1,), {}), ((1, 2, 3, 4, 5), {}), ((1, 2), {"x": 3}), ((1, 2), {"z": 3})]
)
def test_arguments_that_do_not_fit(values: tuple[Any, ...], names: dict[str, Any]) -> None:
    for _ in range(2):  # before and after what makes instances is compiled
        fresh = defined(named.NamedTuple)
        for kind in (fresh, Model):
            with pytest.raises(TypeError, match="argument"):
                kind(*values, **names)


def test_a_class_is_that_of_typing() -> None:
    for name in ("_fields", "_field_defaults", "__match_args__", "__mro__", "__module__", "__slots__"):
        ours, theirs = getattr(Point, name), getattr(Model, name)
        assert str(ours) == str(theirs)
    assert Point.__doc__ == "A place."
    assert not hasattr(Point(1, 2), "__dict__")
    with pytest.raises(AttributeError):
        Point(1, 2).x = 3


def test_wrong_use_is_an_error_as_with_typing() -> None:
    for kind in (Point, Model):
        with pytest.raises(ValueError, match="'z'"):
            kind(1, 2)._replace(z=1)
        with pytest.raises(TypeError, match="4"):
            kind._make([1, 2, 3])


@pytest.mark.parametrize(
    "definition",
    ["class Point(NamedTuple):\n  x: int = 1\n  y: int", "class Point(NamedTuple, dict):\n  x: int"],
)
def test_definitions_that_are_none(definition: str) -> None:
    for base in (named.NamedTuple, typing.NamedTuple):
        with pytest.raises(TypeError):
            defined(base, definition)


def test_patterns_and_subclasses() -> None:
    class Far(Point):  # type: ignore[misc, valid-type] # made by exec
        """A place that is far."""

    match Far(5, 6):
        case Far(5, y=6, name="here"):
            pass
        case _:
            pytest.fail("no match")
    assert type(Far(1, 2)) is type(Far(1, 2)._replace(x=3)) is Far
    assert type(Point(1, 2)) is Point


def test_no_field_at_all_and_one() -> None:
    none = defined(named.NamedTuple, "class Point(NamedTuple):\n  pass")
    one = defined(named.NamedTuple, "class Point(NamedTuple):\n  x: int")
    assert (none(), one(3), one(x=[3])) == ((), (3,), ([3],))
    with pytest.raises(TypeError):
        none(1)


def test_pickles_open_in_another_process() -> None:
    again = pickle.loads(pickle.dumps(Point(1, [2])))
    assert (again, type(again)) == (Point(1, [2]), Point)
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()))"
    from amtdiag.config import Options

    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(Options(ports=(1,))), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == repr(Options(ports=(1,)))
