"""All rules, what each says of itself, and the run over them.

Every module of this package is imported, and the rules in it register themselves: there is no list to keep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from amtdiag import rules
from amtdiag.config import Options
from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.discovery import modules_of
from amtdiag.model import SEVERITIES, Basis, Category, Confidence, Finding, Severity, Unknown
from amtdiag.rules.base import DeviceRule, FleetEvidence, FleetRule, Rule, registered
from amtdiag.rules.failure_catalogue import ROWS, CatalogueRow


def _discovered() -> tuple[type[Rule], ...]:
    for _ in modules_of(rules):
        pass  # each registers its rules when it is imported
    return tuple(sorted(registered.values(), key=lambda rule: rule.precedence))


RULES = _discovered()
"""Every rule, what stops a device first."""
DEVICE_RULES = tuple(rule for rule in RULES if issubclass(rule, DeviceRule))
FLEET_RULES = tuple(rule for rule in RULES if issubclass(rule, FleetRule))

_MAX_CHOICES = 1024
"""Different sets of subjects for which the rules are remembered; fleets have a few dozen."""
_Look = Callable[[DeviceEvidence, Any], Iterator[Finding | Unknown]]


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
    wanted = [rule for rule in DEVICE_RULES if not rule.option or getattr(options, rule.option)]
    look = _Examination([rule(options) for rule in wanted])
    results: list[Finding | Unknown] = []
    for device in scene.cases:
        look(device, results)
    for fleet_rule in FLEET_RULES:
        results += fleet_rule(options).look(scene)
    findings = likeliest_first(result for result in results if isinstance(result, Finding))
    return findings, [result for result in results if isinstance(result, Unknown)]


class _Examination:
    """All rules about a device, of which those look at it whose subject is there.

    Of a large fleet most devices are well: few have what some rule is about.
    """

    def __init__(self, rules: Sequence[DeviceRule]) -> None:
        # Two at least, so that what gets them gives a tuple.
        strings = [rule.subject for rule in rules if isinstance(rule.subject, str)]
        names = dict.fromkeys(("id", "hellos", *strings))
        finders = dict.fromkeys(rule.subject for rule in rules if not isinstance(rule.subject, str))
        places = {subject: place for place, subject in enumerate((*names, *finders))}
        self._rules = [(rule.examine, places[rule.subject]) for rule in rules]
        self._fields = attrgetter(*names)
        self._finders = list(finders)
        self._chosen: dict[tuple[bool, ...], list[tuple[_Look, int]]] = {}

    def __call__(self, device: DeviceEvidence, results: list[Finding | Unknown]) -> None:
        """Add what all rules say of a device, in their order."""
        subjects = [*self._fields(device), *[find(device) for find in self._finders]]
        there = tuple(map(bool, subjects))
        chosen = self._chosen.get(there)
        if chosen is None:
            if len(self._chosen) >= _MAX_CHOICES:
                self._chosen.clear()
            chosen = self._chosen[there] = [(look, place) for look, place in self._rules if there[place]]
        for look, place in chosen:
            results += look(device, subjects[place])


def without_blameless_prospects(
    cases: Sequence[DeviceEvidence], findings: Iterable[Finding]
) -> list[DeviceEvidence]:
    """Leave out the machines that nothing shows to have AMT, and in whose lease no rule found a fault."""
    blamed = {finding.device for finding in findings}
    return [device for device in cases if not device.prospect or device.id in blamed]


def likeliest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort: what stops devices before what threatens them, and what stops many before what stops one."""
    listed = list(findings)
    devices = Counter((finding.rule, finding.severity, finding.catalogue) for finding in listed)
    order = {rule.id: place for place, rule in enumerate(RULES)}

    def rank(finding: Finding) -> tuple[object, ...]:
        return (
            -SEVERITIES.index(finding.severity),
            -devices[finding.rule, finding.severity, finding.catalogue],
            order.get(finding.rule, len(order)),
            finding.rule,
            finding.catalogue or "",
            finding.first_ts or 0,
            finding.device or "",
        )

    return sorted(listed, key=rank)
