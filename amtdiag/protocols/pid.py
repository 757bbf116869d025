"""The PID of a pre-shared key and its check character.

Source: Intel's AMT guide, "PID/PPS checksum"; its text calls the check a CRC, its vectors show a plain sum.
"""

from __future__ import annotations

PID_LENGTH = 8
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def check_character(text: str) -> str:
    """Return the character that checks `text`: the sum of its ASCII codes modulo 36.

    >>> check_character("0000037")
    'M'
    """
    return _ALPHABET[sum(text.encode("ascii")) % len(_ALPHABET)]


def is_valid_pid(pid: bytes) -> bool:
    """True for eight characters A-Z and 0-9 of which the last checks the seven before it."""
    if len(pid) != PID_LENGTH:
        return False
    text = pid.decode("latin-1")
    return all(c in _ALPHABET for c in text) and check_character(text[:-1]) == text[-1]
