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


class FillingStream(Protocol):
    """A stream that reads into memory that is there."""

    def readinto(self, memory: memoryview, /) -> int:
        """Read up to as many bytes as the memory has room for; 0 at the end."""
        ...


class ReadBuffer:
    """The unread part of a stream: `data[pos:end]`, with `fill` to make it longer.

    The same memory is filled again and again, which keeps it in the processor's cache: what `data` held is
    gone after a `fill`.
    """

    __slots__ = ("_chunk", "_stream", "data", "end", "pos")

    def __init__(self, stream: FillingStream, chunk: int = CHUNK) -> None:
        self._stream = stream
        self._chunk = chunk
        self.data = bytearray()
        self.pos = 0
        self.end = 0

    def fill(self, needed: int) -> bool:
        """Make at least `needed` bytes available at `pos`; False where the stream ends before."""
        have = self.end - self.pos
        if have >= needed:
            return True
        self._move_to_front(needed + self._chunk)
        with memoryview(self.data) as memory:
            while have < needed:
                more = self._stream.readinto(memory[have : have + self._chunk])
                if not more:
                    break
                have += more
        self.end = have
        return have >= needed

    def _move_to_front(self, size: int) -> None:
        """Make room for `size` bytes, but not much more: a large block does not hold its memory for ever."""
        left = self.data[self.pos : self.end]
        if not size <= len(self.data) <= 4 * max(size, CHUNK):
            self.data = bytearray(size)
        self.data[: len(left)] = left
        self.pos, self.end = 0, len(left)

    def skip(self, count: int) -> bool:
        """Move `count` bytes on, however many that is, without holding them."""
        while count:
            step = min(count, CHUNK)
            if not self.fill(step):
                self.pos = self.end
                return False
            self.pos += step
            count -= step
        return True
