"""The pcap container and the variants that tcpdump reads.

Layout after libpcap's savefile format: a 24-byte header, then a 16-byte header per packet (24 bytes in
Alexey Kuznetzov's modified variant).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TypeVar

from amtdiag.capture.decode.packet import Segment
from amtdiag.capture.files.buffer import ReadBuffer
from amtdiag.capture.files.container import Look, Record, RecordOrigin
from amtdiag.capture.prefilter.interface import Passed, PcapLayout, Rows, Sieve, Tallies
from amtdiag.config import Limits

_Found = TypeVar("_Found")

_VARIANTS: dict[int, tuple[str, int, int]] = {
    0xA1B2C3D4: ("pcap", 16, 1000),
    0xA1B23C4D: ("pcap-ns", 16, 1),
    0xA1B2CD34: ("pcap-modified", 24, 1000),
}
"""Magic number: name, bytes of a record header, nanoseconds per unit of the second time field."""

MAGICS = frozenset(struct.pack(order + "I", magic) for order in "<>" for magic in _VARIANTS)

_HEADER = 24
_LINKTYPE_MASK = 0x03FF_FFFF
"""The upper bits of the link-type field tell the length of a frame check sequence."""
_OLDEST_MAJOR = 2
_DG_UX_MAJOR = 543
"""Written by DG/UX's tcpdump, with the lengths swapped; libpcap accepts it."""
_SWAPPED_BELOW_MINOR = 3


class Pcap:
    """A pcap file. See `Container` for the attributes."""

    def __init__(self, window: ReadBuffer, limits: Limits) -> None:
        self._window = window
        self._limits = limits
        self.format = "pcap"
        self.snaplen: int | None = None
        self.secrets = b""
        self.frame = 0
        self.drops: int | None = None
        self.watched_until: int | None = None
        self.truncated = False
        self.notes: list[str] = []
        self._tallies = Tallies()
        self._linktype = 0
        self._digits = 6

    def records(self, sieve: Sieve | None = None) -> Iterator[Record]:
        """Yield the packets in file order, those excepted that the sieve passes over."""

        def advance(layout: PcapLayout) -> None:
            window = self._window
            if sieve is not None:
                window.pos, passed = sieve.pcap(
                    window.data, window.pos, window.end, self._tallies.memory, layout
                )
                self.frame += passed

        return self._walk(advance, lambda record: record)

    def segments(self, sieve: Sieve, rows: Rows, look: Look) -> Iterator[list[Segment]]:
        """Yield what a sieve decodes to `rows`, and what `look` makes of the packets that it leaves."""

        def advance(layout: PcapLayout) -> list[Segment] | None:
            window = self._window
            rows.rows.clear()
            window.pos, self.frame = sieve.take_pcap(
                window.data, window.pos, window.end, self._tallies.memory, layout, self.frame, rows
            )
            return rows.rows or None

        return self._walk(advance, look)

    def _walk(
        self, advance: Callable[[PcapLayout], _Found | None], look: Callable[[Record], _Found]
    ) -> Iterator[_Found]:
        """Yield what `advance` finds on its way to the next record, and what `look` makes of that."""
        window = self._window
        if not window.fill(_HEADER):
            self.truncated = True
            self.notes.append("the file ends inside its header")
            return
        order = "<" if struct.unpack_from("<I", window.data, window.pos)[0] in _VARIANTS else ">"
        magic, major, minor, _, _, snaplen, network = struct.unpack_from(
            order + "IHHiIII", window.data, window.pos
        )
        window.pos += _HEADER
        self.format, header_size, unit = _VARIANTS[magic]
        self.snaplen = snaplen or None
        if major < _OLDEST_MAJOR:
            self.notes.append(f"pcap version {major}.{minor} is older than any that tools read")
            return
        linktype = self._linktype = network & _LINKTYPE_MASK
        self._digits = 9 if unit == 1 else 6
        swapped = major == _DG_UX_MAJOR or (major == _OLDEST_MAJOR and minor < _SWAPPED_BELOW_MINOR)
        maybe_swapped = major == _OLDEST_MAJOR and minor == _SWAPPED_BELOW_MINOR
        limit = max(self._limits.record_bytes, min(snaplen, self._limits.block_bytes))
        unpack = struct.Struct(order + "IIII").unpack_from
        self._tallies.add(linktype)
        layout = PcapLayout(order == ">", swapped, maybe_swapped, header_size, unit, limit)
        while True:
            found = advance(layout)
            if found is not None:
                yield found
                continue
            needed = header_size
            if window.pos + header_size <= window.end:
                data, start = window.data, window.pos + header_size
                seconds, fraction, caplen, wirelen = unpack(data, window.pos)
                if swapped or (maybe_swapped and caplen > wirelen):
                    caplen, wirelen = wirelen, caplen
                if caplen > limit:
                    self._damaged(caplen)
                    return
                end = start + caplen
                if end <= window.end:
                    self.frame += 1
                    window.pos = end
                    ts = seconds * 1_000_000_000 + fraction * unit
                    yield look((ts, linktype, data, start, end, wirelen))
                    continue
                needed += caplen
            if not window.fill(needed):
                if window.end > window.pos:
                    self._cut()
                return

    def origin(self) -> RecordOrigin:
        """Return where the record last yielded comes from."""
        return RecordOrigin(0, self._linktype, self.snaplen or 0, self._digits, b"", ())

    def passed(self) -> Passed:
        """Return what a sieve passed over."""
        passed = Passed()
        for packets, first, last, linktype in self._tallies:
            if packets:
                passed.add(linktype, packets, first, last)
        return passed

    def _cut(self) -> None:
        self.truncated = True
        self.notes.append(f"the file is cut inside record {self.frame + 1}; everything before it was read")

    def _damaged(self, caplen: int) -> None:
        self.notes.append(
            f"record {self.frame + 1} claims {caplen:,} bytes: the file is damaged there; "
            "everything before it was read"
        )
