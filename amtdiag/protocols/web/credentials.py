"""Who asks, and how he proves it: Authorization and WWW-Authenticate, read for names and never for proofs.

Sources: RFC 7616 (digest), RFC 9110 section 11. AMT's realm is ``Digest:`` and 32 hex digits (MeshCentral). A
probe for CVE-2017-5689 sends an empty or shortened response (Intel-SA-00075; Tenable, Embedi). The records
here stay inside the reader: what leaves it has neither nonce nor response.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from amtdiag.safetext import safe

_LONGEST = 4096
_DIGITS = 32
"""Of an MD5 response, the shortest there is."""
_TEXT = 64
_PARAMETER = re.compile(rb'([A-Za-z*-]{1,16})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_ESCAPE = re.compile(rb"\\(.)")
_SCHEMES = {one.lower(): one.decode() for one in (b"Digest", b"Basic", b"Negotiate", b"NTLM", b"Kerberos")}
_SCHEME = re.compile(rb"(?:^|,)[ \t]*(" + b"|".join(_SCHEMES) + rb")(?=[ \t,]|$)(?![ \t]*=)", re.I)
_OTHER = "another scheme"


class Sent(NamedTuple):
    """Credentials of a request."""

    scheme: str
    user: str | None
    nonce: bytes
    first_use: bool
    """The client counts this as its first use of the nonce."""
    short: bool | None


class Asked(NamedTuple):
    """What a 401 asks for."""

    schemes: tuple[str, ...]
    realm: str | None
    nonce: bytes
    stale: bool


def sent(value: bytes) -> Sent | None:
    """Read an Authorization field; None where it is empty."""
    if not value:
        return None
    scheme = _SCHEMES.get(re.split(rb"[ \t]", value, maxsplit=1)[0].lower(), _OTHER)
    if scheme != "Digest" or len(value) > _LONGEST:
        return Sent(scheme, None, b"", first_use=False, short=None)
    said = parameters(value)
    user = said.get(b"username")
    return Sent(
        scheme,
        None if user is None else safe(user, _TEXT),
        said.get(b"nonce", b""),
        first_use=said.get(b"nc", b"").lstrip(b"0") == b"1",
        short=len(said.get(b"response", b"")) < _DIGITS,
    )


def asked(values: Sequence[bytes]) -> Asked:
    """Read the WWW-Authenticate fields of an answer."""
    schemes: list[str] = []
    digest: dict[bytes, bytes] = {}
    for value in values:
        if len(value) > _LONGEST:
            continue
        here = [_SCHEMES[one.lower()] for one in _SCHEME.findall(_QUOTED.sub(b'""', value))]
        schemes += here
        if here[:1] == ["Digest"] and not digest:
            digest = parameters(value)
    realm = digest.get(b"realm")
    return Asked(
        tuple(dict.fromkeys(schemes)),
        None if realm is None else safe(realm, _TEXT),
        digest.get(b"nonce", b""),
        digest.get(b"stale", b"").lower() == b"true",
    )


def parameters(value: bytes) -> dict[bytes, bytes]:
    """Return the parameters of a challenge or of credentials by lower-case name; the first of each counts."""
    found: dict[bytes, bytes] = {}
    for name, quoted, plain in _PARAMETER.findall(value[:_LONGEST]):
        found.setdefault(name.lower(), _ESCAPE.sub(rb"\1", quoted) if quoted else plain)
    return found
