"""How an analysis, a device, a finding and a Hello show themselves: in Jupyter, in rich, in one line."""

from __future__ import annotations

import asyncio
from io import StringIO
from pathlib import Path

import pytest
from diagnoses import EMPTY, HOSTILE, fleet, harmless, hostile_diagnosis, texts
from helpers import replace
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from rich.console import Console
from test_analysis import CLOSED, DEVICE, Page

import amtdiag
from amtdiag.api.analysis import Analysis, read
from amtdiag.errors import UsageError
from amtdiag.model import Candidate, Finding, Hello, HelloRecord, Unknown
from amtdiag.report.device import Device
from amtdiag.rules.outcome import with_outcomes

TAGS = {"div", "p", "b", "bdi", "table", "thead", "tbody", "tr", "th", "td", "code", "details", "summary"}
SAMPLES = Path(__file__).parents[2] / "sample_pcaps"


def printed(shown: object) -> str:
    out = StringIO()
    Console(file=out, width=110).print(shown)
    return out.getvalue()


# ----------------------------------------------------------------------------------------------- a device


def test_the_page_of_a_device() -> None:
    device = read(CLOSED).device("939b")
    assert isinstance(device, amtdiag.Device)
    page = Page(device._repr_html_())
    assert page.open == []
    for words in (
        "Stopped at connect-back: The way back to the device is closed (F11).",
        "10.99.71.48 port 16993: refused, 5 times (frames 25, 26, 27",
        "provisionserver.truth.example is 10.99.71.1",
        "Restart setup on the device",
        "tcp.port==16993 && ip.addr==10.99.71.48",
        "unknown",
        "02" * 32,
    ):
        assert words in page.text


def test_what_a_device_knows() -> None:
    found = read(CLOSED)
    device = found.device(DEVICE)
    assert (device.id, device.name, device.address) == (DEVICE, "939b524b..7a2b", "10.99.71.48")
    assert device.stuck
    assert device.record is found.diagnosis.devices[0]
    assert device.findings[0].rule == "connect-back-refused"
    assert device.hellos == found.diagnosis.hellos
    assert repr(device).startswith("<amtdiag.Device 939b524b..7a2b: Stopped at connect-back")
    document = device.to_dict()
    assert document["id"] == DEVICE
    assert len(document["findings"]) == len(device.findings)
    for draw in (device.timeline, device.failures, device.retry_gaps):
        assert isinstance(draw(), Axes)
    plt.close("all")
    with pytest.raises(UsageError, match="no device"):
        found.device("example.com")


def test_a_device_that_nothing_stops() -> None:
    found = fleet(1)
    found = replace(found, findings=(), devices=with_outcomes(found.devices, (), ()))
    device = Analysis(found).device(found.devices[0].id)
    assert not device.stuck
    assert device.verdict == "Nothing in this capture stops it; it came as far as connect-back."


def test_a_device_of_which_nothing_can_be_told() -> None:
    found = fleet(1)
    open_question = Unknown("whether it stops", "one way only", found.devices[0].id, "the other way")
    found = replace(found, findings=(), devices=with_outcomes(found.devices, (), (open_question,)))
    assert Analysis(found).device(found.devices[0].id).verdict == (
        "Whether anything stops it cannot be told from this capture; it came as far as connect-back."
    )


def test_a_device_with_many_hellos_and_findings_has_a_short_page() -> None:
    found = fleet(1, hellos=400)
    many = tuple(replace(found.findings[0], id=str(number)) for number in range(100))
    device = Analysis(replace(found, findings=many)).device(found.devices[0].id)
    html = device._repr_html_()
    assert "and 88 more" in html
    assert "and 370 more" in html
    assert len(html) < 60_000


# --------------------------------------------------------------------------------------- finding and Hello


def test_a_finding_shows_what_to_do() -> None:
    finding = read(CLOSED).device(DEVICE).findings[0]
    finding = replace(finding, candidates=(Candidate("a firewall", "a capture beside the device"),))
    assert isinstance(finding, amtdiag.Finding)
    page = Page(finding._repr_html_())
    assert "Connect back refused (F11): error" in page.text
    assert "Restart setup on the device" in page.text
    assert "a firewall (what would decide: a capture beside the device)" in page.text


def test_a_hello_shows_itself() -> None:
    wire = amtdiag.build_hello(uuid=DEVICE[5:], retry_count=3, digests=[(2, b"\x07" * 32)])
    for wanted, hello in (
        ("retry 3", amtdiag.parse_hello(wire)),
        ("not whole", amtdiag.parse_hello(wire[:-3])),
    ):
        assert isinstance(hello, amtdiag.Hello)
        assert wanted in Page(hello._repr_html_()).text
    whole = amtdiag.parse_hello(wire)
    assert isinstance(whole, amtdiag.Hello)
    assert "07" * 32 in Page(whole._repr_html_()).text
    psk = amtdiag.parse_hello(amtdiag.build_hello(uuid=DEVICE[5:], version=2, pid="3FUS8PZU"))
    assert isinstance(psk, amtdiag.Hello)
    assert "3FUS8PZU" in Page(psk._repr_html_()).text
    record = read(CLOSED).diagnosis.hellos[0]
    page = Page(record._repr_html_())
    assert "frame 20" in page.text
    assert "10.99.71.48" in page.text
    assert "unknown" in page.text


# ------------------------------------------------------------------------------------------------- all


@settings(max_examples=12)
@given(st.lists(texts, min_size=1, max_size=8))
def test_hostile_text_stays_text(words: list[str]) -> None:
    found = Analysis(hostile_diagnosis(words))
    shown = [Device(found.diagnosis, one) for one in found.diagnosis.devices[:1]]
    pages: list[Device | Finding | Hello | HelloRecord] = [*shown, *found.diagnosis.findings[:2]]
    pages += found.diagnosis.hellos[:2]
    pages += [record.event.hello for record in found.diagnosis.hellos[:1]]
    for one in pages:
        page = Page(one._repr_html_())
        assert page.open == []
        assert set(page.tags) <= TAGS
        assert page.attributes <= {("style", "text-align:left")}
        assert harmless(page.text)
    for device in shown:
        assert harmless(repr(device))


def test_rich_prints_what_the_command_prints() -> None:
    found = read(CLOSED)
    assert "1 of 1 device is stuck" in printed(found)
    said = printed(found.device(DEVICE))
    assert "connect-back" in said
    assert "To do: " in said
    hostile = Analysis(hostile_diagnosis(HOSTILE))
    for line in printed(hostile.device(hostile.diagnosis.devices[1].id)).splitlines():
        assert harmless(line)
    assert "No AMT device" in printed(Analysis(EMPTY))


# ------------------------------------------------------------------------------- within a running event loop


def test_reading_in_a_running_event_loop() -> None:
    """As in Jupyter, where a second loop cannot be run in the same thread."""

    async def cell() -> tuple[Analysis, str]:
        assert asyncio.get_running_loop().is_running()
        found = read(SAMPLES / "recorded" / "mesh_closed.pcapng", workers=1)
        return found, found._repr_html_()

    found, html = asyncio.run(cell())
    assert found.stuck == [DEVICE]
    assert "is stuck" in html


def test_reading_several_files_by_workers_in_a_running_event_loop() -> None:
    async def cell() -> Analysis:
        return read(CLOSED, SAMPLES / "recorded" / "mesh_ok12.pcapng", workers=2)

    assert len(asyncio.run(cell()).captures) == 2
