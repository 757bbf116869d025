"""Rules about age: dates, and the keys and signatures that later releases refuse."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

from amtdiag.times import SECOND, clock
from amtdiag.trust.certificates import Certificate
from amtdiag.trust.chain_path import Studied
from amtdiag.trust.releases import Applies, refuses_old
from amtdiag.trust.rule import WHOLE_CHAIN, ChainContext, ContextRule, RuleResult

_MIN_RSA_BITS = 2048
_OLD_HASHES = frozenset({"md2", "md4", "md5", "sha1"})


class IsInTime(ContextRule):
    """The capture was taken while every certificate was valid."""

    id = "dates"
    title = "A certificate of the chain is out of date"
    catalogue = "F28"
    severity = "warning"
    expected = "a certificate that is valid at the time of the capture"
    remedy = "Renew the certificate; if it is valid, compare the clocks of server, device and capture."
    source = "RFC 5280; issue MeshCentral 3855"

    def look(self, chain: Studied, context: ChainContext) -> Iterator[RuleResult]:
        """Against the time of the capture; MeshCentral refuses to load an expired one."""
        invalid = [
            (place, certificate)
            for place, certificate in chain.readable
            if not certificate.not_before <= context.when < certificate.not_after + SECOND
        ]
        for place, certificate in invalid:
            late = context.when >= certificate.not_before
            dated = (
                f"expired {clock(certificate.not_after)}"
                if late
                else f"is valid from {clock(certificate.not_before)} on"
            )
            yield self.result(
                "broken",
                f"{chain.named(place)} {dated}, and the capture is of {clock(context.when)}",
                place=place,
                why="whether firmware looks at dates is not documented; servers do",
            )
        if not invalid and _are_all_read(chain):
            until = min(certificate.not_after for _, certificate in chain.readable)
            yield self.result("holds", f"all are valid, until {clock(until)[:10]}")
        elif not invalid:
            yield self.unseen("the dates cannot be told", _NOT_ALL_READ, WHOLE_CHAIN)


def _are_all_read(chain: Studied) -> bool:
    return bool(chain.certificates) and not chain.unreadable


_NOT_ALL_READ = "a certificate is not there, or cannot be read"


class _OfLaterReleases(ContextRule):
    """A rule of 15.0-H, and of 16.0 and later."""

    fine: ClassVar[str]
    """What is got where nothing is against any certificate."""

    @abstractmethod
    def blames(self, certificate: Certificate) -> str | None:
        """Return what is against a certificate; an empty text where that cannot be told."""

    def look(self, chain: Studied, context: ChainContext) -> Iterator[RuleResult]:
        """Every certificate, the root too; whether it matters, the device's release tells."""
        results = _aged(self, chain, refuses_old(context.release))
        yield from results
        if not results and _are_all_read(chain):
            yield self.result("holds", self.fine)
        elif not results:
            yield self.unseen("keys and signatures cannot be told", _NOT_ALL_READ, WHOLE_CHAIN)

    def aged(self, chain: Studied, applies: Applies) -> Iterator[RuleResult]:
        """What is to be said of the certificates to a device that the rule binds, or not."""
        for place, certificate in chain.readable:
            blame = self.blames(certificate)
            if blame is None:
                continue
            got = f"{chain.named(place)} has {blame or 'something unknown'}"
            if not blame and applies != "no":
                got = f"{chain.named(place)}: {certificate.unread_key or certificate.signature}"
                yield self.unseen(got, "it cannot be told from that", "`openssl x509 -text`", place)
            elif applies == "yes":
                yield self.result("broken", got, place=place)
            elif applies == "maybe":
                why = "AMT 15.0-H, 16.0 and later refuse that, and which release this is, is not known"
                yield self.doubtful(got, why, place)
            else:
                why = "this device is older than the releases that refuse it"
                yield self.result("holds", got, place=place, why=why)


@lru_cache(maxsize=128)
def _aged(rule: _OfLaterReleases, chain: Studied, applies: Applies) -> tuple[RuleResult, ...]:
    return tuple(rule.aged(chain, applies))


class KeyIsLongEnough(_OfLaterReleases):
    """No RSA key below 2048 bits, root included."""

    id = "key-size"
    title = "A key in the chain is too short for this release"
    catalogue = "F21"
    expected = "RSA of 2048 bits or more"
    fine = "no RSA key has less than 2048 bits"
    remedy = (
        "Have the certificate issued anew with an RSA key of 2048 bits or more, below a root that has one."
    )
    source = "Intel's AMT guide, root certificate hashes"

    def blames(self, certificate: Certificate) -> str | None:
        """The key of each certificate."""
        if certificate.unread_key:
            return ""
        return (
            f"a key of {certificate.key}"
            if certificate.rsa_bits and certificate.rsa_bits < _MIN_RSA_BITS
            else None
        )


class SignatureIsModern(_OfLaterReleases):
    """No SHA-1 and nothing older, root included."""

    id = "signature-algorithm"
    title = "A signature in the chain is too old for this release"
    catalogue = "F20"
    expected = "a chain with SHA-2 signatures throughout, the root's own among them"
    fine = "no signature is made with SHA-1 or older"
    remedy = (
        "Have the certificate issued anew below a root with a SHA-2 signature that the device lists, such as "
        "DigiCert Global Root G2."
    )
    source = "Intel KB 000090051; Intel's AMT guide; issue deployment 139 (accepted by 14.1, refused by 16.0)"

    def blames(self, certificate: Certificate) -> str | None:
        """The signature of each certificate."""
        if certificate.signature_hash is None:
            return None if certificate.signature.endswith("without a hash") else ""
        return (
            f"a signature with {certificate.signature}" if certificate.signature_hash in _OLD_HASHES else None
        )
