"""What tests of the Wireshark side share: tshark with our dissector, and what it says of a capture."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from amtdiag.protocols.hello import PLACEHOLDER_UUIDS, build
from amtdiag.trust.catalogue import by_digest

FIELDS = (
    "frame.number",
    "tcp.stream",
    "intelamt.flag",
    "intelamt.version",
    "intelamt.type",
    "intelamt.retry",
    "intelamt.uuid",
    "intelamt.pid",
    "intelamt.good_pid",
    "intelamt.digests",
    "intelamt.digest.index",
    "intelamt.digest.algorithm_id",
    "intelamt.digest.algorithm",
    "intelamt.digest.length",
    "intelamt.digest.value",
    "intelamt.digest.name",
    "intelamt.digest.verdict",
    "intelamt.digest.verdicts",
    "intelamt.complete",
    "intelamt.missing",
    "intelamt.trailing",
    "intelamt.problem",
    "intelamt.hint",
    "intelamt.bug",
)
ALL_SEGMENTS = ("-o", "tcp.no_subdissector_on_error:FALSE")
"""Wireshark keeps segments that come out of order from all dissectors, unless told otherwise."""


class Row(NamedTuple):
    """What the dissector says of one frame: a list of values a field."""

    frame: int
    stream: int
    values: dict[str, list[str]]

    def one(self, name: str) -> str | None:
        """The only value of a field, None where it is not there."""
        values = self.values[name]
        assert len(values) <= 1, name
        return values[0] if values else None


def tshark_output(tshark: Path, script: Path, capture: Path, *words: str) -> str:
    """Run tshark with the dissector, and hold it to having nothing to say of its own."""
    command: list[str | Path] = [tshark, "-n", "-X", f"lua_script:{script}", "-r", capture, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    grave = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert (done.returncode, grave) == (0, []), done.stderr
    return done.stdout


def rows(tshark: Path, script: Path, capture: Path, *words: str) -> Iterable[Row]:
    """Read a capture with tshark: the frames in which our dissector found something."""
    shown = [word for field in FIELDS for word in ("-e", field)]
    options = ("-E", "occurrence=a", "-E", "aggregator=|")
    for line in tshark_output(
        tshark, script, capture, "-Y", "intelamt", "-T", "fields", *shown, *options, *words
    ).splitlines():
        cells = [cell.split("|") if cell else [] for cell in line.split("\t")]
        values: dict[str, Any] = dict(zip(FIELDS, cells, strict=True))
        yield Row(int(values["frame.number"][0]), int(values["tcp.stream"][-1]), values)


# ------------------------------------------------------------------------------------------------- captures

PSH_ACK, SYN = 0x18, 0x02
RAW_IP = 101


class Segment(NamedTuple):
    """A TCP segment from 10.0.x.y to the server."""

    device: int
    seq: int
    payload: bytes
    dport: int = 9971
    flags: int = PSH_ACK
    snapped: int = 0
    """So many of its last bytes are not in the capture."""
    sport: int = 49_160


def pcap_of(segments: Iterable[Segment]) -> bytes:
    """A capture of raw IP packets, a millisecond apart."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, RAW_IP)]
    for number, one in enumerate(segments):
        tcp = struct.pack(">HHIIBBHI", one.sport, one.dport, one.seq % (1 << 32), 1, 0x50, one.flags, 8192, 0)
        length = 40 + len(one.payload)
        source = bytes((10, 0, one.device >> 8, one.device & 255))
        ip = struct.pack(">BBHHHBBH", 0x45, 0, length, number & 0xFFFF, 0, 64, 6, 0)
        packet = (ip + source + b"\x0a\xff\x00\x01" + tcp + one.payload)[: length - one.snapped]
        seconds, millis = divmod(number, 1000)
        out += [struct.pack("<IIII", 1_772_442_072 + seconds, millis * 1000, len(packet), length), packet]
    return b"".join(out)


# --------------------------------------------------------------------------------------------- damaged Hellos


def damaged(seed: int, count: int) -> Iterator[tuple[bytes, tuple[tuple[int, int], ...]]]:
    """Hellos that were cut, changed, lengthened or have gaps; some are nothing of the kind."""
    random = Random(seed)
    uuids = [*PLACEHOLDER_UUIDS, "939b524b-13d4-1d18-e487-1c697a6b7a2b"]
    known = [(2, digest) for digest in by_digest() if len(digest) == 32]
    for _ in range(count):
        message = bytearray(_message(random, random.choice(uuids), known))
        for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
            kind = random.randrange(5)
            at = random.randrange(len(message) + 1) if random.random() < 0.6 else random.randrange(30)
            if kind == 0:
                del message[at:]
            elif kind == 1:
                message[at : at + 1] = bytes(
                    [random.choice((0, 1, 2, 3, 20, 32, 255, random.randrange(256)))]
                )
            elif kind == 2:
                message[at:at] = random.randbytes(random.randrange(4))
            elif kind == 3:
                message += random.choice((bytes(3), b"\n", random.randbytes(random.randrange(40))))
            else:
                del message[at : at + random.randrange(40)]
        gaps = []
        if random.random() < 0.4 and len(message) > 2:
            edges = sorted(random.sample(range(len(message) + 40), min(2 * random.randrange(1, 3), 4)))
            for first, stop in zip(edges[::2], edges[1::2], strict=True):
                gaps.append((first, stop))
                message[first:stop] = bytes(max(0, min(stop, len(message)) - first))
            if gaps[-1][1] > len(message):  # the data ends where a last gap begins
                del message[gaps[-1][0] :]
            gaps = [gap for gap in gaps if gap[0] <= len(message)]
        yield bytes(message), tuple(gaps)


def _message(random: Random, uuid: str, known: list[tuple[int, bytes]]) -> bytes:
    retry = random.choice((0, 1, 14, 15, 1000, 1001, (1 << 32) - 1))
    if random.random() < 0.2:
        pid = random.choice(("0000037M", "0000037N", "A\\\x1b[2Jxx"))
        return build(uuid=uuid, version=2, pid=pid, retry_count=retry)
    digests = random.sample(known, random.choice((0, 1, 2, 23, 24, 25)))
    for _ in range(random.choice((0, 0, 1, 3))):
        algorithm = random.choice((0, 1, 2, 3, 4, 5, 9))
        size = random.choice((0, 16, 20, 28, 32, 48, 64, 255))
        value = bytes(size) if random.random() < 0.3 else random.randbytes(size)
        digests.insert(random.randrange(len(digests) + 1), (algorithm, value))
    if random.random() < 0.2:
        digests += digests[:1]
    return build(uuid=uuid, digests=digests, retry_count=retry, admin_credentials=random.choice((0, 1, 2)))
