"""The comparison of `tools/same_results.py`: new keys are allowed, and nothing else."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from helpers import SAMPLES

from amtdiag.pipeline import diagnose
from amtdiag.report.formats.html import render_page
from amtdiag.report.formats.json import finding_json
from amtdiag.times import rfc3339


@pytest.fixture(scope="module")
def tool() -> Any:
    name = "same_results"
    spec = spec_from_file_location(name, Path(__file__).parents[1] / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_new_keys_are_no_difference(tool: Any) -> None:
    found = tool.compare_json(
        {"devices": [{"id": 1}, {"id": 2}]},
        {"devices": [{"id": 1, "mac": 3}, {"id": 2, "mac": 4}], "of": {"x": 1}},
    )
    assert found.differences == []
    assert found.new_keys == {"devices[].mac", "of"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"a": {"b": 1}}, {"a": {}}, "a.b: gone, was 1"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, "a[0].b: 1 -> 2"),
        ({"a": [1]}, {"a": [1, 2]}, "a: 1 elements, now 2"),
        ({"a": 1}, {"a": True}, "a: 1 -> true"),
        ({"a": 1}, {"a": 1.0}, "a: 1 -> 1.0"),
        ({"a": None}, {"a": ""}, 'a: null -> ""'),
        ([], {}, "document: [] -> {}"),
    ],
)
def test_all_else_is_a_difference(tool: Any, old: Any, new: Any, said: str) -> None:
    found = tool.compare_json(old, new)
    assert found.differences == [said]
    assert found.new_keys == set()


def test_lines_that_differ_are_shown_where_they_part(tool: Any) -> None:
    assert tool.compare_texts("a\nb\n", "a\nb\n").differences == []
    assert tool.compare_texts("a\nb\n", "a\nc\n").differences == ["line 2: 'b' -> 'c'"]
    assert tool.compare_texts("a\n", "a\nb\n").differences == ["line 2: (no line) -> 'b'"]
    (long,) = tool.compare_texts("x" * 900 + "old", "x" * 900 + "new").differences
    assert "old" in long
    assert "new" in long
    assert len(long) < 400


def test_the_version_and_the_kernel_are_left_out(tool: Any) -> None:
    one = {"schema": 1, "tool": {"version": "1.0", "kernel": "c"}}
    other = {"schema": 1, "tool": {"version": "1.1", "kernel": "python"}}
    assert tool.without_tool(one) == tool.without_tool(other)


def test_folders_of_results(tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, verdict, extra in ((old, "stuck", {}), (new, "fine", {"more": 1})):
        one = folder / "sample_pcaps+lab+nat.pcapng"
        one.mkdir(parents=True)
        (one / "terminal.txt").write_text(verdict, encoding="utf-8")
        (one / "analyze.json").write_text(json.dumps({"a": 1, **extra}), encoding="utf-8")
        (folder / "skipped.json").write_text("{}", encoding="utf-8")
    (old / "sample_pcaps+lab+nat.pcapng" / "hellos.txt").touch()
    differing, new_keys = tool.compare_folders(old, new, 3, [])
    assert differing == {"terminal.txt": 1, "hellos.txt": 1}
    assert new_keys == {"analyze.json": {"more"}}
    assert "sample_pcaps/lab/nat.pcapng: terminal.txt: 1 differences" in capsys.readouterr().out


def test_the_data_of_a_page_is_decoded_however_it_is_coded(tool: Any) -> None:
    found = diagnose([SAMPLES / "connect-back-refused.pcapng"])
    data = tool.page_data("".join(render_page(found)))
    assert [one["id"] for one in data["devices"]] == [one.id for one in found.devices]
    assert [one["first_seen"] for one in data["devices"]] == [
        rfc3339(one.first_seen) for one in found.devices
    ]
    assert [one["summary"] for one in data["findings"]] == [one.summary for one in found.findings]
    for shown, finding in zip(data["findings"], map(finding_json, found.findings), strict=True):
        assert shown["evidence"] == finding["evidence"]
    plain = f'<script type="application/json" id="model">{json.dumps(data)}</script>'
    assert tool.page_data(plain) == data
