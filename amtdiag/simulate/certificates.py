"""Certificates for the simulated TLS sessions: made anew in every run, their private keys kept nowhere."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SETUP_OID = "2.16.840.1.113741.1.2.3"
"""Extended key usage of a certificate that may provision AMT devices."""
SETUP_UNIT = "Intel(R) Client Setup Certificate"
_FROM = datetime.datetime(2026, 1, 15, tzinfo=datetime.UTC)
_DAYS = {"root": 3650, "leaf": 365, "device": 7300}


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key and its chain, leaf first, in PEM."""

    key: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class _Authority:
    key: RSAPrivateKey
    certificate: x509.Certificate


@lru_cache(maxsize=1)
def _authority() -> _Authority:
    """The stand-in for a certificate authority, one for all samples of a run."""
    key = _key()
    return _Authority(key, _certificate("Sample Provisioning Root", key, days=_DAYS["root"]))


def root_pem() -> bytes:
    """The root of the servers' chains."""
    return _pem(_authority().certificate)


@lru_cache(maxsize=64)
def server_identity(suffix: str) -> Identity:
    """What an SCA needs for remote configuration in that domain: OID, OU, matching name, root included."""
    key = _server_key()
    authority = _authority()
    leaf = _certificate(
        f"provisionserver.{suffix}", key, days=_DAYS["leaf"], issuer=authority, unit=SETUP_UNIT
    )
    return Identity(_key_pem(key), _pem(leaf) + _pem(authority.certificate))


@lru_cache(maxsize=1)
def device_identity() -> Identity:
    """The self-signed certificate that an unprovisioned device carries only for its key."""
    key = _key()
    return Identity(_key_pem(key), _pem(_certificate("AMT RCFG", key, days=_DAYS["device"])))


@lru_cache(maxsize=1)
def _server_key() -> RSAPrivateKey:
    return _key()


def _key() -> RSAPrivateKey:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _certificate(
    name: str, key: RSAPrivateKey, *, days: int, issuer: _Authority | None = None, unit: str | None = None
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "amtdiag samples")]
    if unit:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        # Fixed, so that every run makes certificates of one size.
        .serial_number(0x5A_0001 if issuer else 0x5A_0000)
        .not_valid_before(_FROM)
        .not_valid_after(_FROM + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        usages = [
            ExtendedKeyUsageOID.SERVER_AUTH,
            # AMT does not ask for this one; OpenSSL, which plays the device, does.
            ExtendedKeyUsageOID.CLIENT_AUTH,
            x509.ObjectIdentifier(SETUP_OID),
        ]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(issuer.key if issuer else key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: RSAPrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
