"""The one way through the house: capture, streams, events, devices, findings."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, TypeVar

from amtdiag._version import __version__
from amtdiag.capture.columns import Segment
from amtdiag.capture.inputs import open_inputs
from amtdiag.capture.scan import KERNEL, Scan
from amtdiag.capture.selection import Interest, Selection
from amtdiag.checks.catalogue import (
    capture_findings,
    examine,
    likeliest_first,
    stray_findings,
)
from amtdiag.checks.fleet import silence, traffic_findings
from amtdiag.checks.roots import own_root
from amtdiag.config import Limits, Options
from amtdiag.errors import InputError
from amtdiag.model import DhcpEvent, Diagnosis, LookupEvent, PingEvent, PongEvent, Sighting
from amtdiag.net.connections import Connection, Connections
from amtdiag.net.datagrams import Datagrams
from amtdiag.protocols.events import EventReader
from amtdiag.protocols.hello import HEAD
from amtdiag.protocols.ports import DATAGRAM_PORTS, DNS_PORT, HELLO_PORTS, OTHER_PORTS
from amtdiag.provisioning.book import Events
from amtdiag.provisioning.devices import follow

if TYPE_CHECKING:
    from amtdiag.protocols.datagrams import DatagramEvent, DatagramReader

_Event = TypeVar("_Event")
Progress = Callable[[int, int], None]
"""Called with bytes read and bytes in all, after each batch."""


def diagnose(
    names: Sequence[str | PathLike[str]], options: Options | None = None, progress: Progress | None = None
) -> Diagnosis:
    """Read captures and return all that they show.

    `names` are files, folders, pipes, or ``-`` for standard input; several are one capture in time order.
    Raises `InputError` where no input at all can be read, or any cannot and `options.strict` is set.
    """
    with _collector_paused():
        return _diagnose(names, options or Options(), progress)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python's cycle collector from going over records that have no cycles, time and again."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _diagnose(names: Sequence[str | PathLike[str]], options: Options, progress: Progress | None) -> Diagnosis:
    limits = options.limits
    opened = open_inputs(names, limits)
    if not opened.inputs or (options.strict and opened.problems):
        raise InputError("\n".join(opened.problems) or "nothing to read")
    hello_ports = frozenset({*HELLO_PORTS, *options.ports})
    interest = Interest(hello_ports | OTHER_PORTS | {DNS_PORT}, DATAGRAM_PORTS, HEAD)
    scan = Scan(opened.inputs, Selection(interest, limits), limits)
    connections = Connections(
        server_ports=(hello_ports | OTHER_PORTS | {DNS_PORT}).__contains__,
        keep=lambda one: one.server[1] not in OTHER_PORTS,
        limits=limits,
    )
    datagrams = Datagrams()
    labels = [one.label for one in opened.inputs]
    journal = _Journal(EventReader(labels, hello_ports), labels, limits)
    total = sum(one.size() for one in opened.inputs)
    for packets in scan:
        for connection in connections.feed(packets):
            journal.enter(connection)
        for datagram in datagrams.feed(packets):
            journal.enter_datagram(datagram)
        if progress is not None:
            progress(scan.bytes_read, total)
    for connection in connections.finish():
        journal.enter(connection)
    journal.finish()

    captures = scan.captures
    events = journal.events
    followed = follow(events, captures, hello_ports, limits.devices)
    findings, unknowns = examine(followed.cases, options)
    findings += stray_findings(followed.strays) + capture_findings(captures) + traffic_findings(events)
    unknowns += silence(events, followed.cases)
    return Diagnosis(
        captures=tuple(captures),
        hellos=tuple(followed.hellos),
        connections=tuple(events.connections),
        dhcp=tuple(events.dhcp),
        lookups=tuple(events.lookups),
        pongs=tuple(events.pongs),
        devices=tuple(case.device for case in followed.cases),
        findings=tuple(likeliest_first(findings)),
        unknowns=tuple(unknowns),
        notes=tuple(opened.notes + _limit_notes(connections, datagrams, journal, scan)),
        problems=tuple(opened.problems),
        tool={
            "version": __version__,
            "kernel": KERNEL,
            "options": {"ports": sorted(hello_ports), "root_of": options.root_name, "strict": options.strict},
        },
        own_root=own_root(followed.cases, options),
        residents=followed.residents,
    )


class _Journal:
    """The events of a run, each kind bounded in number, so that no flood of one costs another its place."""

    def __init__(self, streams: EventReader, files: Sequence[str], limits: Limits) -> None:
        self._streams = streams
        self._files = files
        self._limits = limits
        self._datagrams: DatagramReader | None = None
        self.events = Events()
        self.left_out = 0

    def enter(self, connection: Connection) -> None:
        """Read a finished connection and keep what it was."""
        if connection.server[1] == DNS_PORT:
            self._keep(self._reader().read_connection(connection))
        link, hello = self._streams.read(connection)
        if hello is not None:
            self._add(self.events.hellos, hello, self._limits.events)
        if link is not None:
            self._add(self.events.connections, link, self._limits.events)

    def enter_datagram(self, one: Segment) -> None:
        """Read a datagram and keep what it says."""
        self._keep(self._reader().read(one))

    def finish(self) -> None:
        """Take what was still waiting for an answer."""
        if self._datagrams is not None:
            self._keep(self._datagrams.finish())
            self.events.other_lookups += self._datagrams.other_lookups()

    def _reader(self) -> DatagramReader:
        """Made, and its protocols imported, when the first datagram comes."""
        if self._datagrams is None:
            from amtdiag.protocols.datagrams import DatagramReader

            self._datagrams = DatagramReader(self._files)
        return self._datagrams

    def _keep(self, found: Iterator[DatagramEvent]) -> None:
        events, most = self.events, self._limits.lane_events
        for event in found:
            match event:
                case DhcpEvent():
                    self._add(events.dhcp, event, most)
                case LookupEvent():
                    self._add(events.lookups, event, most)
                case PongEvent():
                    self._add(events.pongs, event, most)
                case PingEvent():
                    self._add(events.pings, event, most)
                case Sighting():
                    self._add(events.sightings, event, most)

    def _add(self, events: list[_Event], event: _Event, most: int) -> None:
        if len(events) < most:
            events.append(event)
        else:
            self.left_out += 1


def _limit_notes(connections: Connections, datagrams: Datagrams, journal: _Journal, scan: Scan) -> list[str]:
    notes = []
    duplicates = connections.duplicates + datagrams.duplicates
    if duplicates:
        notes.append(
            f"{duplicates:,} frames are in the capture twice (a SPAN port of both directions, or "
            "two interfaces): each counts once"
        )
    if connections.evicted:
        notes.append(
            f"{connections.evicted:,} connections were given up early: too many were open at one time"
        )
    if journal.left_out:
        notes.append(f"{journal.left_out:,} events were left out: more of their kind than are kept")
    if scan.incomplete_datagrams:
        notes.append(f"{scan.incomplete_datagrams:,} IP datagrams lack fragments: read as far as they go")
    if scan.interrupted:
        notes.append("reading was interrupted: this is what had been read until then")
    if scan.evicted:
        notes.append(
            f"{scan.evicted:,} conversations on unexpected ports were given up: too many at one time"
        )
    return notes
