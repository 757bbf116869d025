"""How charts look: size, colours, shapes, text."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from amtdiag.model import Mode, Severity
from amtdiag.safetext import plain
from amtdiag.tables import EventOutcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    Place = Axes | Callable[[float], Axes] | None
    """Where to draw: an Axes, a function from a height in inches to one, or None for a pyplot figure."""

WIDTH = 12.0
"""Inches; at `DPI` the PNGs are 1200 pixels wide."""
DPI = 100

# Okabe and Ito's palette, which is told apart with any colour vision; shapes tell outcomes apart as well.
BLUE, SKY, GREEN, ORANGE, RED, PINK = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
GREY, PALE, INK = "#8C8C8C", "#DDDDDD", "#333333"
DARK = "#882255"
SEVERITY_COLOURS: dict[Severity, str] = {
    "critical": DARK,
    "error": RED,
    "warning": ORANGE,
    "info": SKY,
}
MODE_COLOURS: dict[Mode, str] = {"unknown": PALE, "factory": ORANGE, "setup": SKY, "operational": GREEN}


class Look(NamedTuple):
    """How the mark of an event looks."""

    label: str
    """What it means, in the legend."""
    marker: str
    """One of matplotlib's."""
    colour: str
    filled: bool = True
    """False for an outline."""


LOOKS: dict[EventOutcome, Look] = {
    "whole": Look("Hello", "o", BLUE),
    "cut": Look("Hello, cut or malformed", "o", BLUE, filled=False),
    "established": Look("connection established", "^", GREEN),
    "reset": Look("connection reset", "D", PINK),
    "partial": Look("connection, beginning not captured", "s", GREY),
    "refused": Look("connection refused", "X", RED),
    "rejected": Look("rejected by ICMP", "X", ORANGE, filled=False),
    "unanswered": Look("unanswered", "v", ORANGE, filled=False),
    "asked": Look("asked", "d", GREY, filled=False),
    "answered": Look("answered", "P", GREEN),
    "failed": Look("answered with no", "P", PINK, filled=False),
}


VERBATIM: dict[str, Any] = {"parse_math": False, "usetex": False}
"""For every text that may hold words of a capture."""


def text_of(text: str, most: int = 80) -> str:
    r"""Return text that the font can show, of at most `most` characters; other signs become ``\uNNNN``."""
    composed = unicodedata.normalize("NFC", plain(text, most))
    if composed.isascii():
        return plain(composed, most)
    from matplotlib.font_manager import FontProperties, findfont

    glyphs = _glyphs(str(findfont(FontProperties())))
    drawable = (
        character
        if character.isascii() or (ord(character) in glyphs and not unicodedata.combining(character))
        else (f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}")
        for character in composed
    )
    return plain("".join(drawable), most)


@lru_cache(maxsize=4)
def _glyphs(font: str) -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(get_font(font).get_charmap())


def wrapped(text: str, width: int, lines: int = 2) -> str:
    """Return text that the font can show in so many lines; what does not fit is cut."""
    cut = text_of(text, width * lines + 20)
    return "\n".join(textwrap.wrap(cut, width, max_lines=lines, placeholder=" …")) or cut


def headings(ax: Axes, title: str, below: str = "", pad: float = 0) -> None:
    """Say the finding in bold, and below it whom it is about.

    So many points (`pad`) are left free for what stands above the axes.
    """
    if below:
        ax.annotate(
            text_of(below, 150), (0, 1), (0, pad + 6), xycoords="axes fraction", textcoords="offset points",
            fontsize=10, color=INK, va="bottom", **VERBATIM,
        )  # fmt: skip
    ax.set_title(
        wrapped(title, 88, 3),
        loc="left",
        fontsize=13,
        fontweight="bold",
        y=1,
        pad=pad + (26 if below else 10),
        **VERBATIM,
    )


def axes_at(ax: Place, height: float) -> Axes:
    """Return the Axes to draw on; a new one is `height` inches high."""
    if ax is None:
        from matplotlib import pyplot as plt

        return plt.figure(figsize=(WIDTH, height), layout="constrained").add_subplot()
    return ax(height) if callable(ax) else ax


def draw_sentence(ax: Axes, text: str) -> Axes:
    """Draw nothing but a sentence."""
    ax.set_axis_off()
    ax.text(
        0.5, 0.5, text_of(text), ha="center", va="center", fontsize=13, transform=ax.transAxes, **VERBATIM
    )
    return ax


def bare(ax: Axes, *, keep: str = "bottom") -> None:
    """Take away what says nothing: frame and tick marks."""
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(side == keep)
    ax.tick_params(axis="y", length=0)
    ax.set_axisbelow(True)
    ax.yaxis.set_label_coords(0, 0.5)  # there is none; saying where saves measuring what it must not touch


def below(ax: Axes, points: float) -> Any:
    """Return coordinates that start so far below the axes, whatever their height."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None
    return ax.transAxes + ScaledTranslation(0, -points / 72, figure.dpi_scale_trans)


def axis_label(ax: Axes, text: str, lines: int) -> None:
    """Label the horizontal axis, below so many lines of tick labels.

    Titles and labels with a place of their own make drawing a quarter faster: else matplotlib measures each
    time what they must not touch.
    """
    ax.set_xlabel(text, fontsize=10)
    ax.xaxis.set_label_coords(0.5, 0, transform=below(ax, 9 + 12 * lines))
