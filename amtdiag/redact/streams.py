"""What TCP connections carry, with pseudonyms: Hello, TLS, HTTP, redirection, APF, DNS.

Each function returns as many bytes as it was given, for any bytes. What is not known to be harmless becomes
zero: application data above all. Layouts: see `amtdiag.protocols`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from amtdiag.protocols.hello import ALGORITHMS, HEADER_LENGTH, VERSION_PKI, VERSION_PSK
from amtdiag.protocols.pid import PID_LENGTH
from amtdiag.protocols.tls import constants
from amtdiag.redact.datagrams import dns
from amtdiag.redact.pseudonyms import KEPT_USERS, Pseudonyms

Known = Callable[[bytes], bool]
"""True for a digest that says nothing of a site: of a root in the catalogue."""


class Content:
    """How the content of connections is masked."""

    def __init__(self, names: Pseudonyms, known: Known, *, keep_certificates: bool) -> None:
        self._names = names
        self._known = known
        self._keep_certificates = keep_certificates

    def mask(self, data: bytes, port: int, hello_ports: frozenset[int], *, headless: bool = False) -> bytes:
        """Mask one direction of a connection to a server's port, from its first byte on.

        Content tells what it is, and the port where content does not. `headless` says that the first bytes
        were not captured.
        """
        if _is_tls(data):
            return self.tls(data)
        if _HTTP.match(data):
            return http(data, self._names)
        if port == _DNS:
            return _framed_dns(data, self._names)
        if data[:1] in _REDIRECTION and port in _REDIRECTION_PORTS:
            return _redirection(data, self._names)
        if data[:1] and data[0] in _APF_FIRST and port not in hello_ports:
            return _apf(data, self._names)
        begins_hello = data[:2] in _FLAGS and 0 < int.from_bytes(data[2:4], "little") < 16
        if begins_hello or (port in hello_ports and not headless):
            return self.hello(data)
        return data[:1] + bytes(max(0, len(data) - 1))

    # -------------------------------------------------------------------------------------------- Hello

    def hello(self, data: bytes) -> bytes:
        """Mask a Hello. Of bytes that are none, the first eight stay: they say that it is none."""
        names, version = self._names, int.from_bytes(data[2:4], "little")
        out = bytearray(data[:8])
        if data[:2] not in _FLAGS or not version:
            return bytes(out) + bytes(len(data) - len(out))
        uuid = data[8:HEADER_LENGTH]
        out += names.uuid(uuid) if len(uuid) == 16 else bytes(len(uuid))
        body = data[HEADER_LENGTH:]
        if version == VERSION_PSK:
            pid = body[:PID_LENGTH]
            out += names.pid(pid) if len(pid) == PID_LENGTH else bytes(len(pid))
        elif version == VERSION_PKI:
            out += self._digests(body)
        # Whether what follows is zero is told of a Hello, what it is is not.
        rest = data[len(out) :]
        return bytes(out) + (b"\xff" if any(rest) else b"\0") * len(rest)

    def _digests(self, body: bytes) -> bytes:
        out = bytearray(body[:1])
        for _ in range(body[0] if body and body[0] else 255):
            header = body[len(out) : len(out) + 2]
            if header == b"\0\0":  # not captured, or none
                out += bytes(_next_digest(body, len(out)) - len(out))
                header = body[len(out) : len(out) + 2]
            out += header
            if len(header) < 2:
                break
            digest = body[len(out) : len(out) + header[1]]
            keeps = self._keep_certificates or self._known(digest)
            out += digest if keeps else self._names.digest(digest)
        return bytes(out)

    # ---------------------------------------------------------------------------------------------- TLS

    def tls(self, data: bytes) -> bytes:
        """Mask TLS records: of handshake messages in the clear what names no one stays, the rest is zero."""
        out = bytearray(len(data))
        clear: list[tuple[int, int]] = []
        is_encrypted = False
        at = _old_hello(data)
        out[:at] = data[:at]
        while at + 5 <= len(data) and data[at] in _RECORDS and data[at + 1] == 3:
            kind, length = data[at], int.from_bytes(data[at + 3 : at + 5])
            body, end = at + 5, min(at + 5 + length, len(data))
            out[at:body] = data[at:body]
            if kind == constants.HANDSHAKE and (not is_encrypted or _is_second_hello(data[body:end], length)):
                clear.append((body, end))
            elif kind == constants.CHANGE_CIPHER or (kind == constants.ALERT and length == 2):
                out[body:end] = data[body:end]
            is_encrypted = is_encrypted or kind == constants.CHANGE_CIPHER
            at = body + length
        text = b"".join(data[start:end] for start, end in clear)
        masked, place = self._handshake(text), 0
        for start, end in clear:
            out[start:end] = masked[place : place + end - start]
            place += end - start
        return bytes(out)

    def _handshake(self, text: bytes) -> bytes:
        out = bytearray()
        while len(text) - len(out) >= 4:
            at = len(out)
            kind, length = text[at], int.from_bytes(text[at + 1 : at + 4])
            body = text[at + 4 : at + 4 + length]
            # A message that is cut is masked as if zeros followed.
            whole = body + bytes(min(length, _LONGEST) - len(body)) if len(body) < length else body
            out += text[at : at + 4] + self._message(kind, whole)[: len(body)]
        return bytes(out + text[len(out) :][:4])[: len(text)].ljust(len(text), b"\0")

    def _message(self, kind: int, body: bytes) -> bytes:
        match kind:
            case constants.CLIENT_HELLO:
                return self._client_hello(body)
            case constants.CERTIFICATE:
                return body if self._keep_certificates else blank_certificates(body)
            case constants.CERTIFICATE_REQUEST:
                return body if self._keep_certificates else _blank_authorities(body)
            case constants.CLIENT_KEY_EXCHANGE:
                return self._identity(body, self._names.identity)
            case constants.SERVER_KEY_EXCHANGE:
                return _unsigned(body) or self._identity(body, self._names.token)
            case constants.CERTIFICATE_VERIFY:
                return body[:4] + bytes(max(0, len(body) - 4))
            case constants.SESSION_TICKET:
                return body[:6] + bytes(max(0, len(body) - 6))
            case constants.CERTIFICATE_STATUS:
                return body[:4] + bytes(max(0, len(body) - 4))
            case _:
                return body if kind in _HARMLESS else bytes(len(body))

    def _identity(self, body: bytes, replace: Callable[[bytes], bytes]) -> bytes:
        """Replace the identity, or hint, of a pre-shared key at the beginning of a key exchange."""
        end = 2 + int.from_bytes(body[:2])
        text = body[2:end]
        is_text = 0 < len(text) == end - 2 <= 128 and all(0x20 <= byte < 0x7F for byte in text)
        kept = body[:2] + replace(text) if is_text else body[:2]
        return kept + bytes(len(body) - len(kept))

    def _client_hello(self, body: bytes) -> bytes:
        out = bytearray(body)
        at = 34
        for size in (1, 2, 1):  # session, suites, compression
            at += size + int.from_bytes(body[at : at + size])
        at += 2
        while at + 4 <= len(body):
            kind, length = int.from_bytes(body[at : at + 2]), int.from_bytes(body[at + 2 : at + 4])
            value = body[at + 4 : at + 4 + length]
            out[at + 4 : at + 4 + len(value)] = self._extension(kind, value)
            at += 4 + length
        return bytes(out)

    def _extension(self, kind: int, value: bytes) -> bytes:
        if kind == constants.SERVER_NAME:
            return value[:5] + self._names.name(value[5:])
        if kind == constants.PRE_SHARED_KEY:
            size = int.from_bytes(value[2:4])
            masked = self._identity(value[2 : 4 + size], self._names.identity)
            is_text = masked != value[2 : 4 + size]
            return (value[:2] + masked if is_text else value[:4]).ljust(len(value), b"\0")
        return value if kind in _EXTENSIONS else bytes(len(value))


_DNS = 53
_REDIRECTION_PORTS = frozenset({16994, 16995})
_FLAGS = (b"\0\0", b"\1\0")
_RECORDS = frozenset({20, 21, 22, 23})
_LONGEST = 1 << 18
_HARMLESS = frozenset({constants.SERVER_HELLO, constants.SERVER_HELLO_DONE, constants.HELLO_REQUEST})
_EXTENSIONS = frozenset({5, 10, 11, 13, 16, 17, 22, 23, 43, 45, 49, 50, 51, 0xFF01})
"""Of a ClientHello: those that say what it can and wants. IANA, TLS ExtensionType values."""


def _is_tls(data: bytes) -> bool:
    return len(data) >= 3 and ((data[0] in _RECORDS and data[1] == 3) or _old_hello(data) > 0)


def _old_hello(data: bytes) -> int:
    """The length of a ClientHello in the format of SSL 2.0; 0 where there is none."""
    is_old = len(data) > 4 and data[0] & 0x80 and data[2] == constants.CLIENT_HELLO and data[3] == 3
    return min(2 + (int.from_bytes(data[:2]) & 0x7FFF), len(data)) if is_old else 0


def _is_second_hello(body: bytes, length: int) -> bool:
    """True for the hello in the clear that follows a HelloRetryRequest and its change of cipher."""
    return body[:1] in (b"\1", b"\2") and int.from_bytes(body[1:4]) + 4 == length


_DIGESTS = {bytes([number, length]): length for number, (_, length) in ALGORITHMS.items()}
"""The two bytes in front of a digest in a Hello, and its length."""


def _next_digest(body: bytes, since: int) -> int:
    """Return where digests go on behind bytes that were not captured: two in a row, or one at the end."""
    for at in range(since, len(body) - 1):
        after = at + 2 + _DIGESTS.get(body[at : at + 2], len(body))
        if after == len(body) or body[after : after + 2] in _DIGESTS:
            return at
    return len(body)


def _unsigned(body: bytes) -> bytes | None:
    """Return a ServerKeyExchange whose signature is zero, since it tells of a key; else None."""
    if body[:1] == b"\3":  # a named curve, and a point
        end = 4 + (body[3] if len(body) > 3 else 0)
    else:  # prime, generator, and public value
        end = 0
        for _ in range(3):
            size = int.from_bytes(body[end : end + 2])
            if not size:
                return None
            end += 2 + size
    if end + 4 > len(body) or end + 4 + int.from_bytes(body[end + 2 : end + 4]) != len(body):
        return None
    return body[: end + 4] + bytes(len(body) - end - 4)


def blank_certificates(body: bytes) -> bytes:
    """Return a Certificate message of the same form, in which each certificate is zero."""
    out = bytearray(body[:3])
    while len(out) + 3 <= len(body):
        length = int.from_bytes(body[len(out) : len(out) + 3])
        out += body[len(out) : len(out) + 3]
        out += bytes(min(length, len(body) - len(out)))
    return bytes(out).ljust(len(body), b"\0")


def _blank_authorities(body: bytes) -> bytes:
    """Return a CertificateRequest of the same form, in which each name is zero."""
    for has_algorithms in (True, False):
        at = 1 + body[0] if body else 0
        if has_algorithms:
            at += 2 + int.from_bytes(body[at : at + 2])
        if at + 2 + int.from_bytes(body[at : at + 2]) != len(body):
            continue
        out = bytearray(body[: at + 2])
        while len(out) + 2 <= len(body):
            length = int.from_bytes(body[len(out) : len(out) + 2])
            out += body[len(out) : len(out) + 2]
            out += bytes(min(length, len(body) - len(out)))
        return bytes(out).ljust(len(body), b"\0")
    return bytes(len(body))


def _framed_dns(data: bytes, names: Pseudonyms) -> bytes:
    out = bytearray()
    while len(out) + 2 <= len(data):
        at = len(out) + 2
        out += data[at - 2 : at]
        out += dns(data[at : at + int.from_bytes(data[at - 2 : at])], names)
    return bytes(out).ljust(len(data), b"\0")


# ------------------------------------------------------------------------------------------------------ HTTP

_HTTP = re.compile(rb"(?:[A-Z]{3,10} [\x21-\x7e]|HTTP/1\.[01] )")
_HEAD_LINE = re.compile(rb"([A-Z]{1,24} )(\S+)( HTTP/1\.[01])|(HTTP/1\.[01] \d{3})( [^\r\n]*)?")
_LONGEST_HEAD = 16_384
_KEPT_FIELDS = frozenset(b"connection content-length content-type server transfer-encoding".split())
_KNOWN_FIELDS = _KEPT_FIELDS | frozenset(
    b"accept accept-encoding authorization cache-control cookie date expect host pragma soapaction user-agent"
    b" www-authenticate".split()
)
_KEPT_TARGETS = frozenset(
    {b"/", b"/wsman", b"/wsman/", b"/index.htm", b"/logon.htm", b"/SetupAndConfiguration"}
)
_PARAMETER = re.compile(rb'([A-Za-z-]+)(\s*=\s*)("(?:[^"\\]|\\.)*"|[^\s,"]*)')
_KEPT_PARAMETERS = frozenset(b"algorithm nc qop stale".split())
_REASONS = frozenset(
    {b"", b"OK", b"Unauthorized", b"Forbidden", b"Not Found", b"Bad Request", b"Internal Server Error"}
)
_SCHEME = re.compile(rb"\s*\w+")
_REALM = b'"Digest:'


def http(data: bytes, names: Pseudonyms) -> bytes:
    """Mask HTTP messages: methods, statuses, framing and the form of XML stay, and all else is replaced."""
    out = bytearray()
    while len(out) < len(data):
        at = len(out)
        end = data.find(b"\r\n\r\n", at, at + _LONGEST_HEAD)
        line, _, fields = data[at : max(end, at)].partition(b"\r\n")
        found = _HEAD_LINE.fullmatch(line)
        if end < 0 or not found:
            break
        target = found[2]
        if target is not None:
            out += found[1] + (target if target in _KEPT_TARGETS else names.token(target)) + found[3]
        else:
            reason = found[5] or b""
            out += found[4] + (reason if reason.strip() in _REASONS else names.token(reason))
        kept = {}
        for field in fields.split(b"\r\n") if fields else ():
            name, colon, value = field.partition(b":")
            kept[name.lower()] = value.strip()
            shown = name if name.lower() in _KNOWN_FIELDS else names.token(name)
            out += b"\r\n" + shown + colon + _field(name.lower(), value, names)
        out += b"\r\n\r\n"
        out += _body(data, len(out), kept, names)
    return bytes(out).ljust(len(data), b"\0")[: len(data)]


def _field(name: bytes, value: bytes, names: Pseudonyms) -> bytes:
    if name in _KEPT_FIELDS:
        return value
    if name == b"host":
        host, colon, port = value.partition(b":")
        space = len(host) - len(host.lstrip())
        return host[:space] + names.name(host[space:]) + colon + port
    if name in (b"authorization", b"www-authenticate"):
        scheme = _SCHEME.match(value)
        start = scheme.end() if scheme else 0
        if value[:start].strip().lower() == b"digest":
            return value[:start] + _PARAMETER.sub(lambda found: _parameter(found, names), value[start:])
        return value[:start] + names.token(value[start:])
    return names.token(value)


def _parameter(found: re.Match[bytes], names: Pseudonyms) -> bytes:
    name, equals, value = found[1], found[2], found[3]
    bare = value.strip(b'"')
    if name.lower() in _KEPT_PARAMETERS or (name == b"username" and bare in KEPT_USERS):
        return found[0]
    if name == b"uri" and bare in _KEPT_TARGETS:
        return found[0]
    kept = value[: len(_REALM)] if value.startswith(_REALM) else b""
    return name + equals + kept + names.token(value[len(kept) :])


def _body(data: bytes, at: int, fields: dict[bytes, bytes], names: Pseudonyms) -> bytes:
    """Mask the body that a head announces."""
    if fields.get(b"transfer-encoding", b"").lower() != b"chunked":
        length = fields.get(b"content-length", b"")
        size = int(length) if length.isdigit() and len(length) < 12 else 0
        if not length and not _HTTP.match(data[at:]):
            size = len(data) - at
        return soap(data[at : at + size], names)
    # A body in chunks is masked as one, since an element may go on in the next chunk.
    frames: list[tuple[int, int]] = []
    place = at
    while place < len(data):
        line = data.find(b"\r\n", place, place + 256)
        size_text = data[place:line].partition(b";")[0].strip() if line >= 0 else b""
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size_text):
            break
        size = int(size_text, 16)
        frames.append((line + 2, min(line + 2 + size, len(data))))
        place = line + 2 + size + 2
        if not size:
            break
    masked, out, used = soap(b"".join(data[a:b] for a, b in frames), names), bytearray(), 0
    for start, end in frames:
        out += data[at + len(out) : start] + masked[used : used + end - start]
        used += end - start
    stop = min(place, len(data))
    return bytes(out) + data[at + len(out) : stop]


_TAG = re.compile(rb"<[^<>]*>")
_ELEMENT = re.compile(rb"<(?:[\w.-]+:)?([\w.-]+)")
_ATTRIBUTE = re.compile(rb"(\s)([\w.:-]+)(\s*=\s*)(\"[^\"]*\"|'[^']*')")
_KEPT_ELEMENTS = frozenset(b"Action ResourceURI ReturnValue Status Value faultcode Subcode".split())
_TEXT_OF_NUMBERS = re.compile(rb"\s*-?\d{1,10}\s*")


def soap(body: bytes, names: Pseudonyms) -> bytes:
    """Mask an envelope: elements, namespaces, addresses of actions and return values stay."""
    if body.lstrip()[:1] != b"<":
        return names.token(body)
    out, at, element = [], 0, b""
    for tag in _TAG.finditer(body):
        out += [_text(body[at : tag.start()], element, names), _tag(tag[0], names)]
        opened = _ELEMENT.match(tag[0])
        element, at = opened[1] if opened else b"", tag.end()
    return b"".join([*out, _text(body[at:], b"", names)])


_WHOLE_TAG = re.compile(
    rb"<(?:/[\w.:-]+\s*|[\w.:-]+(?:\s+[\w.:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*/?)>"
    rb"|<\?xml(?:\s+(?:version|encoding|standalone)\s*=\s*[\"'][\w.-]*[\"'])*\s*\?>"
)
_KNOWN_URI = re.compile(
    rb"\s*https?://(?:schemas\.(?:xmlsoap|dmtf)\.org|www\.w3\.org|www\.dmtf\.org|(?:schemas\.)?intel\.com)"
    rb"/[\w./:#-]*\s*"
)
_CODE = re.compile(rb"\s*(?:\w{1,8}:)?[A-Z][A-Za-z]{2,40}\s*")


def _text(text: bytes, element: bytes, names: Pseudonyms) -> bytes:
    is_kept = element in _KEPT_ELEMENTS and any(
        form.fullmatch(text) for form in (_KNOWN_URI, _CODE, _TEXT_OF_NUMBERS)
    )
    return text if not text.strip() or is_kept else names.token(text)


def _tag(tag: bytes, names: Pseudonyms) -> bytes:
    if not _WHOLE_TAG.fullmatch(tag):
        return names.token(tag)
    if tag[:2] in (b"<?", b"</"):
        return tag

    def attribute(found: re.Match[bytes]) -> bytes:
        name, value = found[2], found[4][1:-1]
        is_space = name.startswith(b"xmlns") and _KNOWN_URI.fullmatch(value)
        kept = is_space or (name.rpartition(b":")[2] in (b"Name", b"mustUnderstand") and value.isalnum())
        return found[0] if kept else found[1] + found[2] + found[3] + names.token(found[4])

    return _ATTRIBUTE.sub(attribute, tag)


# --------------------------------------------------------------------------------------- redirection and APF

_REDIRECTION = (b"\x10", b"\x11", b"\x13", b"\x14")
_AUTHENTICATION = (0x13, 0x14)
_METHODS = 8


def _redirection(data: bytes, names: Pseudonyms) -> bytes:
    """Mask a redirection session: its opening and authentication without proofs, and zero from then on."""
    at = 8
    if data[:1] == b"\x11":
        at = min(13, len(data))
    out = bytearray(data[:at])
    if data[:1] == b"\x11" and len(data) > 12:
        out += bytes(min(data[12], len(data) - at))
    while len(out) + 9 <= len(data) and data[len(out)] in _AUTHENTICATION:
        at = len(out) + 9
        header = data[len(out) : at]
        body = data[at : at + int.from_bytes(header[5:9], "little")]
        if header[4]:
            out += header + _credentials(body, names)
        else:  # which methods there are
            out += header + body[:_METHODS] + bytes(max(0, len(body) - _METHODS))
    return bytes(out).ljust(len(data), b"\0")


def _credentials(body: bytes, names: Pseudonyms) -> bytes:
    out = bytearray()
    for number in range(16):
        size = body[len(out) : len(out) + 1]
        if not size:
            break
        value = body[len(out) + 1 : len(out) + 1 + size[0]]
        out += size + (value if number == 0 and value in KEPT_USERS else names.token(value))
    return bytes(out).ljust(len(body), b"\0")[: len(body)]


_APF_FIRST = frozenset({192, 5, 6, 50, 51, 52, 80, 81, 82, 208, 209, 210, 211})
_APF_FIXED = {192: 93, 208: 5, 209: 5, 210: 9, 211: 9, 52: 1, 81: 5, 82: 1}
_APF_UUID = (13, 29)
_APF_KEPT = frozenset(
    {b"password", b"none", b"tcpip-forward", b"pfwd@amt.intel.com", b"auth@amt.intel.com", *KEPT_USERS}
)


def _apf(data: bytes, names: Pseudonyms) -> bytes:
    """Mask what is said to and by a presence server: versions, services and ports stay."""
    out = bytearray()
    while len(out) < len(data):
        at, kind = len(out), data[len(out)]
        fixed = _APF_FIXED.get(kind)
        if fixed is not None:
            message = bytearray(data[at : at + fixed])
            if kind == 192:
                start, end = _APF_UUID
                uuid = bytes(message[start:end])
                message[start:end] = names.uuid(uuid) if len(uuid) == 16 else bytes(len(uuid))
                message[end:] = bytes(len(message) - min(end, len(message)))
            out += message
            continue
        parts = _APF_PARTS.get(kind)
        if parts is None:
            break
        out += data[at : at + 1]
        for part in parts:
            for piece in _apf_part(data, len(out), part, names):
                out += piece
    return bytes(out).ljust(len(data), b"\0")[: len(data)]


_APF_PARTS: dict[int, str] = {5: "s", 6: "s", 50: "sssw", 51: "sb", 80: "sbsn"}
"""By message: strings, a byte, a number of four bytes; behind "password" a byte and the password."""


def _apf_part(data: bytes, at: int, part: str, names: Pseudonyms) -> Iterator[bytes]:
    if part == "w":
        if data.endswith(b"password", 0, at):
            yield data[at : at + 5]
            yield bytes(min(int.from_bytes(data[at + 1 : at + 5]), max(0, len(data) - at - 5)))
    elif part == "b":
        yield data[at : at + 1]
    elif part == "n":
        yield data[at : at + 4]
    else:
        length = int.from_bytes(data[at : at + 4])
        text = data[at + 4 : at + 4 + length]
        yield data[at : at + 4]
        yield text if text in _APF_KEPT else names.token(text)
