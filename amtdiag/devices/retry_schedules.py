"""How often a device says Hello, beside what has been written about it.

Intel's own guide gives no intervals; what others document is shown as theirs, and is never a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amtdiag.model import KnownSchedule
from amtdiag.times import SECOND

_MINUTE = 60 * SECOND
_TOLERANCE = 0.25
"""Share of an interval by which a gap may differ from it."""
_FEWEST = 2
"""Gaps that it takes to compare anything."""


class Schedule(NamedTuple):
    """Intervals between Hellos as somebody documents them."""

    documented_by: str
    text: str
    steps: tuple[tuple[int, int], ...]
    """So many times, so many nanoseconds."""


SCHEDULES: tuple[Schedule, ...] = (
    Schedule(
        "help of SCCM 2007 SP1",
        "every minute for 5 minutes, every 5 minutes for an hour, every hour for 23 hours",
        ((5, _MINUTE), (12, 5 * _MINUTE), (23, 60 * _MINUTE)),
    ),
    Schedule(
        "source of Realtek's DASH firmware",
        "5 times 12 seconds, 5 times 2 minutes, 5 times 20 minutes, 25 times 36 minutes",
        ((5, 12 * SECOND), (5, 2 * _MINUTE), (5, 20 * _MINUTE), (25, 36 * _MINUTE)),
    ),
)


def known_schedules(gaps: Sequence[int]) -> tuple[KnownSchedule, ...]:
    """Return the documented schedules, each with whether a run of its intervals is like these gaps, in ns.

    None where there are too few gaps to say.
    """
    found = []
    for one in SCHEDULES:
        intervals = [interval for times, interval in one.steps for _ in range(times)]
        fits = _is_run(gaps, intervals) if len(gaps) >= _FEWEST else None
        found.append(KnownSchedule(one.documented_by, one.text, fits))
    return tuple(found)


def _is_run(gaps: Sequence[int], intervals: Sequence[int]) -> bool:
    """True where the gaps are like intervals that follow each other, from anywhere on."""
    return any(
        all(map(_alike, gaps, intervals[start : start + len(gaps)]))
        for start in range(len(intervals) - len(gaps) + 1)
    )


def _alike(gap: int, interval: int) -> bool:
    return abs(gap - interval) <= interval * _TOLERANCE
