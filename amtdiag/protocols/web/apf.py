"""A device's conversation with a management presence server (CIRA), in the clear or decrypted. Never raises.

Sources: Open AMT's management presence server (APFProcessor.ts) and MeshCentral's mpsserver.js for the
messages, which are like SSH's (numbers are big-endian); the UUID is in SMBIOS byte order as in a Hello.
"""

from __future__ import annotations

from typing import NamedTuple

from amtdiag.model.web import Apf
from amtdiag.protocols.hello import uuid_text
from amtdiag.protocols.web.gappy_stream import EvidenceOf, GappyStream
from amtdiag.reassembly.stream import Assembled
from amtdiag.safetext import safe

_VERSION, _SERVICE, _SERVICE_ACCEPT = 192, 5, 6
_AUTHENTICATE, _FAILURE, _SUCCESS = 50, 51, 52
_GLOBAL, _GLOBAL_SUCCESS, _GLOBAL_FAILURE = 80, 81, 82
_FIXED = {_VERSION: 93, 208: 5, 209: 5, 210: 9, 211: 9, _SUCCESS: 1}
"""Lengths of messages that have one: version, keep-alives, success."""
_LONGEST = 2048
_MOST = 64


class _Cursor:
    """Reads one message after the other; what is not whole ends it."""

    def __init__(self, view: GappyStream) -> None:
        self.view = view
        self.at = 0

    def number(self) -> int | None:
        end = self.at + 4
        if not self.view.has(self.at, end):
            return None
        value = int.from_bytes(self.view.data[self.at : end])
        self.at = end
        return value

    def text(self) -> bytes | None:
        length = self.number()
        if length is None or length > _LONGEST or not self.view.has(self.at, self.at + length):
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
    view = GappyStream(client)
    said = _device(view) if client.anchored else None
    if said is None:
        return None
    pieces = view.pieces(0, _FIXED[_VERSION])
    return Apf(
        ts=min((piece.ts for piece in pieces), default=0),
        evidence=evidence(pieces),
        version=said.version,
        uuid=said.uuid,
        services=said.services,
        user=said.user,
        method=said.method,
        accepted=_accepted(GappyStream(server)) if said.user is not None and server.anchored else None,
        forwarded=said.forwarded,
    )


def _device(view: GappyStream) -> _ApfDevice | None:
    data = view.data
    if data[:1] != bytes([_VERSION]) or not view.has(0, _FIXED[_VERSION]):
        return None
    version = f"{int.from_bytes(data[1:5])}.{int.from_bytes(data[5:9])}"
    cursor = _Cursor(view)
    cursor.at = _FIXED[_VERSION]
    services: list[str] = []
    forwarded: list[int] = []
    user = method = None
    for _ in range(_MOST):
        if not view.has(cursor.at, cursor.at + 1):
            break
        kind = data[cursor.at]
        if kind in _FIXED:
            cursor.at += _FIXED[kind]
            continue
        cursor.at += 1
        if kind == _SERVICE:
            name = cursor.text()
            if name is None:
                break
            services.append(safe(name, 64))
        elif kind == _AUTHENTICATE:
            who, _, how = cursor.text(), cursor.text(), cursor.text()
            if who is None or how is None:
                break
            user, method = safe(who, 64), safe(how, 64)
            if how == b"password":
                cursor.at += 1
                if cursor.text() is None:
                    break
        elif kind == _GLOBAL:
            port = _forward(cursor)
            if port is None:
                break
            forwarded.append(port)
        else:
            break
    return _ApfDevice(version, uuid_text(data[13:29]), tuple(services), user, method, tuple(forwarded))


def _forward(cursor: _Cursor) -> int | None:
    """The port of a request to forward; None for anything else."""
    name = cursor.text()
    cursor.at += 1
    if name != b"tcpip-forward" or cursor.text() is None:
        return None
    return cursor.number()


def _accepted(view: GappyStream) -> bool | None:
    """What the server says of the credentials; None where it is not seen."""
    cursor = _Cursor(view)
    for _ in range(_MOST):
        if not view.has(cursor.at, cursor.at + 1):
            return None
        kind = view.data[cursor.at]
        if kind in (_SUCCESS, _FAILURE):
            return kind == _SUCCESS
        if kind in _FIXED:
            cursor.at += _FIXED[kind]
            continue
        cursor.at += 1
        if kind != _SERVICE_ACCEPT or cursor.text() is None:
            return None
    return None
