"""Every row of the failure catalogue has a rule, or a reason why a capture cannot show it."""

from __future__ import annotations

import pytest

from amtdiag.rules.catalogue import RULES, catalogue_rows
from amtdiag.rules.failure_catalogue import DANGERS, CatalogueRow
from amtdiag.rules.failure_catalogue import ROWS as WITHOUT_A_RULE
from amtdiag.trust.chain import RULES as CHAIN_RULES

ROWS = catalogue_rows()
IDS = {rule.id for rule in RULES}
OWN = {rule.catalogue for rule in RULES if rule.catalogue} | {rule.catalogue for rule in CHAIN_RULES}
TOLD_APART = {row for rule in RULES for row, _ in rule.other_rows}
"""Rows that a rule names only in some of its findings."""


def test_the_rows_are_those_of_the_catalogue() -> None:
    assert list(ROWS)[:60] == [f"F{number:02}" for number in range(1, 61)]
    assert list(ROWS) == sorted(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_rule_or_a_reason(row: str) -> None:
    what = ROWS[row]
    assert what.why_not or what.seen_by or row in OWN | TOLD_APART
    assert set(what.seen_by) <= IDS
    assert not (what.why_not and row in OWN)
    assert what.title


def test_a_row_is_said_once() -> None:
    """By one of its rules, or where the rows are that no rule has."""
    said = [rule.catalogue for rule in RULES if rule.row]
    said += [row for rule in RULES for row, _ in rule.other_rows]
    assert sorted(map(str, said)) == sorted(set(ROWS) - set(WITHOUT_A_RULE))


@pytest.mark.parametrize("danger", DANGERS, ids=lambda danger: danger.title)
def test_a_danger_has_a_rule_or_a_reason(danger: CatalogueRow) -> None:
    assert danger.why_not or danger.seen_by
    assert set(danger.seen_by) <= IDS


def test_no_rule_names_a_row_that_is_not_there() -> None:
    assert {row for row in OWN if row} <= set(ROWS)
