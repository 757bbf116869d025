"""A stream that may have holes, asked for ranges and for the frames that they came in."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import TypeAlias

from amtdiag.model import Evidence
from amtdiag.reassembly.stream import Assembled, Piece

_PIECES = 8
"""Pieces of one message whose frames are named."""

EvidenceOf: TypeAlias = Callable[[Sequence[Piece]], tuple[Evidence, ...]]
"""Turns pieces of a stream into the frames that they came in."""


class GappyStream:
    """One side's bytes."""

    __slots__ = ("_gap_ends", "_gap_starts", "_piece_starts", "data", "stream")

    def __init__(self, stream: Assembled) -> None:
        self.stream = stream
        self.data = stream.data
        self._gap_starts = [start for start, _ in stream.gaps]
        self._gap_ends = [end for _, end in stream.gaps]
        self._piece_starts = [piece.start for piece in stream.pieces]

    def has(self, start: int, end: int) -> bool:
        """True where all bytes from `start` to `end` are there."""
        if end > len(self.data):
            return False
        at = bisect_right(self._gap_ends, start)
        return at == len(self._gap_starts) or self._gap_starts[at] >= end

    def first_gap(self, start: int = 0) -> int:
        """Return where the first missing byte at or after `start` is; the end of the data where none is."""
        at = bisect_right(self._gap_ends, start)
        return len(self.data) if at == len(self._gap_starts) else max(self._gap_starts[at], start)

    def pieces(self, start: int, end: int) -> Sequence[Piece]:
        """Return the first few pieces with bytes of a range."""
        first = max(bisect_right(self._piece_starts, start) - 1, 0)
        last = min(bisect_left(self._piece_starts, end), first + _PIECES)
        return [piece for piece in self.stream.pieces[first:last] if piece.end > start]
