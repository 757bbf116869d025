"""One device of a diagnosis, to look at in a notebook or a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from amtdiag.model import SEVERITIES, DeviceRecord, Diagnosis, Finding, HelloRecord
from amtdiag.report.device_names import device_names
from amtdiag.report.story import steps_of
from amtdiag.report.timezones import Wanted
from amtdiag.report.verdict import title_of, trouble
from amtdiag.report.wording import stage_name
from amtdiag.safetext import plain
from amtdiag.times import clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console, ConsoleOptions, RenderableType


class Device:
    """A device: its record, what was found about it, and its Hellos.

    `Analysis.device` gives it. In Jupyter it shows its story stage by stage, each finding with what to do
    and a filter for Wireshark, and its last list of roots with a verdict on each. rich prints the story.
    """

    def __init__(self, diagnosis: Diagnosis, record: DeviceRecord) -> None:
        self._diagnosis = diagnosis
        self.record = record
        """All that is known of it: `amtdiag.model.DeviceRecord`."""
        own = [finding for finding in diagnosis.findings if finding.device == record.id]
        self.findings: tuple[Finding, ...] = tuple(
            sorted(own, key=lambda finding: (finding.overcome, -SEVERITIES.index(finding.severity)))
        )
        """Gravest first; what was overcome comes last."""
        self.hellos: tuple[HelloRecord, ...] = tuple(
            hello for hello in diagnosis.hellos if hello.device == record.id
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
        stage = stage_name(self.record.stage)
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
            "findings": [finding_json(finding) for finding in self.findings],
            "hello_messages": [hello_json(hello) for hello in self.hellos],
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

        from amtdiag.report.notebook.html import MAX_FINDINGS, headline

        yield Text(f"{plain(self.name, 80)}  {plain(self.address or '', 80)}".rstrip(), style="bold")
        yield Text(plain(self.verdict, 400))
        story = Table.grid(padding=(0, 2))
        for step in steps_of(self.record):
            cells = (clock(step.ts)[11:], step.stage, step.outcome, step.detail)
            story.add_row(*(Text(plain(cell, 300)) for cell in cells))
        yield Padding(story, (0, 0, 0, 2))
        for finding in self.findings[:MAX_FINDINGS]:
            yield Text(plain(headline(finding, title_of(finding.rule)), 300), style="bold")
            yield Text(f"  {plain(finding.summary, 600)}")
            yield Text(f"  To do: {plain(finding.remedy, 600)}")

    def _repr_html_(self) -> str:
        """Show the whole of it."""
        from amtdiag.report.notebook.html import html_of

        listing = next((record for record in reversed(self.hellos) if record.digests), None)
        return html_of("device", self, list(steps_of(self.record)), listing)
