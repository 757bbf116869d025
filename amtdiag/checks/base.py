"""What a rule is: its standing text, and a look at one device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

from amtdiag.config import Options
from amtdiag.model import Basis, Candidate, Category, Confidence, Evidence, Finding, Severity, Unknown
from amtdiag.provisioning.case import Case

MOST_EVIDENCE = 8


class Check(ABC):
    """One rule. Subclasses say what it means once, and look for it in `look`."""

    id: ClassVar[str]
    """Stable name of the rule, as it stands in reports."""
    title: ClassVar[str]
    label: ClassVar[str] = ""
    """The cause in a word or two, for a table that names the stage beside it."""
    catalogue: ClassVar[str | None] = None
    """Row of the failure catalogue."""
    category: ClassVar[Category] = "provisioning"
    severity: ClassVar[Severity] = "error"
    confidence: ClassVar[Confidence] = "high"
    basis: ClassVar[Basis] = "observed"
    remedy: ClassVar[str]
    source: ClassVar[str]
    """Where the rule comes from."""

    def __init__(self, options: Options) -> None:
        self.options = options

    @abstractmethod
    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """Yield what the rule finds at one device, or what it would need to see to tell."""

    def finding(
        self,
        case: Case,
        summary: str,
        evidence: Sequence[Evidence],
        display_filter: str,
        *,
        times: Sequence[int] = (),
        count: int = 1,
        severity: Severity | None = None,
        catalogue: str | None = None,
        confidence: Confidence | None = None,
        basis: Basis | None = None,
        remedy: str | None = None,
        candidates: tuple[Candidate, ...] = (),
        overcome: bool = False,
    ) -> Finding:
        """Return a finding of this rule; what is not given is the rule's own.

        A trouble that was overcome is a warning, whatever the rule's severity.
        """
        return Finding(
            id=f"{self.id}/{case.id}",
            rule=self.id,
            catalogue=catalogue or self.catalogue,
            category=self.category,
            severity="warning" if overcome else severity or self.severity,
            device=case.id,
            basis=basis or self.basis,
            confidence=confidence or self.confidence,
            count=count,
            first_ts=min(times, default=None),
            last_ts=max(times, default=None),
            summary=summary,
            remedy=remedy or self.remedy,
            evidence=tuple(dict.fromkeys(evidence))[:MOST_EVIDENCE],
            display_filter=display_filter,
            candidates=candidates,
            overcome=overcome,
        )


def address_filter(*addresses: str) -> str:
    """Return a Wireshark display filter for packets that have all of these addresses."""
    return " && ".join(f"{'ipv6' if ':' in one else 'ip'}.addr=={one}" for one in addresses)


def frames(evidence: Sequence[Evidence], most: int = 5) -> str:
    """Name frames in a sentence: `frame 20`, `frames 25, 27, 29 ...`, with their files where these differ."""
    several = len({one.file for one in evidence}) > 1
    numbers = [f"{one.frame} of {one.file}" if several else str(one.frame) for one in evidence[:most]]
    more = " ..." if len(evidence) > most else ""
    return f"frame {numbers[0]}" if len(numbers) == 1 else f"frames {', '.join(numbers)}{more}"
