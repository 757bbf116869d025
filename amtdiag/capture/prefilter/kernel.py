"""Which sieve stands in front of the scan: the compiled one where it was built, else one in plain Python.

A sieve passes over the packets that cannot matter and stops at each that may. Whatever is decoded and
selected is so by the same code behind either, so that the result is the same.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

from amtdiag.errors import MissingToolError, UsageError

if TYPE_CHECKING:
    from amtdiag.capture.decode.packet import Segment
    from amtdiag.capture.prefilter.flow_filter import Interest

Kernel = Literal["c", "python"]

_CHOICE = "AMTDIAG_KERNEL"
_REQUIRED = "AMTDIAG_REQUIRE_KERNEL"

SEEN_BYTES = 1 << 17
"""Of what `Sieve.seen` gives: a bit a slot, in either sieve."""
_PORTS = 1 << 16
_PLACES = 8
"""Of the first bytes of a conversation, so many are looked at before Python looks at all of them."""
TALLY = struct.Struct("=QQQQ")
"""Packets, earliest and latest stamp, link type."""
CLOCK = struct.Struct("=Qq")
"""Nanoseconds that the unit of an interface's stamps has, 0 where that is no whole number; what to add."""

MISSING = (
    "the compiled kernel is not installed, so reading takes several times as long: install a C compiler, "
    f"then amtdiag again ({_CHOICE}=python says that it is meant to be so)"
)


class PcapLayout(NamedTuple):
    """How the records of a pcap file are laid out."""

    big_endian: bool
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
    block_limit: int
    record_limit: int


class Sieve(Protocol):
    """Stops in front of a packet that may matter, and of all that is no whole packet."""

    def watch(self, key: bytes, reverse: bytes, /) -> None:
        """Keep both directions of a conversation from now on."""

    def unwatch(self, key: bytes, reverse: bytes, /) -> None:
        """Take back one call of `watch`."""

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


class Rows(NamedTuple):
    """Where a kernel that can decode puts the packets of a file."""

    file: int
    """Its number in the run."""
    type: type[Segment]
    rows: list[Segment]


@runtime_checkable
class Decoding(Sieve, Protocol):
    """A sieve that decodes what is plain of the packets that it would stop at: the compiled one."""

    def take_pcap(  # noqa: PLR0917 - as the C function takes them
        self, data: bytes | bytearray, pos: int, end: int, tally: bytearray, layout: PcapLayout,
        frame: int, rows: Rows, /,
    ) -> tuple[int, int]:  # fmt: skip
        """Pass over records, then decode others that follow each other; return where to go on.

        The second number is that of the last of them; `frame` is that of the record before the first. The
        tally counts both. What comes after the rows is looked at once they have been dealt with: packets of
        other files may come first, and tell which conversations are watched.
        """
        ...

    def take_pcapng(  # noqa: PLR0917
        self, data: bytes | bytearray, pos: int, end: int, tallies: bytearray, layout: PcapngLayout,
        clocks: bytes, frame: int, rows: Rows, /,
    ) -> tuple[int, int, int, int]:  # fmt: skip
        """Do so with packet blocks; return what `Sieve.pcapng` does, of all of them.

        `clocks` is a `CLOCK` for each interface.
        """
        ...


def _extension() -> Callable[[bytes, bytes, bytes, int, int], Sieve] | None:
    """The maker of sieves, where it was compiled."""
    try:
        module = import_module("amtdiag.capture.prefilter._kernel")
    except ImportError:
        return None
    make: Callable[[bytes, bytes, bytes, int, int], Sieve] = module.Sieve
    return make


def is_missing() -> bool:
    """True where the compiled kernel would be used and is not there, and nobody said that it should be."""
    return not os.environ.get(_CHOICE) and not _is_required() and _extension() is None


def _is_required() -> bool:
    return os.environ.get(_REQUIRED, "") not in ("", "0")


def sieve_for(interest: Interest, seed: int | None = None) -> tuple[Sieve, Kernel]:
    """Return a sieve that lets through what may be of interest, and its kind.

    `seed` keeps the senders of packets from knowing which conversations share a slot; sieves with the same
    one agree on slots.

    Raises `MissingToolError` where the compiled kernel is demanded and not there.
    """
    choice = os.environ.get(_CHOICE) or None
    if choice == "python":
        return _plain(interest), "python"
    if choice not in (None, "c"):
        raise UsageError(f"{_CHOICE} is 'c' or 'python', not {choice!a}")
    make = _extension()
    if make is None:
        if choice or _is_required():
            raise MissingToolError("the compiled kernel is demanded and not installed")
        return _plain(interest), "python"
    places = interest.head[:_PLACES]
    head = bytearray(256)
    for at, place in enumerate(places):
        for value in place:
            head[value] |= 1 << at
    if seed is None:
        seed = new_seed()
    return make(_bits(interest.ports), _bits(interest.datagram_ports), bytes(head), len(places), seed), "c"


def new_seed() -> int:
    """Return a seed that nobody knows."""
    return int.from_bytes(os.urandom(8))


def _plain(interest: Interest) -> Sieve:
    from amtdiag.capture.prefilter.python import PlainSieve

    return PlainSieve(interest)


def _bits(ports: frozenset[int]) -> bytes:
    """A bit a port, the lowest bit of a byte first."""
    return sum(1 << port for port in ports).to_bytes(_PORTS // 8, "little")


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
