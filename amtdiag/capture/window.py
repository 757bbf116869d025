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


class FillingStream(ByteStream, Protocol):
    """A stream that also reads into memory that is there."""

    def readinto(self, memory: memoryview, /) -> int:
        """Read up to as many bytes as the memory has room for; 0 at the end."""
        ...


class Window:
    """The unread part of a stream: `data[pos:end]`, with `fill` to make it longer."""

    __slots__ = ("_chunk", "_stream", "data", "end", "pos")

    def __init__(self, stream: FillingStream, chunk: int = CHUNK) -> None:
        self._stream = stream
        self._chunk = chunk
        self.data: bytes | bytearray = b""
        self.pos = 0
        self.end = 0

    def reuse_memory(self) -> None:
        """Read into the same memory again and again from now on: what `data` held is gone after a `fill`.

        That spares a copy, and the memory stays in the processor's cache.
        """
        self.data = bytearray(self.data)

    def fill(self, needed: int) -> bool:
        """Make at least `needed` bytes available at `pos`; False where the stream ends before."""
        have = self.end - self.pos
        if have >= needed:
            return True
        if isinstance(self.data, bytearray):
            have = self._fill_again(self.data, needed)
        else:
            parts = [self.data[self.pos :]]
            while have < needed:
                more = self._stream.read(self._chunk)
                if not more:
                    break
                parts.append(more)
                have += len(more)
            self.data = b"".join(parts)
        self.pos = 0
        self.end = have
        return have >= needed

    def _fill_again(self, data: bytearray, needed: int) -> int:
        """Move what is left to the front and read behind it. Returns how much there is then."""
        have = self.end - self.pos
        room = max(needed, have) + self._chunk
        if len(data) < room or len(data) > 4 * max(room, CHUNK):
            self.data = bytearray(room)
            self.data[:have] = memoryview(data)[self.pos : self.end]
        else:
            data[:have] = data[self.pos : self.end]
        with memoryview(self.data) as memory:
            while have < needed:
                more = self._stream.readinto(memory[have : have + self._chunk])
                if not more:
                    break
                have += more
        return have

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
