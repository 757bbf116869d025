"""Charts of all devices."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from math import isnan, nan
from typing import TYPE_CHECKING

from amtdiag.model import SEVERITIES, DeviceRecord, Mode, Severity
from amtdiag.report.causes import grouped, same_rule
from amtdiag.report.charts.parts import (
    FAILED,
    MAX_RULES,
    bands_of,
    count_axis,
    draw_markers,
    legend,
    mode_name,
    rule_labels,
    severity_legend,
)
from amtdiag.report.charts.style import (
    BLUE,
    GREY,
    INK,
    LOOKS,
    MODE_COLOURS,
    PALE,
    SEVERITY_COLOURS,
    VERBATIM,
    Look,
    axes_at,
    bare,
    draw_sentence,
    headings,
    text_of,
    wrapped,
)
from amtdiag.report.charts.timescale import TimeScale
from amtdiag.report.charts.view import ChartData, Charted, labelled, titled
from amtdiag.report.timezones import Wanted
from amtdiag.report.verdict import verdict
from amtdiag.report.wording import count_devices
from amtdiag.tables import MODES, EventKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from amtdiag.report.charts.style import Place

MAX_ROWS = 40
"""Devices that get a row of their own in the timeline; more are grouped by what stops them."""


def fleet_timeline(found: Charted, ax: Place = None, tz: Wanted = "UTC") -> Axes:
    """Draw all devices over time: a row each or, beyond `MAX_ROWS`, a row for each thing that stops them.

    Times are of the zone `tz`. Raises `UsageError` where there is none such.
    """
    view = ChartData.of(found, tz)
    count = len(view.devices)
    if not count:
        return draw_sentence(axes_at(ax, 3), "No devices")
    return _rows(view, ax) if count <= MAX_ROWS else _heat(view, ax)


_ON_THE_WAY: tuple[EventKind, ...] = ("dhcp", "dns", "connection")
"""Steps before the Hello: in the one row that a device has here, only their failures are worth a mark."""
_FLEET_LOOKS = {**LOOKS, "whole": Look("Hello", "|", BLUE, filled=False)}


def _rows(view: ChartData, place: Place) -> Axes:
    listed = view.troubled_first()
    ax = axes_at(place, 1.9 + 0.34 * max(len(listed), 3))
    own = {device.id: view.events.get(device.id, []) for device in listed}
    scale = TimeScale(
        [ts for device in listed for ts in (device.first_seen, device.last_seen)]
        + [ts for events in own.values() for event in events for ts in (event.ts, event.last_ts)],
        view.zone,
    )
    for row, device in enumerate(listed):
        bands = bands_of(device, device.first_seen)
        stops = [*(start for start, *_ in bands[1:]), device.last_seen]
        for (start, mode, _), stop in zip(bands, stops, strict=True):
            ax.hlines(row, scale(start), scale(stop), color=MODE_COLOURS[mode], linewidth=7, alpha=0.45)
        ax.annotate(
            text_of(labelled(device), 40), (1.04, row), va="center", fontsize=9,
            color=INK if device.state == "stuck" else GREY, annotation_clip=False, **VERBATIM,
        )  # fmt: skip
    points = (
        (event, row)
        for row, device in enumerate(listed)
        for event in own[device.id]
        if event.kind not in _ON_THE_WAY or event.outcome in FAILED
    )
    # The mark of a Hello is a tall line: what follows within milliseconds covers only its middle.
    draw_markers(ax, points, scale, 8, _FLEET_LOOKS)
    labels = [_row_label(view, device) for device in listed]
    ax.set_yticks(range(len(listed)), labels=labels, fontsize=9, **VERBATIM)
    ax.set_ylim(len(listed) - 0.4, -0.6)
    scale.dress(ax, closest=0.1 if max(map(len, labels)) < 34 else 0.18)
    bare(ax)
    ax.grid(axis="x", color=PALE, linewidth=0.6)
    _mode_handles(ax, {span.name for device in listed for span in device.modes})
    legend(ax)
    headings(ax, verdict(view.diagnosis))
    return ax


def _row_label(view: ChartData, device: DeviceRecord) -> str:
    name, address = view.names[device.id], device.ips[-1] if device.ips else ""
    return text_of(name, 36) if address in ("", name) else f"{text_of(name, 36)}  {text_of(address, 26)}"


def _mode_handles(ax: Axes, used: Iterable[Mode]) -> None:
    """Put the modes into the legend, as empty lines of their colour."""
    for mode in MODES:
        if mode in set(used):
            ax.plot([], [], color=MODE_COLOURS[mode], linewidth=7, alpha=0.45, label=mode_name(mode))


def _heat(view: ChartData, place: Place) -> Axes:
    """Count the devices that were active in each stretch of time, for each thing that stops devices."""
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter

    causes, sizes = view.groups, Counter(view.groups.values())
    ax = axes_at(place, 2.2 + 0.62 * max(len(sizes), 2))
    row = {name: number for number, name in enumerate(sizes)}
    scale = TimeScale(
        (
            ts
            for device in view.devices.values()
            for ts in (device.first_seen, device.last_seen, *_times(view, device.id))
        ),
        view.zone,
    )
    bins = 120 if len(view.devices) > 1000 else 60
    active = {
        (row[causes[device]], min(int(scale(event.ts) * bins), bins - 1), device)
        for device, events in view.events.items()
        if device in causes
        for event in events
    }
    cells: list[list[float]] = [[nan] * bins for _ in sizes]
    for (group, column), count in Counter((group, column) for group, column, _ in active).items():
        cells[group][column] = count
    most = max((value for line in cells for value in line if not isnan(value)), default=1)
    norm = LogNorm(1, most) if most > 20 else Normalize(0, max(most, 1))
    edges = [column / bins for column in range(bins + 1)]
    mesh = ax.pcolormesh(
        edges, [y - 0.4 for y in range(len(sizes) + 1)], cells, cmap="YlGnBu", norm=norm, rasterized=True
    )
    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(mesh, ax=ax, pad=0.01, fraction=0.03)
    bar.set_label("devices active", fontsize=9)
    if most > 20:
        ticks = [digit * 10**power for power in range(12) for digit in (1, 2, 5)]
        bar.set_ticks([tick for tick in ticks if tick <= most])
        bar.ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        bar.ax.yaxis.set_minor_locator(NullLocator())
    else:
        bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    for line in range(1, len(sizes)):
        ax.axhline(line - 0.4, color="white", linewidth=4)
    labels = [f"{wrapped(name, 36)}\n{count_devices(sizes[name])}" for name in sizes]
    ax.set_yticks([number + 0.1 for number in range(len(sizes))], labels=labels, fontsize=9, **VERBATIM)
    ax.set_ylim(len(sizes) - 0.4, -0.4)
    scale.dress(ax)
    ax.set_xlim(0, 1)
    bare(ax)
    headings(ax, verdict(view.diagnosis), f"{len(view.devices):,} devices, grouped by what stops them")
    return ax


def _times(view: ChartData, device: str) -> Iterator[int]:
    return (event.ts for event in view.events.get(device, ()))


def fleet_failures(found: Charted, ax: Place = None) -> Axes:
    """Draw how many devices each rule speaks about, gravest first, coloured by severity."""
    view = ChartData.of(found)
    findings = view.diagnosis.findings
    if not view.devices and not findings:
        return draw_sentence(axes_at(ax, 3), "No devices")
    if not findings:
        return draw_sentence(axes_at(ax, 3), "No findings")
    rules = {group[0].rule: group for group in grouped(findings, same_rule)}
    # Who has it, by severity; a finding without a device counts for itself.
    having: defaultdict[str, dict[str, Severity]] = defaultdict(dict)
    for finding in reversed(findings):  # the likeliest comes last and stays
        having[finding.rule][finding.device or f"finding {finding.id}"] = finding.severity

    def rank(rule: str) -> tuple[int, int]:
        return -max(map(SEVERITIES.index, having[rule].values())), -len(having[rule])

    order = sorted(rules, key=rank)
    shown = order[:MAX_RULES]
    ax = axes_at(ax, 1.7 + 0.46 * max(len(shown), 2))
    for row, rule in enumerate(shown):
        counts = Counter(having[rule].values())
        left = 0
        for severity in reversed(SEVERITIES):
            if counts[severity]:
                ax.barh(row, counts[severity], 0.6, left, color=SEVERITY_COLOURS[severity])
                left += counts[severity]
        ax.annotate(
            _how_many(having[rule], len(view.devices)), (left, row), (5, 0), textcoords="offset points",
            va="center", fontsize=9.5,
        )  # fmt: skip
    rule_labels(ax, [titled(*rules[rule]) for rule in shown])
    ax.set_ylim(len(shown) - 0.4, -0.6)
    rest = len(order) - len(shown)
    unit = "devices" + (f" ({rest} more rules are not shown)" if rest else "")
    count_axis(ax, unit, max(len(having[rule]) for rule in shown))
    severity_legend(ax, {finding.severity for finding in findings if finding.rule in shown})
    headings(ax, verdict(view.diagnosis))
    return ax


def _how_many(having: Mapping[str, Severity], devices: int) -> str:
    aside = sum(owner.startswith("finding ") for owner in having)
    if aside == len(having):
        return f"{aside:,}, about no device"
    return f"{len(having) - aside:,} of {devices:,}"


def fleet_modes(found: Charted, ax: Place = None) -> Axes:
    """Draw how many devices ended in each mode; hatched where the mode is inferred."""
    view = ChartData.of(found)
    listed = view.diagnosis.devices
    ax = axes_at(ax, 3.4 if listed else 3)
    if not listed:
        return draw_sentence(ax, "No devices")
    counts = Counter((device.mode.name, device.mode.basis == "inferred") for device in listed)
    for row, mode in enumerate(MODES):
        observed, inferred = counts[mode, False], counts[mode, True]
        colour = MODE_COLOURS[mode]
        ax.barh(row, observed, 0.6, color=colour)
        ax.barh(row, inferred, 0.6, observed, color=colour, hatch="//", edgecolor="white", linewidth=0)
        words = f"{observed + inferred:,}" + (f" ({inferred:,} inferred)" if inferred else "")
        ax.annotate(
            words, (observed + inferred, row), (5, 0), textcoords="offset points", va="center", fontsize=10
        )
    names = ["not known" if mode == "unknown" else f"{mode.capitalize()} Mode" for mode in MODES]
    ax.set_yticks(range(len(MODES)), labels=names, fontsize=10)
    totals = Counter(device.mode.name for device in listed)
    count_axis(ax, "devices, by the last mode that the capture shows", max(totals.values()))
    done = totals["operational"]
    are = "is" if done == 1 else "are"
    headings(ax, f"{done:,} of {count_devices(len(listed))} {are} Operational")
    return ax
