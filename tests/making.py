"""Certificates for the tests of chains, made as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 3, 2, tzinfo=UTC)
"""From when on certificates are valid; of the captures too."""
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
SETUP_OID = "2.16.840.1.113741.1.2.3"
SETUP_UNIT = "Intel(R) Client Setup Certificate"


@dataclass(frozen=True)
class Made:
    """A certificate and the key that it is about."""

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def make(
    name: str | Sequence[str],
    issuer: Made | None = None,
    *,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    usages: Sequence[str] = (),
    units: Sequence[str] = (),
    hosts: Sequence[str] = (),
    begins: datetime = NOW,
    ends: datetime = NOW + timedelta(days=30),
) -> Made:
    """Make a certificate that `issuer`, or itself, signs; with usages it is a leaf, else an authority."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    names = [name] if isinstance(name, str) else name
    subject = x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units),
            *(x509.NameAttribute(NameOID.COMMON_NAME, one) for one in names),
        ]
    )
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=not usages, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if usages:
        oids = [x509.ObjectIdentifier(one) for one in usages]
        builder = builder.add_extension(x509.ExtendedKeyUsage(oids), critical=False)
    if hosts:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in hosts])
        builder = builder.add_extension(alternatives, critical=False)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Made(builder.sign(signer, algorithm), key)
