"""The truth: what each record still carries of each message."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shapes.containers import Writer, pcap, pcapng
from shapes.messages import ANY, Unchecked, pid_check_ok
from shapes.packets import Connection, Packet
from shapes.stored import Record, record
from shapes.wrappings import Link, ethernet


@dataclass(frozen=True, slots=True)
class ExpectedHello:
    """What must be said of one Hello. ANY is not compared; of ``missing_bytes``, None is not either."""

    src: str
    dst: str
    sport: int
    dport: int
    uuid: str | Unchecked | None
    version: int | Unchecked | None
    type: str | Unchecked
    retry_count: int | Unchecked | None
    admin_credentials_raw: int | Unchecked | None
    pid: bytes | Unchecked | None
    pid_check_ok: bool | Unchecked | None
    digests: tuple[tuple[int, int, str], ...]  # (index, algorithm code, hex): to be reported, in order
    more_digests: tuple[tuple[int, int, str], ...]  # whole in the capture, yet findable only by a guess
    complete: bool | Unchecked
    evidence: tuple[tuple[str, int], ...] | Unchecked  # (file, frame) of each first transmission
    vlan: tuple[int, ...] | Unchecked
    src_mac: str | Unchecked | None
    trailing_bytes: int | Unchecked
    missing_bytes: int | None
    window: tuple[int, int] | Unchecked  # ns: when the connection took place
    present: tuple[tuple[int, int], ...]  # the message's byte ranges that the capture holds
    message: bytes
    first_seq: int  # the sequence number of the message's first byte
    exact_frames: bool = True  # False: some of them will do
    may_be_absent: bool = False

    @property
    def frames(self) -> tuple[int, ...] | None:
        """The 1-based frame numbers, file by file."""
        return None if isinstance(self.evidence, Unchecked) else tuple(number for _, number in self.evidence)


@dataclass(frozen=True, slots=True)
class Truth:
    packets: tuple[int | None, ...]  # per file
    hellos: tuple[ExpectedHello, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """``optional``: good to understand, no fault to miss. ``extra_ports``: further Hello ports."""

    name: str
    build: Callable[[Path], list[Path]]
    truth: Truth
    optional: bool = False
    extra_ports: tuple[int, ...] = ()
    needs: tuple[str, ...] = ()  # programs without which it cannot be built
    tshark_options: tuple[str, ...] = ()  # what tshark has to be told to see as much
    tshark_follows: bool = True  # False: tshark does not put this stream together

    def __repr__(self) -> str:
        return f"Shape({self.name})"


def ranges_of(positions: set[int]) -> tuple[tuple[int, int], ...]:
    """Sorted positions as half-open ranges."""
    edges: list[list[int]] = []
    for position in sorted(positions):
        if edges and edges[-1][1] == position:
            edges[-1][1] += 1
        else:
            edges.append([position, position + 1])
    return tuple((start, end) for start, end in edges)


def expected(files: Sequence[tuple[str, Sequence[Record]]], **changes: Any) -> tuple[ExpectedHello, ...]:
    """What the records carry of each message: a byte belongs to the first record that brings it."""
    numbered = [
        (name, number, one) for name, stored in files for number, one in enumerate(stored, 1) if one.packet
    ]
    if len(files) > 1:
        numbered.sort(key=lambda item: item[2].at)
    groups: dict[Connection, list[tuple[str, int, Record]]] = {}
    for item in numbered:
        assert item[2].packet is not None
        groups.setdefault(item[2].packet.connection, []).append(item)
    return tuple(
        replace(_expected_hello(connection, items), **changes)
        for connection, items in groups.items()
        if connection.message.version is not None
    )


def _expected_hello(connection: Connection, items: Sequence[tuple[str, int, Record]]) -> ExpectedHello:
    flow, message = connection.flow, connection.message
    have: set[int] = set()
    evidence: list[tuple[str, int]] = []
    carriers: list[Record] = []
    for name, number, one in items:
        fresh = set(range(*one.cargo)) - have if one.cargo else set()
        if fresh:
            have |= fresh
            evidence.append((name, number))
            carriers.append(one)

    def seen(start: int, end: int) -> bool:
        return all(position in have for position in range(start, end))

    # A record is certain while every byte that leads to it is there; after a lost length byte all is a guess.
    certain: list[tuple[int, int, str]] = []
    guess: list[tuple[int, int, str]] = []
    broken = not seen(2, 4) or not seen(24, 25)
    for digest in message.digests:
        broken = broken or not seen(digest.offset, digest.offset + 2)
        if seen(digest.offset, digest.end):
            fact = (digest.index, digest.algorithm_id, digest.value.hex())
            (guess if broken else certain).append(fact)
    size = len(message.payload)
    everything = seen(0, size)
    lost_head = not seen(0, 24)
    link = carriers[0].link if carriers else ethernet()
    times = [one.at for _, _, one in items]
    pid_known = message.pid is not None and seen(24, 32)
    return ExpectedHello(
        flow.src,
        flow.dst,
        flow.sport,
        flow.dport,
        message.uuid if seen(8, 24) else None,
        message.version if seen(2, 4) else None,
        message.type if seen(2, 4) else ANY,
        message.retry if seen(4, 8) else None,
        message.flag if seen(0, 2) else None,
        message.pid if pid_known or message.pid is None else ANY,
        pid_check_ok(message.pid) if message.pid is not None and pid_known else None,
        tuple(certain),
        tuple(guess),
        message.whole if everything else False,
        tuple(evidence),
        link.vlan,
        ANY if link.shows_mac is ANY else flow.src_mac if link.shows_mac else None,
        ANY if lost_head else message.trailing,
        (0 if message.whole is True else None) if everything else size - len(have),
        (min(times), max(times)),
        ranges_of(have),
        message.payload,
        (connection.isn + 1) % 2**32,
    )


def write_files(files: Sequence[tuple[str, Callable[[], bytes]]], folder: Path) -> list[Path]:
    paths = []
    for name, content in files:
        path = folder / name
        path.write_bytes(content())
        paths.append(path)
    return paths


def several(
    name: str,
    files: Sequence[tuple[str, Sequence[Record]]],
    write: Writer = pcap,
    *,
    encode: Callable[[bytes], bytes] = bytes,
    hellos: tuple[ExpectedHello, ...] | None = None,
    packets: tuple[int | None, ...] | None = None,
    notes: tuple[str, ...] = (),
    optional: bool = False,
    extra_ports: tuple[int, ...] = (),
    needs: tuple[str, ...] = (),
    tshark_options: tuple[str, ...] = (),
    tshark_follows: bool = True,
    **changes: Any,
) -> Shape:
    """A shape of several files; ``changes`` replace fields of every Hello that is expected."""

    def content(stored: Sequence[Record]) -> bytes:
        return encode(write(stored))

    contents = [(file, functools.partial(content, stored)) for file, stored in files]
    truth = Truth(
        packets or tuple(len(stored) for _, stored in files),
        expected(files, **changes) if hellos is None else hellos,
        notes,
    )
    build = functools.partial(write_files, contents)
    return Shape(name, build, truth, optional, extra_ports, needs, tshark_options, tshark_follows)


def single(
    name: str,
    content: Sequence[Packet] | Sequence[Record],
    write: Writer = pcap,
    *,
    suffix: str = ".pcap",
    link: Link | None = None,
    **how: Any,
) -> Shape:
    """A shape of one file, of packets (on Ethernet, or on ``link``) or of finished records."""
    stored = [one if isinstance(one, Record) else record(one, link or ethernet()) for one in content]
    return several(name, [(name + suffix, stored)], write, **how)


def ng(name: str, content: Sequence[Packet] | Sequence[Record], write: Writer = pcapng, **how: Any) -> Shape:
    return single(name, content, write, suffix=".pcapng", **how)


def cut(write: Writer, drop: int) -> Writer:
    """The file without its last bytes."""
    return lambda stored: write(stored)[:-drop]
