"""ICMP messages that say why a packet was not delivered. Does no input or output.

Sources: RFC 792 and 1812 (ICMP), RFC 4443 (ICMPv6). They quote the packet that they are about: its addresses
and ports tell whose attempt failed.
"""

from __future__ import annotations

from typing import NamedTuple

from amtdiag.capture.decode.packet import ICMP, TCP, UDP

_NO_ROUTE, _NO_HOST, _PROHIBITED, _NO_PORT = (
    "no route to it",
    "the host is not there",
    "prohibited",
    "the port is closed",
)
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
"""Reasons by code; 2 (protocol) and 4 (fragmentation needed) are not about the way."""
_V6 = {0: _NO_ROUTE, 1: _PROHIBITED, 2: _PROHIBITED, 3: _NO_HOST, 4: _NO_PORT, 5: _PROHIBITED, 6: _NO_ROUTE}
_HEADER = 8
_TRANSPORTS = {TCP: "tcp", UDP: "udp"}


class Unreachable(NamedTuple):
    """What could not be delivered, and why."""

    reason: str
    transport: str
    """tcp or udp."""
    src: bytes
    sport: int
    dst: bytes
    dport: int


def parse(data: bytes, protocol: int) -> Unreachable | None:
    """Read a "destination unreachable" message of ICMP or ICMPv6; None for anything else. Never raises."""
    if len(data) < _HEADER:
        return None
    reason = (_V4 if protocol == ICMP else _V6).get(data[1])
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
