"""HTTP conversations with a device for tests: messages as tools of the field send them, cut into segments.

The calls are in the style of MeshCommander (amt-wsman-0.2.0.js; its prefix for a call's elements is r) and
of Open AMT (go-wsman-messages; h), the answers like those recorded in Open AMT's tests.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from amtdiag.config import Limits
from amtdiag.model import Evidence
from amtdiag.model.web import HttpConversation
from amtdiag.protocols.web.http_session import read_web
from amtdiag.protocols.web.nonces import Nonces
from amtdiag.reassembly.stream import Assembled, Piece, Stream

AMT = "http://intel.com/wbem/wscim/1/amt-schema/1/"
IPS = "http://intel.com/wbem/wscim/1/ips-schema/1/"
CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
EOI = "http://schemas.intel.com/platform/client/"
SETUP = "AMT_SetupAndConfigurationService"
SERVER = "Intel(R) Active Management Technology 15.0.35.2039"
REALM = "Digest:AFD80000000000000000000000000000"
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
_OPENING = (
    '<?xml version="1.0" encoding="utf-8"?><Envelope '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" '
    'xmlns="http://www.w3.org/2003/05/soap-envelope" >'
)
MILLISECOND = 1_000_000


# --------------------------------------------------------------------------------------------------- messages


def mesh_call(
    service: str, method: str, number: int, *, schema: str = AMT, values: str = "", own: str = "r"
) -> bytes:
    """A method call as MeshCommander writes it; as Open AMT does with the prefix h."""
    return (
        f"{_OPENING}<Header><a:Action>{schema}{service}/{method}</a:Action><a:To>/wsman</a:To>"
        f"<w:ResourceURI>{schema}{service}</w:ResourceURI><a:MessageID>{number}</a:MessageID><a:ReplyTo>"
        f"<a:Address>{ANONYMOUS}</a:Address></a:ReplyTo><w:OperationTimeout>PT60S</w:OperationTimeout>"
        '<w:SelectorSet><w:Selector Name="InstanceID">Intel(r) AMT 0</w:Selector></w:SelectorSet></Header>'
        f'<Body><{own}:{method}_INPUT xmlns:{own}="{schema}{service}">{values}</{own}:{method}_INPUT>'
        "</Body></Envelope>"
    ).encode()


def mesh_get(service: str, number: int, *, schema: str = AMT, verb: str = "transfer/Get") -> bytes:
    """A Get, Enumerate or Pull as MeshCommander writes it."""
    return (
        f"{_OPENING}<Header><a:Action>http://schemas.xmlsoap.org/ws/2004/09/{verb}</a:Action><a:To>/wsman</a:To>"
        f"<w:ResourceURI>{schema}{service}</w:ResourceURI><a:MessageID>{number}</a:MessageID></Header>"
        "<Body /></Envelope>"
    ).encode()


def amt_answer(
    service: str, method: str, number: int, value: int | None = 0, *, schema: str = AMT, content: str = ""
) -> bytes:
    """An answer to a method call as AMT writes it."""
    returned = "" if value is None else f"<g:ReturnValue>{value}</g:ReturnValue>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:a="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:b="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        f'xmlns:c="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:g="{schema}{service}"><a:Header>'
        f"<b:To>{ANONYMOUS}</b:To><b:RelatesTo>{number}</b:RelatesTo>"
        f'<b:Action a:mustUnderstand="true">\n  {schema}{service}/{method}Response\n</b:Action>'
        "<b:MessageID>uuid:00000000-8086-8086-8086-00000000BE73</b:MessageID>"
        f"<c:ResourceURI>{schema}{service}</c:ResourceURI></a:Header>"
        f"<a:Body><g:{method}_OUTPUT>{content}{returned}</g:{method}_OUTPUT></a:Body></a:Envelope>"
    ).encode()


def amt_fault(
    number: int, subcode: str = "e:AccessDenied", reason: str = "The sender was not authorized"
) -> bytes:
    """A fault as AMT writes it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:a="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:b="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:e="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><a:Header>'
        f"<b:To>{ANONYMOUS}</b:To><b:RelatesTo>{number}</b:RelatesTo>"
        '<b:Action a:mustUnderstand="true">http://schemas.dmtf.org/wbem/wsman/1/wsman/fault</b:Action></a:Header>'
        f"<a:Body><a:Fault><a:Code><a:Value>a:Sender</a:Value><a:Subcode><a:Value>{subcode}</a:Value></a:Subcode>"
        f'</a:Code><a:Reason><a:Text xml:lang="en-US">{reason}</a:Text></a:Reason><a:Detail/></a:Fault>'
        "</a:Body></a:Envelope>"
    ).encode()


def digest(user: str = "admin", nonce: str = "N1", nc: int = 1, response: str = "0" * 32) -> str:
    """An Authorization field."""
    return (
        f'Authorization: Digest username="{user}",realm="{REALM}",nonce="{nonce}",uri="/wsman",qop=auth,'
        f'response="{response}",nc={nc:08x},cnonce="c0ffee"'
    )


def challenge(nonce: str = "N1", *, stale: str = "false") -> str:
    """A WWW-Authenticate field as AMT sends it."""
    return f'WWW-Authenticate: Digest realm="{REALM}", nonce="{nonce}",stale="{stale}",qop="auth"'


def post(body: bytes, *fields: str, path: str = "/wsman") -> bytes:
    """A request."""
    lines = [f"POST {path} HTTP/1.1", *fields, "Host: device:16992", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def reply(
    status: int, body: bytes, *fields: str, chunk: int = 0, kind: str = "application/soap+xml; charset=UTF-8"
) -> bytes:
    """An answer; in chunks of a size where that is not 0."""
    head = [
        f"HTTP/1.1 {status} Whatever",
        "Date: Tue, 24 Nov 2026 10:00:00 GMT",
        f"Server: {SERVER}",
        *fields,
    ]
    head.append(f"Content-Type: {kind}")
    if not chunk:
        return "\r\n".join([*head, f"Content-Length: {len(body)}"]).encode() + b"\r\n\r\n" + body
    parts = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    coded = b"".join(f"{len(part):X}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"
    return "\r\n".join([*head, "Transfer-Encoding: chunked"]).encode() + b"\r\n\r\n" + coded


Flight = tuple[bool, bytes]
"""From the client, and the bytes."""


def refused(nonce: str = "N1", *, stale: str = "false") -> bytes:
    """AMT's 401."""
    return reply(401, b"<html>401</html>", challenge(nonce, stale=stale), kind="text/html")


def provisioning() -> list[Flight]:
    """A challenge, a wrong password, the right one, a password for MEBx, a fault, a read and the commit."""
    uuid = mesh_call(SETUP, "GetUuid", 1, own="h")
    password = mesh_call(SETUP, "SetMEBxPassword", 2, values="<r:Password>P@ssw0rd</r:Password>")
    told = amt_answer(SETUP, "GetUuid", 1, content="<g:UUID>AAECAwQFBgcICQoLDA0ODw==</g:UUID>")
    return [
        (True, post(uuid)),
        (False, refused("N1")),
        (True, post(uuid, digest(nonce="N1", nc=1, response="1" * 32))),
        (False, refused("N2")),
        (True, post(uuid, digest(nonce="N2", nc=2, response="2" * 32))),
        (False, reply(200, told, chunk=200)),
        (True, post(password, digest(nonce="N2", nc=3))),
        (False, reply(200, amt_answer(SETUP, "SetMEBxPassword", 2, 16))),
        (True, post(mesh_get("AMT_GeneralSettings", 3), digest(nonce="N2", nc=4))),
        (False, reply(400, amt_fault(3))),
        (True, post(mesh_call(SETUP, "CommitChanges", 4), digest(nonce="N2", nc=5))),
        (False, reply(200, amt_answer(SETUP, "CommitChanges", 4, 0), chunk=1000)),
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------- redirection and APF

SECRET = "s3cret"
STARTED = b"\x11\x00" + bytes(10) + b"\x01\x07"
OFFER = b"\x14\x00\x00\x00\x00" + struct.pack("<I", 3) + b"\x01\x03\x04"
CHALLENGE = b"\x14\x01\x00\x00\x04" + struct.pack("<I", 12) + b"\x05Realm\x05nonce"
ACCEPTED, REFUSED = b"\x14\x00\x00\x00\x04" + bytes(4), b"\x14\x01\x00\x00\x04" + bytes(4)


def fields(*texts: str) -> bytes:
    return b"".join(bytes([len(text)]) + text.encode() for text in texts)


def authenticate(kind: int, data: bytes) -> bytes:
    return b"\x13\x00\x00\x00" + bytes([kind]) + struct.pack("<I", len(data)) + data


def session(end: bytes, opening: bytes = b"\x10\x00\x00\x00SOL ", response: str = "0" * 32) -> list[Flight]:
    """What MeshCommander and a device say to each other."""
    ask = fields("admin", "", "", "/RedirectionService", "", "", "", "")
    proof = fields("admin", "Realm", SECRET, "/RedirectionService", SECRET, "00000002", response, "auth")
    return [
        (True, opening),
        (False, STARTED),
        (True, authenticate(0, b"")),
        (False, OFFER),
        (True, authenticate(4, ask)),
        (False, CHALLENGE),
        (True, authenticate(4, proof)),
        (False, end),
        (True, b"\x28\x00\x00\x00typed"),
    ]


DEVICE = UUID("4c4c4544-004b-4210-8033-b6c04f504633")


def text(value: str) -> bytes:
    return struct.pack(">I", len(value)) + value.encode()


VERSION = b"\xc0" + struct.pack(">III", 1, 0, 9) + DEVICE.bytes_le + bytes(64)
LOGIN = b"\x32" + text("admin") + text("pfwd@amt.intel.com") + text("password") + b"\x00" + text(SECRET)


def forward(port: int) -> bytes:
    return b"\x50" + text("tcpip-forward") + b"\x01" + text("") + struct.pack(">I", port)


def presence(end: bytes) -> list[Flight]:
    return [
        (True, VERSION),
        (True, b"\x05" + text("auth@amt.intel.com")),
        (False, b"\xc0" + bytes(92)),
        (False, b"\x06" + text("auth@amt.intel.com")),
        (True, LOGIN),
        (False, end),
        (True, b"\xd0" + bytes(4) + b"\x05" + text("pfwd@amt.intel.com")),
        (True, forward(16992) + forward(16993)),
    ]


# ----------------------------------------------------------------------------------------------------- a wire


class Segment(NamedTuple):
    """A piece of a flight, as a capture has it."""

    by_client: bool
    offset: int
    data: bytes
    number: int
    """Its frame, and its time in milliseconds."""


def segments(flights: Iterable[Flight], size: int = 700) -> list[Segment]:
    """Cut flights into segments."""
    sent = {True: 0, False: 0}
    found: list[Segment] = []
    for by_client, data in flights:
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            found.append(Segment(by_client, sent[by_client], piece, len(found) + 1))
            sent[by_client] += len(piece)
    return found


def assemble(
    wire: Sequence[Segment], *, by_client: bool, end: int | None = None, anchored: bool = True
) -> Assembled:
    """One side's stream of what came; `end` is where its sender closed."""
    stream = Stream(Limits(), keep=True)
    if anchored:
        stream.anchor(1000)
    for one in wire:
        if one.by_client is by_client:
            stream.add(1000 + one.offset, one.data, 0, one.number * MILLISECOND, (0, (one.number,)))
    if end is not None:
        stream.close(1000 + end)
    return stream.assemble()


def frames_of(pieces: Sequence[Piece]) -> tuple[Evidence, ...]:
    """What the reader of events makes of pieces."""
    return tuple(Evidence("x", number) for number in sorted({n for one in pieces for n in one.frames[1]}))


def read(
    wire: Sequence[Segment],
    flights: Iterable[Flight] = (),
    *,
    anchored: bool = True,
    nonces: Nonces | None = None,
) -> HttpConversation | None:
    """Read a wire; both sides closed after all of `flights`, where given."""
    ends: dict[bool, int | None] = {True: None, False: None}
    for by_client, data in flights:
        ends[by_client] = (ends[by_client] or 0) + len(data)
    client, server = (
        assemble(wire, by_client=side, end=ends[side], anchored=anchored) for side in (True, False)
    )
    return read_web(client, server, frames_of, nonces)


def talk_of(
    flights: Sequence[Flight], size: int = 700, *, nonces: Nonces | None = None, after: int = 0
) -> HttpConversation:
    """Read a whole conversation that comes after so many frames."""
    wire = [one._replace(number=one.number + after) for one in segments(flights, size)]
    talk = read(wire, flights, nonces=nonces)
    assert talk is not None
    return talk
