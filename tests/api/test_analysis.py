"""The library's face: reading, looking up a device, pages for Jupyter, saving; and what an import costs."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from diagnoses import EMPTY, HOSTILE, TABLES, fleet, harmless, hostile_diagnosis, texts
from helpers import HELLO_ONLY
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import amtdiag
from amtdiag.api.analysis import Analysis, read
from amtdiag.errors import InputError, UsageError
from amtdiag.report.formats.json import analysis_json
from amtdiag.simulator.certificates import server_identity

RECORDED = Path(__file__).parents[2] / "sample_pcaps" / "recorded"
CLOSED = RECORDED / "mesh_closed.pcapng"
DEVICE = "uuid:939b524b-13d4-1d18-e487-1c697a6b7a2b"


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


# ---------------------------------------------------------------------------------------------------- reading


def test_a_lease_that_is_under_way_is_no_fault(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcapng"
    cut.write_bytes(CLOSED.read_bytes()[:1777])  # discover, offer, discover
    document = read(cut).to_dict()
    assert document["devices"] == document["findings"] == document["unknowns"] == []
    assert document["summary"]["verdict"] == ("No AMT device was seen: no Hello, and no attempt to send one.")


def test_read_a_recording() -> None:
    found = read(CLOSED)
    assert "1 of 1 device is stuck" in found.verdict
    assert found.stuck == [DEVICE]
    assert found.diagnosis.devices[0].id == DEVICE
    assert found.devices["cause"].tolist() == ["connect-back-refused"]
    assert found.to_dict() == analysis_json(found.diagnosis)
    assert json.loads(found.to_json()) == json.loads(json.dumps(found.to_dict()))
    assert isinstance(found.unknowns, list)


def test_several_files_are_one_capture() -> None:
    found = read(RECORDED / "mesh_closed.pcapng", str(RECORDED / "mesh_ok12.pcapng"))
    assert len(found.captures) == 2
    assert found.hellos["device"].tolist() == [DEVICE, DEVICE]


@pytest.mark.parametrize("frozen", [False, True], ids=["nothing is frozen", "something is frozen"])
def test_the_collector_is_left_as_it_was(frozen: bool) -> None:
    if frozen:
        gc.freeze()
    try:
        before = gc.get_freeze_count()
        amtdiag.read(HELLO_ONLY)
        assert gc.isenabled()
        assert (gc.get_freeze_count() > 0) == (before > 0) == frozen
        gc.disable()
        amtdiag.read(HELLO_ONLY)
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()


def test_what_is_young_stays_young() -> None:
    """Whoever reads captures all day keeps a collector that collects: old objects are hardly looked at."""
    young = [object()]
    amtdiag.read(HELLO_ONLY)
    assert not any(one is young for one in gc.get_objects(generation=2))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read(tmp_path / "absent.pcap")
    with pytest.raises(InputError):
        read()
    assert read(CLOSED, tmp_path / "absent.pcap").diagnosis.problems
    with pytest.raises(InputError):
        read(CLOSED, tmp_path / "absent.pcap", strict=True)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_ports_that_are_none(port: int) -> None:
    with pytest.raises(UsageError, match="a port is a number"):
        read(CLOSED, ports=[port])
    assert read(CLOSED, ports=[8080]).diagnosis.tool["options"]["ports"] == [8080, 9971, 9972]  # type: ignore[index]


def test_the_tables_are_made_once() -> None:
    found = Analysis(fleet(3))
    for name, make in TABLES.items():
        table = getattr(found, name)
        assert getattr(found, name) is table
        pd.testing.assert_frame_equal(table, make(found.diagnosis))


# --------------------------------------------------------------------------------------------------- own root


def test_a_root_that_no_device_lists(tmp_path: Path) -> None:
    identity = server_identity("example.com")
    (tmp_path / "chain.pem").write_bytes(identity.key + identity.chain)
    found = read(CLOSED, root_of=tmp_path / "chain.pem")
    summary = found.findings.set_index("rule")["summary"]["root-not-listed"]
    assert "Sample Provisioning Root" in summary


def test_a_chain_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no-chain\.pem"):
        read(CLOSED, root_of=tmp_path / "no-chain.pem")
    (tmp_path / "\x1b[2J.pem").write_text("nothing")
    with pytest.raises(UsageError, match="no certificate") as caught:
        read(CLOSED, root_of=tmp_path / "\x1b[2J.pem")
    assert str(caught.value).isprintable()


# ----------------------------------------------------------------------------------------------------- charts


@pytest.mark.parametrize(
    "words",
    [DEVICE, "939B524B", "7a2b", "10.99.71.48", "02:1c:69:7a:6b:7a", " 939b524b-13d4-1d18-e487-1c697a6b7a2b"],
)
def test_a_device_by_any_of_its_names(words: str) -> None:
    ax = read(CLOSED).timeline(words)
    assert isinstance(ax, Axes)
    assert "The way back to the device is closed" in ax.get_title(loc="left")


def test_devices_that_are_not_there_or_not_clear() -> None:
    found = Analysis(fleet(12))
    with pytest.raises(UsageError, match="no device"):
        found.timeline("example.com")
    with pytest.raises(UsageError, match="no device"):
        found.failures("")
    with pytest.raises(UsageError, match="devices"):
        found.timeline("10.0.0.")
    ax = found.timeline("10.0.0.1")  # of a single device, though 10.0.0.10 and others contain it
    assert isinstance(ax, Axes)


def test_charts_of_the_fleet() -> None:
    found = Analysis(fleet(3))
    figure, (left, middle, right) = plt.subplots(1, 3)
    assert found.timeline(ax=left) is left
    assert found.failures(ax=middle) is middle
    assert found.modes(ax=right) is right
    for draw in (found.funnel, found.stages, found.retry_gaps, found.roots, found.failures_over_time):
        own = plt.figure().add_subplot()
        assert draw(ax=own) is own
    assert isinstance(found.retry_gaps("10.0.0.1"), Axes)
    figure.draw_without_rendering()
    assert isinstance(found.failures("10.0.0.1"), Axes)


# ------------------------------------------------------------------------------------------------------ pages


class Page(HTMLParser):
    """Which tags and attributes are there, and what the text says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[tuple[str, str | None]] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes |= set(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


TAGS = {"div", "p", "b", "bdi", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code"}


def test_the_page_of_a_recording() -> None:
    page = Page(read(CLOSED)._repr_html_())
    assert page.open == []
    assert "1 of 1 device is stuck" in page.text
    assert "939b524b..7a2b" in page.text
    assert "The way back to the device is closed (F11)" in page.text
    assert "Restart setup on the device" in page.text, "the remedy"


def test_the_page_of_many_devices_is_short() -> None:
    html = Analysis(fleet(500, hellos=1))._repr_html_()
    assert "and 470 more devices" in html
    assert len(html) < 60_000


def test_the_page_of_nothing() -> None:
    page = Page(Analysis(EMPTY)._repr_html_())
    assert "No AMT device" in page.text
    assert "table" not in page.tags


@settings(max_examples=20)
@given(st.lists(texts, min_size=1, max_size=8))
def test_hostile_text_stays_text(words: list[str]) -> None:
    found = Analysis(hostile_diagnosis(words))
    page = Page(found._repr_html_())
    assert set(page.tags) <= TAGS
    assert page.attributes <= {("style", "text-align:left")}
    assert page.open == []
    assert harmless(page.text)
    assert harmless(repr(found))
    assert "\n" not in repr(found)
    assert found.to_json().isascii()


def test_an_analysis_is_true_and_has_no_length() -> None:
    assert bool(Analysis(EMPTY)) is True
    with pytest.raises(TypeError):
        len(Analysis(EMPTY))  # type: ignore[arg-type]
    assert repr(read(CLOSED)).startswith("<amtdiag.Analysis of 1 file: 1 of 1 device is stuck.")


# ----------------------------------------------------------------------------------------------------- saving


def test_save(tmp_path: Path) -> None:
    found = read(CLOSED)
    folder = found.save(tmp_path / "report")
    assert folder == tmp_path / "report"
    assert (folder / "report.json").is_file()
    assert (folder / "charts" / "device-001-timeline.png").is_file()
    assert (folder / "charts" / "index.csv").is_file()


def test_save_hostile_text(tmp_path: Path) -> None:
    Analysis(hostile_diagnosis(HOSTILE)).save(tmp_path / "report")
    assert [one.name for one in tmp_path.iterdir()] == ["report"]


# ------------------------------------------------------------------------- what an import costs, and gives


def test_public_names() -> None:
    assert set(amtdiag.__all__) <= set(dir(amtdiag))
    for name in amtdiag.__all__:
        assert getattr(amtdiag, name) is getattr(amtdiag, name)
    assert amtdiag.read is read
    hello = amtdiag.parse_hello(amtdiag.build_hello(uuid=DEVICE[5:], retry_count=3))
    assert isinstance(hello, amtdiag.Hello)
    assert (hello.uuid, hello.retry_count) == (DEVICE[5:], 3)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = amtdiag.nothing


HEAVY = "pandas numpy matplotlib scapy pyshark rich jinja2 pydantic lxml cryptography"


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import amtdiag", ""),
        ("import amtdiag.tables, amtdiag.report.charts, amtdiag.trust.user_root", ""),
        ("import amtdiag; amtdiag.Analysis, amtdiag.parse_hello, amtdiag.build_hello, amtdiag.Hello", ""),
        ("from amtdiag.pipeline import diagnose; assert diagnose([CAPTURE]).hellos", ""),
        ("import amtdiag; found = amtdiag.read(CAPTURE); found.to_json(), repr(found)", ""),
        ("import amtdiag; amtdiag.read(CAPTURE)._repr_html_()", "jinja2"),
        ("import amtdiag, amtdiag.tables; amtdiag.tables.all_events(amtdiag.read(CAPTURE).diagnosis)", ""),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str, needed: str) -> None:
    script = (
        f"CAPTURE = {str(CLOSED)!r}\n{code}\nimport sys\nprint(*set({HEAVY!r}.split()) & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == needed


def test_importing_the_package_takes_no_time() -> None:
    script = "import time; t = time.perf_counter(); import amtdiag; print(time.perf_counter() - t)"
    taken = [
        float(
            subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        )
        for _ in range(5)
    ]
    assert min(taken) < 0.005
