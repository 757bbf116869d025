"""The provisioning chain that the server shows, held against the device that refuses it.

Which alert a firmware sends for which fault is not documented: the alert says that and who refused, the chain
that is seen says why. Where it breaks several rules, two alerts tell more than the others by their own names:
certificate expired, and unknown CA.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import Candidate, Confidence, Evidence, Finding, Unknown
from amtdiag.rules.base import DeviceRule, Story, proof, rule
from amtdiag.rules.handshake_failures import CERTIFICATE, UNSUPPORTED, Broken, broken_off
from amtdiag.rules.user_chain import context_of

if TYPE_CHECKING:
    from amtdiag.rules.base import Details
    from amtdiag.trust.rule import RuleResult

_MEANT: dict[int, frozenset[str]] = {
    43: frozenset({"setup-mark", "server-auth"}),
    45: frozenset({"dates"}),
    48: frozenset({"root-listed", "chain-complete", "chain-order"}),
    51: frozenset({"chain-signatures"}),
}
"""Alerts whose name says what was wrong (RFC 5246, 7.2.2), and the rules that this would be."""
_OF_CHAINS = CERTIFICATE | {None, 40, 49}
"""What a chain may be refused with: alerts about certificates, alerts that say no more than no, and none."""


class Suspects(NamedTuple):
    """What in a refused chain may be the reason."""

    broken: Broken
    likely: tuple[RuleResult, ...]
    """The rules that the chain breaks, or where it breaks none those that are in doubt; of several those that
    the alert speaks of."""
    besides: tuple[RuleResult, ...]
    """What else is wrong with it."""
    unseen: tuple[RuleResult, ...]
    """Rules that could not be tried."""

    @property
    def is_open(self) -> bool:
        """Nothing is wrong with the chain as far as it can be tried, and that is not all the way."""
        chain = self.broken.handshake.client_chain
        whole = chain is not None and chain.complete and not self.unseen
        return not self.likely and not (whole and self.broken.alert in _OF_CHAINS)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The frames of the certificates and of what ended the handshake."""
        chain = self.broken.handshake.client_chain
        return (*(chain.evidence if chain else ()), *self.broken.evidence)


def suspects(device: DeviceEvidence) -> Suspects | None:
    """Judge the chain that a device has refused; None where it refused none that is seen."""
    if not any([link.tls is not None and link.tls.client_chain is not None for link in device.returns]):
        return None
    broken = broken_off(device)
    if broken is None or broken.why != "chain" or broken.handshake.client_chain is None:
        return None
    from amtdiag.trust.chain import judge

    chain = broken.handshake.client_chain
    context = context_of(device)._replace(when=broken.shown.ts, chain_complete=chain.complete)
    results = judge(chain.der, context)
    doubts = [result for result in results if result.outcome != "holds" and result.severity == "warning"]
    wrong = [result for result in results if result.outcome == "broken" and result.severity != "warning"]
    named = _MEANT.get(broken.alert or 0, frozenset())
    meant = [result for result in (*wrong, *doubts) if result.rule in named]
    likely = tuple(dict.fromkeys(meant or wrong or doubts))
    besides = tuple(result for result in (*wrong, *doubts) if result not in likely)
    unseen = tuple(result for result in results if result.outcome == "unknown" and result.severity == "info")
    return Suspects(broken, likely, tuple(dict.fromkeys(besides)), unseen)


class _RefusedChain(DeviceRule):
    """A rule about a chain that a device refused."""

    subject = staticmethod(suspects)

    def report(self, device: DeviceEvidence, found: Suspects, summary: str, details: Details) -> Finding:
        """Return a finding with the frames of the certificates and of the refusal."""
        broken = found.broken
        details |= {
            "times": [link.ts for link in broken.links],
            "count": len(broken.links),
            "overcome": broken.overcome,
        }
        shown = f"tls.handshake.certificate && {broken.display_filter}"
        return self.finding(device, summary, [*found.evidence, *proof(broken.links)], shown, **details)


def _shown(chain: str, alert: int = 42) -> Story:
    """A device that lists the samples' root is shown one of the chains in `tests/scenarios/chains.py`."""
    return (
        ("lease", -9),
        ("hello", 0, {"digests": ("the sample root",)}),
        ("tls", 1, {"chain": chain, "alert": alert}),
    )


class ChainCheck(_RefusedChain):
    """A rule about one thing that is wrong with the chain that a device refused."""

    policy: ClassVar[str]
    """The rule about chains behind it, in `amtdiag.trust.chain`."""
    source = (
        "Intel's AMT guide on certificates, chains, root hashes and remote configuration; Intel KB 000090051 "
        "and 000100444"
    )
    near_miss = _shown("good")

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A handshake that the device ended after it had seen the server's chain, which breaks the rule."""
        return self.examine(device, suspects(device))

    def examine(self, device: DeviceEvidence, found: Suspects | None) -> Iterator[Finding | Unknown]:
        """Look at what is wrong with the chain."""
        if found is None:
            return
        likely = [result for result in found.likely if result.rule == self.policy]
        results = likely or [result for result in found.besides if result.rule == self.policy]
        if not results:
            return
        from amtdiag.trust.chain import sentence

        yield self.report(
            device,
            found,
            f"{' '.join(sentence(result) for result in results[:2])} {found.broken.refusal}.",
            {
                "catalogue": results[0].catalogue,
                "remedy": results[0].remedy,
                "severity": None if likely else "warning",
                "confidence": _confidence(found, likely[0]) if likely else "low",
            },
        )


def _confidence(found: Suspects, result: RuleResult) -> Confidence:
    """High where a documented rule is broken, and no other."""
    alone = len({each.rule for each in found.likely}) == 1
    return "high" if alone and result.outcome == "broken" and result.severity != "warning" else "medium"


@rule
class ChainNotListed(ChainCheck):
    """The chain ends in a root that the device does not list."""

    id = "chain-root-not-listed"
    precedence = 270
    title = "The server's root is not in the device's list"
    label = "root not listed"
    catalogue = "F19"
    row = "the device refuses a chain whose root it does not list"
    other_rows = (("F29", "the chain ends in another root of the same CA than the device lists"),)
    policy = "root-listed"
    remedy = "Use a chain whose root the device lists, or add the root's digest to the device."
    example = _shown("of_foreign_root")


@rule
class ChainNotWhole(ChainCheck):
    """The server does not send its chain up to the root."""

    id = "chain-not-whole"
    precedence = 250
    title = "The server's chain does not reach its root"
    label = "chain not whole"
    catalogue = "F26"
    row = "the chain is not whole"
    policy = "chain-complete"
    remedy = "Put the intermediate certificates and the root into the server's PFX."
    example = _shown("leaf_only")


@rule
class ChainOutOfOrder(ChainCheck):
    """The certificates of the chain do not follow each other."""

    id = "chain-out-of-order"
    precedence = 240
    title = "The server's chain is out of order"
    label = "chain disordered"
    catalogue = "F27"
    row = "the chain is out of order"
    policy = "chain-order"
    remedy = "Put the leaf first and the root last, each signed by the next."
    example = _shown("disordered")


@rule
class ChainSignature(ChainCheck):
    """A signature in the chain was not made by the key of the certificate above it."""

    id = "chain-signature"
    precedence = 260
    title = "A signature in the server's chain is wrong"
    label = "wrong signature"
    policy = "chain-signatures"
    remedy = "Build the chain anew from the CA's certificates."
    example = _shown("forged")
    near_miss = _shown("with_sha1")


@rule
class CertificateUsage(ChainCheck):
    """The leaf is not marked for provisioning, neither by the OID nor by the OU."""

    id = "certificate-usage"
    precedence = 220
    title = "The server's certificate is not for AMT provisioning"
    label = "certificate usage"
    catalogue = "F24"
    row = "the certificate has neither the provisioning OID nor the OU"
    policy = "setup-mark"
    remedy = "Get a certificate with the OID 2.16.840.1.113741.1.2.3 or the OU for AMT setup."
    example = _shown("web_certificate")
    near_miss = _shown("by_unit")


@rule
class CertificateServerAuth(ChainCheck):
    """The leaf lacks the usage of server authentication."""

    id = "certificate-server-auth"
    precedence = 230
    title = "The server's certificate lacks server authentication"
    label = "no server auth"
    catalogue = "F25"
    row = "the certificate lacks server authentication"
    policy = "server-auth"
    remedy = "Have the certificate issued with server authentication among its extended key usages."
    example = _shown("without_server_auth")
    near_miss = _shown("by_unit")


@rule
class CertificateDomain(ChainCheck):
    """The leaf's domain is not the one that the device was given."""

    id = "certificate-domain"
    precedence = 280
    title = "The server's certificate is for another domain"
    label = "other domain"
    catalogue = "F22"
    row = "the certificate's domain is not that of option 15"
    other_rows = (("F23", "option 15 is an internal domain, for which no public CA sells certificates"),)
    policy = "suffix"
    remedy = "Align DHCP option 15, the PKI DNS suffix in MEBx, and the certificate's name."
    example = _shown("of_another_domain")


@rule
class CertificateDates(ChainCheck):
    """A certificate of the chain was not valid when it was shown."""

    id = "certificate-dates"
    precedence = 310
    title = "The server's chain is not valid at that time"
    label = "dates"
    catalogue = "F28"
    row = "a certificate is not valid at that time"
    confidence = "medium"
    policy = "dates"
    remedy = "Renew the certificate, and check the clocks."
    example = _shown("expired", 45)


@rule
class ChainSha1(ChainCheck):
    """A signature in the chain is made with SHA-1 or something older."""

    id = "chain-sha1"
    precedence = 290
    title = "The server's chain has a SHA-1 signature"
    label = "SHA-1"
    catalogue = "F20"
    row = "SHA-1 in the chain, refused from ME 15.0-H and 16.0 on"
    confidence = "medium"
    policy = "signature-algorithm"
    remedy = "Have the certificate issued on a chain with SHA-256 throughout, the root included."
    example = _shown("with_sha1")


@rule
class ChainSmallKey(ChainCheck):
    """An RSA key in the chain has fewer than 2048 bits."""

    id = "chain-small-key"
    precedence = 300
    title = "The server's chain has an RSA key below 2048 bits"
    label = "small key"
    catalogue = "F21"
    row = "an RSA key below 2048 bits in the chain"
    confidence = "medium"
    policy = "key-size"
    remedy = "Have the certificate issued with RSA of 2048 bits or more throughout."
    example = _shown("with_small_key")


def shown_count(broken: Broken) -> str:
    """How many certificates the server has shown, as far as they are here."""
    chain = broken.handshake.client_chain
    count = len(chain.der) if chain else 0
    certificates = f"{count} certificate{'' if count == 1 else 's'}"
    return certificates if chain is None or chain.complete else f"{certificates} and more that are not here"


@rule
class RefusedForNoVisibleReason(_RefusedChain):
    """The device refuses a chain that breaks no rule that can be seen in a capture."""

    id = "refused-for-no-visible-reason"
    precedence = 320
    title = "The device refuses a chain that looks right"
    label = "refused"
    catalogue = "F30"
    row = "the chain looks right and is refused: the digest may be inactive"
    confidence = "medium"
    remedy = (
        "Look in MEBx: is the root's digest active, and is another PKI DNS suffix set there? Then take the "
        "candidates in turn."
    )
    source = (
        "RFC 5246, alerts; HP's vPro papers on inactive digests; Open AMT RPS issue 1102 on digests that a "
        "tool does not support"
    )
    example = _shown("good")
    near_miss = (*example[:2], ("tls", 1, {"finished": True}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A handshake that the device ended after it had seen a chain that breaks no documented rule."""
        return self.examine(device, suspects(device))

    def examine(self, device: DeviceEvidence, found: Suspects | None) -> Iterator[Finding | Unknown]:
        """Look at what is wrong with the chain."""
        if found is None or found.likely or found.is_open:
            return
        broken = found.broken
        seen = f"having seen {shown_count(broken)}, and no documented rule is broken"
        candidates = (STAND_IN, *_CANDIDATES) if broken.alert == UNSUPPORTED else _CANDIDATES
        yield self.report(device, found, f"{broken.refusal}, {seen}.", {"candidates": candidates})


STAND_IN = Candidate(
    "what plays the device here wants client authentication among the usages, as OpenSSL does and AMT "
    "does not",
    "the extended key usages of the server's certificate",
)
_CANDIDATES = (
    Candidate("the root's digest is in the list, but not active", "the list of hashes in MEBx"),
    Candidate(
        "another PKI DNS suffix is set in MEBx than DHCP gives", "MEBx, or the certificate's domain there"
    ),
    Candidate("a rule of this firmware that is not documented", "the same chain before another device"),
    Candidate("the one that asks is refused for more than its chain", "the device's event log"),
)
