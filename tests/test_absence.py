"""Rules about what did not happen: silent where the capture ends too soon, and where it was taken elsewhere.

Each is tried on a recording in which it speaks; on the same recording cut short; and on one from which the
packets were taken that another place on the network would not have shown.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from helpers import SAMPLES, run
from test_samples_oracle import run as run_program

from amtdiag.pipeline import diagnose

STATISTICS, PACKET = 5, 6
LAB = SAMPLES / "lab"
NO_DHCP_ANSWERS = "!(dhcp.type == 2)"
NO_DNS_ANSWERS = "!(dns.flags.response == 1)"
NO_ARP_ANSWERS = "!(arp.opcode == 2)"
NO_TCP = "!tcp"


@dataclass(frozen=True)
class Absence:
    """A rule, a recording in which it speaks, and what would make it a false alarm."""

    rule: str
    sample: str
    too_soon: str
    """Frames that a capture holds which was stopped too soon."""
    elsewhere: tuple[str, str]
    """A recording, and the frames of it that another place on the network would have shown."""


ABSENCES = (
    Absence("no-lease", "dhcp-silent", "frame.number <= 1", ("ok-tls12", NO_DHCP_ANSWERS)),
    Absence("no-option-15", "no-option-15", "frame.number <= 3", ("ok-tls12", NO_DHCP_ANSWERS)),
    Absence("no-option-6", "no-option-6", "frame.number <= 3", ("ok-tls12", NO_DHCP_ANSWERS)),
    Absence("no-suffix", "no-option-15", "frame.number <= 8", ("ok-tls12", "!dns")),
    Absence("dns-silent", "dns-unreachable", "frame.number <= 7", ("ok-tls12", NO_DNS_ANSWERS)),
    Absence("server-not-there", "dns-stale-dead", "frame.number <= 11", ("ok-tls12", NO_ARP_ANSWERS)),
    Absence("server-silent", "sca-dropped", "frame.number <= 13", ("ok-tls12", "!(tcp.srcport == 9971)")),
    Absence(
        "connect-back-unanswered",
        "back-dropped",
        "frame.number <= 21",
        ("ok-tls12", "!(tcp.srcport == 16993)"),
    ),
    Absence("connect-back-unanswered", "back-dead", "frame.number <= 21", ("ok-tls12", NO_ARP_ANSWERS)),
    Absence(
        "no-connect-back",
        "no-connect-back",
        "frame.number <= 20",
        ("no-connect-back", "!(tcp.srcport == 9971)"),
    ),
    Absence(
        "no-connect-back", "psk-no-connect-back", "frame.number <= 20", ("nat", "ip.addr == 10.30.42.129")
    ),
    Absence("ipv6-no-hello", "ipv6-only", "frame.number <= 20", ("ok-tls12", NO_TCP)),
    Absence(
        "custom-name-unknown", "custom-fqdn-nxdomain", "frame.number <= 12", ("custom-fqdn", NO_DNS_ANSWERS)
    ),
)
every_absence = pytest.mark.parametrize(
    "absence", ABSENCES, ids=lambda absence: f"{absence.rule} in {absence.sample}"
)


def findings(path: Path) -> dict[str, Any]:
    """The findings of a capture that are no history, by rule."""
    printed = json.loads(run("analyze", "--json", "--fail-on", "never", path).text)
    return {one["rule"]: one for one in printed["findings"] if not one["overcome"]}


Block = tuple[int, bytes]


def unpacked(capture: Path) -> bytes:
    data = capture.read_bytes()
    return gzip.decompress(data) if capture.suffix == ".gz" else data


def blocks_of(capture: Path) -> Iterator[Block]:
    """The blocks of a pcapng file in the byte order of this machine, each with its type."""
    data = unpacked(capture)
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        yield kind, data[at : at + length]
        at += length


def written(blocks: Iterable[Block], target: Path) -> Path:
    target.write_bytes(b"".join(data for _, data in blocks))
    return target


def thinned(capture: Path, keep: str, target: Path, tshark: Path, *, stopped: bool) -> Path:
    """Write those packets of a pcapng file that a display filter keeps; `stopped`: without its end time."""
    wanted = run_program(tshark, "-r", capture, "-Y", keep, "-T", "fields", "-e", "frame.number").split()
    frames = set(map(int, wanted))
    assert frames, "a capture without packets proves nothing"
    packets = count(1)
    kept = [
        (kind, data)
        for kind, data in blocks_of(capture)
        if not (kind == STATISTICS and stopped) and (kind != PACKET or next(packets) in frames)
    ]
    return written(kept, target)


@every_absence
def test_it_speaks(absence: Absence) -> None:
    assert absence.rule in findings(LAB / f"{absence.sample}.pcapng")


@every_absence
def test_it_is_silent_where_the_capture_ends_too_soon(absence: Absence, tmp_path: Path, tshark: Path) -> None:
    cut = thinned(
        LAB / f"{absence.sample}.pcapng", absence.too_soon, tmp_path / "cut.pcapng", tshark, stopped=True
    )
    assert absence.rule not in findings(cut)


@every_absence
def test_it_is_silent_where_the_capture_was_taken_elsewhere(
    absence: Absence, tmp_path: Path, tshark: Path
) -> None:
    sample, keep = absence.elsewhere
    partly = thinned(LAB / f"{sample}.pcapng", keep, tmp_path / "part.pcapng", tshark, stopped=False)
    printed = json.loads(run("analyze", "--json", "--fail-on", "never", partly).text)
    (capture,) = printed["captures"]
    assert capture["watched_until"] is not None, "so that it is not for want of time"
    assert absence.rule not in {one["rule"] for one in printed["findings"] if not one["overcome"]}


@pytest.mark.parametrize("name", ["server-side-ok", "server-side-no-connect-back"])
def test_a_capture_at_the_server_lacks_neither_lease_nor_name(name: str) -> None:
    rules = set(findings(LAB / f"{name}.pcapng"))
    before = {"no-lease", "no-option-15", "no-option-6", "no-suffix", "no-server-record", "dns-silent"}
    assert rules.isdisjoint(before)


RECORDINGS = sorted(LAB.glob("*.pcapng"))
every_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
TRUE_OF_A_PART = {
    # The first of two tries is refused; that the second gets through comes later.
    ("plain-refused", "connect-back-refused"),
    # Without the DHCP server's packets nobody can know that the device has another address since.
    ("lease-moves", "connect-back-unanswered"),
}
DESTINATION, SOURCE = slice(28, 34), slice(34, 40)
"""Where an enhanced packet block holds the MACs of an Ethernet frame."""
BROADCAST = b"\xff" * 6


def accused(capture: Path) -> set[str]:
    """The rules that call something an error."""
    found = diagnose([capture]).findings
    return {one.rule for one in found if one.severity in ("error", "critical") and not one.overcome}


def invented(part: set[str], whole: set[str], recording: Path) -> set[str]:
    return {rule for rule in part - whole if (recording.stem, rule) not in TRUE_OF_A_PART}


@every_recording
def test_no_beginning_of_a_capture_accuses_more_than_the_whole(recording: Path, tmp_path: Path) -> None:
    blocks = [block for block in blocks_of(recording) if block[0] != STATISTICS]
    whole = accused(recording)
    for end in range(1, len(blocks)):
        if blocks[end - 1][0] == PACKET:
            part = written(blocks[:end], tmp_path / "part.pcapng")
            assert invented(accused(part), whole, recording) == set(), f"of the first {end} blocks"


def views_of(mac: bytes) -> dict[str, Callable[[bytes], bool]]:
    """What may be all that a capture shows of a machine, or all but that."""
    return {
        "what it sends": lambda block: block[SOURCE] == mac,
        "what it gets": lambda block: block[DESTINATION] == mac,
        "at its port": lambda block: mac in (block[SOURCE], block[DESTINATION]) or broadcast(block),
        "at another port": lambda block: mac not in (block[SOURCE], block[DESTINATION]) or broadcast(block),
    }


def broadcast(block: bytes) -> bool:
    return block[DESTINATION] == BROADCAST


@every_recording
def test_no_view_from_elsewhere_accuses_more_than_the_whole(recording: Path, tmp_path: Path) -> None:
    """Of each machine in it: one direction only, its own switch port, any other port."""
    blocks = list(blocks_of(recording))
    whole = accused(recording)
    macs = {data[place] for kind, data in blocks if kind == PACKET for place in (DESTINATION, SOURCE)}
    for mac in macs - {BROADCAST}:
        for name, shows in views_of(mac).items():
            seen = [block for block in blocks if block[0] != PACKET or shows(block[1])]
            part = written(seen, tmp_path / "part.pcapng")
            assert invented(accused(part), whole, recording) == set(), f"{name}, {mac.hex(':')}"
