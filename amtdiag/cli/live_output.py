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
        """A sink that prints, and in the end the report too."""

        def report(self, diagnosis: Diagnosis) -> None:
            """Print the report."""


def printer_for(*, jsonl: bool) -> Printer:
    """Return the sink that prints what happens, as JSON lines or as lines for people."""
    return EveLines() if jsonl else PlainLines()


class EveLines:
    """A JSON object a line, in the shape of Suricata's EVE."""

    counts_every = 60 * SECOND

    def hello(self, event: HelloEvent) -> None:
        """Print a Hello."""
        from amtdiag.report.formats.eve import hello_line

        self._emit(hello_line(event))

    def prepare(self, news: Update) -> None:
        """Have nothing to prepare: lines are quickly made."""

    def judged(self, news: Update) -> None:
        """Print alerts that are new or withdrawn, devices that left, and facts."""
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
        for withdrawn in news.withdrawn:
            self._emit(eve.withdrawn_line(withdrawn, flows, news.now))
        for alert in news.raised:
            self._emit(eve.alert_line(alert, flows, news.now))

    def counted(self, counters: Counters) -> None:
        """Print what the kernel counted."""
        from amtdiag.report.formats.eve import stats_line

        self._emit(stats_line(counters))

    def noted(self, now: int, text: str) -> None:
        """Print a note, on standard error too."""
        from amtdiag.report.formats.eve import note_line

        self._emit(note_line(now, text))
        print(f"amtdiag: {text}", file=sys.stderr, flush=True)

    def report(self, diagnosis: Diagnosis) -> None:
        """Print the whole diagnosis, less the Hellos, which were printed when they came."""
        from amtdiag.report.formats.json import analysis_lines

        for line in analysis_lines(diagnosis):
            if line["event_type"] != "hello":
                self._emit(line)

    def _emit(self, line: dict[str, Any]) -> None:
        from amtdiag.report.formats.json import dumps

        sys.stdout.write(dumps(line) + "\n")
        sys.stdout.flush()


class PlainLines:
    """A line for people who watch."""

    counts_every = 60 * SECOND

    def hello(self, event: HelloEvent) -> None:
        """Print a Hello."""
        ends, hello = event.ends, event.hello
        what = f"Hello {hello.uuid or '?'} {ends.src} -> {ends.dst}:{ends.dport}, retry {hello.retry_count}"
        print(f"{clock(event.ts)}  {what}", flush=True)

    def prepare(self, news: Update) -> None:
        """Have nothing to prepare: lines are quickly made."""

    def judged(self, news: Update) -> None:
        """Print alerts that are new or withdrawn since the last diagnosis."""
        if not (news.raised or news.withdrawn):
            return
        from amtdiag.report.device_names import device_names

        names = device_names(news.diagnosis.devices)
        alerts = [(old.finding, "withdrawn", f" ({old.reason})") for old in news.withdrawn]
        alerts += [(finding, finding.severity, "") for finding in news.raised]
        for finding, word, why in alerts:
            who = f"{names.get(finding.device, finding.device)}: " if finding.device else ""
            print(f"{clock(news.now)}  {word}: {who}{finding.summary}{why}", flush=True)

    def counted(self, counters: Counters) -> None:
        """Print what the kernel counted."""
        parts = [
            f"{safe(tap.name)}: {count.received:,} received, {count.dropped:,} dropped by the kernel, "
            f"{count.interface_dropped:,} by the interface"
            for tap, count in zip(counters.taps, counters.counts, strict=True)
        ]
        print(f"{clock(counters.now)}  {'; '.join(parts)}; {counters.devices:,} devices", flush=True)

    def noted(self, now: int, text: str) -> None:  # noqa: ARG002 - a person sees when it comes
        """Print a note, on standard error."""
        print(f"amtdiag: {text}", file=sys.stderr, flush=True)

    def report(self, diagnosis: Diagnosis) -> None:
        """Print the whole diagnosis."""
        from amtdiag.report.formats.terminal import print_analysis

        print_analysis(diagnosis)
