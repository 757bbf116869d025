"""Which AMT releases a Hello is consistent with. Always a hint, never a fact.

Sources: Intel's guide on root certificate hashes (SHA-1 entries dropped in 11.0, VeriSign G1 removed in
11.8.65 and 12.0.32, SHA-1 refused from 15.0-H and 16.0), lists of real devices, PSK removed in 11.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from amtdiag.model import JudgedDigest

_Test = Callable[[frozenset[str], frozenset[str]], bool]


def _has(names: frozenset[str], *beginnings: str) -> bool:
    """True where for each beginning some root's name starts so."""
    return all(any(name.startswith(beginning) for name in names) for beginning in beginnings)


_GTE = "GTE CyberTrust"
_G1 = "VeriSign Class 3 Public Primary Certification Authority (G1)"
_RULES: tuple[tuple[_Test, str], ...] = (
    (
        lambda algorithms, _: "sha1" in algorithms,
        "AMT 10.x or older, or SHA-1 digests added by hand before 15.0-H/16.0",
    ),
    (lambda algorithms, _: "sha384" in algorithms, "AMT 15 or later"),
    (lambda _, names: _has(names, _GTE, _G1), "AMT 11.0 to 11.8.6x"),
    (
        lambda _, names: _has(names, "DigiCert Global Root", "GlobalSign") and not _has(names, _G1),
        "AMT 12.0.32 or later, or 11.8.65 or later",
    ),
)
"""First rule that holds: algorithms of the list and names of its roots, and what they point at."""


PSK = "AMT 10.x or older"
"""What a PSK Hello is consistent with."""


def consistent_with(judged: Sequence[JudgedDigest]) -> str | None:
    """Return the releases that a list of digests fits, in words, or None where nothing points anywhere."""
    algorithms = frozenset(one.digest.algorithm for one in judged)
    names = frozenset(one.name for one in judged if one.name)
    return next((text for test, text in _RULES if test(algorithms, names)), None)
