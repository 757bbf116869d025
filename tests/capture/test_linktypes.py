"""Link types: each row of the table, read by Python and by the compiled sieve, and those without a row."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
import shapes
from helpers import ROOT
from invented_links import INVENTED, packets_of
from shapes import Interface, Packet, Record, pcap, pcapng
from shapes.link_types import LINKS

from amtdiag.capture.decode.linktypes import ETHERNET, LINK_TYPES, LinkType, link_name, packed
from amtdiag.capture.files.inputs import open_inputs
from amtdiag.capture.filescan import FileScan
from amtdiag.capture.prefilter.interface import Sieve
from amtdiag.capture.prefilter.kernel import is_missing, sieve_for
from amtdiag.capture.scan import Scan
from amtdiag.config import Limits, Options
from amtdiag.model import CaptureInfo
from amtdiag.pipeline import interest

EVERY: Mapping[int, LinkType] = {**LINK_TYPES, **INVENTED}
INTEREST = interest(Options())._replace(link_types=EVERY)
KERNELS = ["python", *([] if is_missing() else ["c"])]
FOUR, SIX = (shapes.Talk(flow=flow).syn().packets[0] for flow in (shapes.FLOW, shapes.FLOW6))
MAC = shapes.mac(shapes.FLOW.src_mac)


def sieve_of(kernel: str) -> Sieve:
    with patch.dict(os.environ, {"AMTDIAG_KERNEL": kernel}):
        return sieve_for(INTEREST)[0]


def wrapped(number: int, packet: Packet) -> list[bytes]:
    if number in INVENTED:
        return list(packets_of(number, packet.ip))
    return [link.wrap(packet) for link in LINKS[number].values()]


def test_each_row_has_packets() -> None:
    assert LINKS.keys() == LINK_TYPES.keys()


@pytest.mark.parametrize("number", EVERY)
@pytest.mark.parametrize("packet", [FOUR, SIX], ids=["4", "6"])
def test_where_the_network_layer_begins(number: int, packet: Packet) -> None:
    for data in wrapped(number, packet):
        network = EVERY[number].read(data)
        assert network is not None
        assert data[network.offset :] == packet.ip
        assert network.ethertype == shapes.ether_type(packet)
        if number in LINK_TYPES:
            assert network.mac == (MAC if LINK_TYPES[number].macs else b"")


@pytest.mark.parametrize("number", EVERY)
def test_a_cut_header_leads_nowhere(number: int) -> None:
    for data in wrapped(number, FOUR):
        network = EVERY[number].read(data)
        assert network is not None
        for size in range(network.offset):
            found = EVERY[number].read(data[:size])
            assert found is None or found.offset >= size


@pytest.mark.skipif(is_missing(), reason="the compiled kernel is not installed")
@pytest.mark.parametrize("number", EVERY)
def test_the_compiled_sieve_reads_a_row_as_python_does(number: int) -> None:
    """A SYN to a Hello port is wanted wherever the header in front of it leads to it, and nowhere else."""
    chance = random.Random(number)
    sieve, link = sieve_of("c"), EVERY[number]
    found = 0
    for base in [data for packet in (FOUR, SIX) for data in wrapped(number, packet)]:
        header = len(base) - len(FOUR.ip if base.endswith(FOUR.ip) else SIX.ip)
        for _ in range(600):
            data = bytearray(base)
            for _ in range(chance.choice((0, 1, 1, 2, 3))):
                if header:
                    value = chance.choice((0, 1, 2, 3, 4, 6, 8, 0x21, 0x57, 0x86, 0xAA, 0xDD, 0xFF))
                    data[chance.randrange(header)] = value
            del data[chance.choice((len(data), len(data), chance.randrange(len(data)))) :]
            network = link.read(bytes(data))
            wanted = sieve.wants(number, bytes(data), len(data))
            there = network and (network.ethertype, bytes(data[network.offset :]))
            reaches = there in ((0x0800, FOUR.ip), (0x86DD, SIX.ip))
            if link.reader is not None or reaches:
                assert wanted
            elif network is None:
                assert not wanted
            found += reaches
    assert found > 100


@pytest.mark.parametrize("number", [link for link in LINK_TYPES if link != ETHERNET])
def test_places_of_addresses(number: int) -> None:
    """All MACs that a header has are where the row says, so that redaction finds them."""
    for link in LINKS[number].values():
        data, macs = link.wrap(FOUR), LINK_TYPES[number].macs
        places = [at for at in range(len(data) - len(FOUR.ip)) if data[at : at + 6] == MAC]
        assert places == sorted(macs)


@pytest.mark.skipif(is_missing(), reason="the compiled kernel is not installed")
def test_the_sieve_refuses_a_table_that_it_cannot_read() -> None:
    row = packed({1: LINK_TYPES[1]})
    module = pytest.importorskip("amtdiag.capture.prefilter._kernel")

    def make(table: bytes) -> None:
        module.Sieve(bytes(8192), bytes(8192), bytes(256), 1, (3, 1), table, 1)

    make(b"")
    make(row * 64)
    wrong = [row[:-1], row * 65, (1024).to_bytes(4, "little") + row[4:]]
    wrong += [row[:at] + bytes([value]) + row[at + 1 :] for at, value in ((12, 6), (13, 3), (14, 3), (16, 0))]
    for table in wrong:
        with pytest.raises(ValueError, match="table of link types"):
            make(table)


# ------------------------------------------------------------------------------ what nothing reads is counted


def read(path: Path, kernel: str) -> CaptureInfo:
    """What is said of a file; every packet that a sieve leaves is a failure."""
    opened = open_inputs([path], Limits())
    scan = Scan(opened.inputs, INTEREST, Limits(), sieve=sieve_of(kernel))
    with patch.object(FileScan, "decode", side_effect=AssertionError("a packet was handed on")):
        assert list(scan) == []
    (info,) = scan.captures
    return info


def strangers(count: int) -> list[Record]:
    return [shapes.other(FOUR.ip * 3, shapes.T0 + number) for number in range(count)]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("number", [147, 4711, 65535])
@pytest.mark.parametrize("version", [(2, 4), (2, 3)])
def test_a_link_type_that_nothing_reads_is_counted(
    number: int, version: tuple[int, int], kernel: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(strangers(500), linktype=number, version=version))
    info = read(path, kernel)
    assert info.packets == 500
    assert info.linktypes == (link_name(number),)
    assert info.notes == (f"500 packets of link type {link_name(number)} were counted but not read",)
    assert (info.first_ts, info.last_ts) == (shapes.T0 // 1000 * 1000, (shapes.T0 + 499) // 1000 * 1000)


@pytest.mark.parametrize("kernel", KERNELS)
def test_each_kind_is_counted_for_itself(kernel: str, tmp_path: Path) -> None:
    kinds = [147, 189, 4711]
    stored = [replace(one, interface=number % 5 % 3) for number, one in enumerate(strangers(500))]
    path = tmp_path / "a.pcapng"
    path.write_bytes(pcapng(stored, interfaces=[Interface(number) for number in kinds]))
    assert read(path, kernel).notes == tuple(
        f"{count} packets of link type {link_name(number)} were counted but not read"
        for number, count in zip(kinds, (200, 200, 100), strict=True)
    )


def test_the_readme_names_what_is_read() -> None:
    tool = ROOT / "tools" / "link_types.py"
    done = subprocess.run(
        [sys.executable, str(tool), "--check"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
