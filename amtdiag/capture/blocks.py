"""pcapng blocks as bytes, for whatever writes captures. Source: draft-ietf-opsawg-pcapng."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_SECTION, _INTERFACE, _STATISTICS, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER = 0x1A2B3C4D
_APPLICATION, _TSRESOL = 4, 9
_ENDTIME, _DROPPED = 3, 5
_NANOSECONDS = b"\x09"
_PACKET = struct.Struct("<IIIIIII")

Option = tuple[int, bytes]


def block(kind: int, body: bytes, options: Sequence[Option] = ()) -> bytes:
    """Return a block with its options."""
    parts = [body]
    for code, value in options:
        parts.append(struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4))
    if options:
        parts.append(bytes(4))
    content = b"".join(parts)
    total = len(content) + 12
    return struct.pack("<II", kind, total) + content + struct.pack("<I", total)


def section() -> bytes:
    """Return the beginning of a file, which names no machine."""
    return block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1), [(_APPLICATION, b"amtdiag")])


def interface(linktype: int, snaplen: int) -> bytes:
    """Return an interface without a name, whose stamps are nanoseconds."""
    return block(_INTERFACE, struct.pack("<HHI", linktype, 0, snaplen), [(_TSRESOL, _NANOSECONDS)])


def packet(number: int, ts: int, data: bytes, wirelen: int) -> bytes:
    """Return a packet of an interface: time in nanoseconds, bytes, length on the wire."""
    padding = bytes(-len(data) % 4)
    total = _PACKET.size + len(data) + len(padding) + 4
    high, low = divmod(max(ts, 0), 1 << 32)
    head = _PACKET.pack(_ENHANCED_PACKET, total, number, high, low, len(data), wirelen)
    return b"".join((head, data, padding, total.to_bytes(4, "little")))


def statistics(number: int, ended: int | None, dropped: int | None, last: int) -> bytes:
    """Return what became of an interface: when its capture was stopped, and what it lost.

    `last` is the stamp of the block where nothing says when the capture was stopped.
    """
    now = last if ended is None else ended
    stamp = struct.pack("<II", now >> 32 & 0xFFFF_FFFF, now & 0xFFFF_FFFF)
    options: list[Option] = [] if ended is None else [(_ENDTIME, stamp)]
    if dropped is not None:
        options.append((_DROPPED, dropped.to_bytes(8, "little")))
    return block(_STATISTICS, struct.pack("<I", number) + stamp, options)
