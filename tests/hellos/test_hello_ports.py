"""Hellos on ports that a user names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hello_truth import BY_NAME, build, hellos, judge
from shapes import SHAPES, Shape


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.extra_ports], ids=lambda shape: shape.name)
def test_port_means_nothing_until_it_is_named(
    shape: Shape, capsys: pytest.CaptureFixture[str], tmp_path: Path, need: Callable[[str], Path]
) -> None:
    assert hellos(capsys, build(shape, tmp_path, need)) == []


def test_naming_a_port_leaves_the_usual_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, need: Callable[[str], Path]
) -> None:
    shape = BY_NAME["plain"]
    judge(shape, hellos(capsys, ["--port", "40001", *build(shape, tmp_path, need)]))
