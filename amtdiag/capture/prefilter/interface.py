"""What a sieve is to those who walk a file: the one in C, and the one in plain Python.

A sieve passes over the packets that cannot matter and stops at each that may. What matters, an `Interest`
says.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from amtdiag.capture.decode.packet import Segment

SEEN_BYTES = 1 << 17
"""Of what `Sieve.seen` gives: a bit a slot, in either sieve."""
TALLY = struct.Struct("=QQQQ")
"""Packets, earliest and latest stamp, link type."""
CLOCK = struct.Struct("=Qq")
"""Nanoseconds that the unit of an interface's stamps has, 0 where that is no whole number; what to add."""


class PcapLayout(NamedTuple):
    """How the records of a pcap file are laid out."""

    big_endian: bool
    """The file's order of bytes."""
    swapped: bool
    """Captured and original length are in the other order."""
    maybe_swapped: bool
    """They are so where the captured length would be the greater one."""
    header: int
    """Bytes of a record header."""
    unit: int
    """Nanoseconds per unit of the second time field."""
    limit: int
    """The longest record that is no damage."""


class PcapngLayout(NamedTuple):
    """How the packet blocks of a section are laid out."""

    big_endian: bool
    """The section's order of bytes."""
    block_limit: int
    """Bytes of the longest block that is looked at."""
    record_limit: int
    """Captured bytes of the longest packet that is no damage."""


class Rows(NamedTuple):
    """Where a sieve that can decode puts the packets of a file."""

    file: int
    """Its number in the run."""
    type: type[Segment]
    """`Segment`, which the kernel makes."""
    rows: list[Segment]
    """Where they go, in file order."""


class Watcher(Protocol):
    """Learns which conversations a `FlowFilter` watches."""

    def watch(self, key: bytes, reverse: bytes, /) -> None:
        """Keep both directions of a conversation from now on."""

    def unwatch(self, key: bytes, reverse: bytes, /) -> None:
        """Take back one call of `watch`."""


class Sieve(Watcher, Protocol):
    """Stops in front of a packet that may matter, and of all that is no whole packet."""

    def slot(self, key: bytes, /) -> int:
        """Return the bit of a conversation's direction in what `seen` gives."""
        ...

    def seen(self) -> bytes:
        """Return of which conversations a TCP segment was passed over since the last call, a bit each.

        The first call begins it. Conversations may share a bit.
        """
        ...

    def wants(self, linktype: int, packet: bytes, wirelen: int, /) -> bool:
        """Tell whether a packet has to be looked at."""
        ...

    def pcap(
        self, data: bytes | bytearray, pos: int, end: int, tally: bytearray, layout: PcapLayout, /
    ) -> tuple[int, int]:
        """Pass over records; return where to go on, and how many they were."""
        ...

    def pcapng(
        self, data: bytes | bytearray, pos: int, end: int, tallies: bytearray, layout: PcapngLayout, /
    ) -> tuple[int, int, int, int]:
        """Pass over packet blocks; return where to go on, how many, and interface and stamp of the last."""
        ...

    def take_pcap(  # noqa: PLR0917 - as the C function takes them
        self, data: bytes | bytearray, pos: int, end: int, tally: bytearray, layout: PcapLayout,
        frame: int, rows: Rows, /,
    ) -> tuple[int, int]:  # fmt: skip
        """Pass over records, then decode plain ones that follow each other; return where to go on.

        The second number is that of the last of them; `frame` is that of the record before the first. The
        tally counts both. What comes after the rows is looked at once they have been dealt with: packets of
        other files may come first, and change which conversations are watched. A sieve need not decode.
        """
        ...

    def take_pcapng(  # noqa: PLR0917
        self, data: bytes | bytearray, pos: int, end: int, tallies: bytearray, layout: PcapngLayout,
        clocks: bytes, frame: int, rows: Rows, /,
    ) -> tuple[int, int, int, int]:  # fmt: skip
        """Do so with packet blocks; return what `pcapng` does, of all of them.

        `clocks` is a `CLOCK` for each interface.
        """
        ...


class Tallies:
    """What a sieve passed over, an entry an interface, in memory that both sides write to."""

    def __init__(self) -> None:
        self.memory = bytearray()

    def add(self, linktype: int) -> None:
        """Begin to count for one more interface."""
        self.memory += TALLY.pack(0, 0, 0, linktype)

    def clear(self) -> None:
        """Count from 0 again."""
        linktypes = [linktype for *_, linktype in self]
        self.memory = bytearray()
        for linktype in linktypes:
            self.add(linktype)

    def __iter__(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield packets, earliest and latest stamp, link type of each interface."""
        return TALLY.iter_unpack(self.memory)


class Passed:
    """All that was passed over in a file, whatever it takes to count it."""

    def __init__(self) -> None:
        self.packets: dict[int, int] = {}
        """By link type."""
        self.first_ts: int | None = None
        self.last_ts: int | None = None

    def add(self, linktype: int, packets: int, first: int, last: int) -> None:
        """Enter so many packets of one link type, captured between two times."""
        self.packets[linktype] = self.packets.get(linktype, 0) + packets
        self.first_ts = first if self.first_ts is None else min(self.first_ts, first)
        self.last_ts = last if self.last_ts is None else max(self.last_ts, last)
