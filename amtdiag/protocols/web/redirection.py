"""Redirection sessions: serial over LAN, IDE redirection and remote desktop. Never raises.

Sources: MeshCommander's amt-redir-node-0.1.0.js, and the interceptor of Open AMT's management presence
server, for messages 0x10 to 0x14, kinds of authentication and status numbers (numbers are little-endian).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from amtdiag.model.web import Redirection
from amtdiag.protocols.web.gappy_stream import EvidenceOf, GappyStream
from amtdiag.reassembly.stream import Assembled
from amtdiag.safetext import safe

_KINDS: dict[bytes, Literal["SOL", "IDER", "KVM"]] = {b"SOL ": "SOL", b"IDER": "IDER", b"KVMR": "KVM"}
_STARTED = {0: "started", 1: "unknown type", 2: "busy", 3: "not supported", 0xFF: "error"}
_AUTHENTICATION = {1: "password", 2: "Kerberos", 3: "digest without qop", 4: "digest"}
_START, _START_REPLY, _AUTHENTICATE, _AUTHENTICATE_REPLY = 0x10, 0x11, 0x13, 0x14
_QUERY, _PASSWORD, _DIGESTS = 0, 1, (3, 4)
_HEADER = 9
_DIGITS = 32
_MOST = 16
"""Rounds of authentication that are read."""


class _Turn(NamedTuple):
    status: int
    kind: int
    data: bytes


def read_redirection(client: Assembled, server: Assembled, evidence: EvidenceOf) -> Redirection | None:
    """Return what both sides of a connection show of a session; None where it does not begin with one."""
    asked, told = GappyStream(client), GappyStream(server)
    opening = client.data[:8]
    kind = _KINDS.get(opening[4:])
    if opening[:1] != bytes([_START]) or kind is None or not client.anchored or not asked.has(0, 8):
        return None
    started, at = _start_reply(told) if server.anchored else (None, None)
    turns = [] if at is None else list(_turns(told, at, _AUTHENTICATE_REPLY))
    offered: tuple[str, ...] = ()
    user = None
    short = accepted = None
    # One query or answer each: where one is missing, the two lists no longer match, so both end there.
    for index, request in enumerate(_turns(asked, 8, _AUTHENTICATE)):
        reply = turns[index] if index < len(turns) else None
        if request.kind == _QUERY:
            if reply is not None and reply.kind == _QUERY:
                offered = tuple(_AUTHENTICATION.get(one, f"kind {one}") for one in reply.data[:8])
            continue
        name, is_proof, is_short = _credentials(request)
        user = user or name
        if not is_proof:
            continue
        short = is_short if short is None else short or is_short
        accepted = None if reply is None or reply.kind != request.kind else reply.status == 0
    pieces = [*asked.pieces(0, 8), *told.pieces(0, 13)]
    return Redirection(
        ts=min((piece.ts for piece in pieces), default=0),
        evidence=evidence(pieces),
        kind=kind,
        started=started,
        meaning=_STARTED.get(started) if started is not None else None,
        offered=offered,
        user=user,
        digest_short=short,
        accepted=accepted,
    )


def _start_reply(told: GappyStream) -> tuple[int | None, int | None]:
    """The status of the answer to the opening, and where the next message begins."""
    if not told.has(0, 4) or told.data[0] != _START_REPLY:
        return None, None
    status = told.data[1]
    if status or not told.has(0, 13):
        return status, None
    return status, 13 + told.data[12]


def _turns(view: GappyStream, at: int, wanted: int) -> Iterator[_Turn]:
    """Yield messages of authentication from an offset on, up to the first that is another or not whole."""
    for _ in range(_MOST):
        if not view.has(at, at + _HEADER) or view.data[at] != wanted:
            return
        end = at + _HEADER + int.from_bytes(view.data[at + 5 : at + _HEADER], "little")
        if not view.has(at, end):
            return
        yield _Turn(view.data[at + 1], view.data[at + 4], view.data[at + _HEADER : end])
        at = end


def _credentials(turn: _Turn) -> tuple[str | None, bool, bool | None]:
    """User, whether anything is proven (a first digest only asks for a nonce), whether it is too short."""
    fields: list[bytes] = []
    at = 0
    while at < len(turn.data) and len(fields) < _MOST:
        end = at + 1 + turn.data[at]
        fields.append(turn.data[at + 1 : end])
        at = end
    if turn.kind == _PASSWORD and len(fields) > 1:
        return safe(fields[0], 64), True, None
    if turn.kind in _DIGESTS and len(fields) > 6:
        # user, realm, nonce, uri, cnonce, count, response
        return safe(fields[0], 64), bool(fields[2]), len(fields[6]) < _DIGITS
    return (safe(fields[0], 64) if fields and turn.kind in _DIGESTS else None), False, None
