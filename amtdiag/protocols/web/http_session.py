"""An HTTP conversation with a device: requests and answers paired, and what each says. Never raises.

Answers come in the order of the requests (RFC 9112, section 9.3), so where both sides are known from their
first byte the first answer belongs to the first request, and so on up to the first message of either side
that cannot be told. Elsewhere only an answer that says itself what it relates to is paired; the rest stand
alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from amtdiag.config import Limits
from amtdiag.model.web import Denial, Exchange, HttpConversation, WebCall, WebResult
from amtdiag.protocols.amt_server_banner import amt_web_server
from amtdiag.protocols.web import credentials, soap, tables
from amtdiag.protocols.web.gappy_stream import EvidenceOf, GappyStream
from amtdiag.protocols.web.http_messages import HttpMessage, HttpMessages, answers, requests
from amtdiag.protocols.web.nonces import Nonces
from amtdiag.reassembly.stream import Assembled
from amtdiag.safetext import safe

MOST_EXCHANGES = 256
"""Kept of one connection; the others are counted."""
_LONGEST_XML = 1 << 18
_VERSION = re.compile(rb"Intel\(R\) Active Management Technology[ \t]+([\d.]{1,24})")
_BEGINS = re.compile(rb"(?:GET|POST|HEAD|OPTIONS|PUT) [/*h]")
_NEXT_NONCE = re.compile(rb'nextnonce[ \t]*=[ \t]*"([^"]{1,512})"', re.I)
_UNAUTHORIZED = 401
_FULL = Limits().stream_bytes
"""A stream of this length was cut by the reader itself: what comes behind it is not known."""


class _Part(NamedTuple):
    """A message and its envelope."""

    message: HttpMessage
    envelope: soap.Envelope | None
    problem: str | None


def read_web(
    client: Assembled,
    server: Assembled,
    evidence: EvidenceOf,
    nonces: Nonces | None = None,
    room: int = MOST_EXCHANGES,
) -> HttpConversation | None:
    """Return what both sides of a connection show; None where neither speaks HTTP.

    `nonces` are those of the connections that were read before. At most `room` exchanges are kept, and never
    more than `MOST_EXCHANGES`.
    """
    nonces = Nonces() if nonces is None else nonces
    nonces.begin()
    most = min(room, MOST_EXCHANGES)
    asked, told = GappyStream(client), GappyStream(server)
    sent = requests(asked)
    heard = answers(told, [one.method for one in sent.messages] if client.anchored else [])
    first = amt_web_server(server.data[: told.first_gap()])
    if not sent.messages and not heard.messages and first is None:
        begun = _BEGINS.match(client.data) or server.data.startswith(b"HTTP/1.")
        return (
            HttpConversation(
                None, (), (*_unknown("client", asked, sent), *_unknown("server", told, heard)), 0
            )
            if begun
            else None
        )
    pairs = list(_pairs(sent, heard, aligned=client.anchored and server.anchored))
    complete = _complete(asked, sent), _complete(told, heard)
    exchanges = [
        _exchange(request, answer, views=(asked, told), complete=complete, nonces=nonces, evidence=evidence)
        for request, answer in pairs[:most]
    ]
    return HttpConversation(
        server=first,
        exchanges=tuple(exchanges),
        missing=(*_unknown("client", asked, sent), *_unknown("server", told, heard)),
        dropped=max(len(pairs) - most, 0),
    )


# ------------------------------------------------------------------------------------------------ both sides


def _complete(view: GappyStream, side: HttpMessages) -> bool:
    """True where the side said nothing but what was read."""
    stream = view.stream
    return (
        stream.anchored
        and stream.ended
        and not stream.gaps
        and side.stopped is None
        and len(view.data) < _FULL
    )


def _unknown(name: str, view: GappyStream, side: HttpMessages) -> Iterator[str]:
    """What is not known of a side's bytes."""
    stream = view.stream
    if not stream.anchored:
        yield f"{name}: the beginning"
    if side.stopped is not None:
        yield f"{name}: from byte {side.stopped} on"
    elif stream.gaps:
        yield f"{name}: {sum(end - start for start, end in stream.gaps)} bytes"
    elif not stream.ended or len(view.data) >= _FULL:
        yield f"{name}: the end"


def _pairs(
    sent: HttpMessages, heard: HttpMessages, *, aligned: bool
) -> Iterator[tuple[_Part | None, _Part | None]]:
    asked, told = [_part(one) for one in sent.messages], [_part(one) for one in heard.messages]
    if aligned:
        for index in range(max(len(asked), len(told))):
            request = asked[index] if index < len(asked) else None
            answer = told[index] if index < len(told) else None
            if request and answer and _differ(request, answer):
                yield request, None
                yield None, answer
            else:
                yield request, answer
        return
    by_id: dict[str, list[_Part]] = {}
    for answer in told:
        by_id.setdefault((answer.envelope and answer.envelope.relates_to) or "", []).append(answer)
    taken: set[int] = set()
    for request in asked:
        fitting = by_id.get((request.envelope and request.envelope.message_id) or "none", [])
        alone = len(fitting) == 1 and sum(_id(one) == _id(request) for one in asked) == 1
        if alone:
            taken.add(fitting[0].message.begin)
        yield request, fitting[0] if alone else None
    for answer in told:
        if answer.message.begin not in taken:
            yield None, answer


def _id(part: _Part) -> str | None:
    return part.envelope.message_id if part.envelope else None


def _differ(request: _Part, answer: _Part) -> bool:
    """True where an answer says that it belongs to another request."""
    relates = answer.envelope.relates_to if answer.envelope else None
    own = _id(request)
    return relates is not None and own is not None and relates != own


def _part(message: HttpMessage) -> _Part:
    body = message.body
    if not body or not soap.looks_like_xml(body, message.field(b"content-type")):
        return _Part(message, None, None)
    if message.field(b"content-encoding").lower() not in (b"", b"identity"):
        return _Part(message, None, "a compressed body is not read")
    if len(body) > _LONGEST_XML:
        return _Part(message, None, "XML too long is refused")
    found = soap.read(body)
    return _Part(message, None, found) if isinstance(found, str) else _Part(message, found, None)


# ---------------------------------------------------------------------------------------------- one exchange


def _exchange(
    request: _Part | None,
    answer: _Part | None,
    *,
    views: tuple[GappyStream, GappyStream],
    complete: tuple[bool, bool],
    nonces: Nonces,
    evidence: EvidenceOf,
) -> Exchange:
    ask, reply = request and request.message, answer and answer.message
    pieces = [
        list(view.pieces(message.begin, message.end)) if message else []
        for view, message in zip(views, (ask, reply), strict=True)
    ]
    sent = credentials.sent(ask.field(b"authorization")) if ask else None
    asked = None
    if reply and reply.status == _UNAUTHORIZED:
        asked = credentials.asked(reply.fields.get(b"www-authenticate", ()))
    times = [min((piece.ts for piece in some), default=None) for some in pieces]
    ts = next((time for time in times if time is not None), 0)
    denial: Denial | None = nonces.judge(sent, asked, ts) if ask else ("open" if asked else None)
    if reply:
        nonces.give(_given(asked, reply), times[1] or ts)
    version = _VERSION.fullmatch(reply.field(b"server")) if reply else None
    kind = reply.field(b"content-type").partition(b";")[0].strip() if reply else b""
    return Exchange(
        ts=ts,
        answered=times[1],
        evidence=evidence([*pieces[0], *pieces[1]]),
        method=safe(ask.method) if ask else None,
        path=_path(ask.target) if ask else None,
        auth=sent.scheme if sent else None,
        user=sent.user if sent else None,
        digest_short=sent.short if sent else None,
        status=reply.status if reply else None,
        server_version=version[1].decode("ascii").strip(".") or None if version else None,
        content_type=safe(kind, 64) if kind else None,
        offered=asked.schemes if asked else (),
        realm=asked.realm if asked else None,
        denial=denial,
        call=_call(request, answer),
        result=_result(answer),
        missing=tuple(_missing(ask, reply, complete)),
        problems=tuple(part.problem for part in (request, answer) if part and part.problem),
    )


def _given(asked: credentials.Asked | None, reply: HttpMessage) -> bytes:
    """A nonce that an answer hands out."""
    if asked is not None:
        return asked.nonce
    following = _NEXT_NONCE.search(reply.field(b"authentication-info"))
    return following[1] if following else b""


def _missing(
    ask: HttpMessage | None, reply: HttpMessage | None, complete: tuple[bool, bool]
) -> Iterator[str]:
    if ask is None and not complete[0]:
        yield "request"
    if ask is not None and ask.body is None:
        yield "request body"
    if reply is None and not complete[1]:
        yield "answer"
    if reply is not None and reply.body is None:
        yield "answer body"


def _path(target: bytes) -> str:
    """The path alone: an address may carry a password before it, a query or parameters behind it."""
    if not target.startswith(b"/"):
        _, scheme, rest = target.partition(b"://")
        target = b"/" + rest.partition(b"/")[2] if scheme else b""
    return safe(re.split(rb"[?;#]", target, maxsplit=1)[0], 128)


def _call(request: _Part | None, answer: _Part | None) -> WebCall | None:
    """What was called: by the request, or where its body was not seen by what the answer says."""
    own = request.envelope if request else None
    envelope = own or (answer.envelope if answer else None)
    if envelope is None or envelope.protocol is None or (own is None and envelope.method is None):
        return None  # a fault does not say what was called
    action = envelope.action
    if own is None and action is not None:
        action = action.removesuffix("Response")
    return WebCall(
        protocol=envelope.protocol,
        service=envelope.service,
        method=envelope.method,
        action=action,
        resource=envelope.resource,
        selectors=own.selectors if own else None,
        changes=tables.changes(envelope.service, envelope.method),
    )


def _result(answer: _Part | None) -> WebResult | None:
    envelope = answer.envelope if answer else None
    if envelope is None:
        return None
    status = tables.status(envelope.service, envelope.method, envelope.return_value)
    return WebResult(
        return_value=envelope.return_value,
        name=status.name if status else None,
        meaning=status.meaning if status else None,
        fault=envelope.fault,
        subcode=envelope.subcode,
        reason=envelope.reason,
    )
