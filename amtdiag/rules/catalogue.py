"""All rules, what each says of itself, and the run over them.

Every module of this package is imported, and the rules in it register themselves: there is no list to keep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from amtdiag import rules
from amtdiag.config import Options
from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.discovery import modules_of
from amtdiag.model import SEVERITIES, Basis, Category, Confidence, Finding, Severity, Unknown
from amtdiag.rules.base import DeviceRule, FleetEvidence, FleetRule, Rule, registered
from amtdiag.rules.failure_catalogue import ROWS, CatalogueRow
from amtdiag.rules.preconditions import marks_of


def _discovered() -> tuple[type[Rule], ...]:
    for _ in modules_of(rules):
        pass  # each registers its rules when it is imported
    return tuple(sorted(registered.values(), key=lambda rule: rule.precedence))


RULES = _discovered()
"""Every rule, what stops a device first."""
DEVICE_RULES = tuple(rule for rule in RULES if issubclass(rule, DeviceRule))
FLEET_RULES = tuple(rule for rule in RULES if issubclass(rule, FleetRule))

_MOST_CHOICES = 1024
"""Different sets of marks for which the rules are remembered; fleets have a few dozen."""


def catalogue_rows() -> dict[str, CatalogueRow]:
    """Return the failure catalogue in the order of its rows: those that rules bring, and the others."""
    brought = {rule.catalogue: rule.row for rule in RULES if rule.catalogue and rule.row}
    brought |= {row: title for rule in RULES for row, title in rule.other_rows}
    return dict(sorted({**{row: CatalogueRow(title) for row, title in brought.items()}, **ROWS}.items()))


class Explanation(NamedTuple):
    """One rule, for `amtdiag explain` and the page of rules."""

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
    return tuple(map(_explained, RULES))


def _explained(rule: type[Rule]) -> Explanation:
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


def _first_paragraph(documented: object) -> str:
    return " ".join((documented.__doc__ or "").partition("\n\n")[0].split())


def examine(scene: FleetEvidence, options: Options) -> tuple[list[Finding], list[Unknown]]:
    """Run every rule over every device, and over all that was seen."""
    asked = (check for check in DEVICE_RULES if not check.option or getattr(options, check.option))
    choose = _Choice([check(options) for check in asked])
    results: list[Finding | Unknown] = []
    for case in scene.cases:
        for check in choose(case):
            results += check.look(case)
    for scene_check in FLEET_RULES:
        results += scene_check(options).look(scene)
    findings = likeliest_first(result for result in results if isinstance(result, Finding))
    return findings, [result for result in results if isinstance(result, Unknown)]


class _Choice:
    """Which rules have something to look at: few devices have all that some rule needs."""

    def __init__(self, checks: list[DeviceRule]) -> None:
        self._checks = checks
        self._chosen: dict[tuple[str, ...], list[DeviceRule]] = {}

    def __call__(self, case: DeviceEvidence) -> list[DeviceRule]:
        """Return the rules for a device, in their order."""
        marks = marks_of(case)
        chosen = self._chosen.get(marks)
        if chosen is None:
            if len(self._chosen) >= _MOST_CHOICES:
                self._chosen.clear()
            there = {"", *marks}
            chosen = self._chosen[marks] = [check for check in self._checks if check.needs in there]
        return chosen


def without_blameless_prospects(
    cases: Sequence[DeviceEvidence], findings: Iterable[Finding]
) -> list[DeviceEvidence]:
    """Leave out the machines that nothing shows to have AMT, and in whose lease no rule found a fault."""
    blamed = {one.device for one in findings}
    return [case for case in cases if not case.prospect or case.id in blamed]


def likeliest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort: what stops devices before what threatens them, and what stops many before what stops one."""
    listed = list(findings)
    devices = Counter((one.rule, one.severity, one.catalogue) for one in listed)
    order = {rule.id: place for place, rule in enumerate(RULES)}

    def rank(one: Finding) -> tuple[object, ...]:
        return (
            -SEVERITIES.index(one.severity),
            -devices[one.rule, one.severity, one.catalogue],
            order.get(one.rule, len(order)),
            one.rule,
            one.catalogue or "",
            one.first_ts or 0,
            one.device or "",
        )

    return sorted(listed, key=rank)
