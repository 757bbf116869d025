"""`amtdiag live`: the same diagnosis on an interface, while things happen."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amtdiag.cli.common import (
    Stop,
    add_judging,
    add_port,
    conditions,
    exit_code,
    say_how_it_reads,
    until_told,
)
from amtdiag.config import Options
from amtdiag.errors import UsageError
from amtdiag.model import Diagnosis
from amtdiag.safetext import safe
from amtdiag.times import SECOND

if TYPE_CHECKING:
    from amtdiag.capture.ring import Ring, RingOptions
    from amtdiag.capture.source import Counts, Frame, Source
    from amtdiag.live import Live

_TICK = 0.25
"""Seconds without a packet until other work is looked at."""
_LAST_WAIT = 0.15
"""Seconds after the end in which the kernel hands over what has gathered (`capture.mapped`)."""
_LAST_READS = 512
"""Batches that are taken then."""
_STATS_EVERY = 60 * SECOND
_EXPIRE_EVERY = 3600 * SECOND
_CHECK_EVERY = SECOND // 2
_JUDGE_EVERY = SECOND
_JUDGE_AT_LEAST = 30 * SECOND
"""What is absent is noticed although nothing comes."""
_SHARE = 20
"""Judging takes one part in so many of the time at most."""
_SPARING, _SELDOM = 50, 60 * SECOND
"""It takes less, one part in so many, as long as it is done so often."""
_STEP = 2 * SECOND
"""A clock that differs from the steady one by more than this was set."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "-i",
        dest="interfaces",
        metavar="IFACE",
        action="append",
        required=True,
        help="interface to capture on (may be repeated); any: all that are up",
    )
    parser.add_argument(
        "-f",
        dest="narrowed",
        metavar="FILTER",
        default="",
        help="take only what fits this capture filter besides, as of pcap-filter(7); needs libpcap",
    )
    parser.add_argument("-w", dest="file", metavar="FILE", help="keep the packets in this pcapng file")
    parser.add_argument(
        "-b",
        dest="ring",
        metavar="NAME:VALUE",
        action="append",
        default=[],
        type=conditions("filesize", "duration", "files"),
        help="with -w, as dumpcap: another file after filesize:KB or duration:SECONDS, keep files:N",
    )
    parser.add_argument(
        "-a",
        dest="stop",
        metavar="duration:SECONDS",
        type=conditions("duration"),
        help="end after so many seconds",
    )
    parser.add_argument(
        "-p", dest="promiscuous", action="store_false", help="do not ask for packets to other hosts"
    )
    parser.add_argument(
        "--any-port",
        action="store_true",
        help="take all TCP from the kernel, so that Hellos on unexpected ports are seen too",
    )
    parser.add_argument(
        "--jsonl",
        action="store_true",
        help="one JSON object a line, in the shape of Suricata's EVE (default where stdout is no terminal)",
    )
    parser.add_argument("-o", metavar="DIR", dest="folder", help="at the end write the report to this folder")
    add_port(parser)
    add_judging(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Capture until told to stop, then report."""
    from amtdiag.capture.ring import RingOptions

    options = Options(ports=tuple(arguments.port), servers=frozenset(arguments.server))
    ring = RingOptions()._replace(**dict(arguments.ring))
    if arguments.ring and not arguments.file:
        raise UsageError("-b goes with -w")
    if ring.files and not ring.several:
        raise UsageError("-b files: goes with -b filesize: or -b duration:")
    say_how_it_reads()
    source = open_source(arguments, options)
    try:
        with until_told() as stop:
            watch = _Watch(source, arguments, options, ring)
            diagnosis = watch.run(stop)
    finally:
        source.close()
    if arguments.folder:
        from amtdiag.report.folder import write_report

        write_report(diagnosis, arguments.folder)
    return exit_code(diagnosis, arguments.fail_on)


def open_source(arguments: argparse.Namespace, options: Options) -> Source:
    """Open the interfaces, then give up every right beyond the caller's."""
    from amtdiag.pipeline import interest

    wanted = interest(options)
    if sys.platform != "linux":
        from amtdiag.capture.elsewhere import NOT_RUN_BY_US, ScapySource

        print(f"amtdiag: {NOT_RUN_BY_US}", file=sys.stderr)
        return ScapySource(
            arguments.interfaces, wanted, any_port=arguments.any_port, narrowed=arguments.narrowed
        )
    from amtdiag.capture.rights import become_caller
    from amtdiag.capture.sniffer import Sniffer

    source = Sniffer(
        arguments.interfaces,
        wanted,
        any_port=arguments.any_port,
        promiscuous=arguments.promiscuous,
        narrowed=arguments.narrowed,
    )
    become_caller()
    return source


class _Watch:
    """One run."""

    def __init__(
        self, source: Source, arguments: argparse.Namespace, options: Options, ring: RingOptions
    ) -> None:
        from amtdiag.capture.bpf import SNAP_LENGTH
        from amtdiag.capture.ring import Ring
        from amtdiag.live import Live

        self._source = source
        self._seconds = arguments.stop and arguments.stop[1]
        self._began = time.time_ns()
        self._steady = self._began - time.monotonic_ns()
        self._ring: Ring | None = None
        if arguments.folder:
            _make_folder(arguments.folder)
        label = self._label = "live:" + ",".join(safe(tap.name) for tap in source.taps)
        if arguments.file:
            self._ring = Ring(Path(arguments.file), ring, source.taps, SNAP_LENGTH, self._began)
            label = safe(str(self._ring.path), 4096)
        self._live: Live = Live(label, source.taps, options)
        self._lines = arguments.jsonl or not sys.stdout.isatty()
        self._judged = self._stats = self._expired = self._checked = time.monotonic_ns()
        self._cost = 0
        self._judge_thread = ThreadPoolExecutor(1)
        self._judging: Future[Diagnosis] | None = None
        self._lost = 0
        self._devices = 0

    def run(self, stop: Stop) -> Diagnosis:
        """Capture until told to stop, or the time is over; show the report and return what it says."""
        names = ", ".join(safe(tap.name) for tap in self._source.taps)
        print(f"amtdiag: capturing on {names}; Ctrl-C ends it with the report", file=sys.stderr, flush=True)
        end = None if self._seconds is None else time.monotonic() + self._seconds
        while not stop.asked and (end is None or time.monotonic() < end):
            if self._source.wait(_TICK):
                self._take()
            self._tend()
        last = time.monotonic() + _LAST_WAIT
        for _ in range(_LAST_READS):
            if not self._source.wait(max(last - time.monotonic(), 0)) or not self._take():
                break
        return self._finish()

    def _take(self) -> bool:
        """Take what has come: to the file first, then to the analysis."""
        frames = self._source.read()
        if not frames:
            return False
        self._write(frames)
        for event in self._live.feed(frames):
            self._say_hello(event)
        return True

    def _write(self, frames: Sequence[Frame]) -> None:
        ring = self._ring
        if ring is None:
            return
        try:
            if ring.is_due(time.time_ns()):
                now, counts = time.time_ns(), self._source.counts()
                self._count(counts)
                ring.turn(now, counts)
                self._live.turn(safe(str(ring.path), 4096), now)
            ring.add(frames)
            self._live.file.bytes = ring.size
        except OSError as error:
            self._ring = None
            self._live.turn(self._label, time.time_ns())
            self._note(f"{safe(str(ring.path), 4096)}: {error.strerror or error}: no more packets are kept")

    def _tend(self) -> None:
        """Do what is due besides taking packets."""
        now, steady = time.time_ns(), time.monotonic_ns()
        step = now - steady - self._steady
        if abs(step) > _STEP:
            self._steady += step
            self._live.clock_step(step, now)
            self._say(now, f"the clock was set by {step / SECOND:+.1f} s")
        if steady - self._checked >= _CHECK_EVERY:
            self._checked = steady
            for text in self._source.check():
                self._note(text)
        if self._judging is not None and self._judging.done():
            self._tell(self._judging.result(), now)
            self._cost = steady - self._judged
            self._judged = steady
            self._judging = None
        since = steady - self._judged
        if (
            self._judging is None
            and since >= _pause(self._cost)
            and (self._live.news or since >= _JUDGE_AT_LEAST)
        ):
            self._judge(now, steady)
        if steady - self._stats >= _STATS_EVERY:
            self._stats = steady
            self._show_counts(now)
        if steady - self._expired >= _EXPIRE_EVERY:
            self._expired = steady
            self._live.expire(now)

    def _judge(self, now: int, steady: int) -> None:
        """Begin to judge what is known; packets are taken meanwhile."""
        self._count(self._source.counts())
        self._judged = steady
        self._judging = self._judge_thread.submit(self._live.conclude, self._live.so_far(now))

    def _count(self, counts: Sequence[Counts]) -> None:
        """Have the file's drops in its record."""
        lost = sum(one.dropped + one.interface_dropped for one in counts)
        self._live.file.drops += lost - self._lost
        self._lost = lost

    def _finish(self) -> Diagnosis:
        self._judge_thread.shutdown()
        now = time.time_ns()
        counts = self._source.counts()
        self._count(counts)
        if self._ring is not None:
            try:
                self._ring.close(now, counts)
                self._live.file.bytes = self._ring.size
            except OSError as error:
                self._note(f"{safe(str(self._ring.path), 4096)}: {error.strerror or error}")
        diagnosis = self._live.finish(now)
        self._tell(diagnosis, now)
        self._show_counts(now)
        if self._lines:
            from amtdiag.report.jsonout import analysis_lines

            for line in analysis_lines(diagnosis):
                if line["event_type"] != "hello":  # said when they came
                    self._emit(line)
        else:
            from amtdiag.report.terminal import print_analysis

            print_analysis(diagnosis)
        return diagnosis

    # ------------------------------------------------------------------------------------------- what is said

    def _emit(self, line: dict[str, Any]) -> None:
        from amtdiag.report.jsonout import dumps

        sys.stdout.write(dumps(line) + "\n")
        sys.stdout.flush()

    def _say_hello(self, event: Any) -> None:
        if self._lines:
            from amtdiag.report.eve import hello_line

            self._emit(hello_line(event))
            return
        ends, hello = event.ends, event.hello
        what = f"Hello {hello.uuid or '?'} {ends.src} -> {ends.dst}:{ends.dport}, retry {hello.retry_count}"
        print(f"{_clock(event.ts)}  {what}", flush=True)

    def _tell(self, diagnosis: Diagnosis, now: int) -> None:
        self._devices = len(diagnosis.devices)
        gone = self._live.departures(diagnosis)
        if gone and self._lines:
            from amtdiag.report.eve import departed_line

            for one in gone:
                self._emit(departed_line(now, one._asdict()))
        alerts = self._live.alerts(diagnosis)
        if not alerts:
            return
        if self._lines:
            from amtdiag.report.eve import alert_line, flows_of

            flows = flows_of(diagnosis)
            for alert in alerts:
                self._emit(alert_line(alert, flows, now))
            return
        from amtdiag.report.names import device_names

        names = device_names(diagnosis.devices)
        for alert in alerts:
            who = f"{names.get(alert.device, alert.device)}: " if alert.device else ""
            print(f"{_clock(now)}  {alert.severity}: {who}{alert.summary}", flush=True)

    def _show_counts(self, now: int) -> None:
        counts = self._source.counts()
        if self._lines:
            from amtdiag.report.eve import stats_line

            self._emit(stats_line(now, self._began, self._source.taps, counts, self._devices))
            return
        parts = [
            f"{safe(tap.name)}: {one.received:,} received, {one.dropped:,} dropped by the kernel, "
            f"{one.interface_dropped:,} by the interface"
            for tap, one in zip(self._source.taps, counts, strict=True)
        ]
        print(f"{_clock(now)}  {'; '.join(parts)}; {self._devices:,} devices", flush=True)

    def _note(self, text: str) -> None:
        """Say something now, and in the report."""
        self._live.note(text)
        self._say(time.time_ns(), text)

    def _say(self, now: int, text: str) -> None:
        if self._lines:
            from amtdiag.report.eve import said_line

            self._emit(said_line(now, text))
        print(f"amtdiag: {text}", file=sys.stderr, flush=True)


def _pause(cost: int) -> int:
    """Return how long after a judgement that took so long the next may begin."""
    return max(_JUDGE_EVERY, min(cost * _SPARING, _SELDOM), cost * _SHARE)


def _clock(ts: int) -> str:
    from amtdiag.times import clock

    return clock(ts)


def _make_folder(folder: str) -> None:
    """Find out now whether the report can be written, not after days."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{safe(folder, 4096)}: {error.strerror or error}") from error
