"""Tables: their types, with and without rows; what they say; hostile text in them and in their CSV."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from diagnoses import (
    EMPTY,
    SERVER,
    START,
    TABLES,
    Story,
    address,
    device_story,
    fleet,
    harmless,
    hostile_diagnosis,
    texts,
)
from helpers import MAC, AnyEvent, back, capture, coverage, gather, lease, lookup, pong, replace
from hypothesis import given, settings
from hypothesis import strategies as st

from amtdiag import tables
from amtdiag.devices.build import follow
from amtdiag.model import (
    SEVERITIES,
    Diagnosis,
    Finding,
    Stage,
)
from amtdiag.protocols.ports import HELLO_PORTS
from amtdiag.report.formats.json import analysis_lines
from amtdiag.safetext import plain
from amtdiag.times import SECOND

# ------------------------------------------------------------------------------------------------------ types

TIMES = {"ts", "first_ts", "last_ts", "first_seen", "last_seen"}
ORDERED = {"state", "severity", "worst", "mode", "stage", "verdict", "confidence"}
WORDS = {"type", "hello_type", "mode_basis", "category", "basis", "event", "outcome"} | ORDERED
TRUTHS = {"pid_check_ok", "admin_credentials_set", "complete", "stage_passed", "truncated"}
TRUTHS |= {"sees_device_to_server", "sees_server_to_device"}


def expected_type(column: str) -> str:
    if column in TIMES:
        return "datetime64[ns, UTC]"
    if column in WORDS:
        return "category"
    if column in TRUTHS:
        return "boolean"
    return "Float64" if column.endswith("_s") else "string or Int64"


@pytest.mark.parametrize("diagnosis", [EMPTY, fleet(1), fleet(8)], ids=["empty", "one", "eight"])
@pytest.mark.parametrize("table", TABLES)
def test_column_types(table: str, diagnosis: Diagnosis) -> None:
    made = TABLES[table](diagnosis)
    assert len(made.columns)
    assert len(made) or diagnosis is EMPTY
    for column, dtype in made.dtypes.items():
        assert str(dtype) in expected_type(str(column)), column
        if isinstance(dtype, pd.CategoricalDtype):
            assert dtype.ordered == (column in ORDERED), column


@pytest.mark.parametrize("table", TABLES)
def test_types_do_not_depend_on_rows(table: str) -> None:
    empty, full = TABLES[table](EMPTY), TABLES[table](fleet(4))
    assert len(empty) == 0
    pd.testing.assert_series_equal(empty.dtypes, full.dtypes)


def test_vocabularies_are_those_of_the_model() -> None:
    devices = tables.devices(EMPTY)
    assert list(devices["stage"].cat.categories) == list(get_args(Stage))
    assert list(devices["worst"].cat.categories) == list(SEVERITIES)
    findings = tables.findings(fleet(8))
    assert (findings["severity"] >= "warning").sum() == sum(f.severity != "info" for f in fleet(8).findings)


# ---------------------------------------------------------------------------------------------- what they say


def test_one_refused_device() -> None:
    found = fleet(1, hellos=3)
    hellos = tables.hellos(found)
    assert hellos["retry_count"].tolist() == [0, 1, 2]
    assert hellos["gap_s"].tolist() == [pd.NA, 21.0, 31.0]
    assert hellos["ts"][0].value == START
    assert hellos["unknown_digests"].tolist() == [3, 3, 3]
    digests = tables.digests(found)
    assert len(digests) == 9
    assert digests["hello"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert digests["digest"][1] == "02" * 32
    device = tables.devices(found).iloc[0]
    assert (device["cause"], device["worst"], device["mode"]) == ("connect-back-refused", "error", "setup")
    assert (device["gap_median_s"], device["gap_max_s"], device["last_retry"]) == (26.0, 31.0, 2)
    events = tables.events(found)
    assert events["ts"].is_monotonic_increasing
    assert events["event"].value_counts().to_dict() == {
        "connect_back": 15,
        "hello": 3,
        "connection": 3,
        "console": 0,
        "scanner": 0,
        "presence": 0,
        "dhcp": 0,
        "dns": 0,
        "rmcp": 0,
        "other": 0,
    }
    assert set(events["device"]) == {found.devices[0].id}
    assert tables.captures(found)["packets"].tolist() == [36]


def test_events_belong_to_the_devices_that_the_diagnosis_gave_them_to() -> None:
    story = Story()
    for device in range(14):
        device_story(story, device + 1, START + device * SECOND, device % 7)
    story.link(address(90), address(91), 16993, START, "refused")
    story.link(address(3), "203.0.113.9", 4433, START + 400 * SECOND, "established", sent=500)
    story.link("203.0.113.7", address(3), 16992, START + 900 * SECOND, "established", sent=500)
    for server in range(4):
        story.link("203.0.113.66", address(80 + server), 9971, START, "unanswered")
    story.link("203.0.113.66", address(3), 16992, START + 901 * SECOND, "refused")
    cases = story.follow(story.events()).cases
    expected = {
        (event.ends, case.id): kind
        for case in cases
        for kind, links in (
            ("connection", case.attempts),
            ("connect_back", case.returns),
            ("presence", case.outgoing),
            ("console", case.visits[:1]),
            ("scanner", case.visits[1:]),
        )
        for event in links
    }
    events = [one for one in tables.all_events(story.diagnosis()) if one.kind != "hello"]
    assert {(one.ends, one.device): one.kind for one in events if one.device} == expected
    strangers = {(one.ends.src, one.kind) for one in events if one.device is None}
    assert strangers == {(address(90), "other"), ("203.0.113.66", "scanner")}
    assert {"console", "scanner"} < set(expected.values())


def test_who_ended_a_connection_is_said_by_address() -> None:
    """The TCP server of a connection back is the device: "the server" would be misread."""
    ended = replace(back(1, "established"), closed_by="server")
    table = tables.events(replace(EMPTY, connections=(ended,)))
    assert f"ended by {ended.ends.dst}" in table["detail"][0]


def test_what_comes_before_the_hello() -> None:
    events: list[AnyEvent] = [
        lease(0, "discover"),
        lease(1),
        lookup(2, rcode=None, queries=2),
        lookup(3, rcode="NXDOMAIN"),
        lookup(4, "10.9.9.9"),
        pong(5, "setup"),
        lookup(6, client="10.1.1.1", rcode=None),
    ]
    gathered = gather(events)
    found = follow(gathered, coverage(capture()), frozenset(HELLO_PORTS), 10)
    diagnosis = replace(
        EMPTY,
        dhcp=tuple(gathered.dhcp),
        lookups=tuple(gathered.lookups),
        pongs=tuple(gathered.pongs),
        devices=tuple(case.device for case in found.cases),
    )
    table = tables.events(diagnosis)
    assert table["event"].tolist() == ["dhcp", "dhcp", "dns", "dns", "dns", "rmcp", "dns"]
    assert table["outcome"].tolist() == [
        "asked", "answered", "unanswered", "failed", "answered", "answered", "unanswered",
    ]  # fmt: skip
    assert table["device"].tolist()[:6] == [f"mac:{MAC}"] * 6
    assert table["device"][6] != f"mac:{MAC}"
    assert table["src"].isna().tolist() == [True] + [False] * 6
    assert table["sport"].isna().all()
    assert "example.com" in table["detail"][1]
    assert "asked 2 times" in table["detail"][2]
    kinds = [line["event_type"] for line in analysis_lines(diagnosis)]
    assert [kinds.count(kind) for kind in ("dhcp", "dns", "rmcp")] == [2, 4, 1]


def test_what_comes_from_elsewhere_is_other() -> None:
    story = Story()
    story.link(address(1), SERVER, 9971, START, "established", sent=40)
    story.links[0] = replace(story.links[0], foreign="HTTP")
    found = tables.events(story.diagnosis())
    assert found["event"].tolist() == ["other"]
    assert "HTTP" in found["detail"][0]
    assert found["device"].isna().all()


def test_numbers_and_times_beyond_64_bits_become_the_limit() -> None:
    found = fleet(1, hellos=1)
    record = found.hellos[0]
    odd = replace(
        found,
        captures=(replace(found.captures[0], drops=2**64 - 1, first_ts=-(2**70), last_ts=2**70),),
        hellos=(replace(record, event=replace(record.event, ts=2**63)),),
        findings=(replace(found.findings[0], first_ts=None, last_ts=None, count=2**65),),
    )
    captures = tables.captures(odd)
    assert captures["drops"][0] == 2**63 - 1
    assert captures["first_ts"][0] == pd.Timestamp.min.tz_localize("UTC")
    assert tables.hellos(odd)["ts"][0] == pd.Timestamp.max.tz_localize("UTC")
    assert tables.findings(odd)["first_ts"].isna().all()


# -------------------------------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx", "\n=1", "\uff1d1"])
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert tables.csv_safe(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "x=1", "uuid:1", "'=1", "10.0.0.1", " =1"])
def test_other_text_stays(text: str) -> None:
    assert tables.csv_safe(text) == text


@pytest.mark.parametrize("table", TABLES)
def test_csv_of_every_table(table: str, tmp_path: Path) -> None:
    made = TABLES[table](fleet(7))
    tables.write_csv(made, tmp_path / "table.csv")
    read = pd.read_csv(tmp_path / "table.csv")
    assert list(read.columns) == list(made.columns)
    assert len(read) == len(made)
    for column in TIMES & set(made.columns):
        pd.testing.assert_series_equal(pd.to_datetime(read[column]).dt.as_unit("ns"), made[column])


def test_csv_times_and_empty_cells(tmp_path: Path) -> None:
    tables.write_csv(tables.hellos(fleet(1, hellos=1)), tmp_path / "hellos.csv")
    row = next(csv.DictReader((tmp_path / "hellos.csv").read_text(encoding="utf-8").splitlines()))
    assert row["ts"] == "2026-03-02T09:01:12.000000000Z"
    assert (row["gap_s"], row["pid"], row["complete"], row["retry_count"]) == ("", "", "True", "0")


def test_csv_of_a_table_with_odd_columns(tmp_path: Path) -> None:
    table = pd.DataFrame([["=2+2", -3, "@x"]], columns=["=cmd", "number", "=cmd"])
    tables.write_csv(table, tmp_path / "odd.csv")
    assert (tmp_path / "odd.csv").read_text(encoding="utf-8") == "'=cmd,number,'=cmd\n'=2+2,-3,'@x\n"
    assert list(table.columns) == ["=cmd", "number", "=cmd"], "the caller's table is left alone"


@settings(max_examples=15)
@given(words=st.lists(texts, min_size=1, max_size=12))
def test_hostile_text(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    found = hostile_diagnosis(words)
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    for make in TABLES.values():
        made = make(found)
        tables.write_csv(made, path)
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        assert len(rows) == len(made) + 1
        for name, dtype in zip(rows[0], made.dtypes, strict=True):
            if str(dtype) != "string":
                continue
            for row in rows[1:]:
                cell = row[rows[0].index(name)]
                assert harmless(cell)
                assert not cell.startswith(("=", "+", "-", "@"))


@given(st.text())
def test_plain_text_is_printable_and_settled(text: str) -> None:
    shown = plain(text)
    assert harmless(shown)
    assert plain(shown) == shown
    assert len(plain(text, 10)) <= 10 * 10


def test_a_finding_about_the_capture_has_no_device() -> None:
    found: Finding = replace(fleet(1).findings[0], device=None, evidence=())
    table = tables.findings(replace(fleet(1), findings=(found,)))
    assert table[["device", "file", "frame", "frames"]].isna().all(axis=None)


# ---------------------------------------------------------------------------------------------- documentation


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_documented_with_its_type(table: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
    section = page.partition(f"\n### Table {table}\n")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    made = TABLES[table](EMPTY)
    types = {name: kind for name, kind, _ in rows}
    assert list(types) == list(made.columns)
    for column, dtype in made.dtypes.items():
        ordered = isinstance(dtype, pd.CategoricalDtype) and dtype.ordered
        assert types[str(column)] == f"{dtype}{', ordered' if ordered else ''}", column
    for name, _, meaning in rows:
        assert ("second" in meaning) == name.endswith("_s"), f"{name}: durations say their unit"
        assert ("bytes" in meaning) >= (name in {"bytes", "snaplen", "missing_bytes", "trailing_bytes"}), name
