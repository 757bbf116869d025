"""What `amtdiag live` prints: lines for people, or JSON lines in the shape of Suricata's EVE."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from amtdiag.safetext import safe
from amtdiag.times import SECOND, clock

if TYPE_CHECKING:
    from amtdiag.live.diff import Update
    from amtdiag.live.loop import Counters, Sink
    from amtdiag.model import Diagnosis, HelloEvent

    class Printer(Sink, Protocol):
        """A teller that prints, and in the end the report too."""

        def report(self, diagnosis: Diagnosis) -> None:
            """Print the report."""


def told_by(*, jsonl: bool) -> Printer:
    """Return who prints what happens."""
    return EveLines() if jsonl else PlainLines()


class EveLines:
    """An object a line."""

    counts_every = 60 * SECOND

    def hello(self, event: HelloEvent) -> None:
        """See `Sink`."""
        from amtdiag.report.formats.eve import hello_line

        self._emit(hello_line(event))

    def prepare(self, news: Update) -> None:
        """See `Sink`."""

    def judged(self, news: Update) -> None:
        """See `Sink`."""
        if not (news.departed or news.raised or news.withdrawn or news.facts):
            return
        from amtdiag.report.formats import eve

        for gone in news.departed:
            self._emit(eve.departed_line(news.now, gone._asdict()))
        for fact in news.facts:
            self._emit(eve.fact_line(fact))
        if not (news.raised or news.withdrawn):
            return
        flows = eve.flows_of(news.diagnosis)
        for one in news.withdrawn:
            self._emit(eve.withdrawn_line(one, flows, news.now))
        for alert in news.raised:
            self._emit(eve.alert_line(alert, flows, news.now))

    def counted(self, counters: Counters) -> None:
        """See `Sink`."""
        from amtdiag.report.formats.eve import stats_line

        self._emit(stats_line(counters))

    def said(self, now: int, text: str) -> None:
        """See `Sink`."""
        from amtdiag.report.formats.eve import said_line

        self._emit(said_line(now, text))
        print(f"amtdiag: {text}", file=sys.stderr, flush=True)

    def report(self, diagnosis: Diagnosis) -> None:
        """See `Printer`."""
        from amtdiag.report.formats.json import analysis_lines

        for line in analysis_lines(diagnosis):
            if line["event_type"] != "hello":  # said when they came
                self._emit(line)

    def _emit(self, line: dict[str, Any]) -> None:
        from amtdiag.report.formats.json import dumps

        sys.stdout.write(dumps(line) + "\n")
        sys.stdout.flush()


class PlainLines:
    """A line for whoever watches."""

    counts_every = 60 * SECOND

    def hello(self, event: HelloEvent) -> None:
        """See `Sink`."""
        ends, hello = event.ends, event.hello
        what = f"Hello {hello.uuid or '?'} {ends.src} -> {ends.dst}:{ends.dport}, retry {hello.retry_count}"
        print(f"{clock(event.ts)}  {what}", flush=True)

    def prepare(self, news: Update) -> None:
        """See `Sink`."""

    def judged(self, news: Update) -> None:
        """See `Sink`."""
        if not (news.raised or news.withdrawn):
            return
        from amtdiag.report.device_names import device_names

        names = device_names(news.diagnosis.devices)
        told = [(one.finding, "withdrawn", f" ({one.reason})") for one in news.withdrawn]
        told += [(one, one.severity, "") for one in news.raised]
        for one, word, why in told:
            who = f"{names.get(one.device, one.device)}: " if one.device else ""
            print(f"{clock(news.now)}  {word}: {who}{one.summary}{why}", flush=True)

    def counted(self, counters: Counters) -> None:
        """See `Sink`."""
        parts = [
            f"{safe(tap.name)}: {one.received:,} received, {one.dropped:,} dropped by the kernel, "
            f"{one.interface_dropped:,} by the interface"
            for tap, one in zip(counters.taps, counters.counts, strict=True)
        ]
        print(f"{clock(counters.now)}  {'; '.join(parts)}; {counters.devices:,} devices", flush=True)

    def said(self, now: int, text: str) -> None:  # noqa: ARG002 - a person sees when it is said
        """See `Sink`."""
        print(f"amtdiag: {text}", file=sys.stderr, flush=True)

    def report(self, diagnosis: Diagnosis) -> None:
        """See `Printer`."""
        from amtdiag.report.formats.terminal import print_analysis

        print_analysis(diagnosis)
