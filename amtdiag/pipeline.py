"""The one way through the house: capture, streams, events, devices, findings."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from os import PathLike
from typing import NamedTuple

from amtdiag._version import __version__
from amtdiag.capture.files.inputs import Input, open_inputs
from amtdiag.capture.frame_index import FrameIndex
from amtdiag.capture.parallel.cpu import workers_for
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.capture.prefilter.kernel import Kernel, sieve_for
from amtdiag.capture.scan import Scan
from amtdiag.config import Options
from amtdiag.devices.build import follow
from amtdiag.devices.visibility import CaptureSpans, Coverage
from amtdiag.errors import InputError, MissingToolError
from amtdiag.model import CaptureInfo, Diagnosis
from amtdiag.protocols.hello import HEAD
from amtdiag.protocols.ports import DATAGRAM_PORTS, HELLO_PORTS, TCP_PORTS
from amtdiag.rules.base import FleetEvidence
from amtdiag.rules.catalogue import examine, without_blameless_prospects
from amtdiag.rules.outcome import with_outcomes
from amtdiag.rules.roots import own_root
from amtdiag.sessions.analyzer import SessionAnalyzer
from amtdiag.sessions.event_log import EventLog

Progress = Callable[[int, int], None]
"""Called with bytes read and bytes in all, after each batch."""


def diagnose(
    names: Sequence[str | PathLike[str]],
    options: Options | None = None,
    progress: Progress | None = None,
    kept: FrameIndex | None = None,
) -> Diagnosis:
    """Read captures and return all that they show.

    `names` are files, folders, pipes, or ``-`` for standard input; several are one capture in time order.
    `kept` notes which frames were looked into, and the inputs, to go through them once more.
    Raises `InputError` where no input at all can be read, or any cannot and `options.strict` is set.
    """
    with _collector_paused():
        return _diagnose(names, options or Options(), progress, kept)


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


def _diagnose(
    names: Sequence[str | PathLike[str]], options: Options, progress: Progress | None, kept: FrameIndex | None
) -> Diagnosis:
    opened = open_inputs(names, options.limits, copy_pipes=kept is not None)
    if not opened.inputs or (options.strict and opened.problems):
        raise InputError("\n".join(opened.problems) or "nothing to read")
    if kept is not None:
        kept.inputs = opened.inputs
    seen = _read(opened.inputs, options, progress, kept)
    return conclude(seen._replace(notes=opened.notes + seen.notes), options, opened.problems)


def hello_ports(options: Options) -> frozenset[int]:
    """Return the ports on which Hellos are expected."""
    return frozenset({*HELLO_PORTS, *options.ports})


def interest(options: Options) -> Interest:
    """Return what matters: the one definition behind the selection, the sieve and the kernel's filter."""
    return Interest(hello_ports(options) | TCP_PORTS, DATAGRAM_PORTS, HEAD)


def conclude(seen: Seen, options: Options, problems: Sequence[str] = ()) -> Diagnosis:
    """Give the events to their devices and judge them."""
    events = seen.events
    followed = follow(events, seen.coverage, hello_ports(options), options.limits.devices)
    scene = FleetEvidence(followed.cases, events, seen.captures, followed.strays, followed.scanners)
    findings, unknowns = examine(scene, options)
    cases = without_blameless_prospects(followed.cases, findings)
    known = {None, *(case.id for case in cases)}
    unknowns = [unknown for unknown in unknowns if unknown.device in known]
    return Diagnosis(
        captures=tuple(seen.captures),
        hellos=tuple(followed.hellos),
        connections=tuple(events.connections),
        dhcp=tuple(lease if lease.owner in known else lease._replace(owner=None) for lease in events.dhcp),
        lookups=tuple(events.lookups),
        pongs=tuple(events.pongs),
        devices=with_outcomes((case.device for case in cases), findings, unknowns),
        findings=tuple(findings),
        unknowns=tuple(unknowns),
        notes=tuple(seen.notes),
        problems=tuple(problems),
        tool={
            "version": __version__,
            "kernel": seen.kernel,
            "options": {
                "ports": sorted(hello_ports(options)),
                "root_of": options.root_name,
                "cert": options.chain_name,
                "strict": options.strict,
                "servers": sorted(options.servers),
            },
        },
        own_root=own_root(followed.cases, options),
    )


class Seen(NamedTuple):
    """What all captures show, by one clock."""

    captures: list[CaptureInfo]
    events: EventLog
    coverage: Coverage
    notes: list[str]
    """Limits hit, and what came of comparing sensors."""
    kernel: Kernel
    """Which sieve stood in front of the scan."""


def _read(inputs: list[Input], options: Options, progress: Progress | None, kept: FrameIndex | None) -> Seen:
    """Read all files, each sensor's for itself, and bring together what they show."""
    limits = options.limits
    wanted = interest(options)
    sieve, kernel = sieve_for(wanted)
    workers = workers_for(inputs, options.workers)
    scan = Scan(inputs, wanted, limits, sieve=sieve, workers=workers, cluster=options.cluster)
    labels = [source.label for source in inputs]
    ports, keys = hello_ports(options), dict(options.keys)
    analyzers = [SessionAnalyzer(labels, ports, limits, keys)]
    total = sum(source.size() for source in inputs)
    for packets in scan:
        while packets.sensor >= len(analyzers):
            analyzers.append(SessionAnalyzer(labels, ports, limits, keys))
        analyzers[packets.sensor].feed(packets)
        if kept is not None:
            kept.add(packets)
        if progress is not None:
            progress(scan.bytes_read, total)
    for analyzer in analyzers:
        analyzer.finish()
    for packets in scan.openings({pair for analyzer in analyzers for pair in analyzer.addresses_given()}):
        analyzers[packets.sensor].feed_odd(packets)
        if kept is not None:
            kept.add(packets)
    if kept is not None:
        kept.sensors = list(scan.sensors.files())
    found_keys = "\n".join(capture.secrets for capture in scan.captures)
    captures = [capture._replace(secrets="") for capture in scan.captures]
    watch = CaptureSpans([[captures[file] for file in files] for files in scan.sensors.files()])
    notes = [
        *_decrypt(analyzers, found_keys.encode("ascii", "replace"), options),
        *limit_notes(analyzers),
        *_scan_notes(scan),
    ]
    if len(analyzers) == 1:
        return Seen(captures, analyzers[0].events, Coverage(watch), notes, kernel)
    from amtdiag.sessions.correlate import SensorView, bring_together  # one sensor does without

    views = [
        SensorView(watch.name(at), analyzer.events, watch.spans(at)) for at, analyzer in enumerate(analyzers)
    ]
    together = bring_together(views)
    coverage = Coverage(watch, together.offsets)
    return Seen(captures, together.events, coverage, [*notes, *together.notes], kernel)


def _decrypt(analyzers: Sequence[SessionAnalyzer], brought: bytes, options: Options) -> Iterator[str]:
    """Read what the user's secrets open, and those that the captures bring along; say what came of it.

    Raises `MissingToolError` where the user gave secrets and there is no tshark.
    """
    given = bool(options.key_log or options.keys)
    waiting = sum(analyzer.sealed for analyzer in analyzers)
    if not given and not brought.strip():
        return
    not_kept = sum(analyzer.not_kept for analyzer in analyzers)
    if not_kept:
        yield f"{not_kept:,} TLS conversations were not kept for decryption: too many bytes of them"
    if not waiting and not not_kept:
        yield "there are secrets, and no TLS conversation with a device that they could open"
    if not waiting:
        return
    from amtdiag.capture.decryptor import Decrypter, TsharkError

    log = b"\n".join((options.key_log, brought))
    try:
        opened = sum(
            analyzer.decrypt(log, partial(Decrypter, limits=options.limits)) for analyzer in analyzers
        )
    except TsharkError as error:
        yield f"nothing was decrypted: {error}"
    except MissingToolError as error:
        if given:
            raise
        yield f"the capture brings secrets along: {error}"
    else:
        yield f"{opened:,} of {waiting:,} TLS conversations with devices were decrypted"


def limit_notes(analyzers: Sequence[SessionAnalyzer]) -> list[str]:
    """Say what was there twice, and which limits were hit."""
    notes = []
    duplicates = sum(analyzer.duplicates for analyzer in analyzers)
    if duplicates:
        notes.append(
            f"{duplicates:,} frames are in the capture twice (a SPAN port of both directions, or "
            "two interfaces): each counts once"
        )
    evicted = sum(analyzer.evicted for analyzer in analyzers)
    if evicted:
        notes.append(f"{evicted:,} connections were given up early: too many were open at one time")
    crowded = sum(analyzer.crowded_out for analyzer in analyzers)
    if crowded:
        notes.append(
            f"{crowded:,} events made room for others, too many having come: those went first that say least "
            "about a device"
        )
    left_out = sum(analyzer.left_out for analyzer in analyzers)
    if left_out:
        notes.append(f"{left_out:,} events were left out: more of their kind than are kept")
    return notes


def _scan_notes(scan: Scan) -> list[str]:
    notes = []
    if scan.incomplete_datagrams:
        notes.append(f"{scan.incomplete_datagrams:,} IP datagrams lack fragments: read as far as they go")
    if scan.interrupted:
        notes.append("reading was interrupted: this is what had been read until then")
    if scan.evicted:
        notes.append(
            f"{scan.evicted:,} conversations on unexpected ports were given up: too many at one time"
        )
    return notes
