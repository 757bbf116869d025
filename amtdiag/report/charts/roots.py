"""Which root certificates how many devices trust, by the digests in their Hellos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from amtdiag.model import JudgedDigest
from amtdiag.report.charts.parts import Fill, count_axis, fills_legend
from amtdiag.report.charts.style import (
    BLUE,
    DARK,
    GREY,
    ORANGE,
    VERBATIM,
    axes_at,
    draw_sentence,
    headings,
    text_of,
)
from amtdiag.report.charts.view import ChartData, Charted
from amtdiag.report.wording import count_devices
from amtdiag.trust.verdicts import DUPLICATE, EXPIRED, MALFORMED, UNKNOWN, UNUSABLE, WEAK, ZERO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from amtdiag.report.charts.style import Place

MAX_ROOTS = 40
"""Bars of the chart. Digests that no catalogue names come before the roots that are left out."""
_MAX_STRANGERS = 15
_SHOWN_DIGITS = 16

STRANGE = Fill("no catalogue names it: added by somebody, or planted", DARK, "xx")
BROKEN = Fill("no digest of anything: malformed or zero", GREY, "\\\\")
STALE = Fill("expired, weak, or of no use from ME 16 on", ORANGE, "//")
SOUND = Fill("a root that the catalogue names", BLUE)
ROOT_FILLS = (STRANGE, BROKEN, STALE, SOUND)


class _Held(NamedTuple):
    """A root, or a digest that is none, and who has it."""

    label: str
    fill: Fill
    devices: frozenset[str]


def fleet_roots(found: Charted, ax: Place = None) -> Axes:
    """Draw in how many devices' lists each root stands; digests that no catalogue names come first.

    A root counts once for a device, by whichever of its digests it is listed. Devices whose lists were not
    captured whole count as far as theirs was.
    """
    view = ChartData.of(found)
    listed, devices, partial = _held(view)
    if not listed:
        return draw_sentence(
            axes_at(ax, 3), "No Hello with a list of roots" if view.devices else "No devices"
        )
    shown, rest = _fewest(listed)
    ax = axes_at(ax, 1.8 + 0.28 * max(len(shown), 3))
    for row, root in enumerate(shown):
        root.fill.barh(ax, row, len(root.devices), 0, thick=0.66)
        ax.annotate(
            f"{len(root.devices):,}", (len(root.devices), row), (5, 0), textcoords="offset points",
            va="center", fontsize=9,
        )  # fmt: skip
    ax.set_yticks(
        range(len(shown)), labels=[text_of(root.label, 72) for root in shown], fontsize=9, **VERBATIM
    )
    ax.set_ylim(len(shown) - 0.4, -0.6)
    count_axis(ax, "devices that list it" + (f" ({rest:,} more are not shown)" if rest else ""), len(devices))
    fills_legend(ax, [fill for fill in ROOT_FILLS if any(root.fill is fill for root in shown)])
    strange = [root for root in listed if root.fill is STRANGE]
    who = len(frozenset().union(*(root.devices for root in strange)))
    below = f"{count_devices(len(devices))} with a list of roots"
    if partial:
        below += f", {partial:,} of them in part only"
    headings(ax, _title(len(strange), who, len(devices)), below)
    return ax


def _title(strange: int, who: int, devices: int) -> str:
    if not strange:
        return "The catalogue names every root"
    what = f"{strange:,} digest{'s' * (strange > 1)} that no catalogue names"
    return f"{what}, in {who:,} of {count_devices(devices)}"


def _held(view: ChartData) -> tuple[list[_Held], frozenset[str], int]:
    """Return the roots, the devices that list any, and of how many of those no list is whole."""
    own: defaultdict[str, set[JudgedDigest]] = defaultdict(set)
    whole = set()
    for record in view.diagnosis.hellos:
        if record.digests:
            own[record.device].update(record.digests)
            if record.event.hello.complete:
                whole.add(record.device)
    having: defaultdict[str, set[str]] = defaultdict(set)
    fills: dict[str, Fill] = {}
    for device, digests in own.items():
        for judged in digests:
            label = judged.name or f"{_kind(judged)} {judged.digest.algorithm} {_short(judged.digest.value)}"
            having[label].add(device)
            # Of a root's digests the best counts: it is the one that a chain may end in.
            fills[label] = max(fills.get(label, STRANGE), _fill(judged.verdicts), key=ROOT_FILLS.index)
    listed = [_Held(label, fills[label], frozenset(some)) for label, some in having.items()]
    listed.sort(key=lambda root: (ROOT_FILLS.index(root.fill) > 1, -len(root.devices), root.label))
    return listed, frozenset(own), len(own) - len(whole)


def _fill(verdicts: Iterable[str]) -> Fill:
    all_of_them = set(verdicts)
    if UNKNOWN in all_of_them:
        return STRANGE
    if all_of_them & {MALFORMED, ZERO}:
        return BROKEN
    return STALE if all_of_them & {EXPIRED, WEAK, UNUSABLE} else SOUND


def _kind(judged: JudgedDigest) -> str:
    return next((word for word in (MALFORMED, ZERO, UNKNOWN) if word in judged.verdicts), DUPLICATE)


def _short(digest: bytes) -> str:
    text = digest.hex()
    return text if len(text) <= _SHOWN_DIGITS else f"{text[:_SHOWN_DIGITS]}…"


def _fewest(listed: list[_Held]) -> tuple[list[_Held], int]:
    """Return what there is room for, and how many are left out."""
    odd = [root for root in listed if root.fill in ROOT_FILLS[:2]]
    named = [root for root in listed if root.fill not in ROOT_FILLS[:2]]
    room = MAX_ROOTS - min(len(named), MAX_ROOTS - _MAX_STRANGERS)
    shown = odd[:room]
    shown += named[: MAX_ROOTS - len(shown)]
    return shown, len(listed) - len(shown)
