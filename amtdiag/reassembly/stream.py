"""One direction of a TCP connection: segments in any order, bytes and gaps out."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from amtdiag.config import Limits

WRAP = 1 << 32
_HALF = 1 << 31
_CHUNK_COSTS = 256
"""Bytes that Python takes for a chunk besides its payload."""

Frames = tuple[int, tuple[int, ...]]
"""File index and frame numbers that a piece came in."""


def distance(a: int, b: int) -> int:
    """Return the signed distance from sequence number `b` to `a`, across the wrap."""
    d = (a - b) % WRAP
    return d - WRAP if d >= _HALF else d


class Piece(NamedTuple):
    """Bytes `start` to `end` of a stream came in `frames` at `ts`."""

    start: int
    end: int
    ts: int
    frames: Frames


class Assembled(NamedTuple):
    """A stream as far as it was captured, from its first known byte."""

    data: bytes
    """Zero where bytes are missing."""
    gaps: tuple[tuple[int, int], ...]
    """Start and end of what is missing, in order; the last may lie behind `data`."""
    pieces: tuple[Piece, ...]
    anchored: bool
    """`data` begins with the first byte that was sent; else the beginning is unknown."""
    ended: bool
    """The sender closed the stream and the place is known."""
    conflicts: int
    """Bytes that were sent again with another value; the first was kept."""

    def without_first_byte(self) -> Assembled:
        """Return the same stream from its second byte on."""
        return self._replace(
            data=self.data[1:],
            gaps=tuple((start - 1, end - 1) for start, end in self.gaps),
            pieces=tuple(
                piece._replace(start=max(piece.start - 1, 0), end=piece.end - 1)
                for piece in self.pieces
                if piece.end > 1
            ),
        )


class Stream:
    """Bytes of one direction, by offset from its first byte. Where segments overlap, the first wins."""

    __slots__ = (
        "_chunks", "_limits", "_most", "_starts", "acked", "anchored", "base", "bytes", "conflicts", "end",
        "keep", "lost_tail", "memory", "retransmitted",
    )  # fmt: skip

    def __init__(self, limits: Limits, keep: bool, most: int | None = None) -> None:
        self._limits = limits
        self._most = limits.stream_bytes if most is None else min(most, limits.stream_bytes)
        self._starts: list[int] = []
        self._chunks: list[tuple[bytes, int, Frames]] = []
        self.keep = keep
        """Keep the bytes; else only count them."""
        self.base: int | None = None
        """Sequence number of offset 0."""
        self.anchored = False
        self.bytes = 0
        """Payload bytes seen, those sent again not counted where the bytes are kept."""
        self.memory = 0
        """What the kept bytes take, roughly: a chunk costs more than its bytes."""
        self.retransmitted = 0
        self.conflicts = 0
        self.end: int | None = None
        """Offset at which the sender closed."""
        self.acked: int | None = None
        """The furthest offset that the other side said it has."""
        self.lost_tail = 0
        """Furthest offset that a cut packet promised."""

    @property
    def chunks(self) -> int:
        """Separate pieces that are kept."""
        return len(self._starts)

    def anchor(self, first: int) -> None:
        """Say which sequence number the first byte of the stream has.

        Not believed where it lies out of reach of what was seen: it belongs to another connection then.
        """
        if self.anchored or (
            self.base is not None and abs(distance(self.base, first)) > self._limits.stream_bytes
        ):
            return
        if self.base is not None and self._starts:
            shift = distance(self.base, first)
            self._starts = [start + shift for start in self._starts]
            self.lost_tail += shift
            self.end = None if self.end is None else self.end + shift
            self.acked = None if self.acked is None else self.acked + shift
        self.base = first
        self.anchored = True

    def offset(self, seq: int) -> int:
        """Return the offset of a sequence number; the first one asked for becomes 0 if none is known."""
        if self.base is None:
            self.base = seq
        return distance(seq, self.base)

    def close(self, seq: int) -> None:
        """Say that the sender closed the stream after the byte before `seq`."""
        offset = self.offset(seq)
        if self.end is None or offset > self.end:
            self.end = offset

    def acknowledge(self, seq: int) -> None:
        """Say that the receiver has all bytes before `seq`."""
        if self.base is not None:
            offset = distance(seq, self.base)
            if self.acked is None or offset > self.acked:
                self.acked = offset

    def is_far(self, seq: int) -> bool:
        """True where `seq` cannot belong to this stream as far as it is kept."""
        if self.base is None:
            return False
        reach = max(self._starts[-1] if self._starts else 0, self.end or 0, self.lost_tail)
        return not -self._limits.stream_bytes <= distance(seq, self.base) <= reach + (1 << 24)

    def add(self, seq: int, payload: bytes, missing: int, ts: int, frames: Frames) -> None:
        """Take a segment's payload; `missing` bytes after it were sent but not captured."""
        start = self.offset(seq)
        if not self.keep:
            self.bytes += len(payload) + missing
            return
        if missing:
            self.lost_tail = max(self.lost_tail, start + len(payload) + missing)
        if self.anchored and start < 0:
            payload = payload[-start:]
            start = 0
        if start < -self._limits.stream_bytes:
            return
        room = max(self._most - start, 0)
        if len(payload) > room:
            self.bytes += len(payload) - room
            payload = payload[:room]
        if not payload:
            return
        starts, chunks = self._starts, self._chunks
        if not starts or start >= starts[-1] + len(chunks[-1][0]):
            if len(starts) < self._limits.stream_chunks:
                starts.append(start)
                chunks.append((payload, ts, frames))
                self._count(len(payload))
            return
        self._insert(start, payload, ts, frames)

    def _insert(self, start: int, payload: bytes, ts: int, frames: Frames) -> None:
        """Put the bytes of `payload` that are new between the pieces that are there."""
        starts, chunks = self._starts, self._chunks
        end = start + len(payload)
        at = max(bisect_right(starts, start) - 1, 0)
        position = start
        while position < end and len(starts) < self._limits.stream_chunks:
            if at < len(starts):
                there, there_end = starts[at], starts[at] + len(chunks[at][0])
            else:
                there = there_end = end
            if there_end <= position and at < len(starts):
                at += 1
                continue
            if position < there:
                stop = min(there, end)
                starts.insert(at, position)
                chunks.insert(at, (payload[position - start : stop - start], ts, frames))
                self._count(stop - position)
                position = stop
                at += 1
                continue
            stop = min(there_end, end)
            self._compare(payload[position - start : stop - start], chunks[at][0], position - there)
            position = stop
            at += 1

    def _count(self, new: int) -> None:
        self.bytes += new
        self.memory += new + _CHUNK_COSTS

    def _compare(self, again: bytes, kept: bytes, at: int) -> None:
        """Count what was sent twice; a keep-alive repeats one byte, often with another value."""
        self.retransmitted += len(again)
        same = kept[at : at + len(again)]
        if again != same and len(again) > 1:
            self.conflicts += sum(a != b for a, b in zip(again, same, strict=True))

    def assemble(self) -> Assembled:
        """Return the stream from its first byte, or from the first that was seen."""
        starts, chunks = self._starts, self._chunks
        first = 0 if self.anchored or not starts else starts[0]
        gaps: list[tuple[int, int]] = []
        pieces: list[Piece] = []
        body: bytes | bytearray = b""
        if len(starts) == 1 and starts[0] == first:  # most of what devices say comes in one segment
            body, ts, frames = chunks[0]
            pieces.append(Piece(0, len(body), ts, frames))
        elif starts:
            body = bytearray()
            for start, (payload, ts, frames) in zip(starts, chunks, strict=True):
                at = start - first
                if at > len(body):
                    gaps.append((len(body), at))
                    body += bytes(at - len(body))
                body += payload
                pieces.append(Piece(at, at + len(payload), ts, frames))
        # Without a FIN, what the receiver acknowledged tells how far the stream went.
        reach = max(self.lost_tail, (self.acked or 0) if self.end is None else self.end) - first
        if len(body) < reach <= len(body) + self._limits.stream_bytes:
            gaps.append((len(body), reach))
        return Assembled(
            bytes(body), tuple(gaps), tuple(pieces), self.anchored, self.end is not None, self.conflicts
        )
