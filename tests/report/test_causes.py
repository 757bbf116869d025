"""Findings in groups: by cause, by rule, and what is said of a group."""

from __future__ import annotations

from diagnoses import fleet
from helpers import replace

from amtdiag.report.causes import device_count, gravest, grouped, same_rule


def test_a_cause_is_rule_severity_row_and_whether_it_was_overcome() -> None:
    first = fleet(1).findings[0]
    other_row, overcome = replace(first, catalogue="F99"), replace(first, overcome=True)
    warning = replace(first, severity="warning")
    second = replace(first, id="f2", device="uuid:2", summary="Something else.")
    findings = [first, other_row, second, overcome, warning]
    assert grouped(findings) == [[first, second], [other_row], [overcome], [warning]]
    assert grouped(findings, same_rule) == [findings]


def test_a_group_is_as_grave_as_its_gravest_finding_and_counts_devices() -> None:
    first = fleet(1).findings[0]
    group = [replace(first, severity="info"), replace(first, severity="warning"), replace(first, device=None)]
    assert gravest(group[:2]) == "warning"
    assert device_count(group) == 1
    assert device_count([replace(first, device=None)]) == 0
