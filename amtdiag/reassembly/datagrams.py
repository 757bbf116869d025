"""Datagrams with their copies left out: a SPAN port of both directions gives every one twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from amtdiag.capture.decode.packet import ARP, ICMP, ICMPV6, UDP, PacketBatch, Segment

_WINDOW = 50_000_000
"""Nanoseconds within which two copies of one datagram come; a repeated question comes later."""
_REMEMBERED = 4096


class Datagrams:
    """`feed` takes packets and yields all but TCP, each once."""

    def __init__(self) -> None:
        self._recent: OrderedDict[tuple[object, ...], int] = OrderedDict()
        self.duplicates = 0

    def feed(self, packets: PacketBatch) -> Iterator[Segment]:
        """Yield what is new in a batch."""
        for datagram in packets.rows(UDP, ARP, ICMP, ICMPV6):
            key = (
                datagram.src,
                datagram.dst,
                datagram.sport,
                datagram.dport,
                datagram.ident,
                datagram.checksum,
                datagram.mac,
                datagram.payload,
            )
            seen = self._recent.pop(key, None)
            self._recent[key] = datagram.ts
            if len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
            if seen is not None and abs(datagram.ts - seen) <= _WINDOW:
                self.duplicates += 1
            else:
                yield datagram
