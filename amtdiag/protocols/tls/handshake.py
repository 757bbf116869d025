"""Handshake messages from the records of one side: across records, several in one, and what of them is lost.

A message whose header is known tells where the next one begins, so that a gap inside it costs this message
only. Behind a gap that holds a header, messages count only where each leads to the next, to the last byte of
what the side said in the clear, comes in the order in which that side sends them, in its form.
"""

from bisect import bisect_right
from typing import NamedTuple

from amtdiag.protocols.tls.constants import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_STATUS,
    CERTIFICATE_VERIFY,
    CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE,
    HANDSHAKE,
    MESSAGES,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    SERVER_KEY_EXCHANGE,
    SESSION_TICKET,
    SSLV2_HELLO,
)
from amtdiag.protocols.tls.messages import fits
from amtdiag.protocols.tls.records import Record, Records
from amtdiag.reassembly.stream import Assembled

HEADER = 4
MAX_LENGTH = 1 << 17
"""Of a message; more than amtdiag keeps of one direction."""
MAX_MESSAGES = 64

ORDER = (
    CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, CERTIFICATE_STATUS, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST,
    SERVER_HELLO_DONE, CLIENT_KEY_EXCHANGE, CERTIFICATE_VERIFY, SESSION_TICKET,
)  # fmt: skip
"""The order of messages in the clear up to TLS 1.2 (RFC 5246, 7.3); each side sends its own among them."""
_BY_CLIENT = frozenset({CERTIFICATE, CLIENT_KEY_EXCHANGE, CERTIFICATE_VERIFY})
_BY_SERVER = frozenset(
    {
        CERTIFICATE, CERTIFICATE_STATUS, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE,
        SESSION_TICKET,
    }
)  # fmt: skip
"""What may stand behind a gap. A hello may not: it comes first."""
_RANK = {kind: at for at, kind in enumerate(ORDER)}


class Raw(NamedTuple):
    """A message that is there as a whole."""

    kind: int
    body: bytes
    start: int
    """Where it begins in the stream's bytes."""
    end: int
    old_format: bool = False
    """Of a ClientHello: that of SSL 2.0."""


class Lost(NamedTuple):
    """Bytes of the handshake that are not there."""

    kind: int | None
    """Of the message they belong to; None where its header is missing too."""
    body: bytes
    """The beginning of its body, up to the first missing byte."""
    start: int
    """Where the message, or what is missing, begins in the stream's bytes."""
    end: int
    bytes: int
    """How many are missing of the message; of the stream, where the message's length is not known."""


class ClearHandshake(NamedTuple):
    """What one side sends in the clear."""

    parts: tuple[Raw | Lost, ...]
    note: str | None
    """Why the reading stopped before the end."""


def read(stream: Assembled, found: Records, until: int, *, from_client: bool) -> ClearHandshake:
    """Return the messages in the records before index `until`."""
    reader = _HandshakeReader(stream, found, until, _BY_CLIENT if from_client else _BY_SERVER)
    reader.run()
    return ClearHandshake(tuple(reader.parts), reader.note)


class _HandshakeReader:
    """The bodies of one side's handshake records as one text, with its holes, and the place in it."""

    def __init__(self, stream: Assembled, found: Records, until: int, expected: frozenset[int]) -> None:
        self.stream, self.expected = stream, expected
        self.parts: list[Raw | Lost] = []
        self.note: str | None = None
        self.starts: list[int] = []
        """Where each record's body begins in the text,"""
        self.places: list[int] = []
        """and in the stream."""
        self.cuts: list[tuple[int, int, int]] = []
        """Places in the text where an unknown number of bytes is missing, with their extent in the stream."""
        self.cut_short = 0
        """Bytes that the last record promises behind the end of the stream."""
        self.closed = until < len(found.records)
        """The side changed to encryption where the text ends."""
        holes: list[tuple[int, int]] = []
        self.text = self._joined(found, until, holes)
        self.joined = Assembled(self.text, tuple(holes))

    def _joined(self, found: Records, until: int, holes: list[tuple[int, int]]) -> bytes:
        chunks: list[bytes] = []
        size = 0
        breaks = iter(found.breaks)
        gap = next(breaks, None)
        for index, record in enumerate(found.records[:until]):
            while gap is not None and gap.before <= index:
                self.cuts.append((size, gap.start, gap.end))
                gap = next(breaks, None)
            if record.kind == HANDSHAKE:
                chunk = self.stream.data[record.start : record.end]
                self.starts.append(size)
                self.places.append(record.start)
                shift = size - record.start
                missing = self.stream.gaps_in(record.start, record.start + len(chunk))
                holes += [(start + shift, end + shift) for start, end in missing]
                chunks.append(chunk)
                size += len(chunk)
                self.cut_short = record.end - record.start - len(chunk)
            elif record.kind == SSLV2_HELLO:
                self._sslv2(record)
        if until >= len(found.records):
            while gap is not None:
                self.cuts.append((size, gap.start, gap.end))
                gap = next(breaks, None)
        elif gap is not None and gap.before == until:
            self.cuts.append((size, gap.start, gap.end))
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _sslv2(self, record: Record) -> None:
        missing = max(record.end - len(self.stream.data), 0) + self.stream.missing(
            record.start, len(self.stream.data)
        )
        body = self.stream.data[record.start + 1 : record.end]
        if not missing:
            self.parts.append(Raw(CLIENT_HELLO, body, 0, record.end, old_format=True))
        else:
            self.parts.append(Lost(CLIENT_HELLO, b"", 0, record.end, missing))

    # ---------------------------------------------------------------------------- the messages

    def run(self) -> None:
        """Read from the beginning to the end, or to where nothing is proven."""
        at: int | None = 0
        for cut, start, end in self.cuts:
            self._section(at, cut, (start, end))
            if self.note is not None:
                return
            at = self._resume(cut)
        if at is not None:
            self._section(at, len(self.text), None)

    def _section(self, at: int | None, stop: int, following: tuple[int, int] | None) -> None:
        """Read what lies before a cut, or before the end. `following` is the stream's extent of the cut."""
        while at is not None and at < stop:
            if len(self.parts) >= MAX_MESSAGES:
                self.note = f"more than {MAX_MESSAGES} handshake messages"
                return
            if self.joined.gaps_in(at, min(at + HEADER, stop)):
                start, end = self.joined.gaps_in(at, stop)[0]
                self._lose(self.text[at] if start > at else None, at, end, end - start)
                at = None if following else self._resume(end)
                continue
            if at + HEADER > stop:
                self._unfinished(at, stop, None, following)
                return
            kind, length = self.text[at], int.from_bytes(self.text[at + 1 : at + HEADER])
            end = at + HEADER + length
            if kind not in MESSAGES or length > MAX_LENGTH:
                self.note = f"no handshake message that can be read at offset {self._place(at):,}"
                return
            if end > stop:
                self._unfinished(at, stop, end, following)
                return
            holes = self.joined.gaps_in(at, end)
            if holes:
                known = self.text[at + HEADER : holes[0][0]]
                self._lose(kind, at, end, sum(b - a for a, b in holes), known)
            elif kind == CERTIFICATE and is_blanked(self.text, at + HEADER, end):
                self._lose(kind, at, end, length)
            else:
                body = self.text[at + HEADER : end]
                self.parts.append(Raw(kind, body, self._place(at), self._place(end - 1) + 1))
            at = end
        if following is not None:
            start, end = following
            missing = self.stream.missing(start, end)
            self.parts.append(Lost(None, b"", start, end, missing))

    def _unfinished(self, at: int, stop: int, end: int | None, following: tuple[int, int] | None) -> None:
        """Note a message that goes on behind `stop`; `end` is where, if its length is known."""
        if self.closed and following is None:
            self.note = f"a handshake message is not finished at offset {self._place(at):,}"
            return
        holes = self.joined.gaps_in(at, stop)
        known = self.text[at + HEADER : holes[0][0] if holes else stop]
        gap = self.stream.missing(*following) if following else 0
        in_stream = sum(b - a for a, b in holes) + gap + self.cut_short * (stop == len(self.text))
        in_message = sum(b - a for a, b in holes) + (at + HEADER if end is None else end) - stop
        missing = in_message if not gap or (end is not None and in_message < in_stream) else in_stream
        place = following[1] if following else len(self.stream.data)
        self.parts.append(Lost(self.text[at], known, self._place(at), place, missing))

    def _lose(self, kind: int | None, at: int, end: int, missing: int, body: bytes = b"") -> None:
        place = self._place(end - 1) + 1
        self.parts.append(Lost(kind, body, self._place(at), place, missing))

    def _place(self, at: int) -> int:
        """Return where a byte of the text lies in the stream."""
        index = bisect_right(self.starts, at) - 1
        return self.places[index] + at - self.starts[index]

    def _resume(self, since: int) -> int | None:
        """Return the first place from which messages in their order lead to the end of the text."""
        if self.cut_short or any(cut > since for cut, _, _ in self.cuts):
            return None
        rank = max((_RANK.get(part.kind or 0, -1) for part in self.parts), default=-1)
        for at in range(since, len(self.text) - HEADER + 1):
            if self.text[at] in self.expected and self._leads_to_the_end(at, rank):
                return at
        return None

    def _leads_to_the_end(self, at: int, rank: int) -> bool:
        """True for messages that follow each other to the last byte. As their ranks rise, they are few."""
        text, size, found = self.text, len(self.text), []
        while at < size:
            kind = text[at]
            end = at + HEADER + int.from_bytes(text[at + 1 : at + HEADER])
            if kind not in self.expected or _RANK[kind] <= rank or at + HEADER > size or end > size:
                return False
            found.append((kind, at + HEADER, end))
            at, rank = end, _RANK[kind]
        return all(
            not self.joined.gaps_in(start - HEADER, end) and fits(kind, text[start:end])
            for kind, start, end in found
        )


def is_blanked(text: bytes, start: int, end: int) -> bool:
    """True for a Certificate message whose certificates are all zero, as `amtdiag redact` leaves them.

    They are taken for bytes that were not captured: nothing can be said of them.
    """
    at = start + 3
    while at + 3 <= end:
        length = int.from_bytes(text[at : at + 3])
        if text.count(0, at + 3, min(at + 3 + length, end)) < length:
            return False
        at += 3 + length
    return at > start + 3


def rank(kind: int, *, from_client: bool) -> int:
    """Return the place of a message in the order of a handshake."""
    if from_client and kind == CERTIFICATE:
        return _RANK[CLIENT_KEY_EXCHANGE]
    return _RANK.get(kind, -1)
