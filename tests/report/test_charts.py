"""Charts: what they say, files that are the same in every run, hostile text, any number of devices."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from datetime import timedelta, timezone
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from diagnoses import (
    EMPTY,
    HOSTILE,
    SERVER,
    START,
    Story,
    address,
    device_story,
    fleet,
    harmless,
    hostile_diagnosis,
    texts,
)
from helpers import replace
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from amtdiag.api.analysis import Analysis, read
from amtdiag.errors import UsageError
from amtdiag.model import Diagnosis
from amtdiag.report import charts
from amtdiag.report.charts.style import text_of
from amtdiag.report.charts.view import ChartData
from amtdiag.report.timezones import Wanted
from amtdiag.rules.outcome import with_outcomes
from amtdiag.times import SECOND

CLOSED = Path(__file__).parents[2] / "sample_pcaps" / "recorded" / "mesh_closed.pcapng"
FLEET = (
    charts.fleet_timeline,
    charts.fleet_failures,
    charts.fleet_failures_over_time,
    charts.fleet_funnel,
    charts.fleet_stages,
    charts.fleet_modes,
    charts.fleet_retry_gaps,
    charts.fleet_roots,
)
ONE = (charts.device_timeline, charts.device_failures, charts.device_retry_gaps)


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


def off_screen(height: float) -> Axes:
    return Figure((charts.WIDTH, height), layout="constrained").add_subplot()


def words(ax: Axes) -> str:
    """All text of a chart, once it is drawn."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    return "\n".join(one.get_text() for one in figure.findobj(Text))


def draw_all(found: Diagnosis) -> Iterator[Axes]:
    for draw in FLEET:
        yield draw(found, off_screen)
    for device in found.devices:
        for draw_one in ONE:
            yield draw_one(found, device.id, off_screen)


# ---------------------------------------------------------------------------------------------- what they say


def test_a_refused_device() -> None:
    found = fleet(1, hellos=3)
    ax = charts.device_timeline(found, found.devices[0].id, off_screen)
    said = words(ax)
    assert "The way back to the device is closed (F11)" in said
    assert "00000001..7a2b" in said
    assert "3 Hellos" in said
    assert "Setup Mode, observed" in said
    assert {f"retry {number}" for number in range(3)} <= set(said.splitlines())
    assert {"21 s", "31 s"} <= set(said.splitlines())
    assert said.count("refused x5") == 3
    assert "capture ends" in said
    assert "long gaps shortened" in said
    assert f"{SERVER} port 9971" in said
    assert "connection refused" in said, "the legend"


def test_a_direction_that_the_capture_does_not_show() -> None:
    story = Story()
    story.hello(1, START)
    found = story.diagnosis()
    device = replace(found.devices[0], visibility={"device_to_server": True, "server_to_device": False})
    said = words(charts.device_timeline(replace(found, devices=(device,)), device.id, off_screen))
    assert "this capture does not show this direction" in said


def test_modes_and_their_basis() -> None:
    story = Story()
    device_story(story, 1, START, 3)
    found = story.diagnosis()
    said = words(charts.device_timeline(found, found.devices[0].id, off_screen))
    assert "Setup Mode, observed" in said
    assert "Operational Mode, inferred" in said
    assert "1 of 1 device is Operational" in words(charts.fleet_modes(found, off_screen))
    assert "1 (1 inferred)" in words(charts.fleet_modes(found, off_screen))


def test_the_findings_of_a_device() -> None:
    found = fleet(1, hellos=3)
    said = words(charts.device_failures(found, found.devices[0].id, off_screen))
    assert "1 error, 1 warning. First: The way back to the device is closed (F11)" in said
    assert "tried 15 times to connect back" in said
    quiet = replace(found, findings=(), devices=with_outcomes(found.devices, (), ()))
    assert "No findings" in words(charts.device_failures(quiet, found.devices[0].id, off_screen))
    assert "Nothing in this capture stops" in words(
        charts.device_timeline(quiet, found.devices[0].id, off_screen)
    )


@pytest.mark.parametrize("draw", FLEET)
def test_no_devices(draw: Callable[..., Axes]) -> None:
    assert "no devices" in words(draw(EMPTY, off_screen)).lower()


@pytest.mark.parametrize("draw", ONE)
def test_no_such_device(draw: Callable[..., Axes]) -> None:
    with pytest.raises(UsageError, match="no device"):
        draw(fleet(1), "uuid:\x1b[2J", off_screen)


@pytest.mark.parametrize("count", [1, 2, 25, charts.MAX_ROWS, charts.MAX_ROWS + 1, 300])
def test_a_fleet_of_any_size_stays_readable(count: int) -> None:
    found = fleet(count, hellos=2)
    for draw in FLEET:
        ax = draw(found, off_screen)
        figure = ax.get_figure(root=True)
        assert figure is not None
        width, height = figure.get_size_inches()
        assert (width, 2 < height < 17) == (charts.WIDTH, True)
        figure.draw_without_rendering()
        rows = [one for one in ax.get_yticklabels() if one.get_text()]
        assert len(rows) <= charts.MAX_ROWS
        left, right = ax.get_xlim()
        times = [one for one in ax.get_xticklabels() if left <= one.get_position()[0] <= right]
        for labels in (rows, times):
            boxes = [one.get_window_extent() for one in labels]
            for number, box in enumerate(boxes):
                assert box.x0 >= 0, "a label is clipped"
                assert box.x1 <= width * figure.dpi
                assert box.y0 >= 0
                assert not any(box.overlaps(other) for other in boxes[number + 1 :]), "labels overlap"


def test_a_large_fleet_is_grouped_by_what_stops_it() -> None:
    found = fleet(70, hellos=2)
    said = words(charts.fleet_timeline(found, off_screen))
    assert "70 devices, grouped by what stops them" in said
    assert "The server gets the Hello and does" in said
    assert "20 devices" in said
    assert said.index("Trouble that is not proven") < said.index("Nothing in this capture stops them")


def test_one_rule_with_two_rows_of_the_catalogue_names_both() -> None:
    story = Story()
    story.hello(1, START)
    story.hello(2, START + SECOND, psk=True)
    assert "nothing (F10, F13)" in words(charts.fleet_failures(story.diagnosis(), off_screen)).replace(
        "\n", " "
    )


def test_the_funnel_counts_who_came_how_far() -> None:
    said = words(charts.fleet_funnel(fleet(30), off_screen))
    assert "21 of 30 devices stopped, more at connect-back (9) than elsewhere" in said
    assert "30 came this far, 4 stopped" in said, "at connection"
    assert "went on; this stage is not in the capture" in said, "the capture shows neither DHCP nor DNS"
    assert "Operational" in said
    quiet = replace(fleet(2), findings=(), devices=with_outcomes(fleet(2).devices, (), ()))
    assert "None of 2 devices is proven to be stopped" in words(charts.fleet_funnel(quiet, off_screen))


def test_machines_without_amt_are_in_no_funnel() -> None:
    found = fleet(2)
    others = tuple(replace(one, is_amt=False) for one in found.devices)
    for draw in (charts.fleet_funnel, charts.fleet_stages):
        assert "No devices" in words(draw(replace(found, devices=others), off_screen))


@pytest.mark.parametrize("count", [5, 41, 81, charts.MAX_MAPPED])
def test_every_device_has_a_row_in_the_map_of_stages(count: int) -> None:
    found = fleet(count, hellos=1)
    ax = charts.fleet_stages(found, off_screen)
    said = words(ax).splitlines()
    assert all(ChartData(found).names[one.id] in said for one in found.devices)
    names = {ChartData(found).names[one.id] for one in found.devices}
    boxes = [one.get_window_extent() for one in ax.texts if one.get_text() in names]
    assert len(boxes) == count
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :]), "names overlap"


def test_the_map_of_a_crowd_counts() -> None:
    said = words(charts.fleet_stages(fleet(charts.MAX_MAPPED + 10, hellos=1), off_screen))
    assert "210 devices, grouped by what stops them" in said
    assert "30 failed" in said


def test_failures_over_time_begin_and_end() -> None:
    """Five refused devices, one after another: never more than two at a time."""
    story = Story()
    for device in range(5):
        device_story(story, device + 1, START + device * 100 * SECOND, 0)
    ax = charts.fleet_failures_over_time(story.diagnosis(), off_screen)
    said = words(ax)
    assert "5 devices, error" in said
    assert [one.get_text() for one in ax.texts if one.get_text().isdigit()] == ["2"]
    assert "UTC" in ax.get_xlabel()


def test_gaps_are_those_that_were_measured() -> None:
    found = fleet(3, hellos=3)
    ax = charts.device_retry_gaps(found, found.devices[0].id, off_screen)
    said = words(ax)
    assert {"21 s", "31 s"} <= set(said.splitlines())
    assert "as documented by help of SCCM 2007 SP1" in said
    line = next(one for one in ax.get_lines() if one.get_marker() == "o")
    assert np.asarray(line.get_xdata()).tolist() == [1, 2]
    assert np.asarray(line.get_ydata()).tolist() == [21, 31]
    many = charts.fleet_retry_gaps(fleet(20, hellos=3), off_screen)
    assert "the middle half" in words(many)
    assert ax.get_yscale() == many.get_yscale() == "log"


def test_roots_that_no_catalogue_names_come_first() -> None:
    found = read(CLOSED).diagnosis
    said = set(words(charts.fleet_roots(found, off_screen)).splitlines())
    assert "4 digests that no catalogue names, in 1 of 1 device" in said
    assert sum(one.startswith("unknown sha256 0") for one in said) == 3
    mixed = read(CLOSED.parent).diagnosis
    labels = [one.get_text() for one in charts.fleet_roots(mixed, off_screen).get_yticklabels()]
    strange = [one.startswith("unknown") for one in labels]
    assert strange == sorted(strange, reverse=True)
    assert 0 < sum(strange) < len(strange)


# ------------------------------------------------------------------------------------------------------- time


def test_times_are_of_the_zone_that_the_reader_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fleet(1)
    identity = found.devices[0].id

    def label(tz: Wanted) -> str:
        return charts.device_timeline(found, identity, off_screen, tz).get_xlabel()

    assert label("UTC").startswith("time since 2026-03-02 09:01:11 (UTC)")
    assert "2026-03-02 10:01:11 (CET, UTC+01:00)" in label("Europe/Berlin")
    assert "2026-03-02 14:46:11 (UTC+05:45)" in label(timezone(timedelta(hours=5, minutes=45)))
    monkeypatch.setenv("TZ", "EST5EDT,M3.2.0,M11.1.0")  # New York, where the system has no table of zones too
    time.tzset()
    try:
        assert "2026-03-02 04:01:11 (EST, UTC-05:00)" in label("local")
    finally:
        monkeypatch.undo()
        time.tzset()
    for none in ("Europe/Atlantis", "../../etc/passwd", "", "\x1b[2J"):
        with pytest.raises(UsageError, match="no time zone") as caught:
            label(none)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "gap", [1, 10**3, 10**6, SECOND, 3600 * SECOND, 40 * 86_400 * SECOND, 300 * 365 * 86_400 * SECOND]
)
def test_bursts_and_pauses_are_both_readable(gap: int) -> None:
    story = Story()
    for number in range(4):
        story.hello(1, START + number * (gap + 20_000_000), number)
        story.link(SERVER, address(1), 16993, START + number * (gap + 20_000_000) + 10_000_000, "refused")
    found = story.diagnosis(3600 * SECOND)
    ax = charts.device_timeline(found, found.devices[0].id, off_screen)
    words(ax)
    hellos = next(line for line in ax.get_lines() if line.get_label() == "Hello")
    back = next(line for line in ax.get_lines() if line.get_label() == "connection refused")
    places = sorted(float(x) for line in (hellos, back) for x in np.asarray(line.get_xdata()))
    assert all(later - earlier > 0.01 for earlier, later in pairwise(places))


def test_many_events_of_one_device() -> None:
    story = Story()
    for number in range(3000):
        story.hello(1, START + number * 60 * SECOND, number % 15)
    found = story.diagnosis()
    ax = charts.device_timeline(found, found.devices[0].id, off_screen)
    assert len(ax.texts) < 80, "labels are thinned out"
    assert any(line.get_rasterized() for line in ax.get_lines())


# ---------------------------------------------------------------------------------------------- where it goes


def test_without_axes_pyplot_makes_the_figure() -> None:
    found = fleet(1)
    ax = charts.device_timeline(found, found.devices[0].id)
    assert plt.get_fignums() == [1]
    assert ax.get_figure() is plt.gcf()


def test_on_given_axes() -> None:
    figure = Figure(layout="constrained")
    ax = figure.add_subplot()
    assert charts.fleet_timeline(fleet(3), ax) is ax
    assert plt.get_fignums() == []


def test_files(tmp_path: Path) -> None:
    found = fleet(3, hellos=2)
    paths = charts.write_charts(found, tmp_path / "new" / "charts")
    assert {path.name for path in paths} == {path.name for path in (tmp_path / "new" / "charts").iterdir()}
    stems = {f"fleet-{name}" for name in ("timeline", "failures", "failures-over-time", "funnel", "stages")}
    stems |= {f"fleet-{name}" for name in ("modes", "retry-gaps", "roots")}
    stems |= {f"device-{n:03d}-{name}" for n in (1, 2, 3) for name in ("timeline", "failures")}
    assert {path.name for path in paths} == {f"{one}.{end}" for one in stems for end in ("png", "svg")} | {
        "index.csv"
    }
    assert plt.get_fignums() == []
    for path in paths:
        if path.suffix == ".png":
            pixels = imread(path)
            assert pixels.shape[1] == 1200
            assert pixels.std() > 0.02, f"{path.name} is blank"
            edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
            assert all((edge == 1).all() for edge in edges), f"{path.name} is cut off"
        elif path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
    rows = list(csv.DictReader((tmp_path / "new" / "charts" / "index.csv").read_text("utf-8").splitlines()))
    assert [row["stuck"] for row in rows] == ["yes", "yes", "no"]
    assert rows[0]["device"] == found.devices[0].id
    assert rows[0]["timeline"] == "device-001-timeline.png"


def test_only_the_most_troubled_devices_are_drawn(tmp_path: Path) -> None:
    found = fleet(6, hellos=2)
    paths = charts.write_charts(found, tmp_path, most=1)
    assert sum(path.name.startswith("device-") for path in paths) == 4
    rows = list(csv.DictReader((tmp_path / "index.csv").read_text("utf-8").splitlines()))
    assert {row["device"] for row in rows} == {device.id for device in found.devices}
    assert [row["timeline"] for row in rows] == ["device-001-timeline.png", *[""] * 5]
    assert [row["number"] for row in rows] == ["1", *[""] * 5]
    assert charts.write_charts(EMPTY, tmp_path / "empty")


def test_one_format_or_none(tmp_path: Path) -> None:
    found = Analysis(fleet(1, hellos=2))
    found.save(tmp_path / "one", charts="svg")
    made = {path.suffix for path in (tmp_path / "one" / "charts").iterdir()}
    assert made == {".svg", ".csv"}
    assert "device-001-timeline.svg" in (tmp_path / "one" / "charts" / "index.csv").read_text("utf-8")
    found.save(tmp_path / "none", charts=())
    assert [path.name for path in (tmp_path / "none" / "charts").iterdir()] == ["index.csv"]
    with pytest.raises(UsageError, match="png or svg"):
        found.save(tmp_path / "other", charts="pdf")
    with pytest.raises(UsageError, match="no time zone"):
        found.save(tmp_path / "nowhere", tz="Europe/Atlantis")


@pytest.mark.parametrize("count", [charts.MAX_ROWS, 300])
def test_nothing_is_cut_off_in_files_of_many_devices(count: int, tmp_path: Path) -> None:
    for path in charts.write_charts(fleet(count, hellos=2), tmp_path, most=0):
        if path.suffix == ".png":
            pixels = imread(path)
            assert all((edge == 1).all() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))


def test_svg_is_the_same_in_every_run_whatever_the_settings(tmp_path: Path) -> None:
    found = fleet(2, hellos=2)
    first = charts.write_charts(found, tmp_path / "a")
    with mpl.rc_context({"font.size": 20, "svg.fonttype": "none", "axes.facecolor": "black"}):
        second = charts.write_charts(found, tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        if one.suffix == ".svg":
            assert one.read_bytes() == other.read_bytes(), one.name
            assert b"<dc:date>" not in one.read_bytes()


# ----------------------------------------------------------------------------------------------- hostile text


def test_hostile_text_in_files(tmp_path: Path) -> None:
    paths = charts.write_charts(hostile_diagnosis(HOSTILE), tmp_path)
    assert {path.parent for path in paths} == {tmp_path}
    assert all(path.name.replace("-", "").replace(".", "").isalnum() for path in paths)
    for path in paths:
        if path.suffix == ".svg":
            ElementTree.parse(path)


@settings(max_examples=4)
@given(st.lists(texts, min_size=1, max_size=8))
def test_hostile_text_in_charts(said: list[str]) -> None:
    for ax in draw_all(hostile_diagnosis(said)):
        for line in words(ax).split("\n"):
            assert harmless(line)
            assert len(line) < 250


@given(texts)
def test_chart_text_is_short_and_has_glyphs(text: str) -> None:
    shown = text_of(text, 50)
    assert harmless(shown)
    assert len(shown) <= 50
    for one in shown:
        assert one.isascii() or one in text or one in "…é" or ord(one) < 0x2000


def test_tex_settings_of_the_user_do_not_read_wire_text() -> None:
    found = hostile_diagnosis(["$\\frac{", "x"])
    with mpl.rc_context({"text.parse_math": True}):
        for ax in draw_all(found):
            words(ax)
