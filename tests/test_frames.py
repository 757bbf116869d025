"""Tables: their types, with and without rows; what they say; hostile text in them and in their CSV."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from helpers import MAC, AnyEvent, back, capture, coverage, gather, lease, lookup, pong, replace
from hypothesis import given, settings
from hypothesis import strategies as st

from amtdiag import frames
from amtdiag.checks.base import Scene
from amtdiag.checks.catalogue import examine
from amtdiag.config import Options
from amtdiag.model import (
    SEVERITIES,
    CaptureInfo,
    ConnectionEvent,
    Diagnosis,
    Endpoints,
    Evidence,
    Finding,
    Hello,
    HelloEvent,
    Outcome,
    Stage,
)
from amtdiag.protocols.hello import build, parse
from amtdiag.protocols.ports import HELLO_PORTS
from amtdiag.provisioning.devices import Followed, follow
from amtdiag.report.jsonout import analysis_lines
from amtdiag.times import SECOND

# ------------------------------------------------------------- diagnoses for these and other tests to look at

START = 1_772_442_072 * SECOND
SERVER = "192.168.2.10"
FILE = "trace.pcapng"
TABLES: dict[str, Callable[[Diagnosis], pd.DataFrame]] = {
    "hellos": frames.hellos,
    "digests": frames.digests,
    "devices": frames.devices,
    "findings": frames.findings,
    "events": frames.events,
    "captures": frames.captures,
}
HOSTILE = [
    "",
    "=1+1",
    "@SUM(A1)",
    "\t=1",
    "$\\frac{1}{0}$",
    "$x_$ 100% _{ ^",
    "\x1b[2J\x1b]0;owned\x07",
    "a\u202egnp.exe\u2066",
    "<script>alert(1)</script>&\"'",
    "]]>--><!-- --",
    "\x00\r\nforged: line",
    "\udc80\ud800",
    "e" + "\u0301" * 300,
    "日本語\U0001f600\U000e0041",
    "A" * 10_000,
    "../../etc/passwd",
]
texts = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))
"""What a capture might say, had it found a way around `safetext.safe`."""


def harmless(text: str) -> bool:
    """Nothing in it acts on what shows it; a space may be of any kind."""
    return all(one.isprintable() or unicodedata.category(one) == "Zs" for one in text)


class Story:
    """Makes the events of devices, and has them diagnosed the way a capture is."""

    def __init__(self) -> None:
        self.hellos: list[HelloEvent] = []
        self.links: list[ConnectionEvent] = []
        self._frame = 0

    def hello(self, device: int, at: int, retry: int = 0, *, cut: bool = False, psk: bool = False) -> None:
        uuid = f"{device:08x}-13d4-1d18-e487-1c697a6b7a2b"
        digests = [(2, bytes([number + 1]) * 32) for number in range(3)]
        wire = (
            build(uuid=uuid, version=2, pid="3FUS8PZU", retry_count=retry)
            if psk
            else build(uuid=uuid, retry_count=retry, digests=digests)
        )
        message = parse(wire[:-5] if cut else wire)
        assert isinstance(message, Hello)
        self.link(
            address(device), SERVER, 9971, at - 1_500_000, "established", sent=len(wire), last=at + 3_000_000
        )
        self.hellos.append(HelloEvent(at, self.links[-1].ends, self._evidence(), 1, message))

    def link(
        self,
        src: str,
        dst: str,
        dport: int,
        at: int,
        outcome: Outcome,
        *,
        sent: int = 0,
        last: int | None = None,
    ) -> None:
        ends = Endpoints(src, 40_000 + len(self.links) % 20_000, dst, dport, None, None, (), "1:=")
        self.links.append(
            ConnectionEvent(
                ts=at,
                last_ts=at + 28_000 if last is None else last,
                ends=ends,
                outcome=outcome,
                syns=1 + 2 * (outcome == "unanswered"),
                client_bytes=sent,
                server_bytes=sent // 2,
                closed_by="nobody" if outcome == "unanswered" else "server",
                server_seen=outcome != "unanswered",
                evidence=self._evidence(),
            )
        )

    def _evidence(self) -> tuple[Evidence, ...]:
        self._frame += 2
        return (Evidence(FILE, self._frame), Evidence(FILE, self._frame + 1))

    def follow(self, after: int = 600 * SECOND) -> Followed:
        events = gather([*self.hellos, *self.links])
        return follow(events, coverage(self.capture(after)), frozenset(HELLO_PORTS), 200_000)

    def capture(self, after: int) -> CaptureInfo:
        times = [*(one.ts for one in self.hellos), *(one.ts for one in self.links)] or [START]
        first, last = min(times) - SECOND, max(times) + after
        return CaptureInfo(FILE, "pcapng", 4096, 36, ("ETHERNET",), first, last, 262_144, None, False, ())

    def diagnosis(self, after: int = 600 * SECOND) -> Diagnosis:
        followed = self.follow(after)
        captures = (self.capture(after),)
        events = gather([*self.hellos, *self.links])
        scene = Scene(followed.cases, events, captures, followed.strays, followed.scanners)
        findings, unknowns = examine(scene, Options())
        return Diagnosis(
            captures=captures,
            hellos=tuple(followed.hellos),
            connections=tuple(sorted(self.links, key=lambda event: event.ts)),
            dhcp=(),
            lookups=(),
            pongs=(),
            devices=tuple(case.device for case in followed.cases),
            findings=tuple(findings),
            unknowns=tuple(unknowns),
            notes=(),
            problems=(),
            tool={"version": "0", "options": {"ports": [9971, 9972]}},
            residents=followed.residents,
        )


def address(device: int) -> str:
    return f"10.{device >> 16}.{device >> 8 & 255}.{device & 255}"


def device_story(story: Story, device: int, start: int, kind: int, hellos: int = 5) -> None:
    """One of seven fates: refused, unanswered, nothing, operational, server refuses, TLS ended, cut Hello."""
    at = start
    if kind == 4:
        for number in range(hellos):
            story.link(address(device), SERVER, 9971, at + number * 30 * SECOND, "refused")
        return
    for retry in range(hellos):
        story.hello(device, at, retry, cut=kind == 6, psk=kind == 3)
        back = at + 24_000_000
        if kind in (0, 1):
            for number in range(5):
                outcome: Outcome = "refused" if kind == 0 else "unanswered"
                story.link(SERVER, address(device), 16993, back + number * SECOND // 2, outcome)
        if kind == 5:
            story.link(SERVER, address(device), 16993, back, "established", sent=2682, last=back + 5_000_000)
        if kind == 3 and retry == hellos - 1:
            story.link(SERVER, address(device), 16993, back, "established", sent=9000, last=back + 4 * SECOND)
            story.link(
                SERVER,
                address(device),
                16994,
                back + 9 * SECOND,
                "established",
                sent=900,
                last=back + 60 * SECOND,
            )
        at += (20 + 10 * retry + device % 7) * SECOND


def fleet(count: int, *, hellos: int = 5, every: int = 47 * SECOND) -> Diagnosis:
    """So many devices, of all fates, one coming after another."""
    story = Story()
    for device in range(count):
        device_story(story, device + 1, START + device * every, (0, 5, 1, 2, 3, 4, 6)[device % 7], hellos)
    return story.diagnosis()


EMPTY = replace(fleet(1), captures=(), hellos=(), connections=(), devices=(), findings=(), unknowns=())


def hostile_diagnosis(words: Sequence[str]) -> Diagnosis:
    """A diagnosis in which wire text stands wherever wire text can stand; `words` are taken in turn."""
    found = fleet(3, hellos=2)
    turn = cycle(words)

    def named(one: Evidence) -> Evidence:
        return one._replace(file=next(turn))

    names = {one.id: f"{number}{next(turn)}" for number, one in enumerate(found.devices)}
    return replace(
        found,
        captures=tuple(replace(one, file=next(turn), notes=(next(turn),)) for one in found.captures),
        devices=tuple(
            replace(
                one,
                id=names[one.id],
                uuid=next(turn),
                ips=(next(turn),),
                server=next(turn),
                firmware=next(turn),
            )
            for one in found.devices
        ),
        hellos=tuple(
            replace(
                one,
                device=names[one.device],
                event=replace(
                    one.event,
                    evidence=tuple(map(named, one.event.evidence)),
                    hello=replace(one.event.hello, problems=(next(turn),), pid=next(turn)),
                ),
            )
            for one in found.hellos
        ),
        connections=tuple(replace(one, foreign=next(turn)) for one in found.connections),
        findings=tuple(
            replace(
                one,
                device=names[one.device] if one.device else None,
                rule=f"rule-{next(turn)}",
                catalogue=next(turn),
                summary=next(turn),
                remedy=next(turn),
                display_filter=next(turn),
            )
            for one in found.findings
        ),
        unknowns=tuple(replace(one, what=next(turn), why=next(turn)) for one in found.unknowns),
        residents={
            address: tuple((ts, names[device]) for ts, device in entries)
            for address, entries in found.residents.items()
        },
        notes=(next(turn),),
        problems=(next(turn),),
    )


# ------------------------------------------------------------------------------------------------------ types

TIMES = {"ts", "first_ts", "last_ts", "first_seen", "last_seen"}
ORDERED = {"severity", "worst", "mode", "stage", "verdict", "confidence"}
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
    devices = frames.devices(EMPTY)
    assert list(devices["stage"].cat.categories) == list(get_args(Stage))
    assert list(devices["worst"].cat.categories) == list(SEVERITIES)
    findings = frames.findings(fleet(8))
    assert (findings["severity"] >= "warning").sum() == sum(f.severity != "info" for f in fleet(8).findings)


# ---------------------------------------------------------------------------------------------- what they say


def test_one_refused_device() -> None:
    found = fleet(1, hellos=3)
    hellos = frames.hellos(found)
    assert hellos["retry_count"].tolist() == [0, 1, 2]
    assert hellos["gap_s"].tolist() == [pd.NA, 21.0, 31.0]
    assert hellos["ts"][0].value == START
    assert hellos["unknown_digests"].tolist() == [3, 3, 3]
    digests = frames.digests(found)
    assert len(digests) == 9
    assert digests["hello"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert digests["digest"][1] == "02" * 32
    device = frames.devices(found).iloc[0]
    assert (device["cause"], device["worst"], device["mode"]) == ("connect-back-refused", "error", "setup")
    assert (device["gap_median_s"], device["gap_max_s"], device["last_retry"]) == (26.0, 31.0, 2)
    events = frames.events(found)
    assert events["ts"].is_monotonic_increasing
    assert events["event"].value_counts().to_dict() == {
        "connect_back": 15,
        "hello": 3,
        "connection": 3,
        "presence": 0,
        "dhcp": 0,
        "dns": 0,
        "rmcp": 0,
        "other": 0,
    }
    assert set(events["device"]) == {found.devices[0].id}
    assert frames.captures(found)["packets"].tolist() == [36]


def test_events_belong_to_the_devices_that_the_diagnosis_gave_them_to() -> None:
    story = Story()
    for device in range(14):
        device_story(story, device + 1, START + device * SECOND, device % 7)
    story.link(address(90), address(91), 16993, START, "refused")
    story.link(address(3), "203.0.113.9", 4433, START + 400 * SECOND, "established", sent=500)
    cases = story.follow().cases
    expected = {
        (event.ends, case.id): kind
        for case in cases
        for kind, links in (
            ("connection", case.attempts),
            ("connect_back", case.returns),
            ("presence", case.outgoing),
        )
        for event in links
    }
    events = [one for one in frames.all_events(story.diagnosis()) if one.kind != "hello"]
    assert {(one.ends, one.device): one.kind for one in events if one.device} == expected
    assert [one.ends.src for one in events if one.device is None] == [address(90)]


def test_who_ended_a_connection_is_said_by_address() -> None:
    """The TCP server of a connection back is the device: "the server" would be misread."""
    ended = replace(back(1, "established"), closed_by="server")
    table = frames.events(replace(EMPTY, connections=(ended,)))
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
        residents=found.residents,
    )
    table = frames.events(diagnosis)
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
    found = frames.events(story.diagnosis())
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
    captures = frames.captures(odd)
    assert captures["drops"][0] == 2**63 - 1
    assert captures["first_ts"][0] == pd.Timestamp.min.tz_localize("UTC")
    assert frames.hellos(odd)["ts"][0] == pd.Timestamp.max.tz_localize("UTC")
    assert frames.findings(odd)["first_ts"].isna().all()


# -------------------------------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx", "\n=1", "\uff1d1"])
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert frames.csv_safe(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "x=1", "uuid:1", "'=1", "10.0.0.1", " =1"])
def test_other_text_stays(text: str) -> None:
    assert frames.csv_safe(text) == text


@pytest.mark.parametrize("table", TABLES)
def test_csv_of_every_table(table: str, tmp_path: Path) -> None:
    made = TABLES[table](fleet(7))
    frames.write_csv(made, tmp_path / "table.csv")
    read = pd.read_csv(tmp_path / "table.csv")
    assert list(read.columns) == list(made.columns)
    assert len(read) == len(made)
    for column in TIMES & set(made.columns):
        pd.testing.assert_series_equal(pd.to_datetime(read[column]).dt.as_unit("ns"), made[column])


def test_csv_times_and_empty_cells(tmp_path: Path) -> None:
    frames.write_csv(frames.hellos(fleet(1, hellos=1)), tmp_path / "hellos.csv")
    row = next(csv.DictReader((tmp_path / "hellos.csv").read_text(encoding="utf-8").splitlines()))
    assert row["ts"] == "2026-03-02T09:01:12.000000000Z"
    assert (row["gap_s"], row["pid"], row["complete"], row["retry_count"]) == ("", "", "True", "0")


def test_csv_of_a_table_with_odd_columns(tmp_path: Path) -> None:
    table = pd.DataFrame([["=2+2", -3, "@x"]], columns=["=cmd", "number", "=cmd"])
    frames.write_csv(table, tmp_path / "odd.csv")
    assert (tmp_path / "odd.csv").read_text(encoding="utf-8") == "'=cmd,number,'=cmd\n'=2+2,-3,'@x\n"
    assert list(table.columns) == ["=cmd", "number", "=cmd"], "the caller's table is left alone"


@settings(max_examples=15)
@given(words=st.lists(texts, min_size=1, max_size=12))
def test_hostile_text(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    found = hostile_diagnosis(words)
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    for make in TABLES.values():
        made = make(found)
        frames.write_csv(made, path)
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
    shown = frames.plain(text)
    assert harmless(shown)
    assert frames.plain(shown) == shown
    assert len(frames.plain(text, 10)) <= 10 * 10


def test_a_finding_about_the_capture_has_no_device() -> None:
    found: Finding = replace(fleet(1).findings[0], device=None, evidence=())
    table = frames.findings(replace(fleet(1), findings=(found,)))
    assert table[["device", "file", "frame", "frames"]].isna().all(axis=None)


# ---------------------------------------------------------------------------------------------- documentation


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_documented_with_its_type(table: str) -> None:
    page = (Path(__file__).parent.parent / "docs" / "formats.md").read_text("utf-8")
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
