"""What the charts of one device and of all have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from amtdiag.model import SEVERITIES, Basis, DeviceRecord, Mode, Severity
from amtdiag.report.charts.style import (
    LOOKS,
    PALE,
    SEVERITY_COLOURS,
    VERBATIM,
    Look,
    axis_label,
    bare,
    below,
    wrapped,
)
from amtdiag.report.charts.timescale import TimeScale
from amtdiag.tables import Event, EventOutcome
from amtdiag.times import SECOND

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAILED: tuple[EventOutcome, ...] = ("refused", "rejected", "unanswered", "reset", "cut", "failed")
MAX_RULES = 15
"""Bars of a chart."""


def bands_of(device: DeviceRecord, start: int) -> list[tuple[int, Mode, Basis]]:
    """Return from when on a device was in which mode, from `start` on."""
    bands = [(start if span.since is None else span.since, span.name, span.basis) for span in device.modes]
    if bands and bands[0][0] - start < SECOND:
        # The Hello proves the mode; the connection that brings it begins milliseconds before.
        return [(start, *bands[0][1:]), *bands[1:]]
    return [(start, "unknown", "none"), *bands]


def mode_name(mode: Mode) -> str:
    """Return a mode as people read it."""
    return "mode not known" if mode == "unknown" else f"{mode.capitalize()} Mode"


def draw_markers(
    ax: Axes,
    events: Iterable[tuple[Event, float]],
    scale: TimeScale,
    size: float,
    looks: Mapping[EventOutcome, Look] = LOOKS,
) -> None:
    """One artist for each outcome, however many events there are."""
    groups: defaultdict[EventOutcome, list[tuple[float, float]]] = defaultdict(list)
    for event, row in events:
        groups[event.outcome].append((scale(event.ts), row))
    for outcome, look in looks.items():
        points = groups.get(outcome)
        if points:
            ax.plot(
                [x for x, _ in points],
                [y for _, y in points],
                linestyle="none",
                marker=look.marker,
                markersize=size * (1.8 if look.marker == "|" else 1),
                markerfacecolor=look.colour if look.filled else "white",
                markeredgecolor="white" if look.filled else look.colour,
                markeredgewidth=0.6 if look.filled else 1.8,
                label=look.label,
                rasterized=len(points) > 2000,
                zorder=3,
            )


def legend(ax: Axes) -> None:
    """Name the shapes and colours in use."""
    if ax.get_legend_handles_labels()[1]:
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.45, 0), bbox_transform=below(ax, 43), ncols=5,
            frameon=False, fontsize=9, handlelength=1.5, handletextpad=0.6,
        )  # fmt: skip


def rule_labels(ax: Axes, titles: Sequence[str]) -> None:
    """Name the bars."""
    ax.set_yticks(
        range(len(titles)), labels=[wrapped(title, 34) for title in titles], fontsize=10, **VERBATIM
    )


class Fill(NamedTuple):
    """How a part of a bar looks: not by its colour alone."""

    label: str
    """What it means, in the legend."""
    colour: str
    hatch: str = ""
    """In matplotlib's signs; empty for none."""

    def barh(self, ax: Axes, row: float, width: float, left: float, thick: float = 0.6) -> None:
        """Draw it."""
        look: dict[str, Any] = {"hatch": self.hatch, "edgecolor": "white"} if self.hatch else {}
        ax.barh(row, width, thick, left, color=self.colour, linewidth=0, **look)


def fills_legend(ax: Axes, fills: Iterable[Fill]) -> None:
    """Name the parts of the bars."""
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=fill.colour, edgecolor="white", hatch=fill.hatch, label=fill.label) for fill in fills
    ]
    ax.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.45, 0), bbox_transform=below(ax, 43),
        ncols=2, frameon=False, fontsize=9,
    )  # fmt: skip


def count_axis(ax: Axes, unit: str, most: int, room: float = 0.12) -> None:
    """Whole numbers only, with room for the words behind the longest bar: such a share of its length."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    ax.set_xlim(0, max(most, 1) * (1 + room))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.grid(axis="x", color=PALE, linewidth=0.6)
    bare(ax, keep="left")
    ax.tick_params(axis="x", labelsize=10)
    axis_label(ax, unit, lines=1)


def severity_legend(ax: Axes, used: Iterable[Severity]) -> None:
    """Name the colours of the severities in use."""
    from matplotlib.patches import Patch

    handles = [
        Patch(color=SEVERITY_COLOURS[severity], label=severity)
        for severity in reversed(SEVERITIES)
        if severity in set(used)
    ]
    if handles:
        ax.legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.45, 0), bbox_transform=below(ax, 43),
            ncols=4, frameon=False, fontsize=9,
        )  # fmt: skip
