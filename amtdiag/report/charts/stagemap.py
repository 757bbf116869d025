"""Which device passed which stage: a map with a row a device or, for many, a row for what stops them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from amtdiag.model import DeviceRecord, Stage
from amtdiag.report.charts.parts import legend
from amtdiag.report.charts.style import (
    BLUE,
    DARK,
    GREY,
    INK,
    ORANGE,
    PALE,
    VERBATIM,
    axes_at,
    bare,
    draw_sentence,
    headings,
    text_of,
    wrapped,
)
from amtdiag.report.charts.view import ChartData, Charted, labelled
from amtdiag.report.verdict import verdict
from amtdiag.report.wording import OUTCOMES, STAGES, count_devices, stage_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from amtdiag.report.charts.style import Place

MAX_MAPPED = 200
"""Devices that get a row of their own; more are grouped by what stops them."""
_ONE_BLOCK, _MAX_BLOCKS = 40, 3

State = Literal["passed", "failed", "open", "unseen"]


class Mark(NamedTuple):
    """How a state looks: colour of the cell, and a sign in it."""

    label: str
    """What it means, in the legend."""
    colour: str
    """Of the cell."""
    sign: str
    """A marker of matplotlib's; empty for none."""
    sign_colour: str


MARKS: dict[State, Mark] = {
    "passed": Mark("passed", BLUE, "", "white"),
    "failed": Mark("failed", DARK, "X", "white"),
    "open": Mark("open: neither is proven", ORANGE, "o", INK),
    "unseen": Mark("not in the capture, but a later stage is", PALE, ".", INK),
}


def fleet_stages(found: Charted, ax: Place = None) -> Axes:
    """Draw which device passed which stage; beyond `MAX_MAPPED`, how many of each group did."""
    view = ChartData.of(found)
    if not view.amt:
        return draw_sentence(axes_at(ax, 3), "No devices")
    return _rows(view, ax) if len(view.amt) <= MAX_MAPPED else _groups(view, ax)


def _states(device: DeviceRecord) -> dict[Stage, State]:
    """The stages that a device reached."""
    known = {stage.name: stage.passed for stage in device.stages}
    return {
        stage: OUTCOMES[known[stage]] if stage in known else "unseen"
        for stage in STAGES[: STAGES.index(device.stage) + 1]
    }


# -------------------------------------------------------------------------------------------- few: a row each


def _alike_together(view: ChartData) -> list[DeviceRecord]:
    """What stops most devices first, and of those the ones that came least far."""
    listed = [view.devices[identity] for identity in view.groups if view.devices[identity].is_amt]
    order = {name: number for number, name in enumerate(dict.fromkeys(view.groups.values()))}
    return sorted(
        listed,
        key=lambda device: (order[view.groups[device.id]], STAGES.index(device.stage), device.first_seen),
    )


def _rows(view: ChartData, place: Place) -> Axes:
    """Draw blocks of rows side by side: two hundred below each other could not be read."""
    listed = _alike_together(view)
    blocks = 1 if len(listed) <= _ONE_BLOCK else 2 if len(listed) <= 2 * _ONE_BLOCK else _MAX_BLOCKS
    height = -(-len(listed) // blocks)
    pitch = 0.26 if blocks == 1 else 0.17
    ax = axes_at(place, 2.3 + pitch * max(height, 4))
    # A block is names, the stages, what stopped the device; a stage is one unit wide.
    names, causes = (6.0, 9.0) if blocks == 1 else (6.6, 0.4) if blocks == 2 else (5.6, 0.4)
    width = names + len(STAGES) + causes
    small = 9 if blocks == 1 else 7.5
    cells: dict[State, list[tuple[float, float]]] = {state: [] for state in MARKS}
    for number, device in enumerate(listed):
        left, row = names + width * (number // height), number % height
        for stage, state in _states(device).items():
            cells[state].append((left + STAGES.index(stage), row))
        label = text_of(view.names[device.id], 40 if blocks == 1 else 17)
        ax.text(left - 0.3, row, label, ha="right", va="center", fontsize=small, color=INK, **VERBATIM)
        if blocks == 1:
            words, colour = text_of(labelled(device), 48), INK if device.state == "stuck" else GREY
            at = left + len(STAGES) + 0.3
            ax.text(at, row, words, va="center", fontsize=small, color=colour, **VERBATIM)
    for state, places in cells.items():
        _draw_cells(ax, state, places, 6 if blocks == 1 else 4)
    for block in range(-(-len(listed) // height)):
        for column, stage in enumerate(STAGES):
            middle = names + width * block + column + 0.5
            ax.text(middle, -0.75, stage_name(stage), rotation=50, rotation_mode="anchor", fontsize=small)
    ax.set_xlim(0, width * blocks - causes * (blocks > 1))
    ax.set_ylim(height - 0.4, -0.6)
    _no_axes(ax)
    legend(ax)
    headings(ax, verdict(view.diagnosis), pad=78 if blocks == 1 else 66)
    return ax


def _draw_cells(ax: Axes, state: State, places: Sequence[tuple[float, float]], size: float) -> None:
    """Draw all cells of a state as one artist, and their signs as another, which stands in the legend."""
    if not places:
        return
    from matplotlib.collections import PolyCollection

    mark = MARKS[state]
    outline = ((0.04, -0.42), (0.96, -0.42), (0.96, 0.42), (0.04, 0.42))
    corners = [[(x + across, y + down) for across, down in outline] for x, y in places]
    ax.add_collection(PolyCollection(corners, facecolors=mark.colour, linewidths=0), autolim=False)
    if mark.sign:
        ax.plot(
            [x + 0.5 for x, _ in places], [y for _, y in places], linestyle="none", marker=mark.sign,
            markersize=size, color=mark.sign_colour, markeredgewidth=0, zorder=3,
        )  # fmt: skip
    _swatch(ax, mark)


def _swatch(ax: Axes, mark: Mark) -> None:
    """Put a state into the legend, as a point without a place."""
    ax.plot([], [], linestyle="none", marker="s", markersize=9, color=mark.colour, label=_legend_label(mark))


def _legend_label(mark: Mark) -> str:
    signs = {"X": " ×", "o": " ●", ".": " ·", "": ""}  # noqa: RUF001 - the sign in the cells
    return mark.label + signs[mark.sign]


def _no_axes(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    bare(ax, keep="")


# ---------------------------------------------------------------------------------------- many: a row a group


def _groups(view: ChartData, place: Place) -> Axes:
    """Colour says what share of a group passed a stage or went on from it, words how many did and failed."""
    groups = {device.id: view.groups[device.id] for device in view.amt}
    sizes = Counter(view.groups[identity] for identity in view.groups if identity in groups)
    counts: Counter[tuple[str, Stage, State]] = Counter()
    for device in view.amt:
        counts.update((groups[device.id], stage, state) for stage, state in _states(device).items())
    ax = axes_at(place, 2.6 + 0.62 * max(len(sizes), 2))
    shares = [
        [sum(counts[name, stage, state] for state in ("passed", "unseen")) / sizes[name] for stage in STAGES]
        for name in sizes
    ]
    ax.pcolormesh(
        range(len(STAGES) + 1), range(len(sizes) + 1), shares, cmap="Blues", vmin=0, vmax=1.15,
        edgecolors="white", linewidth=2,
    )  # fmt: skip
    for row, name in enumerate(sizes):
        for column, stage in enumerate(STAGES):
            words = _cell_words(counts, name, stage)
            dark = shares[row][column] > 0.55
            ax.text(
                column + 0.5, row + 0.5, words, ha="center", va="center", fontsize=8.5, linespacing=1.15,
                color="white" if dark else INK,
            )  # fmt: skip
    labels = [f"{wrapped(name, 36)}\n{count_devices(sizes[name])}" for name in sizes]
    ax.set_yticks([row + 0.5 for row in range(len(sizes))], labels=labels, fontsize=9, **VERBATIM)
    ax.xaxis.tick_top()
    ax.set_xticks(
        [column + 0.5 for column in range(len(STAGES))],
        labels=[stage_name(stage) for stage in STAGES],
        fontsize=9,
    )
    ax.tick_params(axis="x", length=0)
    ax.set_ylim(len(sizes), 0)
    bare(ax, keep="")
    below = f"{len(view.amt):,} devices, grouped by what stops them; the darker, the more passed or went on"
    below += " (unseen: not in the capture, but a later stage is)"
    headings(ax, verdict(view.diagnosis), below, pad=24)
    return ax


def _cell_words(counts: Counter[tuple[str, Stage, State]], group: str, stage: Stage) -> str:
    states = ((state, counts[group, stage, state]) for state in MARKS)
    return "\n".join(f"{count:,} {state}" for state, count in states if count)
