"""The live view in a real terminal, with packets from a cable in a network namespace."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import SAMPLES
from terminal import on_terminal, program_on_terminal
from wire import FAR, Wire, laid, packets_of, wanted_of

REFUSED = SAMPLES / "recorded" / "mesh_closed.pcapng"
FLEET = SAMPLES / "fleet.pcapng.gz"
LEAVES_SCREEN = b"\x1b[?1049l"


@pytest.fixture
def wire() -> Iterator[Wire]:
    with laid() as one:
        yield one


def test_what_is_seen_and_keys(wire: Wire, tmp_path: Path) -> None:
    kept = tmp_path / "kept.pcapng"
    with on_terminal(wire, "-w", str(kept)) as terminal:
        terminal.wait_for("received")
        wire.send(packets_of(REFUSED))
        terminal.wait_for("939b524b..7a2b 10.99.71.48     PKI x1  setup connect-back")
        terminal.wait_for("error 939b524b..7a2b: The way back to the device is closed")
        terminal.wait_for(f"{len(wanted_of(REFUSED))} received · 0 lost")
        terminal.type("/nothing")
        terminal.wait_for("Devices (0 of 1 with 'nothing')")
        terminal.type("\r")
        terminal.type("\x1b")
        terminal.wait_for("Devices (1)")
        terminal.type("p")
        terminal.wait_for("PAUSED")
        terminal.type("p")
        terminal.type("\x03")
        code = terminal.end()
    assert code == 1
    assert packets_of(kept) == wanted_of(REFUSED)
    _, after = terminal.raw.split(LEAVES_SCREEN)
    assert "1 of 1 device is stuck. First to fix" in after.decode()


def test_sigterm_ends_it_with_the_report(wire: Wire, tmp_path: Path) -> None:
    kept = tmp_path / "kept.pcapng"
    with on_terminal(wire, "-w", str(kept), size=(200, 50), env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("received")
        wire.send(packets_of(REFUSED))
        terminal.wait_for("connect-back refused")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 1
    assert packets_of(kept) == wanted_of(REFUSED)
    assert b"device is stuck" in terminal.raw.split(LEAVES_SCREEN)[1]


def test_killed_it_leaves_a_capture(wire: Wire, tmp_path: Path) -> None:
    with on_terminal(wire, "-w", str(tmp_path / "ring.pcapng"), "-b", "filesize:2") as terminal:
        terminal.wait_for("received")
        packets, wanted = packets_of(REFUSED), wanted_of(REFUSED)
        half = packets.index(wanted[15])
        wire.send(packets[:half])
        terminal.wait_for("15 received")
        wire.send(packets[half:])
        terminal.wait_for(f"{len(wanted)} received")
        terminal.process.kill()
        terminal.end()
    files = sorted(tmp_path.glob("ring_*.pcapng"))
    assert len(files) > 1
    assert [one for path in files for one in packets_of(path)] == wanted_of(REFUSED)


def test_a_terminal_that_takes_nothing_costs_no_packet(wire: Wire, tmp_path: Path) -> None:
    """Nobody reads what is drawn, from the first byte on; the report is written all the same."""
    kept, folder = tmp_path / "kept.pcapng", tmp_path / "report"
    packets = packets_of(FLEET)[:2000]
    with on_terminal(wire, "-w", str(kept), "-o", str(folder), size=(200, 50)) as terminal:
        end = time.monotonic() + 60
        while not kept.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        for at in range(0, len(packets), 100):
            wire.send(packets[at : at + 100])
            time.sleep(0.05)  # drawing goes on between them, and fills what the terminal holds
        terminal.process.send_signal(signal.SIGTERM)
        while not (folder / "captures.csv").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
    report = json.loads((folder / "report.json").read_text())
    (capture,) = report["captures"]
    assert capture["drops"] == 0
    wanted = frozenset(wanted_of(FLEET))
    assert packets_of(kept) == [one for one in packets if one in wanted]
    assert capture["packets"] == len(packets_of(kept))
    assert len(report["devices"]) > 5


def test_lines_where_they_are_wanted(wire: Wire) -> None:
    with on_terminal(wire, "--plain", size=(200, 24)) as terminal:
        terminal.wait_for("capturing on")
        wire.send(packets_of(REFUSED))
        terminal.wait_for(
            "Hello 939b524b-13d4-1d18-e487-1c697a6b7a2b 10.99.71.48 -> 10.99.71.1:9971, retry 0"
        )
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 1
    assert LEAVES_SCREEN not in terminal.raw


def test_lines_where_textual_is_not_installed(wire: Wire) -> None:
    without = "import sys; sys.modules['textual'] = None; from amtdiag.cli.main import main; sys.exit(main())"
    words = wire.command(sys.executable, "-c", without, "live", "-i", FAR, "-a", "duration:1")
    with program_on_terminal(words, size=(300, 24)) as terminal:
        assert terminal.end() == 0
    assert f"{sys.executable} -m pip install textual" in terminal.text
    assert "capturing on" in terminal.text


def test_lines_on_a_terminal_that_can_do_no_more(wire: Wire) -> None:
    with on_terminal(wire, "-a", "duration:1", env={"TERM": "dumb"}) as terminal:
        assert terminal.end() == 0
    assert b"\x1b[?1049h" not in terminal.raw
