"""One packet decoded from the link layer up: what is kept of it, and in which fields."""

from __future__ import annotations

import struct
from contextlib import nullcontext
from unittest.mock import patch

import pytest
import shapes
from shapes import FLOW, FLOW6, STRICT, Talk, ethernet

from amtdiag.capture.decode.decoder import Decoder
from amtdiag.capture.decode.defragment import Fragments
from amtdiag.capture.decode.packet import ARP, ICMP, TCP, UDP, Segment
from amtdiag.capture.prefilter.flow_filter import FlowFilter
from amtdiag.config import Limits, Options
from amtdiag.pipeline import interest

AT = (123, 9, 1500)


def decode(*packets: bytes, linktype: int = 1, slowly: bool = False) -> list[Segment]:
    limits = Limits()
    decoder = Decoder(3, FlowFilter(interest(Options()), limits), Fragments(limits))
    out: list[Segment] = []
    with patch.object(Decoder, "_plain", return_value=False) if slowly else nullcontext():
        for number, data in enumerate(packets):
            decoder.decode(data, linktype, (AT[0] + number, AT[1] + number, len(data)), out)
    return out


def around(protocol: int, content: bytes) -> bytes:
    head = shapes.ip_header("10.0.0.1", "10.0.0.2", protocol, len(content), ip_id=77)
    return bytes(6) + b"\2\0\0\0\0\7" + b"\x08\0" + head + content


@pytest.mark.parametrize("slowly", [False, True])
@pytest.mark.parametrize("flow", [FLOW, FLOW6], ids=["4", "6"])
def test_a_tcp_segment(flow: shapes.Flow, slowly: bool) -> None:
    packet = Talk(shapes.psk(), flow).open().send().packets[-1]
    (row,) = decode(ethernet((0x8100, 5)).wrap(packet) if slowly else ethernet().wrap(packet), slowly=slowly)
    assert (row.ts, row.file, row.frames, row.protocol) == (123, 3, (9,), TCP)
    assert (row.src, row.dst) == (shapes.packed(flow.src), shapes.packed(flow.dst))
    assert (row.sport, row.dport, row.payload) == (flow.sport, 9971, shapes.psk().payload)
    assert (row.seq, row.ack, row.flags, row.missing) == (0x10000001, shapes.SERVER_ISN + 1, 24, 0)
    assert row.ident == (packet.ip_id if flow is FLOW else 0)
    assert (row.mac, row.vlan) == (shapes.mac(flow.src_mac), (5,) if slowly else ())


@pytest.mark.parametrize("slowly", [False, True])
def test_a_datagram_is_kept_for_its_port(slowly: bool) -> None:
    def datagram(sport: int, dport: int) -> bytes:
        return around(17, struct.pack(">HHHH", sport, dport, 12, 0xABCD) + b"data")

    (row,) = decode(datagram(40000, 53), datagram(40000, 5353), slowly=slowly)
    assert (row.protocol, row.sport, row.dport, row.payload) == (UDP, 40000, 53, b"data")
    assert (row.checksum, row.seq, row.ack, row.flags, row.ident) == (0xABCD, 0, 0, 0, 77)
    assert row.mac == b"\2\0\0\0\0\7"


def test_of_icmp_what_says_that_something_is_unreachable() -> None:
    unreachable, echo = (struct.pack(">BBHI", kind, 1, 0x1234, 0) + b"quoted" for kind in (3, 8))
    (row,) = decode(around(1, unreachable), around(1, echo))
    assert (row.protocol, row.payload, row.checksum) == (ICMP, unreachable, 0x1234)
    assert (row.sport, row.dport) == (0, 0)


def test_an_arp_message() -> None:
    body = struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 2, b"sender", b"\1\2\3\4", b"target", b"\5\6\7\x08")
    data = bytes(12) + b"\x08\x06" + body
    (row,) = decode(data, data[:-1], data[:18] + b"\x08" + data[19:])
    assert (row.protocol, row.flags, row.src, row.dst) == (ARP, 2, b"\1\2\3\4", b"\5\6\7\x08")
    assert row.mac == b"sender"


def test_cut_in_tcp_options_costs_no_payload() -> None:
    packet = Talk(shapes.psk(), options=b"\1" * 12).send().packets[0]
    data = ethernet().wrap(packet)
    for left in range(34 + 20, len(data)):
        (row,) = decode(data[:left])
        assert len(row.payload) + row.missing == len(shapes.psk().payload)


def test_headers_that_are_no_headers() -> None:
    short = struct.pack(">HHIIBBHHH", 1, 9971, 0, 0, 4 << 4, 2, 0, 0, 0)
    assert decode(around(6, short), around(6, short[:19]), around(17, b"\0" * 7), around(1, b"\3" * 7)) == []


def test_an_unexpected_port_waits_for_its_first_bytes() -> None:
    link = ethernet()
    packets = [link.wrap(packet) for packet in Talk(shapes.psk(), STRICT).open().send_all(2).packets]
    assert {row.frames for row in decode(*packets[:4])} == set()
    assert len(decode(*packets)) > 4


def test_a_link_type_that_nothing_reads() -> None:
    assert decode(b"anything at all" * 9, linktype=147) == []
