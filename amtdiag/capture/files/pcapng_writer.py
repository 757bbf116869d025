"""pcapng files to be written: their blocks, little-endian, and copies of packets that other files hold."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from amtdiag.capture.files.container import RecordOrigin
from amtdiag.model import CaptureInfo

COMMENT = 1
"""Option of any block."""
MAX_OPTION_BYTES = 65_535
_SECTION, _INTERFACE, _STATISTICS, _ENHANCED_PACKET, _SECRETS = 0x0A0D0D0A, 1, 5, 6, 10
_BYTE_ORDER = 0x1A2B3C4D
_TLS_KEY_LOG = 0x544C_534B
_APPLICATION = 4
"""Option of a section."""
_NAME, _DESCRIPTION, _RESOLUTION = 2, 3, 9
"""Options of an interface."""
_ENDED, _RECEIVED, _DROPPED = 3, 4, 5
"""Options of statistics."""
_END_OF_OPTIONS = bytes(4)
_PACKET = struct.Struct("<IIIIIII")
_NANO = 9
"""Decimal digits of a second that is counted in nanoseconds."""
_MAX_NUMBER = (1 << 64) - 1

Option = tuple[int, bytes]
"""Code and value."""


def _options(options: Iterable[Option]) -> bytes:
    listed = b"".join(
        struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in options
    )
    return listed + _END_OF_OPTIONS if listed else b""


def _block(kind: int, body: bytes, options: Iterable[Option] = ()) -> bytes:
    """Return a block; the body has a length that is a multiple of four."""
    content = body + _options(options)
    total = struct.pack("<I", len(content) + 12)
    return struct.pack("<I", kind) + total + content + total


def section(comment: str = "") -> bytes:
    """Return the beginning of a file: a section of unknown length, with a comment unless that is empty."""
    options = [(COMMENT, text(comment)), (_APPLICATION, b"amtdiag")]
    body = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1)
    return _block(_SECTION, body, options if comment else options[1:])


def interface(linktype: int, snaplen: int, digits: int, name: bytes = b"", description: str = "") -> bytes:
    """Return the description of an interface whose seconds have so many decimal digits."""
    options = [(_NAME, name), (_DESCRIPTION, text(description)), (_RESOLUTION, bytes([digits]))]
    body = struct.pack("<HHI", linktype & 0xFFFF, 0, snaplen)
    return _block(_INTERFACE, body, [(code, value) for code, value in options if value])


def packet(number: int, stamp: int, data: bytes, wirelen: int, options: Iterable[Option] = ()) -> bytes:
    """Return a packet of interface `number`; `stamp` counts in the unit of that."""
    size = len(data)
    tail = bytes(-size % 4) + _options(options)
    total = _PACKET.size + size + len(tail) + 4
    head = _PACKET.pack(_ENHANCED_PACKET, total, number, *_halves(stamp), size, wirelen)
    return b"".join((head, data, tail, total.to_bytes(4, "little")))


def statistics(
    number: int, stamp: int, *, ended: bool = True, received: int | None = None, dropped: int | None = None
) -> bytes:
    """Return what there is to report of an interface at the end.

    `ended` says that `stamp`, in the unit of the interface, is when the capture was stopped; `received` and
    `dropped` are packets, None where they are not known.
    """
    halves = struct.pack("<II", *_halves(stamp))
    options = [(_ENDED, halves)] if ended else []
    for code, count in (_RECEIVED, received), (_DROPPED, dropped):
        if count is not None:
            options.append((code, min(count, _MAX_NUMBER).to_bytes(8, "little")))
    return _block(_STATISTICS, struct.pack("<I", number) + halves, options)


def key_log(data: bytes) -> bytes:
    """Return a block of lines as of SSLKEYLOGFILE."""
    return _block(_SECRETS, struct.pack("<II", _TLS_KEY_LOG, len(data)) + data + bytes(-len(data) % 4))


def text(value: str) -> bytes:
    """Return text as an option has it, cut where a character ends."""
    data = value.encode("utf-8", "replace")
    if len(data) <= MAX_OPTION_BYTES:
        return data
    return data[:MAX_OPTION_BYTES].decode("utf-8", "ignore").encode()


def _halves(stamp: int) -> tuple[int, int]:
    """Return the upper and the lower 32 bits of the nearest number that a file can hold."""
    return divmod(min(max(stamp, 0), _MAX_NUMBER), 1 << 32)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written that is complete or not there. Raises `OSError`."""
    half = path.with_name(f"{path.name}.new")
    try:
        with half.open("wb") as out:
            yield out
        half.replace(path)
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)


class PacketCopier:
    """Writes packets of captures to one file, each as one of the interface that it came from."""

    def __init__(self, out: BinaryIO, comment: str = "", labels: Sequence[str] | None = None) -> None:
        """Begin the file. Where `labels` of the captures are given, interfaces have their names."""
        self._out = out
        self._labels = labels
        self._interfaces: dict[int, dict[int, tuple[int, int]]] = {}
        """By capture and number in it: number here, and nanoseconds in the unit of its stamps."""
        self._count = 0
        self.packets = 0
        out.write(section(comment))

    def packet(
        self,
        capture: int,
        origin: RecordOrigin,
        ts: int,
        data: bytes,
        wirelen: int,
        *,
        options: Iterable[Option] = (),
    ) -> None:
        """Write a packet of a capture, and before its first one the interface; `ts` is in ns."""
        known = self._interfaces.setdefault(capture, {})
        if origin.interface not in known:
            known[origin.interface] = self._count, 10 ** (_NANO - origin.digits)
            self._count += 1
            name, description = b"", ""
            if self._labels is not None:
                name, description = origin.name, f"of {self._labels[capture]}"
            self._out.write(interface(origin.linktype, origin.snaplen, origin.digits, name, description))
        number, unit = known[origin.interface]
        self._out.write(packet(number, ts // unit, data, wirelen, options))
        self.packets += 1

    def key_log(self, data: bytes) -> None:
        """Write lines as of SSLKEYLOGFILE."""
        self._out.write(key_log(data))

    def end(self, number: int, capture: CaptureInfo) -> None:
        """Write when a capture was stopped and what it lost, as far as its file says so."""
        known = self._interfaces.get(number)
        if not known or (capture.watched_until is None and capture.drops is None):
            return
        first, unit = next(iter(known.values()))
        stamp = (capture.watched_until or capture.last_ts or 0) // unit
        ended = capture.watched_until is not None
        self._out.write(statistics(first, stamp, ended=ended, dropped=capture.drops))
