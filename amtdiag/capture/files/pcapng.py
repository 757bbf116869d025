"""The pcapng container: sections, interfaces, packet blocks. Layout after the IETF opsawg draft."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TypeVar

from amtdiag.capture.decode.packet import Segment
from amtdiag.capture.files.buffer import ReadBuffer
from amtdiag.capture.files.container import Look, Record, RecordOrigin
from amtdiag.capture.prefilter.interface import CLOCK, Passed, PcapngLayout, Rows, Sieve, Tallies
from amtdiag.config import Limits

_Found = TypeVar("_Found")

MAGIC = b"\x0a\x0d\x0d\x0a"

_SECTION = 0x0A0D0D0A
_BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_INTERFACE = 1
_OBSOLETE_PACKET = 2
_SIMPLE_PACKET = 3
_STATISTICS = 5
_ENHANCED_PACKET = 6
_SECRETS = 0x0000_000A
_TLS_KEY_LOG = 0x544C_534B
"""Kind of secrets: lines as of SSLKEYLOGFILE."""
_FRAMES_WITHOUT_PACKET = frozenset(
    {0x0000_0009, 0x0000_0204, 0x0000_0208, 0x0000_0216, 0x0000_0221, 0x0000_0BAD, 0x4000_0BAD}
)
"""systemd journal, system call and custom blocks: no packets, but Wireshark numbers each as a frame."""

_MIN_BLOCK = 12
_VERSIONS = {(1, 0), (1, 2)}
"""1.2 was written by some tools and is the same as 1.0."""
_OPTION_COMMENT = 1
_OPTION_FLAGS = 2
_OPTION_IFNAME = 2
_OPTION_TSRESOL = 9
_OPTION_TSOFFSET = 14
_OPTION_ENDTIME = 3
_OPTION_IFDROP = 5
_DEFAULT_RESOLUTION = 1_000_000
_MAX_DECIMAL_RESOLUTION = 19
_MAX_BINARY_RESOLUTION = 63
_FAR = 1 << 61
_LONGEST_NAME = 256
_LONGEST_SILENCE = 30 * 86_400 * 1_000_000_000


class _Interface:
    __slots__ = ("drops", "linktype", "name", "number", "offset_ns", "per_second", "snaplen")

    def __init__(self, number: int, linktype: int, snaplen: int) -> None:
        self.number = number
        self.name = b""
        self.linktype = linktype
        self.snaplen = snaplen
        self.per_second = _DEFAULT_RESOLUTION
        self.offset_ns = 0
        self.drops: int | None = None

    def ns(self, stamp: int) -> int:
        """The time that a stamp of the file means."""
        return stamp * 1_000_000_000 // self.per_second + self.offset_ns

    def clock(self) -> bytes:
        """The same rule as a `CLOCK`, without a unit where the kernel's numbers do not suffice for it."""
        unit, rest = divmod(1_000_000_000, self.per_second)
        if rest or abs(self.offset_ns) >= _FAR:
            return CLOCK.pack(0, 0)
        return CLOCK.pack(unit, self.offset_ns)


class _DamagedError(Exception):
    """The block at hand cannot be read; its text is the reason."""


class Pcapng:
    """A pcapng file. See `Container` for the attributes."""

    format = "pcapng"

    def __init__(self, window: ReadBuffer, limits: Limits) -> None:
        self._window = window
        self._limits = limits
        self._interfaces: list[_Interface] = []
        self._interfaces_seen = 0
        self._order = "<"
        self._last_ts = 0
        self._last: tuple[_Interface, int, int] | None = None
        """Of the record last yielded: its interface, and where its options begin and end in the buffer."""
        self._closed_drops: int | None = None
        self._noted: set[str] = set()
        self.watched_until: int | None = None
        self._clocks = b""
        self._tallies = Tallies()
        self._passed = Passed()
        self.secrets = b""
        self.frame = 0
        self.truncated = False
        self.notes: list[str] = []

    @property
    def snaplen(self) -> int | None:
        """The smallest snap length that an interface of the current section names."""
        return min((i.snaplen for i in self._interfaces if i.snaplen), default=None)

    @property
    def drops(self) -> int | None:
        """Dropped packets that interface statistics report, summed; None where none does."""
        reported = [i.drops for i in self._interfaces if i.drops is not None]
        if self._closed_drops is not None:
            reported.append(self._closed_drops)
        return sum(reported) if reported else None

    def records(self, sieve: Sieve | None = None) -> Iterator[Record]:
        """Yield the packets in file order, those excepted that the sieve passes over."""

        def advance(layout: PcapngLayout) -> None:
            window = self._window
            if sieve is not None:
                window.pos, *passed = sieve.pcapng(
                    window.data, window.pos, window.end, self._tallies.memory, layout
                )
                self._pass_over(*passed)

        return self._walk(advance, lambda record: record)

    def segments(self, sieve: Sieve, rows: Rows, look: Look) -> Iterator[list[Segment]]:
        """Yield what a sieve decodes to `rows`, and what `look` makes of the packets that it leaves."""

        def advance(layout: PcapngLayout) -> list[Segment] | None:
            window = self._window
            rows.rows.clear()
            window.pos, *passed = sieve.take_pcapng(
                window.data,
                window.pos,
                window.end,
                self._tallies.memory,
                layout,
                self._clocks,
                self.frame,
                rows,
            )
            self._pass_over(*passed)
            return rows.rows or None

        return self._walk(advance, look)

    def _walk(
        self, advance: Callable[[PcapngLayout], _Found | None], look: Callable[[Record], _Found]
    ) -> Iterator[_Found]:
        """Yield what `advance` finds on its way to the next packet, and what `look` makes of that."""
        try:
            yield from self._blocks(advance, look)
        except _DamagedError as damage:
            self.notes.append(f"after frame {self.frame}: {damage}; everything before it was read")

    def _blocks(
        self, advance: Callable[[PcapngLayout], _Found | None], look: Callable[[Record], _Found]
    ) -> Iterator[_Found]:
        window, limits = self._window, self._limits
        head = struct.Struct("<II").unpack_from
        while True:
            found = advance(PcapngLayout(self._order == ">", limits.block_bytes, limits.record_bytes))
            if found is not None:
                yield found
                continue
            if not window.fill(_MIN_BLOCK):
                if window.end > window.pos:
                    self._cut()
                return
            data, pos = window.data, window.pos
            kind, total = head(data, pos)
            if kind == _SECTION:
                total = self._section(data, pos)
            elif self._order == ">":
                kind, total = struct.unpack_from(">II", data, pos)
            if total < _MIN_BLOCK:
                raise _DamagedError(f"a block of {total} bytes, which is shorter than a block can be")
            if total > self._limits.block_bytes:
                if kind in (_ENHANCED_PACKET, _SIMPLE_PACKET, _OBSOLETE_PACKET, _SECTION, _INTERFACE):
                    raise _DamagedError(f"a block claims {total:,} bytes")
                self._once(f"a block of {total:,} bytes was skipped")
                if not window.skip(total + -total % 4):
                    self._cut()
                    return
                continue
            total += -total % 4
            if not window.fill(total):
                self._cut()
                return
            data, pos = window.data, window.pos
            end = pos + total - 4
            if data[end : end + 4] != data[pos + 4 : pos + 8]:
                raise _DamagedError("a block whose two lengths disagree")
            window.pos = pos + total
            if kind == _ENHANCED_PACKET:
                yield look(self._enhanced(data, pos + 8, end))
            elif kind == _INTERFACE:
                self._add_interface(data, pos + 8, end)
            elif kind == _SIMPLE_PACKET:
                yield look(self._simple(data, pos + 8, end))
            elif kind == _OBSOLETE_PACKET:
                yield look(self._obsolete(data, pos + 8, end))
            elif kind == _STATISTICS:
                self._statistics(data, pos + 8, end)
            elif kind == _SECRETS:
                self._keep_secrets(data, pos + 8, end)
            elif kind == _SECTION:
                self._check_version(data, pos + 12, end)
            elif kind in _FRAMES_WITHOUT_PACKET:
                self.frame += 1

    def _pass_over(self, packets: int, interface: int, stamp: int) -> None:
        """Count packets that a sieve dealt with; interface and stamp are those of the last of them."""
        if packets:
            self.frame += packets
            self._last_ts = self._interfaces[interface].ns(stamp)

    def origin(self) -> RecordOrigin:
        """Return where the record last yielded comes from."""
        if self._last is None:
            return RecordOrigin(0, 0, 0, 6, b"", ())
        interface, pos, end = self._last
        digits = {10**n: n for n in range(10)}.get(interface.per_second, 9)
        options = [
            (code, value if code == _OPTION_COMMENT or self._order == "<" else value[::-1])
            for code, value in self._options(self._window.data, pos, end)
            if code in (_OPTION_COMMENT, _OPTION_FLAGS)
        ]
        return RecordOrigin(
            interface.number, interface.linktype, interface.snaplen, digits, interface.name, tuple(options)
        )

    def passed(self) -> Passed:
        """Return what a sieve passed over."""
        self._settle()
        return self._passed

    def _settle(self) -> None:
        """Enter what was passed over in the section so far, and count from 0 again."""
        for (packets, first, last, linktype), interface in zip(self._tallies, self._interfaces, strict=True):
            if packets:
                self._passed.add(linktype, packets, interface.ns(first), interface.ns(last))
        self._tallies.clear()

    def _section(self, data: bytearray, pos: int) -> int:
        """Begin a section: byte order from its magic, interface numbers from 0. Returns its length."""
        order = _BYTE_ORDER.get(bytes(data[pos + 8 : pos + 12]))
        if order is None:
            raise _DamagedError("a section header without its byte-order mark")
        self._closed_drops = self.drops
        self._settle()
        self._tallies = Tallies()
        self._order = order
        self._interfaces = []
        self._clocks = b""
        total: int = struct.unpack_from(order + "I", data, pos + 4)[0]
        return total

    def _check_version(self, data: bytearray, pos: int, end: int) -> None:
        if end - pos < 12:
            raise _DamagedError("a section header that is too short")
        major, minor = struct.unpack_from(self._order + "HH", data, pos)
        if (major, minor) not in _VERSIONS:
            raise _DamagedError(f"a section of pcapng version {major}.{minor}, which is not known")

    def _add_interface(self, data: bytearray, pos: int, end: int) -> None:
        self._interfaces_seen += 1
        if self._interfaces_seen > self._limits.interfaces:
            raise _DamagedError(f"more than {self._limits.interfaces:,} interfaces")
        if end - pos < 8:
            raise _DamagedError("an interface block that is too short")
        linktype, _, snaplen = struct.unpack_from(self._order + "HHI", data, pos)
        interface = _Interface(self._interfaces_seen - 1, linktype, snaplen)
        for code, value in self._options(data, pos + 8, end):
            if code == _OPTION_TSRESOL and len(value) >= 1:
                interface.per_second = self._per_second(value[0])
            elif code == _OPTION_TSOFFSET and len(value) >= 8:
                interface.offset_ns = struct.unpack_from(self._order + "q", value)[0] * 1_000_000_000
            elif code == _OPTION_IFNAME:
                interface.name = value[:_LONGEST_NAME]
        self._interfaces.append(interface)
        self._clocks += interface.clock()
        self._tallies.add(linktype)

    def _per_second(self, resolution: int) -> int:
        exponent = resolution & 0x7F
        if resolution & 0x80:
            if exponent <= _MAX_BINARY_RESOLUTION:
                return 1 << exponent
        elif exponent <= _MAX_DECIMAL_RESOLUTION:
            return int(10**exponent)
        self._once(f"time resolution {resolution:#x} makes no sense: microseconds taken")
        return _DEFAULT_RESOLUTION

    def _options(self, data: bytearray, pos: int, end: int) -> Iterator[tuple[int, bytes]]:
        while pos + 4 <= end:
            code, length = struct.unpack_from(self._order + "HH", data, pos)
            if code == 0 or pos + 4 + length > end:
                return
            yield code, bytes(data[pos + 4 : pos + 4 + length])
            pos += 4 + length + -length % 4

    def _interface(self, number: int) -> _Interface:
        if number >= len(self._interfaces):
            raise _DamagedError(f"a packet of interface {number}, which is not described")
        return self._interfaces[number]

    def _enhanced(self, data: bytearray, pos: int, end: int) -> Record:
        if end - pos < 20:
            raise _DamagedError("a packet block that is too short")
        number, high, low, caplen, wirelen = struct.unpack_from(self._order + "IIIII", data, pos)
        ts = self._stamp(number, high << 32 | low, caplen, end - pos - 20)
        interface = self._interfaces[number]
        self._last = interface, pos + 20 + caplen + -caplen % 4, end
        return ts, interface.linktype, data, pos + 20, pos + 20 + caplen, wirelen

    def _obsolete(self, data: bytearray, pos: int, end: int) -> Record:
        if end - pos < 20:
            raise _DamagedError("a packet block that is too short")
        number, _, high, low, caplen, wirelen = struct.unpack_from(self._order + "HHIIII", data, pos)
        ts = self._stamp(number, high << 32 | low, caplen, end - pos - 20)
        interface = self._interfaces[number]
        self._last = interface, end, end
        return ts, interface.linktype, data, pos + 20, pos + 20 + caplen, wirelen

    def _stamp(self, number: int, stamp: int, caplen: int, room: int) -> int:
        """Count a packet of interface `number` and return its time in ns."""
        interface = self._interface(number)
        if caplen > room:
            raise _DamagedError(f"a packet claims {caplen:,} bytes in a block of {room:,}")
        if caplen > self._limits.record_bytes:
            raise _DamagedError(f"a packet of {caplen:,} bytes")
        self.frame += 1
        self._last_ts = interface.ns(stamp)
        return self._last_ts

    def _simple(self, data: bytearray, pos: int, end: int) -> Record:
        if end - pos < 4:
            raise _DamagedError("a packet block that is too short")
        interface = self._interface(0)
        wirelen = struct.unpack_from(self._order + "I", data, pos)[0]
        caplen = min(wirelen, interface.snaplen) if interface.snaplen else wirelen
        if caplen > end - pos - 4:
            raise _DamagedError(f"a packet claims {caplen:,} bytes in a block of {end - pos - 4:,}")
        self._once("packets without a time stamp carry that of the packet before them")
        self.frame += 1
        self._last = interface, end, end
        return self._last_ts, interface.linktype, data, pos + 4, pos + 4 + caplen, wirelen

    def _statistics(self, data: bytearray, pos: int, end: int) -> None:
        if end - pos < 12:
            return
        number = struct.unpack_from(self._order + "I", data, pos)[0]
        if number >= len(self._interfaces):
            return
        for code, value in self._options(data, pos + 12, end):
            if code == _OPTION_IFDROP and len(value) >= 8:
                # A running total: the last block of an interface counts.
                self._interfaces[number].drops = struct.unpack_from(self._order + "Q", value)[0]
            elif code == _OPTION_ENDTIME and len(value) >= 8:
                high, low = struct.unpack_from(self._order + "II", value)
                self._ended(self._interfaces[number], high << 32 | low)

    def _keep_secrets(self, data: bytearray, pos: int, end: int) -> None:
        """Keep the key log of a decryption-secrets block."""
        if end - pos < 8:
            return
        kind, length = struct.unpack_from(self._order + "II", data, pos)
        if kind != _TLS_KEY_LOG or length > end - pos - 8:
            self._once("it brings secrets that are no TLS key log: they are not used")
            return
        if len(self.secrets) + length > self._limits.secrets_bytes:
            self._once("it brings more secrets than are kept")
            return
        self.secrets += bytes(data[pos + 8 : pos + 8 + length]) + b"\n"

    def _ended(self, interface: _Interface, stamp: int) -> None:
        """Note when the capture was stopped: a quiet network has its last packet long before that.

        dumpcap writes microseconds here whatever the resolution of the interface: of the two readings only
        one lies behind the last packet and not out of the world.
        """
        for per_second in (interface.per_second, _DEFAULT_RESOLUTION):
            ts = stamp * 1_000_000_000 // per_second + interface.offset_ns
            if self._last_ts <= ts <= self._last_ts + _LONGEST_SILENCE:
                self.watched_until = max(ts, self.watched_until or 0)
                return

    def _once(self, note: str) -> None:
        if note not in self._noted:
            self._noted.add(note)
            self.notes.append(note)

    def _cut(self) -> None:
        self.truncated = True
        self.notes.append(f"the file is cut after frame {self.frame}; everything before it was read")
