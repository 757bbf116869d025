"""The caller's own root: from a certificate chain to the digests that a device would have to list.

Only CERTIFICATE blocks are looked at. A private key in the same file is neither decoded nor shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amtdiag.errors import UsageError
from amtdiag.trust.certificates import Certificate, read_certificate
from amtdiag.trust.user_chain import der_blocks

_MAX_CERTIFICATES = 200


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
            f"the chain leads to {len(roots)} roots, {' and '.join(root.name for root in roots[:2])}: "
            "keep the one that the server sends"
        )
    return roots[0].name, frozenset(roots[0].digests)


def _certificates(chain: bytes) -> list[Certificate]:
    """Read every certificate that can be read, each once. At least one, or `UsageError`."""
    found: dict[bytes, Certificate] = {}
    unreadable = ""
    for number, der in enumerate(der_blocks(chain), 1):
        if len(found) >= _MAX_CERTIFICATES:
            raise UsageError(f"more than {_MAX_CERTIFICATES} certificates: this is no chain")
        one = read_certificate(der)
        if isinstance(one, Certificate):
            found.setdefault(der, one)
        else:
            unreadable = unreadable or f"certificate {number} cannot be read: {one}"
    if found:
        return list(found.values())
    raise UsageError(unreadable or "no certificate in it: it takes PEM with BEGIN CERTIFICATE, or DER")


def _ends(certificates: Sequence[Certificate]) -> list[Certificate]:
    """Return the certificates that issue no other one; in a file of roots only, all of them."""
    ends = [
        certificate
        for certificate in certificates
        if not any(other is not certificate and other.may_be_issued_by(certificate) for other in certificates)
    ]
    leaves = [certificate for certificate in ends if not certificate.is_root]
    if leaves or len(ends) == 1:
        return leaves or ends
    if ends:
        names = " and ".join(certificate.name for certificate in ends[:2])
        raise UsageError(f"{len(ends)} roots and no chain, among them {names}: give one chain")
    return list(certificates)


def _roots_above(start: Certificate, certificates: Sequence[Certificate]) -> Iterator[Certificate]:
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


def _no_root(certificates: Sequence[Certificate]) -> str:
    """Say where the chain stops, and so what to add."""
    one, seen = _ends(certificates)[0], set[bytes]()
    while one.der not in seen:
        seen.add(one.der)
        one = next((other for other in certificates if one.may_be_issued_by(other)), one)
    if one.issuer == one.subject:
        return f"no root in this chain: {one.name} names itself as its issuer, but did not sign itself"
    return f"no root in this chain: its last certificate, {one.name}, was issued by {one.issuer_name}"
