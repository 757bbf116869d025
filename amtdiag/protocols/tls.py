"""TLS as far as its record headers tell: whether the handshake came to its end, and who broke it off.

Does no input or output. Sources: RFC 5246 (TLS 1.2), RFC 8446 (TLS 1.3; its ServerHello names the version in
an extension), IANA's registry of alerts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from amtdiag.model import TlsTalk
from amtdiag.net.stream import Assembled

ALERTS = {
    0: "close notify",
    10: "unexpected message",
    20: "bad record MAC",
    40: "handshake failure",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "certificate revoked",
    45: "certificate expired",
    46: "certificate unknown",
    47: "illegal parameter",
    48: "unknown CA",
    49: "access denied",
    50: "decode error",
    51: "decrypt error",
    70: "protocol version",
    71: "insufficient security",
    80: "internal error",
    86: "inappropriate fallback",
    90: "user cancelled",
    109: "missing extension",
    112: "unrecognized name",
    115: "unknown PSK identity",
    116: "certificate required",
}
_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _APPLICATION = 20, 21, 22, 23
_TYPES = frozenset({_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _APPLICATION})
_HEADER = 5
_LONGEST = 16_384 + 2_048
_SERVER_HELLO = 2
_SUPPORTED_VERSIONS = b"\x00\x2b\x00\x02\x03\x04"
"""The extension by which a ServerHello chooses TLS 1.3."""
_CLEAR_ALERT = 2
"""Bytes of an alert that is not encrypted: level and description."""


class _Side(NamedTuple):
    seen: bool
    changed: bool
    alert: int | None
    is_13: bool


def talk(client: Assembled, server: Assembled) -> TlsTalk | None:
    """Return how far a conversation came; None where neither side begins with TLS. Never raises."""
    sides = _read(client), _read(server)
    if not any(side.seen for side in sides):
        return None
    one, other = sides
    finished = None if other.is_13 else one.changed and other.changed
    if other.alert is not None:
        return TlsTalk(finished, "server", other.alert)
    return TlsTalk(finished, None if one.alert is None else "client", one.alert)


def _read(stream: Assembled) -> _Side:
    """What one side's records show up to the first that are encrypted or not there."""
    seen = changed = is_13 = False
    alert = None
    for kind, body in _records(stream):
        seen = True
        if kind == _CHANGE_CIPHER:
            changed = True
        elif kind == _ALERT and not changed and len(body) == _CLEAR_ALERT and body[1]:
            alert = alert if alert is not None else body[1]
        elif kind == _HANDSHAKE and body[:1] == bytes([_SERVER_HELLO]):
            is_13 = _SUPPORTED_VERSIONS in body
    return _Side(seen, changed, alert, is_13)


def _records(stream: Assembled) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each whole record before the first gap."""
    data = stream.data
    stop = stream.gaps[0][0] if stream.gaps else len(data)
    if not stream.anchored:
        return
    at = 0
    while at + _HEADER <= stop:
        length = int.from_bytes(data[at + 3 : at + 5])
        end = at + _HEADER + length
        if data[at] not in _TYPES or data[at + 1] != 3 or length > _LONGEST or end > stop:
            return
        yield data[at], data[at + _HEADER : end]
        at = end
