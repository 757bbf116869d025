"""One direction of a conversation: its records, its messages, and the frames they came in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amtdiag.model.evidence import Evidence
from amtdiag.model.tls import TlsSide
from amtdiag.protocols.tls import handshake, records
from amtdiag.protocols.tls.constants import APPLICATION, CHANGE_CIPHER
from amtdiag.protocols.tls.handshake import Lost, Raw
from amtdiag.protocols.tls.records import HEADER, Record
from amtdiag.reassembly.stream import Assembled, Piece, evidence_of

_MAX_FRAMES = 16
"""Frames kept of a fact."""


class EndpointStream:
    """One direction: its records, its messages, and where in the capture they are."""

    def __init__(self, who: TlsSide, stream: Assembled, files: Sequence[str]) -> None:
        self.who, self.stream, self._files = who, stream, files
        self.found = records.read(stream) if stream.anchored else None
        self.records = self.found.records if self.found else ()
        self.parts: tuple[Raw | Lost, ...] = ()
        self.note: str | None = None
        self.change = next(
            (at for at, record in enumerate(self.records) if is_change(record)), len(self.records)
        )
        """Index of the record that says that the rest is encrypted; the number of records without it."""

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
                self.parts = (Lost(None, b"", 0, reach, self.stream.missing(0, reach)),)
            return
        read = handshake.read(self.stream, self.found, until, from_client=self.who == "client")
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
        piece = self.stream.piece_at(end - 1)
        return piece.ts if piece is not None else 0

    def evidence(self, start: int, end: int) -> tuple[Evidence, ...]:
        """Return the frames of the bytes from `start` to `end`."""
        return self._evidence(*self.stream.pieces_in(start, end, _MAX_FRAMES))[:_MAX_FRAMES]

    def _evidence(self, *pieces: Piece | None) -> tuple[Evidence, ...]:
        return evidence_of([piece.frames for piece in pieces if piece], self._files, as_sent=True)

    def around(self, lost: Lost) -> tuple[Evidence | None, Evidence | None]:
        """Return the frames before and behind the first missing byte of a part."""
        gaps = self.stream.gaps_in(lost.start, max(lost.end, lost.start + 1))
        before = self._evidence(self.stream.piece_at((gaps[0][0] if gaps else len(self.stream.data)) - 1))
        # The gap may be cut to the part: the piece behind it begins where the whole gap ends.
        after = self._evidence(self.stream.piece_from(gaps[0][1])) if gaps else ()
        return before[-1] if before else None, after[0] if after else None


def is_change(record: Record) -> bool:
    """True for a ChangeCipherSpec; an encrypted one, of a renegotiation, is longer."""
    return record.kind == CHANGE_CIPHER and record.end - record.start == 1
