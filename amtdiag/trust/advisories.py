"""Firmware versions with a hole that the wire shows people trying: CVE-2017-5689 (Intel SA-00075).

Source: Intel SA-00075; the version table as two vulnerability scanners check it (OpenVAS, Nessus).
"""

from __future__ import annotations

_Version = tuple[int, ...]
_FIXED: tuple[tuple[_Version, _Version], ...] = (
    ((6,), (6, 2, 61, 3535)),
    ((7,), (7, 1, 91, 3272)),
    ((8,), (8, 1, 71, 3608)),
    ((9, 0), (9, 1, 41, 3024)),
    ((9, 1), (9, 1, 41, 3024)),
    ((9, 5), (9, 5, 61, 3012)),
    ((10,), (10, 0, 55, 3000)),
    ((11, 0, 18), (11, 0, 18, 3003)),
    ((11, 0, 22), (11, 0, 22, 3001)),
    ((11, 0), (11, 0, 25, 3001)),
    ((11, 5), (11, 6, 27, 3264)),
    ((11, 6, 12), (11, 6, 12, 3202)),
    ((11, 6), (11, 6, 27, 3264)),
)
"""Beginning of a version, and from which version on it is mended; the first that fits counts."""


def has_empty_digest_hole(version: str) -> bool:
    """True where CVE-2017-5689 is open in that AMT version, given with all four numbers."""
    parts = version.split(".")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() for part in parts):
        return False
    numbers = tuple(map(int, parts))
    fixed = next((fixed for branch, fixed in _FIXED if numbers[: len(branch)] == branch), None)
    return fixed is not None and numbers < fixed
