"""What a device asks of the chain that a server shows it. Data: one row a rule, tried in their order.

Sources: Intel's AMT guide on certificates, chains, root hashes and remote configuration; Intel KB 000090051
and 000100444. Which alert a firmware sends for which rule is not documented: the numbers are those that
RFC 5246 (7.2.2) has for such a fault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

BAD_CERTIFICATE, EXPIRED, UNKNOWN_CA = 42, 45, 48
_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_SETUP_OID = "2.16.840.1.113741.1.2.3"
_SETUP_UNIT = "Intel(R) Client Setup Certificate"
_TWO_LABELS = frozenset({"com", "net"})
"""Below these the last two labels are enough from AMT 2.6 on (Intel's forum, 2007)."""
_STRICT = 16
"""From this release on SHA-1 and RSA below 2048 bits are refused (from 15.0 on H platforms already)."""
_MIN_BITS = 2048
_MAX_CERTIFICATES = 10


class Facts(NamedTuple):
    """What a device goes by."""

    digests: frozenset[bytes]
    """Of the roots that it lists."""
    suffix: str
    """DHCP option 15, or what is set in MEBx; empty where it knows none."""
    now: datetime
    release: int
    """The first number of its firmware's version."""


class Refusal(NamedTuple):
    """Why a chain is not accepted, and the alert that says so."""

    rule: str
    alert: int
    why: str


class SimulatedRule(NamedTuple):
    """One condition."""

    name: str
    alert: int
    fault: Callable[[Sequence[Certificate], Facts], str | None]
    """Says what is wrong, or None."""
    since: int = 0
    """The first release that asks it."""


def refusal(ders: Sequence[bytes], facts: Facts) -> Refusal | None:
    """Return why the device refuses this chain, leaf first; None where it accepts it."""
    from cryptography.x509 import load_der_x509_certificate

    if len(ders) > _MAX_CERTIFICATES:
        return Refusal("length", BAD_CERTIFICATE, f"{len(ders)} certificates")
    try:
        chain = [load_der_x509_certificate(der) for der in ders]
        for rule in RULES:
            if facts.release >= rule.since and (why := rule.fault(chain, facts)):
                return Refusal(rule.name, rule.alert, why)
    except (ValueError, TypeError) as error:  # what cryptography cannot read
        return Refusal("readable", BAD_CERTIFICATE, f"a certificate cannot be read: {error}")
    return None


# -------------------------------------------------------------------------------------------------- the rules


def _order(chain: Sequence[Certificate], _facts: Facts) -> str | None:
    for number, (certificate, above) in enumerate(pairwise(chain), 1):
        if certificate.issuer != above.subject:
            return f"certificate {number + 1} is not the issuer of certificate {number}"
    return None


def _signatures(chain: Sequence[Certificate], _facts: Facts) -> str | None:
    for number, (certificate, above) in enumerate(pairwise(chain), 1):
        if not _is_signed_by(certificate, above):
            return f"certificate {number} is not signed by certificate {number + 1}"
    return None


def _is_signed_by(certificate: Certificate, above: Certificate) -> bool:
    """Try the signature itself: `verify_directly_issued_by` knows no SHA-1, which old firmware accepts."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PSS, PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = above.public_key()
    try:
        how, digest = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
        signed = certificate.signature, certificate.tbs_certificate_bytes
        if isinstance(key, RSAPublicKey) and isinstance(how, PKCS1v15 | PSS) and digest is not None:
            key.verify(*signed, how, digest)
        elif isinstance(key, EllipticCurvePublicKey) and isinstance(how, ECDSA):
            key.verify(*signed, how)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _root(chain: Sequence[Certificate], facts: Facts) -> str | None:
    from cryptography.hazmat.primitives.serialization import Encoding

    last = chain[-1]
    der = last.public_bytes(Encoding.DER)
    if any(hashlib.new(name, der, usedforsecurity=False).digest() in facts.digests for name in _DIGESTS):
        return None
    what = "the root is" if last.issuer == last.subject else "the chain does not reach its root: its end is"
    return f"{what} not in the list ({hashlib.sha256(der).hexdigest()[:16]}...)"


_DIGESTS = ("sha1", "sha256", "sha384")


def _usages(leaf: Certificate) -> list[str]:
    from cryptography.x509 import ExtendedKeyUsage, ExtensionNotFound

    try:
        found = leaf.extensions.get_extension_for_class(ExtendedKeyUsage)
    except ExtensionNotFound:
        return []
    return [usage.dotted_string for usage in found.value]


def _names(leaf: Certificate, unit: bool = False) -> list[str]:
    from cryptography.x509.oid import NameOID

    kind = NameOID.ORGANIZATIONAL_UNIT_NAME if unit else NameOID.COMMON_NAME
    return [str(attribute.value) for attribute in leaf.subject.get_attributes_for_oid(kind)]


def _mark(chain: Sequence[Certificate], _facts: Facts) -> str | None:
    leaf = chain[0]
    if _SETUP_OID in _usages(leaf) or _SETUP_UNIT in _names(leaf, unit=True):
        return None
    return f'the leaf has neither the usage {_SETUP_OID} nor the OU "{_SETUP_UNIT}"'


def _server_auth(chain: Sequence[Certificate], _facts: Facts) -> str | None:
    return None if _SERVER_AUTH in _usages(chain[0]) else "the leaf is not for server authentication"


def _suffix(chain: Sequence[Certificate], facts: Facts) -> str | None:
    suffix = facts.suffix.casefold().strip(".").split(".")
    if suffix == [""]:
        return "the device knows no DNS suffix (no --domain)"
    names = _names(chain[0])
    for name in names:
        labels = name.casefold().strip(".").split(".")
        if labels[-len(suffix) :] == suffix:
            return None
        if labels[-1] in _TWO_LABELS and len(suffix) > 1 and labels[-2:] == suffix[-2:]:
            return None
    return f"the leaf is for {', '.join(names) or 'no name'}, the device's suffix is {facts.suffix}"


def _dates(chain: Sequence[Certificate], facts: Facts) -> str | None:
    for number, certificate in enumerate(chain, 1):
        if not certificate.not_valid_before_utc <= facts.now <= certificate.not_valid_after_utc:
            days = (
                f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
            )
            return f"certificate {number} is valid from {days}"
    return None


def _key_size(chain: Sequence[Certificate], _facts: Facts) -> str | None:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    for number, certificate in enumerate(chain, 1):
        key = certificate.public_key()
        if isinstance(key, RSAPublicKey) and key.key_size < _MIN_BITS:
            return f"certificate {number} has an RSA key of {key.key_size} bits"
    return None


def _sha1(chain: Sequence[Certificate], _facts: Facts) -> str | None:
    for number, certificate in enumerate(chain, 1):
        digest = certificate.signature_hash_algorithm
        if digest is not None and digest.name in ("sha1", "md5"):
            return f"certificate {number} is signed with {digest.name}"
    return None


RULES: tuple[SimulatedRule, ...] = (
    SimulatedRule("order", BAD_CERTIFICATE, _order),
    SimulatedRule("signatures", BAD_CERTIFICATE, _signatures),
    SimulatedRule("root", UNKNOWN_CA, _root),
    SimulatedRule("setup-mark", BAD_CERTIFICATE, _mark),
    SimulatedRule("server-auth", BAD_CERTIFICATE, _server_auth),
    SimulatedRule("suffix", BAD_CERTIFICATE, _suffix),
    SimulatedRule("dates", EXPIRED, _dates),  # which firmware looks at dates is not documented
    SimulatedRule("key-size", BAD_CERTIFICATE, _key_size, since=_STRICT),
    SimulatedRule("sha1", BAD_CERTIFICATE, _sha1, since=_STRICT),
)
