"""What is seen live, judged while it goes on: the same decoding, selection and rules as for a file.

Packets and the time of day are handed in; nothing here opens a socket or reads a clock. A run of weeks is
bounded: events are let go of after `KEPT`, and of each kind beyond `MOST_EVENTS`; of a device of which
nothing is left a `Departed` remains, of the last `MOST_DEPARTED` ones.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from amtdiag.capture.decode.decoder import Decoder
from amtdiag.capture.decode.defragment import Fragments
from amtdiag.capture.decode.linktypes import link_name
from amtdiag.capture.decode.packet import PacketBatch, Segment
from amtdiag.capture.live.source import LivePacket, Tap
from amtdiag.capture.prefilter.flow_filter import FlowFilter
from amtdiag.capture.prefilter.kernel import sieve_for
from amtdiag.config import MIB, Limits, Options
from amtdiag.devices.visibility import CaptureSpans, Coverage
from amtdiag.model import (
    CaptureInfo,
    ConnectionEvent,
    DeviceRecord,
    Diagnosis,
    Endpoints,
    Finding,
    HelloEvent,
)
from amtdiag.pipeline import Seen, conclude, hello_ports, interest, limit_notes
from amtdiag.sessions.analyzer import SessionAnalyzer
from amtdiag.sessions.event_log import EventLog
from amtdiag.times import SECOND, rfc3339, span

KEPT = 7 * 86_400 * SECOND
"""How long an event is kept after it ended."""
MOST_EVENTS = 20_000
"""Events kept of each kind: so many Hellos of as many devices take 250 MB, and 5 s to judge."""
MOST_DEPARTED = 10_000
_MOST_CAPTURES = 1000
_MOST_TOLD = 100_000
_MOST_NOTES = 50


def live_limits(limits: Limits) -> Limits:
    """Return limits for a run that shares its machine with others for weeks."""
    return limits._replace(
        streams_bytes=min(limits.streams_bytes, 128 * MIB),
        sealed_bytes=0,
        held_packets_in_all=min(limits.held_packets_in_all, 16_384),
    )


class Departed(NamedTuple):
    """What is left of a device after all its events have been let go of."""

    id: str
    first_seen: int
    last_seen: int
    hellos: int
    mode: str
    stage: str


class Withdrawn(NamedTuple):
    """A finding that was an alert, and why it is none any more."""

    finding: Finding
    reason: str


FlowKey = tuple[int, Endpoints]
"""When a connection began, and its ends."""


def key_of(link: ConnectionEvent) -> FlowKey:
    """Return what tells a connection from all others, however it is judged."""
    return link.ts, link.ends


class File:
    """What there is to say of a file that is being written, or of the interfaces where none is."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.linktypes: Counter[int] = Counter()
        self.first_ts: int | None = None
        self.last_ts: int | None = None
        self.bytes = self.frame = 0
        self.drops = 0
        self.ended: int | None = None
        """When the next one was begun."""

    def info(self, now: int) -> CaptureInfo:
        """The file as the report shows it; nothing went by unseen until now."""
        return CaptureInfo(
            file=self.label,
            format="pcapng" if self.bytes else "live",
            bytes=self.bytes,
            packets=self.linktypes.total(),
            linktypes=tuple(link_name(one) for one in sorted(self.linktypes)),
            first_ts=self.first_ts,
            last_ts=self.last_ts,
            snaplen=None,
            drops=self.drops,
            truncated=False,
            notes=(),
            watched_until=self.ended or now,
        )


class Live:
    """A live capture as it stands."""

    def __init__(self, label: str, taps: Sequence[Tap], options: Options) -> None:
        """Begin; `label` is what evidence names as its file."""
        self._options = options._replace(limits=live_limits(options.limits))
        limits = self._options.limits
        self._taps = taps
        wanted = interest(options)
        self._sieve, self._kernel = sieve_for(wanted)
        self._selection = FlowFilter(wanted, limits, self._sieve)
        self._fragments = Fragments(limits)
        self._labels: list[str] = []
        self._files: deque[File] = deque(maxlen=_MOST_CAPTURES)
        self._journal = SessionAnalyzer(self._labels, hello_ports(options), limits, {})
        self._notes: list[str] = []
        self._told_hellos: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._hellos_read = 0
        self._links_read = 0
        self._over: list[FlowKey] = []
        self._told: OrderedDict[str, None] = OrderedDict()
        self._standing: dict[str, Finding] = {}
        self._withdrawn: list[Withdrawn] = []
        self._devices: tuple[DeviceRecord, ...] = ()
        self._has_forgotten = self._shows_forgotten = False
        self.departed: OrderedDict[str, Departed] = OrderedDict()
        self.packets = 0
        self.news = False
        """Something came since the last judgement."""
        self.file = self._begin(label)

    def _begin(self, label: str) -> File:
        file = File(label)
        self._decoder = Decoder(len(self._labels), self._selection, self._fragments)
        self._labels.append(label)
        self._files.append(file)
        return file

    def turn(self, label: str, now: int) -> None:
        """Another file is written from now on."""
        self.file.ended = now
        self.file = self._begin(label)

    def note(self, text: str) -> None:
        """Have something said in the report."""
        if len(self._notes) < _MOST_NOTES:
            self._notes.append(text)

    def feed(self, frames: Sequence[LivePacket]) -> list[HelloEvent]:
        """Take packets; return the Hellos that they complete."""
        file, wants, decode = self.file, self._sieve.wants, self._decoder.decode
        out: list[Segment] = []
        linktypes = [tap.linktype for tap in self._taps]
        for ts, number, data, wirelen in frames:
            file.frame += 1
            linktype = linktypes[number]
            file.linktypes[linktype] += 1
            file.first_ts = ts if file.first_ts is None else min(file.first_ts, ts)
            file.last_ts = ts if file.last_ts is None else max(file.last_ts, ts)
            if wants(linktype, data, wirelen):
                decode(data, linktype, (ts, file.frame, wirelen), out)
        self.packets += len(frames)
        if not out:
            return []
        self.news = True
        packets = PacketBatch(out)
        self._journal.feed(packets)
        fresh = list(self._fresh(packets))
        if self._journal.events.most() > MOST_EVENTS + MOST_EVENTS // 4:
            self.expire(out[-1].ts)
        return fresh

    def _fresh(self, packets: PacketBatch) -> Iterator[HelloEvent]:
        """Yield each Hello once: when all of it is there, or else when its connection is over."""
        over = self._journal.events.hellos[self._hellos_read :]
        self._hellos_read += len(over)
        for event in (*over, *self._journal.hellos_of(packets)):
            ends = event.ends
            key = (ends.src, ends.sport, ends.dst, ends.dport, event.evidence[0])
            if key not in self._told_hellos:
                self._told_hellos[key] = None
                if len(self._told_hellos) > _MOST_TOLD:
                    self._told_hellos.popitem(last=False)
                yield event

    def clock_step(self, by: int, now: int) -> None:
        """Take note that the clock of this machine was set: what is open cannot go on by the new one."""
        self._journal.cut()
        way = "forward" if by > 0 else "back"
        self.note(f"the clock was set {way} by {span(abs(by))}, to {rfc3339(now)}: what was open then is cut")

    def over(self) -> list[FlowKey]:
        """Return which connections have come to their end since the last call."""
        self._note_over()
        over, self._over = self._over, []
        return over

    def _note_over(self) -> None:
        links = self._journal.events.connections
        self._over += map(key_of, links[self._links_read :])
        self._links_read = len(links)

    def so_far(self, now: int) -> Seen:
        """Return a copy of what is known as of now: `conclude` may judge it while the run goes on."""
        self.news = False
        self._mark()
        pairs = set(self._journal.addresses_given())
        odd = PacketBatch(self._selection.openings(pairs))
        return self._seen(self._journal.so_far(now, [odd]), now)

    def conclude(self, seen: Seen) -> Diagnosis:
        """Judge what `so_far` gave, in any thread."""
        return conclude(seen, self._options)

    def judge(self, now: int) -> Diagnosis:
        """Return the diagnosis as of now; the run goes on."""
        return self.conclude(self.so_far(now))

    def finish(self, now: int) -> Diagnosis:
        """Return the diagnosis at the end."""
        self._journal.feed(PacketBatch(self._decoder.leftovers()))
        self._journal.finish()
        self._mark()
        pairs = set(self._journal.addresses_given())
        self._journal.feed_odd(PacketBatch(self._selection.openings(pairs)))
        return self.conclude(self._seen(self._journal.events, now))

    def alerts(self, diagnosis: Diagnosis, alarms: Sequence[Finding] = ()) -> list[Finding]:
        """Return the findings that were not there before, under whichever name their device had.

        `alarms` are those that only a live run has. `withdrawn` tells which have gone since.
        """
        found = []
        standing: dict[str, Finding] = {}
        self._withdrawn = []
        aliases = {one.id: one.aliases for one in diagnosis.devices}
        for one in (*diagnosis.findings, *alarms):
            names = [one.id]
            if one.device is not None:
                names += [one.id.replace(one.device, other) for other in aliases.get(one.device, ())]
            if not any(name in self._told for name in names):
                found.append(one)
            before = [self._standing.pop(name) for name in names if name in self._standing]
            if one.overcome and before and not before[0].overcome:
                self._withdrawn.append(Withdrawn(before[0], "a later attempt got through"))
            standing[one.id] = one
            self._told[one.id] = None
            self._told.move_to_end(one.id)
        here = {name for one in diagnosis.devices for name in (one.id, *one.aliases)}
        for name, one in self._standing.items():
            self._told.pop(name, None)
            if not one.overcome and (one.device is None or one.device in here):
                self._withdrawn.append(Withdrawn(one, "more is known now"))
        self._standing = standing
        while len(self._told) > _MOST_TOLD:
            self._told.popitem(last=False)
        return found

    def withdrawn(self) -> list[Withdrawn]:
        """Return the findings that came to nothing with the diagnosis that `alerts` was last asked about.

        Not those of devices that have been let go of: of them nothing new is known.
        """
        return self._withdrawn

    def expire(self, now: int) -> None:
        """Let go of what is old; the next diagnosis tells which devices went with it."""
        self._note_over()
        if self._journal.forget(now - KEPT, MOST_EVENTS):
            self._links_read = len(self._journal.events.connections)
            self._hellos_read = len(self._journal.events.hellos)
            self._has_forgotten = self.news = True

    def departures(self, diagnosis: Diagnosis) -> list[Departed]:
        """Take note of the devices; return those that were there before, and went with their events."""
        before, self._devices = self._devices, diagnosis.devices
        if not self._shows_forgotten:
            return []
        self._shows_forgotten = False
        here = {name for one in diagnosis.devices for name in (one.id, *one.aliases)}
        gone = [
            Departed(one.id, one.first_seen, one.last_seen, one.hellos, one.mode.name, one.stage)
            for one in before
            if one.id not in here
        ]
        for one in gone:
            self.departed[one.id] = one
        while len(self.departed) > MOST_DEPARTED:
            self.departed.popitem(last=False)
        return gone

    def _mark(self) -> None:
        """The next diagnosis shows what has been let go of until now."""
        self._shows_forgotten |= self._has_forgotten
        self._has_forgotten = False

    def _seen(self, events: EventLog, now: int) -> Seen:
        captures = [one.info(now) for one in self._files]
        notes = [*limit_notes([self._journal]), *self._notes]
        if self._fragments.incomplete:
            notes.append(
                f"{self._fragments.incomplete:,} IP datagrams lack fragments: read as far as they go"
            )
        if self._selection.evicted:
            notes.append(
                f"{self._selection.evicted:,} conversations on unexpected ports were given up: "
                "too many at one time"
            )
        if self.departed:
            notes.append(
                f"{len(self.departed):,} devices are not listed: nothing was seen of them for {span(KEPT)}, "
                "or so little that others needed the room"
            )
        return Seen(captures, events, Coverage(CaptureSpans([captures])), notes, self._kernel)
