"""One direction of a TCP connection: segments in any order, bytes and gaps out."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter, itemgetter
from typing import NamedTuple

from amtdiag.config import Limits
from amtdiag.model.evidence import Evidence

WRAP = 1 << 32
_HALF = 1 << 31
_CHUNK_COSTS = 256
"""Bytes that Python takes for a chunk besides its payload."""

Frames = tuple[int, tuple[int, ...]]
"""File index and frame numbers that a piece came in."""
Gap = tuple[int, int]
"""Offsets of the first missing byte, and of the first byte behind it."""
MAX_PIECES = 8
"""Pieces of one message whose frames are named."""
_GAP_END = itemgetter(1)
_PIECE_START = attrgetter("start")


def distance(a: int, b: int) -> int:
    """Return the signed distance from sequence number `b` to `a`, across the wrap."""
    d = (a - b) % WRAP
    return d - WRAP if d >= _HALF else d


class Piece(NamedTuple):
    """A stretch of a stream that came at one time."""

    start: int
    """Offset of its first byte in the stream,"""
    end: int
    """and of the first byte behind it."""
    ts: int
    """Nanoseconds since 1970."""
    frames: Frames


class Assembled(NamedTuple):
    """The bytes of a stream as far as they were captured, from its first known byte, and what is missing."""

    data: bytes
    """Zero where bytes are missing."""
    gaps: tuple[Gap, ...] = ()
    """What is missing, in order and apart from each other; the last may lie behind `data`."""
    pieces: tuple[Piece, ...] = ()
    """What is there, in order."""
    anchored: bool = True
    """`data` begins with the first byte that was sent; else the beginning is unknown."""
    ended: bool = True
    """The sender closed the stream and the place is known."""

    @property
    def reach(self) -> int:
        """How many bytes were sent, as far as that is known."""
        return max(len(self.data), self.gaps[-1][1]) if self.gaps else len(self.data)

    def has(self, start: int, end: int) -> bool:
        """True where all bytes from `start` to `end` are there."""
        if end > len(self.data):
            return False
        if not self.gaps:
            return True
        at = bisect_right(self.gaps, start, key=_GAP_END)
        return at == len(self.gaps) or self.gaps[at][0] >= end

    def gaps_in(self, start: int, end: int) -> list[Gap]:
        """Return the parts of `start` to `end` that are missing."""
        found = []
        for first, stop in self.gaps[bisect_right(self.gaps, start, key=_GAP_END) :] if self.gaps else ():
            if first >= end:
                break
            found.append((max(first, start), min(stop, end)))
        return found

    def missing(self, start: int, end: int) -> int:
        """Return how many bytes from `start` to `end` are missing."""
        return sum(stop - first for first, stop in self.gaps_in(start, end))

    def first_gap(self) -> int:
        """Return where the first missing byte is; the end of the data where none is."""
        return self.gaps[0][0] if self.gaps else len(self.data)

    def pieces_in(self, start: int, end: int, limit: int = MAX_PIECES) -> list[Piece]:
        """Return the first pieces with bytes of a range, `limit` at most."""
        pieces = self.pieces
        first = max(bisect_right(pieces, start, key=_PIECE_START) - 1, 0)
        last = min(bisect_left(pieces, end, key=_PIECE_START), first + limit)
        return [piece for piece in pieces[first:last] if piece.end > start]

    def piece_at(self, offset: int) -> Piece | None:
        """Return the last piece that begins at or before an offset, None where none does."""
        at = bisect_right(self.pieces, offset, key=_PIECE_START)
        return self.pieces[at - 1] if at else None

    def piece_from(self, offset: int) -> Piece | None:
        """Return the first piece that begins at or behind an offset, None where none does."""
        at = bisect_left(self.pieces, offset, key=_PIECE_START)
        return self.pieces[at] if at < len(self.pieces) else None

    def without_first_byte(self) -> "Assembled":
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


EvidenceOf = Callable[[Sequence[Piece]], tuple[Evidence, ...]]
"""Turns pieces of a stream into the frames that they came in."""


def joined(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """Return gaps in order, those that touch or overlap as one, and without empty ones."""
    found: list[Gap] = []
    for start, end in sorted(gap for gap in gaps if gap[1] > gap[0]):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return tuple(found)


def evidence_of(
    frames: Iterable[Frames], files: Sequence[str], *, as_sent: bool = False
) -> tuple[Evidence, ...]:
    """Return frames with the names of their files, each once.

    They are in the order of files and numbers, or with `as_sent` in that in which they are given.
    """
    pairs = {(file, number): None for file, numbers in frames for number in numbers}
    return tuple([Evidence(files[file], number) for file, number in (pairs if as_sent else sorted(pairs))])


class Stream:
    """Bytes of one direction, by offset from its first byte. Where segments overlap, the first wins."""

    __slots__ = (
        "_chunks", "_limits", "_max_bytes", "_starts", "acked", "anchored", "base", "bytes", "end", "keep",
        "lost_tail", "memory",
    )  # fmt: skip

    def __init__(self, limits: Limits, keep: bool, max_bytes: int | None = None) -> None:
        self._limits = limits
        self._max_bytes = limits.stream_bytes if max_bytes is None else min(max_bytes, limits.stream_bytes)
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
        room = max(self._max_bytes - start, 0)
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
            position = min(there_end, end)
            at += 1

    def _count(self, new: int) -> None:
        self.bytes += new
        self.memory += new + _CHUNK_COSTS

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
        return Assembled(bytes(body), tuple(gaps), tuple(pieces), self.anchored, self.end is not None)
