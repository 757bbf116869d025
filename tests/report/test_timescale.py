"""The time axis of charts: in order, within its bounds, labelled so that people can read it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from amtdiag.report.charts.timescale import TimeScale, duration
from amtdiag.times import SECOND


@given(st.lists(st.integers(-(2**66), 2**66), max_size=40))
def test_the_time_scale_keeps_the_order(times: list[int]) -> None:
    scale = TimeScale(times)
    places = [scale(ts) for ts in sorted(times)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)
    scale.dress(Figure().add_subplot(), prefer=times)


def test_durations() -> None:
    second = {
        0: "0",
        28_000: "0.028 ms",
        999_999_999: "1 s",
        59_990_000_000: "1 min",
        90 * SECOND: "1 min 30 s",
    }
    second |= {7500 * SECOND: "2 h 5 min", 86_400 * SECOND * 3: "3 d", 3599 * SECOND: "59 min 59 s"}
    assert {ns: duration(ns) for ns in second} == second
