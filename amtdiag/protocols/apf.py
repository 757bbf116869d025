"""A device's conversation with a management presence server (CIRA), in the clear or decrypted. Never raises.

Sources: Open AMT's management presence server (APFProcessor.ts) and MeshCentral's mpsserver.js for the
messages, which are like SSH's (numbers are big-endian); the UUID is in SMBIOS byte order as in a Hello.
"""

from typing import NamedTuple

from amtdiag.model.web import Apf
from amtdiag.protocols.hello import uuid_text
from amtdiag.protocols.protocol import ConversationReader, EvidenceOf, Field, Port, Protocol, ReaderContext
from amtdiag.reassembly.stream import Assembled
from amtdiag.safetext import safe

CIRA_PORT = 4433
"""Where a management presence server usually waits for devices outside the company network."""

# Message types.
SERVICE_REQUEST, SERVICE_ACCEPT = 5, 6
USERAUTH_REQUEST, USERAUTH_FAILURE, USERAUTH_SUCCESS = 50, 51, 52
GLOBAL_REQUEST = 80
PROTOCOL_VERSION = 192
KEEPALIVE_REQUEST, KEEPALIVE_REPLY = 208, 209
KEEPALIVE_OPTIONS_REQUEST, KEEPALIVE_OPTIONS_REPLY = 210, 211
_LENGTHS = {
    PROTOCOL_VERSION: 93,
    KEEPALIVE_REQUEST: 5,
    KEEPALIVE_REPLY: 5,
    KEEPALIVE_OPTIONS_REQUEST: 9,
    KEEPALIVE_OPTIONS_REPLY: 9,
    USERAUTH_SUCCESS: 1,
}
"""Bytes of messages that have a fixed length, their type among them."""
_UUID = slice(13, 29)
_MAX_TEXT = 2048
_MAX_SHOWN = 64
_MAX_MESSAGES = 64
_MAX_BYTES = 16_384
"""Of a device's tunnel, the handshake; what it forwards is not read."""

FIELDS = {
    Apf: (
        Field("version", "number", "protocol version (192), bytes 1-8"),
        Field("uuid", "uuid", "protocol version (192), bytes 13-28"),
        Field("services", "word", "service request (5)"),
        Field("user", "user", "user authentication request (50)"),
        Field("method", "word", "user authentication request (50)"),
        Field("accepted", "flag", "user authentication success (52) or failure (51)"),
        Field("forwarded", "number", "global request (80), tcpip-forward: port"),
    )
}


class _Cursor:
    """Reads one message after the other; what is not whole ends it."""

    def __init__(self, view: Assembled, at: int = 0) -> None:
        self.view = view
        self.at = at

    def number(self) -> int | None:
        end = self.at + 4
        if not self.view.has(self.at, end):
            return None
        value = int.from_bytes(self.view.data[self.at : end])
        self.at = end
        return value

    def text(self) -> bytes | None:
        length = self.number()
        if length is None or length > _MAX_TEXT or not self.view.has(self.at, self.at + length):
            return None
        self.at += length
        return self.view.data[self.at - length : self.at]


class _ApfDevice(NamedTuple):
    version: str
    uuid: str
    services: tuple[str, ...]
    user: str | None
    method: str | None
    forwarded: tuple[int, ...]


def read_apf(client: Assembled, server: Assembled, evidence: EvidenceOf) -> Apf | None:
    """Return what both sides show; `client` is the device's. None where it does not begin with APF."""
    view = client
    device = _device(view) if client.anchored else None
    if device is None:
        return None
    pieces = view.pieces_in(0, _LENGTHS[PROTOCOL_VERSION])
    return Apf(
        ts=min((piece.ts for piece in pieces), default=0),
        evidence=evidence(pieces),
        version=device.version,
        uuid=device.uuid,
        services=device.services,
        user=device.user,
        method=device.method,
        accepted=_accepted(server) if device.user is not None and server.anchored else None,
        forwarded=device.forwarded,
    )


def _device(view: Assembled) -> _ApfDevice | None:
    data, begin = view.data, _LENGTHS[PROTOCOL_VERSION]
    if data[:1] != bytes([PROTOCOL_VERSION]) or not view.has(0, begin):
        return None
    version = f"{int.from_bytes(data[1:5])}.{int.from_bytes(data[5:9])}"
    cursor = _Cursor(view, begin)
    services: list[str] = []
    forwarded: list[int] = []
    user = method = None
    for _ in range(_MAX_MESSAGES):
        if not view.has(cursor.at, cursor.at + 1):
            break
        kind = data[cursor.at]
        if kind in _LENGTHS:
            cursor.at += _LENGTHS[kind]
            continue
        cursor.at += 1
        if kind == SERVICE_REQUEST:
            name = cursor.text()
            if name is None:
                break
            services.append(safe(name, _MAX_SHOWN))
        elif kind == USERAUTH_REQUEST:
            account, _, how = cursor.text(), cursor.text(), cursor.text()
            if account is None or how is None:
                break
            user, method = safe(account, _MAX_SHOWN), safe(how, _MAX_SHOWN)
            if how == b"password":
                cursor.at += 1
                if cursor.text() is None:
                    break
        elif kind == GLOBAL_REQUEST:
            port = _forward(cursor)
            if port is None:
                break
            forwarded.append(port)
        else:
            break
    return _ApfDevice(version, uuid_text(data[_UUID]), tuple(services), user, method, tuple(forwarded))


def _forward(cursor: _Cursor) -> int | None:
    """The port of a request to forward; None for anything else."""
    name = cursor.text()
    cursor.at += 1
    if name != b"tcpip-forward" or cursor.text() is None:
        return None
    return cursor.number()


def _accepted(view: Assembled) -> bool | None:
    """What the server answers to the credentials; None where it is not seen."""
    cursor = _Cursor(view)
    for _ in range(_MAX_MESSAGES):
        if not view.has(cursor.at, cursor.at + 1):
            return None
        kind = view.data[cursor.at]
        if kind in (USERAUTH_SUCCESS, USERAUTH_FAILURE):
            return kind == USERAUTH_SUCCESS
        if kind in _LENGTHS:
            cursor.at += _LENGTHS[kind]
            continue
        cursor.at += 1
        if kind != SERVICE_ACCEPT or cursor.text() is None:
            return None
    return None


def _reader(context: ReaderContext) -> ConversationReader:
    return lambda client, server: {"apf": read_apf(client, server, context.evidence)}


PROTOCOL = Protocol(
    "apf",
    "APF",
    ports=(
        Port(
            "apf", CIRA_PORT, "tcp", "presence", "CIRA, device to presence server", tls=True,
            most_bytes=_MAX_BYTES,
        ),
    ),
    conversation=_reader,
)  # fmt: skip
