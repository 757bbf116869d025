"""A rule is passed over only where it would have found nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
from helpers import SAMPLES

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import Finding, Unknown
from amtdiag.pipeline import diagnose
from amtdiag.rules.base import DeviceRule
from amtdiag.rules.catalogue import DEVICE_RULES
from amtdiag.rules.preconditions import Mark

FILES = sorted(
    path for path in SAMPLES.rglob("*.pcap*") if path.is_file() and not path.name.endswith(".json")
)


def test_every_rule_names_what_it_needs() -> None:
    assert all(check.needs or check.option for check in DEVICE_RULES)
    assert {check.needs for check in DEVICE_RULES} - {""} <= set(get_args(Mark))
    assert set(get_args(Mark)) <= {check.needs for check in DEVICE_RULES}


@pytest.mark.parametrize("sample", ["routed-five.pcapng.gz", "pki-connects.pcapng"])
def test_most_rules_are_passed_over_where_all_is_well(sample: str) -> None:
    looks: list[str] = []

    def counted(
        check: type[DeviceRule],
    ) -> Callable[[DeviceRule, DeviceEvidence], Iterator[Finding | Unknown]]:
        look = check.look

        def count(self: DeviceRule, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
            looks.append(self.id)
            return look(self, case)

        return count

    with pytest.MonkeyPatch.context() as patch:
        for check in DEVICE_RULES:
            patch.setattr(check, "look", counted(check))
        devices = len(diagnose([SAMPLES / sample]).devices)
    assert devices
    assert len(looks) < devices * len(DEVICE_RULES) // 2


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SAMPLES)))
def test_asking_every_rule_finds_the_same(path: Path) -> None:
    chosen = diagnose([path])
    with pytest.MonkeyPatch.context() as patch:
        for check in DEVICE_RULES:
            patch.setattr(check, "needs", "")
            patch.setattr(check, "option", "")
        asked = diagnose([path])
    assert chosen.findings == asked.findings
    assert chosen.unknowns == asked.unknowns
