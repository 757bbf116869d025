"""Diagnoses for tests to look at: a fleet, an empty one, and one full of hostile text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from itertools import cycle

import pandas as pd
from helpers import coverage, gather, replace
from hypothesis import strategies as st

from amtdiag import tables
from amtdiag.config import Options
from amtdiag.devices.build import BuiltDevices, follow
from amtdiag.model import (
    CaptureInfo,
    ConnectionEvent,
    Diagnosis,
    Endpoints,
    Evidence,
    Hello,
    HelloEvent,
    Outcome,
)
from amtdiag.protocols.hello import build, parse
from amtdiag.protocols.ports import HELLO_PORTS
from amtdiag.rules.base import FleetEvidence
from amtdiag.rules.catalogue import examine
from amtdiag.rules.outcome import with_outcomes
from amtdiag.sessions.event_log import EventLog
from amtdiag.times import SECOND

START = 1_772_442_072 * SECOND
SERVER = "192.168.2.10"
FILE = "trace.pcapng"
TABLES: dict[str, Callable[[Diagnosis], pd.DataFrame]] = {
    "hellos": tables.hellos,
    "digests": tables.digests,
    "devices": tables.devices,
    "findings": tables.findings,
    "events": tables.events,
    "captures": tables.captures,
}
HOSTILE = [
    "",
    "=1+1",
    "@SUM(A1)",
    "\t=1",
    "$\\frac{1}{0}$",
    "$x_$ 100% _{ ^",
    "\x1b[2J\x1b]0;owned\x07",
    "a\u202egnp.exe\u2066",
    "<script>alert(1)</script>&\"'",
    "]]>--><!-- --",
    "\x00\r\nforged: line",
    "\udc80\ud800",
    "e" + "\u0301" * 300,
    "日本語\U0001f600\U000e0041",
    "A" * 10_000,
    "../../etc/passwd",
]
texts = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))
"""What a capture might say, had it found a way around `safetext.safe`."""


def harmless(text: str) -> bool:
    """Nothing in it acts on what shows it; a space may be of any kind."""
    return all(one.isprintable() or unicodedata.category(one) == "Zs" for one in text)


class Story:
    """Makes the events of devices, and has them diagnosed the way a capture is."""

    def __init__(self) -> None:
        self.hellos: list[HelloEvent] = []
        self.links: list[ConnectionEvent] = []
        self._frame = 0

    def hello(self, device: int, at: int, retry: int = 0, *, cut: bool = False, psk: bool = False) -> None:
        uuid = f"{device:08x}-13d4-1d18-e487-1c697a6b7a2b"
        digests = [(2, bytes([number + 1]) * 32) for number in range(3)]
        wire = (
            build(uuid=uuid, version=2, pid="3FUS8PZU", retry_count=retry)
            if psk
            else build(uuid=uuid, retry_count=retry, digests=digests)
        )
        message = parse(wire[:-5] if cut else wire)
        assert isinstance(message, Hello)
        self.link(
            address(device), SERVER, 9971, at - 1_500_000, "established", sent=len(wire), last=at + 3_000_000
        )
        self.hellos.append(HelloEvent(at, self.links[-1].ends, self._evidence(), 1, message))

    def link(
        self,
        src: str,
        dst: str,
        dport: int,
        at: int,
        outcome: Outcome,
        *,
        sent: int = 0,
        last: int | None = None,
    ) -> None:
        ends = Endpoints(src, 40_000 + len(self.links) % 20_000, dst, dport, None, None, (), "1:=")
        self.links.append(
            ConnectionEvent(
                ts=at,
                last_ts=at + 28_000 if last is None else last,
                ends=ends,
                outcome=outcome,
                syns=1 + 2 * (outcome == "unanswered"),
                client_bytes=sent,
                server_bytes=sent // 2,
                closed_by="nobody" if outcome == "unanswered" else "server",
                server_seen=outcome != "unanswered",
                evidence=self._evidence(),
            )
        )

    def _evidence(self) -> tuple[Evidence, ...]:
        self._frame += 2
        return (Evidence(FILE, self._frame), Evidence(FILE, self._frame + 1))

    def follow(self, events: EventLog, after: int = 600 * SECOND) -> BuiltDevices:
        """Give `events` to the devices, which they then carry as their owners."""
        return follow(events, coverage(self.capture(after)), frozenset(HELLO_PORTS), 200_000)

    def events(self) -> EventLog:
        return gather([*self.hellos, *self.links])

    def capture(self, after: int) -> CaptureInfo:
        times = [*(one.ts for one in self.hellos), *(one.ts for one in self.links)] or [START]
        first, last = min(times) - SECOND, max(times) + after
        return CaptureInfo(FILE, "pcapng", 4096, 36, ("ETHERNET",), first, last, 262_144, None, False, ())

    def diagnosis(self, after: int = 600 * SECOND) -> Diagnosis:
        events = self.events()
        followed = self.follow(events, after)
        captures = (self.capture(after),)
        scene = FleetEvidence(followed.cases, events, captures, followed.strays, followed.scanners)
        findings, unknowns = examine(scene, Options())
        return Diagnosis(
            captures=captures,
            hellos=tuple(followed.hellos),
            connections=tuple(events.connections),
            dhcp=(),
            lookups=(),
            pongs=(),
            devices=with_outcomes((case.device for case in followed.cases), findings, unknowns),
            findings=tuple(findings),
            unknowns=tuple(unknowns),
            notes=(),
            problems=(),
            tool={"version": "0", "options": {"ports": [9971, 9972]}},
        )


def address(device: int) -> str:
    return f"10.{device >> 16}.{device >> 8 & 255}.{device & 255}"


def device_story(story: Story, device: int, start: int, kind: int, hellos: int = 5) -> None:
    """One of seven fates: refused, unanswered, nothing, operational, server refuses, TLS ended, cut Hello."""
    at = start
    if kind == 4:
        for number in range(hellos):
            story.link(address(device), SERVER, 9971, at + number * 30 * SECOND, "refused")
        return
    for retry in range(hellos):
        story.hello(device, at, retry, cut=kind == 6, psk=kind == 3)
        back = at + 24_000_000
        if kind in (0, 1):
            for number in range(5):
                outcome: Outcome = "refused" if kind == 0 else "unanswered"
                story.link(SERVER, address(device), 16993, back + number * SECOND // 2, outcome)
        if kind == 5:
            story.link(SERVER, address(device), 16993, back, "established", sent=2682, last=back + 5_000_000)
        if kind == 3 and retry == hellos - 1:
            story.link(SERVER, address(device), 16993, back, "established", sent=9000, last=back + 4 * SECOND)
            story.link(
                SERVER,
                address(device),
                16994,
                back + 9 * SECOND,
                "established",
                sent=900,
                last=back + 60 * SECOND,
            )
        at += (20 + 10 * retry + device % 7) * SECOND


def fleet(count: int, *, hellos: int = 5, every: int = 47 * SECOND) -> Diagnosis:
    """So many devices, of all fates, one coming after another."""
    story = Story()
    for device in range(count):
        device_story(story, device + 1, START + device * every, (0, 5, 1, 2, 3, 4, 6)[device % 7], hellos)
    return story.diagnosis()


EMPTY = replace(fleet(1), captures=(), hellos=(), connections=(), devices=(), findings=(), unknowns=())


def hostile_diagnosis(words: Sequence[str]) -> Diagnosis:
    """A diagnosis in which wire text stands wherever wire text can stand; `words` are taken in turn."""
    found = fleet(3, hellos=2)
    turn = cycle(words)

    def named(one: Evidence) -> Evidence:
        return one._replace(file=next(turn))

    names = {one.id: f"{number}{next(turn)}" for number, one in enumerate(found.devices)}
    findings = tuple(
        replace(
            one,
            device=names[one.device] if one.device else None,
            rule=f"rule-{next(turn)}",
            catalogue=next(turn),
            summary=next(turn),
            remedy=next(turn),
            display_filter=next(turn),
        )
        for one in found.findings
    )
    devices = tuple(
        replace(
            one,
            id=names[one.id],
            uuid=next(turn),
            ips=(next(turn),),
            server=next(turn),
            firmware=next(turn),
        )
        for one in found.devices
    )
    return replace(
        found,
        captures=tuple(replace(one, file=next(turn), notes=(next(turn),)) for one in found.captures),
        devices=with_outcomes(devices, findings, found.unknowns),
        hellos=tuple(
            replace(
                one,
                device=names[one.device],
                event=replace(
                    one.event,
                    evidence=tuple(map(named, one.event.evidence)),
                    hello=replace(one.event.hello, problems=(next(turn),), pid=next(turn)),
                ),
            )
            for one in found.hellos
        ),
        connections=tuple(
            replace(one, foreign=next(turn), owner=names[one.owner] if one.owner else None)
            for one in found.connections
        ),
        findings=findings,
        unknowns=tuple(replace(one, what=next(turn), why=next(turn)) for one in found.unknowns),
        notes=(next(turn),),
        problems=(next(turn),),
    )
