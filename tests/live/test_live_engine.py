"""What is judged while it goes on is what a file of the same packets gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import SAMPLES, replace
from shapes import REAL, ethernet, plain, records

from amtdiag.capture.decode.linktypes import ETHERNET
from amtdiag.capture.files.inputs import Input
from amtdiag.capture.live.source import LivePacket, Tap
from amtdiag.config import Limits, Options
from amtdiag.live import engine
from amtdiag.live.engine import Live
from amtdiag.model import Diagnosis
from amtdiag.pipeline import diagnose
from amtdiag.report.formats.json import analysis_json
from amtdiag.times import SECOND

FILES = sorted(path for path in SAMPLES.rglob("*") if ".pcap" in path.name and path.suffix != ".json")
BATCH = 50


def frames_of(path: Path) -> tuple[list[LivePacket], set[int]]:
    """The packets of a file, and its link types."""
    with Input(path, path.name, Limits()).opened() as container:
        found = [
            (LivePacket(ts, 0, bytes(data[start:end]), wirelen), linktype)
            for ts, linktype, data, start, end, wirelen in container.records()
        ]
    return [one for one, _ in found], {linktype for _, linktype in found}


def compared(diagnosis: Diagnosis) -> dict[str, Any]:
    """All that has to be alike: not how a live capture is described."""
    found = analysis_json(diagnosis)
    del found["captures"]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_live_and_from_a_file(path: Path) -> None:
    frames, linktypes = frames_of(path)
    if len(linktypes) != 1:
        pytest.skip("several link types")
    from_file = diagnose([path])
    (info,) = from_file.captures
    running = Live(info.file, [Tap("eth0", *linktypes)], Options())
    running.file.drops = info.drops or 0
    hellos = []
    for at in range(0, len(frames), BATCH):
        hellos += running.feed(frames[at : at + BATCH])
        running.judge(max(one.ts for one in frames[: at + BATCH]))  # leaves no trace
    assert info.last_ts is not None
    end = max(info.last_ts, info.watched_until or 0)
    assert compared(running.finish(end)) == compared(from_file)
    seen = {(one.ends, one.evidence[0]) for one in hellos}
    assert seen <= {(one.event.ends, one.event.evidence[0]) for one in from_file.hellos}
    assert len(seen) == len(hellos)


def a_hello(at: int) -> list[LivePacket]:
    """The conversation of a device that begins at a time."""
    rows = records(plain(REAL), ethernet())
    first = rows[0].at
    return [LivePacket(at + one.at - first, 0, one.data, len(one.data)) for one in rows]


def begin() -> Live:
    return Live("live:eth0", [Tap("eth0", ETHERNET)], Options())


T0 = 1_772_442_072 * SECOND


def test_a_hello_is_told_with_the_packet_that_completes_it() -> None:
    running = begin()
    told = [len(running.feed([one])) for one in a_hello(T0)]
    assert sum(told) == 1
    assert told.index(1) < len(told) - 1  # before the connection is closed


def test_a_finding_is_an_alert_once() -> None:
    running = begin()
    running.feed(a_hello(T0))
    alerts = [running.alerts(running.judge(T0 + after * SECOND)) for after in (1, 30, 600, 1200)]
    ids = [one.id for found in alerts for one in found]
    assert ids
    assert len(ids) == len(set(ids))


def test_a_device_that_gets_another_name_is_no_news() -> None:
    frames, linktypes = frames_of(SAMPLES / "recorded" / "mesh_closed.pcapng")
    running = Live("live:eth0", [Tap("eth0", *linktypes)], Options())
    running.feed(frames)
    found = running.judge(frames[-1].ts + 60 * SECOND)
    (device,) = found.devices
    mac = next(one for one in device.aliases if one.startswith("mac:"))
    before = replace(
        found,
        devices=(replace(device, id=mac, aliases=()),),
        findings=tuple(replace(one, device=mac, id=one.id.replace(device.id, mac)) for one in found.findings),
    )
    assert len(running.alerts(before)) == len(found.findings) > 0
    assert running.alerts(found) == []


def test_what_is_old_is_let_go_of_and_a_summary_stays() -> None:
    running = begin()
    running.feed(a_hello(T0))
    later = T0 + engine.KEPT + 3700 * SECOND
    assert running.departures(running.judge(T0 + SECOND)) == []
    running.expire(T0 + 10 * SECOND)
    running.clock_step(1, later)  # which closes what is open
    running.feed(a_hello(later))
    running.clock_step(1, later)
    assert running.departures(running.judge(later)) == []  # it is still there
    running.expire(later + engine.KEPT - SECOND)
    running.expire(later + engine.KEPT + 3600 * SECOND)
    (gone,) = running.departures(running.judge(later + engine.KEPT))
    assert (gone.hellos, gone.first_seen) == (2, T0)
    assert running.departures(running.judge(later + engine.KEPT)) == []
    diagnosis = running.finish(later + engine.KEPT)
    assert not diagnosis.devices
    assert any("1 devices are not listed" in one for one in diagnosis.notes)


def test_of_each_kind_of_event_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_EVENTS", 10)
    running = begin()
    for number in range(30):
        running.feed(a_hello(T0 + number * 120 * SECOND))
    end = T0 + 4000 * SECOND
    running.expire(end)
    assert len(running.finish(end).hellos) <= 11


@pytest.mark.parametrize("by", [-400 * 86_400, 400 * 86_400])
def test_a_clock_that_is_set(by: int) -> None:
    running = begin()
    opening = a_hello(T0)[:2]
    running.feed(opening)
    running.clock_step(by * SECOND, T0 + by * SECOND)
    again = T0 + by * SECOND
    told = running.feed(a_hello(again))
    assert [one.ts for one in told] != []
    diagnosis = running.finish(again + 60 * SECOND)
    assert len(diagnosis.hellos) == 1
    assert any("the clock was set" in note for note in diagnosis.notes)


def test_files_follow_each_other() -> None:
    """A conversation goes on from one file of a ring to the next; its frames are named in each."""
    running = begin()
    frames = a_hello(T0)
    running.feed(frames[:3])
    running.turn("second.pcapng", frames[3].ts)
    (event,) = running.feed(frames[3:])
    assert next((one.file, one.frame) for one in event.evidence) == ("second.pcapng", 1)
    diagnosis = running.finish(frames[-1].ts)
    assert [one.file for one in diagnosis.captures] == ["live:eth0", "second.pcapng"]
    assert [one.packets for one in diagnosis.captures] == [3, len(frames) - 3]
