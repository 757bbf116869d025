"""A sliding window over a byte stream: containers walk records in it without copying each."""

from __future__ import annotations

from typing import Protocol

CHUNK = 1 << 20
"""One read. Larger chunks fall out of the processor's cache."""


class ByteStream(Protocol):
    """Anything with `read`: a file, a pipe, an unpacked stream."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, empty at the end."""
        ...


class Window:
    """The unread part of a stream: `data[pos:]`, with `fill` to make it longer."""

    __slots__ = ("_chunk", "_stream", "data", "pos")

    def __init__(self, stream: ByteStream, chunk: int = CHUNK) -> None:
        self._stream = stream
        self._chunk = chunk
        self.data = b""
        self.pos = 0

    def fill(self, needed: int) -> bool:
        """Make at least `needed` bytes available at `pos`; False where the stream ends before."""
        if len(self.data) - self.pos >= needed:
            return True
        parts = [self.data[self.pos :]]
        have = len(parts[0])
        while have < needed:
            more = self._stream.read(self._chunk)
            if not more:
                break
            parts.append(more)
            have += len(more)
        self.data = b"".join(parts)
        self.pos = 0
        return have >= needed

    def skip(self, count: int) -> bool:
        """Move `count` bytes on, however many that is, without holding them."""
        while count:
            step = min(count, CHUNK)
            if not self.fill(step):
                self.pos = len(self.data)
                return False
            self.pos += step
            count -= step
        return True
