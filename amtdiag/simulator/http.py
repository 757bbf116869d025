"""What comes over a connection, cut into HTTP requests, and replies as AMT writes them. Bounded."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NamedTuple

MAX_HEAD = 16 << 10
MAX_BODY = 256 << 10
_FIELD = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]{0,100}\r\n")
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 413: "Payload Too Large"}


class HttpRequest(NamedTuple):
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    """By their names in lower case; of several alike the last."""
    body: bytes


class TooMuch(ValueError):
    """More comes than a request may hold, or something that is no request."""


class Requests:
    """The requests of one connection."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[HttpRequest]:
        """Take bytes, return the requests that are whole by now."""
        self._data += data
        whole: list[HttpRequest] = []
        while (one := self._next()) is not None:
            whole.append(one)
        return whole

    def _next(self) -> HttpRequest | None:
        end = self._data.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            if len(self._data) >= MAX_HEAD:
                raise TooMuch("no end of the header")
            return None
        first, *lines = self._data[:end].decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise TooMuch("no HTTP request")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        body = self._body(headers, end + 4)
        if body is None:
            return None
        content, used = body
        del self._data[:used]
        return HttpRequest(words[0], words[1], headers, content)

    def _body(self, headers: dict[str, str], at: int) -> tuple[bytes, int] | None:
        """The body that begins there, and where it ends; None where it is not whole."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return _unchunked(self._data, at)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:9]) > MAX_BODY:
            raise TooMuch("too long")
        end = at + int(length)
        return (bytes(self._data[at:end]), end) if len(self._data) >= end else None


def _unchunked(rest: bytearray, at: int) -> tuple[bytes, int] | None:
    body = bytearray()
    while True:
        head = _CHUNK.match(rest, at)
        if head is None:
            if len(rest) - at > 200:
                raise TooMuch("no chunk")
            return None
        size = int(head[1], 16)
        if size + len(body) > MAX_BODY:
            raise TooMuch("too long")
        end = head.end() + size + 2
        if len(rest) < end:
            return None
        body += rest[head.end() : end - 2]
        at = end
        if not size:
            return bytes(body), at


def reply(status: int, firmware: str, body: str = "", kind: str = "", *headers: str) -> bytes:
    """A response with AMT's Server header."""
    content = body.encode()
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}", *headers]
    if kind:
        lines.append(f"Content-Type: {kind}")
    lines += [f"Server: Intel(R) Active Management Technology {firmware}", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


# ---------------------------------------------------------------------------------------------------- digest


class Guard:
    """HTTP digest (RFC 2617, MD5, qop auth) as AMT has it, for one user."""

    def __init__(self, user: str, realm: str, password: str | None) -> None:
        self.user = user
        self.realm = realm
        self.secret = None if password is None else _md5(f"{user}:{realm}:{password}")
        """What user, realm and password hash to; None: any password will do."""
        self._nonces: list[str] = []

    def challenge(self) -> str:
        """A header line with a fresh nonce."""
        nonce = secrets.token_hex(16)
        self._nonces = [*self._nonces[-31:], nonce]
        return f'WWW-Authenticate: Digest realm="{self.realm}", nonce="{nonce}",stale="false",qop="auth"'

    def admits(self, request: HttpRequest) -> bool:
        """True where the request proves that it knows the password."""
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "digest":
            return False
        got = {name.lower(): quoted or plain for name, quoted, plain in _FIELD.findall(credentials[:4096])}
        if got.get("username") != self.user or got.get("nonce") not in self._nonces:
            return False
        if self.secret is None:
            return True
        asked = _md5(f"{request.method}:{got.get('uri', '')}")
        middle = [got.get(name, "") for name in ("nonce", "nc", "cnonce", "qop")]
        wanted = _md5(":".join([self.secret, *middle, asked]))
        response = got.get("response", "").encode("ascii", "replace").decode()
        return secrets.compare_digest(wanted, response)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
