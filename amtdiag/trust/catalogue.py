"""The catalogue of built-in root certificates: digest to root. The data is `roots.csv` in this package."""

import csv
from collections.abc import Mapping
from functools import lru_cache
from pkgutil import get_data
from typing import Any, NamedTuple


class CatalogueRoot(NamedTuple):
    """One root certificate, as `roots.csv` describes it. Dates are ISO text."""

    name: str
    mebx_name: str
    sha1: str
    sha256: str
    sha384: str
    not_before: str
    not_after: str
    key_algorithm: str
    key_bits: int
    signature_algorithm: str
    self_signed: str
    """`yes` where the certificate signs itself, as a root does."""
    in_amt: str
    """`yes`: seen in a device's list; `possibly`; `no`: real chains may end in it, no list shows it."""
    seen_in: str
    removed_in: str
    """From which release it is gone or of no use, with the reason."""
    derived_from: str
    source: str
    confidence: str

    @property
    def shown(self) -> str:
        """The name, with the one that MEBx shows where that differs."""
        return f"{self.name} (MEBx: {self.mebx_name})" if self.mebx_name else self.name

    @property
    def is_weak(self) -> bool:
        """A key below 2048 bits, or a signature with MD2, MD5 or SHA-1."""
        short = self.key_algorithm == "RSA" and self.key_bits < _MIN_RSA_BITS
        return short or self.signature_algorithm.lower().startswith(_WEAK_SIGNATURES)


_MIN_RSA_BITS = 2048
_WEAK_SIGNATURES = ("md2", "md5", "sha1")


@lru_cache(maxsize=1)
def roots() -> tuple[CatalogueRoot, ...]:
    """Return the catalogue in file order."""
    data = get_data(__package__, "roots.csv") or b""
    return tuple(_root(row) for row in csv.DictReader(data.decode("utf-8").splitlines()))


def _root(row: dict[str, str]) -> CatalogueRoot:
    values: dict[str, Any] = {name: row[name] for name in CatalogueRoot._fields}
    return CatalogueRoot(**{**values, "key_bits": int(row["key_bits"])})


@lru_cache(maxsize=1)
def by_digest() -> Mapping[bytes, CatalogueRoot]:
    """Return the catalogue by digest, whichever of the three it is.

    Match by digest and never by subject: two Entrust.net 2048 certificates share subject and key.
    """
    found = {}
    for root in roots():
        for text in (root.sha1, root.sha256, root.sha384):
            if text:
                found[bytes.fromhex(text)] = root
    return found
