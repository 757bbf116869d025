"""What each rule says of itself, in one form: for `amtdiag explain` and the page of rules."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import NamedTuple

from amtdiag.model import Basis, Category, Confidence, Severity
from amtdiag.rules.base import DeviceRule, FleetRule, Rule
from amtdiag.rules.catalogue import RULES


class Explanation(NamedTuple):
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
    return tuple(map(_of_rule, RULES))


def _of_rule(rule: type[Rule]) -> Explanation:
    return Explanation(
        id=rule.id,
        title=rule.title,
        meaning=_first_paragraph(rule),
        looks_for=_first_paragraph(rule.look) if issubclass(rule, DeviceRule | FleetRule) else "",
        severity=rule.severity,
        category=rule.category,
        basis=rule.basis,
        confidence=rule.confidence,
        catalogue=rule.catalogue,
        remedy=rule.remedy,
        source=rule.source,
    )


def _first_paragraph(of: object) -> str:
    return " ".join((inspect.getdoc(of) or "").partition("\n\n")[0].split())
