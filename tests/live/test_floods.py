"""Floods on a live capture: state is bounded, and devices that are there are diagnosed as without them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from uuid import UUID

import floods
import pytest
from floods import FLOODS, Stroke, Target
from helpers import SAMPLES
from shapes import REAL_UUID, Talk, ethernet, real, records
from test_live_engine import frames_of

from amtdiag.capture.decode.linktypes import ETHERNET
from amtdiag.capture.live.source import LivePacket, Tap
from amtdiag.config import MIB, Limits, Options
from amtdiag.live import engine
from amtdiag.live.engine import Live
from amtdiag.model import Diagnosis
from amtdiag.protocols.addresses import address_bytes
from amtdiag.times import SECOND

REAL = [
    SAMPLES / "recorded" / "mesh_closed.pcapng",
    SAMPLES / "lab" / "ok-tls12.pcapng",
    SAMPLES / "lab" / "retries.pcapng",
    SAMPLES / "lab" / "rmcp-modes.pcapng",
]
KEPT = 60
"""Events of each kind."""
STROKES = 480
"""Before the first real packet, between each two, and after the last one, together."""
FEW = Limits()._replace(
    connections=24,
    undecided_conversations=64,
    marked_conversations=64,
    rejected_conversations=64,
    held_packets_in_all=256,
    fragment_datagrams=16,
    streams_bytes=MIB,
)
BATCH = 20
HELD = {floods.overlapping, floods.discoveries, floods.other_names, floods.questions}
"""Floods so small that there is room for all of what they bring."""
SAID = ("made room for others", "given up", "lack fragments")
"""What notes say of that which was let go of."""


def begin(limits: Limits) -> Live:
    return Live("live:eth0", [Tap("eth0", ETHERNET)], Options(limits=limits))


def a_hello_in_halves() -> tuple[list[LivePacket], list[LivePacket], list[LivePacket]]:
    """The opening of a connection, and a Hello in two segments."""
    rows = records(Talk(real()).open().send_all(400).packets, ethernet())
    frames = [LivePacket(one.at, 0, one.data, len(one.data)) for one in rows]
    return frames[:3], frames[3:4], frames[4:]


def strokes(flood: Stroke, target: Target, numbers: range, ts: int, step: int) -> Iterator[LivePacket]:
    for at, number in enumerate(numbers):
        for data in flood(number, target):
            yield LivePacket(ts + at * step, 0, data, len(data))


def flooded(path: Path, flood: Stroke, target: Target, count: int) -> Iterator[LivePacket]:
    """A third before the packets of a file, a third among them, a third after."""
    real, _ = frames_of(path)
    third = count // 3
    step = SECOND // 200
    yield from strokes(flood, target, range(third), real[0].ts - (third + 1) * step, step)
    share = -(-third // len(real))
    for at, one in enumerate(real):
        yield one
        until = real[at + 1].ts if at + 1 < len(real) else one.ts + SECOND
        gap = max(until - one.ts, 0) // (share + 1)
        yield from strokes(
            flood, target, range(third + at * share, third + (at + 1) * share), one.ts + gap, gap
        )
    yield from strokes(flood, target, range(2 * count, 2 * count + third), real[-1].ts + SECOND, step)


def story(found: Diagnosis, devices: frozenset[str]) -> dict[str, tuple[object, ...]]:
    """What is said of devices."""
    return {
        one.id: (
            one.mode.name,
            one.stage,
            one.hellos,
            one.server,
            sorted({each.rule for each in found.findings if each.device == one.id}),
        )
        for one in found.devices
        if one.id in devices
    }


@cache
def alone(path: Path) -> tuple[Diagnosis, int, Target]:
    """What is said of a file without a flood, when that was, and what a flood would aim at."""
    real, _ = frames_of(path)
    running = begin(FEW)
    running.feed(real)
    end = real[-1].ts + 120 * SECOND
    found = running.finish(end)
    server = next((one.server for one in found.devices if one.server), "10.99.71.1")
    device = next(address for one in found.devices for address in one.ips)
    return found, end, Target(address_bytes(server), address_bytes(device))


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
def test_devices_in_a_flood(flood: Stroke, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_EVENTS", KEPT)
    found, end, target = alone(path)
    running = begin(FEW)
    packets = list(flooded(path, flood, target, STROKES))
    for at in range(0, len(packets), BATCH):
        running.feed(packets[at : at + BATCH])
    later = running.finish(end)
    devices = frozenset(one.id for one in found.devices)
    assert story(later, devices) == story(found, devices)
    if flood not in HELD:
        kept = max(map(len, (later.hellos, later.connections, later.dhcp, later.lookups, later.pongs)))
        assert kept <= KEPT + KEPT // 4 + BATCH + FEW.connections
        assert any(said in note for note in later.notes for said in SAID)


TWO_SIDED = {floods.answered_and_left}
"""Nothing tells such a connection from one that a device has just opened; the oldest go first."""
HALVES = [flood for flood in FLOODS if flood not in TWO_SIDED]


@pytest.mark.parametrize("flood", HALVES, ids=lambda flood: flood.__name__)
def test_a_hello_in_two_halves_with_a_flood_between(flood: Stroke) -> None:
    running = begin(FEW._replace(connections=64))
    opening, first, second = a_hello_in_halves()
    running.feed(opening + first)
    target = Target(bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))
    between = list(strokes(flood, target, range(600), first[-1].ts, SECOND // 1000))
    for at in range(0, len(between), 50):
        running.feed(between[at : at + 50])
    told = running.feed(second)
    assert [(one.hello.uuid, one.hello.complete) for one in told] == [(str(UUID(bytes_le=REAL_UUID)), True)]
