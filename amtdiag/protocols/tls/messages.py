"""The bodies of handshake messages as values, or `Malformed` with an offset. Never raises out of `pull`.

Sources: RFC 5246, 7.4 (TLS 1.2), RFC 2246 and 6101 (before), RFC 8446, 4.1 (TLS 1.3), RFC 4279, 2 (PSK), RFC
6066, 3 (server name), RFC 5246, E.2 (the ClientHello of SSL 2.0).
"""

import struct
from typing import NamedTuple

from amtdiag.protocols.protocol import Field
from amtdiag.protocols.tls.constants import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_STATUS,
    CERTIFICATE_VERIFY,
    CLIENT_KEY_EXCHANGE,
    PRE_SHARED_KEY,
    SERVER_HELLO_DONE,
    SERVER_KEY_EXCHANGE,
    SERVER_NAME,
    SESSION_TICKET,
    SUPPORTED_VERSIONS,
)

MAX_CERTIFICATES = 20
MAX_NAMES = 32
"""Of certificate authorities that are kept."""
_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""What makes a ServerHello a HelloRetryRequest: SHA-256 of that word (RFC 8446, 4.1.3)."""
_TLS12 = 0x0303
_SPACE, _DELETE = 0x20, 0x7F
_MAX_IDENTITY = 128
_MAC = 16
"""A signature or a key that is shorter protects nothing."""


class Malformed(NamedTuple):
    """A body that is not what its type says."""

    offset: int


class ClientHello(NamedTuple):
    """What a client offers."""

    version: int
    random: bytes
    session_id: bytes
    suites: tuple[int, ...]
    extensions: frozenset[int]
    versions: tuple[int, ...]
    """Of the extension supported_versions; empty without it."""
    server_name: bytes | None
    psk_identity: bytes | None = None
    """Of TLS 1.3: the first key that is offered, where its name is text; a ticket's is not."""


class ServerHello(NamedTuple):
    """What a server chooses."""

    version: int
    """The one that is used: that of the extension in TLS 1.3."""
    random: bytes
    session_id: bytes
    suite: int
    extensions: frozenset[int]

    @property
    def is_retry(self) -> bool:
        """True for a HelloRetryRequest of TLS 1.3."""
        return self.random == _RETRY_RANDOM


class CertificateRequestBody(NamedTuple):
    """What a CertificateRequest asks for."""

    types: tuple[int, ...]
    algorithms: tuple[int, ...]
    """Signature schemes; TLS 1.2 only."""
    names: tuple[bytes, ...]
    """Distinguished names of authorities, DER; the first `MAX_NAMES`."""
    total: int


FIELDS = {
    ClientHello: (
        Field("version", "number", "client_version, legacy_version (RFC 5246, 7.4.1.2; RFC 8446, 4.1.2)"),
        Field("random", "secret", "random"),
        Field("session_id", "secret", "session_id"),
        Field("suites", "number", "cipher_suites"),
        Field("extensions", "number", "extensions: types"),
        Field("versions", "number", "extension 43, supported_versions (RFC 8446, 4.2.1)"),
        Field("server_name", "name", "extension 0, server_name (RFC 6066, 3)"),
        Field("psk_identity", "secret", "extension 41, pre_shared_key (RFC 8446, 4.2.11)"),
    ),
    ServerHello: (
        Field("version", "number", "server_version, or extension 43 (RFC 5246, 7.4.1.3; RFC 8446, 4.1.3)"),
        Field("random", "secret", "random"),
        Field("session_id", "secret", "session_id"),
        Field("suite", "number", "cipher_suite"),
        Field("extensions", "number", "extensions: types"),
    ),
    CertificateRequestBody: (
        Field("types", "number", "certificate_types (RFC 5246, 7.4.4)"),
        Field("algorithms", "number", "supported_signature_algorithms (RFC 5246, 7.4.4)"),
        Field("names", "certificate", "certificate_authorities (RFC 5246, 7.4.4)"),
        Field("total", "number", "certificate_authorities: how many"),
    ),
}


class _ShortError(Exception):
    """Fewer bytes than a field needs."""


class _Buffer:
    """Bytes and a place in them."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.end = data, 0, len(data)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def take(self, size: int) -> bytes:
        at = self.at
        if at + size > self.end:
            raise _ShortError
        self.at = at + size
        return self.data[at : at + size]

    def vector(self, size: int) -> bytes:
        """Return bytes behind their length, a number of `size` bytes."""
        return self.take(self.number(size))

    def numbers(self, size: int) -> tuple[int, ...]:
        """Return 16-bit numbers behind their length in bytes, a number of `size` bytes."""
        return _numbers(self.vector(size))

    @property
    def left(self) -> int:
        return self.end - self.at


def _numbers(data: bytes) -> tuple[int, ...]:
    if len(data) % 2:
        raise _ShortError
    return struct.unpack(f">{len(data) // 2}H", data)


def pull_client_hello(body: bytes) -> ClientHello | Malformed:
    """Read a ClientHello."""
    buffer = _Buffer(body)
    try:
        version = buffer.number(2)
        random, session_id = buffer.take(32), buffer.vector(1)
        suites = buffer.numbers(2)
        buffer.vector(1)  # compression methods
        extensions = _extensions(buffer)
        versions: tuple[int, ...] = ()
        if SUPPORTED_VERSIONS in extensions:
            versions = _Buffer(extensions[SUPPORTED_VERSIONS]).numbers(1)
        name = _server_name(extensions[SERVER_NAME]) if SERVER_NAME in extensions else None
        key = _psk_identity(extensions[PRE_SHARED_KEY]) if PRE_SHARED_KEY in extensions else None
    except _ShortError:
        return Malformed(buffer.at)
    return ClientHello(version, random, session_id, suites, frozenset(extensions), versions, name, key)


def pull_old_client_hello(body: bytes) -> ClientHello | Malformed:
    """Read a ClientHello in the format of SSL 2.0, from its version on."""
    buffer = _Buffer(body)
    try:
        version = buffer.number(2)
        suites, session_id, challenge = buffer.number(2), buffer.number(2), buffer.number(2)
        specs = buffer.take(suites)
        session = buffer.take(session_id)
        random = buffer.take(challenge)
    except _ShortError:
        return Malformed(buffer.at)
    # A suite has three bytes; those that begin with 0 are TLS's, the others SSL 2.0's own.
    found = tuple(
        int.from_bytes(specs[at + 1 : at + 3]) for at in range(0, len(specs) - 2, 3) if not specs[at]
    )
    return ClientHello(version, random[-32:].rjust(32, b"\0"), session, found, frozenset(), (), None)


def pull_server_hello(body: bytes) -> ServerHello | Malformed:
    """Read a ServerHello or a HelloRetryRequest."""
    buffer = _Buffer(body)
    try:
        version = buffer.number(2)
        random, session_id = buffer.take(32), buffer.vector(1)
        suite = buffer.number(2)
        buffer.take(1)  # compression method
        extensions = _extensions(buffer)
        if len(extensions.get(SUPPORTED_VERSIONS, b"")) == 2:
            version = int.from_bytes(extensions[SUPPORTED_VERSIONS])
    except _ShortError:
        return Malformed(buffer.at)
    return ServerHello(version, random, session_id, suite, frozenset(extensions))


def pull_certificates(body: bytes) -> tuple[bytes, ...] | Malformed:
    """Read a Certificate message: the certificates in their order, DER."""
    buffer = _Buffer(body)
    found = []
    try:
        if buffer.number(3) != buffer.left:
            return Malformed(0)
        while buffer.left:
            found.append(buffer.vector(3))
    except _ShortError:
        return Malformed(buffer.at)
    return tuple(found)


def pull_first_certificates(body: bytes) -> tuple[bytes, ...]:
    """Return the certificates that the beginning of a Certificate message holds as a whole."""
    buffer = _Buffer(body)
    found: list[bytes] = []
    try:
        buffer.number(3)
        while len(found) < MAX_CERTIFICATES:
            found.append(buffer.vector(3))
    except _ShortError:
        pass
    return tuple(found)


def pull_request(body: bytes, version: int | None) -> CertificateRequestBody | Malformed:
    """Read a CertificateRequest; TLS 1.2 added signature schemes to it.

    Where the version is not known, the format that fits the bytes decides.
    """
    if version is not None:
        return _request(body, has_algorithms=version >= _TLS12)
    both = [_request(body, has_algorithms=has) for has in (True, False)]
    fit = [request for request in both if isinstance(request, CertificateRequestBody)]
    return fit[0] if len(fit) == 1 else Malformed(0)


def _request(body: bytes, *, has_algorithms: bool) -> CertificateRequestBody | Malformed:
    buffer = _Buffer(body)
    names: list[bytes] = []
    count = 0
    try:
        types = tuple(buffer.vector(1))
        algorithms = buffer.numbers(2) if has_algorithms else ()
        if buffer.number(2) != buffer.left:
            return Malformed(buffer.at)
        while buffer.left:
            name = buffer.vector(2)
            count += 1
            if count <= MAX_NAMES:
                names.append(name)
    except _ShortError:
        return Malformed(buffer.at)
    return CertificateRequestBody(types, algorithms, tuple(names), count)


def pull_psk(body: bytes) -> bytes | Malformed:
    """Read what a key exchange of a PSK suite begins with: the client's identity, the server's hint."""
    buffer = _Buffer(body)
    try:
        return buffer.vector(2)
    except _ShortError:
        return Malformed(buffer.at)


def _extensions(buffer: _Buffer) -> dict[int, bytes]:
    """Read the extensions at the end of a hello; SSL 3.0 and some of TLS 1.0 have none."""
    found: dict[int, bytes] = {}
    if not buffer.left:
        return found
    inner = _Buffer(buffer.vector(2))
    while inner.left:
        kind = inner.number(2)
        found.setdefault(kind, inner.vector(2))
    return found


def _server_name(data: bytes) -> bytes | None:
    """Read the extension server_name: a list of which only host names are defined."""
    buffer = _Buffer(data)
    names = _Buffer(buffer.vector(2))
    while names.left:
        is_host = not names.number(1)
        name = names.vector(2)
        if is_host:
            return name
    return None


def _psk_identity(data: bytes) -> bytes | None:
    """Read the first identity of the extension pre_shared_key (RFC 8446, 4.2.11), where it is text."""
    try:
        name = _Buffer(_Buffer(data).vector(2)).vector(2)
    except _ShortError:
        return None
    is_text = bool(name) and all(_SPACE < character < _DELETE for character in name)
    return name if is_text and len(name) <= _MAX_IDENTITY else None


def is_retry(body: bytes) -> bool:
    """True for the body of a ServerHello that is a HelloRetryRequest."""
    return body[2:34] == _RETRY_RANDOM


def resumes_13(hello: ServerHello) -> bool:
    """True where a server of TLS 1.3 took up a session, or a key, that both already have."""
    return PRE_SHARED_KEY in hello.extensions


def fits(kind: int, body: bytes) -> bool:
    """True where a body has the form of its type, so that chance can hardly have made it."""
    size = len(body)
    if kind == CERTIFICATE:
        return not isinstance(pull_certificates(body), Malformed)
    if kind == SERVER_HELLO_DONE:
        return not body
    if kind == CERTIFICATE_REQUEST:
        return any(
            isinstance(_request(body, has_algorithms=has), CertificateRequestBody) for has in (True, False)
        )
    if kind == CERTIFICATE_STATUS:
        return body[:1] == b"\1" and int.from_bytes(body[1:4]) == size - 4
    if kind == SESSION_TICKET:
        return size > 6 and int.from_bytes(body[4:6]) == size - 6
    if kind == CERTIFICATE_VERIFY:
        return size > _MAC and size in (int.from_bytes(body[:2]) + 2, int.from_bytes(body[2:4]) + 4)
    if kind == CLIENT_KEY_EXCHANGE:  # a key or an identity, with another value behind it in DHE-PSK
        return 0 < int.from_bytes(body[:2]) <= size - 2 or (size > _MAC and body[0] == size - 1)
    return kind == SERVER_KEY_EXCHANGE and size > 1
