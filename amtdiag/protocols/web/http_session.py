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
from amtdiag.protocols.protocol import EvidenceOf, Field, ReaderContext
from amtdiag.protocols.web import return_values, soap
from amtdiag.protocols.web.credentials import Challenge, read_challenge, read_credentials
from amtdiag.protocols.web.http_messages import HttpMessage, HttpMessages, answers, requests
from amtdiag.protocols.web.nonces import Nonces
from amtdiag.protocols.web.server_banner import amt_web_server
from amtdiag.reassembly.stream import Assembled
from amtdiag.safetext import safe

MAX_EXCHANGES = 256
"""Kept of one connection; the others are counted."""
_MAX_XML = 1 << 18
_VERSION = re.compile(rb"Intel\(R\) Active Management Technology[ \t]+([\d.]{1,24})")
_BEGINS = re.compile(rb"(?:GET|POST|HEAD|OPTIONS|PUT) [/*h]")
_NEXT_NONCE = re.compile(rb'nextnonce[ \t]*=[ \t]*"([^"]{1,512})"', re.I)
_UNAUTHORIZED = 401
_FULL = Limits().stream_bytes
"""A stream of this length was cut by the reader itself: what comes behind it is not known."""


FIELDS = {
    Exchange: (
        Field("answered", "number", "time of the first byte of the answer"),
        Field("method", "word", "request line (RFC 9112, 3)"),
        Field("path", "text", "request line (RFC 9112, 3), without query and parameters"),
        Field("auth", "word", "Authorization: scheme"),
        Field("user", "user", "Authorization: username"),
        Field("digest_short", "flag", "Authorization: length of response"),
        Field("status", "number", "status line (RFC 9112, 4)"),
        Field("server_version", "word", "Server (RFC 9110, 10.2.4)"),
        Field("content_type", "word", "Content-Type (RFC 9110, 8.3)"),
        Field("offered", "word", "WWW-Authenticate: schemes"),
        Field("realm", "text", "WWW-Authenticate: realm"),
        Field("denial", "word", "why a 401 came"),
        Field("call", "word", "SOAP envelope of the request"),
        Field("result", "text", "SOAP envelope of the answer"),
        Field("missing", "word", "parts that were not captured"),
        Field("problems", "word", "why a body was not read"),
    ),
    WebCall: (
        Field("protocol", "word", "namespace of the body, or a WS-Addressing Action"),
        Field("service", "word", "last part of the resource, or namespace of the body"),
        Field("method", "word", "last part of the action, or name of the body"),
        Field("action", "word", "wsa:Action (WS-Addressing)"),
        Field("resource", "word", "wsman:ResourceURI (DSP0226)"),
        Field("selectors", "word", "wsman:Selector: its Name (DSP0226)"),
        Field("changes", "word", "what the call does"),
    ),
    WebResult: (
        Field("return_value", "number", "ReturnValue, or Status of EOI"),
        Field("name", "word", "name of that number"),
        Field("meaning", "word", "what that number means"),
        Field("fault", "word", "Fault: Code/Value (SOAP 1.2) or faultcode (SOAP 1.1)"),
        Field("subcode", "word", "Fault: Code/Subcode/Value (SOAP 1.2)"),
        Field("reason", "text", "Fault: Reason/Text (SOAP 1.2) or faultstring (SOAP 1.1)"),
    ),
}


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
    room: int = MAX_EXCHANGES,
) -> HttpConversation | None:
    """Return what both sides of a connection show; None where neither is HTTP.

    `nonces` are those of the connections that were read before. At most `room` exchanges are kept, and never
    more than `MAX_EXCHANGES`.
    """
    nonces = Nonces() if nonces is None else nonces
    nonces.begin()
    limit = min(room, MAX_EXCHANGES)
    views = client, server
    asked = requests(views[0])
    answered = answers(views[1], [request.method for request in asked.messages] if client.anchored else [])
    first = amt_web_server(server.data[: views[1].first_gap()])
    missing = (*_unknown("client", views[0], asked), *_unknown("server", views[1], answered))
    if not asked.messages and not answered.messages and first is None:
        begins = _BEGINS.match(client.data) or server.data.startswith(b"HTTP/1.")
        return HttpConversation(None, (), missing, 0) if begins else None
    pairs = list(_pairs(asked, answered, aligned=client.anchored and server.anchored))
    complete = _complete(views[0], asked), _complete(views[1], answered)
    exchanges = [
        _exchange(request, answer, views=views, complete=complete, nonces=nonces, evidence=evidence)
        for request, answer in pairs[:limit]
    ]
    return HttpConversation(first, tuple(exchanges), missing, dropped=max(len(pairs) - limit, 0))


class WebReader:
    """Reads the HTTP conversations of one sensor: nonces go from one connection to the next."""

    def __init__(self, context: ReaderContext) -> None:
        """Begin with no nonce known."""
        self._context = context
        self._nonces = Nonces()

    def __call__(self, client: Assembled, server: Assembled) -> dict[str, object]:
        """Return what a conversation fills of a `ConnectionEvent`: of exchanges what there is room for."""
        context = self._context
        conversation = read_web(client, server, context.evidence, self._nonces, context.exchanges)
        if conversation is None:
            return {"talk": None, "web": None}
        context.exchanges -= len(conversation.exchanges)
        context.left_out += conversation.dropped
        return {"talk": conversation, "web": conversation.server}


# ------------------------------------------------------------------------------------------------ both sides


def _complete(view: Assembled, side: HttpMessages) -> bool:
    """True where the side sent nothing but what was read."""
    return view.anchored and view.ended and not view.gaps and side.stopped is None and len(view.data) < _FULL


def _unknown(name: str, view: Assembled, side: HttpMessages) -> Iterator[str]:
    """What is not known of a side's bytes."""
    if not view.anchored:
        yield f"{name}: the beginning"
    if side.stopped is not None:
        yield f"{name}: from byte {side.stopped} on"
    elif view.gaps:
        yield f"{name}: {sum(end - start for start, end in view.gaps)} bytes"
    elif not view.ended or len(view.data) >= _FULL:
        yield f"{name}: the end"


def _pairs(
    asked: HttpMessages, answered: HttpMessages, *, aligned: bool
) -> Iterator[tuple[_Part | None, _Part | None]]:
    ours = [_part(message) for message in asked.messages]
    theirs = [_part(message) for message in answered.messages]
    if aligned:
        for index in range(max(len(ours), len(theirs))):
            request = ours[index] if index < len(ours) else None
            answer = theirs[index] if index < len(theirs) else None
            if request and answer and _differ(request, answer):
                yield request, None
                yield None, answer
            else:
                yield request, answer
        return
    by_id: dict[str, list[_Part]] = {}
    for answer in theirs:
        by_id.setdefault((answer.envelope and answer.envelope.relates_to) or "", []).append(answer)
    ids = [_id(request) for request in ours]
    taken: set[int] = set()
    for request in ours:
        fitting = by_id.get(_id(request) or "none", [])
        alone = len(fitting) == 1 and ids.count(_id(request)) == 1
        if alone:
            taken.add(fitting[0].message.begin)
        yield request, fitting[0] if alone else None
    for answer in theirs:
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
    if len(body) > _MAX_XML:
        return _Part(message, None, "XML too long is refused")
    found = soap.read(body)
    return _Part(message, None, found) if isinstance(found, str) else _Part(message, found, None)


# ---------------------------------------------------------------------------------------------- one exchange


def _exchange(
    request: _Part | None,
    answer: _Part | None,
    *,
    views: tuple[Assembled, Assembled],
    complete: tuple[bool, bool],
    nonces: Nonces,
    evidence: EvidenceOf,
) -> Exchange:
    ask, reply = request and request.message, answer and answer.message
    pieces = [
        list(view.pieces_in(message.begin, message.end)) if message else []
        for view, message in zip(views, (ask, reply), strict=True)
    ]
    credentials = read_credentials(ask.field(b"authorization")) if ask else None
    challenge = None
    if reply and reply.status == _UNAUTHORIZED:
        challenge = read_challenge(reply.fields.get(b"www-authenticate", ()))
    times = [min((piece.ts for piece in side), default=None) for side in pieces]
    ts = next((time for time in times if time is not None), 0)
    denial: Denial | None = nonces.judge(credentials, challenge, ts) if ask else "open" if challenge else None
    if reply:
        nonces.give(_nonce(challenge, reply), times[1] or ts)
    version = _VERSION.fullmatch(reply.field(b"server")) if reply else None
    kind = reply.field(b"content-type").partition(b";")[0].strip() if reply else b""
    return Exchange(
        ts=ts,
        answered=times[1],
        evidence=evidence([*pieces[0], *pieces[1]]),
        method=safe(ask.method) if ask else None,
        path=_path(ask.target) if ask else None,
        auth=credentials.scheme if credentials else None,
        user=credentials.user if credentials else None,
        digest_short=credentials.short if credentials else None,
        status=reply.status if reply else None,
        server_version=version[1].decode("ascii").strip(".") or None if version else None,
        content_type=safe(kind, 64) if kind else None,
        offered=challenge.schemes if challenge else (),
        realm=challenge.realm if challenge else None,
        denial=denial,
        call=_call(request, answer),
        result=_result(answer),
        missing=tuple(_missing(ask, reply, complete)),
        problems=tuple(part.problem for part in (request, answer) if part and part.problem),
    )


def _nonce(challenge: Challenge | None, reply: HttpMessage) -> bytes:
    """The nonce that an answer gives; empty where it gives none."""
    if challenge is not None:
        return challenge.nonce
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
        changes=return_values.changes(envelope.service, envelope.method),
    )


def _result(answer: _Part | None) -> WebResult | None:
    envelope = answer.envelope if answer else None
    if envelope is None:
        return None
    status = return_values.status(envelope.service, envelope.method, envelope.return_value)
    return WebResult(
        return_value=envelope.return_value,
        name=status.name if status else None,
        meaning=status.meaning if status else None,
        fault=envelope.fault,
        subcode=envelope.subcode,
        reason=envelope.reason,
    )
