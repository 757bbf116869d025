"""What stops devices, and when: how many had which trouble in each stretch of time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from amtdiag.model import SEVERITIES, Finding
from amtdiag.report.causes import device_count, gravest, grouped, same_rule
from amtdiag.report.charts.parts import severity_legend
from amtdiag.report.charts.style import (
    INK,
    PALE,
    SEVERITY_COLOURS,
    VERBATIM,
    axes_at,
    bare,
    draw_sentence,
    headings,
    wrapped,
)
from amtdiag.report.charts.timescale import TimeScale
from amtdiag.report.charts.view import MAX_CAUSES, ChartData, Charted, titled
from amtdiag.report.timezones import Wanted
from amtdiag.report.verdict import verdict
from amtdiag.report.wording import count_devices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from amtdiag.report.charts.style import Place

_BINS = 120
_TALLEST = 0.68
"""Of a row."""


def fleet_failures_over_time(found: Charted, ax: Place = None, tz: Wanted = "UTC") -> Axes:
    """Draw for each cause, over time, how many devices have that trouble; all rows have one scale.

    A device counts from the first to the last packet that shows its trouble, so that one which got through
    later stops counting then. Times are of the zone `tz`. Raises `UsageError` where there is none such.
    """
    view = ChartData.of(found, tz)
    causes = _causes(view)
    if not causes:
        return draw_sentence(axes_at(ax, 3), "No failures" if view.devices else "No devices")
    shown = causes[:MAX_CAUSES]
    ax = axes_at(ax, 2.1 + 0.7 * max(len(shown), 2))
    scale = TimeScale(_moments(view), view.zone)
    counts = [_counted(group, scale) for group in shown]
    most = max(max(line.values()) for line in counts)
    for row, (group, line) in enumerate(zip(shown, counts, strict=True)):
        floor = row + 0.4
        ax.axhline(floor, color=PALE, linewidth=0.8)
        columns = sorted(line)
        ax.bar(
            [column / _BINS for column in columns], [-_TALLEST * line[column] / most for column in columns],
            1 / _BINS, floor, align="edge", color=SEVERITY_COLOURS[gravest(group)], linewidth=0,
        )  # fmt: skip
        peak = max(columns, key=lambda column: line[column])
        ax.annotate(
            f"{line[peak]:,}", ((peak + 0.5) / _BINS, floor - _TALLEST * line[peak] / most), (0, 2),
            textcoords="offset points", ha="center", va="bottom", fontsize=8.5, color=INK,
        )  # fmt: skip
    labels = [f"{wrapped(titled(*group), 36)}\n{_devices(group)}" for group in shown]
    ax.set_yticks([row + 0.1 for row in range(len(shown))], labels=labels, fontsize=9, **VERBATIM)
    ax.set_ylim(len(shown) - 0.5, -0.62)
    scale.dress(ax)
    bare(ax)
    severity_legend(ax, {gravest(group) for group in shown})
    rest = len(causes) - len(shown)
    more = f"; {rest} more causes are not shown" if rest else ""
    below = f"devices that had this trouble at that time; the number is the most of them{more}"
    headings(ax, verdict(view.diagnosis), below)
    return ax


def _causes(view: ChartData) -> list[list[Finding]]:
    """The troubles with provisioning that have a time, by rule; the gravest first, then the most common."""
    troubles = (
        finding
        for finding in view.diagnosis.findings
        if finding.category == "provisioning" and finding.severity != "info" and finding.first_ts is not None
    )
    groups = grouped(troubles, same_rule)
    return sorted(groups, key=lambda group: (-SEVERITIES.index(gravest(group)), -len(group)))


def _moments(view: ChartData) -> list[int]:
    """What the axis has to show: all of the devices' time, not only that of their troubles."""
    seen = [ts for device in view.diagnosis.devices for ts in (device.first_seen, device.last_seen)]
    found = [
        ts
        for finding in view.diagnosis.findings
        for ts in (finding.first_ts, finding.last_ts)
        if ts is not None
    ]
    return [*seen, *found]


def _counted(group: list[Finding], scale: TimeScale) -> Counter[int]:
    """Return how many have the trouble in each of the stretches in which any has it."""
    counts: Counter[int] = Counter()
    for finding in group:
        assert finding.first_ts is not None
        last = finding.first_ts if finding.last_ts is None else finding.last_ts
        first_bin, last_bin = (min(int(scale(ts) * _BINS), _BINS - 1) for ts in (finding.first_ts, last))
        counts.update(range(first_bin, last_bin + 1))
    return counts


def _devices(group: list[Finding]) -> str:
    count = device_count(group)
    return f"{count_devices(count) if count else 'no device'}, {gravest(group)}"
