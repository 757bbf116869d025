"""IP headers, one in the other, down to what they carry."""

from __future__ import annotations

import functools

import pytest
import shapes
from shapes import FLOW, FLOW6, Link, Talk
from shapes.tags_and_tunnels import IPV6_IN_IPV4, TUNNELS

from amtdiag.capture.decode.ip import headers, walk

IPV4, IPV6 = 0x0800, 0x86DD
FOUR, SIX = (Talk(flow=flow).syn().packets[0] for flow in (FLOW, FLOW6))


@pytest.mark.parametrize(("packet", "ethertype"), [(FOUR, IPV4), (SIX, IPV6)], ids=["4", "6"])
def test_a_datagram(packet: shapes.Packet, ethertype: int) -> None:
    data = packet.ip + b"padding"
    datagram = walk(b"\xee" * 14 + data, ethertype, 14, 14 + len(data))
    assert datagram is not None
    assert (datagram.src, datagram.dst) == tuple(map(shapes.packed, packet.addresses))
    assert datagram.protocol == 6
    assert (b"\xee" * 14 + data)[datagram.start : datagram.end] == packet.tcp
    assert (datagram.missing, datagram.fragment) == (0, None)


@pytest.mark.parametrize(("packet", "ethertype"), [(FOUR, IPV4), (SIX, IPV6)], ids=["4", "6"])
def test_what_was_cut_is_missing(packet: shapes.Packet, ethertype: int) -> None:
    header = len(packet.ip) - len(packet.tcp)
    for size in range(len(packet.ip)):
        datagram = walk(packet.ip[:size], ethertype, 0, len(packet.ip))
        assert (datagram is not None) == (size >= header)
        if datagram is not None:
            assert datagram.end - datagram.start + datagram.missing == len(packet.tcp)


def test_a_length_of_zero_means_all_that_was_on_the_wire() -> None:
    data = FOUR.ip[:2] + b"\0\0" + FOUR.ip[4:]
    datagram = walk(data, IPV4, 0, len(data))
    assert datagram is not None
    assert data[datagram.start : datagram.end] == FOUR.tcp


def test_fragments_name_their_place() -> None:
    for packet, ethertype in ((FOUR, IPV4), (SIX, IPV6)):
        first, last = shapes.fragments(packet, (0, 16), (16, 99))
        found = [walk(piece.ip, ethertype, 0, len(piece.ip)) for piece in (first, last)]
        places = [datagram and datagram.fragment for datagram in found]
        assert [place and (place.offset, place.more) for place in places] == [(0, True), (16, False)]
        assert len({place.key for place in places if place}) == 1


def test_extension_headers_are_passed() -> None:
    options, routing = (0, b"\0\1\4\0\0\0\0"), (43, b"\2\0\0\0\0\0\0" + bytes(16))
    chain = functools.partial(shapes.ipv6, extensions=(options, routing))
    data = Talk(flow=FLOW6, network=chain).syn().packets[0].ip
    datagram = walk(data, IPV6, 0, len(data))
    assert datagram is not None
    assert datagram.protocol == 6
    endless = shapes.ipv6(SIX, extensions=[options] * 40)
    assert walk(endless, IPV6, 0, len(endless)) is None


@pytest.mark.parametrize("link", [*TUNNELS.values(), IPV6_IN_IPV4], ids=[*TUNNELS, "ipv6_in_ipv4"])
def test_tunnels(link: Link) -> None:
    packet = SIX if link is IPV6_IN_IPV4 else FOUR
    data = link.wrap(packet)
    outer, inner = headers(data, IPV4, 14, len(data))
    assert (outer.is_innermost, inner.is_innermost) == (False, True)
    assert data[inner.offset :] == packet.ip
    datagram = walk(data, IPV4, 14, len(data))
    assert datagram is not None
    assert data[datagram.start : datagram.end] == packet.tcp
