"""Which AMT releases a Hello is consistent with. Always a hint, never a fact.

Sources: Intel's guide on root certificate hashes (SHA-1 entries dropped in 11.0, VeriSign G1 removed in
11.8.65 and 12.0.32, SHA-1 refused from 15.0-H and 16.0), lists of real devices, PSK removed in 11.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from amtdiag.model import JudgedDigest

Applies = Literal["yes", "maybe", "no"]
"""Whether a rule of some releases binds a device."""
_Test = Callable[[frozenset[str], frozenset[str]], bool]


def _has(names: frozenset[str], *beginnings: str) -> bool:
    """True where for each beginning some root's name starts so."""
    return all(any(name.startswith(beginning) for name in names) for beginning in beginnings)


_GTE = "GTE CyberTrust"
_G1 = "VeriSign Class 3 Public Primary Certification Authority (G1)"
_WITH_SHA1 = "AMT 10.x or older, or SHA-1 digests added by hand before 15.0-H/16.0"
_OF_11 = "AMT 11.0 to 11.8.6x"
_RULES: tuple[tuple[_Test, str], ...] = (
    (lambda algorithms, _: "sha1" in algorithms, _WITH_SHA1),
    (lambda algorithms, _: "sha384" in algorithms, "AMT 15 or later"),
    (lambda _, names: _has(names, _GTE, _G1), _OF_11),
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
    algorithms = frozenset(digest.digest.algorithm for digest in judged)
    names = frozenset(digest.name for digest in judged if digest.name)
    return next((text for test, text in _RULES if test(algorithms, names)), None)


_STATED = r"AMT (\d+)\b.* \(it says so itself\)"
_REFUSED_ON_SOME, _REFUSED_ON_ALL = 15, 16


def stated(version: str) -> str:
    """Return the words for a version that the device itself states."""
    return f"AMT {version} (it says so itself)"


def refuses_old(release: str | None) -> Applies:
    """Tell whether a device refuses SHA-1 signatures and RSA keys below 2048 bits, by its release in words.

    `release` comes from `stated` or `consistent_with`. 15.0 refuses them on its H platforms, 16.0 and later
    on all; which platform it is, nothing on the wire tells.
    """
    found = re.fullmatch(_STATED, release or "")
    if found is None:
        return "no" if release in (PSK, _WITH_SHA1, _OF_11) else "maybe"
    major = int(found[1][:6])
    if major == _REFUSED_ON_SOME:
        return "maybe"
    return "yes" if major >= _REFUSED_ON_ALL else "no"
