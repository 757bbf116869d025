"""What each rule says of itself, in one form: for `amtdiag explain` and the page of rules."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from amtdiag.checks.base import Check
from amtdiag.checks.catalogue import CAPTURE_DROPS, CHECKS, NOT_A_HELLO, OTHER_TITLES
from amtdiag.checks.fleet import ODD_SERVER, PID_REUSED, SWEEP
from amtdiag.model import Basis, Category, Confidence, Severity


@dataclass(frozen=True, slots=True)
class Explanation:
    """One rule."""

    id: str
    title: str
    meaning: str
    looks_for: str
    severity: Severity
    category: Category
    basis: Basis
    confidence: Confidence
    catalogue: str | None
    """Row of the failure catalogue."""
    remedy: str
    source: str
    """Where the rule comes from."""

    def paragraphs(self) -> Iterator[tuple[str, str]]:
        """Yield headings with their text."""
        yield "What it means", self.meaning
        yield "What it looks for", self.looks_for
        yield "What to do", self.remedy
        yield "Source", self.source


def explanations() -> tuple[Explanation, ...]:
    """Return all rules, in the order of what stops a device first."""
    return (*map(_of_check, CHECKS), *_OTHERS)


def _of_check(check: type[Check]) -> Explanation:
    return Explanation(
        id=check.id,
        title=check.title,
        meaning=_first_paragraph(check),
        looks_for=_first_paragraph(check.look),
        severity=check.severity,
        category=check.category,
        basis=check.basis,
        confidence=check.confidence,
        catalogue=check.catalogue,
        remedy=check.remedy,
        source=check.source,
    )


def _first_paragraph(of: object) -> str:
    return " ".join((inspect.getdoc(of) or "").partition("\n\n")[0].split())


def _other(
    rule: str,
    severity: Severity,
    category: Category,
    confidence: Confidence,
    *texts: str,
    row: str | None = None,
) -> Explanation:
    meaning, looks_for, remedy, source = texts
    return Explanation(
        id=rule,
        title=OTHER_TITLES[rule],
        meaning=meaning,
        looks_for=looks_for,
        severity=severity,
        category=category,
        basis="inferred" if confidence == "low" else "observed",
        confidence=confidence,
        catalogue=row,
        remedy=remedy,
        source=source,
    )


_OTHERS = (
    _other(
        PID_REUSED, "warning", "security", "high",
        "One pre-shared key opens several devices.",
        "The same PID in the Hellos of two devices or more.",
        "Give every device a pair of its own.",
        "HP and Intel manuals: unique PID/PPS pairs",
    ),
    _other(
        ODD_SERVER, "warning", "security", "low",
        "Whoever gets a device's Hello can take the machine.",
        "Four devices or more agree on a server, and one alone sends its Hello elsewhere.",
        "Check whether that server is yours.",
        "Domain inference",
    ),
    _other(
        SWEEP, "info", "security", "high",
        "RMCP presence pings find AMT devices and tell their mode.",
        "Pings of one host to 16 addresses or more.",
        "An inventory tool of yours, or somebody else's: find the host.",
        "Intel's AMT guide, RMCP ping; MeshCommander's scanner",
    ),
    _other(
        NOT_A_HELLO, "info", "provisioning", "high",
        "A browser, a test or a scanner, not AMT.",
        "Data on a Hello port that is no Hello.",
        "Leave it out of the diagnosis.",
        "MeshCentral's source: what its port gets besides Hellos",
        row="F59",
    ),
    _other(
        CAPTURE_DROPS, "info", "capture", "high",
        "The capture has holes that no packet shows.",
        "The number of lost packets that the capturing program wrote into the file.",
        "Capture with a filter or a larger buffer.",
        "The pcapng format: interface statistics",
    ),
)  # fmt: skip
"""Rules about several devices, about strangers, and about the capture."""
