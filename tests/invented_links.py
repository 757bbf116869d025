"""Link types that do not exist, with rows of every kind that the table can say, and packets of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from amtdiag.capture.decode.linktypes import Following, LengthField, LinkType, NetworkStart, ethernet


def _behind_a_byte(data: bytes) -> NetworkStart | None:
    """Read Ethernet behind one byte, as a function in place of a row."""
    return ethernet(data, 1)


INVENTED: Mapping[int, LinkType] = {
    1000: LinkType(
        "ROUNDED", Following.FAMILY, header=4, length=LengthField(0, 1, rounding=4), type_at=1, type_size=1
    ),
    1001: LinkType(
        "LITTLE", Following.ETHERTYPE, header=12, length=LengthField(2, 2, "little"), type_at=6, macs=(0,)
    ),
    1002: LinkType("BIG", Following.IP, header=4, length=LengthField(0, 4, "big", rounding=3)),
    1003: LinkType("SHORT", Following.PPP, header=2, length=LengthField(1, 1)),
    1004: LinkType("TWO", Following.FAMILY, header=6, type_at=3, type_size=2),
    1005: LinkType("FRAMED", Following.HDLC, header=8, length=LengthField(6, 2, "big", rounding=8)),
    1006: LinkType("READ", Following.READER, reader=_behind_a_byte),
    1023: LinkType("LAST", Following.ETHERTYPE, header=2),
}


def packets_of(number: int, ip: bytes) -> Iterator[bytes]:
    """Yield packets of an invented link type that carry an IP packet."""
    six = ip[0] >> 4 == 6
    ethertype = struct.pack(">H", 0x86DD if six else 0x0800)
    ppp = b"\0\x57" if six else b"\0\x21"
    family = 24 if six else 2
    if number == 1000:
        for length in (4, 5, 7, 8, 61):
            yield bytes([length, family]) + bytes(length + -length % 4 - 2) + ip
    elif number == 1001:
        for length in (12, 13, 300):
            yield b"\2\0" + struct.pack("<H", length) + b"\2\0" + ethertype + bytes(length - 8) + ip
    elif number == 1002:
        for length in (4, 5, 6, 9, 100):
            yield struct.pack(">I", length) + bytes(length + -length % 3 - 4) + ip
    elif number == 1003:
        for length in (2, 3, 200):
            yield bytes([7, length]) + bytes(length - 2) + ppp + ip
            yield bytes([7, length]) + bytes(length - 2) + ppp[1:] + ip
    elif number == 1004:
        for order in "<>":
            yield bytes(3) + struct.pack(order + "H", family) + b"\xff" + ip
    elif number == 1005:
        for length in (8, 9, 40):
            head = bytes(6) + struct.pack(">H", length) + bytes(length + -length % 8 - 8)
            yield head + ppp + ip
            yield head + b"\xff\3" + ppp + ip
    elif number == 1006:
        yield b"\7" + bytes(12) + ethertype + ip
    else:
        yield ethertype + ip
