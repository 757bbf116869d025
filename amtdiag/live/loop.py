"""The loop of a live capture: packets are taken, kept and fed; beside that, in a thread, they are judged.

What comes of it goes to a `Sink`: lines, the screen, or none. The loop never waits for a sink that
draws: such a one only takes note, and draws in a thread of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol

from amtdiag.capture.live.ring_buffer import RingBuffer, RingOptions
from amtdiag.capture.live.source import Counts, LivePacket, LiveSource, Tap
from amtdiag.capture.prefilter.bpf import SNAP_LENGTH
from amtdiag.config import Options
from amtdiag.live.diff import AlertTracker, Update
from amtdiag.live.engine import Live
from amtdiag.model import Diagnosis, HelloEvent
from amtdiag.safetext import safe
from amtdiag.times import SECOND

_TICK = 0.25
"""Seconds without a packet until other work is looked at."""
_LAST_WAIT = 0.15
"""Seconds after the end in which the kernel hands over what has gathered (`capture.mapped`)."""
_LAST_READS = 512
"""Batches that are taken then."""
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


class Counters(NamedTuple):
    """Where the capture stands."""

    now: int
    since: int
    """When it began."""
    taps: Sequence[Tap]
    counts: Sequence[Counts]
    packets: int
    """Taken from the kernel so far."""
    devices: int
    file: str | None
    """Which is being written, safe to show."""
    facts_left_out: int


class Sink(Protocol):
    """Who says what happens. All but `prepare` are called in the thread that takes the packets."""

    counts_every: int
    """Nanoseconds between two calls of `counted`."""

    def hello(self, event: HelloEvent) -> None:
        """A Hello has come."""

    def prepare(self, news: Update) -> None:
        """Work out what takes time, in the thread that judges, before `judged` is called with the same."""

    def judged(self, news: Update) -> None:
        """There is a new diagnosis."""

    def counted(self, counters: Counters) -> None:
        """Where the capture stands."""

    def noted(self, now: int, text: str) -> None:
        """Something happened to the capture itself."""


class CaptureSettings(NamedTuple):
    """What a run is to do besides watching."""

    file: Path | None = None
    """Where packets are kept."""
    ring: RingOptions = RingOptions()
    seconds: float | None = None
    """When to end; None for not by itself."""
    packets: int | None = None
    """After how many to end."""
    stuck_after: int = 0
    """Nanoseconds after which a device that does not get on is an alert; 0 for never."""


class CaptureLoop:
    """One run."""

    def __init__(self, source: LiveSource, options: Options, plan: CaptureSettings, sink: Sink) -> None:
        """Begin. Raises `UsageError` where the file cannot be written."""
        self.sink = sink
        self._source = source
        self._plan = plan
        self._began = time.time_ns()
        self._steady = self._began - time.monotonic_ns()
        self._ring: RingBuffer | None = None
        self.names = ", ".join(safe(tap.name) for tap in source.taps)
        label = self._label = "live:" + ",".join(safe(tap.name) for tap in source.taps)
        if plan.file is not None:
            self._ring = RingBuffer(plan.file, plan.ring, source.taps, SNAP_LENGTH, self._began)
            label = safe(str(self._ring.path), 4096)
        self._live = Live(label, source.taps, options)
        self._desk = AlertTracker(self._live, plan.stuck_after, options.servers)
        self._judged = self._counted = self._expired = self._checked = time.monotonic_ns()
        self._cost: int | None = None
        """Nanoseconds that a judgement took; None before the first."""
        self._judge_thread = ThreadPoolExecutor(1)
        self._judging: Future[tuple[Update, int]] | None = None
        self._lost = 0
        self._devices = 0
        self._facts_left_out = 0

    def run(self, is_told: Callable[[], bool]) -> Diagnosis:
        """Capture until told to stop, or until the plan says so; return what was seen."""
        end = None if self._plan.seconds is None else time.monotonic() + self._plan.seconds
        most = self._plan.packets
        try:
            while not is_told() and (end is None or time.monotonic() < end):
                if self._source.wait(_TICK):
                    self._take()
                self._tend()
                if most is not None and self._live.packets >= most:
                    break
        finally:
            self._judge_thread.shutdown()
        last = time.monotonic() + _LAST_WAIT
        for _ in range(_LAST_READS if most is None else 0):
            if not self._source.wait(max(last - time.monotonic(), 0)) or not self._take():
                break
        return self._finish()

    def _take(self) -> bool:
        """Take what has come: to the file first, then to the analysis."""
        frames = self._source.read()
        if self._plan.packets is not None:
            frames = frames[: max(self._plan.packets - self._live.packets, 0)]
        if not frames:
            return False
        self._write(frames)
        for event in self._live.feed(frames):
            self.sink.hello(event)
        return True

    def _write(self, frames: Sequence[LivePacket]) -> None:
        ring = self._ring
        if ring is None:
            return
        try:
            if ring.is_due(time.time_ns()):
                now, counts = time.time_ns(), self._source.counts()
                self._add_drops(counts)
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
            self._desk.alarms.clock_step(step)
            self.sink.noted(now, f"the clock was set by {step / SECOND:+.1f} s")
        if steady - self._checked >= _CHECK_EVERY:
            self._checked = steady
            for text in self._source.check():
                self._note(text)
        if self._judging is not None and self._judging.done():
            news, cost = self._judging.result()
            self._tell(news)
            # What the first takes is for the most part to import the rules.
            self._cost = 0 if self._cost is None else cost
            self._judged = steady
            self._judging = None
        since = steady - self._judged
        if (
            self._judging is None
            and since >= _pause(self._cost or 0)
            and (self._live.news or since >= _JUDGE_AT_LEAST)
        ):
            self._judge(now, steady)
        if steady - self._counted >= self.sink.counts_every:
            self._counted = steady
            self._count(now)
        if steady - self._expired >= _EXPIRE_EVERY:
            self._expired = steady
            self._live.expire(now)

    def _judge(self, now: int, steady: int) -> None:
        """Begin to judge what is known; packets are taken meanwhile."""
        self._add_drops(self._source.counts())
        self._judged = steady
        seen, over = self._live.so_far(now), self._live.over()

        def work() -> tuple[Update, int]:
            news = self._desk.look(seen, over, now)
            self.sink.prepare(news)
            return news, time.monotonic_ns() - steady

        self._judging = self._judge_thread.submit(work)

    def _add_drops(self, counts: Sequence[Counts]) -> None:
        """Have the file's drops in its record."""
        lost = sum(one.dropped + one.interface_dropped for one in counts)
        self._live.file.drops += lost - self._lost
        self._lost = lost

    def _finish(self) -> Diagnosis:
        now = time.time_ns()
        if self._judging is not None:
            self._tell(self._judging.result()[0])
        counts = self._source.counts()
        self._add_drops(counts)
        if self._ring is not None:
            try:
                self._ring.close(now, counts)
                self._live.file.bytes = self._ring.size
            except OSError as error:
                self._note(f"{safe(str(self._ring.path), 4096)}: {error.strerror or error}")
        diagnosis = self._live.finish(now)
        news = self._desk.sift(diagnosis, self._live.over(), now)
        self.sink.prepare(news)
        self._tell(news)
        self._count(now)
        return diagnosis

    # ------------------------------------------------------------------------------------------- what is said

    def _tell(self, news: Update) -> None:
        self._devices = len(news.diagnosis.devices)
        self._facts_left_out += news.facts_left_out
        self.sink.judged(news)

    def _count(self, now: int) -> None:
        self.sink.counted(
            Counters(
                now,
                self._began,
                self._source.taps,
                self._source.counts(),
                self._live.packets,
                self._devices,
                None if self._ring is None else safe(str(self._ring.path), 4096),
                self._facts_left_out,
            )
        )

    def _note(self, text: str) -> None:
        """Say something now, and in the report."""
        self._live.note(text)
        self.sink.noted(time.time_ns(), text)


def _pause(cost: int) -> int:
    """Return how long after a judgement that took so long the next may begin."""
    return max(_JUDGE_EVERY, min(cost * _SPARING, _SELDOM), cost * _SHARE)
