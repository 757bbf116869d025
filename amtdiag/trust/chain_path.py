"""A chain of certificates as such: which is the leaf, which issues which, and where the way up ends.

All of it depends on the chain alone. Devices of one server are shown the same chain, so that this is found
out once a chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

from amtdiag.trust.certificates import Certificate, read_certificate, signature_holds

MAX_CERTIFICATES = 16
"""Certificates of a chain that are looked at; real chains have up to six."""


class Studied:
    """A chain and what its certificates are to each other. Places count from 0, in the order of the chain.

    Equal only to itself, so that what is found out about it can be kept by it.
    """

    def __init__(self, chain: Sequence[bytes], whole: bool) -> None:
        self.whole = whole
        """All certificates that were sent are given."""
        self.certificates: tuple[Certificate | str, ...] = tuple(map(read_certificate, chain))
        """In place of one that cannot be read: why not."""
        self.readable = [
            (at, certificate)
            for at, certificate in enumerate(self.certificates)
            if isinstance(certificate, Certificate)
        ]
        """The certificates that can be read, with their places."""
        self.unreadable = [
            (at, certificate)
            for at, certificate in enumerate(self.certificates)
            if isinstance(certificate, str)
        ]
        """The places of the others, and why they cannot be read."""
        read = dict(self.readable)
        self.leaf = _leaf(read)
        """The place of the certificate that issues no other; 0 where several do not, or all do."""
        self.path = _climb(self.leaf, read)
        """From the leaf to the issuer, to its issuer ... wherever they stand. Only what can be read."""
        self.signatures = tuple(signature_holds(read[low], read[high]) for low, high in pairwise(self.path))
        """For each step of `path`: whether the signature holds; None where that cannot be verified."""
        self.has_root = bool(self.path) and read[self.path[-1]].is_root
        """The last certificate of `path` is signed by itself."""

    def at(self, place: int) -> Certificate:
        """Return a certificate that can be read, as all of `path` can."""
        found = self.certificates[place]
        assert isinstance(found, Certificate)
        return found

    @property
    def leaf_certificate(self) -> Certificate | None:
        """The leaf, unless it cannot be read or there is none."""
        return self.at(self.path[0]) if self.path else None

    @property
    def top(self) -> Certificate | None:
        """The certificate in which the way up ends."""
        return self.at(self.path[-1]) if self.path else None

    def named(self, place: int) -> str:
        """Return what a sentence calls a certificate: its number from 1, and its name."""
        one = self.certificates[place]
        return f"certificate {place + 1}" + (f" ({one.name})" if isinstance(one, Certificate) else "")


@lru_cache(maxsize=64)
def study(chain: tuple[bytes, ...], whole: bool) -> Studied:
    """Read and follow a chain, of which no more than `MAX_CERTIFICATES` are given."""
    return Studied(chain, whole)


def _leaf(read: Mapping[int, Certificate]) -> int:
    """Find the end of a chain: the first certificate, unless it issues others and just one does not."""
    ends = [
        place
        for place, certificate in read.items()
        if not any(
            other.der != certificate.der and other.names_as_issuer(certificate) for other in read.values()
        )
    ]
    return ends[0] if len(ends) == 1 and 0 in read else 0


def _climb(start: int, read: Mapping[int, Certificate]) -> tuple[int, ...]:
    """Go from issuer to issuer: to a root if any way leads to one, else as far as there are issuers.

    Where several bear the issuer's name, one whose key verifies the signature comes first, then the next in
    order. Each certificate is tried once.
    """
    if start not in read:
        return ()
    ways: list[tuple[int, ...]] = [(start,)]
    longest: tuple[int, ...] = ()
    tried = {start}
    while ways:
        way = ways.pop()
        one = read[way[-1]]
        if one.is_root:
            return way
        issuers = [
            place
            for place, other in read.items()
            if place not in tried and one.names_as_issuer(other) and other.der != one.der
        ]
        if not issuers and len(way) > len(longest):
            longest = way
        # The last is taken first.
        issuers.sort(key=lambda place: (signature_holds(one, read[place]) is not False, place == way[-1] + 1))
        tried.update(issuers)
        ways += [(*way, place) for place in issuers]
    return longest
