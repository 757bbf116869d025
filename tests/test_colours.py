"""Colours of the charts under the three kinds of dichromacy, by simulation; and in black and white."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from amtdiag.report.charts.funnel import FUNNEL
from amtdiag.report.charts.parts import Fill
from amtdiag.report.charts.roots import ROOT_FILLS
from amtdiag.report.charts.stagemap import MARKS
from amtdiag.report.charts.style import LOOKS, MODE_COLOURS, SEVERITY_COLOURS

Numbers = NDArray[np.float64]

# Machado, Oliveira and Fernandes 2009, severity 1.0; for linear RGB.
VISION: dict[str, Sequence[Sequence[float]]] = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
WHITE = (0.95047, 1.0, 1.08883)

PALETTES: dict[str, Sequence[str]] = {
    "severities": tuple(SEVERITY_COLOURS.values()),
    "modes": tuple(MODE_COLOURS.values()),
    "stages": tuple(mark.colour for mark in MARKS.values()),
    "funnel": tuple(fill.colour for fill in FUNNEL.values()),
    "roots": tuple(fill.colour for fill in ROOT_FILLS),
}
LEAST = 10.0
"""CIELAB distance; 2.3 is what can just be told apart side by side."""


def lab(colour: str, vision: str) -> Numbers:
    """The colour as somebody sees it, in CIELAB."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(VISION[vision]) @ linear, 0, 1)
    scaled = np.array(XYZ) @ seen / np.array(WHITE)
    x, y, z = np.where(scaled > 216 / 24389, np.cbrt(scaled), (24389 / 27 * scaled + 16) / 116)
    return np.array((116 * y - 16, 500 * (x - y), 200 * (y - z)))


def test_the_simulation_itself() -> None:
    """White stays white and has L* 100; red and green, which are far apart, come close without red cones."""
    for vision in VISION:
        assert lab("white", vision) == pytest.approx((100, 0, 0), abs=0.1)
    red, green = "#BB6600", "#668800"
    apart = {vision: float(np.linalg.norm(lab(red, vision) - lab(green, vision))) for vision in VISION}
    assert apart["normal"] > 40
    assert apart["deuteranopia"] < apart["normal"] / 3


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("palette", PALETTES)
def test_colours_of_one_chart_are_told_apart(palette: str, vision: str) -> None:
    close = {
        (one, other): round(distance, 1)
        for one, other in combinations(PALETTES[palette], 2)
        if (distance := float(np.linalg.norm(lab(one, vision) - lab(other, vision)))) < LEAST
    }
    assert close == {}


def test_no_two_outcomes_differ_by_colour_alone() -> None:
    shapes = [(look.marker, look.filled) for look in LOOKS.values()]
    assert [shape for shape in shapes if shapes.count(shape) > 1] == []


@pytest.mark.parametrize("fills", [tuple(FUNNEL.values()), ROOT_FILLS], ids=["funnel", "roots"])
def test_no_two_fills_differ_by_colour_alone(fills: Sequence[Fill]) -> None:
    """Those without a hatch differ by their brightness too."""
    for one, other in combinations(fills, 2):
        darker = abs(lab(one.colour, "normal")[0] - lab(other.colour, "normal")[0])
        assert one.hatch != other.hatch or darker > 10, (one, other)


def test_every_state_of_a_stage_has_a_sign_of_its_own() -> None:
    signs = [mark.sign for mark in MARKS.values()]
    assert len(set(signs)) == len(signs)
