"""What every container gives: records, and what there is to say of the file as a whole."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from amtdiag.capture.decode.packet import Segment
from amtdiag.capture.prefilter.interface import Passed, Rows, Sieve

Record = tuple[int, int, bytearray, int, int, int]
"""Time stamp in ns, link type, buffer, start and end of the packet in it, length on the wire.

The buffer is used again once the next record is asked for.
"""

Look = Callable[[Record], list[Segment]]
"""Decodes a record that a sieve left, and returns what is selected."""


class RecordOrigin(NamedTuple):
    """Where a record comes from, and what the file says beside it."""

    interface: int
    """Counted from 0 over all sections of the file."""
    linktype: int
    snaplen: int
    digits: int
    """Decimal digits of its second: 6 for microseconds. 9 where the file counts finer, or not in tenths."""
    name: bytes
    """Of the interface; empty where the file names none."""
    options: tuple[tuple[int, bytes], ...]
    """Those of the packet, as a pcapng file in little-endian order has them."""


class Container(Protocol):
    """A capture container that is being read."""

    format: str
    """pcap, pcap-ns, pcap-modified, pcapng ..."""
    frame: int
    """Number of the record last yielded, counted as Wireshark counts."""
    truncated: bool
    """The file ends inside a record."""
    watched_until: int | None
    """When the capture was stopped, in ns; None where the file does not say."""
    secrets: bytes
    """TLS key logs that the file brings along."""
    notes: list[str]

    @property
    def snaplen(self) -> int | None:
        """Snap length in bytes; None where the file names none."""
        ...

    @property
    def drops(self) -> int | None:
        """Packets that the capturing side reports as dropped; None where it does not say."""
        ...

    def records(self, sieve: Sieve | None = None) -> Iterator[Record]:
        """Yield the packets of the file in file order. Damage ends the walk with a note.

        With a sieve, packets that it passes over are not among them.
        """
        ...

    def segments(self, sieve: Sieve, rows: Rows, look: Look) -> Iterator[list[Segment]]:
        """Yield what a sieve decodes to `rows`, and what `look` makes of the packets that it leaves.

        Both are in file order. A list is good until the next one is asked for.
        """
        ...

    def origin(self) -> RecordOrigin:
        """Return where the record last yielded comes from."""
        ...

    def passed(self) -> Passed:
        """Return what a sieve passed over."""
        ...
