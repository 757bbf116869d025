"""What every container gives: records, and what there is to say of the file as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from amtdiag.capture.prefilter.kernel import Passed, Rows, Sieve

Record = tuple[int, int, bytearray, int, int, int]
"""Time stamp in ns, link type, buffer, start and end of the packet in it, length on the wire.

The buffer is used again once the next record is asked for.
"""


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

    def walk(self, sieve: Sieve | None = None, rows: Rows | None = None) -> Iterator[Record | None]:
        """Yield the packets as `records` does, less those that were decoded to `rows`: after these, None.

        What is in `rows` comes before all that is yielded later; the caller takes it out.
        """
        ...

    def origin(self) -> RecordOrigin:
        """Return where the record last yielded comes from."""
        ...

    def passed(self) -> Passed:
        """Return what a sieve passed over."""
        ...
