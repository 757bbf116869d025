"""Writes what is captured to pcapng: one file, or a ring of them whose oldest is removed.

Names and conditions are those of dumpcap's -b and -a. Each batch is handed to the system at once, so that
what a killed process leaves behind is a valid capture up to its last batch.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from amtdiag.capture.files.pcapng_writer import (
    APPLICATION,
    BYTE_ORDER,
    ENDTIME,
    ENHANCED_PACKET,
    IFDROP,
    IFNAME,
    IFRECV,
    INTERFACE,
    SECTION,
    STATISTICS,
    TSRESOL,
    block,
)
from amtdiag.capture.live.source import Counts, Tap
from amtdiag.errors import UsageError
from amtdiag.safetext import safe
from amtdiag.times import SECOND

_NANOSECONDS = b"\x09"
_PACKET = struct.Struct("<IIIIIII")
_OPEN = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
_KB = 1000
"""dumpcap's kilobyte."""


class RingOptions(NamedTuple):
    """When to begin another file, and how many are kept; 0 where that does not matter."""

    filesize: int = 0
    """Kilobytes of a thousand bytes."""
    files: int = 0
    duration: int = 0
    """Seconds."""

    @property
    def several(self) -> bool:
        """There may be more than one file."""
        return bool(self.filesize or self.duration)


class Written(NamedTuple):
    """A file that was begun."""

    path: Path
    removed: Path | None
    """The oldest of the ring, which made room for it."""


class RingBuffer:
    """Files that take packets one after the other. The first is begun when the first packets come, or now."""

    def __init__(self, path: Path, options: RingOptions, taps: Sequence[Tap], snaplen: int, now: int) -> None:
        """Begin the first file. Raises `UsageError` where it cannot be written."""
        self._pattern = path
        self._options = options
        self._taps = tuple(taps)
        self._snaplen = snaplen
        self._number = 0
        self._kept: deque[Path] = deque()
        self._base: list[Counts] = [Counts() for _ in taps]
        """What had been counted when the file was begun."""
        self._fd = -1
        self.path = path
        self._size = self._began = self.frame = 0
        try:
            self._begin(now)
        except OSError as error:
            raise UsageError(f"{safe(str(self.path), 4096)}: {error.strerror or error}") from error

    def _begin(self, now: int) -> Written:
        self._number += 1
        if self._options.several:
            stamp = datetime.fromtimestamp(now // SECOND, UTC)
            name = f"{self._pattern.stem}_{self._number:05d}_{stamp:%Y%m%d%H%M%S}{self._pattern.suffix}"
            self.path = self._pattern.with_name(name)
        self._fd = os.open(self.path, _OPEN, 0o640)
        self._size, self._began, self.frame = 0, now, 0
        blocks = [block(SECTION, struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1), [(APPLICATION, b"amtdiag")])]
        for name, linktype in self._taps:
            body = struct.pack("<HHI", linktype, 0, self._snaplen)
            options = [(IFNAME, os.fsencode(name)), (TSRESOL, _NANOSECONDS)]
            blocks.append(block(INTERFACE, body, options))
        self._write(b"".join(blocks))
        self._kept.append(self.path)
        removed = None
        if self._options.files and len(self._kept) > self._options.files:
            removed = self._kept.popleft()
            removed.unlink(missing_ok=True)
        return Written(self.path, removed)

    def is_due(self, now: int) -> bool:
        """True where the next packets belong into another file."""
        size, duration = self._options.filesize, self._options.duration
        return bool(
            (size and self._size >= size * _KB) or (duration and now - self._began >= duration * SECOND)
        )

    def turn(self, now: int, counts: Sequence[Counts]) -> Written:
        """End the file and begin another. Raises `OSError`."""
        self.close(now, counts)
        self._base = list(counts)
        return self._begin(now)

    def add(self, packets: Sequence[tuple[int, int, bytes, int]]) -> None:
        """Write a batch: time, number of the interface, bytes, length on the wire. Raises `OSError`."""
        blocks: list[bytes] = []
        for ts, number, data, wirelen in packets:
            padding = bytes(-len(data) % 4)
            total = _PACKET.size + len(data) + len(padding) + 4
            high, low = divmod(max(ts, 0), 1 << 32)
            head = _PACKET.pack(ENHANCED_PACKET, total, number, high, low, len(data), wirelen)
            blocks += (head, data, padding, total.to_bytes(4, "little"))
        self._write(b"".join(blocks))
        self.frame += len(packets)

    def close(self, now: int, counts: Sequence[Counts]) -> None:
        """Write when the capture ended and what was lost, and end the file."""
        if self._fd < 0:
            return
        stamp = struct.pack("<II", now >> 32 & 0xFFFF_FFFF, now & 0xFFFF_FFFF)
        blocks = [
            block(
                STATISTICS,
                struct.pack("<I", number) + stamp,
                [
                    (ENDTIME, stamp),
                    (IFRECV, (one.received - base.received).to_bytes(8, "little")),
                    (IFDROP, _lost(one, base).to_bytes(8, "little")),
                ],
            )
            for number, (one, base) in enumerate(zip(counts, self._base, strict=True))
        ]
        try:
            self._write(b"".join(blocks))
        finally:
            os.close(self._fd)
            self._fd = -1

    @property
    def files(self) -> Sequence[Path]:
        """The files that are there, oldest first."""
        return tuple(self._kept)

    @property
    def size(self) -> int:
        """Bytes of the file at hand."""
        return self._size

    def drops(self, counts: Sequence[Counts]) -> int:
        """Packets lost since the file at hand was begun."""
        return sum(_lost(one, base) for one, base in zip(counts, self._base, strict=True))

    def _write(self, data: bytes) -> None:
        """Hand all of it to the system; where that fails, the file ends with its last whole batch."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            if len(rest) < len(data):
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)


def _lost(one: Counts, base: Counts) -> int:
    return one.dropped + one.interface_dropped - base.dropped - base.interface_dropped
