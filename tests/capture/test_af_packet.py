"""Packet sockets at the end of a real cable."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from bpf_machine import taken
from helpers import HELLO_ONLY, SAMPLES
from test_bpf import FILES
from test_bpf import packets_of as records_of
from wire import FAR, NEAR, Wire, inside, laid, packets_of, wanted_of

from amtdiag.capture.decode.linktypes import ETHERNET
from amtdiag.capture.live.af_packet import ANY, Sniffer
from amtdiag.capture.prefilter.bpf import filter_for
from amtdiag.config import Options
from amtdiag.pipeline import interest

REFUSED = SAMPLES / "recorded" / "mesh_closed.pcapng"


@pytest.fixture
def wire() -> Iterator[Wire]:
    with laid() as one:
        yield one


def test_tags_and_ports_in_the_kernel(wire: Wire) -> None:
    """The kernel's filter and the tag that it took off: what comes out is what was sent in."""
    (syn, *_) = packets_of(HELLO_ONLY)
    tagged = syn[:12] + b"\x81\x00\x00\x07" + syn[12:]
    twice = syn[:12] + b"\x88\xa8\x00\x09\x81\x00\x00\x07" + syn[12:]
    other = bytearray(syn)
    struct.pack_into(">HH", other, 34, 40_000, 40_001)
    with inside(wire.name):
        strict = Sniffer([FAR], interest(Options()), any_port=False)
        lenient = Sniffer([FAR], interest(Options()), any_port=True)
    wire.send([syn, tagged, twice, bytes(other), bytes(60)])
    time.sleep(0.2)
    try:
        assert [one.data for one in strict.read()] == [syn, tagged, twice]
        assert [one.data for one in lenient.read()] == [syn, tagged, twice, bytes(other)]
        assert all(abs(one.ts - time.time_ns()) < 60e9 for one in strict.read())
        assert strict.counts()[0].received == 3
    finally:
        strict.close()
        lenient.close()


def test_the_kernel_decides_as_the_machine_of_the_tests(wire: Wire) -> None:
    """So that what is proven with that machine holds for the kernel."""
    program = filter_for(interest(Options()))
    with inside(wire.name):
        sniffer = Sniffer([FAR], interest(Options()), any_port=False)
    sent = dict.fromkeys(
        data
        for path in FILES
        for _, linktype, data, _ in records_of(path)
        if linktype == ETHERNET and 14 < len(data) <= 1514
    )
    expected = [data for data in sent if taken(program, data)]
    assert len(sent) > len(expected) > 1000
    got: list[bytes] = []
    try:
        for number, data in enumerate(sent):
            wire.send([data])
            if not number % 100:
                got += [one.data for one in sniffer.read()]
        while len(got) < len(expected) and sniffer.wait(2):
            got += [one.data for one in sniffer.read()]
    finally:
        sniffer.close()
    assert got == expected


def test_all_interfaces_that_are_up(wire: Wire) -> None:
    """What is sent at one end is seen there, and at the other."""
    sent = packets_of(HELLO_ONLY)
    with inside(wire.name):
        sniffer = Sniffer([ANY, FAR], interest(Options()), any_port=False)
    try:
        assert sorted(tap.name for tap in sniffer.taps) == sorted((NEAR, FAR))
        wire.send(sent)
        time.sleep(0.2)
        frames = sniffer.read()
    finally:
        sniffer.close()
    for number in (0, 1):
        assert [one.data for one in frames if one.number == number] == sent


@pytest.mark.needs("tcpdump")
def test_a_filter_of_the_users_narrows_it(wire: Wire) -> None:
    """libpcap's program in front of ours; without tcpdump there may be no libpcap."""
    expected = [one for one in wanted_of(REFUSED) if one[23] == 6 and b"\x42\x61" in (one[34:36], one[36:38])]
    with inside(wire.name):
        sniffer = Sniffer([FAR], interest(Options()), any_port=False, narrowed="tcp port 16993")
    try:
        wire.send(packets_of(REFUSED))
        time.sleep(0.2)
        assert [one.data for one in sniffer.read()] == expected
        assert len(wanted_of(REFUSED)) > len(expected) > 0
    finally:
        sniffer.close()


ELSEWHERE = """
import json, sys, time
from amtdiag.capture.live.scapy_source import ScapySource
from amtdiag.config import Options
from amtdiag.pipeline import interest
source = ScapySource([sys.argv[1]], interest(Options()), any_port=False)
print("ready", flush=True)
got, end = [], time.monotonic() + 20
while len(got) < int(sys.argv[2]) and time.monotonic() < end:
    source.wait(0.1)
    got += [one.data.hex() for one in source.read()]
source.close()
print(json.dumps([got, source.counts()]))
"""


def test_the_way_of_other_systems(wire: Wire) -> None:
    """On Linux, which shows that the adapter does what it should where scapy does."""
    pytest.importorskip("scapy")
    expected = wanted_of(REFUSED)
    process = subprocess.Popen(
        wire.command(sys.executable, "-c", ELSEWHERE, FAR, str(len(expected))),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    wire.send(packets_of(REFUSED))
    out, _ = process.communicate(timeout=40)
    got, ((received, *_),) = json.loads(out)
    assert [bytes.fromhex(one) for one in got] == expected
    assert received == len(expected)
