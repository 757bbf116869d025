"""ICMP messages that say why a packet was not delivered. Does no input or output.

Sources: RFC 792 and 1812 (ICMP), RFC 4443 (ICMPv6). They quote the packet that they are about: its addresses
and ports tell whose attempt failed.
"""

from collections.abc import Iterator
from typing import NamedTuple

from amtdiag.capture.decode.packet import ICMP, ICMPV6, TCP, UDP, Segment
from amtdiag.model import Evidence, RejectionEvent
from amtdiag.protocols.addresses import address_text
from amtdiag.protocols.protocol import Field, LaneReader, Protocol

_NO_ROUTE = "no route to it"
_NO_HOST = "the host is not there"
_PROHIBITED = "prohibited"
_NO_PORT = "the port is closed"
_V4 = {
    0: _NO_ROUTE,
    1: _NO_HOST,
    3: _NO_PORT,
    5: _NO_ROUTE,
    6: _NO_ROUTE,
    7: _NO_HOST,
    8: _NO_HOST,
    9: _PROHIBITED,
    10: _PROHIBITED,
    11: _NO_ROUTE,
    12: _NO_HOST,
    13: _PROHIBITED,
}
"""Reasons by code (RFC 1812, 5.2.7.1); 2 (protocol) and 4 (fragmentation needed) are not about the way."""
_V6 = {0: _NO_ROUTE, 1: _PROHIBITED, 2: _PROHIBITED, 3: _NO_HOST, 4: _NO_PORT, 5: _PROHIBITED, 6: _NO_ROUTE}
"""Reasons by code (RFC 4443, 3.1)."""
CODE = 1
_HEADER = 8
_TRANSPORTS = {TCP: "tcp", UDP: "udp"}
_MAX_ATTEMPTS = 65_536
"""Attempts that are remembered so that none is reported twice."""


class Unreachable(NamedTuple):
    """What could not be delivered, and why."""

    reason: str
    transport: str
    """tcp or udp."""
    src: bytes
    """Of the packet that was not delivered, like the rest."""
    sport: int
    dst: bytes
    dport: int


FIELDS = {
    Unreachable: (
        Field("reason", "word", "code (RFC 792; RFC 1812, 5.2.7.1; RFC 4443, 3.1)"),
        Field("transport", "word", "protocol of the quoted packet"),
        Field("src", "address", "source address of the quoted packet"),
        Field("sport", "number", "source port of the quoted packet"),
        Field("dst", "address", "destination address of the quoted packet"),
        Field("dport", "number", "destination port of the quoted packet"),
    )
}


def parse(data: bytes, protocol: int) -> Unreachable | None:
    """Read a "destination unreachable" message of ICMP or ICMPv6; None for anything else. Never raises."""
    if len(data) < _HEADER:
        return None
    reason = (_V4 if protocol == ICMP else _V6).get(data[CODE])
    quoted = data[_HEADER:]
    if reason is None or not quoted:
        return None
    if quoted[0] >> 4 == 4 and len(quoted) >= 20:
        body, inner, src, dst = (quoted[0] & 15) * 4, quoted[9], quoted[12:16], quoted[16:20]
    elif quoted[0] >> 4 == 6 and len(quoted) >= 40:
        body, inner, src, dst = 40, quoted[6], quoted[8:24], quoted[24:40]
    else:
        return None
    transport = _TRANSPORTS.get(inner)
    if transport is None or len(quoted) < body + 4:
        return None
    sport, dport = int.from_bytes(quoted[body : body + 2]), int.from_bytes(quoted[body + 2 : body + 4])
    return Unreachable(reason, transport, src, sport, dst, dport)


class IcmpReader(LaneReader):
    """Reads the first message about each attempt."""

    def __init__(self) -> None:
        """Begin with no attempt known."""
        self._rejected: set[Unreachable] = set()

    def read(self, datagram: Segment, evidence: tuple[Evidence, ...]) -> Iterator[RejectionEvent]:
        """Yield the event of a message."""
        unreachable = parse(datagram.payload, datagram.protocol)
        if unreachable is None or unreachable in self._rejected:
            return
        if len(self._rejected) >= _MAX_ATTEMPTS:
            self._rejected.clear()
        self._rejected.add(unreachable)
        yield RejectionEvent(
            ts=datagram.ts,
            reporter=address_text(datagram.src),
            reason=unreachable.reason,
            transport=unreachable.transport,
            src=address_text(unreachable.src),
            sport=unreachable.sport,
            dst=address_text(unreachable.dst),
            dport=unreachable.dport,
            evidence=evidence,
        )


PROTOCOL = Protocol("icmp", "ICMP", lane=IcmpReader, carried_as=(ICMP, ICMPV6))
