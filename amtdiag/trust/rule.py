"""What a rule about certificate chains is: its standing text, and how its results are made."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

from amtdiag.model import Severity
from amtdiag.trust.chain_path import Studied

Verdict = Literal["holds", "broken", "unknown"]

WHOLE_CHAIN = "a capture that has all of the server's Certificate message"


class ChainContext(NamedTuple):
    """What is known of the device that is shown the chain, and of the capture."""

    when: int
    """Time of the capture, in ns."""
    suffixes: tuple[str, ...] | None
    """Its DNS suffixes, of DHCP option 15 or DHCPv6 option 24; empty where DHCP gave none, None where no DHCP
    was seen."""
    digests: frozenset[bytes] | None
    """The digests of its Hello; None where none was seen."""
    digests_complete: bool
    """The whole list is in the capture."""
    release: str | None = None
    """Its AMT release, in the words of `amtdiag.trust.releases`."""
    chain_complete: bool = True
    """All certificates that were sent are given."""


class RuleResult(NamedTuple):
    """What came of one rule."""

    rule: str
    outcome: Verdict
    got: str
    """What is there. Text is safe to show, here and below."""
    expected: str
    why: str
    """Why it is unknown, or what there is to know beside the outcome; may be empty."""
    severity: Severity
    """How grave it is if it is broken. Of an unknown: a warning where the chain gives reason for doubt, info
    where something is not in the capture, or cannot be verified here."""
    position: int | None
    """The certificate in question, from 1 in the order of the chain; None: the chain as a whole."""
    catalogue: str | None
    """Row of the failure catalogue."""
    remedy: str
    """What to do; of an unknown, what would decide."""
    source: str


class PolicyRule(ABC):
    """The standing text of a rule, and how its results are made."""

    id: ClassVar[str]
    title: ClassVar[str]
    """What is wrong if it is broken."""
    catalogue: ClassVar[str | None] = None
    severity: ClassVar[Severity] = "error"
    expected: ClassVar[str]
    remedy: ClassVar[str]
    source: ClassVar[str]

    def result(
        self,
        outcome: Verdict,
        got: str,
        *,
        place: int | None = None,
        why: str = "",
        expected: str = "",
        severity: Severity | None = None,
        catalogue: str | None = None,
        remedy: str = "",
    ) -> RuleResult:
        """Return a result; what is not given is the rule's own. `place` counts from 0."""
        return RuleResult(
            self.id,
            outcome,
            got,
            expected or self.expected,
            why,
            severity or self.severity,
            None if place is None else place + 1,
            catalogue or self.catalogue,
            remedy or self.remedy,
            self.source,
        )

    def unseen(self, got: str, why: str, would_decide: str, place: int | None = None) -> RuleResult:
        """What is not in the capture, or cannot be verified here."""
        return self.result("unknown", got, why=why, severity="info", remedy=would_decide, place=place)

    def doubtful(self, got: str, why: str, place: int | None = None) -> RuleResult:
        """What may well be refused."""
        return self.result("unknown", got, why=why, severity="warning", place=place)


class ChainRule(PolicyRule):
    """A rule that looks at nothing but the chain."""

    @abstractmethod
    def look(self, chain: Studied) -> Iterator[RuleResult]:
        """Yield one result, or one for each certificate that gives reason to speak."""


class ContextRule(PolicyRule):
    """A rule that holds the chain against what is known of a device."""

    @abstractmethod
    def look(self, chain: Studied, context: ChainContext) -> Iterator[RuleResult]:
        """Yield one result, or one for each certificate that gives reason to speak."""
