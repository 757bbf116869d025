"""Capture files: pcap and pcapng, written by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shapes.packets import FLOW, packed
from shapes.stored import Record

Writer = Callable[[Sequence[Record]], bytes]


def pcap(
    stored: Sequence[Record],
    *,
    order: str = "<",
    version: tuple[int, int] = (2, 4),
    nanoseconds: bool = False,
    kuznetzov: bool = False,
    swapped_lengths: bool = False,
    fcs: int = 0,
    linktype: int | None = None,
    snaplen: int = 262144,
) -> bytes:
    """A classic capture file. ``kuznetzov``: patched libpcap of the 1990s, with longer record headers."""
    magic = 0xA1B2CD34 if kuznetzov else 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    if linktype is None:
        linktype = stored[0].link.type if stored else 1
    if fcs:  # length in 16-bit units in the top four bits, and the bit that says that it is there
        linktype |= (fcs // 2) << 28 | 1 << 26
    parts = [struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, linktype)]
    for one in stored:
        seconds, rest = divmod(one.at, 10**9)
        lengths = (len(one.data), one.length)
        if swapped_lengths:
            lengths = lengths[::-1]
        parts.append(struct.pack(order + "IIII", seconds, rest if nanoseconds else rest // 1000, *lengths))
        if kuznetzov:
            parts.append(struct.pack(order + "IHBB", 2, 0x0800, 0, 0))
        parts.append(one.data)
    return b"".join(parts)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def options(order: str, *pairs: tuple[int, bytes]) -> bytes:
    return b"".join(option(order, *pair) for pair in pairs) + (b"\0\0\0\0" if pairs else b"")


def block(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


@dataclass(frozen=True, slots=True)
class Interface:
    linktype: int = 1
    resolution: int | None = None  # the byte of if_tsresol
    offset: int | None = None  # seconds, if_tsoffset
    snaplen: int = 0
    extra: tuple[tuple[int, bytes], ...] = ()

    def block(self, order: str) -> bytes:
        pairs = list(self.extra)
        if self.resolution is not None:
            pairs.append((9, bytes([self.resolution])))
        if self.offset is not None:
            pairs.append((14, struct.pack(order + "q", self.offset)))
        return block(
            order, 1, struct.pack(order + "HHI", self.linktype, 0, self.snaplen) + options(order, *pairs)
        )

    def stamp(self, at: int) -> int:
        at -= (self.offset or 0) * 10**9
        resolution = 6 if self.resolution is None else self.resolution
        if resolution & 0x80:
            return (at << (resolution & 0x7F)) // 10**9
        return at * int(10**resolution) // 10**9


def section_header(order: str, *pairs: tuple[int, bytes], length: int = -1) -> bytes:
    return block(
        order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length) + options(order, *pairs)
    )


def enhanced(order: str, interface: Interface, one: Record, *pairs: tuple[int, bytes]) -> bytes:
    high, low = divmod(interface.stamp(one.at), 2**32)
    head = struct.pack(order + "IIIII", one.interface, high, low, len(one.data), one.length)
    return block(order, 6, head + one.data + b"\0" * (-len(one.data) % 4) + options(order, *pairs))


def simple(order: str, _interface: Interface, one: Record) -> bytes:
    return block(order, 3, struct.pack(order + "I", one.length) + one.data)


def obsolete(order: str, interface: Interface, one: Record) -> bytes:
    high, low = divmod(interface.stamp(one.at), 2**32)
    head = struct.pack(order + "HHIIII", one.interface, 0, high, low, len(one.data), one.length)
    return block(order, 2, head + one.data)


def custom(order: str, interface: Interface, one: Record) -> bytes:
    """Packets, and in place of other records custom blocks: Wireshark numbers those too."""
    if one.packet:
        return enhanced(order, interface, one)
    return block(order, 0xBAD, struct.pack(order + "I", 32473) + one.data)


def pcapng(
    stored: Sequence[Record],
    *,
    order: str = "<",
    interfaces: Sequence[Interface] = (),
    kind: Callable[[str, Interface, Record], bytes] = enhanced,
) -> bytes:
    """One section; several are several of these, one after the other."""
    known = list(interfaces) or [Interface(stored[0].link.type if stored else 1)]
    packets = (kind(order, known[one.interface], one) for one in stored)
    return b"".join([section_header(order), *(interface.block(order) for interface in known), *packets])


def talkative_pcapng(stored: Sequence[Record], *, order: str = "<") -> bytes:
    """With all that may stand around the packets: unknown blocks, names, statistics, options, comments."""
    interface = Interface(
        resolution=9,
        extra=(
            (1, b"nothing but a remark"),
            (2, b"eth0"),
            (3, b"uplink"),
            (11, b"\0tcp port 9971"),
            (12, b"Linux"),
        ),
    )
    unknown = block(order, 0x40000A17, b"whatever this is" * 3 + b"!")
    secrets = block(order, 10, struct.pack(order + "II", 0x544C534B, 15) + b"CLIENT_RANDOM x")
    names = struct.pack(order + "HH", 1, 9) + packed(FLOW.dst) + b"host\0" + b"\0\0\0" + b"\0\0\0\0"
    name_block = block(order, 4, names)
    statistics = block(
        order, 5, struct.pack(order + "III", 0, 0, 0) + options(order, (4, b"\1" + b"\0" * 7), (1, b"done"))
    )
    parts = [
        section_header(
            order, (1, b"a comment"), (2, b"some hardware"), (3, b"some system"), (4, b"a program")
        ),
        unknown,
        secrets,
        interface.block(order),
        name_block,
    ]
    for number, one in enumerate(stored):
        parts.append(
            enhanced(
                order, interface, one, (2, b"\1\0\0\0"), (1, f"packet {number}".encode()), (4, b"\0" * 8)
            )
        )
        parts.append((unknown, statistics, name_block)[number % 3])
    return b"".join(parts)
