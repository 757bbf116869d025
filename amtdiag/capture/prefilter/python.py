"""The sieve in plain Python: what `native/sieve.c` does, where that was not compiled.

Of fewer kinds of packets it can tell that they do not matter, and it leaves all others to be decoded. That
is slower where there are many of them, and no less right.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter

from amtdiag.capture.decode.ip import TUNNELS, VXLAN_PORT
from amtdiag.capture.decode.packet import ICMP, ICMPV6, TCP, UDP
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.capture.prefilter.interface import SEEN_BYTES, TALLY, PcapLayout, PcapngLayout, Rows

_PLAIN_HEADERS = 54
"""Ethernet, IPv4 and TCP without any options."""
_PLAIN = "12x 3s 5x 2s x B 10x 2s 2s 8x BB"
"""EtherType and length of the IPv4 header, fragment, protocol, ports, length of the TCP header, flags."""
_SEEN = 48
"""Bytes of a packet up to there."""
_RECORD = {order: struct.Struct(f"{order} IIII {_PLAIN}").unpack_from for order in "<>"}
_RECORD_AND_MORE = {order: struct.Struct(f"{order} IIII 8x {_PLAIN}").unpack_from for order in "<>"}
_BLOCK = {order: struct.Struct(f"{order} IIIIIII {_PLAIN}").unpack_from for order in "<>"}
_BLOCK_HEADER = 28
_BLOCK_TRAILER = 4
_ENHANCED_PACKET = 6
_IPV4 = b"\x08\x00\x45"
_UNFRAGMENTED = frozenset({b"\x00\x00", b"\x40\x00"})
"""IPv4 flags and offset of a whole datagram, without and with "don't fragment"."""
_MORE_INSIDE = frozenset({*TUNNELS, ICMPV6})
"""Protocols inside of IPv4 that have to be decoded to tell."""
_SYN = 2
_TAG = b"\x81\x00"
_IPV6 = b"\x86\xdd"
_IPV6_HEADER = 40
_SLOTS = 8 * SEEN_BYTES
"""As many as the other sieve has."""


class PlainSieve:
    """A `Sieve` that decodes nothing."""

    def __init__(self, interest: Interest) -> None:
        self._interest = interest
        self._ports = frozenset(port.to_bytes(2) for port in interest.ports)
        self._datagram_ports = frozenset(port.to_bytes(2) for port in interest.datagram_ports)
        self._datagram_ports |= {VXLAN_PORT}  # the port of a tunnel
        self._message = interest.messages[ICMP]
        self._ethernet = {number for number, link in interest.link_types.items() if link.is_ethernet}
        self._watched: Counter[bytes] = Counter()
        self._seen: set[bytes] | None = None

    def watch(self, key: bytes, reverse: bytes, /) -> None:
        """Keep both directions of a conversation from now on."""
        self._watched.update((key, reverse))

    def unwatch(self, key: bytes, reverse: bytes, /) -> None:
        """Take back one call of `watch`."""
        for pair in (key, reverse):
            self._watched[pair] -= 1
            if self._watched[pair] <= 0:
                del self._watched[pair]

    def slot(self, key: bytes, /) -> int:
        """Return the bit of a conversation's direction in what `seen` gives."""
        return zlib.crc32(key) % _SLOTS

    def seen(self) -> bytes:
        """Return of which conversations a TCP segment was passed over since the last call, a bit each."""
        bits = bytearray(SEEN_BYTES)
        for key in self._seen or ():
            slot = self.slot(key)
            bits[slot >> 3] |= 1 << (slot & 7)
        self._seen = set()
        return bytes(bits)

    def wants(self, linktype: int, packet: bytes, _wirelen: int, /) -> bool:
        """Tell whether a packet has to be looked at."""
        if linktype in self._ethernet:
            return not self._passes(packet, 0, len(packet))
        return linktype in self._interest.link_types

    def pcap(
        self, data: bytes | bytearray, pos: int, end: int, tally: bytearray, layout: PcapLayout, /
    ) -> tuple[int, int]:
        """Pass over records. What a capture is full of is thrown away right here, without a call."""
        packets, earliest, latest, linktype = TALLY.unpack(tally)
        if linktype not in self._interest.link_types:
            return self._pass_all(data, pos, end, tally, layout)
        if linktype not in self._ethernet or layout.swapped or layout.maybe_swapped:
            return pos, 0
        before = packets
        header, unit, limit = layout.header, layout.unit, layout.limit
        unpack = (_RECORD if header == 16 else _RECORD_AND_MORE)[">" if layout.big_endian else "<"]
        ports, datagram_ports, watched = self._ports, self._datagram_ports, self._watched
        seen = self._seen
        first_byte, message = self._interest.head[0], self._message
        last = end - header - _SEEN
        while pos <= last:
            seconds, fraction, caplen, _, kind, fragment, protocol, sport, dport, words, flags = unpack(
                data, pos
            )
            start = pos + header
            stop = start + caplen
            if stop > end or caplen > limit:
                break
            if kind == _IPV4 and caplen >= _PLAIN_HEADERS and fragment in _UNFRAGMENTED:
                if protocol == TCP:
                    if (
                        sport in ports
                        or dport in ports
                        or flags & _SYN
                        or (watched and bytes(data[start + 26 : start + 38]) in watched)
                    ):
                        break
                    body = start + 34 + (words >> 4) * 4
                    if body < stop and data[body] in first_byte:
                        break
                    if seen is not None:
                        seen.add(bytes(data[start + 26 : start + 38]))
                elif protocol == UDP:
                    if sport in datagram_ports or dport in datagram_ports:
                        break
                elif protocol == ICMP:
                    if data[start + 34] == message:
                        break
                elif protocol in _MORE_INSIDE:
                    break
            elif not self._passes(data, start, stop):
                break
            stamp = seconds * 1_000_000_000 + fraction * unit
            if not packets:
                earliest = stamp
            if stamp >= latest:
                latest = stamp
            else:
                earliest = min(earliest, stamp)
            packets += 1
            pos = stop
        TALLY.pack_into(tally, 0, packets, earliest, latest, linktype)
        return pos, packets - before

    def _pass_all(
        self, data: bytes | bytearray, pos: int, end: int, tally: bytearray, layout: PcapLayout
    ) -> tuple[int, int]:
        """Count records of a link type that nothing reads."""
        packets, earliest, latest, linktype = TALLY.unpack(tally)
        before = packets
        unpack = struct.Struct((">" if layout.big_endian else "<") + "IIII").unpack_from
        while pos + layout.header <= end:
            seconds, fraction, caplen, wirelen = unpack(data, pos)
            if layout.swapped or (layout.maybe_swapped and caplen > wirelen):
                caplen = wirelen
            stop = pos + layout.header + caplen
            if stop > end or caplen > layout.limit:
                break
            stamp = seconds * 1_000_000_000 + fraction * layout.unit
            earliest = min(earliest, stamp) if packets else stamp
            latest = max(latest, stamp) if packets else stamp
            packets += 1
            pos = stop
        TALLY.pack_into(tally, 0, packets, earliest, latest, linktype)
        return pos, packets - before

    def pcapng(
        self, data: bytes | bytearray, pos: int, end: int, tallies: bytearray, layout: PcapngLayout, /
    ) -> tuple[int, int, int, int]:
        """Pass over packet blocks."""
        unpack = _BLOCK[">" if layout.big_endian else "<"]
        passed = interface = stamp = 0
        known: dict[int, list[int]] = {}
        interfaces = len(tallies) // TALLY.size
        last = end - _BLOCK_HEADER - _SEEN
        while pos <= last:
            kind, total, number, high, low, caplen, _, *_ = unpack(data, pos)
            if kind != _ENHANCED_PACKET or not _BLOCK_HEADER < total <= layout.block_limit:
                break
            total += -total % 4
            room = total - _BLOCK_HEADER - _BLOCK_TRAILER
            stop = pos + total
            if stop > end or number >= interfaces or not caplen <= min(room, layout.record_limit):
                break
            if data[stop - 4 : stop] != data[pos + 4 : pos + 8]:
                break
            tally = known.get(number)
            if tally is None:
                tally = known[number] = list(TALLY.unpack_from(tallies, number * TALLY.size))
            start = pos + _BLOCK_HEADER
            if tally[3] in self._ethernet:
                if not self._passes(data, start, start + caplen):
                    break
            elif tally[3] in self._interest.link_types:
                break
            interface, stamp = number, high << 32 | low
            tally[1] = min(tally[1], stamp) if tally[0] else stamp
            tally[2] = max(tally[2], stamp)
            tally[0] += 1
            passed += 1
            pos = stop
        for number, tally in known.items():
            TALLY.pack_into(tallies, number * TALLY.size, *tally)
        return pos, passed, interface, stamp

    def take_pcap(  # noqa: PLR0917
        self, data: bytes | bytearray, pos: int, end: int, tally: bytearray, layout: PcapLayout,
        frame: int, _rows: Rows, /,
    ) -> tuple[int, int]:  # fmt: skip
        """Pass over records."""
        pos, passed = self.pcap(data, pos, end, tally, layout)
        return pos, frame + passed

    def take_pcapng(
        self, data: bytes | bytearray, pos: int, end: int, tallies: bytearray, layout: PcapngLayout,
        _clocks: bytes, _frame: int, _rows: Rows, /,
    ) -> tuple[int, int, int, int]:  # fmt: skip
        """Pass over packet blocks."""
        return self.pcapng(data, pos, end, tallies, layout)

    def _passes(self, data: bytes | bytearray, start: int, stop: int) -> bool:
        """True for an Ethernet packet that cannot matter, with or without a tag, IPv4 or IPv6."""
        kind = data[start + 12 : start + 14]
        if kind == _TAG:
            start += 4
            kind = data[start + 12 : start + 14]
        if kind == _IPV6:
            if stop - start < 14 + _IPV6_HEADER + 20 or data[start + 14] >> 4 != 6:
                return False
            protocol, addresses, transport = data[start + 20], start + 22, start + 14 + _IPV6_HEADER
        elif data[start + 12 : start + 15] == _IPV4 and stop - start >= _PLAIN_HEADERS:
            if bytes(data[start + 20 : start + 22]) not in _UNFRAGMENTED:
                return False
            protocol, addresses, transport = data[start + 23], start + 26, start + 34
        else:
            return False
        ports = bytes(data[transport : transport + 2]), bytes(data[transport + 2 : transport + 4])
        if protocol == UDP:
            return self._datagram_ports.isdisjoint(ports)
        if protocol != TCP:
            return protocol == ICMP and data[transport] != self._message
        if not self._ports.isdisjoint(ports) or data[transport + 13] & _SYN:
            return False
        key = bytes(data[addresses : transport + 4])
        if key in self._watched:
            return False
        body = transport + (data[transport + 12] >> 4) * 4
        if body < stop and data[body] in self._interest.head[0]:
            return False
        if self._seen is not None:
            self._seen.add(key)
        return True
