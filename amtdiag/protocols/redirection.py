"""Redirection sessions: serial over LAN, IDE redirection and remote desktop. Never raises.

Sources: MeshCommander's amt-redir-node-0.1.0.js, and the interceptor of Open AMT's management presence
server, for messages 0x10 to 0x14, kinds of authentication and status numbers (numbers are little-endian).
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from amtdiag.model.web import Redirection
from amtdiag.protocols.protocol import ConversationReader, EvidenceOf, Field, Port, Protocol, ReaderContext
from amtdiag.reassembly.stream import Assembled
from amtdiag.safetext import safe

# Message types.
START_REDIRECTION_SESSION, START_REDIRECTION_SESSION_REPLY = 0x10, 0x11
AUTHENTICATE_SESSION, AUTHENTICATE_SESSION_REPLY = 0x13, 0x14
_KINDS: dict[bytes, Literal["SOL", "IDER", "KVM"]] = {b"SOL ": "SOL", b"IDER": "IDER", b"KVMR": "KVM"}
_START_STATUS = {0: "started", 1: "unknown type", 2: "busy", 3: "not supported", 0xFF: "error"}
# Kinds of authentication.
QUERY, PASSWORD, DIGEST_WITHOUT_QOP, DIGEST = 0, 1, 3, 4
_AUTHENTICATION = {1: "password", 2: "Kerberos", 3: "digest without qop", 4: "digest"}
_START_LENGTH = 8
_START_REPLY_LENGTH = 13
_HEADER = 9
_DIGITS = 32
_MAX_OFFERED = 8
_MAX_ROUNDS = 16
"""Messages of authentication that are read, and fields of each."""
_MAX_SHOWN = 64
_MAX_BYTES = 16_384
"""Of a session, the handshake and the authentication; screens and keys are not read."""

FIELDS = {
    Redirection: (
        Field("kind", "word", "start session (0x10), bytes 4-7"),
        Field("started", "number", "reply to it (0x11), byte 1"),
        Field("meaning", "word", "what that status means"),
        Field("offered", "word", "reply to an authentication query (0x14, kind 0)"),
        Field("user", "user", "authenticate (0x13), first field"),
        Field("digest_short", "flag", "authenticate (0x13), kinds 3 and 4: length of the seventh field"),
        Field("accepted", "flag", "reply to authentication (0x14), byte 1"),
    )
}


class _Authentication(NamedTuple):
    """A message of authentication, of either side."""

    status: int
    kind: int
    data: bytes


def read_redirection(client: Assembled, server: Assembled, evidence: EvidenceOf) -> Redirection | None:
    """Return what both sides of a connection show of a session; None where it does not begin with one."""
    console, device = client, server
    opening = client.data[:_START_LENGTH]
    kind = _KINDS.get(opening[4:])
    begins = opening[:1] == bytes([START_REDIRECTION_SESSION]) and client.anchored
    if not begins or kind is None or not console.has(0, _START_LENGTH):
        return None
    started, at = _start_reply(device) if server.anchored else (None, None)
    replies = [] if at is None else list(_messages(device, at, AUTHENTICATE_SESSION_REPLY))
    offered: tuple[str, ...] = ()
    user = None
    short = accepted = None
    # One query or answer each: where one is missing, the two lists no longer match, so both end there.
    for index, request in enumerate(_messages(console, _START_LENGTH, AUTHENTICATE_SESSION)):
        reply = replies[index] if index < len(replies) else None
        if request.kind == QUERY:
            if reply is not None and reply.kind == QUERY:
                kinds = reply.data[:_MAX_OFFERED]
                offered = tuple(_AUTHENTICATION.get(number, f"kind {number}") for number in kinds)
            continue
        name, is_proof, is_short = _credentials(request)
        user = user or name
        if not is_proof:
            continue
        short = is_short if short is None else short or is_short
        accepted = None if reply is None or reply.kind != request.kind else reply.status == 0
    pieces = [*console.pieces_in(0, _START_LENGTH), *device.pieces_in(0, _START_REPLY_LENGTH)]
    return Redirection(
        ts=min((piece.ts for piece in pieces), default=0),
        evidence=evidence(pieces),
        kind=kind,
        started=started,
        meaning=_START_STATUS.get(started) if started is not None else None,
        offered=offered,
        user=user,
        digest_short=short,
        accepted=accepted,
    )


def _start_reply(device: Assembled) -> tuple[int | None, int | None]:
    """The status of the answer to the opening, and where the next message begins."""
    if not device.has(0, 4) or device.data[0] != START_REDIRECTION_SESSION_REPLY:
        return None, None
    status = device.data[1]
    if status or not device.has(0, _START_REPLY_LENGTH):
        return status, None
    return status, _START_REPLY_LENGTH + device.data[_START_REPLY_LENGTH - 1]


def _messages(view: Assembled, at: int, wanted: int) -> Iterator[_Authentication]:
    """Yield messages of authentication from an offset on, up to the first that is another or not whole."""
    for _ in range(_MAX_ROUNDS):
        if not view.has(at, at + _HEADER) or view.data[at] != wanted:
            return
        end = at + _HEADER + int.from_bytes(view.data[at + 5 : at + _HEADER], "little")
        if not view.has(at, end):
            return
        yield _Authentication(view.data[at + 1], view.data[at + 4], view.data[at + _HEADER : end])
        at = end


def _credentials(message: _Authentication) -> tuple[str | None, bool, bool | None]:
    """User, whether anything is proven (a first digest only asks for a nonce), whether it is too short."""
    fields: list[bytes] = []
    at = 0
    while at < len(message.data) and len(fields) < _MAX_ROUNDS:
        end = at + 1 + message.data[at]
        fields.append(message.data[at + 1 : end])
        at = end
    user = safe(fields[0], _MAX_SHOWN) if fields else None
    if message.kind == PASSWORD and len(fields) > 1:
        return user, True, None
    if message.kind not in (DIGEST_WITHOUT_QOP, DIGEST):
        return None, False, None
    if len(fields) <= 6:
        return user, False, None
    # user, realm, nonce, uri, cnonce, count, response
    return user, bool(fields[2]), len(fields[6]) < _DIGITS


def _reader(context: ReaderContext) -> ConversationReader:
    return lambda client, server: {"redirection": read_redirection(client, server, context.evidence)}


PROTOCOL = Protocol(
    "redirection",
    "redirection",
    ports=(
        Port(
            "redirection", 16994, "tcp", "device", "redirection: serial over LAN, IDE, remote desktop",
            most_bytes=_MAX_BYTES,
        ),
        Port(
            "redirection", 16995, "tcp", "device", "the same over TLS", tls=True, clear=False,
            most_bytes=_MAX_BYTES,
        ),
    ),
    conversation=_reader,
)  # fmt: skip
