"""The time axis: even, or with long gaps shortened."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from math import log10
from typing import TYPE_CHECKING

from amtdiag.report.charts.style import axis_label
from amtdiag.report.timezones import Zone
from amtdiag.times import SECOND

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MS = SECOND // 1000
_MINUTE, _HOUR, _DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
_STEPS = (
    *(digit * 10**power for power in range(3, 9) for digit in (1, 2, 5)),
    *(n * SECOND for n in (1, 2, 5, 10, 20, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 10, 20, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 30, 90, 365, 3650, 36_500)),
)
_TICKS_TRIED = 32


class TimeScale:
    """Where along the axis, 0 to 1, a time goes.

    The scale is even where events are spread over the time. Where they come in bursts (milliseconds of
    handshakes, minutes between retries) it would pile them up; then a gap is as wide as the logarithm of its
    length, and both the handshake and the pause can be read.
    """

    def __init__(self, times: Iterable[int], zone: Zone | None = None) -> None:
        """`zone` is that of the times of day that `dress` writes; UTC unless given."""
        self._zone = zone or Zone()
        points = sorted(set(times)) or [0]
        self.start, self.end = points[0], points[-1]
        total = self.end - self.start
        bins = {(point - self.start) * 400 // total for point in points} if total else set()
        self.shortened = bool(total) and len(bins) < 0.7 * min(len(points), 60)
        self._points = points if self.shortened else [self.start, self.end]
        if self.shortened:
            widths = [log10(1 + (later - earlier) / _MS) for earlier, later in pairwise(points)]
        else:
            widths = [1.0]
        whole = sum(widths) or 1.0
        self._places = [0.0, *(done / whole for done in accumulate(widths))]

    def __call__(self, ts: int) -> float:
        """Return the place of a time; what lies outside goes to the nearer end."""
        if self.start == self.end:
            return 0.5
        left = max(min(bisect_right(self._points, ts), len(self._points) - 1) - 1, 0)
        earlier, later = self._points[left], self._points[left + 1]
        share = min(max((ts - earlier) / (later - earlier), 0.0), 1.0)
        return min(self._places[left] + share * (self._places[left + 1] - self._places[left]), 1.0)

    def dress(self, ax: Axes, prefer: Iterable[int] = (), closest: float = 0.1) -> None:
        """Draw the axis: each tick says how long after the start, and below it the time of day.

        `prefer` are times that deserve a tick, `closest` is the least distance of two.
        """
        if self.shortened:
            ticks = self._chosen([self.start, self.end, *prefer], closest)
        else:
            ticks = self._even(int(0.8 / closest))
        ax.set_xticks([self(ts) for ts in ticks], labels=[self._label(ts) for ts in ticks], fontsize=9)
        ax.set_xlim(-0.03, 1.03)
        note = ", long gaps shortened" if self.shortened else ""
        axis_label(
            ax, f"time since {self._zone.clock(self.start)} ({self._zone.name(self.start)}){note}", lines=2
        )

    def _even(self, most: int) -> list[int]:
        total = self.end - self.start
        step = next((step for step in _STEPS if total <= step * most), max(total // most, 1))
        return list(range(self.start, self.end + 1, step))

    def _chosen(self, preferred: Sequence[int], closest: float) -> list[int]:
        """Pick times that have something happen at them, no two too close."""
        taken: dict[int, float] = {}
        gaps = sorted(pairwise(self._points), key=lambda gap: gap[0] - gap[1])[:_TICKS_TRIED]
        for ts in [*preferred, *(later for _, later in gaps)]:
            place = self(ts)
            if all(abs(place - other) >= closest for other in taken.values()):
                taken[ts] = place
        return sorted(taken)

    def _label(self, ts: int) -> str:
        day, time = self._zone.clock(ts).split(" ")
        total = self.end - self.start
        if total >= 2 * _DAY:
            time = f"{day[5:]} {time[:5]}"
        elif total < _MINUTE:
            time += f".{ts % SECOND // _MS:03d}"
        return f"{duration(ts - self.start)}\n{time}"


def duration(ns: int) -> str:
    """A duration in at most two units."""
    if ns < SECOND - _MS:
        return f"{ns / _MS:.3g} ms" if ns else "0"
    if ns < _MINUTE - SECOND // 20:
        return f"{ns / SECOND:.3g} s"
    for big, small, many, few, slack in _UNITS:
        if ns >= big - slack:
            count, rest = divmod(round(ns / small), big // small)
            return f"{count:,} {many} {rest} {few}" if rest and count < 100 else f"{count:,} {many}"
    return ""


_UNITS = (
    (_DAY, _HOUR, "d", "h", _MINUTE // 2),
    (_HOUR, _MINUTE, "h", "min", SECOND // 2),
    (_MINUTE, SECOND, "min", "s", SECOND // 20),
)
"""Unit, the smaller one to go with it, and how little less is rounded up to it."""


def thinned(places: Iterable[tuple[float, str]], least: float) -> Iterator[tuple[float, str]]:
    """Leave out labels that would touch the one before."""
    last = -1.0
    for place, label in places:
        if place - last >= least:
            last = place
            yield place, label
