"""The kernel's filter beside the selection in Python: nothing that the scan wants is turned away."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from bpf_machine import taken
from helpers import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import SHAPES

from amtdiag.capture.decode.decoder import Decoder
from amtdiag.capture.decode.defragment import Fragments
from amtdiag.capture.decode.linktypes import ETHERNET, LINK_TYPES, RAW_IP
from amtdiag.capture.decode.packet import TCP, Segment
from amtdiag.capture.files.inputs import Input
from amtdiag.capture.prefilter.bpf import MAX_INSTRUCTIONS, RET, Instruction, both, filter_for
from amtdiag.capture.prefilter.flow_filter import FlowFilter
from amtdiag.config import Limits, Options
from amtdiag.errors import InputError
from amtdiag.pipeline import interest

LIMITS = Limits()
WANTED = interest(Options())
FILES = sorted(path for path in SAMPLES.rglob("*") if ".pcap" in path.name and path.suffix != ".json")


@cache
def program(*, any_port: bool, linktype: int = ETHERNET) -> list[Instruction]:
    return filter_for(WANTED, linktype, any_port=any_port)


def packets_of(path: Path) -> Iterator[tuple[int, int, bytes, int]]:
    """Time, link type, bytes and length on the wire."""
    with Input(path, path.name, LIMITS).opened() as container:
        for ts, linktype, data, start, end, wirelen in container.records():
            yield ts, linktype, bytes(data[start:end]), wirelen


def wanted_frames(packets: list[tuple[int, int, bytes, int]], *, any_port: bool) -> set[int]:
    """The packets that the selection keeps, fragments of datagrams among them."""
    decoder = Decoder(0, FlowFilter(WANTED, LIMITS), Fragments(LIMITS))
    out: list[Segment] = []
    for number, (ts, linktype, data, wirelen) in enumerate(packets):
        decoder.decode(data, linktype, (ts, number, wirelen), out)
    return {
        frame
        for one in out
        for frame in one.frames
        if any_port or one.protocol != TCP or {one.sport, one.dport} & WANTED.ports
    }


def check(path: Path, *, any_port: bool) -> tuple[int, int]:
    """Fail where a wanted packet does not come through; return how many are wanted and how many come."""
    through = {linktype: program(any_port=any_port, linktype=linktype) for linktype in LINK_TYPES}
    packets = [one for one in packets_of(path) if one[1] in through]
    passes = {at for at, (_, linktype, data, _) in enumerate(packets) if taken(through[linktype], data)}
    wanted = wanted_frames(packets, any_port=any_port)
    assert wanted <= passes, f"{path.name}: {sorted(wanted - passes)[:5]}"
    return len(wanted), len(passes)


@pytest.mark.parametrize("any_port", [False, True], ids=["known ports", "any port"])
def test_nothing_that_is_wanted_is_turned_away(any_port: bool) -> None:
    wanted, come = map(sum, zip(*(check(path, any_port=any_port) for path in FILES), strict=True))
    assert wanted > 3000
    assert any_port or come < wanted * 1.2  # of what is not wanted little comes through


@pytest.mark.parametrize("any_port", [False, True], ids=["known ports", "any port"])
def test_nor_in_any_wrapping(any_port: bool, tmp_path: Path) -> None:
    """Tags, tunnels, fragments, extension headers."""
    wanted = 0
    for shape in SHAPES:
        if not all(map(shutil.which, shape.needs)):
            continue
        folder = tmp_path / shape.name
        folder.mkdir()
        for path in shape.build(folder):
            with contextlib.suppress(InputError):
                wanted += check(path, any_port=any_port)[0]
    assert wanted > 1000


def bare() -> bytes:
    """A SYN to 9971 in Ethernet and IPv4."""
    return next(data for _, _, data, _ in packets_of(SAMPLES / "recorded" / "h1_single.pcap"))


@pytest.mark.parametrize("tags", range(5))
def test_tags(tags: int) -> None:
    packet = bare()
    tagged = packet[:12] + b"\x81\x00\x00\x07" * tags + packet[12:]
    assert taken(program(any_port=False), tagged)
    if tags <= 2:
        other = tagged.replace((9971).to_bytes(2), (9970).to_bytes(2))
        assert not taken(program(any_port=False), other)


def test_both_let_through_what_each_lets_through() -> None:
    names = interest(Options())._replace(ports=frozenset({53}), datagram_ports=frozenset({53}))
    dns, ours = filter_for(names), program(any_port=False)
    joined = both(dns, ours)
    packets = {
        data for path in FILES[:20] for _, linktype, data, _ in packets_of(path) if linktype == ETHERNET
    }
    one, other, together = ({data for data in packets if taken(code, data)} for code in (dns, ours, joined))
    assert together == one & other
    assert set() < together < other


def test_a_snap_frame_is_left_to_the_decoder() -> None:
    packet = bare()
    ip = packet[14:]
    framed = packet[:12] + struct.pack(">H", len(ip) + 8) + b"\xaa\xaa\x03\x00\x00\x00\x08\x00" + ip
    spanning_tree = packet[:12] + b"\x00\x26\x42\x42\x03" + bytes(35)
    assert taken(program(any_port=False), framed)
    assert not taken(program(any_port=False), spanning_tree)


@given(st.binary(max_size=120), st.booleans())
@settings(max_examples=300)
def test_any_bytes_end_the_program(packet: bytes, any_port: bool) -> None:
    for linktype in (ETHERNET, RAW_IP):
        assert taken(program(any_port=any_port, linktype=linktype), packet) in (0, 262_144)


def test_the_program_is_short_and_its_jumps_go_forward() -> None:
    many = interest(Options(ports=tuple(range(20_000, 20_500))))
    for one in (program(any_port=False), filter_for(many), filter_for(many, RAW_IP)):
        assert len(one) < MAX_INSTRUCTIONS
        assert all(at + 1 + max(i.jt, i.jf) < len(one) for at, i in enumerate(one) if i.code != RET)
        assert one[-1].code == RET  # the kernel takes no program that may run over its end


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
def test_libpcap_agrees_about_known_ports(tmp_path: Path) -> None:
    """tcpdump with an expression of its own, where one can be written."""
    ports = " or ".join(f"port {one}" for one in sorted(WANTED.ports))
    sample = SAMPLES / "recorded" / "mesh_closed.pcapng"
    out = tmp_path / "out.pcap"
    subprocess.run(
        ["tcpdump", "-r", sample, "-w", out, f"tcp and ({ports})"],
        check=True,
        capture_output=True,
        env={**os.environ, "TZ": "UTC"},
    )
    expected = [data for _, _, data, _ in packets_of(out)]
    ours = [data for _, _, data, _ in packets_of(sample) if taken(program(any_port=False), data)]
    assert [data for data in ours if data in expected] == expected
    assert expected
