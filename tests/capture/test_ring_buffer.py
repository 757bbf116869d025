"""Files of live packets, as dumpcap would write them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from helpers import START

from amtdiag.capture.decode.linktypes import ETHERNET
from amtdiag.capture.files.inputs import Input
from amtdiag.capture.live.ring_buffer import RingBuffer, RingOptions
from amtdiag.capture.live.source import Counts, LivePacket, Tap
from amtdiag.config import Limits
from amtdiag.errors import UsageError
from amtdiag.pipeline import diagnose
from amtdiag.times import SECOND

TAPS = [Tap("eth0", ETHERNET), Tap("eth1", ETHERNET)]


def a_ring(path: Path, **conditions: int) -> RingBuffer:
    return RingBuffer(path, RingOptions(**conditions), TAPS, 262_144, START)


def fill(ring: RingBuffer, number: int, at: int = START) -> None:
    ring.add([LivePacket(at + number, number % 2, bytes([number]) * (60 + number), 60 + number)])


def test_what_is_written_is_read(tmp_path: Path, capinfos: Path) -> None:
    path = tmp_path / "one.pcapng"
    ring = a_ring(path)
    for number in range(10):
        fill(ring, number)
    ring.close(START + 5 * SECOND, [Counts(6, 1, 0), Counts(6, 0, 2)])
    with Input(path, "one", Limits()).opened() as container:
        got = [(ts, bytes(data[a:b]), wire) for ts, _, data, a, b, wire in container.records()]
        assert (container.drops, container.watched_until) == (3, START + 5 * SECOND)
        assert not container.notes
    assert got == [(START + one, bytes([one]) * (60 + one), 60 + one) for one in range(10)]
    said = subprocess.run([capinfos, "-M", path], capture_output=True, text=True, check=True).stdout
    assert "Number of packets:   10" in said
    assert "Number of interfaces in file: 2" in said
    assert "Name = eth1" in said


def test_a_drop_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "one.pcapng"
    ring = a_ring(path)
    fill(ring, 0)
    ring.close(START + SECOND, [Counts(6, 1, 0), Counts()])
    assert "capture-drops" in {one.rule for one in diagnose([path]).findings}


def test_the_names_are_those_of_dumpcap(tmp_path: Path) -> None:
    ring = a_ring(tmp_path / "trace.pcapng", filesize=1, files=2)
    counts = [Counts(), Counts()]
    begun = [ring.path]
    for number in range(40):
        at = START + number * SECOND
        if ring.is_due(at):
            ring.turn(at, counts)
            begun.append(ring.path)
        fill(ring, number, at)
    ring.close(START + 60 * SECOND, counts)
    files = sorted(tmp_path.iterdir())
    assert len(begun) > 4
    assert files == begun[-2:]
    assert files[0].name.startswith("trace_0000")
    assert files[0].name.endswith(".pcapng")
    assert len(files[0].stem) == len("trace_00001_20260302090112")


def test_a_new_file_after_some_time_counts_its_own_drops(tmp_path: Path) -> None:
    ring = a_ring(tmp_path / "trace.pcapng", duration=10)
    fill(ring, 0)
    assert not ring.is_due(START + 9 * SECOND)
    assert ring.is_due(START + 10 * SECOND)
    ring.turn(START + 10 * SECOND, [Counts(5, 3, 0), Counts()])
    fill(ring, 1, START + 11 * SECOND)
    ring.close(START + 12 * SECOND, [Counts(9, 4, 0), Counts()])
    drops = []
    for path in sorted(tmp_path.iterdir()):
        with Input(path, path.name, Limits()).opened() as container:
            assert len(list(container.records())) == 1
            drops.append(container.drops)
    assert drops == [3, 1]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nosuch/one\.pcapng: No such file"):
        a_ring(tmp_path / "nosuch" / "one.pcapng")
