"""Times as people and programs read them. Inside amtdiag a time is nanoseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND = 1_000_000_000


def rfc3339(ts: int) -> str:
    """Return a time as RFC 3339 in UTC with nine digits, as every machine-readable face writes it.

    >>> rfc3339(1700000000001234567)
    '2023-11-14T22:13:20.001234567Z'
    """
    seconds, fraction = divmod(ts, SECOND)
    if not _EARLIEST <= seconds <= _LATEST:
        seconds, fraction = (_EARLIEST, 0) if seconds < _EARLIEST else (_LATEST, SECOND - 1)
    return f"{_second(seconds)}.{fraction:09d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    """The part of a time that many events share."""
    return _shown(seconds, "T")


def clock(ts: int) -> str:
    """Return date and time to the second, for people."""
    seconds = min(max(ts // SECOND, _EARLIEST), _LATEST)
    return _shown(seconds, " ")


def span(ns: int) -> str:
    """Return a duration in the largest fitting unit: 15 ms, 3.5 s, 12 min, 2 h 5 min, 3 d."""
    seconds = ns / SECOND
    if seconds < 1:
        return f"{ns / 1_000_000:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        return f"{round(hours / 24)} d"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _shown(seconds: int, between: str) -> str:
    """Date and time of a second since 1970."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(between)[:_TO_THE_SECOND]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TO_THE_SECOND = len("1970-01-01T00:00:00")
_EARLIEST = -2_208_988_800
_LATEST = 253_402_300_799
"""1900 and 9999: what a damaged time stamp says beyond them is written as the limit."""
