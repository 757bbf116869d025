"""One packet with pseudonyms from the link layer up, in the same length, with right checksums.

A checksum that can be computed is computed; where a part of the packet was not captured, or is in other
fragments, the old one is brought up to date (RFC 1624), so that a right one stays right. Bytes of no known
meaning become zero: options, padding, what quotes another packet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from amtdiag.capture.decode.ip import Header, headers
from amtdiag.capture.decode.linktypes import LINK_TYPES
from amtdiag.capture.decode.packet import ARP, ICMP, ICMPV6, TCP, UDP
from amtdiag.redact.pseudonyms import Pseudonyms

_ARP_MACS, _ARP_ADDRESSES, _ARP_END = (8, 18), (14, 24), 28
_IPV6_HEADER, _IPV4_HEADER = 40, 20
_ADDRESSES = {4: (12, 16, 20), 6: (8, 24, 40)}
"""By version: where the source, the destination, and what follows them begin."""
_TCP_HEADER, _UDP_HEADER, _ICMP_HEADER = 20, 8, 8
_CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP: 2, ICMPV6: 2}
_KEPT_TCP_OPTIONS = {2: 4, 3: 3, 4: 2, 8: 10}
"""Segment size, window scale, selective acknowledgements permitted, time stamps: kind and length."""
_SACK = 5
_INFORMATION, _PRIVATE = 128, 200
"""ICMPv6 types: the first that is no error, and one of private experimentation (RFC 4443)."""


class Payload(NamedTuple):
    """What the body of a TCP segment or UDP datagram becomes, and by how much its sum changes."""

    data: bytes
    change: int
    """Of the sum of 16-bit words of the whole datagram, for checksums over several fragments."""


Bodies = Callable[[Header, int, bytes, bytes], Payload | None]
"""Takes the innermost header, the protocol, the transport header and the body; returns the new body.

None where the packet is no part of what is known.
"""


def mask_packet(data: bytes, linktype: int, wirelen: int, names: Pseudonyms, bodies: Bodies) -> bytes | None:
    """Return a packet with pseudonyms; None where its link layer is not read."""
    link = LINK_TYPES.get(linktype)
    network = link and link.read(data)
    if not link or not network:
        return None
    out = bytearray(len(data))
    out[: network.offset] = data[: network.offset]
    for at in sorted(link.macs):
        out[at : at + link.mac_room] = names.mac(data[at : at + 6]) + bytes(link.mac_room - 6)
    _inner_macs(data, out, 14, network.offset, names)
    if network.ethertype == ARP:
        _arp(data, out, network.offset, names)
        return bytes(out)
    found = headers(data, network.ethertype, network.offset, wirelen)
    for number, header in enumerate(found):
        datagram = header.datagram
        _addresses(data, out, header, names)
        if number + 1 < len(found):
            inner = found[number + 1].offset
            out[datagram.start : inner] = data[datagram.start : inner]
            if datagram.protocol == UDP and inner >= datagram.start + _UDP_HEADER:
                out[datagram.start + 6 : datagram.start + 8] = bytes(2)  # VXLAN may do without (RFC 7348)
            _inner_macs(data, out, datagram.start, inner, names)
    if found:
        _transport(data, out, found[-1], names, bodies)
    for header in reversed(found):
        _checksums(out, header)
    return bytes(out)


def _inner_macs(data: bytes, out: bytearray, start: int, end: int, names: Pseudonyms) -> None:
    """Replace the MACs of an Ethernet header inside a tunnel, which ends in an EtherType before IP."""
    for at in range(max(start, end - 40), end - 13):
        # The EtherTypes from the addresses on lead to the end: tags of four bytes, and the last one.
        tags, place = 0, at + 12
        while data[place : place + 2] in (b"\x81\x00", b"\x88\xa8", b"\x91\x00") and tags < 4:
            tags, place = tags + 1, place + 4
        if place + 2 == end and data[place:end] in (b"\x08\x00", b"\x86\xdd", b"\x08\x06"):
            out[at : at + 6] = names.mac(data[at : at + 6])
            out[at + 6 : at + 12] = names.mac(data[at + 6 : at + 12])
            return


def _arp(data: bytes, out: bytearray, at: int, names: Pseudonyms) -> None:
    body = data[at : at + _ARP_END]
    if len(body) < _ARP_END or body[4:6] != b"\6\4":
        out[at : at + 8] = data[at : at + 8]
        return
    masked = bytearray(body)
    for place in _ARP_MACS:
        masked[place : place + 6] = names.mac(body[place : place + 6])
    for place in _ARP_ADDRESSES:
        masked[place : place + 4] = names.ipv4(body[place : place + 4])
    out[at : at + _ARP_END] = masked


def _addresses(data: bytes, out: bytearray, header: Header, names: Pseudonyms) -> None:
    at, end = header.offset, header.datagram.start
    source, target, after = _ADDRESSES[header.version]
    out[at : at + source] = data[at : at + source]
    for start, stop in ((source, target), (target, after)):
        out[at + start : at + stop] = names.address(data[at + start : at + stop])
    if header.version == 4:
        out[at + after : end] = b"\1" * (end - at - after)  # options: none
    else:
        _extensions(data, out, at, end)


def _extensions(data: bytes, out: bytearray, at: int, end: int) -> None:
    """Keep what IPv6 extension headers are, and drop what options and routes they hold."""
    kind, place = data[at + 6], at + _IPV6_HEADER
    while place + 8 <= end:
        size = 8 if kind == 44 else (data[place + 1] + 2) * 4 if kind == 51 else (data[place + 1] + 1) * 8
        kept = 8 if kind == 44 else 2
        out[place : place + kept] = data[place : place + kept]
        if kind in (0, 60) and size > 2:  # one padding option as long as all of them
            fill = size - 4
            out[place + 2 : place + 4] = bytes([1, min(fill, 255)])
        kind, place = data[place], place + size


def _transport(data: bytes, out: bytearray, header: Header, names: Pseudonyms, bodies: Bodies) -> None:
    datagram = header.datagram
    start, end = datagram.start, datagram.end
    fragment = datagram.fragment
    protocol = fragment.key[2] if fragment else datagram.protocol
    if fragment is not None and fragment.offset:
        payload = bodies(header, protocol, b"", data[start:end])
        if payload is not None:
            out[start:end] = payload.data
        return
    body = start + _header_length(data, start, end, protocol)
    if not start < body <= end:
        return
    head = data[start:body]
    out[start:body] = _tcp_options(head) if protocol == TCP else head
    if protocol == ICMPV6 and head[0] >= _INFORMATION:
        out[start] = _PRIVATE  # neighbours and groups: of all that nothing is kept
        out[start + 4 : body] = bytes(body - start - 4)
        change = 0
    elif protocol in (ICMP, ICMPV6):
        out[body:end] = _quoted(data[body:end], names)
        change = 0
    else:
        payload = bodies(header, protocol, head, data[body:end])
        if payload is not None:
            out[body:end] = payload.data
        change = payload.change if payload is not None else 0
    _transport_checksum(data, out, header, protocol, (start, end), change=change)


def _header_length(data: bytes, start: int, end: int, protocol: int) -> int:
    if protocol == TCP and end - start >= _TCP_HEADER:
        return (data[start + 12] >> 4) * 4
    return {UDP: _UDP_HEADER, ICMP: _ICMP_HEADER, ICMPV6: _ICMP_HEADER}.get(protocol, 0)


def _tcp_options(head: bytes) -> bytes:
    """Keep the options that say how a connection runs; of others, no-operation is left."""
    out = bytearray(head[:_TCP_HEADER]) + b"\1" * (len(head) - _TCP_HEADER)
    at = _TCP_HEADER
    while at + 1 < len(head) and head[at]:
        if head[at] == 1:
            at += 1
            continue
        length = head[at + 1]
        if length < 2:
            break
        if _KEPT_TCP_OPTIONS.get(head[at]) == length or head[at] == _SACK:
            out[at : at + length] = head[at : at + length]
        at += length
    return bytes(out[: len(head)])


def _quoted(data: bytes, names: Pseudonyms) -> bytes:
    """Mask the packet that an ICMP message quotes: its header and the first 8 bytes behind it stay."""
    version = data[0] >> 4 if data else 0
    if version not in _ADDRESSES:
        return bytes(len(data))
    source, target, after = _ADDRESSES[version]
    if len(data) < after:
        return bytes(len(data))
    size = (data[0] & 15) * 4 if version == 4 else _IPV6_HEADER
    out = bytearray(data[: size + 8])
    for start, stop in ((source, target), (target, after)):
        out[start:stop] = names.address(data[start:stop])
    if version == 4:
        out[_IPV4_HEADER:size] = b"\1" * (size - _IPV4_HEADER)
        out[10:12] = bytes(2)
        out[10:12] = _fold(words(out[:size])).to_bytes(2)
        if data[9] == UDP and len(out) >= size + 8:
            out[size + 6 : size + 8] = bytes(2)  # not to be computed from a quotation
    return bytes(out) + bytes(len(data) - len(out))


# ------------------------------------------------------------------------------------------------- checksums


def words(data: bytes | bytearray) -> int:
    """Return the sum of the 16-bit words of bytes that begin at an even place."""
    return sum(data[0::2]) * 256 + sum(data[1::2])


def _fold(total: int) -> int:
    """Return the checksum of a sum that is not 0."""
    return 0xFFFF - (total % 0xFFFF or 0xFFFF)


def _update(old: int, change: int) -> int:
    """Return a checksum after the sum under it changed (RFC 1624)."""
    return _fold(0xFFFF - old + change) if change % 0xFFFF else old


def _transport_checksum(
    data: bytes, out: bytearray, header: Header, protocol: int, span: tuple[int, int], *, change: int
) -> None:
    at = span[0] + _CHECKSUM_AT[protocol]
    old = int.from_bytes(data[at : at + 2])
    if at + 2 > span[1] or (protocol == UDP and not old):  # none was computed
        return
    source, _, after = _ADDRESSES[header.version]
    place = header.offset
    has_pseudo = protocol != ICMP
    if header.datagram.fragment is None and not header.datagram.missing:
        out[at : at + 2] = bytes(2)
        total = words(out[span[0] : span[1]])
        if has_pseudo:
            total += words(out[place + source : place + after]) + protocol + span[1] - span[0]
        new = _fold(total)
    else:
        heads = words(out[span[0] : at]) + words(out[at + 2 : at + 2 + _rest(protocol, out, span, at)])
        were = words(data[span[0] : at]) + words(data[at + 2 : at + 2 + _rest(protocol, out, span, at)])
        change += heads - were
        if has_pseudo:
            change += words(out[place + source : place + after]) - words(data[place + source : place + after])
        new = _update(old, change)
    # Of TCP and UDP a computed zero is sent as all ones, since zero means none; in a sum they are the same.
    out[at : at + 2] = (new or (0xFFFF if protocol == UDP else 0)).to_bytes(2)


def _rest(protocol: int, out: bytearray, span: tuple[int, int], at: int) -> int:
    """Bytes of the transport header behind its checksum; of ICMP all that follows."""
    if protocol == TCP:
        return (out[span[0] + 12] >> 4) * 4 - _CHECKSUM_AT[TCP] - 2
    return span[1] - at - 2 if protocol in (ICMP, ICMPV6) else 0


def _checksums(out: bytearray, header: Header) -> None:
    """Compute the checksum of an IPv4 header, and drop that of a UDP tunnel."""
    at, end = header.offset, header.datagram.start
    if header.version == 4:
        out[at + 10 : at + 12] = bytes(2)
        out[at + 10 : at + 12] = _fold(words(out[at:end])).to_bytes(2)
