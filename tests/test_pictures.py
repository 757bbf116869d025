"""Every chart, compared with the picture of it in tests/baseline (pytest-mpl).

Each is compared twice. Without its text, it has to look the same whatever draws it. With its text, only what
drew the pictures can draw it the same: each series of matplotlib and each FreeType sets type in its own way.

After a wanted change `pytest tests/test_pictures.py --mpl-generate-path=tests/baseline` draws all anew: look
at each before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil
from pathlib import Path

import matplotlib as mpl
import pytest
from diagnoses import START, Story, fleet
from matplotlib import ft2font
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from amtdiag.api.analysis import read
from amtdiag.model import Diagnosis
from amtdiag.report import charts
from amtdiag.times import SECOND

DRAWN_BY = ("3.11", "2.14.3")
"""matplotlib's series, and the FreeType in its wheels, that drew the pictures."""
HERE = (".".join(mpl.__version__.split(".")[:2]), ft2font.__freetype_version__)

SAVED = {"dpi": 60, "pil_kwargs": {"optimize": True}}
TOLERANCE = 1
"""Root mean square of the differences, of 255. A bar one pixel thinner makes over 3, another letter 8."""
LEFT, RIGHT, TOP, BOTTOM = 3.3, 2.4, 1.3, 1.1
"""Inches beside the axes, which have a fixed place: no text decides where they are."""

RECORDED = Path(__file__).parent.parent / "sample_pcaps" / "recorded" / "mesh_closed.pcapng"

several = lru_cache(fleet)


@lru_cache
def retrying() -> Diagnosis:
    """Three devices: one keeps to a documented schedule, one to another, one to none."""
    story = Story()
    for device, gaps in enumerate(([60] * 5 + [300] * 5, [12] * 5 + [120] * 5, [20, 45, 700, 3]), 1):
        at = START
        story.hello(device, at)
        for retry, gap in enumerate(gaps, 1):
            at += gap * SECOND
            story.hello(device, at, retry)
    return story.diagnosis()


def first(found: Diagnosis) -> str:
    return found.devices[0].id


Place = Callable[[float], Axes]
BERLIN = "Europe/Berlin"
CHARTS: dict[str, Callable[[Place], Axes]] = {
    "device_timeline": lambda at: charts.device_timeline(one := several(1), first(one), at),
    "device_timeline_in_berlin": lambda at: charts.device_timeline(several(1), first(several(1)), at, BERLIN),
    "device_failures": lambda at: charts.device_failures(one := several(1), first(one), at),
    "device_retry_gaps": lambda at: charts.device_retry_gaps(one := retrying(), first(one), at),
    "fleet_timeline_of_few": lambda at: charts.fleet_timeline(several(12), at),
    "fleet_timeline_of_many": lambda at: charts.fleet_timeline(several(210, hellos=1), at),
    "fleet_failures": lambda at: charts.fleet_failures(several(12), at),
    "fleet_failures_over_time": lambda at: charts.fleet_failures_over_time(
        several(40, every=20 * SECOND), at
    ),
    "fleet_funnel": lambda at: charts.fleet_funnel(several(40, every=20 * SECOND), at),
    "fleet_modes": lambda at: charts.fleet_modes(several(12), at),
    "fleet_retry_gaps_of_few": lambda at: charts.fleet_retry_gaps(retrying(), at),
    "fleet_retry_gaps_of_many": lambda at: charts.fleet_retry_gaps(several(12), at),
    "fleet_roots": lambda at: charts.fleet_roots(read(RECORDED).diagnosis, at),
    "fleet_stages_of_few": lambda at: charts.fleet_stages(several(12), at),
    "fleet_stages_of_many": lambda at: charts.fleet_stages(several(130, hellos=1), at),
    "fleet_stages_of_a_crowd": lambda at: charts.fleet_stages(several(210, hellos=1), at),
}

compared = pytest.mark.mpl_image_compare(
    baseline_dir="baseline", tolerance=TOLERANCE, style="default", savefig_kwargs=SAVED
)
each = pytest.mark.parametrize("name", CHARTS)


def drawn(name: str) -> Figure:
    figure = Figure()

    def place(height: float) -> Axes:
        height = ceil(height + 1)  # whole pixels, whatever rounds them
        figure.set_size_inches(charts.WIDTH, height)
        across, up = 1 - (LEFT + RIGHT) / charts.WIDTH, 1 - (TOP + BOTTOM) / height
        return figure.add_axes((LEFT / charts.WIDTH, BOTTOM / height, across, up))

    CHARTS[name](place)
    return figure


@each
@compared
def test_shapes(name: str) -> Figure:
    figure = drawn(name)
    for legend in figure.findobj(Legend):
        legend.set_visible(False)
    figure.draw_without_rendering()
    for text in figure.findobj(Text):
        text.set_visible(not text.get_text())  # an arrow is a text without words
    return figure


@pytest.mark.skipif(DRAWN_BY != HERE, reason=f"drawn by matplotlib and FreeType {DRAWN_BY}, here {HERE}")
@each
@compared
def test_pictures(name: str) -> Figure:
    return drawn(name)
