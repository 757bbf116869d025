"""The caller's own root: from a certificate chain to the digests that a device would have to list.

Only CERTIFICATE blocks are looked at. A private key in the same file is neither decoded nor shown.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from amtdiag.errors import UsageError
from amtdiag.safetext import safe

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name

_PEM = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----",
    re.DOTALL,
)
_MOST_CERTIFICATES = 200
_NAME_LENGTH = 100


def own_root(chain: bytes) -> tuple[str, frozenset[bytes]]:
    """Return a name to show for the root of a certificate chain, and its SHA-1, SHA-256 and SHA-384 digests.

    `chain` is the content of a PEM file in any order, or a single DER certificate. The root is the
    self-signed certificate in which the chain of the first end certificate ends. Raises `UsageError` with
    one line where there is no certificate, none can be read, or the chain does not reach a root.
    """
    certificates = _certificates(chain)
    roots = list(
        dict.fromkeys(root for end in _ends(certificates)[:1] for root in _roots_above(end, certificates))
    )
    if not roots:
        raise UsageError(_no_root(certificates))
    if len(roots) > 1:
        raise UsageError(
            f"the chain leads to {len(roots)} roots, {' and '.join(one.name for one in roots[:2])}: "
            "keep the one that the server sends"
        )
    der = roots[0].der
    # SHA-1 identifies here, as in the list of an old device; nothing rests on its strength.
    digests = (hashlib.sha1(der, usedforsecurity=False), hashlib.sha256(der), hashlib.sha384(der))
    return roots[0].name, frozenset(digest.digest() for digest in digests)


class _Certificate:
    """What of a certificate is needed to find its place in a chain."""

    def __init__(self, der: bytes) -> None:
        from cryptography.x509 import load_der_x509_certificate

        with warnings.catch_warnings():
            # Old certificates have serial numbers of zero and the like; to find a root that does not matter.
            warnings.simplefilter("ignore")
            self.parsed: Certificate = load_der_x509_certificate(der)
            self.subject = self.parsed.subject.public_bytes()
            self.issuer = self.parsed.issuer.public_bytes()
            self.name = _shown(self.parsed.subject)
            self.issuer_name = _shown(self.parsed.issuer)
        self.der = der

    def may_be_issued_by(self, other: _Certificate) -> bool:
        """True unless names or signature say otherwise."""
        return self.issuer == other.subject and _signature_holds(self.parsed, other.parsed) is not False

    @property
    def is_root(self) -> bool:
        """Issued by itself."""
        return self.may_be_issued_by(self)


def _certificates(chain: bytes) -> list[_Certificate]:
    """Read every certificate that can be read, each once. At least one, or `UsageError`."""
    found: dict[bytes, _Certificate] = {}
    unreadable = ""
    for number, der in enumerate(_der_blocks(chain), 1):
        if len(found) >= _MOST_CERTIFICATES:
            raise UsageError(f"more than {_MOST_CERTIFICATES} certificates: this is no chain")
        try:
            found.setdefault(der, _Certificate(der))
        except Exception as error:
            # Any exception: a certificate of 1998 fails in ways that no list of types foresees.
            unreadable = unreadable or f"certificate {number} cannot be read: {safe(str(error), 120)}"
    if found:
        return list(found.values())
    raise UsageError(unreadable or "no certificate in it: it takes PEM with BEGIN CERTIFICATE, or DER")


def _der_blocks(chain: bytes) -> Iterator[bytes]:
    blocks = _PEM.findall(chain)
    for block in blocks:
        try:
            der = base64.b64decode(b"".join(block.split()), validate=True)
        except binascii.Error:
            der = b""
        yield _outermost(der)
    if not blocks and chain[:1] == b"\x30":
        yield _outermost(chain)


def _outermost(der: bytes) -> bytes:
    """Cut what follows the certificate: a TRUSTED CERTIFICATE of OpenSSL has its trust settings there."""
    if len(der) < 4 or der[0] != 0x30:
        return der
    if der[1] < 0x80:
        return der[: 2 + der[1]]
    size = der[1] & 0x7F
    return der[: 2 + size + int.from_bytes(der[2 : 2 + size])]


def _ends(certificates: Sequence[_Certificate]) -> list[_Certificate]:
    """Return the certificates that issue no other one; in a file of roots only, all of them."""
    ends = [
        one
        for one in certificates
        if not any(other is not one and other.may_be_issued_by(one) for other in certificates)
    ]
    leaves = [one for one in ends if not one.is_root]
    if leaves or len(ends) == 1:
        return leaves or ends
    if ends:
        names = " and ".join(one.name for one in ends[:2])
        raise UsageError(f"{len(ends)} roots and no chain, among them {names}: give one chain")
    return list(certificates)


def _roots_above(start: _Certificate, certificates: Sequence[_Certificate]) -> Iterator[_Certificate]:
    """Climb from one certificate to every root that it leads to: a cross-signed chain has several ways."""
    waiting, seen = [start], {start.der}
    while waiting:
        one = waiting.pop()
        if one.is_root:
            yield one
            continue
        for issuer in certificates:
            if issuer.der not in seen and one.may_be_issued_by(issuer):
                seen.add(issuer.der)
                waiting.append(issuer)


def _no_root(certificates: Sequence[_Certificate]) -> str:
    """Say where the chain stops, and so what to add."""
    one, seen = _ends(certificates)[0], set[bytes]()
    while one.der not in seen:
        seen.add(one.der)
        one = next((other for other in certificates if one.may_be_issued_by(other)), one)
    if one.issuer == one.subject:
        return f"no root in this chain: {one.name} names itself as its issuer, but did not sign itself"
    return f"no root in this chain: its last certificate, {one.name}, was issued by {one.issuer_name}"


def _shown(name: Name) -> str:
    """Return the common name, else the last other attribute, else all of it."""
    from cryptography.x509.oid import NameOID

    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(oid):
            return safe(attribute.value, _NAME_LENGTH)
    return safe(name.rfc4514_string(), _NAME_LENGTH) or "a nameless certificate"


def _signature_holds(one: Certificate, issuer: Certificate) -> bool | None:
    """True or False where the signature can be checked, None where it cannot: MD2, unknown keys.

    Not `verify_directly_issued_by`: that refuses SHA-1 and MD5, which the roots in question were signed with.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

    try:
        key, parameters = issuer.public_key(), one.signature_algorithm_parameters
        signature, signed = one.signature, one.tbs_certificate_bytes
        if isinstance(key, rsa.RSAPublicKey) and isinstance(parameters, padding.PKCS1v15 | padding.PSS):
            if one.signature_hash_algorithm is None:
                return None
            key.verify(signature, signed, parameters, one.signature_hash_algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            key.verify(signature, signed, parameters)
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        else:
            return None
    except InvalidSignature:
        return False
    except Exception:
        # Whatever else is odd about an old key or signature: it proves nothing either way.
        return None
    return True
