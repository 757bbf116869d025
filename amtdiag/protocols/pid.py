"""The PID and PPS of a pre-shared key, their check characters, and files of such pairs.

Source: Intel's AMT guide, "PID/PPS checksum"; its text calls the check a CRC, its vectors show a plain sum.
"""

from __future__ import annotations

import re

from amtdiag.errors import UsageError

PID_LENGTH = 8
_PPS_LENGTH = 32
_GROUP = 4
_SEPARATORS = r"[\s,;:=]+"
_MAX_PAIRS = 1_000_000
PID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Of PIDs and PPSs, in the order in which a check character is counted."""


def check_character(text: str) -> str:
    """Return the character that checks `text`: the sum of its ASCII codes modulo 36.

    >>> check_character("0000037")
    'M'
    """
    return PID_ALPHABET[sum(text.encode("ascii")) % len(PID_ALPHABET)]


def is_valid_pid(pid: bytes) -> bool:
    """True for eight characters A-Z and 0-9 of which the last checks the seven before it."""
    if len(pid) != PID_LENGTH:
        return False
    text = pid.decode("latin-1")
    return all(c in PID_ALPHABET for c in text) and check_character(text[:-1]) == text[-1]


def is_valid_pps(pps: str) -> bool:
    """True for 32 characters A-Z and 0-9 of which every fourth checks the three before it."""
    groups = [pps[at : at + _GROUP] for at in range(0, len(pps), _GROUP)]
    return len(pps) == _PPS_LENGTH and all(
        all(c in PID_ALPHABET for c in group) and check_character(group[:-1]) == group[-1] for group in groups
    )


def read_pairs(content: bytes) -> tuple[tuple[str, str], ...]:
    """Return the pairs of PID and PPS in a file: one a line, with or without dashes, `#` before a comment.

    Raises `UsageError` with the number of the line that is none; what stands there is not repeated, since it
    may be a secret.
    """
    pairs = []
    lines = content.removeprefix(b"\xef\xbb\xbf").decode("ascii", "replace").splitlines()
    for number, line in enumerate(lines[:_MAX_PAIRS], 1):
        words = re.split(_SEPARATORS, line.partition("#")[0].strip())
        if words == [""]:
            continue
        pid, pps = (word.replace("-", "").upper() for word in (*words, "", "")[:2])
        if len(words) != 2 or not is_valid_pid(pid.encode("ascii", "replace")) or not is_valid_pps(pps):
            raise UsageError(f"line {number} is no PID and PPS, or a check character is wrong")
        pairs.append((pid, pps))
    if not pairs:
        raise UsageError("it holds no pair of PID and PPS")
    return tuple(pairs)
