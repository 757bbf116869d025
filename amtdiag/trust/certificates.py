"""One certificate: from DER to the facts that AMT's rules ask for.

cryptography parses strictly, and an old or hostile certificate fails in ways that no list of types foresees:
what cannot be read is said in words and never raised.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from amtdiag.safetext import safe
from amtdiag.times import SECOND

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as Parsed
    from cryptography.x509 import Name

_NAME_LENGTH = 100
_TEXT_LENGTH = 256
_REASON_LENGTH = 120

CanonicalName = tuple[frozenset[tuple[str, str]], ...]
"""A name as it is compared: without the case, the spaces and the kind of its strings (RFC 5280, 7.1)."""


class Certificate(NamedTuple):
    """What of a certificate AMT's rules ask for. All text is safe to show."""

    parsed: Parsed
    der: bytes
    digests: tuple[bytes, bytes, bytes]
    """SHA-1, SHA-256 and SHA-384 of the certificate, as lists of devices have them."""
    subject: CanonicalName
    issuer: CanonicalName
    name: str
    """Of the subject, to show: its common name, else the last other part, else all of it."""
    issuer_name: str
    common_names: tuple[str, ...]
    units: tuple[str, ...]
    """OU of the subject."""
    usages: tuple[str, ...]
    """Extended key usages, as dotted numbers; empty where the extension is not there."""
    hosts: tuple[str, ...]
    """DNS names of the subject alternative name."""
    unread_extensions: str
    """Why usages and hosts could not be read; empty where they could."""
    key: str
    """Kind and size of the key, such as RSA 2048."""
    rsa_bits: int | None
    """None for a key of another kind, and for one that cannot be read."""
    unread_key: str
    """Why the key cannot be read; empty where it can."""
    signature_hash: str | None
    """sha256, sha1, md5 ...; None where the signature needs none, and where it is not known."""
    signature: str
    """The algorithm of the signature, to show."""
    not_before: int
    not_after: int
    """ns since 1970, both times included."""

    def names_as_issuer(self, other: Certificate) -> bool:
        """True where `other` bears the name of this certificate's issuer."""
        return self.issuer == other.subject

    def may_be_issued_by(self, other: Certificate) -> bool:
        """True unless names or signature say otherwise."""
        return self.names_as_issuer(other) and signature_holds(self, other) is not False

    @property
    def is_root(self) -> bool:
        """Issued by itself."""
        return self.may_be_issued_by(self)


def read_certificate(der: bytes) -> Certificate | str:
    """Return the facts of a certificate, or why it cannot be read."""
    from cryptography.x509 import load_der_x509_certificate

    try:
        with warnings.catch_warnings():
            # Old certificates have serial numbers of zero and the like; that does not matter here.
            warnings.simplefilter("ignore")
            return _facts(load_der_x509_certificate(der), der)
    except Exception as error:
        # Any exception: see above.
        return _reason(error)


def _reason(error: Exception) -> str:
    return safe(str(error), _REASON_LENGTH) or type(error).__name__


def _facts(parsed: Parsed, der: bytes) -> Certificate:
    from cryptography.x509.oid import NameOID

    subject, issuer = parsed.subject, parsed.issuer
    usages, hosts, unread_extensions = _extensions(parsed)
    key, rsa_bits, unread_key = _key(parsed)
    signature_hash, signature = _signature(parsed)
    return Certificate(
        parsed=parsed,
        der=der,
        # SHA-1 identifies here, as in the list of an old device; nothing rests on its strength.
        digests=(
            hashlib.sha1(der, usedforsecurity=False).digest(),
            hashlib.sha256(der).digest(),
            hashlib.sha384(der).digest(),
        ),
        subject=_canonical(subject),
        issuer=_canonical(issuer),
        name=_shown(subject),
        issuer_name=_shown(issuer),
        common_names=_texts(subject, NameOID.COMMON_NAME),
        units=_texts(subject, NameOID.ORGANIZATIONAL_UNIT_NAME),
        usages=usages,
        hosts=hosts,
        unread_extensions=unread_extensions,
        key=key,
        rsa_bits=rsa_bits,
        unread_key=unread_key,
        signature_hash=signature_hash,
        signature=signature,
        not_before=round(parsed.not_valid_before_utc.timestamp()) * SECOND,
        not_after=round(parsed.not_valid_after_utc.timestamp()) * SECOND,
    )


def _canonical(name: Name) -> CanonicalName:
    def plain(value: str | bytes) -> str:
        return " ".join(value.split()).casefold() if isinstance(value, str) else value.hex()

    return tuple(
        frozenset((attribute.oid.dotted_string, plain(attribute.value)) for attribute in rdn)
        for rdn in name.rdns
    )


def _texts(name: Name, oid: object) -> tuple[str, ...]:
    return tuple(safe(rdn.value, _TEXT_LENGTH) for rdn in name if rdn.oid == oid)


def _shown(name: Name) -> str:
    from cryptography.x509.oid import NameOID

    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(oid):
            return safe(attribute.value, _NAME_LENGTH)
    return safe(name.rfc4514_string(), _NAME_LENGTH) or "a nameless certificate"


def _extensions(parsed: Parsed) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return extended key usages and DNS names, and why they cannot be read."""
    from cryptography.x509 import DNSName, ExtendedKeyUsage, SubjectAlternativeName

    usages: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    try:
        for extension in parsed.extensions:
            if isinstance(extension.value, ExtendedKeyUsage):
                usages = tuple(usage.dotted_string for usage in extension.value)
            elif isinstance(extension.value, SubjectAlternativeName):
                found = extension.value.get_values_for_type(DNSName)
                hosts = tuple(safe(name, _TEXT_LENGTH) for name in found)
    except Exception as error:
        # One that is malformed hides all: they are parsed together.
        return (), (), _reason(error)
    return usages, hosts, ""


def _key(parsed: Parsed) -> tuple[str, int | None, str]:
    """Return the key to show, its size if it is RSA, and why it cannot be read."""
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

    try:
        key = parsed.public_key()
    except Exception as error:
        return "a key that cannot be read", None, _reason(error)
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}", key.key_size, ""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.key_size}", None, ""
    return f"DSA {key.key_size}" if isinstance(key, dsa.DSAPublicKey) else "another kind", None, ""


_OLD_SIGNATURES = {
    "1.2.840.113549.1.1.2": "md2",
    "1.2.840.113549.1.1.3": "md4",
    "1.3.14.3.2.3": "md5",
    "1.3.14.3.2.27": "sha1",
    "1.3.14.3.2.29": "sha1",
}
"""Signatures of the nineties that cryptography does not know, by their hash: RSA with MD2 and MD4 (RFC 8017),
and what the Open Systems Implementors' Workshop numbered: RSA with MD5, DSA and RSA with SHA-1."""


_OF_SHA = re.compile(r"^SHA(?=\d)")


def _signature(parsed: Parsed) -> tuple[str | None, str]:
    """Return the hash of the signature, and its algorithm to show."""
    number = parsed.signature_algorithm_oid.dotted_string
    try:
        used = parsed.signature_hash_algorithm
    except Exception:
        old = _OLD_SIGNATURES.get(number)
        return old, old.upper() if old else f"algorithm {number}"
    if used is None:
        return None, f"algorithm {number} without a hash"
    return used.name, _OF_SHA.sub("SHA-", used.name.upper())


def signature_holds(certificate: Certificate, issuer: Certificate) -> bool | None:
    """True or False where the signature can be checked, None where it cannot: MD2, unknown keys.

    Not `verify_directly_issued_by`: that refuses SHA-1 and MD5, which the roots in question were signed with.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        verify = _verifier(certificate.parsed, issuer.parsed)
        if verify is None:
            return None
        verify()
    except InvalidSignature:
        return False
    except Exception:
        # Whatever else is odd about an old key or signature: it proves nothing either way.
        return None
    return True


def _verifier(certificate: Parsed, issuer: Parsed) -> Callable[[], None] | None:
    """What verifies a signature, and raises where it does not hold; None for unknown kinds."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

    key, parameters = issuer.public_key(), certificate.signature_algorithm_parameters
    signature, signed, used = (
        certificate.signature,
        certificate.tbs_certificate_bytes,
        certificate.signature_hash_algorithm,
    )
    if isinstance(key, rsa.RSAPublicKey) and isinstance(parameters, padding.PKCS1v15 | padding.PSS) and used:
        return lambda: key.verify(signature, signed, parameters, used)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
        return lambda: key.verify(signature, signed, parameters)
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return lambda: key.verify(signature, signed)
    return None
