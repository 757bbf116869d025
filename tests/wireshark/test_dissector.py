"""The dissector in Wireshark's own hands: for every sample it says what our parser says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from dissected import ALL_SEGMENTS, SYN, Row, Segment, damaged, pcap_of, rows, tshark_output
from helpers import ROOT
from helpers import hello as hello_event
from shapes import SHAPES
from test_samples import SAMPLES, Sample, every_sample

from amtdiag.model import Diagnosis, Hello, HelloRecord
from amtdiag.pipeline import diagnose
from amtdiag.protocols.hello import build, parse
from amtdiag.trust.catalogue import by_digest
from amtdiag.trust.verdicts import judge
from amtdiag.wireshark.dissector import lua_source


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lua") / "intelamt.lua"
    path.write_text(lua_source(), encoding="ascii")
    return path


ALIKE = "recorded/h1_"
"""Recordings of one connection: behind each other, tshark takes them for retransmissions."""


class Joined(NamedTuple):
    """Samples one behind the other, as tshark reads them with the dissector."""

    rows: list[Row]
    first: dict[tuple[str, str], int]
    """By sample and file: how many frames stand before its own."""


@pytest.fixture(scope="module")
def read_all(
    tshark: Path, script: Path, need: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> list[Joined]:
    """Few runs of tshark over all samples: to start it takes longer than what it does here."""
    apart = [[sample] for sample in SAMPLES if sample.name.startswith(ALIKE)]
    together = [sample for sample in SAMPLES if not sample.name.startswith(ALIKE)]
    folder, mergecap = tmp_path_factory.mktemp("joined"), need("mergecap")
    return [_join(samples, folder, tshark, script, mergecap) for samples in (together, *apart)]


def _join(samples: list[Sample], folder: Path, tshark: Path, script: Path, mergecap: Path) -> Joined:
    target = folder / "all.pcapng"
    places = [(sample, name, path) for sample in samples for name, path in sample.files.items()]
    merge: list[str | Path] = [mergecap, "-a", "-w", target, *(path for *_, path in places)]
    subprocess.run(merge, check=True, capture_output=True, timeout=120)
    first, count = {}, 0
    for sample, name, _ in places:
        first[sample.name, name] = count
        count += sample.expected["packets"][name]
    return Joined(list(rows(tshark, script, target, *ALL_SEGMENTS)), first)


@pytest.fixture
def joined(sample: Sample, read_all: list[Joined]) -> Joined:
    """The run that has a sample among its own."""
    return next(one for one in read_all if any(name == sample.name for name, _ in one.first))


def mine(joined: Joined, sample: Sample) -> dict[int, Row]:
    """The rows of one sample."""
    first = min(joined.first[sample.name, name] for name in sample.files)
    last = first + sum(sample.expected["packets"].values())
    return {row.frame: row for row in joined.rows if first < row.frame <= last}


def last_view(record: HelloRecord, found: dict[int, Row], before: dict[str, int]) -> Row:
    """What the dissector says of a Hello once it has seen all of its connection."""
    frames = [before[one.file] + one.frame for one in record.event.evidence]
    streams = {found[frame].stream for frame in frames if frame in found}
    assert streams, f"no row for frames {frames}"
    return [row for row in found.values() if row.stream in streams][-1]


def number(text: str | None) -> int | None:
    return None if text is None else int(text, 0)


def truth(text: str | None) -> bool | None:
    return None if text is None else text in ("1", "True")


def told(row: Row) -> dict[str, Any]:
    """What the dissector says, in our words."""
    values = row.values
    return {
        "version": number(row.one("intelamt.version")),
        "type": row.one("intelamt.type"),
        "flag": number(row.one("intelamt.flag")),
        "retry": number(row.one("intelamt.retry")),
        "uuid": row.one("intelamt.uuid"),
        "pid": row.one("intelamt.pid"),
        "pid_ok": truth(row.one("intelamt.good_pid")),
        "declared": number(row.one("intelamt.digests")),
        "index": [int(one) for one in values["intelamt.digest.index"]],
        "algorithm_id": [int(one) for one in values["intelamt.digest.algorithm_id"]],
        "algorithm": values["intelamt.digest.algorithm"],
        "length": [int(one) for one in values["intelamt.digest.length"]],
        "value": [one.replace(":", "") for one in values["intelamt.digest.value"]],
        "name": values["intelamt.digest.name"],
        "verdict": values["intelamt.digest.verdict"],
        "verdicts": values["intelamt.digest.verdicts"],
        "complete": truth(row.one("intelamt.complete")),
        "missing": number(row.one("intelamt.missing")),
        "trailing": number(row.one("intelamt.trailing")),
        "problems": values["intelamt.problem"],
    }


def ours(record: HelloRecord) -> dict[str, Any]:
    """The same of our parse."""
    hello, digests = record.event.hello, record.digests
    return {
        "version": hello.version,
        "type": hello.type,
        "flag": hello.admin_credentials,
        "retry": hello.retry_count,
        "uuid": hello.uuid,
        "pid": hello.pid,
        "pid_ok": hello.pid_check_ok,
        "declared": hello.declared_digests,
        "index": [one.digest.index for one in digests],
        "algorithm_id": [one.digest.algorithm_id for one in digests],
        "algorithm": [one.digest.algorithm for one in digests],
        "length": [len(one.digest.value) for one in digests],
        "value": [one.digest.value.hex() for one in digests if one.digest.value],
        "name": [one.name for one in digests if one.name],
        "verdict": [one.verdict for one in digests],
        "verdicts": [", ".join(one.verdicts) for one in digests],
        "complete": hello.complete,
        "missing": hello.missing_bytes,
        "trailing": hello.trailing_bytes,
        # Who cut a message cannot be told while its connection goes on.
        "problems": [
            one.replace(" by the sender:", ":").replace(" by the capture:", ":") for one in hello.problems
        ],
    }


@every_sample
def test_every_hello_reads_as_ours(sample: Sample, joined: Joined) -> None:
    diagnosis: Diagnosis = diagnose([sample.path])
    found = mine(joined, sample)
    before = {str(path): joined.first[sample.name, name] for name, path in sample.files.items()}
    shown: set[int] = set()
    for record in diagnosis.hellos:
        row = last_view(record, found, before)
        shown.add(row.stream)
        assert told(row) == ours(record)
    # And there are no others.
    assert {row.stream for row in found.values()} == shown


def test_no_sample_makes_the_dissector_fail(read_all: list[Joined]) -> None:
    assert [row.frame for one in read_all for row in one.rows if row.values["intelamt.bug"]] == []
    assert sum(len(one.rows) for one in read_all) > 300


# ----------------------------------------------------------------------------------------------- made packets

UUID = "939b524b-13d4-1d18-e487-1c697a6b7a2b"
ROOTS = [(2, digest) for digest in by_digest() if len(digest) == 32][:23]
PKI = build(uuid=UUID, digests=ROOTS, retry_count=3)
PSK = build(uuid=UUID, version=2, pid="0000037M")
OTHER_PORT = 4711

Reading = Callable[..., list[Row]]


@pytest.fixture
def reading(tshark: Path, script: Path, tmp_path: Path) -> Reading:
    """What the dissector says of some segments."""

    def read(segments: Iterable[Segment], *words: str) -> list[Row]:
        path = tmp_path / "made.pcap"
        path.write_bytes(pcap_of(segments))
        found = list(rows(tshark, script, path, *words))
        assert [row.frame for row in found if row.values["intelamt.bug"]] == []
        return found

    return read


def test_damaged_hellos_read_as_ours(reading: Reading) -> None:
    """Each in a segment of its own, on the usual port and on another."""
    cases = [data for data, gaps in damaged(11, 400) if not gaps and data]
    for port in (9971, OTHER_PORT):
        found = {
            row.frame: row
            for row in reading(Segment(number, 1000, data, port) for number, data in enumerate(cases, 1))
        }
        for frame, data in enumerate(cases, 1):
            wanted = parse(data, strict=port == OTHER_PORT)
            assert (frame in found) == isinstance(wanted, Hello), data.hex()
            if isinstance(wanted, Hello) and not wanted.trailing_bytes > 3:
                judged = judge(wanted, 1_772_442_072 * 10**9)
                event = hello_event()._replace(hello=wanted)
                assert told(found[frame]) == ours(HelloRecord(event, "", judged)), data.hex()


@pytest.mark.parametrize("options", [(), ("-2",), ("-o", "tcp.relative_sequence_numbers:FALSE")])
def test_a_hello_over_many_segments(reading: Reading, options: tuple[str, ...]) -> None:
    segments = []
    last_frames = []
    sizes = [(port, size) for port in (9971, OTHER_PORT) for size in (6, 24, 25, 300, 536)]
    for device, (port, size) in enumerate(sizes):
        segments.append(Segment(device, 4_294_967_000, b"", port, SYN))
        segments += [
            Segment(device, 4_294_967_001 + at, PKI[at : at + size], port) for at in range(0, len(PKI), size)
        ]
        last_frames.append(len(segments))
    found = {row.frame: told(row) for row in reading(segments, *options)}
    for frame in last_frames:
        last = found[frame]
        assert (last["complete"], last["problems"], last["uuid"]) == (True, [], UUID)
        assert last["value"] == [digest.hex() for _, digest in ROOTS]
    assert [frame for frame, one in found.items() if one["complete"]] == last_frames


def test_segments_out_of_order(reading: Reading) -> None:
    begun = [Segment(device, 999, b"", flags=SYN) for device in (1, 2, 2, 2, 2)]
    order = [*begun, Segment(1, 1000, PKI[:100]), Segment(1, 1500, PKI[500:]), Segment(1, 1100, PKI[100:500])]
    for options in (ALL_SEGMENTS, ("-o", "tcp.reassemble_out_of_order:TRUE")):
        last = told(reading(order, *options)[-1])
        assert (last["complete"], last["problems"]) == (True, []), options
    hidden = reading(order)[-1]
    assert told(hidden)["missing"] == 400
    assert "tcp.no_subdissector_on_error" in (hidden.one("intelamt.hint") or "")


def test_bytes_that_were_not_captured(reading: Reading) -> None:
    (row,) = reading([Segment(1, 1000, PKI, snapped=100)])
    wanted = parse(PKI[:-100], [(len(PKI) - 100, len(PKI))])
    assert isinstance(wanted, Hello)
    assert told(row)["problems"] == list(wanted.problems)
    assert told(row)["missing"] == 100


def test_several_hellos_in_a_segment(reading: Reading) -> None:
    (row,) = reading([Segment(1, 1000, PKI + PSK + PKI)])
    assert row.values["intelamt.uuid"] == [UUID] * 3
    assert row.values["intelamt.type"] == ["pki", "psk", "pki"]
    assert row.values["intelamt.digests"] == ["23", "23"]
    assert row.values["intelamt.trailing"] == [str(len(PSK + PKI)), str(len(PKI)), "0"]


def test_another_port_may_be_set(reading: Reading) -> None:
    cut = [Segment(1, 1000, PKI[:30], OTHER_PORT)]
    assert reading(cut) == []
    (row,) = reading(cut, "-o", "intelamt.ports:9971,4700-4720")
    assert told(row)["complete"] is False
    (row,) = reading(cut, "-d", f"tcp.port=={OTHER_PORT},intelamt")
    assert told(row)["declared"] == 23


def test_other_ports_may_be_left_alone(reading: Reading) -> None:
    whole = [Segment(1, 1000, PSK, OTHER_PORT)]
    assert len(reading(whole)) == 1
    assert reading(whole, "-o", "intelamt.elsewhere:FALSE") == []


@pytest.mark.parametrize("port", [9971, OTHER_PORT])
def test_speech_of_others_is_none(reading: Reading, port: int) -> None:
    random = Random(3)
    head = bytes.fromhex("0100 0300")
    said = [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes.fromhex("16030100a5010000a1"),
        b"SSH-2.0-x\r\n",
        b"\0",
        bytes(64),
    ]
    said += [random.randbytes(random.randrange(1, 200)) for _ in range(200)]
    if port == OTHER_PORT:
        said += [head + random.randbytes(random.randrange(100)) for _ in range(200)]
    assert reading(Segment(number, 1000, data, port) for number, data in enumerate(said)) == []


def test_what_a_server_says_is_none(reading: Reading, tmp_path: Path) -> None:
    """Nor is a Hello on a Hello port that comes from the server's side."""
    turned = [Segment(1, 1000, PSK, 49_161, sport=9971)]
    assert reading(turned) == []


@pytest.mark.parametrize(
    "name", ["none_psk_hello_in_answer_40000", "none_hello_quoted_by_icmp", "data_in_syn"]
)
def test_what_only_looks_like_a_hello(name: str, tshark: Path, script: Path, tmp_path: Path) -> None:
    """An answer, and what a router sends back; but the beginning of a Hello in a SYN is none of these."""
    (path,) = next(shape for shape in SHAPES if shape.name == name).build(tmp_path)
    found = list(rows(tshark, script, path))
    records = diagnose([path]).hellos
    assert [told(row) for row in found[1:]] == [ours(record) for record in records]
    assert len(records) == (name == "data_in_syn")


def test_problems_are_expert_info(reading: Reading, tshark: Path, script: Path, tmp_path: Path) -> None:
    reading(
        [
            Segment(1, 1000, build(uuid=UUID, version=2, pid="0000037N", retry_count=15)),
            Segment(2, 1, PKI[:99]),
        ]
    )
    shown = "(intelamt.expert.pid && intelamt.expert.retry) || intelamt.expert.cut"
    words = ("-Y", shown, "-T", "fields", "-e", "_ws.expert.message")
    psk, pki = tshark_output(tshark, script, tmp_path / "made.pcap", *words).splitlines()
    assert "the PID's check character is wrong" in psk
    assert "retry count is 15, documented are 0 to 14" in psk
    assert "the message is cut: 99 of 807 bytes reach; 2 of 23 digests are whole" in pki


def test_the_info_column(reading: Reading, tshark: Path, script: Path, tmp_path: Path) -> None:
    reading([Segment(1, 1000, PSK), Segment(2, 1000, PKI)])
    psk, pki = tshark_output(tshark, script, tmp_path / "made.pcap").splitlines()
    assert f"IntelAMT 72 Hello PSK, PID 0000037M, retry 0, {UUID}" in psk
    assert f"Hello PKI, 23 digests, retry 3, {UUID}" in pki


def test_no_field_is_without_its_line_in_the_documentation() -> None:
    page = (ROOT / "docs" / "wireshark.md").read_text("utf-8")
    names = set(re.findall(r'"(intelamt\.[a-z_.]+)"', lua_source()))
    names |= {
        f"intelamt.expert.{kind}" for kind in re.findall(r"^    (\w+) = \{ expert\.", lua_source(), re.M)
    }
    assert len(names) > 40
    assert {name for name in names if f"`{name}`" not in page} <= {"intelamt.expert."}


def test_long_speech_of_others_takes_no_time(reading: Reading) -> None:
    """What is told for good is not put together again for each segment; nor is what is endless kept."""
    talk = [Segment(1, 1000 + 1000 * at, b"\1\0\5\0" + b"x" * 996) for at in range(1000)]
    assert reading(talk) == []
    endless = [Segment(1, 1000, PSK), *(Segment(1, 1032 + 1000 * at, bytes(1000)) for at in range(200))]
    found = [told(row)["trailing"] for row in reading(endless)]
    assert found[:3] == [0, 1000, 2000]
    assert 65_000 < found[-1] < 75_000


def test_a_fault_of_its_own_is_shown_and_stops_nothing(tshark: Path, tmp_path: Path) -> None:
    """No fault is known: so one is put in."""
    place = "local function show(pinfo, tree, buffer, flow, found, data, gaps, used)\n"
    assert lua_source().count(place) == 1
    (tmp_path / "faulty.lua").write_text(lua_source().replace(place, f"{place}    error('put in')\n"))
    (tmp_path / "made.pcap").write_bytes(pcap_of([Segment(1, 1000, PSK), Segment(2, 1000, PKI, OTHER_PORT)]))
    words = ("-T", "fields", "-e", "intelamt.bug", "-e", "_ws.lua.error")
    shown = tshark_output(tshark, tmp_path / "faulty.lua", tmp_path / "made.pcap", *words)
    assert shown.count("put in") == 2
