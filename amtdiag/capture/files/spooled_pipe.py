"""Pipes that are to be read twice."""

from __future__ import annotations

from amtdiag.capture.files.buffer import ByteStream

_MAX_COPIED = 4 << 30


class Copy:
    """A pipe that is copied to a temporary file while it is read, so that it can be read once more."""

    def __init__(self, file: ByteStream, most: int = _MAX_COPIED) -> None:
        from tempfile import TemporaryFile  # a pipe is rare, and that import is slow

        self._take = getattr(file, "read1", file.read)
        self._room = most
        self._file = TemporaryFile()  # noqa: SIM115 - it lives as long as this does

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""
        data: bytes = self._take(size)
        self._file.write(data[: self._room])
        self._room -= min(self._room, len(data))
        return data

    @property
    def is_full(self) -> bool:
        """There was more than is kept, or just as much."""
        return not self._room

    def close(self) -> None:
        """Close the copy, which removes it."""
        self._file.close()

    def again(self) -> ByteStream:
        """Return what was copied, from its beginning."""
        self._file.seek(0)
        return self._file
