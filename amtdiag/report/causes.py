"""Findings that say the same of different devices, together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

from amtdiag.model import SEVERITIES, Finding, Severity


def same_cause(finding: Finding) -> Hashable:
    """Return what findings of one cause have in common."""
    return finding.rule, finding.severity, finding.catalogue, finding.overcome


def same_rule(finding: Finding) -> Hashable:
    """Return what findings of one rule have in common."""
    return finding.rule


def grouped(
    findings: Iterable[Finding], by: Callable[[Finding], Hashable] = same_cause
) -> list[list[Finding]]:
    """Return findings in groups that have the same in common, in the order of the first of each."""
    groups: defaultdict[Hashable, list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[by(finding)].append(finding)
    return list(groups.values())


def gravest(findings: Iterable[Finding]) -> Severity:
    """Return the severity of the gravest of some findings."""
    return max((finding.severity for finding in findings), key=SEVERITIES.index)


def device_count(findings: Iterable[Finding]) -> int:
    """Return how many devices findings are about."""
    return len({finding.device for finding in findings if finding.device})
