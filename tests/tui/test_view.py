"""The live view, driven by textual's own pilot, with what sample captures show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from helpers import SAMPLES, replace, unsafe_characters
from rich.segment import Segment
from rich.text import Text
from textual.events import Paste
from textual.pilot import Pilot
from views import Told, Wish, many, shown, text_of

from amtdiag.model import Diagnosis
from amtdiag.pipeline import diagnose
from amtdiag.times import SECOND
from amtdiag.tui.app import LiveApp
from amtdiag.tui.widgets import DeviceTable

FLEET = SAMPLES / "fleet.pcapng.gz"
REFUSED = SAMPLES / "recorded" / "mesh_closed.pcapng"
SIZES = [(80, 24), (200, 50), (40, 10), (300, 100)]
Play = Callable[[LiveApp, Pilot[None]], Awaitable[None]]


@pytest.fixture(scope="module")
def fleet() -> Diagnosis:
    return diagnose([FLEET])


def played(told: Told, play: Play, size: tuple[int, int] = (80, 24), folder: str | None = None) -> Wish:
    """Show the view, do something with it, and return what was wished for."""
    wish = Wish()

    async def go() -> None:
        app = LiveApp(told.state, wish, folder)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await play(app, pilot)

    asyncio.run(go())
    return wish


def told_of(diagnosis: Diagnosis) -> Told:
    told = Told()
    told.tell(diagnosis)
    told.count(12_345)
    return told


@pytest.mark.parametrize(("size", "colour"), [(SIZES[0], False), *((size, True) for size in SIZES)], ids=str)
def test_it_fits_the_terminal(
    fleet: Diagnosis, size: tuple[int, int], colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")

    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        lines = text_of(app)
        assert len(lines) == size[1]
        assert lines[0].startswith("14 of 25 devices are stuck"[: size[0]])
        table = app.query_one(DeviceTable)
        assert table.size.height >= 2, "heading and a device"
        first = table.chosen
        assert first is not None
        assert any(line.startswith(first.name) for line in lines)
        styles = {
            (part.style.color, part.style.bgcolor)
            for strip in app.screen._compositor.render_strips()
            for part in app_filtered(app, strip)
            if isinstance(part, Segment) and part.style is not None
        }
        has_colour = any(one is not None and not one.is_default for pair in styles for one in pair)
        assert has_colour == colour

    played(told_of(fleet), play, size)


def app_filtered(app: LiveApp, strip: object) -> list[object]:
    """A line as it goes to the terminal."""
    from textual.color import Color
    from textual.strip import Strip

    assert isinstance(strip, Strip)
    for one in app._filters:
        if one.enabled:
            strip = strip.apply_filter(one, Color(0, 0, 0))
    return list(strip)


def test_a_line_tells_a_device_in_short() -> None:
    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        lines = text_of(app)
        (row,) = [line for line in lines if line.startswith("939b524b..7a2b")]
        assert row.split()[1:6] == ["10.99.71.48", "PKI", "x1", "setup", "connect-back"]
        assert row.split()[7] == "refused"
        text = "\n".join(lines)
        assert "Alerts (3)" in text
        assert "error 939b524b..7a2b: The way back to the device is closed." in text
        assert "eth0 · 0/s · 12,345 received · 0 lost" in text

    played(shown(REFUSED), play)


def test_the_chosen_device_in_full() -> None:
    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        await pilot.press("tab", "tab", "z")
        await pilot.pause()
        text = "\n".join(text_of(app))
        for words in (
            "Device: 939b524b-13d4-1d18-e487-1c697a6b7a2b",
            "Mode: Setup (observed: it sends Hellos)",
            "tried 5 times to connect back to port 16993",
            "Do: The address answers but nothing listens there",
            "Look: tcp.port==16993 && ip.addr==10.99.71.48",
            "18:05:51 discovery passed 10.99.71.48 from 10.99.71.1",
            "connect-back 10.99.71.1 > 10.99.71.48:16993: refused",
            "hello 10.99.71.48 > 10.99.71.1:9971: PKI, retry 0",
        ):
            assert words in text, words
        assert "Devices (" not in text
        await pilot.press("escape")
        await pilot.pause()
        assert "Devices (1)" in "\n".join(text_of(app))

    played(shown(REFUSED), play, (130, 60))


def test_filter(fleet: Diagnosis) -> None:
    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        table = app.query_one(DeviceTable)
        await pilot.press("slash", *"psqz", "question_mark", "slash")
        assert app._line.value == "psqz?/"  # none of them is a command here
        await pilot.press("escape", "slash", *"refuse")
        assert table.count() - 1 == 5
        app.post_message(Paste(" 10.20.23.69"))
        await pilot.pause()
        assert table.count() - 1 == 1
        await pilot.press("enter")
        await pilot.pause()
        text = "\n".join(text_of(app))
        assert "Devices (1 of 25 with 'refuse 10.20.23.69')" in text
        assert app.focused is table
        assert "Device: mac:02:a4:d7:00:17:45" in text
        await pilot.press("escape")
        assert table.count() - 1 == 25

    assert not played(told_of(fleet), play).asked


def test_choosing_follows_the_device_when_the_order_changes(fleet: Diagnosis) -> None:
    told = told_of(fleet)

    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        table = app.query_one(DeviceTable)
        await pilot.press("end")
        last = table.chosen
        assert last is not None
        assert last.verdict == "no trouble"
        assert any(line.startswith(last.name) for line in text_of(app))
        told.tell(replace(fleet, devices=fleet.devices[::-1]))
        app.look()
        assert table.chosen is not None
        assert table.chosen.id == last.id
        await pilot.press("home", "down", "pagedown", "pageup", "up")
        assert table.chosen.severity == "error"

    played(told, play)


def test_a_pause_holds_the_view_and_not_the_state(fleet: Diagnosis) -> None:
    told = shown(REFUSED)

    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        await pilot.press("p")
        told.tell(fleet)
        told.count(99_999)
        app.look()
        await pilot.pause()
        text = "\n".join(text_of(app))
        assert "Devices (1)" in text
        assert "PAUSED" in text
        assert "99,999 received" in text  # packets are still taken
        await pilot.press("p")
        await pilot.pause()
        text = "\n".join(text_of(app))
        assert "Devices (25)" in text
        assert "PAUSED" not in text

    played(told, play)


def test_saving_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await app.workers.wait_for_complete()
        app.look()
        await pilot.pause()
        assert "report as of 18:05:56 in reports/live-20261123T180556" in "\n".join(text_of(app))

    played(shown(REFUSED), play, (120, 30))
    (report,) = tmp_path.glob("reports/live-*/report.json")
    assert len(json.loads(report.read_text())["devices"]) == 1


def test_a_report_that_cannot_be_saved(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await app.workers.wait_for_complete()
        app.look()
        await pilot.pause()
        assert "the report cannot be written" in "\n".join(text_of(app))

    played(shown(REFUSED), play, (120, 30), str(tmp_path / "file"))


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_asking_for_the_end(key: str) -> None:
    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await pilot.pause()
        assert "ENDING" in "\n".join(text_of(app))
        assert app.is_running  # until the capture has ended

    assert played(shown(REFUSED), play).asked


def test_help_and_before_anything_was_seen() -> None:
    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        assert "Nothing has been judged yet." in text_of(app)[0]
        await pilot.press("s", "down", "z", "z", "p", "p", "question_mark")
        await pilot.pause()
        assert "hold the view still" in "\n".join(text_of(app))
        await pilot.press("q")
        await pilot.pause()
        assert "hold the view still" not in "\n".join(text_of(app))

    assert not played(Told(), play).asked


def test_a_device_that_does_not_get_on(fleet: Diagnosis) -> None:
    """It says so of a device that nothing else is said of, and takes it back."""
    told = Told(stuck_after=SECOND)
    healthy = next(one for one in fleet.devices if one.ips == ("10.20.23.51",))
    alone = replace(fleet, devices=(healthy,), findings=())
    told.tell(alone, healthy.last_seen + 3600 * SECOND)

    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        text = "\n".join(text_of(app))
        assert "tls          " in text
        assert "stuck" in next(line for line in text.splitlines() if line.startswith("e41f2134..1733"))
        assert "error e41f2134..1733: A device does not get on. It has been at the stage tls" in text
        assert "A device does not get on  error" in text
        mode = replace(healthy.mode, name="operational")
        told.tell(replace(alone, devices=(replace(healthy, mode=mode),)), healthy.last_seen + 3601 * SECOND)
        app.look()
        await pilot.pause()
        text = "\n".join(text_of(app))
        assert "withdrawn (more is known now) e41f2134..1733" in text
        assert "no trouble" in text

    played(told, play, (100, 30))


HOSTILE = "[bold red]x[/] [link=http://e]\x1b[2J\x1b]0;t\x07\u202e\n\tz[/nope]\\"


def test_hostile_text_is_text(fleet: Diagnosis) -> None:
    """Even what did not pass the safe function, which all text from the wire does."""
    device = replace(
        fleet.devices[0], id=HOSTILE, uuid=HOSTILE, ips=(HOSTILE,), macs=(HOSTILE,), suffix=HOSTILE,
        server=HOSTILE, firmware=HOSTILE, aliases=(),
    )  # fmt: skip
    findings = [
        replace(one, device=HOSTILE, id=HOSTILE, summary=HOSTILE, remedy=HOSTILE, display_filter=HOSTILE)
        for one in fleet.findings
        if one.device == fleet.devices[0].id
    ]
    told = told_of(replace(fleet, devices=(device,), findings=tuple(findings)))
    told.count(1, file=HOSTILE)
    told.state.noted(1, HOSTILE)
    told.state.names = HOSTILE

    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash")
        app.post_message(Paste(HOSTILE))
        await pilot.press("enter")
        await pilot.press("escape")
        app.look()
        await pilot.pause()
        text = "".join(text_of(app))
        assert unsafe_characters(text, allowed="") == []
        assert "[bold red]x[/]" in text
        await pilot.press("tab", "tab", "z")
        await pilot.pause()
        text = "".join(text_of(app))
        assert unsafe_characters(text, allowed="") == []
        assert r"\x1b[2J" in text

    played(told, play, (200, 50))


def test_of_ten_thousand_devices_those_in_view_are_drawn(
    fleet: Diagnosis, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = told_of(many(fleet, 10_000))

    async def play(app: LiveApp, pilot: Pilot[None]) -> None:
        table = app.query_one(DeviceTable)
        drawn: list[int] = []
        line = table.line

        def noted(number: int, width: int) -> Text:
            drawn.append(number)
            return line(number, width)

        monkeypatch.setattr(table, "line", noted)
        app.look()
        await pilot.pause()
        assert 0 < len(drawn) <= 2 * table.size.height
        drawn.clear()
        await pilot.press("end")
        await pilot.pause()
        assert max(drawn) == 10_000
        assert len(drawn) <= 3 * table.size.height
        assert "Devices (10,000)" in "\n".join(text_of(app))

    played(told, play)
