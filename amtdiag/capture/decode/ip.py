"""IPv4 and IPv6 down to TCP: options, extension headers, tunnels.

`headers` goes through as many IP headers as a tunnel stacks. It never trusts a length further than the bytes
that were captured; checksums are not verified, since offloading leaves them wrong on good packets.
"""

from typing import NamedTuple

from amtdiag.capture.decode.linktypes import IPV4, IPV6, ethernet
from amtdiag.capture.decode.packet import TCP, UDP

_GRE = 47
_IP_IN_IP = {4: IPV4, 41: IPV6}
TUNNELS = frozenset({*_IP_IN_IP, _GRE})
"""Protocols that carry another packet; VXLAN does so in UDP."""
_MAX_TUNNELS = 8

_V6_OPTIONS = frozenset({0, 43, 60, 135, 139, 140})
"""Hop-by-hop, routing, destination options, mobility, HIP, Shim6: length in units of 8 bytes."""
_V6_FRAGMENT = 44
_V6_AUTHENTICATION = 51
EXTENSIONS = _V6_OPTIONS | {_V6_FRAGMENT, _V6_AUTHENTICATION}
"""Headers between that of IPv6 and what it carries."""
_MAX_EXTENSIONS = 16

_GRE_ETHERNET = 0x6558
_GRE_ERSPAN = {0x88BE: 8, 0x22EB: 12}
"""ERSPAN type II and III: bytes of their own header. Type I has no sequence number and no header."""
VXLAN_PORT = b"\x12\xb5"
_VXLAN_HEADER = 8
_UDP_HEADER = 8


class Fragment(NamedTuple):
    """Where a fragment belongs."""

    key: tuple[bytes, bytes, int, int]
    """Source, destination, protocol, identification."""
    offset: int
    """Of its first byte in the datagram's payload."""
    more: bool
    """Others follow it in the datagram."""


class Datagram(NamedTuple):
    """An IP datagram's payload, as far as it was captured."""

    src: bytes
    """Source address, 4 or 16 bytes."""
    dst: bytes
    """Destination address, 4 or 16 bytes."""
    protocol: int
    """Of the payload; of a later fragment what the header before it names."""
    ident: int
    """IPv4 identification, 0 for IPv6."""
    start: int
    """Offset of the payload in the packet."""
    end: int
    """Captured payload is `data[start:end]`."""
    missing: int
    """Payload bytes that the header promises but the capture cut off."""
    fragment: Fragment | None
    """None for a whole datagram."""
    vlan: tuple[int, ...]
    """VLAN tags inside a tunnel."""
    mac: bytes
    """Source MAC inside a tunnel, empty outside one."""


def walk(data: bytes, ethertype: int, offset: int, wirelen: int) -> Datagram | None:
    """Return the innermost IP datagram of a packet, or None where there is none that can be read.

    `wirelen` is the length of the whole packet on the wire, for headers whose own length field is 0
    (segmentation offload).
    """
    found = headers(data, ethertype, offset, wirelen)
    return found[-1].datagram if found and found[-1].is_innermost else None


class Header(NamedTuple):
    """One IP header of a packet, and what it is about."""

    version: int
    """4 or 6."""
    offset: int
    """Of its first byte in the packet."""
    datagram: Datagram
    """What it carries."""
    is_innermost: bool
    """It carries no other; else that one cannot be read if this is the last of a packet's."""


def headers(data: bytes, ethertype: int, offset: int, wirelen: int) -> list[Header]:
    """Return the IP headers of a packet, outermost first: as far as they can be read.

    `wirelen` is the length of the whole packet on the wire.
    """
    found: list[Header] = []
    vlan: tuple[int, ...] = ()
    mac = b""
    for _ in range(_MAX_TUNNELS):
        if ethertype == IPV4:
            version, datagram = 4, _ipv4(data, offset, wirelen)
        elif ethertype == IPV6:
            version, datagram = 6, _ipv6(data, offset, wirelen)
        else:
            break
        if datagram is None:
            break
        inner = None if datagram.fragment else _tunnel(data, datagram)
        found.append(Header(version, offset, datagram._replace(vlan=vlan, mac=mac), inner is None))
        if inner is None:
            break
        ethertype, offset, more_vlan, inner_mac = inner
        vlan += more_vlan
        mac = inner_mac or mac
    return found


def _ipv4(data: bytes, offset: int, wirelen: int) -> Datagram | None:
    if len(data) < offset + 20 or data[offset] >> 4 != 4:
        return None
    header = (data[offset] & 15) * 4
    start = offset + header
    if header < 20 or start > len(data):
        return None
    total = int.from_bytes(data[offset + 2 : offset + 4]) or wirelen - offset
    if total < header:
        return None
    ident = int.from_bytes(data[offset + 4 : offset + 6])
    bits = int.from_bytes(data[offset + 6 : offset + 8])
    protocol = data[offset + 9]
    src, dst = data[offset + 12 : offset + 16], data[offset + 16 : offset + 20]
    end = min(offset + total, len(data))
    fragment = None
    if bits & 0x3FFF:
        fragment = Fragment((src, dst, protocol, ident), (bits & 0x1FFF) * 8, bool(bits & 0x2000))
    missing = offset + total - end
    return Datagram(src, dst, protocol, ident, start, end, missing, fragment, (), b"")


def _ipv6(data: bytes, offset: int, wirelen: int) -> Datagram | None:
    if len(data) < offset + 40 or data[offset] >> 4 != 6:
        return None
    length = int.from_bytes(data[offset + 4 : offset + 6])
    stop = offset + 40 + length if length else max(wirelen, offset + 40)
    end = min(stop, len(data))
    src, dst = data[offset + 8 : offset + 24], data[offset + 24 : offset + 40]
    protocol = data[offset + 6]
    position = offset + 40
    fragment = None
    for _ in range(_MAX_EXTENSIONS):
        if protocol in _V6_OPTIONS:
            size = 8
            if position + 2 <= end:
                size = (data[position + 1] + 1) * 8
        elif protocol == _V6_AUTHENTICATION:
            size = 8
            if position + 2 <= end:
                size = (data[position + 1] + 2) * 4
        elif protocol == _V6_FRAGMENT and fragment is None:
            size = 8
            if position + 8 <= end:
                bits = int.from_bytes(data[position + 2 : position + 4])
                ident = int.from_bytes(data[position + 4 : position + 8])
                fragment = Fragment((src, dst, data[position], ident), bits & 0xFFF8, bool(bits & 1))
        else:
            break
        if position + size > end:
            return None
        protocol = data[position]
        position += size
        if fragment is not None and fragment.offset:
            break  # what follows is the middle of the datagram, not a header
    else:
        return None
    if fragment is not None and not fragment.offset and not fragment.more:
        fragment = None  # an atomic fragment (RFC 6946) is a whole datagram
    return Datagram(src, dst, protocol, 0, position, end, stop - end, fragment, (), b"")


_Inner = tuple[int, int, tuple[int, ...], bytes]
"""EtherType, offset, VLAN tags and source MAC of what a tunnel carries."""


def _tunnel(data: bytes, datagram: Datagram) -> _Inner | None:
    if datagram.protocol == TCP:
        return None
    start, end = datagram.start, datagram.end
    if datagram.protocol in _IP_IN_IP:
        return _IP_IN_IP[datagram.protocol], start, (), b""
    if datagram.protocol == _GRE and end - start >= 4:
        return _gre(data, start)
    is_vxlan = datagram.protocol == UDP and data[start + 2 : start + 4] == VXLAN_PORT
    if is_vxlan and end - start > _UDP_HEADER + _VXLAN_HEADER:
        return _inner_ethernet(data, start + _UDP_HEADER + _VXLAN_HEADER)
    return None


def _gre(data: bytes, start: int) -> _Inner | None:
    """GRE of RFC 2784 and 2890, carrying IP, Ethernet, or a mirrored frame (ERSPAN)."""
    flags, kind = int.from_bytes(data[start : start + 2]), int.from_bytes(data[start + 2 : start + 4])
    if flags & 0x0007:
        return None  # version 1 carries PPP for PPTP
    body = start + 4 + 4 * sum(bool(flags & bit) for bit in (0x8000, 0x2000, 0x1000))
    if kind in (IPV4, IPV6):
        return kind, body, (), b""
    if kind == _GRE_ETHERNET:
        return _inner_ethernet(data, body)
    if kind in _GRE_ERSPAN:
        return _inner_ethernet(data, body + (_GRE_ERSPAN[kind] if flags & 0x1000 else 0))
    return None


def _inner_ethernet(data: bytes, offset: int) -> _Inner | None:
    network = ethernet(data, offset)
    return network and (network.ethertype, network.offset, network.vlan, network.mac)
