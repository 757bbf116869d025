"""Blocks of a pcapng file, to be written: little-endian, each with its options."""

from __future__ import annotations

import struct
from collections.abc import Iterable

SECTION, INTERFACE, STATISTICS, ENHANCED_PACKET, SECRETS = 0x0A0D0D0A, 1, 5, 6, 10
BYTE_ORDER = 0x1A2B3C4D
COMMENT = 1
APPLICATION = 4
"""Of a section."""
IFNAME, IFDESCRIPTION, TSRESOL = 2, 3, 9
"""Of an interface."""
ENDTIME, IFRECV, IFDROP = 3, 4, 5
"""Of statistics."""
LONGEST_OPTION = 65_535
_END = bytes(4)


def block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]] = ()) -> bytes:
    """Return a block; the body has a length that is a multiple of four."""
    parts = [body]
    for code, value in options:
        parts.append(struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4))
    if len(parts) > 1:
        parts.append(_END)
    content = b"".join(parts)
    total = len(content) + 12
    return struct.pack("<II", kind, total) + content + struct.pack("<I", total)


def section(options: Iterable[tuple[int, bytes]]) -> bytes:
    """Return the beginning of a section of unknown length."""
    return block(SECTION, struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1), options)


def interface(linktype: int, snaplen: int, options: Iterable[tuple[int, bytes]]) -> bytes:
    """Return the description of an interface."""
    return block(INTERFACE, struct.pack("<HHI", linktype & 0xFFFF, 0, snaplen), options)


def packet(number: int, stamp: int, data: bytes, wirelen: int, options: Iterable[tuple[int, bytes]]) -> bytes:
    """Return a packet of an interface; `stamp` counts in the unit of that."""
    head = struct.pack("<IIIII", number, *_halves(stamp), len(data), wirelen)
    return block(ENHANCED_PACKET, head + data + bytes(-len(data) % 4), options)


def statistics(number: int, stamp: int, options: Iterable[tuple[int, bytes]]) -> bytes:
    """Return what there is to say of an interface in the end."""
    return block(STATISTICS, struct.pack("<III", number, *_halves(stamp)), options)


def stamp_option(stamp: int) -> bytes:
    """Return a time stamp as an option has it."""
    return struct.pack("<II", *_halves(stamp))


def secrets(kind: int, data: bytes) -> bytes:
    """Return a block of decryption secrets."""
    return block(SECRETS, struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 4))


def _halves(stamp: int) -> tuple[int, int]:
    """The upper and the lower 32 bits of what a file can hold."""
    return divmod(min(max(stamp, 0), (1 << 64) - 1), 1 << 32)
