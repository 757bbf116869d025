"""Certificates for the simulated TLS sessions.

Keys are computed from their names, so that every run makes the same certificates: the digest of a sample's
root stands in a sample's Hello. They protect nothing, and nothing may trust them.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
"""AMT does not ask for this one; OpenSSL, which plays the device, does."""
SETUP_OID = "2.16.840.1.113741.1.2.3"
"""Extended key usage of a certificate that may provision AMT devices."""
SETUP_UNIT = "Intel(R) Client Setup Certificate"
_FROM = datetime.datetime(2026, 1, 15, tzinfo=datetime.UTC)
_EXPONENT = 65537
_SMALL_PRIMES = tuple(n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2)))
_SHA256_RSA = bytes.fromhex("06092a864886f70d01010b")
_SHA1_RSA = bytes.fromhex("06092a864886f70d010105")


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key and the chain that is shown with it, in PEM."""

    key: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate with its key."""

    key: RSAPrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """The certificate."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a certificate is to say. What is not wished for is as it should be."""

    name: str
    unit: str | None = None
    usages: Sequence[str] = ()
    """Extended key usages; none for an authority."""
    hosts: Sequence[str] = ()
    days: int = 365
    begins: datetime.datetime = field(default=_FROM)
    bits: int = 2048
    sha1: bool = False
    """Signed as was usual until 2015."""


def certify(wish: Wish, issuer: Authority | None = None, *, key: RSAPrivateKey | None = None) -> Authority:
    """Make a certificate, signed by its issuer or by itself; `key`: in place of the one of its name."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    key = key or seeded_key(wish.name, wish.bits)
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "amtdiag samples")]
    if wish.unit:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, wish.unit))
    subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, wish.name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(random.Random(wish.name).getrandbits(63) | 1 << 62)
        .not_valid_before(wish.begins)
        .not_valid_after(wish.begins + datetime.timedelta(days=wish.days))
        .add_extension(x509.BasicConstraints(ca=not wish.usages, path_length=None), critical=True)
    )
    if wish.usages:
        usages = [x509.ObjectIdentifier(usage) for usage in wish.usages]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if wish.hosts:
        names = [x509.DNSName(host) for host in wish.hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signer = issuer.key if issuer else key
    made = builder.sign(signer, hashes.SHA256())
    return Authority(key, _signed_with_sha1(made, signer) if wish.sha1 else made)


def _signed_with_sha1(made: x509.Certificate, signer: RSAPrivateKey) -> x509.Certificate:
    """The same certificate with a SHA-1 signature, which cryptography no longer makes."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_der_x509_certificate

    content = made.tbs_certificate_bytes.replace(_SHA256_RSA, _SHA1_RSA)
    signature = signer.sign(content, PKCS1v15(), hashes.SHA1())
    der = made.public_bytes(Encoding.DER)
    der = der.replace(made.tbs_certificate_bytes, content).replace(_SHA256_RSA, _SHA1_RSA)
    return load_der_x509_certificate(der.replace(made.signature, signature))


def identity(end: Authority, *shown: Authority) -> Identity:
    """What a TLS end needs to show these certificates: its own, then the others as they are listed."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = end.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Identity(key, b"".join(shown_authority.pem for shown_authority in (end, *shown)))


@lru_cache(maxsize=1)
def authority() -> Authority:
    """The stand-in for a certificate authority, one for all samples."""
    return certify(Wish("Sample Provisioning Root", days=3650))


def root_pem() -> bytes:
    """The root of the servers' chains."""
    return authority().pem


@lru_cache(maxsize=64)
def server_identity(suffix: str) -> Identity:
    """What an SCA needs for remote configuration in that domain: OID, OU, matching name, root included."""
    usages = (SERVER_AUTH, CLIENT_AUTH, SETUP_OID)
    leaf = certify(Wish(f"provisionserver.{suffix}", SETUP_UNIT, usages), authority())
    return identity(leaf, authority())


@lru_cache(maxsize=4)
def device_identity(name: str = "AMT RCFG") -> Identity:
    """The self-signed certificate that an unprovisioned device carries only for its key, or another one."""
    return identity(certify(Wish(name, days=7300)))


# ---------------------------------------------------------------------------------------------------- keys


@lru_cache(maxsize=64)
def seeded_key(name: str, bits: int = 2048) -> RSAPrivateKey:
    """The RSA key of that name: the same in every run, and so no secret at all."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    rng = random.Random(f"{name}/{bits}")
    p, q = _prime(rng, bits // 2), _prime(rng, bits // 2)
    private = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=private,
        dmp1=rsa.rsa_crt_dmp1(private, p),
        dmq1=rsa.rsa_crt_dmq1(private, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(_EXPONENT, p * q),
    )
    return numbers.private_key()


def _prime(rng: random.Random, bits: int) -> int:
    """A prime whose two highest bits are set, as far as twelve tests can tell."""
    while True:
        number = rng.getrandbits(bits) | 3 << bits - 2 | 1
        if all(number % small for small in _SMALL_PRIMES) and number % _EXPONENT != 1 and _is_prime(number):
            return number


def _is_prime(number: int) -> bool:
    """Miller and Rabin's test."""
    odd = number - 1
    twos = (odd & -odd).bit_length() - 1
    odd >>= twos
    for base in _SMALL_PRIMES[:12]:
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True
