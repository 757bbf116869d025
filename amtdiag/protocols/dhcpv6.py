"""DHCPv6, as far as it names the domain: option 24. Sources: RFC 8415, RFC 3646."""

from __future__ import annotations

from typing import NamedTuple

from amtdiag.protocols.addresses import address_text
from amtdiag.protocols.dns import name_at

_KINDS = {1: "discover", 2: "offer", 3: "request", 5: "request", 6: "request", 7: "ack", 11: "inform"}
"""Message types by the nearest DHCPv4 word: solicit, advertise, request, renew, rebind, reply, ..."""
_RELAY_FORWARD, _RELAY_REPLY, _RELAYED = 12, 13, 9
_CLIENT, _SERVER, _DNS, _SEARCH = 1, 2, 23, 24
_MOST_SERVERS = 8
_MOST_SUFFIXES = 5
"""AMT uses up to five (Intel's AMT guide)."""


class Dhcpv6Message(NamedTuple):
    """One message between client and server."""

    kind: str
    mac: str
    """Of the client, from its DUID."""
    suffixes: tuple[str, ...]
    dns: tuple[str, ...]


def parse(data: bytes, depth: int = 0) -> Dhcpv6Message | None:
    """Read a message, through relays; None where it is none or its client has no MAC. Never raises."""
    if len(data) < 4 or depth > 4:
        return None
    if data[0] in (_RELAY_FORWARD, _RELAY_REPLY):
        inner = _options(data, 34).get(_RELAYED)
        return parse(inner, depth + 1) if inner else None
    kind = _KINDS.get(data[0])
    options = _options(data, 4)
    mac = _mac(options.get(_CLIENT, b""))
    if kind is None or mac is None:
        return None
    return Dhcpv6Message(kind, mac, _suffixes(options.get(_SEARCH, b"")), _addresses(options.get(_DNS, b"")))


def _options(data: bytes, at: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while at + 4 <= len(data):
        code, length = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 4])
        if at + 4 + length > len(data):
            break
        found.setdefault(code, data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _mac(duid: bytes) -> str | None:
    """Return the MAC in a DUID of link-layer address, with or without a time."""
    for kind, start in ((b"\0\1\0\1", 8), (b"\0\3\0\1", 4)):
        if duid[:4] == kind and len(duid) == start + 6:
            return duid[start:].hex(":")
    return None


def _addresses(raw: bytes) -> tuple[str, ...]:
    return tuple(address_text(raw[at : at + 16]) for at in range(0, len(raw) - 15, 16))[:_MOST_SERVERS]


def _suffixes(raw: bytes) -> tuple[str, ...]:
    found: list[str] = []
    at = 0
    while at < len(raw) and len(found) < _MOST_SUFFIXES:
        name = name_at(raw, at)
        if name is None:
            break
        found.append(name[0])
        at = name[1]
    return tuple(found)
