"""Versions in which CVE-2017-5689 is open."""

from __future__ import annotations

import pytest

from amtdiag.trust.advisories import has_empty_digest_hole


@pytest.mark.parametrize(
    ("version", "is_open"),
    [
        ("5.2.70.1040", False),
        ("6.2.61.3534", True),
        ("6.2.61.3535", False),
        ("7.1.4.1068", True),
        ("8.1.71.3608", False),
        ("9.0.2.1345", True),
        ("9.1.41.3024", False),
        ("9.5.45.1922", True),
        ("10.0.55.3000", False),
        ("11.0.18.3003", False),
        ("11.0.18.3002", True),
        ("11.0.22.3001", False),
        ("11.0.24.1000", True),
        ("11.0.25.3001", False),
        ("11.5.1.1006", True),
        ("11.6.12.3202", False),
        ("11.6.20.1221", True),
        ("11.6.27.3264", False),
        ("11.8.50.3425", False),
        ("16.1.25.1424", False),
        ("9.1", False),
        ("", False),
        ("9.1.x.1", False),
    ],
)
def test_versions(version: str, is_open: bool) -> None:
    assert has_empty_digest_hole(version) is is_open
