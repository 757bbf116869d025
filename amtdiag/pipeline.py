"""The one way through the house: capture, streams, events, devices, findings."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike

from amtdiag._version import __version__
from amtdiag.capture.inputs import open_inputs
from amtdiag.capture.scan import KERNEL, Scan
from amtdiag.capture.selection import Interest, Selection
from amtdiag.checks.catalogue import capture_findings, examine, likeliest_first, stray_findings
from amtdiag.checks.roots import own_root
from amtdiag.config import Options
from amtdiag.errors import InputError
from amtdiag.model import ConnectionEvent, Diagnosis, HelloEvent
from amtdiag.net.connections import Connection, Connections
from amtdiag.protocols.events import EventReader
from amtdiag.protocols.hello import HEAD
from amtdiag.protocols.ports import HELLO_PORTS, OTHER_PORTS
from amtdiag.provisioning.devices import follow

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
    scan = Scan(opened.inputs, Selection(Interest(hello_ports | OTHER_PORTS, HEAD), limits), limits)
    connections = Connections(
        server_ports=(hello_ports | OTHER_PORTS).__contains__,
        keep=lambda one: one.server[1] not in OTHER_PORTS,
        limits=limits,
    )
    reader = EventReader([one.label for one in opened.inputs], hello_ports)
    journal = _Journal(reader, limits.events)
    total = sum(one.size() for one in opened.inputs)
    for packets in scan:
        for connection in connections.feed(packets):
            journal.enter(connection)
        if progress is not None:
            progress(scan.bytes_read, total)
    for connection in connections.finish():
        journal.enter(connection)

    captures = scan.captures
    followed = follow(journal.hellos, journal.connections, captures, hello_ports, limits.devices)
    findings, unknowns = examine(followed.cases, options)
    findings += stray_findings(followed.strays) + capture_findings(captures)
    return Diagnosis(
        captures=tuple(captures),
        hellos=tuple(followed.hellos),
        connections=tuple(sorted(journal.connections, key=lambda event: event.ts)),
        devices=tuple(case.device for case in followed.cases),
        findings=tuple(likeliest_first(findings)),
        unknowns=tuple(unknowns),
        notes=tuple(opened.notes + _limit_notes(connections, journal, scan)),
        problems=tuple(opened.problems),
        tool={
            "version": __version__,
            "kernel": KERNEL,
            "options": {"ports": sorted(hello_ports), "root_of": options.root_name, "strict": options.strict},
        },
        own_root=own_root(followed.cases, options),
    )


class _Journal:
    """The events of a run, bounded in number."""

    def __init__(self, reader: EventReader, most: int) -> None:
        self._reader = reader
        self._most = most
        self.hellos: list[HelloEvent] = []
        self.connections: list[ConnectionEvent] = []
        self.left_out = 0

    def enter(self, connection: Connection) -> None:
        """Read a finished connection and keep what it was."""
        link, hello = self._reader.read(connection)
        if len(self.connections) + len(self.hellos) >= self._most:
            self.left_out += 1
            return
        if hello is not None:
            self.hellos.append(hello)
        if link is not None:
            self.connections.append(link)


def _limit_notes(connections: Connections, journal: _Journal, scan: Scan) -> list[str]:
    notes = []
    if connections.duplicates:
        notes.append(
            f"{connections.duplicates:,} frames are in the capture twice (a SPAN port of both directions, or "
            "two interfaces): each counts once"
        )
    if connections.evicted:
        notes.append(
            f"{connections.evicted:,} connections were given up early: too many were open at one time"
        )
    if journal.left_out:
        notes.append(f"{journal.left_out:,} connections were left out: more events than are kept")
    if scan.incomplete_datagrams:
        notes.append(f"{scan.incomplete_datagrams:,} IP datagrams lack fragments: read as far as they go")
    if scan.interrupted:
        notes.append("reading was interrupted: this is what had been read until then")
    if scan.evicted:
        notes.append(
            f"{scan.evicted:,} conversations on unexpected ports were given up: too many at one time"
        )
    return notes
