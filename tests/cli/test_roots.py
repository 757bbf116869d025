"""`amtdiag roots`: the catalogue, whole and in part."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from helpers import ROOT, run

with (ROOT / "amtdiag" / "trust" / "roots.csv").open(encoding="utf-8", newline="") as table:
    ROWS = list(csv.DictReader(table))
"""The catalogue as it is stored, read without amtdiag."""


def listed(*words: str) -> Any:
    ran = run("roots", "--json", *words)
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def test_json_is_the_catalogue() -> None:
    found = listed()
    columns = found[0].keys() & ROWS[0].keys()
    assert len(columns) >= 16
    assert [{key: str(one[key]) for key in columns} for one in found] == [
        {key: row[key] for key in columns} for row in ROWS
    ]


def test_json_has_all_columns() -> None:
    assert list(listed()[0]) == list(ROWS[0])


def test_text_shows_every_root() -> None:
    text = run("roots").text
    assert all(row["name"] in text and row["sha256"] in text for row in ROWS)


@pytest.mark.parametrize("column", ["sha1", "sha256", "sha384"])
def test_a_digest_finds_its_root(column: str) -> None:
    row = next(row for row in ROWS if row[column])
    digest = row[column]
    for wanted in (digest, digest.upper(), ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))):
        assert [one["sha256"] for one in listed(wanted)] == [row["sha256"]]


def test_a_name_finds_its_roots_whatever_its_case() -> None:
    expected = [row["name"] for row in ROWS if "go daddy" in (row["name"] + row["mebx_name"]).lower()]
    assert expected
    assert [one["name"] for one in listed("Go dADDY")] == expected


def test_text_and_json_find_the_same() -> None:
    text = run("roots", "starfield").text
    assert [one["sha256"] for one in listed("starfield")] == [
        line.strip() for line in text.splitlines() if len(line.strip()) == 64 and line.startswith("    ")
    ]


def test_nothing_found() -> None:
    assert run("roots", "no such root") == (0, b"", "")
    assert listed("no such root") == []
