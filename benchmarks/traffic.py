"""The frames that `live.py` sends: traffic that does not matter, and provisioning among it.

The relevant frames are a scene that is played over and over, each time about another device (see `blast.c`):
a device finds its server and says Hello, the server calls back; others look names up; a management session
goes on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from captures import ACK, PSH_ACK, SYN, bulk_frames, hello, ipv4_frame

FIN_ACK, RST_ACK = 17, 20
DEVICE, SERVER, RESOLVER = (bytes((10, 0, 0, 0)), bytes((172, 16, 0, 16)), bytes((172, 16, 0, 1)))
BULK = 5000
_SRC_MAC, _DST_MAC, _SRC, _DST = 9, 3, 27, 31
"""Where the last three bytes of addresses stand."""
_PAYLOAD, _UUID = 54, 12
_LOOKUPS, _PIECES = 10, 16


class Sent(NamedTuple):
    """A frame, and where the number of the device is written into it."""

    frame: bytes
    places: tuple[int, ...] = ()


def from_device(to: bytes, protocol: int, ports: tuple[int, int], *said: object) -> Sent:
    return Sent(ipv4_frame(DEVICE, to, protocol, ports, *said), (_SRC_MAC, _SRC))  # type: ignore[arg-type]


def to_device(source: bytes, protocol: int, ports: tuple[int, int], *said: object) -> Sent:
    return Sent(ipv4_frame(source, DEVICE, protocol, ports, *said), (_DST_MAC, _DST))  # type: ignore[arg-type]


def named(*parts: bytes) -> bytes:
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0\0\1\0\1"


def lookup(xid: int, name: bytes, address: bytes) -> Iterator[Sent]:
    question, answer = (
        struct.pack(">HHHHHH", xid, 0x100, 1, 0, 0, 0),
        struct.pack(">HHHHHH", xid, 0x8180, 1, 1, 0, 0),
    )
    found = b"\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4" + address
    yield from_device(RESOLVER, 17, (49160 + xid, 53), question + name)
    yield to_device(RESOLVER, 17, (53, 49160 + xid), answer + name + found)


def said_hello() -> Iterator[Sent]:
    """A Hello in one segment on a connection of its own: ten packets with what is around it."""
    said = hello(np.random.default_rng(1))
    there, back, call, answer = (49152, 9971), (9971, 49152), (49153, 16993), (16993, 49153)
    yield from lookup(1, named(b"provisionserver", b"corp", b"example"), SERVER)
    yield from_device(SERVER, 6, there, b"", SYN, 100)
    yield to_device(SERVER, 6, back, b"", SYN | ACK, 500)
    yield from_device(SERVER, 6, there, b"", ACK, 101)
    message = from_device(SERVER, 6, there, said, PSH_ACK, 101)
    yield message._replace(places=(*message.places, _PAYLOAD + _UUID))
    yield to_device(SERVER, 6, back, b"", ACK, 501)
    yield from_device(SERVER, 6, there, b"", FIN_ACK, 101 + len(said))
    yield to_device(SERVER, 6, call, b"", SYN, 700)
    yield from_device(SERVER, 6, answer, b"", RST_ACK, 0)


def session() -> Iterator[Sent]:
    """A management session inside TLS: twenty packets."""
    call, answer = (49170, 16993), (16993, 49170)
    greeting = b"\x16\x03\x01\0\x3b\1\0\0\x37\3\3" + bytes(53)
    yield to_device(SERVER, 6, call, b"", SYN, 700)
    yield from_device(SERVER, 6, answer, b"", SYN | ACK, 800)
    yield to_device(SERVER, 6, call, greeting, PSH_ACK, 701)
    at = 801
    for _ in range(_PIECES):
        yield from_device(SERVER, 6, answer, b"\x17\x03\x03\x02\x00" + bytes(512), PSH_ACK, at)
        at += 517
    yield from_device(SERVER, 6, answer, b"", RST_ACK, at)


def scene() -> list[Sent]:
    """Fifty packets about one device, one of them a Hello."""
    others = (
        one
        for xid in range(2, 2 + _LOOKUPS)
        for one in lookup(xid, named(b"www", b"corp", b"example"), SERVER)
    )
    return [*said_hello(), *others, *session()]


def conversation() -> list[Sent]:
    """A connection that is opened, says something, and is reset: what a million of are sent."""
    call, answer = (49153, 16993), (16993, 49153)
    return [
        to_device(SERVER, 6, call, b"", SYN, 700),
        from_device(SERVER, 6, answer, b"", SYN | ACK, 800),
        to_device(SERVER, 6, call, b"\x16\x03\x01\0\x3b\1\0\0\x37\3\3" + bytes(53), PSH_ACK, 701),
        from_device(SERVER, 6, answer, b"", RST_ACK, 801),
    ]


def bulk() -> list[Sent]:
    return [Sent(frame) for frame in bulk_frames(np.random.default_rng(2), "mixed")[:BULK]]


def packed(frames: list[Sent]) -> bytes:
    """As `blast` reads them."""
    return b"".join(
        struct.pack("=IIII", len(frame), *(*places, 0, 0, 0)[:3]) + frame for frame, places in frames
    )
