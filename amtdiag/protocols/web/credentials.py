"""Who asks, and how he proves it: Authorization and WWW-Authenticate, read for names and never for proofs.

Sources: RFC 7616 (digest), RFC 9110 section 11. AMT's realm is ``Digest:`` and 32 hex digits (MeshCentral). A
probe for CVE-2017-5689 sends an empty or shortened response (Intel-SA-00075; Tenable, Embedi). The records
here stay inside the reader: what leaves it has neither nonce nor response.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from amtdiag.protocols.protocol import Field
from amtdiag.safetext import safe

_MAX_VALUE = 4096
_DIGITS = 32
"""Of an MD5 response, the shortest there is."""
_MAX_SHOWN = 64
_PARAMETER = re.compile(rb'([A-Za-z*-]{1,16})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_ESCAPE = re.compile(rb"\\(.)")
_SCHEMES = {
    scheme.lower(): scheme.decode() for scheme in (b"Digest", b"Basic", b"Negotiate", b"NTLM", b"Kerberos")
}
_SCHEME = re.compile(rb"(?:^|,)[ \t]*(" + b"|".join(_SCHEMES) + rb")(?=[ \t,]|$)(?![ \t]*=)", re.I)
_OTHER = "another scheme"


class Credentials(NamedTuple):
    """Credentials of a request."""

    scheme: str
    user: str | None
    nonce: bytes
    first_use: bool
    """The client counts this as its first use of the nonce."""
    short: bool | None
    """The response is shorter than any digest; None where the scheme is another."""


class Challenge(NamedTuple):
    """What a 401 asks for."""

    schemes: tuple[str, ...]
    realm: str | None
    nonce: bytes
    stale: bool
    """Only the nonce of the request was too old."""


FIELDS = {
    Credentials: (
        Field("scheme", "word", "Authorization: scheme (RFC 9110, 11.6.2)"),
        Field("user", "user", "Authorization: username (RFC 7616, 3.4)"),
        Field("nonce", "secret", "Authorization: nonce (RFC 7616, 3.4)"),
        Field("first_use", "flag", "Authorization: nc (RFC 7616, 3.4)"),
        Field("short", "flag", "Authorization: length of response (RFC 7616, 3.4)"),
    ),
    Challenge: (
        Field("schemes", "word", "WWW-Authenticate: schemes (RFC 9110, 11.6.1)"),
        Field("realm", "text", "WWW-Authenticate: realm (RFC 7616, 3.3)"),
        Field("nonce", "secret", "WWW-Authenticate: nonce (RFC 7616, 3.3)"),
        Field("stale", "flag", "WWW-Authenticate: stale (RFC 7616, 3.3)"),
    ),
}


def read_credentials(value: bytes) -> Credentials | None:
    """Read an Authorization field; None where it is empty."""
    if not value:
        return None
    scheme = _SCHEMES.get(re.split(rb"[ \t]", value, maxsplit=1)[0].lower(), _OTHER)
    if scheme != "Digest" or len(value) > _MAX_VALUE:
        return Credentials(scheme, None, b"", first_use=False, short=None)
    digest = parameters(value)
    user = digest.get(b"username")
    return Credentials(
        scheme,
        None if user is None else safe(user, _MAX_SHOWN),
        digest.get(b"nonce", b""),
        first_use=digest.get(b"nc", b"").lstrip(b"0") == b"1",
        short=len(digest.get(b"response", b"")) < _DIGITS,
    )


def read_challenge(values: Sequence[bytes]) -> Challenge:
    """Read the WWW-Authenticate fields of an answer."""
    schemes: list[str] = []
    digest: dict[bytes, bytes] = {}
    for value in values:
        if len(value) > _MAX_VALUE:
            continue
        offered = [_SCHEMES[scheme.lower()] for scheme in _SCHEME.findall(_QUOTED.sub(b'""', value))]
        schemes += offered
        if offered[:1] == ["Digest"] and not digest:
            digest = parameters(value)
    realm = digest.get(b"realm")
    return Challenge(
        tuple(dict.fromkeys(schemes)),
        None if realm is None else safe(realm, _MAX_SHOWN),
        digest.get(b"nonce", b""),
        digest.get(b"stale", b"").lower() == b"true",
    )


def parameters(value: bytes) -> dict[bytes, bytes]:
    """Return the parameters of a challenge or of credentials by lower-case name; the first of each counts."""
    found: dict[bytes, bytes] = {}
    for name, quoted, plain in _PARAMETER.findall(value[:_MAX_VALUE]):
        found.setdefault(name.lower(), _ESCAPE.sub(rb"\1", quoted) if quoted else plain)
    return found
