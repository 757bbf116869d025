"""Writes what is captured to pcapng: one file, or a ring of them whose oldest is removed.

Names and conditions are those of dumpcap's -b and -a. Each batch is handed to the system at once, so that
what a killed process leaves behind is a valid capture up to its last batch.
"""

import os
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from amtdiag.capture.files import pcapng_writer
from amtdiag.capture.live.source import Counts, LivePacket, Tap
from amtdiag.errors import UsageError
from amtdiag.safetext import safe
from amtdiag.times import SECOND

_NANOSECOND_DIGITS = 9
_OPEN = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
_KB = 1000
"""dumpcap's kilobyte."""


class RingOptions(NamedTuple):
    """When to begin another file, and how many are kept; 0 where that does not matter."""

    filesize: int = 0
    """Kilobytes of a thousand bytes, from which on another file is begun."""
    files: int = 0
    """Files that are kept."""
    duration: int = 0
    """Seconds after which another file is begun."""

    @property
    def several(self) -> bool:
        """There may be more than one file."""
        return bool(self.filesize or self.duration)


class RingBuffer:
    """Files that take packets one after the other. The first is begun at once."""

    def __init__(self, path: Path, options: RingOptions, taps: Sequence[Tap], snaplen: int, now: int) -> None:
        """Begin the first file. Raises `UsageError` where it cannot be written."""
        self._pattern = path
        self._options = options
        self._snaplen = snaplen
        self._taps = tuple(taps)
        self._number = 0
        self._files: deque[Path] = deque()
        """Those that are there, oldest first."""
        self._base: list[Counts] = [Counts() for _ in taps]
        """What had been counted when the file was begun."""
        self._fd = -1
        self.path = path
        """The file that is written now."""
        self.size = 0
        """Bytes of that file so far."""
        self._began = 0
        try:
            self._begin(now)
        except OSError as error:
            raise UsageError(f"{safe(str(self.path), 4096)}: {error.strerror or error}") from error

    def _begin(self, now: int) -> None:
        self._number += 1
        if self._options.several:
            stamp = datetime.fromtimestamp(now // SECOND, UTC)
            name = f"{self._pattern.stem}_{self._number:05d}_{stamp:%Y%m%d%H%M%S}{self._pattern.suffix}"
            self.path = self._pattern.with_name(name)
        self._fd = os.open(self.path, _OPEN, 0o640)
        self.size, self._began = 0, now
        blocks = [pcapng_writer.section()]
        for name, linktype in self._taps:
            blocks.append(
                pcapng_writer.interface(linktype, self._snaplen, _NANOSECOND_DIGITS, os.fsencode(name))
            )
        self._write(b"".join(blocks))
        self._files.append(self.path)
        if self._options.files and len(self._files) > self._options.files:
            self._files.popleft().unlink(missing_ok=True)

    def is_due(self, now: int) -> bool:
        """True where the next packets belong into another file."""
        size, duration = self._options.filesize, self._options.duration
        return bool(
            (size and self.size >= size * _KB) or (duration and now - self._began >= duration * SECOND)
        )

    def turn(self, now: int, counts: Sequence[Counts]) -> None:
        """End the file and begin another; the oldest may be removed. Raises `OSError`."""
        self.close(now, counts)
        self._base = list(counts)
        self._begin(now)

    def add(self, packets: Sequence[LivePacket]) -> None:
        """Write a batch. Raises `OSError`."""
        self._write(
            b"".join(
                [pcapng_writer.packet(number, ts, data, wirelen) for ts, number, data, wirelen in packets]
            )
        )

    def close(self, now: int, counts: Sequence[Counts]) -> None:
        """Write when the capture ended and what was lost, and end the file."""
        if self._fd < 0:
            return
        blocks = [
            pcapng_writer.statistics(
                number, now, received=count.received - base.received, dropped=count.lost - base.lost
            )
            for number, (count, base) in enumerate(zip(counts, self._base, strict=True))
        ]
        try:
            self._write(b"".join(blocks))
        finally:
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: bytes) -> None:
        """Hand all of it to the system; where that fails, the file ends with its last whole batch."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            if len(rest) < len(data):
                os.ftruncate(self._fd, self.size)
            raise
        self.size += len(data)
