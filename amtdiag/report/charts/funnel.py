"""How far the devices of a fleet came: how many reached each stage, and how many stopped there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from amtdiag.model import DeviceRecord, Stage
from amtdiag.report.charts.parts import Fill, count_axis, fills_legend
from amtdiag.report.charts.style import BLUE, DARK, GREEN, ORANGE, PALE, axes_at, draw_sentence, headings
from amtdiag.report.charts.view import ChartData, Charted
from amtdiag.report.wording import STAGES, count_devices, stage_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from amtdiag.report.charts.style import Place

Part = Literal["seen", "unseen", "done", "open", "stopped"]

FUNNEL: dict[Part, Fill] = {
    "seen": Fill("went on from here", BLUE),
    "unseen": Fill("went on; this stage is not in the capture", PALE, ".."),
    "done": Fill("Operational", GREEN),
    "open": Fill("the last stage seen, nothing proves a stop", ORANGE, "\\\\"),
    "stopped": Fill("stopped here", DARK, "//"),
}
"""What the parts of a bar mean, from the left."""


def fleet_funnel(found: Charted, ax: Place = None) -> Axes:
    """Draw how many devices came as far as each stage or further, and how many stopped at it.

    A device that is seen at a later stage has been through the earlier ones, in this capture or not: which
    of the two is shown.
    """
    view = ChartData.of(found)
    if not view.amt:
        return draw_sentence(axes_at(ax, 3), "No devices")
    counts = _counts(view.amt)
    ax = axes_at(ax, 6)
    for row, stage in enumerate(STAGES):
        left = 0
        for part, fill in FUNNEL.items():
            if counts[stage, part]:
                fill.barh(ax, row, counts[stage, part], left)
                left += counts[stage, part]
        words = f"{left:,} came this far" if left else "nobody is seen here"
        if counts[stage, "stopped"]:
            words += f", {counts[stage, 'stopped']:,} stopped"
        ax.annotate(words, (left, row), (5, 0), textcoords="offset points", va="center", fontsize=9.5)
    ax.set_yticks(range(len(STAGES)), labels=[stage_name(stage) for stage in STAGES], fontsize=10)
    ax.set_ylim(len(STAGES) - 0.4, -0.6)
    count_axis(ax, "devices", len(view.amt), room=0.28)
    fills_legend(ax, [fill for part, fill in FUNNEL.items() if any(counts[stage, part] for stage in STAGES)])
    headings(ax, _title(view, counts))
    return ax


def _counts(devices: Sequence[DeviceRecord]) -> Counter[tuple[Stage, Part]]:
    counts: Counter[tuple[Stage, Part]] = Counter()
    for device in devices:
        last = STAGES.index(device.stage)
        seen = {stage.name for stage in device.stages}
        for stage in STAGES[:last]:
            counts[stage, "seen" if stage in seen else "unseen"] += 1
        if device.state == "stuck":
            end: Part = "stopped"
        else:
            end = "done" if device.mode.name == "operational" else "open"
        counts[device.stage, end] += 1
    return counts


def _title(view: ChartData, counts: Counter[tuple[Stage, Part]]) -> str:
    total = len(view.amt)
    stopped = {stage: counts[stage, "stopped"] for stage in STAGES}
    number = sum(stopped.values())
    if not number:
        return f"None of {count_devices(total)} is proven to be stopped"
    most = max(STAGES, key=lambda stage: stopped[stage])
    if stopped[most] == number:
        return f"{number:,} of {count_devices(total)} stopped, at {stage_name(most)}"
    where = f"{stage_name(most)} ({stopped[most]:,})"
    return f"{number:,} of {total:,} devices stopped, more at {where} than elsewhere"
