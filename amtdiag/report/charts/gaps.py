"""How long devices wait between their Hellos, beside what has been written about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import TYPE_CHECKING

from amtdiag.devices.retry_schedules import SCHEDULES
from amtdiag.report.charts.style import (
    BLUE,
    DARK,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PINK,
    RED,
    VERBATIM,
    axes_at,
    axis_label,
    bare,
    below,
    draw_sentence,
    headings,
    text_of,
)
from amtdiag.report.charts.timescale import duration
from amtdiag.report.charts.view import ChartData, Charted
from amtdiag.times import SECOND

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from amtdiag.report.charts.style import Place

MAX_LINES = 6
"""Devices that get a line of their own; of more, the spread is drawn."""
_LINES = ((BLUE, "o"), (RED, "s"), (GREEN, "^"), (PINK, "D"), (ORANGE, "v"), (INK, "P"))
_SCHEDULE_LINES = ("--", ":")
_TICKS = tuple(
    number * SECOND
    for number in (0.001, 0.01, 0.1, 1, 5, 12, 30, 60, 120, 300, 600, 1200, 2160, 3600, 7200, 21_600, 86_400)
)
_DECADE = 10
_MAX_LABELLED = 30

Gaps = Mapping[int, Sequence[int]]
"""Nanoseconds before a Hello, by its retry count."""


def fleet_retry_gaps(found: Charted, ax: Place = None) -> Axes:
    """Draw how long devices waited before each Hello, by its retry count, beside the documented schedules.

    Up to `MAX_LINES` devices have a line each; of more, the median, the middle half and the extremes are
    drawn. Intel gives no intervals: a schedule is what others have documented, and no verdict.
    """
    return _draw(ChartData.of(found), None, ax)


def device_retry_gaps(found: Charted, device_id: str, ax: Place = None) -> Axes:
    """Draw the same of one device. Raises `UsageError` for one that the diagnosis does not know."""
    return _draw(ChartData.of(found), device_id, ax)


def _draw(view: ChartData, device_id: str | None, place: Place) -> Axes:
    gaps = _gaps(view, None if device_id is None else view.device(device_id).id)
    if not gaps:
        nothing = "No device says Hello twice, with a retry count" if view.devices else "No devices"
        return draw_sentence(axes_at(place, 3), nothing)
    ax = axes_at(place, 6)
    last = max(count for own in gaps.values() for count, _ in own)
    _draw_schedules(ax, max(last, 15))
    merged: defaultdict[int, list[int]] = defaultdict(list)
    for own in gaps.values():
        for count, gap in own:
            merged[count].append(gap)
    if len(gaps) <= MAX_LINES:
        _draw_lines(ax, view, gaps)
    else:
        _draw_spread(ax, merged)
    _dress(ax, [gap for some in merged.values() for gap in some])
    number = sum(map(len, merged.values()))
    who = text_of(view.names[next(iter(gaps))], 44) if len(gaps) == 1 else f"{len(gaps):,} devices"
    middle = duration(round(median(gap for some in merged.values() for gap in some)))
    pauses = "1 gap" if number == 1 else f"{number:,} gaps"
    headings(ax, f"Between two Hellos: {middle} in the median", f"{who} · {pauses}")
    return ax


def _gaps(view: ChartData, only: str | None) -> dict[str, list[tuple[int, int]]]:
    """Return the gaps of each device, with the retry count of the Hello that ends them."""
    last: dict[str, int] = {}
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for record in view.diagnosis.hellos:
        if (only is not None and record.device != only) or record.device not in view.devices:
            continue
        count, before = record.event.hello.retry_count, last.get(record.device)
        last[record.device] = record.event.ts
        # Two sensors may see one Hello: what came at the same time is no gap.
        if count is not None and before is not None and record.event.ts > before:
            found[record.device].append((count, record.event.ts - before))
    return dict(found)


def _draw_schedules(ax: Axes, last: int) -> None:
    for style, schedule in zip(_SCHEDULE_LINES, SCHEDULES, strict=True):
        steps = [interval / SECOND for times, interval in schedule.steps for _ in range(times)][:last]
        edges = [number + 0.5 for number in range(len(steps) + 1)]
        ax.stairs(steps, edges, baseline=None, color=GREY, linestyle=style, linewidth=1.6, zorder=1)
        label = f"as documented by {schedule.documented_by}"
        ax.plot([], [], color=GREY, linestyle=style, linewidth=1.6, label=label)


def _draw_lines(ax: Axes, view: ChartData, gaps: Mapping[str, Sequence[tuple[int, int]]]) -> None:
    for (colour, marker), (identity, own) in zip(_LINES, gaps.items(), strict=False):
        ax.plot(
            [count for count, _ in own], [gap / SECOND for _, gap in own], color=colour, marker=marker,
            markersize=7, linewidth=1.2, alpha=0.9, markeredgecolor="white", markeredgewidth=0.6,
            label=text_of(view.names[identity], 40), zorder=3,
        )  # fmt: skip
    if len(gaps) == 1 and len(own := next(iter(gaps.values()))) <= _MAX_LABELLED:
        for count, gap in own:
            ax.annotate(
                duration(gap), (count, gap / SECOND), (0, 8), textcoords="offset points", ha="center",
                fontsize=8, color=INK, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )  # fmt: skip


def _draw_spread(ax: Axes, merged: Gaps) -> None:
    counts = sorted(merged)
    seconds = {count: sorted(gap / SECOND for gap in merged[count]) for count in counts}
    quarter = {
        count: quantiles(some, n=4, method="inclusive") if len(some) > 1 else some * 3
        for count, some in seconds.items()
    }
    ax.vlines(
        counts, [seconds[count][0] for count in counts], [seconds[count][-1] for count in counts], color=BLUE,
        linewidth=1, label="least to most", zorder=2,
    )  # fmt: skip
    ax.vlines(
        counts, [quarter[count][0] for count in counts], [quarter[count][2] for count in counts], color=BLUE,
        linewidth=8, alpha=0.5, label="the middle half", zorder=2,
    )  # fmt: skip
    ax.plot(
        counts, [quarter[count][1] for count in counts], linestyle="none", marker="D", markersize=7,
        color=DARK, markeredgecolor="white", label="median", zorder=3,
    )  # fmt: skip
    if len(counts) > _MAX_LABELLED:
        return
    for count in counts:
        ax.annotate(
            f"{len(seconds[count]):,}", (count, 0), (0, 3), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", va="bottom", fontsize=8, color=INK,
        )  # fmt: skip
    ax.plot([], [], linestyle="none", label="at the foot: number of gaps")


def _dress(ax: Axes, gaps: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator

    low = min(*gaps, 10 * SECOND) / SECOND / 1.6
    high = max(*gaps, 4000 * SECOND) / SECOND * 2.5
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    ticks = [tick / SECOND for tick in _TICKS if low <= tick / SECOND <= high]
    if high > _TICKS[-1] / SECOND * _DECADE:
        ticks += [day * 86_400 for day in (10, 100, 1000, 10_000) if day * 86_400 <= high]
    ax.set_yticks(ticks, labels=[duration(round(tick * SECOND)) for tick in ticks], fontsize=9)
    ax.yaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_locator(MaxNLocator(nbins=16, integer=True))
    ax.set_xlim(-0.7, max(ax.dataLim.x1, 15) + 0.7)
    ax.grid(axis="y", color=PALE, linewidth=0.6)
    bare(ax)
    ax.tick_params(axis="x", labelsize=10)
    axis_label(ax, "retry count of the Hello that ends the gap", lines=1)
    made = ax.legend(
        loc="upper center", bbox_to_anchor=(0.45, 0), bbox_transform=below(ax, 43), ncols=4, frameon=False,
        fontsize=9,
    )  # fmt: skip
    for label in made.get_texts():
        label.set(**VERBATIM)
