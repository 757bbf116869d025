"""Rules about a chain as such: it can be read, it is complete and in order, and its signatures hold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from amtdiag.trust.certificates import Certificate
from amtdiag.trust.chain_path import Studied
from amtdiag.trust.rule import WHOLE_CHAIN, ChainRule, RuleResult

_MAX_NAMED = 6


class CanBeRead(ChainRule):
    """Every certificate can be parsed."""

    id = "chain-readable"
    title = "A certificate of the chain cannot be read"
    severity = "info"
    expected = "a well-formed certificate"
    remedy = "Look at the certificate with `openssl x509 -text`; have it issued anew if that fails too."
    source = "RFC 5280"

    def look(self, chain: Studied) -> Iterator[RuleResult]:
        """What cannot be parsed here may still be read by the firmware."""
        for place, why in chain.unreadable:
            got = f"certificate {place + 1} cannot be read"
            yield self.unseen(got, f"the parser says: {why}", self.remedy, place)
        for place, certificate in chain.readable:
            if certificate.unread_extensions:
                got = f"the extensions of {chain.named(place)} cannot be read"
                yield self.unseen(
                    got, f"the parser says: {certificate.unread_extensions}", self.remedy, place
                )
        if all(
            isinstance(certificate, Certificate) and not certificate.unread_extensions
            for certificate in chain.certificates
        ):
            yield self.result("holds", f"{len(chain.certificates)} certificates, all well-formed")


class IsComplete(ChainRule):
    """The chain goes up to a root, and the root is sent too."""

    id = "chain-complete"
    title = "The chain does not reach a root"
    catalogue = "F26"
    expected = "every issuer up to the self-signed root"
    remedy = "Put the intermediate certificates and the root into the PFX or PEM file that the server uses."
    source = "Intel's AMT guide, remote configuration and chains; issue MeshCentral 3855"

    def look(self, chain: Studied) -> Iterator[RuleResult]:
        """From issuer to issuer, in whatever order they stand; web servers leave the root out."""
        if chain.top is not None and chain.has_root:
            yield self.result("holds", f"it ends in the root {chain.top.name}")
        elif not chain.certificates and chain.whole:
            yield self.result("broken", "there is no certificate at all")
        elif not chain.whole or chain.unreadable:
            why = "the chain is not whole here, or a part of it cannot be read"
            yield self.unseen("no root is found", why, WHOLE_CHAIN)
        else:
            last = chain.path[-1]
            one = chain.at(last)
            got = f"{chain.named(last)} was issued by {one.issuer_name}, which is not there"
            if one.names_as_issuer(one):
                got = f"{chain.named(last)} names itself as its issuer, but did not sign itself"
            yield self.result("broken", got, place=last)


class IsInOrder(ChainRule):
    """Leaf first, each issuer next, root last."""

    id = "chain-order"
    title = "The certificates are out of order"
    catalogue = "F27"
    expected = "the leaf first, behind each certificate its issuer, and the root last"
    remedy = "Order the file: leaf, intermediate certificates from the bottom up, root; each one once."
    source = "Intel's AMT guide, certificate chains"

    def look(self, chain: Studied) -> Iterator[RuleResult]:
        """Each certificate and the next, by their names."""
        for place, (lower, upper) in enumerate(pairwise(chain.certificates)):
            if not isinstance(lower, Certificate) or not isinstance(upper, Certificate):
                yield self.unseen("the order cannot be told", "a certificate cannot be read", WHOLE_CHAIN)
                return
            if lower.names_as_issuer(upper) and lower.der != upper.der and not lower.is_root:
                continue
            issuers = [
                at for at, certificate in chain.readable if lower.names_as_issuer(certificate) and at != place
            ]
            if lower.der == upper.der:
                got = f"{chain.named(place)} is there twice in a row"
            elif lower.is_root:
                got = f"behind the root, {chain.named(place)}, stands {chain.named(place + 1)}"
            elif issuers:
                got = f"the issuer of {chain.named(place)} is {chain.named(issuers[0])}"
            elif place not in chain.path:
                got = f"{chain.named(place)} does not belong between the others"
            else:
                got = f"the issuer of {chain.named(place)}, {lower.issuer_name}, is not there"
                yield self.unseen(got, "without it, there is no order to tell", WHOLE_CHAIN, place)
                return
            yield self.result("broken", got, place=place)
            return
        if chain.unreadable or not chain.certificates:
            yield self.unseen("the order cannot be told", "no certificate can be read", WHOLE_CHAIN)
        else:
            names = " < ".join(certificate.name for _, certificate in chain.readable[:_MAX_NAMED])
            yield self.result("holds", f"in order: {names}")


class SignaturesHold(ChainRule):
    """Each certificate is signed with the key of its issuer."""

    id = "chain-signatures"
    title = "A signature in the chain does not hold"
    expected = "a signature that the issuer's key verifies"
    remedy = (
        "The chain has an issuer of the right name with another key, as after a CA's renewal: take the "
        "intermediate certificate that the CA delivered with this one."
    )
    source = (
        "RFC 5280, 6.1; issues MeshCentral 934 and 4368 (a device says that it cannot verify a certificate)"
    )

    def look(self, chain: Studied) -> Iterator[RuleResult]:
        """From the leaf up; MD2 and other kinds that cannot be verified here are no bad signatures."""
        for step, held in enumerate(chain.signatures):
            lower, upper = chain.path[step], chain.path[step + 1]
            if held is None:
                got = f"the signature of {chain.named(lower)} ({chain.at(lower).signature}) was not verified"
                why = f"it cannot be verified here with the key of {chain.named(upper)}"
                yield self.unseen(got, why, "`openssl verify` in a version that knows this algorithm", lower)
            elif not held:
                got = f"the key of {chain.named(upper)} does not verify {chain.named(lower)}"
                yield self.result("broken", got, place=lower)
        if not chain.path:
            yield self.unseen("no signature was verified", "the leaf cannot be read", WHOLE_CHAIN)
        elif all(chain.signatures):
            yield self.result("holds", f"signatures verified: {len(chain.signatures)}")
