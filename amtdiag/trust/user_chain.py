"""The caller's own chain: from the content of a file to the certificates that a server would send.

PEM, a single DER certificate, or PKCS#12 (.pfx, .p12). In PEM the order of the file is kept, as a server
that is given the file sends it so, and the rule about order judges it. PKCS#12 is a bag without an order,
which the server brings in order itself: the certificate that belongs to the key comes first, then each
issuer, then what is left. A private key in PEM is not decoded; that of a PKCS#12 file, which can only be
opened as a whole, is dropped at once.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from amtdiag.errors import UsageError
from amtdiag.trust.certificates import Certificate, read_certificate
from amtdiag.trust.chain_path import MAX_CERTIFICATES, study

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as Parsed

_PEM = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----",
    re.DOTALL,
)
_MAX_CERTIFICATES = 200


def own_chain(data: bytes, password: Callable[[], bytes] | None = None) -> tuple[tuple[bytes, ...], str]:
    """Return the certificates of a file, DER, in the order in which a server sends them, and a name to show.

    The name is that of the certificate that issues no other one.

    `password` is called, at most once, for a PKCS#12 file that does not open without one. Raises
    `UsageError` with one line where there is no certificate, one cannot be read, or the password is wrong.
    """
    found = _of_pkcs12(data, password) if _is_pkcs12(data) else tuple(der_blocks(data))
    if not found:
        raise UsageError("no certificate in it: it takes PEM with BEGIN CERTIFICATE, DER, or PKCS#12")
    if len(found) > _MAX_CERTIFICATES:
        raise UsageError(f"more than {_MAX_CERTIFICATES} certificates: this is no chain")
    for number, der in enumerate(found, 1):
        one = read_certificate(der)
        if isinstance(one, str):
            raise UsageError(f"certificate {number} cannot be read: {one}")
    leaf = study(found[:MAX_CERTIFICATES], whole=True).leaf_certificate
    return found, leaf.name if leaf else "a chain without a leaf"


def der_blocks(data: bytes) -> Iterator[bytes]:
    """Yield what stands between the lines of each certificate in PEM, or a single DER certificate."""
    blocks = _PEM.findall(data)
    for block in blocks:
        try:
            der = base64.b64decode(b"".join(block.split()), validate=True)
        except binascii.Error:
            der = b""
        yield _outermost(der)
    if not blocks and data[:1] == b"\x30":
        yield _outermost(data)


def _content_at(der: bytes) -> int | None:
    """Where the content of the outermost sequence begins; None where there is no sequence."""
    if len(der) < 4 or der[0] != 0x30:
        return None
    return 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)


def _outermost(der: bytes) -> bytes:
    """Cut what follows the certificate: a TRUSTED CERTIFICATE of OpenSSL has its trust settings there."""
    at = _content_at(der)
    if at is None:
        return der
    return der[: at + (der[1] if at == 2 else int.from_bytes(der[2:at]))]


def _is_pkcs12(data: bytes) -> bool:
    """True where version 3 stands first, as in each PKCS#12 file (RFC 7292); in certificates a sequence."""
    at = _content_at(data)
    return at is not None and data[at : at + 3] == b"\x02\x01\x03"


def _of_pkcs12(data: bytes, password: Callable[[], bytes] | None) -> tuple[bytes, ...]:
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        found = _opened(data, None)
    except ValueError:
        if password is None:
            raise UsageError("this PKCS#12 file needs a password") from None
        try:
            found = _opened(data, password())
        except ValueError:
            raise UsageError("the password is wrong, or the PKCS#12 file is damaged") from None
    return _in_order([certificate.public_bytes(Encoding.DER) for certificate in found])


def _opened(data: bytes, password: bytes | None) -> list[Parsed]:
    """Return the certificates, the key's own first. Raises `ValueError` where the file does not open."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

    try:
        own, others = load_key_and_certificates(data, password)[1:]  # the key is not even given a name
    except UnsupportedAlgorithm:
        raise UsageError(
            "this PKCS#12 file is encrypted in a way that is not supported: export it anew"
        ) from None
    except TypeError as error:  # "Password was not given but private key is encrypted"
        raise ValueError(str(error)) from None
    return [*([own] if own is not None else []), *others]


def _in_order(found: list[bytes]) -> tuple[bytes, ...]:
    """Put each issuer behind what it issued, from the first certificate on; what is left comes last."""
    read = [(der, read_certificate(der)) for der in dict.fromkeys(found)]
    left = {der: certificate for der, certificate in read if isinstance(certificate, Certificate)}
    ordered = []
    current = next(iter(left.values()), None)
    while current is not None:
        ordered.append(current.der)
        del left[current.der]
        current = next(
            (certificate for certificate in left.values() if current.may_be_issued_by(certificate)), None
        )
    return (*ordered, *(der for der, _ in read if der not in ordered))
