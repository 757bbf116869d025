"""HTTP/1.1 messages of one side of a connection, with their places in the stream.

Source: RFC 9112. A live endpoint's library is no help with a recorded stream: it keeps no offsets, which the
frame numbers need, it takes one side's bytes only in step with the other side's, and it knows of no bytes
that are missing. Here a hole inside a body whose length is known costs that body alone, because where the
next message begins is then certain; a hole anywhere else ends the reading, because nothing after it is.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from amtdiag.protocols.protocol import Field
from amtdiag.reassembly.stream import Assembled

MAX_MESSAGES = 512
"""Read of one side; of the rest nothing is known."""
_MAX_HEAD = 16_384
_MAX_FIELDS = 100
_MAX_CHUNK_LINE = 256
_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,24}) ([\x21-\x7e\x80-\xff]{1,8192}) HTTP/1\.[01]")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: [^\x00\r\n]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}):([^\x00\r\n]*)")
_FOLD = re.compile(rb"\r\n[ \t]+")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\x00\r\n]*)?")
_DIGITS = re.compile(rb"\d{1,10}")
_CONTINUE, _SWITCHED, _NO_CONTENT, _NOT_MODIFIED = 100, 101, 204, 304


class HttpMessage(NamedTuple):
    """A request or an answer whose head is whole."""

    begin: int
    end: int
    """Offset behind it; behind the data where its end is not there."""
    method: bytes
    """Empty for an answer."""
    target: bytes
    status: int
    """0 for a request."""
    fields: dict[bytes, list[bytes]]
    """Values by name in lower case."""
    body: bytes | None
    """None where not all of it is there."""

    def field(self, name: bytes) -> bytes:
        """Return the first value of a field; empty where it has none."""
        values = self.fields.get(name)
        return values[0] if values else b""


FIELDS = {
    HttpMessage: (
        Field("begin", "number", "offset in the stream"),
        Field("end", "number", "offset in the stream"),
        Field("method", "word", "request line (RFC 9112, 3)"),
        Field("target", "secret", "request line (RFC 9112, 3): its query may hold passwords"),
        Field("status", "number", "status line (RFC 9112, 4)"),
        Field("fields", "secret", "field lines (RFC 9112, 5): credentials among them"),
        Field("body", "secret", "message body (RFC 9112, 6)"),
    )
}


class HttpMessages(NamedTuple):
    """The messages of one side, up to where they could be told apart."""

    messages: tuple[HttpMessage, ...]
    stopped: int | None
    """Offset from which nothing could be read; None where the reading came to the end of the data."""


class _Body(NamedTuple):
    end: int
    content: bytes | None
    last: bool
    """No message can be told after it."""


def requests(view: Assembled) -> HttpMessages:
    """Return a client's requests. Never raises."""
    found: list[HttpMessage] = []
    at = 0
    while (at := _skip_empty(view, at)) < len(view.data) and len(found) < MAX_MESSAGES:
        head = _head(view, at)
        line = head and _REQUEST.fullmatch(head.line)
        if not head or not line:
            return HttpMessages(tuple(found), at)
        body = _body(view, head)
        if body is None:
            return HttpMessages(tuple(found), at)
        method = line[1]
        found.append(HttpMessage(at, body.end, method, line[2], 0, head.fields, body.content))
        at = body.end
        if body.last or method == b"CONNECT":
            return HttpMessages(tuple(found), _stopped(view, head.end if body.content is None else at))
    return HttpMessages(tuple(found), _stopped(view, at))


def answers(view: Assembled, methods: Sequence[bytes]) -> HttpMessages:
    """Return a server's answers, `100 Continue` and its like left out. Never raises.

    `methods` are those of the requests, as far as they are known: an answer to HEAD has no body.
    """
    found: list[HttpMessage] = []
    at = 0
    while (at := _skip_empty(view, at)) < len(view.data) and len(found) < MAX_MESSAGES:
        head = _head(view, at)
        line = head and _STATUS.fullmatch(head.line)
        if not head or not line:
            return HttpMessages(tuple(found), at)
        status = int(line[1])
        if _CONTINUE <= status < 200 and status != _SWITCHED:
            at = head.end
            continue
        method = methods[len(found)] if len(found) < len(methods) else b""
        body = _answer_body(view, head, status, method)
        if body is None:
            return HttpMessages(tuple(found), at)
        found.append(HttpMessage(at, body.end, b"", b"", status, head.fields, body.content))
        at = body.end
        if body.last:
            return HttpMessages(tuple(found), _stopped(view, head.end if body.content is None else at))
    return HttpMessages(tuple(found), _stopped(view, at))


def _stopped(view: Assembled, at: int) -> int | None:
    """Where the reading stopped, if not at the very end of the data."""
    return None if at == len(view.data) else min(at, len(view.data))


class _Head(NamedTuple):
    line: bytes
    fields: dict[bytes, list[bytes]]
    end: int


def _skip_empty(view: Assembled, at: int) -> int:
    while view.data.startswith(b"\r\n", at):
        at += 2
    return at


def _head(view: Assembled, at: int) -> _Head | None:
    """The head that begins at an offset; None where it is not whole or none at all."""
    end = view.data.find(b"\r\n\r\n", at, at + _MAX_HEAD)
    if end < 0 or not view.has(at, end + 4):
        return None
    line, _, rest = view.data[at:end].partition(b"\r\n")
    fields: dict[bytes, list[bytes]] = {}
    lines = _FOLD.sub(b" ", rest).split(b"\r\n") if rest else []
    if len(lines) > _MAX_FIELDS:
        return None
    for line_of_field in lines:
        field = _FIELD.fullmatch(line_of_field)
        if field is None:
            return None
        fields.setdefault(field[1].lower(), []).append(field[2].strip(b" \t"))
    return _Head(line, fields, end + 4)


def _body(view: Assembled, head: _Head, without: int | None = 0) -> _Body | None:
    """The body that a head announces, `without` bytes where it does not; None where that cannot be told."""
    coding = b",".join(head.fields.get(b"transfer-encoding", ())).lower().replace(b" ", b"")
    if coding == b"chunked":
        return _chunked(view, head.end)
    lengths = set(head.fields.get(b"content-length", ()))
    if coding or len(lengths) > 1:
        return None
    length = without
    if lengths:
        stated = lengths.pop()
        if not _DIGITS.fullmatch(stated):
            return None
        length = int(stated)
    if length is None:
        ends = view.ended and view.has(head.end, len(view.data)) and not view.gaps
        return _Body(len(view.data), view.data[head.end :] if ends else None, last=True)
    end = head.end + length
    return _Body(end, view.data[head.end : end] if view.has(head.end, end) else None, last=False)


def _answer_body(view: Assembled, head: _Head, status: int, method: bytes) -> _Body | None:
    if status == _SWITCHED or (method == b"CONNECT" and 200 <= status < 300):
        return _Body(head.end, b"", last=True)
    if method == b"HEAD" or status in (_NO_CONTENT, _NOT_MODIFIED):
        return _Body(head.end, b"", last=False)
    if not method and view.data.startswith(b"HTTP/1.", head.end):
        # The answer to a HEAD that was not seen, or to something else: where it ends cannot be told.
        return _Body(head.end, None, last=True)
    return _body(view, head, without=None)


def _chunked(view: Assembled, at: int) -> _Body | None:
    """A body in chunks: its frame must be whole, its content may have holes."""
    data = view.data
    parts: list[bytes] = []
    whole = True
    while True:
        line_end = data.find(b"\r\n", at, at + _MAX_CHUNK_LINE)
        if line_end < 0 or not view.has(at, line_end + 2):
            return _Body(len(data), None, last=True)
        size = _SIZE.fullmatch(data[at:line_end])
        if size is None:
            return None
        at, length = line_end + 2, int(size[1], 16)
        if length == 0:
            break
        if at + length + 2 > len(data) or not view.has(at + length, at + length + 2):
            return _Body(len(data), None, last=True)
        if data[at + length : at + length + 2] != b"\r\n":
            return None
        whole = whole and view.has(at, at + length)
        parts.append(data[at : at + length])
        at += length + 2
    end = at + 2 if data.startswith(b"\r\n", at) else data.find(b"\r\n\r\n", at, at + _MAX_HEAD) + 4
    if end < at or not view.has(at, end):
        return _Body(len(data), None, last=True)
    return _Body(end, b"".join(parts) if whole else None, last=False)
