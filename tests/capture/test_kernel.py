"""Whichever sieve stands in front of the scan, or none: the same rows, and the same said of the capture."""

from __future__ import annotations

import functools
import gzip
import importlib
import itertools
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import shapes
from helpers import HELLO_ONLY, ROOT, SAMPLES, spawn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapes import (
    SHAPES,
    Flow,
    Interface,
    Link,
    Packet,
    Record,
    Talk,
    ethernet,
    link_types,
    pcap,
    pcapng,
    tags_and_tunnels,
)

from amtdiag.capture.decode.linktypes import LINK_TYPES, OTHER_NAMES, packed
from amtdiag.capture.decode.packet import ARP, ICMP, ICMPV6, TCP, UDP, Segment
from amtdiag.capture.files import inputs
from amtdiag.capture.files.inputs import open_inputs
from amtdiag.capture.filescan import FileScan
from amtdiag.capture.prefilter import kernel
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.capture.prefilter.interface import TALLY, PcapLayout, PcapngLayout, Sieve
from amtdiag.capture.prefilter.kernel import sieve_for
from amtdiag.capture.scan import Scan
from amtdiag.config import Limits
from amtdiag.errors import MissingToolError, UsageError
from amtdiag.model import CaptureInfo
from amtdiag.protocols.hello import HEAD
from amtdiag.protocols.ports import DATAGRAM_PORTS, HELLO_PORTS, TCP_PORTS

INTEREST = Interest(TCP_PORTS.union(HELLO_PORTS), DATAGRAM_PORTS, HEAD)
MIB = 1 << 20
CHUNKS = (1, 7, 4096, MIB)

pytestmark = pytest.mark.needs("compiled-kernel")


class Read(NamedTuple):
    """All that leaves a scan."""

    rows: list[tuple[int, Segment]]
    """Sensor and row."""
    openings: list[tuple[int, Segment]]
    captures: list[CaptureInfo]
    counts: tuple[int, int, int]
    problems: list[str]


class _Everywhere:
    def __contains__(self, pair: object) -> bool:
        return True


def rows_of(packets: Any) -> list[tuple[int, Segment]]:
    return [(batch.sensor, row) for batch in packets for row in batch.rows(TCP, UDP, ICMP, ICMPV6, ARP)]


def sieve_of(choice: str) -> Sieve:
    with patch.dict(os.environ, {"AMTDIAG_KERNEL": choice}):
        sieve, kind = sieve_for(INTEREST)
    assert kind == choice
    return sieve


def read(
    paths: Sequence[Path], choice: str | None, *, chunk: int = MIB, limits: Limits | None = None
) -> Read:
    """What a scan gives behind one of the sieves, or behind none."""
    limits = limits or Limits()
    with patch.object(inputs, "CHUNK", chunk):
        opened = open_inputs(paths, limits)
        sieve = sieve_of(choice) if choice else None
        scan = Scan(opened.inputs, INTEREST, limits, sieve=sieve)
        rows = rows_of(scan)
        openings = rows_of(scan.openings(_Everywhere()))
    counts = (scan.packets, scan.evicted, scan.incomplete_datagrams)
    return Read(rows, openings, scan.captures, counts, opened.problems)


def assert_same(
    paths: Sequence[Path], *, chunks: Sequence[int] = (MIB,), limits: Limits | None = None
) -> Read:
    """Each packet decoded layer by layer, and everything that is quicker."""
    with patch.object(FileScan, "_plain", return_value=False):
        truth = read(paths, None, limits=limits)
    for choice in ("c", "python"):
        for chunk in chunks:
            assert read(paths, choice, chunk=chunk, limits=limits) == truth, f"{choice}, steps of {chunk}"
    return truth


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


CAPTURES = sorted(
    path for path in SAMPLES.rglob("*") if {".pcap", ".pcapng"}.intersection(path.suffixes) and path.is_file()
)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_samples(path: Path, tmp_path: Path) -> None:
    plain = tmp_path / "capture"
    plain.write_bytes(unpacked(path))
    assert_same([plain], chunks=CHUNKS if plain.stat().st_size < 50_000 else CHUNKS[2:])
    assert_same([path])


def test_all_samples_as_one_capture() -> None:
    assert assert_same(CAPTURES, chunks=(4096, MIB)).rows


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_shapes(shape: shapes.Shape, tmp_path: Path, need: Callable[[str], Path]) -> None:
    for tool in shape.needs:
        need(tool)
    paths = shape.build(tmp_path)
    small = sum(path.stat().st_size for path in paths) < 30_000
    assert_same(paths, chunks=(7, MIB) if small else (4096,))


# -------------------------------------------------------------------------------------------- damage and cuts


@functools.cache
def bases() -> tuple[bytes, ...]:
    """Small captures of each container, link type and network."""
    found = [unpacked(path) for path in CAPTURES if path.stat().st_size < 6000]
    with_fragments = shapes.with_data_in_fragments(shapes.plain(), (0, 304), (304, 9999))
    for name in (
        "link_",
        "vlan_",
        "tunnel_",
        "ipv6",
        "pcap",
        "ipv4_fragments_in_order",
        "padding_of_garbage",
    ):
        for shape in SHAPES:
            if shape.name.startswith(name) and not shape.needs:
                found += _built(shape)
    return (*found, pcap(shapes.records(with_fragments)))


def _built(shape: shapes.Shape) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        data = [path.read_bytes() for path in shape.build(Path(folder))]
    return [one for one in data if len(one) < 6000]


CHANGES = st.lists(
    st.tuples(st.integers(0, 5999), st.sampled_from([0, 1, 2, 3, 4, 6, 8, 17, 44, 47, 58, 69, 128, 255])),
    max_size=12,
)


@settings(
    derandomize=True,
    max_examples=1000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.integers(0, 10**6), CHANGES, st.integers(0, 12_000), st.sampled_from(CHUNKS))
def test_mutated_and_cut(
    tmp_path: Path, base: int, changes: list[tuple[int, int]], cut: int, chunk: int
) -> None:
    data = bytearray(bases()[base % len(bases())])
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path / "capture"
    path.write_bytes(data[: cut if cut < len(data) else None])
    assert_same([path], chunks=(chunk,))


@pytest.mark.parametrize("linktype", [*LINK_TYPES, *OTHER_NAMES, 4711])
def test_mutated_packets_of_each_link_type(linktype: int, tmp_path: Path) -> None:
    """Valid containers, so that every packet is looked at: those of this link type, and all others as if."""
    chance = random.Random(linktype)
    packets = [packet for link in links() for packet in shapes.records(few_packets(), link)]
    own = [one for one in packets if one.link.type == linktype]
    stored = []
    for number in range(1500):
        one = chance.choice(own if own and number % 4 else packets)
        data = bytearray(one.data)
        for _ in range(chance.choice((0, 1, 1, 2, 6))):
            data[chance.randrange(min(len(data), 120))] = chance.choice(
                (0, 1, 2, 3, 6, 17, 44, 47, 58, 0x81, 255)
            )
        del data[chance.choice((len(data), len(data), chance.randrange(len(data)))) :]
        stored.append(replace(one, data=bytes(data), packet=None, at=shapes.T0 + number))
    path = tmp_path / "capture"
    path.write_bytes(pcap(stored, linktype=linktype))
    assert assert_same([path], chunks=(4096,)).counts[0] == len(stored)


def links() -> list[Link]:
    """Every link type, tag stack and tunnel that the shapes have."""
    types = [link for named in link_types.LINKS.values() for link in named.values()]
    stacks = (tags_and_tunnels.TAGS, tags_and_tunnels.STACKS, tags_and_tunnels.TUNNELS)
    wrapped = [link for named in stacks for link in named.values()]
    return [*types, *wrapped, tags_and_tunnels.PSEUDOWIRE, tags_and_tunnels.IPV6_IN_IPV4]


@functools.cache
def few_packets() -> tuple[Packet, ...]:
    """What a conversation on an unexpected port consists of, in IPv4 and IPv6."""
    four, six = Flow(dport=40000), replace(shapes.FLOW6, dport=40000)
    packets = [*shapes.plain(shapes.psk(), four, 3), *shapes.plain(shapes.psk(), six, 3)]
    fragmented = shapes.with_data_in_fragments(shapes.plain(shapes.psk(), four), (0, 24), (24, 9999))
    return (*packets, *fragmented)


EXTENSIONS = [
    *((number, bytes([1]) + bytes(14)) for number in (0, 43, 60, 135, 139, 140)),
    (51, bytes([4]) + bytes(22)),  # counted in words of 4 bytes, less 2
    (44, bytes(7)),  # a fragment that is the whole datagram
]


@pytest.mark.parametrize("extension", EXTENSIONS, ids=lambda one: str(one[0]))
def test_extension_headers(extension: tuple[int, bytes], tmp_path: Path) -> None:
    flow = replace(shapes.FLOW6, dport=40000)
    network = functools.partial(shapes.ipv6, extensions=(extension, (60, b"\0\1\4\0\0\0\0")))
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(shapes.records(shapes.plain(shapes.psk(), flow, network=network))))
    assert assert_same([path]).rows


@pytest.mark.parametrize("flags", [0x0000, 0x1000, 0x2000, 0x8000, 0xB000, 0x0001])
@pytest.mark.parametrize("kind", [0x0800, 0x6558, 0x88BE, 0x22EB, 0x880B])
def test_generic_routing_encapsulation(flags: int, kind: int, tmp_path: Path) -> None:
    words = sum(bool(flags & bit) for bit in (0x8000, 0x2000, 0x1000))
    own = {0x88BE: 8, 0x22EB: 12}.get(kind, 0) if flags & 0x1000 else 0
    before = struct.pack(">HH", flags, kind) + bytes(4 * words + own)
    link = shapes.tunnel(47, before, inner_ethernet=kind != 0x0800)
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(shapes.records(shapes.plain(shapes.psk(), Flow(dport=40000)), link)))
    assert bool(assert_same([path]).rows) == (kind != 0x880B and flags != 0x0001)


def test_lengths_that_some_writers_swapped(tmp_path: Path) -> None:
    stored = shapes.snapped(bulk(40), 60) + shapes.records(shapes.plain())
    path = tmp_path / "a.pcap"
    for version, swapped in (((2, 3), True), ((2, 3), False), ((2, 2), True), ((543, 0), True)):
        path.write_bytes(pcap(stored, version=version, swapped_lengths=swapped))
        assert assert_same([path], chunks=CHUNKS).counts[0] == len(stored)


@pytest.mark.parametrize("at", [0, 4, 8, 20, -4], ids=["type", "length", "interface", "captured", "trailer"])
def test_damage_behind_packets_that_were_passed_over(at: int, tmp_path: Path) -> None:
    blocks = [shapes.enhanced("<", Interface(), one) for one in bulk(30)]
    block = bytearray(blocks[20])
    block[at % len(block) + 1] ^= 0x40
    path = tmp_path / "a.pcapng"
    path.write_bytes(pcapng([]) + b"".join([*blocks[:20], block, *blocks[21:]]))
    assert assert_same([path], chunks=CHUNKS).captures[0].packets == (29 if at == 0 else 20)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "layer",
    [b"\x81\0\0\5", b"\x88\x47\0\0\1\xff\0\0\0\0" + bytes(12), b"\0\4\xaa\xaa\3\0\0\0"],
    ids=["tags", "pseudowires", "snap"],
)
def test_layers_without_end(layer: bytes, tmp_path: Path) -> None:
    """A packet of 256 KiB of nothing but tags: neither a hang nor a stack that overflows."""
    data = (bytes(12) + layer * (262_144 // len(layer)))[:262_144]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([shapes.other(data)] * 20))
    assert assert_same([path]).rows == []


# ------------------------------------------------------------------------------------- selection under stress

TIGHT = Limits(
    undecided_conversations=4,
    marked_conversations=3,
    rejected_conversations=2,
    held_packets=5,
    held_packets_in_all=9,
    fragment_datagrams=3,
)
MESSAGES = (
    b"\1\0\3\0" + bytes(30),
    b"\0\0\2\0" + bytes(30),
    b"GET / HTTP/1.1\r\n",
    b"\1\0\3\1ab",
    b"\1",
    b"",
)


def conversation(chance: random.Random, start: int) -> list[Packet]:
    """One that may begin like a Hello and go on otherwise, on ports that many others use as well."""
    first, second = chance.sample(range(4), 2)
    flow = Flow(
        f"10.0.0.{first}",
        f"10.0.0.{second}",
        sport=chance.choice((40000, 40001)),
        dport=chance.choice((40000, 8080)),
    )
    if chance.random() < 0.3:
        flow = replace(flow, src=f"2001:db8::{first}", dst=f"2001:db8::{second}")
    if chance.random() < 0.05:
        flow = replace(flow, dst=flow.src, dport=flow.sport)
    payload = b"".join(chance.choices(MESSAGES, k=chance.randrange(1, 4))) or b"x"
    talk = Talk(shapes.noise(payload), flow, start=start, isn=chance.choice((7, 2**32 - 2, 0x1000)))
    if chance.random() < 0.7:
        talk.syn()
    if chance.random() < 0.5:
        talk.syn_ack().ack()
    edges = sorted({0, len(payload), *(chance.randrange(len(payload) + 1) for _ in range(3))})
    pieces = list(itertools.pairwise(edges))
    if chance.random() < 0.3:
        chance.shuffle(pieces)
    for a, b in pieces:
        talk.send(a, b)
        if chance.random() < 0.3:
            talk.server_ack(b)
    if chance.random() < 0.3:
        talk.server_rst()
    return talk.packets


@pytest.mark.parametrize("seed", range(40))
def test_conversations_that_fight_for_room(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    packets = shapes.interleaved(
        *(conversation(chance, shapes.T0 + chance.randrange(10**8)) for _ in range(60))
    )
    kinds = [
        ethernet(),
        ethernet(),
        ethernet((0x8100, 5)),
        *chance.sample([one for one in links() if one.type == 1], 2),
    ]
    stored: list[list[Record]] = [[], []]
    for packet in packets:
        one = shapes.record(packet, chance.choice(kinds), pad_to=chance.choice((0, 60)))
        stored[chance.randrange(2)].append(one)
    paths = [tmp_path / "a.pcap", tmp_path / "b.pcapng"]
    paths[0].write_bytes(pcap(stored[0], order=chance.choice("<>")))
    paths[1].write_bytes(pcapng(stored[1], order=chance.choice("<>")))
    for limits in (TIGHT, Limits()):
        assert_same(paths, chunks=(chance.choice((64, 300, 4096)), MIB), limits=limits)


@pytest.mark.parametrize("protocol", [6, 17, 1])
def test_later_fragments_reach_the_datagram_they_belong_to(protocol: int, tmp_path: Path) -> None:
    """Nothing in a later fragment tells what it belongs to: its first bytes are no ports."""
    content = bytes.fromhex("0035c0000000") if protocol == 17 else b"\3\3\0\0\0\0"
    if protocol == 6:
        content = struct.pack(">HHIIBBHHH", 9971, 40000, 1, 1, 0x50, 24, 0, 0, 0)[:6]
    data = content + bytes(range(1, 115))
    stored = []
    for at in (0, 40, 80):
        head = shapes.ip_header(
            "10.0.0.1", "10.0.0.2", protocol, 40, fragment=at // 8 | (0x2000 if at < 80 else 0), ip_id=9
        )
        stored.append(shapes.other(bytes(12) + b"\x08\0" + head + data[at : at + 40]))
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(stored))
    (row,) = assert_same([path]).rows if protocol != 6 else [*assert_same([path]).rows, None][:1]
    if row is not None:
        assert row[1].missing == 0
        assert row[1].payload.endswith(data[-40:])


# ------------------------------------------------------------------------------------------- what it decodes

CLOCKS = [
    Interface(),
    Interface(resolution=9),
    Interface(resolution=0),
    Interface(resolution=7, offset=-3),
    Interface(resolution=12),
    Interface(resolution=0x80 | 20),
    Interface(offset=1 << 61),
    Interface(offset=-(1 << 61)),
    Interface(resolution=0x80 | 63, offset=(1 << 30) - 1),
]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("clock", CLOCKS, ids=lambda one: f"{one.resolution} {one.offset}")
def test_clocks_of_interfaces(clock: Interface, order: str, tmp_path: Path) -> None:
    """What the kernel's numbers do not hold, Python reckons: the times are the same."""
    stored = shapes.records([*shapes.plain(), *shapes.plain(shapes.psk(), shapes.FLOW6)])
    path = tmp_path / "a.pcapng"
    packets = [shapes.enhanced(order, Interface(), one) for one in stored]
    far = bytearray(b"".join([shapes.section_header(order), clock.block(order), *packets]))
    path.write_bytes(far)
    assert len(assert_same([path], chunks=CHUNKS).rows) == len(stored)
    # The same with stamps that are as late as a stamp can be.
    for at in range(len(far) - 28):
        if far[at : at + 4] == struct.pack(order + "I", 6):
            far[at + 12 : at + 20] = b"\xff" * 8
    path.write_bytes(far)
    assert_same([path])


@pytest.mark.parametrize("write", [pcap, pcapng, functools.partial(pcap, order=">", nanoseconds=True)])
@pytest.mark.parametrize("flow", [shapes.FLOW, shapes.FLOW6], ids=["4", "6"])
def test_plain_packets_do_not_go_through_python(write: shapes.Writer, flow: Flow, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(write(shapes.records(shapes.plain(flow=flow))))
    truth = assert_same([path])
    looked: list[int] = []

    def decode(_: FileScan, packet: bytes, *__: object) -> None:
        looked.append(len(packet))

    with patch.object(FileScan, "decode", decode):
        decoded = read([path], "c")
    assert not looked
    assert decoded == truth
    assert {tuple(map(type, row)) for _, row in decoded.rows} == {
        (int, int, tuple, bytes, bytes, *[int] * 7, bytes, int, bytes, tuple, int)
    }
    assert {type(row) for _, row in decoded.rows} == {Segment}


def test_many_rows_in_one_buffer(tmp_path: Path) -> None:
    """More than one call of the kernel gives, and what is passed over in between."""
    stored = [
        replace(one, at=shapes.T0 + number * 1000)
        for number, one in enumerate([*shapes.records(shapes.plain()) * 500, *bulk(40)] * 2)
    ]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(stored))
    assert len(assert_same([path]).rows) == len(stored) - 80


def test_rows_go_to_a_list_of_tuples() -> None:
    sieve: Any = sieve_of("c")
    layout = PcapLayout(False, False, False, 16, 1000, MIB)
    wrong: list[tuple[Any, ...]] = [(0, object, []), (0, Segment, ()), (0, "Segment", [])]
    for rows in wrong:
        with pytest.raises(TypeError):
            sieve.take_pcap(b"", 0, 0, bytearray(TALLY.size), layout, 0, rows)
    with pytest.raises(ValueError, match="outside"):
        sieve.take_pcap(b"", 0, 1, bytearray(TALLY.size), layout, 0, (0, Segment, []))
    with pytest.raises(ValueError, match="clock"):
        sieve.take_pcapng(b"", 0, 0, bytearray(TALLY.size), (False, 1, 1), b"", 0, (0, Segment, []))


# --------------------------------------------------------------------------------------------- what it is for


WEB = Flow("10.1.0.1", dport=443)


def bulk(count: int, flow: Flow = WEB, link: Link | None = None) -> list[Record]:
    """Packets of web traffic, as most of a capture is."""
    web = shapes.noise(b"\x17\x03\x03" + bytes(500))
    flows = [replace(flow, sport=50000 + number) for number in range(50)]
    packets = [packet for one in flows for packet in Talk(web, one).send(0, 400).server_ack(400).packets]
    stored = shapes.records(packets, link)
    return [replace(stored[number % len(stored)], at=shapes.T0 + number * 1000) for number in range(count)]


@pytest.mark.parametrize("choice", ["c", "python"])
@pytest.mark.parametrize("write", [pcap, functools.partial(pcapng, interfaces=[Interface(resolution=9)])])
@pytest.mark.parametrize("flow", [WEB, replace(WEB, src="2001:db8::1", dst="2001:db8::2")], ids=["4", "6"])
@pytest.mark.parametrize("tags", [(), ((0x8100, 5),)], ids=["untagged", "tagged"])
def test_most_of_a_capture_is_passed_over(
    choice: str, write: shapes.Writer, flow: Flow, tags: tuple[tuple[int, int], ...], tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(write(bulk(5000, flow, ethernet(*tags))))
    (one,) = open_inputs([path], Limits()).inputs
    with one.opened() as container:
        left = sum(1 for _ in container.records(sieve_of(choice)))
        passed = container.passed()
    assert left < 10
    assert passed.packets == {1: 5000 - left}
    assert_same([path])


def test_sections_and_interfaces_of_all_kinds(tmp_path: Path) -> None:
    kinds = [
        Interface(1, 6), Interface(1, 0x80 | 20), Interface(101, 9, offset=-5), Interface(113, 3),
        Interface(147), Interface(1, 19, offset=1_700_000_000),
    ]  # fmt: skip
    chance = random.Random(1)
    sections = []
    for order in "<><":
        stored = [replace(one, interface=chance.randrange(len(kinds))) for one in bulk(300)]
        chance.shuffle(stored)
        sections.append(pcapng(stored, order=order, interfaces=kinds))
        sections.append(b"".join(shapes.simple(order, kinds[0], one) for one in stored[:3]))
    path = tmp_path / "a.pcapng"
    path.write_bytes(b"".join(sections))
    found = assert_same([path], chunks=(7, 999, MIB))
    assert found.counts[0] == 909
    assert found.captures[0].linktypes == ("ETHERNET", "RAW", "LINUX_SLL", "USER0")


def test_memory_is_given_back_after_a_large_block(tmp_path: Path) -> None:
    names = shapes.block("<", 4, bytes(12 * MIB))
    path = tmp_path / "a.pcapng"
    path.write_bytes(pcapng(bulk(3000)) + names + b"".join(
        shapes.enhanced("<", Interface(), one) for one in bulk(3000)
    ))  # fmt: skip
    (one,) = open_inputs([path], Limits()).inputs
    with one.opened() as container:
        for _ in container.records(sieve_of("c")):
            pass
        window = container._window  # type: ignore[attr-defined]
        assert len(window.data) < 3 * MIB
    assert_same([path])


# ------------------------------------------------------------------------------------------ the module itself


def test_arguments_outside_of_the_buffer_are_refused() -> None:
    sieve = sieve_of("c")
    layout = PcapLayout(False, False, False, 16, 1, 262_144)
    blocks = PcapngLayout(False, 16 * MIB, 262_144)
    tally = bytearray(32)
    for pos, end in ((-1, 10), (0, 101), (20, 10), (2**62, 2**62)):
        with pytest.raises(ValueError, match="outside"):
            sieve.pcap(bytes(100), pos, end, tally, layout)
        with pytest.raises(ValueError, match="outside"):
            sieve.pcapng(bytes(100), pos, end, tally, blocks)
    for memory in (bytearray(), bytearray(31), bytearray(64)):
        with pytest.raises(ValueError, match=r"outside|one interface"):
            sieve.pcap(bytes(100), 0, 100, memory, layout)
    with pytest.raises(BufferError):
        sieve.pcap(bytes(100), 0, 100, bytes(32), layout)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="header"):
        sieve.pcap(bytes(100), 0, 100, tally, layout._replace(header=0))
    for wrong in (list(layout), layout[:5], ()):
        with pytest.raises(TypeError):
            sieve.pcap(bytes(100), 0, 100, tally, wrong)  # type: ignore[arg-type]
    assert sieve.pcap(bytes(100), 0, 100, tally, layout) == (96, 6)
    for key in (b"", bytes(11), bytes(13), bytes(37)):
        with pytest.raises(ValueError, match="key"):
            sieve.watch(key, bytes(12))
        with pytest.raises(ValueError, match="key"):
            sieve.unwatch(bytes(36), key)


@pytest.mark.parametrize("at", range(9))
def test_an_empty_tally_may_lie_anywhere(at: int) -> None:
    """An empty bytearray is a static byte of the interpreter's, on an odd address in Python 3.13."""
    empty = memoryview(bytearray(9))[at:at]
    data = bytes(28)
    sieve = sieve_of("c")
    assert sieve.pcapng(data, 0, len(data), empty, PcapngLayout(False, 16 * MIB, 262_144))[0] == 0  # type: ignore[arg-type]


PLAIN_FIELDS = {
    12: 0x0800, 14: 0x4500, 16: 100, 20: 0x4000, 22: 0x4006, 34: 40000, 36: 443, 46: 0x5010, 54: 0x1703,
    56: 0x0200,
}  # fmt: skip
"""Of an Ethernet packet with IPv4 and TCP without options, by offset: 16 bits each."""
ODD_VALUES = [
    0, 1, 2, 19, 20, 27, 28, 39, 40, 41, 42, 67, 547, 623, 664, 4433, 4789, 9728, 9972, 16995, 0x0100, 0x01FF,
    0x0806, 0x2000, 0x3FFF, 0x4001, 0x4006, 0x4011, 0x4012, 0x4600, 0x5002, 0x5012, 0x5018, 0x6018, 0x8000,
    0x86DD, 0xF010, 0xFFFF,
]  # fmt: skip


def assert_shorter_way_is_no_other(changes: dict[int, int], size: int, room: int, watched: bool) -> None:
    """Hold walks over one packet against `wants`, which looks at it without haste."""
    packet = bytearray(120)
    for at, value in {**PLAIN_FIELDS, **changes}.items():
        packet[at : at + 2] = value.to_bytes(2)
    data = bytes(packet[:size])
    sieve = sieve_of("c")
    if watched:
        sieve.watch(data[26:38], data[26:38])
    wanted = sieve.wants(1, data, size)
    sieve.seen()
    seen = []
    for order in "<>":  # the shorter way is that of the first
        record = struct.pack(f"{order}IIII", 5, 7, size, size) + data
        tally = bytearray(TALLY.pack(0, 0, 0, 1))
        layout = PcapLayout(order == ">", False, False, 16, 1000, MIB)
        end = 0 if wanted else len(record)
        assert sieve.pcap(record + bytes(room), 0, len(record), tally, layout) == (end, int(not wanted))
        stamp = 0 if wanted else 5_000_007_000
        assert TALLY.unpack(tally) == (int(not wanted), stamp, stamp, 1)
        seen.append(sieve.seen())
    assert seen[0] == seen[1]
    block = struct.pack("<IIIIIII", 6, 32 + size + -size % 4, 0, 1, 2, size, size) + data + bytes(-size % 4)
    block += block[4:8]
    tally = bytearray(TALLY.pack(0, 0, 0, 1))
    passed = sieve.pcapng(block, 0, len(block), tally, PcapngLayout(False, MIB, MIB))
    assert passed == ((0, 0, 0, 0) if wanted else (len(block), 1, 0, (1 << 32) + 2))
    assert sieve.seen() == seen[0]


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("at", sorted(PLAIN_FIELDS))
def test_a_plain_packet_with_one_thing_odd(at: int, watched: bool) -> None:
    for value, size in itertools.product(ODD_VALUES, (53, 54, 55, 56, 90)):
        assert_shorter_way_is_no_other({at: value}, size, 0, watched)


@settings(max_examples=500, deadline=None)
@given(
    changes=st.dictionaries(st.sampled_from(sorted(PLAIN_FIELDS)), st.sampled_from(ODD_VALUES), max_size=4),
    size=st.integers(40, 120),
    room=st.integers(0, 20),
    watched=st.booleans(),
)
def test_a_plain_packet_with_much_odd(changes: dict[int, int], size: int, room: int, watched: bool) -> None:
    assert_shorter_way_is_no_other(changes, size, room, watched)


@pytest.mark.parametrize("choice", ["c", "python"])
def test_ports_of_more_than_eight_groups(choice: str) -> None:
    """The C sieve keeps eight apart by their first byte."""
    chance = random.Random(1)
    wanted = frozenset(chance.sample(range(65536), 40))
    interest = INTEREST._replace(ports=wanted, datagram_ports=frozenset())
    with patch.dict(os.environ, {"AMTDIAG_KERNEL": choice}):
        sieve, _ = sieve_for(interest)
    free = min(set(range(65536)) - wanted)
    packet = bytearray(60)
    for at, value in {**PLAIN_FIELDS, 16: 40}.items():
        packet[at : at + 2] = value.to_bytes(2)
    layout = PcapLayout(False, False, False, 16, 1000, MIB)
    for port in {*wanted, *chance.sample(range(65536), 2000)}:
        for at, other in ((34, 36), (36, 34)):
            packet[at : at + 2], packet[other : other + 2] = port.to_bytes(2), free.to_bytes(2)
            record = struct.pack("<IIII", 0, 0, 60, 60) + packet
            tally = bytearray(TALLY.pack(0, 0, 0, 1))
            passed = sieve.pcap(record, 0, len(record), tally, layout)
            assert passed == ((0, 0) if port in wanted else (len(record), 1))


def test_without_a_head_every_payload_is_wanted() -> None:
    module = importlib.import_module("amtdiag.capture.prefilter._kernel")
    packet = bytearray(60)
    for at, value in {**PLAIN_FIELDS, 16: 46}.items():
        packet[at : at + 2] = value.to_bytes(2)
    record = struct.pack("<IIII", 0, 0, 60, 60) + packet
    layout = PcapLayout(False, False, False, 16, 1000, MIB)
    for places, passed in ((1, (len(record), 1)), (0, (0, 0))):
        sieve = module.Sieve(bytes(8192), bytes(8192), bytes(256), places, (3, 1), packed(LINK_TYPES), 1)
        assert sieve.wants(1, bytes(packet), 60) is (not passed[1])
        assert sieve.pcap(record, 0, len(record), bytearray(TALLY.pack(0, 0, 0, 1)), layout) == passed


def test_watching_is_counted() -> None:
    sieve = sieve_of("c")
    data = ethernet().wrap(shapes.plain(shapes.noise(b"GET /"), Flow(dport=40000))[3])
    key, reverse = data[26:38], data[30:34] + data[26:30] + data[36:38] + data[34:36]

    def wants() -> bool:
        return sieve.wants(1, data, len(data))

    assert not wants()
    for _ in range(2):
        sieve.watch(key, reverse)
    sieve.unwatch(reverse, key)
    assert wants()
    sieve.unwatch(key, reverse)
    assert not wants()
    sieve.unwatch(key, reverse)  # once too often does no harm
    for _ in range(1000):
        sieve.watch(key, reverse)
    for _ in range(1000):
        sieve.unwatch(key, reverse)
    sieve.watch(bytes(12), bytes(12))
    assert wants(), "a counter that was full stays so"


# ------------------------------------------------------------------------------------------- with and without


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, kind in (("python", "python"), ("c", "c"), ("", "c")):
        monkeypatch.setenv("AMTDIAG_KERNEL", value)
        assert sieve_for(INTEREST)[1] == kind
        assert not kernel.is_missing()
    monkeypatch.setenv("AMTDIAG_KERNEL", "\x1b[31mfast")
    with pytest.raises(UsageError, match=r"'\\x1b\[31mfast'"):
        sieve_for(INTEREST)


def test_a_missing_kernel_may_be_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amtdiag.capture.prefilter._kernel", None)
    monkeypatch.delenv("AMTDIAG_KERNEL", raising=False)
    for value in ("", "0"):
        monkeypatch.setenv("AMTDIAG_REQUIRE_KERNEL", value)
        assert sieve_for(INTEREST)[1] == "python"
        assert kernel.is_missing()
    monkeypatch.setenv("AMTDIAG_REQUIRE_KERNEL", "1")
    assert not kernel.is_missing()
    with pytest.raises(MissingToolError):
        sieve_for(INTEREST)
    monkeypatch.delenv("AMTDIAG_REQUIRE_KERNEL")
    monkeypatch.setenv("AMTDIAG_KERNEL", "c")
    with pytest.raises(MissingToolError):
        sieve_for(INTEREST)


def test_the_report_names_the_kernel() -> None:
    for choice in ("c", "python"):
        done = spawn("analyze", "--json", HELLO_ONLY, env={"AMTDIAG_KERNEL": choice})
        assert json.loads(done.stdout)["tool"]["kernel"] == choice
        assert done.stderr == b""


def test_without_a_compiler_it_installs_and_says_what_is_missing(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(
        ROOT / "amtdiag", source / "amtdiag", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    )
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    built = subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", target, source],
        env={"PATH": "/usr/bin:/bin", "CC": "/bin/false", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr
    assert list((target / "amtdiag" / "capture").glob("scan.py"))
    assert not list((target / "amtdiag" / "capture").glob("_kernel*"))
    alone = {"PYTHONPATH": str(target), "AMTDIAG_REQUIRE_KERNEL": "", "AMTDIAG_KERNEL": ""}
    done = spawn("analyze", "--json", HELLO_ONLY, env=alone, cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["tool"]["kernel"] == "python"
    assert done.stderr.decode().count("compiled kernel is not installed") == 1
    with_kernel = json.loads(spawn("analyze", "--json", HELLO_ONLY, env={"AMTDIAG_KERNEL": "c"}).stdout)
    assert {**document, "tool": None} == {**with_kernel, "tool": None}
    chosen = spawn("hellos", "--jsonl", HELLO_ONLY, env={**alone, "AMTDIAG_KERNEL": "python"}, cwd=tmp_path)
    assert (chosen.returncode, chosen.stderr) == (0, b"")
    demanded = spawn("hellos", HELLO_ONLY, env={**alone, "AMTDIAG_REQUIRE_KERNEL": "1"}, cwd=tmp_path)
    assert demanded.returncode == 4
