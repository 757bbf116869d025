"""A rule is passed over only where it would have found nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import SAMPLES

from amtdiag.checks.catalogue import CHECKS
from amtdiag.pipeline import diagnose

FILES = sorted(
    path for path in SAMPLES.rglob("*.pcap*") if path.is_file() and not path.name.endswith(".json")
)


def test_some_rules_are_passed_over() -> None:
    assert sum(bool(check.needs) for check in CHECKS) > len(CHECKS) // 2


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SAMPLES)))
def test_asking_every_rule_finds_the_same(path: Path) -> None:
    chosen = diagnose([path])
    with pytest.MonkeyPatch.context() as patch:
        for check in CHECKS:
            patch.setattr(check, "needs", "")
        asked = diagnose([path])
    assert chosen.findings == asked.findings
    assert chosen.unknowns == asked.unknowns
