"""A rule is passed over only where it would have found nothing."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from unittest.mock import patch

import pytest
from helpers import SAMPLES

from amtdiag.config import Options
from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import Finding, Unknown
from amtdiag.pipeline import diagnose
from amtdiag.rules import catalogue
from amtdiag.rules.base import DeviceRule, FleetEvidence
from amtdiag.rules.catalogue import DEVICE_RULES

FILES = sorted(
    path for path in SAMPLES.rglob("*.pcap*") if path.is_file() and not path.name.endswith(".json")
)


def evidence_of(path: Path) -> FleetEvidence:
    """What the rules are given of a capture."""
    given: list[FleetEvidence] = []
    examine = catalogue.examine

    def keep(scene: FleetEvidence, options: Options) -> tuple[list[Finding], list[Unknown]]:
        given.append(scene)
        return examine(scene, options)

    with patch("amtdiag.pipeline.examine", keep):
        diagnose([path])
    return given[0]


def subject_of(rule: type[DeviceRule], device: DeviceEvidence) -> object:
    find = attrgetter(rule.subject) if isinstance(rule.subject, str) else rule.subject
    return find(device)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SAMPLES)))
def test_a_rule_without_its_subject_finds_nothing(path: Path) -> None:
    evidence = evidence_of(path)
    for device in evidence.cases:
        for rule in DEVICE_RULES:
            if not subject_of(rule, device):
                assert list(rule(Options()).look(device)) == [], rule.id


@pytest.mark.parametrize("sample", ["routed-five.pcapng.gz", "pki-connects.pcapng"])
def test_most_rules_are_passed_over_where_all_is_well(sample: str) -> None:
    looks: list[str] = []

    def count(rule: DeviceRule, _device: DeviceEvidence, _subject: object) -> Iterator[Finding | Unknown]:
        looks.append(rule.id)
        return iter(())

    with pytest.MonkeyPatch.context() as changes:
        for rule in DEVICE_RULES:
            changes.setattr(rule, "examine", count)
        devices = len(diagnose([SAMPLES / sample]).devices)
    assert devices
    assert len(looks) < devices * len(DEVICE_RULES) // 2


def test_what_is_asked_of_a_device_is_asked_once() -> None:
    asked: list[str] = []

    def subject(device: DeviceEvidence) -> bool:
        asked.append(device.id)
        return False

    with pytest.MonkeyPatch.context() as changes:
        for rule in DEVICE_RULES:
            changes.setattr(rule, "subject", staticmethod(subject))
        diagnosis = diagnose([SAMPLES / "routed-five.pcapng.gz"])
    assert len(asked) == len(set(asked)) == len(diagnosis.devices)
    assert {finding.device for finding in diagnosis.findings} <= {None}
