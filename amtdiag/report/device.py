"""One device of a diagnosis, to look at in a notebook or a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from amtdiag.model import SEVERITIES, DeviceRecord, Diagnosis, Finding, HelloRecord
from amtdiag.report.device_names import device_names
from amtdiag.report.notebook.markup import bold, code, facts, folded, page, table, text
from amtdiag.report.notebook.records import finding_facts, headline, record_html
from amtdiag.report.story import device_filter, steps_of
from amtdiag.report.timezones import Wanted
from amtdiag.report.verdict import title_of, trouble
from amtdiag.rules.base import frames
from amtdiag.safetext import plain
from amtdiag.times import clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console, ConsoleOptions, RenderableType

_MOST_FINDINGS = 12
_MOST_HELLOS = 30


class Device:
    """A device: its record, what was found about it, and its Hellos.

    `Analysis.device` gives it. In Jupyter it shows its story stage by stage, each finding with what to do
    and a filter for Wireshark, and its last list of roots with a verdict on each. rich prints the story.
    """

    def __init__(self, diagnosis: Diagnosis, record: DeviceRecord) -> None:
        self._diagnosis = diagnosis
        self.record = record
        """All that is known of it: `amtdiag.model.DeviceRecord`."""
        own = [one for one in diagnosis.findings if one.device == record.id]
        self.findings: tuple[Finding, ...] = tuple(
            sorted(own, key=lambda one: (one.overcome, -SEVERITIES.index(one.severity)))
        )
        """Gravest first; what was overcome comes last."""
        self.hellos: tuple[HelloRecord, ...] = tuple(
            one for one in diagnosis.hellos if one.device == record.id
        )
        """In the order of time."""

    @property
    def id(self) -> str:
        """As in the column `device` of the tables."""
        return self.record.id

    @property
    def name(self) -> str:
        """A short name, unique in this diagnosis."""
        return device_names(self._diagnosis.devices)[self.id]

    @property
    def address(self) -> str | None:
        """Its last address."""
        return self.record.ips[-1] if self.record.ips else None

    @property
    def stuck(self) -> bool:
        """Something in the captures is proven to stop it."""
        return self.record.state == "stuck"

    @property
    def verdict(self) -> str:
        """Where it stands, in one sentence."""
        stage = self.record.stage.replace("_", "-")
        if self.record.state == "unclear":
            return f"Whether anything stops it cannot be told from this capture; it came as far as {stage}."
        first = trouble(self.record)
        if first is None:
            return f"Nothing in this capture stops it; it came as far as {stage}."
        title = title_of(first.rule) + (f" ({first.catalogue})" if first.catalogue else "")
        if self.stuck:
            return f"Stopped at {stage}: {title}."
        return f"Not proven to be stuck; came as far as {stage}. First to look at: {title}."

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON says of it, with its `findings` and `hello_messages`, as dicts and lists."""
        from amtdiag.report.formats.json import device_json, finding_json, hello_json

        return {
            **device_json(self.record),
            "findings": [finding_json(one) for one in self.findings],
            "hello_messages": [hello_json(one) for one in self.hellos],
        }

    def timeline(self, ax: Axes | None = None, tz: Wanted = "UTC") -> Axes:
        """Draw what it and its server did; `ax` and `tz` as for `Analysis.timeline`."""
        from amtdiag.report import charts

        return charts.device_timeline(self._diagnosis, self.id, ax, tz)

    def failures(self, ax: Axes | None = None) -> Axes:
        """Draw what was found about it."""
        from amtdiag.report import charts

        return charts.device_failures(self._diagnosis, self.id, ax)

    def retry_gaps(self, ax: Axes | None = None) -> Axes:
        """Draw how long it waited before each of its Hellos."""
        from amtdiag.report import charts

        return charts.device_retry_gaps(self._diagnosis, self.id, ax)

    def __repr__(self) -> str:
        return f"<amtdiag.Device {plain(self.name, 80)}: {plain(self.verdict, 300)}>"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Print the story, the findings and what to do."""
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        yield Text(f"{plain(self.name, 80)}  {plain(self.address or '', 80)}".rstrip(), style="bold")
        yield Text(plain(self.verdict, 400))
        story = Table.grid(padding=(0, 2))
        for step in steps_of(self.record):
            cells = (clock(step.ts)[11:], step.stage, step.outcome, step.detail)
            story.add_row(*(Text(plain(one, 300)) for one in cells))
        yield Padding(story, (0, 0, 0, 2))
        for one in self.findings[:_MOST_FINDINGS]:
            yield Text(plain(headline(one, title_of(one.rule)), 300), style="bold")
            yield Text(f"  {plain(one.summary, 600)}")
            yield Text(f"  To do: {plain(one.remedy, 600)}")

    def _repr_html_(self) -> str:
        """Show the whole of it."""
        record = self.record
        parts = [
            bold(f"{self.name}: {self.verdict}"),
            facts(
                (
                    ("UUID", text(record.uuid) if record.uuid else None),
                    ("Addresses", text(" ".join(record.ips))),
                    ("MAC", text(" ".join(record.macs))),
                    ("Mode", text(f"{record.mode.name}, {record.mode.basis}: {record.mode.reason}")),
                    ("Server", text(record.server) if record.server else None),
                    ("DNS suffix", text(record.suffix) if record.suffix else None),
                    ("Consistent with", text(record.firmware) if record.firmware else None),
                    ("Hellos", f"{record.hellos:,}"),
                    ("Seen", f"{clock(record.first_seen)} to {clock(record.last_seen)} UTC"),
                    ("Wireshark filter", code(device_filter(record), 600)),
                )
            ),
            *self._story_html(),
            *self._findings_html(),
        ]
        listing = next((one for one in reversed(self.hellos) if one.digests), None)
        if listing is not None:
            parts.append(folded("Its last Hello with a list of roots", record_html(listing)))
        if len(self.hellos) > 1:
            parts.append(folded("Its Hellos", self._hellos_html()))
        return page(*parts)

    def _story_html(self) -> Iterable[str]:
        if not self.record.stages:
            return
        rows = (
            (
                f"{clock(one.at)} UTC",
                text(one.name.replace("_", "-")),
                text({True: "passed", False: "failed", None: "open"}[one.passed]),
                text(f"{one.detail} ({frames(one.evidence, 3)})" if one.evidence else one.detail, 600),
                text(one.basis),
            )
            for one in self.record.stages
        )
        yield table(("When", "Stage", "Outcome", "What happened", "Basis"), rows)

    def _findings_html(self) -> Iterable[str]:
        for one in self.findings[:_MOST_FINDINGS]:
            yield bold(headline(one, title_of(one.rule)))
            yield facts(finding_facts(one))
        if len(self.findings) > _MOST_FINDINGS:
            yield f"<p>and {len(self.findings) - _MOST_FINDINGS:,} more: see <code>.findings</code></p>"

    def _hellos_html(self) -> str:
        rows = (
            (
                f"{clock(one.event.ts)} UTC",
                "" if one.event.hello.retry_count is None else str(one.event.hello.retry_count),
                str(len(one.digests)),
                "whole" if one.event.hello.complete else "not whole",
                text(frames(one.event.evidence, 3)),
            )
            for one in self.hellos[:_MOST_HELLOS]
        )
        more = len(self.hellos) - _MOST_HELLOS
        rest = f"<p>and {more:,} more: see <code>.hellos</code></p>" if more > 0 else ""
        return table(("When", "Retry", "Digests", "", "Frames"), rows) + rest
