"""One direction of a conversation: its records, its messages, and the frames they came in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from amtdiag.model.evidence import Evidence
from amtdiag.model.tls import TlsSide
from amtdiag.protocols.tls import handshake, records
from amtdiag.protocols.tls.constants import APPLICATION, CHANGE_CIPHER
from amtdiag.protocols.tls.handshake import Lost, Raw
from amtdiag.protocols.tls.records import HEADER, Gaps, Record
from amtdiag.reassembly.stream import Assembled

_MAX_FRAMES = 16
"""Frames kept of a fact."""


class EndpointStream:
    """One direction: its records, its messages, and where in the capture they are."""

    def __init__(self, who: TlsSide, stream: Assembled, files: Sequence[str]) -> None:
        self.who, self.stream, self._files = who, stream, files
        self.gaps = Gaps(stream.gaps)
        self.found = records.read(stream, self.gaps) if stream.anchored else None
        self.records = self.found.records if self.found else ()
        self.parts: tuple[Raw | Lost, ...] = ()
        self.note: str | None = None
        self.change = next(
            (at for at, record in enumerate(self.records) if is_change(record)), len(self.records)
        )
        """Index of the record that says that the rest is encrypted; the number of records without it."""
        self._starts = [piece.start for piece in stream.pieces]

    @property
    def is_whole(self) -> bool:
        """True where every byte is there, from the first to the last that is known of."""
        return self.stream.anchored and not self.stream.gaps

    @property
    def has_changed(self) -> bool:
        """A ChangeCipherSpec is there; TLS 1.3 sends one that means nothing."""
        return self.change < len(self.records)

    @property
    def has_data(self) -> bool:
        """Application data was sent."""
        return any(record.kind == APPLICATION for record in self.records)

    def read(self, until: int) -> None:
        """Read the messages in the records before index `until`."""
        gaps = self.stream.gaps
        if self.found is None:
            # The other side proves that this is TLS.
            if self.stream.anchored and gaps and gaps[0][0] < HEADER:
                reach = gaps[-1][1]
                self.parts = (Lost(None, b"", 0, reach, self.gaps.missing(0, reach)),)
            return
        read = handshake.read(
            self.stream.data, self.gaps, self.found, until, from_client=self.who == "client"
        )
        self.parts = read.parts
        self.note = read.note

    def raw(self) -> Iterator[Raw]:
        """Yield the messages that are there as a whole."""
        return (part for part in self.parts if isinstance(part, Raw))

    def of(self, kind: int) -> Raw | None:
        """Return the first message of a kind."""
        return next((part for part in self.raw() if part.kind == kind), None)

    def time(self, end: int) -> int:
        """Return when the byte before `end` came."""
        at = bisect_right(self._starts, end - 1) - 1
        return self.stream.pieces[at].ts if at >= 0 else 0

    def evidence(self, start: int, end: int) -> tuple[Evidence, ...]:
        """Return the frames of the bytes from `start` to `end`."""
        at = max(bisect_right(self._starts, start) - 1, 0)
        found: dict[Evidence, None] = {}
        for piece in self.stream.pieces[at : at + _MAX_FRAMES]:
            if piece.start >= end:
                break
            if piece.end > start:
                found.update(dict.fromkeys(self._named(piece.frames)))
        return tuple(found)[:_MAX_FRAMES]

    def _named(self, frames: tuple[int, tuple[int, ...]]) -> Iterator[Evidence]:
        file, numbers = frames
        if file < len(self._files):
            yield from (Evidence(self._files[file], number) for number in numbers)

    def around(self, lost: Lost) -> tuple[Evidence | None, Evidence | None]:
        """Return the frames before and behind the first missing byte of a part."""
        gap = next(iter(self.gaps.within(lost.start, max(lost.end, lost.start + 1))), None)
        start, end = gap if gap is not None else (len(self.stream.data), len(self.stream.data))
        before = after = None
        at = bisect_right(self._starts, start - 1) - 1
        if at >= 0:
            before = next(reversed(list(self._named(self.stream.pieces[at].frames))), None)
        # The gap may be cut to the part: the piece behind it begins where the whole gap ends.
        at = bisect_right(self._starts, end - 1)
        if gap is not None and at < len(self._starts):
            after = next(self._named(self.stream.pieces[at].frames), None)
        return before, after


def is_change(record: Record) -> bool:
    """True for a ChangeCipherSpec; an encrypted one, of a renegotiation, is longer."""
    return record.kind == CHANGE_CIPHER and record.end - record.start == 1
