"""Charts of a diagnosis: what happened when, and what is wrong, for one device and for a fleet.

Every function draws on the `ax` it is given and returns it; None makes a figure in pyplot, which Jupyter
shows by itself. matplotlib is imported when the first chart is drawn. Text of a capture is drawn as it is,
never read as mathematics or TeX, and is cut to a length that leaves the chart readable.
"""

from __future__ import annotations

import csv
import textwrap
import unicodedata
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from itertools import accumulate, groupby, pairwise
from math import isnan, log10, nan
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from amtdiag.errors import UsageError
from amtdiag.frames import MODES, Event, EventKind, EventOutcome, all_events, csv_safe, plain, stopping_rule
from amtdiag.model import SEVERITIES, Basis, DeviceRecord, Diagnosis, Finding, Mode, Severity
from amtdiag.report.names import device_names
from amtdiag.report.verdict import label_of, stuck_devices, title_of, verdict
from amtdiag.times import SECOND, clock, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    Place = Axes | Callable[[float], Axes] | None
    """Where to draw: an Axes, a function from a height in inches to one, or None for a pyplot figure."""

WIDTH = 12.0
"""Inches; at `DPI` the PNGs are 1200 pixels wide."""
DPI = 100
MOST_ROWS = 40
"""Devices that get a row of their own in the fleet's timeline; more are grouped by what stops them."""
_MOST_GROUPS = 12
_MOST_RULES = 15

# Okabe and Ito's palette, which is told apart with any colour vision; shapes tell outcomes apart as well.
_BLUE, _SKY, _GREEN, _ORANGE, _RED, _PINK = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
_GREY, _PALE, _INK = "#8C8C8C", "#DDDDDD", "#333333"
_SEVERITY_COLOURS: dict[Severity, str] = {
    "critical": "#882255",
    "error": _RED,
    "warning": _ORANGE,
    "info": _SKY,
}
_MODE_COLOURS: dict[Mode, str] = {"unknown": _PALE, "factory": _ORANGE, "setup": _SKY, "operational": _GREEN}


class _Look(NamedTuple):
    label: str
    marker: str
    colour: str
    filled: bool = True


_LOOKS: dict[EventOutcome, _Look] = {
    "whole": _Look("Hello", "o", _BLUE),
    "cut": _Look("Hello, cut or malformed", "o", _BLUE, filled=False),
    "established": _Look("connection established", "^", _GREEN),
    "reset": _Look("connection reset", "D", _PINK),
    "partial": _Look("connection, beginning not captured", "s", _GREY),
    "refused": _Look("connection refused", "X", _RED),
    "unanswered": _Look("connection unanswered", "v", _ORANGE, filled=False),
}
_FAILED: tuple[EventOutcome, ...] = ("refused", "unanswered", "reset", "cut")
_LANES: dict[EventKind, str] = {
    "hello": "Hello",
    "connection": "Connection\nto the server",
    "connect_back": "Connection\nback to the device",
    "presence": "Connection to the\npresence server",
}
_SEEN_BY: dict[EventKind, str] = {"connection": "device_to_server", "connect_back": "server_to_device"}


class _View:
    """A diagnosis, sorted by device once for all charts of it."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.diagnosis = diagnosis
        self.devices = {one.id: one for one in diagnosis.devices}
        self.names = device_names(diagnosis.devices)
        self.stuck = stuck_devices(diagnosis)
        self.findings: defaultdict[str | None, list[Finding]] = defaultdict(list)
        for finding in diagnosis.findings:
            self.findings[finding.device].append(finding)

    @cached_property
    def events(self) -> Mapping[str, list[Event]]:
        """The events of each device, in time order."""
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for event in all_events(self.diagnosis):
            if event.device is not None and event.kind in _LANES:
                found[event.device].append(event)
        return found

    def device(self, identity: str) -> DeviceRecord:
        """Raise `UsageError` where there is no such device."""
        if identity not in self.devices:
            raise UsageError(f"no device {plain(identity, 80)!r} in this capture")
        return self.devices[identity]

    def troubled_first(self) -> list[DeviceRecord]:
        """The stuck devices, then the ones with findings, each in the order of their appearance."""

        def rank(one: DeviceRecord) -> tuple[bool, int, int]:
            gravest = max((SEVERITIES.index(f.severity) for f in self.findings[one.id]), default=-1)
            return one.id not in self.stuck, -gravest, one.first_seen

        return sorted(self.diagnosis.devices, key=rank)

    def cause(self, identity: str) -> Finding | None:
        """What stops a device."""
        rule = stopping_rule(self.findings[identity])
        return next((one for one in self.findings[identity] if one.rule == rule), None)

    def doubt(self, identity: str) -> Finding | None:
        """The first trouble with provisioning that is not proven to stop a device."""
        return next(
            (
                one
                for one in self.findings[identity]
                if one.category == "provisioning" and one.severity == "warning" and not one.overcome
            ),
            None,
        )


def _labelled(device: DeviceRecord, finding: Finding | None) -> str:
    """Where a device stopped and why, in a few words for the end of its row."""
    if finding is None:
        return ""
    row = f" ({finding.catalogue})" if finding.catalogue else ""
    return f"{device.stage.replace('_', '-')}: {label_of(finding.rule)}{row}"


def _titled(*findings: Finding) -> str:
    """The title of a rule, with the rows of the catalogue that its findings name."""
    rows = ", ".join(sorted({one.catalogue for one in findings if one.catalogue}))
    return title_of(findings[0].rule) + (f" ({rows})" if rows else "")


# ------------------------------------------------------------------------------------------------------- text

_VERBATIM: dict[str, Any] = {"parse_math": False, "usetex": False}
"""For every text that may hold words of a capture."""


def _text(text: str, most: int = 80) -> str:
    r"""Return text that the font can show, of at most `most` characters; other signs become ``\uNNNN``."""
    composed = unicodedata.normalize("NFC", plain(text, most))
    if composed.isascii():
        return plain(composed, most)
    from matplotlib.font_manager import FontProperties, findfont

    glyphs = _glyphs(str(findfont(FontProperties())))
    drawable = (
        one
        if one.isascii() or (ord(one) in glyphs and not unicodedata.combining(one))
        else (f"\\u{ord(one):04x}" if ord(one) <= 0xFFFF else f"\\U{ord(one):08x}")
        for one in composed
    )
    return plain("".join(drawable), most)


@lru_cache(maxsize=4)
def _glyphs(font: str) -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(get_font(font).get_charmap())


def _wrapped(text: str, width: int, lines: int = 2) -> str:
    cut = _text(text, width * lines + 20)
    return "\n".join(textwrap.wrap(cut, width, max_lines=lines, placeholder=" …")) or cut


def _headings(ax: Axes, title: str, below: str = "") -> None:
    """Say the finding in bold, and below it whom it is about."""
    if below:
        ax.annotate(
            _text(below, 150), (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points",
            fontsize=10, color=_INK, va="bottom", **_VERBATIM,
        )  # fmt: skip
    ax.set_title(
        _wrapped(title, 92), loc="left", fontsize=13, fontweight="bold", pad=26 if below else 10, **_VERBATIM
    )


def _place(ax: Place, height: float) -> Axes:
    if ax is None:
        from matplotlib import pyplot as plt

        return plt.figure(figsize=(WIDTH, height), layout="constrained").add_subplot()
    return ax(height) if callable(ax) else ax


def _says(ax: Axes, text: str) -> Axes:
    """Draw nothing but a sentence."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, _text(text), ha="center", va="center", fontsize=13, transform=ax.transAxes, **_VERBATIM)
    return ax


def _bare(ax: Axes, *, keep: str = "bottom") -> None:
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(side == keep)
    ax.tick_params(axis="y", length=0)
    ax.set_axisbelow(True)


# ------------------------------------------------------------------------------------------------------- time

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


class _TimeScale:
    """Where along the axis, 0 to 1, a time goes.

    The scale is even where events are spread over the time. Where they come in bursts (milliseconds of
    handshakes, minutes between retries) it would pile them up; then a gap is as wide as the logarithm of its
    length, and both the handshake and the pause can be read.
    """

    def __init__(self, times: Iterable[int]) -> None:
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
        if self.start == self.end:
            return 0.5
        left = max(min(bisect_right(self._points, ts), len(self._points) - 1) - 1, 0)
        earlier, later = self._points[left], self._points[left + 1]
        share = min(max((ts - earlier) / (later - earlier), 0.0), 1.0)
        return self._places[left] + share * (self._places[left + 1] - self._places[left])

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
        ax.set_xlabel(f"time since {clock(self.start)} UTC{note}", fontsize=10)

    def _even(self, most: int) -> list[int]:
        total = self.end - self.start
        step = next((one for one in _STEPS if total <= one * most), max(total // most, 1))
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
        day, time = clock(ts).split(" ")
        total = self.end - self.start
        if total >= 2 * _DAY:
            time = f"{day[5:]} {time[:5]}"
        elif total < _MINUTE:
            time += f".{ts % SECOND // _MS:03d}"
        return f"{_duration(ts - self.start)}\n{time}"


def _duration(ns: int) -> str:
    """A duration in at most two units."""
    if ns < SECOND - _MS:
        return f"{ns / _MS:.3g} ms" if ns else "0"
    if ns < _MINUTE - SECOND // 20:  # 59.96 s would be rounded to 60
        return f"{ns / SECOND:.3g} s"
    for big, small, names in ((_DAY, _HOUR, "d h"), (_HOUR, _MINUTE, "h min"), (_MINUTE, SECOND, "min s")):
        if ns >= big - small // 2:
            count, rest = divmod(round(ns / small), big // small)
            many, few = names.split()
            return f"{count:,} {many} {rest} {few}" if rest and count < 100 else f"{count:,} {many}"
    return ""


def _thinned(places: Iterable[tuple[float, str]], least: float) -> Iterator[tuple[float, str]]:
    """Leave out labels that would touch the one before."""
    last = -1.0
    for place, label in places:
        if place - last >= least:
            last = place
            yield place, label


# ------------------------------------------------------------------------------------------------- one device


def device_timeline(diagnosis: Diagnosis, device_id: str, ax: Place = None) -> Axes:
    """Draw what one device and its server did, in lanes: Hello, connection to the server, connection back.

    The strip at the top is the mode. Numbers over the Hellos are their retry counts, arrows the gaps between
    them. Raises `UsageError` for a device that the diagnosis does not know.
    """
    return _device_timeline(_View(diagnosis), device_id, ax)


def _device_timeline(view: _View, device_id: str, place: Place) -> Axes:
    device = view.device(device_id)
    events = view.events.get(device.id, [])
    lanes = [kind for kind in _LANES if kind != "presence" or any(one.kind == kind for one in events)]
    ax = _place(place, 1.9 + 0.9 * len(lanes))
    row = {kind: len(lanes) - 1 - number for number, kind in enumerate(lanes)}
    times = [device.first_seen, device.last_seen, *(ts for one in events for ts in (one.ts, one.last_ts))]
    capture_end = _capture_end(view.diagnosis, device.last_seen)
    if capture_end is not None:
        times.append(capture_end)
    scale = _TimeScale(times)

    _draw_modes(ax, device, scale, len(lanes))
    for kind in lanes:
        own = [one for one in events if one.kind == kind]
        ax.axhline(row[kind] - 0.5, color=_PALE, linewidth=0.8)
        if kind == "hello":
            _draw_retries(ax, own, scale, row[kind])
        else:
            _draw_runs(ax, own, [one.ts for one in events if one.kind == "hello"], scale, row[kind])
        if not own:
            seen = device.visibility.get(_SEEN_BY.get(kind, ""), True)
            word = "none in this capture" if seen else "this capture does not show this direction"
            ax.text(0.5, row[kind], word, ha="center", va="center", fontsize=9, color=_GREY)
    _draw_markers(ax, ((one, row[one.kind]) for one in events), scale, size=10 if len(events) < 500 else 5)
    if capture_end is not None:
        ax.axvline(scale(capture_end), color=_INK, linewidth=1, linestyle=":")
        ax.annotate(
            "capture ends ", (scale(capture_end), -0.5), (0, 3), textcoords="offset points",
            fontsize=8.5, color=_INK, ha="right", va="bottom",
        )  # fmt: skip
    labels = [_lane_label(kind, events) for kind in lanes]
    ax.set_yticks([*(row[kind] for kind in lanes), len(lanes) - 0.28], labels=[*labels, "Mode"], fontsize=10)
    for label in ax.get_yticklabels():
        label.set(**_VERBATIM)
    ax.set_ylim(-0.5, len(lanes) - 0.05)
    scale.dress(ax, [*([capture_end] if capture_end else []), *(e.ts for e in events if e.kind == "hello")])
    _bare(ax)
    _legend(ax)
    _headings(ax, _device_title(view, device), _device_line(view, device))
    return ax


def _capture_end(diagnosis: Diagnosis, last_seen: int) -> int | None:
    """Return when the capture that shows a device's last event stops, if that is later."""
    ends = [
        one.last_ts
        for one in diagnosis.captures
        if one.first_ts is not None and one.last_ts is not None and one.first_ts <= last_seen < one.last_ts
    ]
    return max(ends, default=None)


def _bands(device: DeviceRecord, start: int) -> list[tuple[int, Mode, Basis]]:
    """Return from when on a device was in which mode, from `start` on."""
    bands = [(start if span.since is None else span.since, span.name, span.basis) for span in device.modes]
    if bands and bands[0][0] - start < SECOND:
        # The Hello proves the mode; the connection that brings it begins milliseconds before.
        return [(start, *bands[0][1:]), *bands[1:]]
    return [(start, "unknown", "none"), *bands]


def _draw_modes(ax: Axes, device: DeviceRecord, scale: _TimeScale, top: float) -> None:
    bands = _bands(device, scale.start)
    ends = [start for start, *_ in bands[1:]] + [scale.end]
    for (start, name, basis), end in zip(bands, ends, strict=True):
        left, right = scale(start), scale(end)
        if scale.start == scale.end:
            left, right = 0.0, 1.0
        ax.axvspan(left, right, ymax=0.999, color=_MODE_COLOURS[name], alpha=0.1, linewidth=0)
        ax.barh(top - 0.28, right - left, 0.36, left, color=_MODE_COLOURS[name], alpha=0.75)
        if right - left > 0.12:
            word = "mode not known" if name == "unknown" else f"{name.capitalize()} Mode, {basis}"
            ax.text((left + right) / 2, top - 0.28, word, ha="center", va="center", fontsize=9, color=_INK)


def _draw_retries(ax: Axes, hellos: Sequence[Event], scale: _TimeScale, row: float) -> None:
    """Write the retry count over the Hellos, and the gaps between them below."""
    marks = [(scale(one.ts), "?" if one.retry is None else str(one.retry)) for one in hellos]
    crowded = len(marks) > 8
    for place, retry in _thinned(marks, 0.025 if crowded else 0.06):
        ax.annotate(
            retry if crowded else f"retry {retry}", (place, row), (0, 9), textcoords="offset points",
            ha="center", fontsize=9, color=_INK,
        )  # fmt: skip
    if crowded:
        ax.annotate(
            "retry",
            (marks[0][0], row),
            (-14, 9),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            color=_INK,
        )
    for earlier, later in pairwise(hellos):
        left, right = scale(earlier.ts), scale(later.ts)
        words = _duration(later.ts - earlier.ts), span(later.ts - earlier.ts)
        word = next((one for one in words if right - left >= 0.01 + 0.0065 * len(one)), None)
        if word is None:
            continue
        ax.annotate(
            "", (left, row - 0.3), (right, row - 0.3),
            arrowprops={"arrowstyle": "<->", "color": _GREY, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        ax.text(
            (left + right) / 2, row - 0.3, word, ha="center", va="center", fontsize=8, color=_INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
        )  # fmt: skip


def _draw_runs(
    ax: Axes, links: Sequence[Event], hellos: Sequence[int], scale: _TimeScale, row: float
) -> None:
    """Draw how long connections lasted, and write over the failures after each Hello what they were."""
    lasting = [(scale(one.ts), scale(one.last_ts), _LOOKS[one.outcome].colour) for one in links]
    shown = [one for one in lasting if one[1] - one[0] > 0.015]
    if shown:
        lefts, rights, colours = zip(*shown, strict=True)
        ax.hlines([row] * len(shown), lefts, rights, colors=colours, linewidth=5, alpha=0.45)
    labels = []
    for (outcome, _), group in groupby(links, key=lambda one: (one.outcome, bisect_right(hellos, one.ts))):
        run = list(group)
        if outcome in _FAILED:
            many = f" x{len(run)}" if len(run) > 1 else ""
            labels.append(((scale(run[0].ts) + scale(run[-1].ts)) / 2, f"{outcome}{many}"))
    for place, label in _thinned(labels, 0.1):
        ax.annotate(
            label, (place, row), (0, 10), textcoords="offset points", ha="center", fontsize=9, color=_INK,
            fontweight="bold",
        )  # fmt: skip


def _draw_markers(
    ax: Axes, events: Iterable[tuple[Event, float]], scale: _TimeScale, size: float, looks: Any = None
) -> None:
    """One artist for each outcome, however many events there are."""
    groups: defaultdict[EventOutcome, list[tuple[float, float]]] = defaultdict(list)
    for event, row in events:
        groups[event.outcome].append((scale(event.ts), row))
    for outcome, look in (looks or _LOOKS).items():
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


def _legend(ax: Axes) -> None:
    if ax.get_legend_handles_labels()[1]:
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.45, 0), bbox_transform=_below(ax), ncols=5, frameon=False,
            fontsize=9, handlelength=1.5,
            handletextpad=0.6,
        )  # fmt: skip


def _below(ax: Axes) -> Any:
    """Coordinates that start half an inch below the axes, so that tick labels and axis label have room."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None
    return ax.transAxes + ScaledTranslation(0, -0.6, figure.dpi_scale_trans)


def _lane_label(kind: EventKind, events: Iterable[Event]) -> str:
    """Name a lane, with address and port where it has only one of them."""
    ends = {(one.ends.dst, one.ends.dport) for one in events if one.kind == kind}
    if kind == "hello" or len(ends) != 1:
        return _LANES[kind]
    address, port = next(iter(ends))
    return f"{_LANES[kind]}\n{_text(address, 24)} port {port}"


def _device_title(view: _View, device: DeviceRecord) -> str:
    cause, doubt = view.cause(device.id), view.doubt(device.id)
    if cause is not None:
        return _titled(cause)
    if doubt is None:
        return "Nothing in this capture stops this device"
    title = _titled(doubt)
    return f"Not proven to be stuck; first to look at: {title[:1].lower()}{title[1:]}"


def _device_line(view: _View, device: DeviceRecord) -> str:
    name, address = view.names[device.id], device.ips[-1] if device.ips else ""
    parts = [_text(name, 44), _text(address, 40) if address != name else ""]
    parts.append("1 Hello" if device.hellos == 1 else f"{device.hellos:,} Hellos")
    parts.append(
        f"{device.mode.name.capitalize()} Mode" if device.mode.name != "unknown" else "mode not known"
    )
    return " · ".join(part for part in parts if part)


def device_failures(diagnosis: Diagnosis, device_id: str, ax: Place = None) -> Axes:
    """Draw the findings about one device: how often each was seen, gravest first, coloured by severity.

    Raises `UsageError` for a device that the diagnosis does not know.
    """
    return _device_failures(_View(diagnosis), device_id, ax)


def _device_failures(view: _View, device_id: str, place: Place) -> Axes:
    device = view.device(device_id)
    own = sorted(view.findings[device.id], key=lambda one: -SEVERITIES.index(one.severity))
    shown = own[:_MOST_RULES]
    ax = _place(place, 1.7 + 0.68 * max(len(shown), 1))
    if not own:
        _headings(ax, "No findings", _device_line(view, device))
        return _says(ax, "Nothing was found about this device")
    for row, finding in enumerate(shown):
        ax.barh(row, finding.count, 0.36, color=_SEVERITY_COLOURS[finding.severity])
        ax.annotate(
            f"{finding.count:,}",
            (finding.count, row),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
        )
        ax.annotate(
            _text(finding.summary, 112), (0, row), (2, -14), textcoords="offset points", va="top",
            fontsize=8.5, color=_INK, annotation_clip=False, **_VERBATIM,
        ).set_in_layout(False)  # fmt: skip
    _rule_labels(ax, [_titled(one) for one in shown])
    ax.set_ylim(len(shown) - 0.3, -0.5)
    ax.set_xlabel("how often it was seen", fontsize=10)
    _count_axis(ax, max(one.count for one in shown))
    counts = Counter(one.severity for one in own)
    said = [
        f"{counts[s]} {s}{'s' if counts[s] > 1 and s != 'info' else ''}"
        for s in reversed(SEVERITIES)
        if counts[s]
    ]
    _severity_legend(ax, {one.severity for one in shown})
    _headings(ax, f"{', '.join(said)}. First: {_titled(own[0])}", _device_line(view, device))
    return ax


def _rule_labels(ax: Axes, titles: Sequence[str]) -> None:
    ax.set_yticks(range(len(titles)), labels=[_wrapped(one, 34) for one in titles], fontsize=10)
    for label in ax.get_yticklabels():
        label.set(**_VERBATIM)


def _count_axis(ax: Axes, most: int) -> None:
    """Whole numbers only, with room for the number behind the longest bar."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    ax.set_xlim(0, max(most, 1) * 1.12)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.grid(axis="x", color=_PALE, linewidth=0.6)
    _bare(ax, keep="left")


def _severity_legend(ax: Axes, used: Iterable[Severity]) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(color=_SEVERITY_COLOURS[one], label=one) for one in reversed(SEVERITIES) if one in set(used)
    ]
    if handles:
        ax.legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.45, 0), bbox_transform=_below(ax), ncols=4,
            frameon=False, fontsize=9,
        )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ fleet


def fleet_timeline(diagnosis: Diagnosis, ax: Place = None) -> Axes:
    """Draw all devices over time: a row each or, beyond `MOST_ROWS`, a row for each thing that stops them."""
    return _fleet_timeline(_View(diagnosis), ax)


def _fleet_timeline(view: _View, place: Place) -> Axes:
    count = len(view.devices)
    if not count:
        return _says(_place(place, 3), "No devices")
    return _rows(view, place) if count <= MOST_ROWS else _heat(view, place)


_FLEET_LOOKS = {**_LOOKS, "whole": _Look("Hello", "|", _BLUE, filled=False)}


def _rows(view: _View, place: Place) -> Axes:
    listed = view.troubled_first()
    ax = _place(place, 1.9 + 0.34 * max(len(listed), 3))
    own = {one.id: view.events.get(one.id, []) for one in listed}
    scale = _TimeScale(
        [ts for one in listed for ts in (one.first_seen, one.last_seen)]
        + [ts for events in own.values() for event in events for ts in (event.ts, event.last_ts)]
    )
    for row, device in enumerate(listed):
        bands = _bands(device, device.first_seen)
        stops = [*(start for start, *_ in bands[1:]), device.last_seen]
        for (start, mode, _), stop in zip(bands, stops, strict=True):
            ax.hlines(row, scale(start), scale(stop), color=_MODE_COLOURS[mode], linewidth=7, alpha=0.45)
        stopped, doubt = view.cause(device.id), view.doubt(device.id)
        ax.annotate(
            _text(_labelled(device, stopped or doubt), 40), (1.04, row), va="center", fontsize=9,
            color=_INK if stopped else _GREY, annotation_clip=False, **_VERBATIM,
        )  # fmt: skip
    points = (
        (event, row)
        for row, device in enumerate(listed)
        for event in own[device.id]
        if event.kind != "connection" or event.outcome in _FAILED
    )
    # The mark of a Hello is a tall line: what follows within milliseconds covers only its middle.
    _draw_markers(ax, points, scale, 8, _FLEET_LOOKS)
    labels = [_row_label(view, one) for one in listed]
    ax.set_yticks(range(len(listed)), labels=labels, fontsize=9)
    for label in ax.get_yticklabels():
        label.set(**_VERBATIM)
    ax.set_ylim(len(listed) - 0.4, -0.6)
    scale.dress(ax, closest=0.1 if max(map(len, labels)) < 34 else 0.18)
    _bare(ax)
    ax.grid(axis="x", color=_PALE, linewidth=0.6)
    _mode_handles(ax, {span.name for one in listed for span in one.modes})
    _legend(ax)
    _headings(ax, verdict(view.diagnosis))
    return ax


def _row_label(view: _View, device: DeviceRecord) -> str:
    name, address = view.names[device.id], device.ips[-1] if device.ips else ""
    return _text(name, 36) if address in ("", name) else f"{_text(name, 36)}  {_text(address, 26)}"


def _mode_handles(ax: Axes, used: Iterable[Mode]) -> None:
    """Put the modes into the legend, as empty lines of their colour."""
    for mode in MODES:
        if mode in set(used):
            word = "mode not known" if mode == "unknown" else f"{mode.capitalize()} Mode"
            ax.plot([], [], color=_MODE_COLOURS[mode], linewidth=7, alpha=0.45, label=word)


_UNSTOPPED = ("Trouble that is not proven to stop them", "Nothing in this capture stops them")


def _groups(view: _View) -> dict[str, str]:
    """Return the name of the group of each device."""
    stopping = {one: cause for one in view.devices if (cause := view.cause(one))}
    rules: defaultdict[str, list[Finding]] = defaultdict(list)
    for cause in stopping.values():
        rules[cause.rule].append(cause)
    names = {rule: _titled(*causes) for rule, causes in rules.items()}
    most = [rule for rule, _ in Counter(cause.rule for cause in stopping.values()).most_common()]
    if len(most) > _MOST_GROUPS:
        names.update(dict.fromkeys(most[_MOST_GROUPS - 1 :], "Other causes"))
    return {
        one: names[stopping[one].rule] if one in stopping else _UNSTOPPED[view.doubt(one) is None]
        for one in view.devices
    }


def _heat(view: _View, place: Place) -> Axes:
    """Count the devices that were active in each stretch of time, for each thing that stops devices."""
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter

    causes = _groups(view)
    sizes = Counter(causes.values())
    groups = sorted(sizes, key=lambda name: (*(name == one for one in reversed(_UNSTOPPED)), -sizes[name]))
    ax = _place(place, 2.2 + 0.62 * max(len(groups), 2))
    row = {name: number for number, name in enumerate(groups)}
    scale = _TimeScale(
        ts for one in view.devices.values() for ts in (one.first_seen, one.last_seen, *_times(view, one.id))
    )
    bins = 120 if len(view.devices) > 1000 else 60
    active = {
        (row[causes[device]], min(int(scale(event.ts) * bins), bins - 1), device)
        for device, events in view.events.items()
        if device in causes
        for event in events
    }
    cells: list[list[float]] = [[nan] * bins for _ in groups]
    for (group, column), count in Counter((group, column) for group, column, _ in active).items():
        cells[group][column] = count
    most = max((value for line in cells for value in line if not isnan(value)), default=1)
    norm = LogNorm(1, most) if most > 20 else Normalize(0, max(most, 1))
    edges = [column / bins for column in range(bins + 1)]
    mesh = ax.pcolormesh(
        edges, [y - 0.4 for y in range(len(groups) + 1)], cells, cmap="YlGnBu", norm=norm, rasterized=True
    )
    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(mesh, ax=ax, pad=0.01, fraction=0.03)
    bar.set_label("devices active", fontsize=9)
    if most > 20:
        ticks = [digit * 10**power for power in range(12) for digit in (1, 2, 5)]
        bar.set_ticks([one for one in ticks if one <= most])
        bar.ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        bar.ax.yaxis.set_minor_locator(NullLocator())
    else:
        bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    for line in range(1, len(groups)):
        ax.axhline(line - 0.4, color="white", linewidth=4)
    labels = [f"{_wrapped(name, 36)}\n{sizes[name]:,} device{'s' * (sizes[name] > 1)}" for name in groups]
    ax.set_yticks([number + 0.1 for number in range(len(groups))], labels=labels, fontsize=9)
    for label in ax.get_yticklabels():
        label.set(**_VERBATIM)
    ax.set_ylim(len(groups) - 0.4, -0.4)
    scale.dress(ax)
    ax.set_xlim(0, 1)
    _bare(ax)
    _headings(ax, verdict(view.diagnosis), f"{len(view.devices):,} devices, grouped by what stops them")
    return ax


def _times(view: _View, device: str) -> Iterator[int]:
    return (event.ts for event in view.events.get(device, ()))


def fleet_failures(diagnosis: Diagnosis, ax: Place = None) -> Axes:
    """Draw how many devices each rule speaks about, gravest first, coloured by severity."""
    return _fleet_failures(_View(diagnosis), ax)


def _fleet_failures(view: _View, place: Place) -> Axes:
    findings = view.diagnosis.findings
    if not view.devices and not findings:
        return _says(_place(place, 3), "No devices")
    if not findings:
        return _says(_place(place, 3), "No findings")
    rules: defaultdict[str, list[Finding]] = defaultdict(list)
    for one in findings:
        rules[one.rule].append(one)
    # Who has it, by severity; a finding without a device counts for itself.
    having: defaultdict[str, dict[str, Severity]] = defaultdict(dict)
    for one in reversed(findings):  # the likeliest comes last and stays
        having[one.rule][one.device or f"finding {one.id}"] = one.severity

    def rank(rule: str) -> tuple[int, int]:
        return -max(map(SEVERITIES.index, having[rule].values())), -len(having[rule])

    order = sorted(rules, key=rank)
    shown = order[:_MOST_RULES]
    ax = _place(place, 1.7 + 0.46 * max(len(shown), 2))
    for row, rule in enumerate(shown):
        counts = Counter(having[rule].values())
        left = 0
        for severity in reversed(SEVERITIES):
            if counts[severity]:
                ax.barh(row, counts[severity], 0.6, left, color=_SEVERITY_COLOURS[severity])
                left += counts[severity]
        ax.annotate(
            _how_many(having[rule], len(view.devices)), (left, row), (5, 0), textcoords="offset points",
            va="center", fontsize=9.5,
        )  # fmt: skip
    _rule_labels(ax, [_titled(*rules[rule]) for rule in shown])
    ax.set_ylim(len(shown) - 0.4, -0.6)
    rest = len(order) - len(shown)
    ax.set_xlabel("devices" + (f" ({rest} more rules are not shown)" if rest else ""), fontsize=10)
    _count_axis(ax, max(len(having[rule]) for rule in shown))
    _severity_legend(ax, {one.severity for one in findings if one.rule in shown})
    _headings(ax, verdict(view.diagnosis))
    return ax


def _how_many(having: Mapping[str, Severity], devices: int) -> str:
    aside = sum(one.startswith("finding ") for one in having)
    if aside == len(having):
        return f"{aside:,}, about no device"
    return f"{len(having) - aside:,} of {devices:,}"


def fleet_modes(diagnosis: Diagnosis, ax: Place = None) -> Axes:
    """Draw how many devices ended in each mode; hatched where the mode is inferred."""
    return _fleet_modes(_View(diagnosis), ax)


def _fleet_modes(view: _View, place: Place) -> Axes:
    listed = view.diagnosis.devices
    ax = _place(place, 3.4 if listed else 3)
    if not listed:
        return _says(ax, "No devices")
    counts = Counter((one.mode.name, one.mode.basis == "inferred") for one in listed)
    for row, mode in enumerate(MODES):
        observed, inferred = counts[mode, False], counts[mode, True]
        colour = _MODE_COLOURS[mode]
        ax.barh(row, observed, 0.6, color=colour)
        ax.barh(row, inferred, 0.6, observed, color=colour, hatch="//", edgecolor="white", linewidth=0)
        words = f"{observed + inferred:,}" + (f" ({inferred:,} inferred)" if inferred else "")
        ax.annotate(
            words, (observed + inferred, row), (5, 0), textcoords="offset points", va="center", fontsize=10
        )
    names = ["not known" if mode == "unknown" else f"{mode.capitalize()} Mode" for mode in MODES]
    ax.set_yticks(range(len(MODES)), labels=names, fontsize=10)
    ax.set_xlabel("devices, by the last mode that the capture shows", fontsize=10)
    totals = Counter(one.mode.name for one in listed)
    _count_axis(ax, max(totals.values()))
    done = totals["operational"]
    are = "is" if done == 1 else "are"
    _headings(ax, f"{done:,} of {len(listed):,} device{'s' * (len(listed) > 1)} {are} Operational")
    return ax


# ------------------------------------------------------------------------------------------------------ files


def write_charts(diagnosis: Diagnosis, folder: str | PathLike[str], most: int = 50) -> list[Path]:
    """Write PNG and SVG files of all charts into `folder`, and return their paths.

    The fleet has three charts, each device two; only the first `most` devices have theirs drawn, the
    troubled ones first. File names are numbers, never text of a capture: index.csv says which device has
    which. The SVGs are the same in every run. Raises OSError.
    """
    import matplotlib as mpl

    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    view = _View(diagnosis)
    drawn = view.troubled_first()[:most]
    paths = []
    with mpl.rc_context():
        mpl.rcdefaults()  # a report looks the same whatever the user's own settings
        mpl.rcParams["svg.hashsalt"] = "amtdiag"
        for name, draw in (
            ("timeline", _fleet_timeline),
            ("failures", _fleet_failures),
            ("modes", _fleet_modes),
        ):
            paths += _save(draw, view, target / f"fleet-{name}")
        for number, device in enumerate(drawn, 1):
            for name, draw_one in (("timeline", _device_timeline), ("failures", _device_failures)):
                paths += _save(
                    partial(_of_device, draw_one, device.id),
                    view,
                    target / f"device-{number:03d}-{name}",
                )
    return [*paths, _write_index(view, drawn, target / "index.csv")]


def _of_device(draw: Callable[[_View, str, Place], Axes], device: str, view: _View, place: Place) -> Axes:
    return draw(view, device, place)


def _save(draw: Callable[[_View, Place], Axes], view: _View, stem: Path) -> list[Path]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08), dpi=DPI)

    def place(height: float) -> Axes:
        figure.set_size_inches(WIDTH, height)
        return figure.add_subplot()

    draw(view, place)
    # Not savefig, which draws everything once more than it needs to: these files are most of the time that a
    # report takes. Drawing the first lays the chart out, for both.
    png, svg = stem.with_suffix(".png"), stem.with_suffix(".svg")
    pixels: Any = FigureCanvasAgg(figure)
    pixels.print_png(png, metadata={"Software": "amtdiag"})
    figure.set_layout_engine("none")
    vectors: Any = FigureCanvasSVG(figure)
    vectors.print_svg(svg, metadata={"Date": None, "Creator": "amtdiag"})
    return [png, svg]


def _write_index(view: _View, drawn: Sequence[DeviceRecord], path: Path) -> Path:
    """Say which device each number is."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("number", "device", "address", "stuck", "cause", "timeline", "failures"))
        for number, device in enumerate(drawn, 1):
            names = [f"device-{number:03d}-{name}.png" for name in ("timeline", "failures")]
            stopping = view.cause(device.id)
            texts = (device.id, device.ips[-1] if device.ips else "", stopping.rule if stopping else "")
            identity, address, cause = (csv_safe(plain(text)) for text in texts)
            stuck = "yes" if device.id in view.stuck else "no"
            writer.writerow((number, identity, address, stuck, cause, *names))
    return path
