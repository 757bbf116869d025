"""Charts of one device."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from amtdiag.model import SEVERITIES, DeviceRecord, Diagnosis
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
    GREY,
    INK,
    LOOKS,
    MODE_COLOURS,
    PALE,
    SEVERITY_COLOURS,
    VERBATIM,
    axes_at,
    bare,
    draw_sentence,
    headings,
    text_of,
)
from amtdiag.report.charts.timescale import TimeScale, duration, thinned
from amtdiag.report.charts.view import ChartData, Charted, titled
from amtdiag.report.timezones import Wanted
from amtdiag.tables import Event, EventKind
from amtdiag.times import span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from amtdiag.report.charts.style import Place

_LANES: dict[EventKind, str] = {
    "dhcp": "DHCP",
    "dns": "DNS",
    "hello": "Hello",
    "connection": "Connection\nto the server",
    "connect_back": "Connection\nback to the device",
    "console": "Console",
    "scanner": "Scanner",
    "presence": "Connection to the\npresence server",
    "rmcp": "RMCP pong",
}
"""In the order in which a device goes through them."""
_ALWAYS: tuple[EventKind, ...] = ("hello", "connection", "connect_back")
"""Lanes that are drawn also where they are empty: that they are says something."""

_SEEN_BY: dict[EventKind, str] = {"connection": "device_to_server", "connect_back": "server_to_device"}


def device_timeline(found: Charted, device_id: str, ax: Place = None, tz: Wanted = "UTC") -> Axes:
    """Draw what one device and its server did, in lanes: DHCP, DNS, Hello, the connections, RMCP.

    The strip at the top is the mode. Numbers over the Hellos are their retry counts, arrows the gaps between
    them. Times are of the zone `tz`, as for `Analysis.timeline`. Raises `UsageError` for a device that the
    diagnosis does not know, and for a zone that there is not.
    """
    view = ChartData.of(found, tz)
    device = view.device(device_id)
    events = view.events.get(device.id, [])
    lanes = [kind for kind in _LANES if kind in _ALWAYS or any(event.kind == kind for event in events)]
    ax = axes_at(ax, 1.9 + 0.9 * len(lanes))
    row = {kind: len(lanes) - 1 - number for number, kind in enumerate(lanes)}
    times = [
        device.first_seen,
        device.last_seen,
        *(ts for event in events for ts in (event.ts, event.last_ts)),
    ]
    capture_end = _capture_end(view.diagnosis, device.last_seen)
    if capture_end is not None:
        times.append(capture_end)
    scale = TimeScale(times, view.zone)

    _draw_modes(ax, device, scale, len(lanes))
    for kind in lanes:
        own = [event for event in events if event.kind == kind]
        ax.axhline(row[kind] - 0.5, color=PALE, linewidth=0.8)
        if kind == "hello":
            _draw_retries(ax, own, scale, row[kind])
        else:
            _draw_runs(ax, own, [event.ts for event in events if event.kind == "hello"], scale, row[kind])
        if not own:
            seen = device.visibility.get(_SEEN_BY.get(kind, ""), True)
            word = "none in this capture" if seen else "this capture does not show this direction"
            ax.text(0.5, row[kind], word, ha="center", va="center", fontsize=9, color=GREY)
    draw_markers(
        ax, ((event, row[event.kind]) for event in events), scale, size=10 if len(events) < 500 else 5
    )
    if capture_end is not None:
        ax.axvline(scale(capture_end), color=INK, linewidth=1, linestyle=":")
        ax.annotate(
            "capture ends ", (scale(capture_end), -0.5), (0, 3), textcoords="offset points",
            fontsize=8.5, color=INK, ha="right", va="bottom",
        )  # fmt: skip
    labels = [_lane_label(kind, events) for kind in lanes]
    ax.set_yticks(
        [*(row[kind] for kind in lanes), len(lanes) - 0.28], labels=[*labels, "Mode"], fontsize=10, **VERBATIM
    )
    ax.set_ylim(-0.5, len(lanes) - 0.05)
    scale.dress(
        ax,
        [*([capture_end] if capture_end else []), *(event.ts for event in events if event.kind == "hello")],
    )
    bare(ax)
    legend(ax)
    headings(ax, _device_title(device), _device_line(view, device))
    return ax


def _capture_end(diagnosis: Diagnosis, last_seen: int) -> int | None:
    """Return when the capture that shows a device's last event stops, if that is later."""
    ends = [
        capture.last_ts
        for capture in diagnosis.captures
        if capture.first_ts is not None
        and capture.last_ts is not None
        and capture.first_ts <= last_seen < capture.last_ts
    ]
    return max(ends, default=None)


def _draw_modes(ax: Axes, device: DeviceRecord, scale: TimeScale, top: float) -> None:
    bands = bands_of(device, scale.start)
    ends = [start for start, *_ in bands[1:]] + [scale.end]
    for (start, name, basis), end in zip(bands, ends, strict=True):
        left, right = scale(start), scale(end)
        if scale.start == scale.end:
            left, right = 0.0, 1.0
        ax.axvspan(left, right, ymax=0.999, color=MODE_COLOURS[name], alpha=0.1, linewidth=0)
        ax.barh(top - 0.28, right - left, 0.36, left, color=MODE_COLOURS[name], alpha=0.75)
        if right - left > 0.12:
            word = mode_name(name) + ("" if name == "unknown" else f", {basis}")
            ax.text((left + right) / 2, top - 0.28, word, ha="center", va="center", fontsize=9, color=INK)


def _draw_retries(ax: Axes, hellos: Sequence[Event], scale: TimeScale, row: float) -> None:
    """Write the retry count over the Hellos, and the gaps between them below."""
    marks = [(scale(hello.ts), "?" if hello.retry is None else str(hello.retry)) for hello in hellos]
    crowded = len(marks) > 8
    for place, retry in thinned(marks, 0.025 if crowded else 0.06):
        ax.annotate(
            retry if crowded else f"retry {retry}", (place, row), (0, 9), textcoords="offset points",
            ha="center", fontsize=9, color=INK,
        )  # fmt: skip
    if crowded:
        ax.annotate(
            "retry",
            (marks[0][0], row),
            (-14, 9),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            color=INK,
        )
    for earlier, later in pairwise(hellos):
        left, right = scale(earlier.ts), scale(later.ts)
        words = duration(later.ts - earlier.ts), span(later.ts - earlier.ts)
        word = next((word for word in words if right - left >= 0.01 + 0.0065 * len(word)), None)
        if word is None:
            continue
        ax.annotate(
            "", (left, row - 0.3), (right, row - 0.3),
            arrowprops={"arrowstyle": "<->", "color": GREY, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        ax.text(
            (left + right) / 2, row - 0.3, word, ha="center", va="center", fontsize=8, color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
        )  # fmt: skip


def _draw_runs(ax: Axes, links: Sequence[Event], hellos: Sequence[int], scale: TimeScale, row: float) -> None:
    """Draw how long connections lasted, and write over the failures after each Hello what they were."""
    lasting = [(scale(event.ts), scale(event.last_ts), LOOKS[event.outcome].colour) for event in links]
    shown = [run for run in lasting if run[1] - run[0] > 0.015]
    if shown:
        lefts, rights, colours = zip(*shown, strict=True)
        ax.hlines([row] * len(shown), lefts, rights, colors=colours, linewidth=5, alpha=0.45)
    labels = []
    for (outcome, _), group in groupby(
        links, key=lambda event: (event.outcome, bisect_right(hellos, event.ts))
    ):
        run = list(group)
        if outcome in FAILED:
            many = f" x{len(run)}" if len(run) > 1 else ""
            labels.append(((scale(run[0].ts) + scale(run[-1].ts)) / 2, f"{outcome}{many}"))
    for place, label in thinned(labels, 0.1):
        ax.annotate(
            label, (place, row), (0, 10), textcoords="offset points", ha="center", fontsize=9, color=INK,
            fontweight="bold",
        )  # fmt: skip


def _lane_label(kind: EventKind, events: Iterable[Event]) -> str:
    """Name a lane, with address and port where it has only one of them."""
    ends = {(event.ends.dst, event.ends.dport) for event in events if event.kind == kind and event.ends.dport}
    if kind == "hello" or len(ends) != 1:
        return _LANES[kind]
    address, port = next(iter(ends))
    return f"{_LANES[kind]}\n{text_of(address, 24)} port {port}"


def _device_title(device: DeviceRecord) -> str:
    if device.cause is not None:
        return titled(device.cause)
    if device.doubt is None:
        if device.state == "unclear":
            return "Whether anything stops this device cannot be told from this capture"
        return "Nothing in this capture stops this device"
    title = titled(device.doubt)
    return f"Not proven to be stuck; first to look at: {title[:1].lower()}{title[1:]}"


def _device_line(view: ChartData, device: DeviceRecord) -> str:
    name, address = view.names[device.id], device.ips[-1] if device.ips else ""
    parts = [text_of(name, 44), text_of(address, 40) if address != name else ""]
    parts.append("1 Hello" if device.hellos == 1 else f"{device.hellos:,} Hellos")
    parts.append(mode_name(device.mode.name))
    return " · ".join(part for part in parts if part)


def device_failures(found: Charted, device_id: str, ax: Place = None) -> Axes:
    """Draw the findings about one device: how often each was seen, gravest first, coloured by severity.

    Raises `UsageError` for a device that the diagnosis does not know.
    """
    view = ChartData.of(found)
    device = view.device(device_id)
    own = sorted(view.findings[device.id], key=lambda finding: -SEVERITIES.index(finding.severity))
    shown = own[:MAX_RULES]
    ax = axes_at(ax, 1.7 + 0.68 * max(len(shown), 1))
    if not own:
        headings(ax, "No findings", _device_line(view, device))
        return draw_sentence(ax, "Nothing was found about this device")
    for row, finding in enumerate(shown):
        ax.barh(row, finding.count, 0.36, color=SEVERITY_COLOURS[finding.severity])
        ax.annotate(
            f"{finding.count:,}",
            (finding.count, row),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
        )
        ax.annotate(
            text_of(finding.summary, 112), (0, row), (2, -14), textcoords="offset points", va="top",
            fontsize=8.5, color=INK, annotation_clip=False, **VERBATIM,
        ).set_in_layout(False)  # fmt: skip
    rule_labels(ax, [titled(finding) for finding in shown])
    ax.set_ylim(len(shown) - 0.3, -0.5)
    count_axis(ax, "how often it was seen", max(finding.count for finding in shown))
    counts = Counter(finding.severity for finding in own)
    numbers = [
        f"{counts[severity]} {severity}{'s' if counts[severity] > 1 and severity != 'info' else ''}"
        for severity in reversed(SEVERITIES)
        if counts[severity]
    ]
    severity_legend(ax, {finding.severity for finding in shown})
    headings(ax, f"{', '.join(numbers)}. First: {titled(own[0])}", _device_line(view, device))
    return ax
