"""Files that several processes read: the same as one process alone gives, whatever the files hold."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import shapes
from helpers import SAMPLES
from shapes import SHAPES, pcap, pcapng

from amtdiag.capture.decode.packet import ARP, ICMP, ICMPV6, TCP, UDP, Segment
from amtdiag.capture.files.inputs import Input, Known, open_inputs
from amtdiag.capture.parallel import pool, worker
from amtdiag.capture.parallel.cpu import workers_for
from amtdiag.capture.parallel.merge import RemoteFile
from amtdiag.capture.parallel.pool import Delivery, WorkerPool
from amtdiag.capture.parallel.wire import Part, unpack_setup
from amtdiag.capture.parallel.worker import Scout
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.capture.prefilter.kernel import sieve_for
from amtdiag.capture.scan import Scan
from amtdiag.config import Limits, Options
from amtdiag.model import CaptureInfo
from amtdiag.pipeline import diagnose
from amtdiag.protocols.hello import HEAD
from amtdiag.protocols.ports import DATAGRAM_PORTS, HELLO_PORTS, TCP_PORTS
from amtdiag.report.formats.json import analysis_json, dumps

INTEREST = Interest(TCP_PORTS.union(HELLO_PORTS), DATAGRAM_PORTS, HEAD)


class Inline:
    """A pool without processes: the worker's code runs here once its file is wanted.

    Which conversations it is told of in the beginning is a matter of chance, as it is with processes.
    """

    def __init__(
        self,
        files: Sequence[tuple[int, Known]],
        workers: int,
        setup: bytes,
        carried: Callable[[], list[bytes]],
    ) -> None:
        self._files = dict(files)
        self._setup = setup
        self._carried = carried
        self._chance = random.Random(workers)

    def take(self, number: int) -> Delivery | None:
        if self._chance.random() < 0.1:
            return None
        return Delivery(frozenset(key for key in self._carried() if self._chance.random() < 0.3))

    def parts(self, number: int, delivery: Delivery) -> Iterator[Part]:
        interest, limits, seed = unpack_setup(self._setup)
        sieve, _ = sieve_for(interest, seed)
        parts: list[Part] = []
        again = Input.again(self._files[number], limits)
        scout = Scout(again, interest, limits, sieve, delivery.carried, parts.append)
        parts.append(scout.run())
        for part in parts:
            yield Part.from_bytes(part.to_bytes())

    def close(self) -> None:
        pass


class Read(NamedTuple):
    rows: list[tuple[int, Segment]]
    """Sensor and row."""
    openings: list[tuple[int, Segment]]
    captures: list[CaptureInfo]
    counts: tuple[int, int, int]


class _Everywhere:
    def __contains__(self, pair: object) -> bool:
        return True


def rows_of(packets: Any) -> list[tuple[int, Segment]]:
    return [(batch.sensor, row) for batch in packets for row in batch.rows(TCP, UDP, ICMP, ICMPV6, ARP)]


def read(paths: Sequence[Path], limits: Limits, workers: int = 1) -> Read:
    opened = open_inputs(paths, limits)
    scan = Scan(opened.inputs, INTEREST, limits, sieve=sieve_for(INTEREST)[0], workers=workers)
    rows = rows_of(scan)
    return Read(
        rows,
        rows_of(scan.openings(_Everywhere())),
        scan.captures,
        (scan.packets, scan.evicted, scan.incomplete_datagrams),
    )


@contextlib.contextmanager
def inline(part_bytes: int, part_frames: int) -> Iterator[None]:
    with (
        patch("amtdiag.capture.parallel.merge.WorkerPool", Inline),
        patch.object(worker, "PART_BYTES", part_bytes),
        patch.object(worker, "PART_FRAMES", part_frames),
    ):
        yield


# ------------------------------------------------------------------------------- what is decided, and where

HELLO = shapes.REAL.payload
CHUNKS = (
    b"",
    b"",
    HELLO[:1],
    HELLO[:3],
    HELLO[1:4],
    HELLO[3:9],
    HELLO[:200],
    HELLO[200:],
    b"GET / HTTP",
    b"\0\0\0\0",
)
LIMITS = Limits()
TIGHT = LIMITS._replace(
    undecided_conversations=3,
    marked_conversations=2,
    rejected_conversations=2,
    held_packets=4,
    held_packets_in_all=8,
    fragment_datagrams=2,
)


def frame(chance: random.Random) -> bytes:
    """One packet of few conversations, whose bytes come in any order; now and then in fragments."""
    src, dst = chance.choice([("10.0.0.1", "10.0.0.9"), ("10.0.0.2", "10.0.0.9"), ("fd00::1", "fd00::9")])
    sport, dport = chance.randrange(1025, 1028), chance.choice([8080, 8080, 40000, 40001, 9971])
    flags = chance.choice([2, 2, 18, 16, 16, 24, 24, 24, 17, 4])
    seq, ack = chance.choice([100, 101, 101, 101, 102, 104, 301, 5000]), 1
    if chance.random() < 0.4:
        src, dst, sport, dport = dst, src, dport, sport
    payload = b"" if flags == 2 else chance.choice(CHUNKS)
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 64240, 0, 0) + payload
    if ":" in src:
        return b"\2" * 12 + b"\x86\xdd" + shapes.ipv6_header(src, dst, 6, len(tcp)) + tcp
    start, bits = 0, 0
    if chance.random() < 0.1 and len(tcp) > 64:
        start, bits = chance.choice([(0, 0x2000), (64, 8)])
        tcp = tcp[start : start + 64] if start == 0 else tcp[start:]
    head = shapes.ip_header(src, dst, 6, len(tcp), ip_id=7, fragment=bits)
    return b"\2" * 12 + b"\x08\x00" + head + tcp


def scene(chance: random.Random, folder: Path) -> list[Path]:
    """Files of one ring, and perhaps those of another sensor that saw part of the same."""
    at, stored = shapes.T0, []
    for _ in range(chance.randrange(20, 120)):
        at += chance.choice([1_000, 1_000_000, 400_000_000, 3_000_000_000])
        stored.append(shapes.other(frame(chance), at))
    paths = []
    for sensor in ("east", "west")[: chance.randrange(1, 3)]:
        late = chance.choice([0, 2_000_000, 2_500_000_000])
        seen = [replace(one, at=one.at + late) for one in stored if chance.random() < 0.8]
        cuts = sorted(chance.randrange(len(seen)) for _ in range(chance.randrange(4)))
        for number, (low, high) in enumerate(zip([0, *cuts], [*cuts, len(seen)], strict=True)):
            path = folder / f"{sensor}_{number}.pcap"
            path.write_bytes(pcap(seen[low:high]) if chance.random() < 0.5 else pcapng(seen[low:high]))
            paths.append(path)
    return paths


@pytest.mark.parametrize("kernel", [pytest.param("c", marks=pytest.mark.needs("compiled-kernel")), "python"])
@pytest.mark.parametrize("part", [(1, 1), (300, 9), (1 << 20, 1 << 17)])
def test_conversations_across_files(
    kernel: str, part: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMTDIAG_KERNEL", kernel)
    walked = 0

    def walk_here(file: RemoteFile, last: int) -> Iterator[Segment]:
        nonlocal walked
        walked += 1
        return original(file, last)

    original = RemoteFile._walk_here
    monkeypatch.setattr(RemoteFile, "_walk_here", walk_here)
    for seed in range(80):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        paths = scene(chance, folder)
        limits = chance.choice([LIMITS, TIGHT])
        truth = read(paths, limits)
        with inline(*part):
            assert read(paths, limits, 2) == truth, f"seed {seed}"
    assert walked > 20, "the case that is hard was not among them"


MANY = [shape for shape in SHAPES if shape.name.startswith(("ring_", "overlapping_"))]


@pytest.mark.parametrize("shape", MANY, ids=lambda shape: shape.name)
def test_shapes_of_several_files(shape: shapes.Shape, tmp_path: Path) -> None:
    paths = shape.build(tmp_path)
    truth = read(paths, LIMITS)
    with inline(1, 1):
        assert read(paths, LIMITS, 2) == truth


@pytest.mark.parametrize("shape", [s for s in SHAPES if not s.needs], ids=lambda shape: shape.name)
def test_shapes_cut_in_two(shape: shapes.Shape, tmp_path: Path) -> None:
    paths = shape.build(tmp_path)
    for path in list(paths):
        data = path.read_bytes()
        half = path.with_name(f"half_{path.name}")
        half.write_bytes(data[: len(data) // 2])
        paths.append(half)
    truth = read(paths, LIMITS)
    with inline(200, 3):
        assert read(paths, LIMITS, 2) == truth


# ------------------------------------------------------------------------------------------- real processes


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are left to the workers, who else would come too late for such small ones."""
    take = WorkerPool.take

    def wait_and_take(one: WorkerPool, number: int) -> Delivery | None:
        end = time.monotonic() + 5
        while number in one._queue and time.monotonic() < end and not one_is_stuck(one):
            time.sleep(0.002)
        return take(one, number)

    monkeypatch.setattr(WorkerPool, "take", wait_and_take)


def one_is_stuck(one: WorkerPool) -> bool:
    """All who could begin the file wait until somebody takes what they have read."""
    return one._waiting >= pool.WAITING_BYTES


def whole(paths: Sequence[Path], workers: int) -> str:
    return dumps(analysis_json(diagnose(paths, Options(workers=workers))))


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("waiting", [0, pool.WAITING_BYTES])
@pytest.mark.parametrize("workers", [2, 3])
def test_samples_with_processes(workers: int, waiting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WAITING_BYTES", waiting)
    for folder in (SAMPLES, SAMPLES / "ring"):
        assert whole([folder], workers) == whole([folder], 1)


def ring(folder: Path, files: int = 4, padding: int = 0) -> list[Path]:
    """A Hello a file, and so many bytes of DHCP that nobody can read."""
    paths = []
    for number in range(files):
        start = shapes.T0 + number * 60_000_000_000
        stored = shapes.records(shapes.plain(flow=replace(shapes.FLOW, sport=50000 + number), start=start))
        udp = struct.pack(">HHHH", 68, 67, 1008, 0) + bytes(1000)
        packet = b"\2" * 12 + b"\x08\x00" + shapes.ip_header("10.0.0.1", "10.0.0.9", 17, len(udp)) + udp
        stored += [shapes.other(packet, stored[-1].at)] * (padding // len(packet))
        path = folder / f"ring_{number}.pcap"
        path.write_bytes(pcap(stored))
        paths.append(path)
    return paths


@pytest.mark.usefixtures("patient")
def test_a_broken_file_among_good_ones(tmp_path: Path) -> None:
    paths = ring(tmp_path)
    data = paths[1].read_bytes()
    paths[1].write_bytes(data[:300] + b"\xff" * 16 + data[316:])
    paths[2].write_bytes(b"no capture at all")
    assert whole(paths, 2) == whole(paths, 1)


@pytest.mark.usefixtures("patient")
def test_a_file_that_vanished(tmp_path: Path) -> None:
    def of(workers: int) -> list[CaptureInfo]:
        paths = ring(tmp_path)
        opened = open_inputs(paths, LIMITS)
        paths[1].unlink()
        scan = Scan(opened.inputs, INTEREST, LIMITS, sieve=sieve_for(INTEREST)[0], workers=workers)
        rows_of(scan)
        return scan.captures

    assert of(2) == of(1)


@pytest.mark.usefixtures("patient")
def test_a_worker_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = ring(tmp_path, padding=8 << 20)
    enter = WorkerPool._enter
    killed: list[subprocess.Popen[bytes]] = []

    def enter_and_kill(one: WorkerPool, number: int, delivery: Delivery, data: bytes) -> None:
        if number == 1 and not killed:
            killed.extend(list(one.processes))
            for process in killed:
                os.kill(process.pid, signal.SIGKILL)
        enter(one, number, delivery, data)

    monkeypatch.setattr(WorkerPool, "_enter", enter_and_kill)
    result = diagnose(paths, Options(workers=2))
    notes = [one.notes for one in result.captures if one.notes]
    assert set(notes) == {("reading stopped: the process that read it was ended by SIGKILL",)}
    assert len(notes) <= len(killed)  # others read what was not begun
    assert len(result.hellos) >= len(paths) - len(notes)


@pytest.mark.usefixtures("patient")
def test_a_worker_that_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = ring(tmp_path)
    monkeypatch.setattr(pool, "pack_file", lambda known, carried: b"\0\0\0\1?")
    result = diagnose(paths, Options(workers=2))
    assert all(one.notes[0].startswith("reading stopped: ") for one in result.captures)


def test_without_processes_it_is_read_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = ring(tmp_path)
    truth = whole(paths, 1)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert whole(paths, 2) == truth
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert whole(paths, 2) == truth


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_ctrl_c_leaves_a_report(tmp_path: Path) -> None:
    files = ring(tmp_path, 3)
    pipe = tmp_path / "ring_9.pcap"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "amtdiag", "analyze", "--json", "--fail-on", "never", "--workers", "2"]
    with (
        subprocess.Popen(
            [*command, *files, pipe], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        ) as child,
        pipe.open("wb", buffering=0) as stream,
    ):
        stream.write(files[0].read_bytes()[:200])
        time.sleep(1)
        os.killpg(child.pid, signal.SIGINT)
        output, complaint = child.communicate(timeout=20)
    assert child.returncode == 0, complaint
    assert not complaint
    notes = json.loads(output)["summary"]["notes"]
    assert "reading was interrupted: this is what had been read until then" in notes


def test_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = ring(tmp_path, 3)
    inputs = open_inputs(paths, LIMITS).inputs
    monkeypatch.setattr("amtdiag.capture.parallel.cpu._usable_cores", lambda: 8)
    assert workers_for(inputs, None) == 1
    assert workers_for(inputs, 2) == 2
    assert workers_for(inputs, 9) == 3
    assert workers_for(inputs[:1], 9) == 1
    monkeypatch.setattr("amtdiag.capture.parallel.cpu.WORTH_IT", 1)
    assert workers_for(inputs, None) == 3


def test_a_worker_imports_little() -> None:
    code = "import sys, amtdiag.capture.parallel.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"pandas", "numpy", "rich", "cryptography", "subprocess", "multiprocessing", "pickle"}
    assert not {name for name in loaded if name.startswith(("amtdiag.protocols", "amtdiag.devices"))}
