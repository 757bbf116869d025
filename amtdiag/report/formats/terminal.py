"""The terminal report: the verdict first, then every troubled device, then what to do about each cause.

Text from a capture has passed `safetext.safe` and reaches rich as `Text`, never as markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from amtdiag.model import DeviceRecord, Diagnosis, Finding, HelloRecord
from amtdiag.report.causes import device_count, grouped
from amtdiag.report.console import Command, indented, print_parts
from amtdiag.report.device_names import device_names
from amtdiag.report.overview import all_notes, capture_span, count_unknowns
from amtdiag.report.story import device_filter, own_root_line, stories, tshark_command
from amtdiag.report.verdict import label_of, title_of, trouble, troubled_first, verdict
from amtdiag.report.wording import (
    HELLO_TYPES,
    LANES,
    OUTCOME_STYLES,
    SEVERITY_STYLES,
    count_devices,
    stage_name,
)
from amtdiag.times import clock, span
from amtdiag.trust.verdicts import VERDICTS

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_MAX_DEVICES = 20
_MAX_EXAMPLES = 3
"""Findings of a cause, and unknowns."""
_MAX_STORIES = 4
_MAX_NOTES = 12
_SELDOM = "rmcp"
"""Devices are rarely pinged: that it is not seen is nothing to mention."""


def print_analysis(diagnosis: Diagnosis, console: Console | None = None) -> None:
    """Print the report to standard output, or to `console`."""
    print_parts(analysis_parts(diagnosis), console)


def analysis_parts(diagnosis: Diagnosis) -> Iterable[RenderableType]:
    """Yield the report piece by piece."""
    names = device_names(diagnosis.devices)
    yield _header(diagnosis)
    yield Text(_seen(diagnosis), style="dim")
    yield Text()
    yield Text(verdict(diagnosis), style="bold")
    if diagnosis.devices:
        yield Text()
        yield Padding(_device_table(diagnosis, names), (0, 0, 0, 2), expand=False)
        if len(diagnosis.devices) > _MAX_DEVICES:
            more = len(diagnosis.devices) - _MAX_DEVICES
            yield indented(f"... and {more:,} more devices (all of them: --json or -o)")
    if diagnosis.own_root is not None:
        yield Text()
        yield Text(own_root_line(diagnosis.own_root))
    groups = grouped(diagnosis.findings)
    for findings in groups:
        if findings[0].severity != "info":
            yield Text()
            yield from _cause(findings, names)
    yield from _stories(diagnosis, names)
    for findings in groups:
        if findings[0].severity == "info":
            yield Text()
            yield from _cause(findings, names)
    if diagnosis.unknowns:
        yield Text()
        yield Text("Cannot be known from this capture", style="bold")
        yield from _unknowns(diagnosis)
    notes = all_notes(diagnosis)
    if notes:
        yield Text()
        yield Text("About the capture", style="bold")
        for note in notes[:_MAX_NOTES]:
            yield indented(note)
        if len(notes) > _MAX_NOTES:
            yield indented(f"... and {len(notes) - _MAX_NOTES} more notes (see --json)")


def _header(diagnosis: Diagnosis) -> Text:
    captures = diagnosis.captures
    name = captures[0].file if len(captures) == 1 else f"{len(captures)} files"
    parts = [name, f"{sum(capture.packets for capture in captures):,} packets"]
    times = capture_span(diagnosis)
    if times is not None:
        parts.append(f"{clock(times[0])} UTC, {span(times[1] - times[0])}")
    return Text(" · ".join(parts))


def _seen(diagnosis: Diagnosis) -> str:
    """Name the lanes that the capture shows for at least one device."""
    if not diagnosis.devices:
        return "Looked for Hellos on any port, connections to ports 9971 and 9972, DNS, RMCP."
    seen = [
        text
        for lane, text in LANES.items()
        if any(device.visibility.get(lane) for device in diagnosis.devices)
    ]
    unseen = [text for lane, text in LANES.items() if text not in seen and lane != _SELDOM]
    line = f"Seen here: {', '.join(seen) or 'nothing'}."
    if unseen:
        line += f" Not seen: {', '.join(unseen)}."
    return line


def _device_table(diagnosis: Diagnosis, names: dict[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("Device", "Address", "Hello", "Mode", "Stopped at", "Because"):
        table.add_column(heading, overflow="fold")
    for device in troubled_first(diagnosis.devices)[:_MAX_DEVICES]:
        cause = trouble(device)
        table.add_row(
            Text(names[device.id]),
            Text(device.ips[-1] if device.ips else "-"),
            Text(_hello_text(device)),
            Text(f"{device.mode.name.capitalize()}"),
            Text(stage_name(device.stage) if device.state == "stuck" else "-"),
            Text("-") if cause is None else Text(label_of(cause.rule), style=SEVERITY_STYLES[cause.severity]),
        )
    return table


def _stories(diagnosis: Diagnosis, names: dict[str, str]) -> Iterable[RenderableType]:
    """What each troubled device went through, those that fare alike once."""
    shown, left_out = stories(diagnosis, _MAX_STORIES)
    for story in shown:
        device = story.device
        heading = Text(f"{names[device.id]}, step by step", style="bold")
        if story.others:
            more = "1 other device fares" if story.others == 1 else f"{story.others:,} other devices fare"
            heading.append(f"  {more} alike", style="not bold dim")
        yield Text()
        yield heading
        grid = Table.grid(padding=(0, 1, 0, 0))
        for _ in range(3):
            grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for step in story.steps:
            style = OUTCOME_STYLES[step.outcome]
            grid.add_row(
                Text(f"  {clock(step.ts)[11:]}", style="dim"),
                Text(step.stage),
                Text(step.outcome, style=style),
                Text(step.detail),
            )
        yield grid
        mode = device.mode
        yield _labelled("Mode", f"{mode.name.capitalize()} ({mode.basis}: {mode.reason})")
        fitting = [schedule for schedule in device.schedules if schedule.fits]
        if fitting:
            yield _labelled("Gaps", f"like those in the {fitting[0].documented_by}: {fitting[0].text}")
        command = tshark_command(story.cause, device_filter(device))
        if command:
            yield Command(f"  Look: {command}")
    if left_out:
        yield Text()
        yield indented(f"... and {left_out:,} more troubled devices (all of them: --json or -o)")


def _hello_text(device: DeviceRecord) -> str:
    kind = HELLO_TYPES.get(device.hello_type, "none")
    return f"{kind} x{device.hellos}" if device.hellos else kind


def _cause(findings: Sequence[Finding], names: dict[str, str]) -> Iterable[RenderableType]:
    first = findings[0]
    heading = Text(title_of(first.rule), style=SEVERITY_STYLES[first.severity] + " bold")
    facts: list[str] = [first.severity, first.basis]
    if first.overcome:
        facts.append("overcome")
    if first.catalogue:
        facts.insert(0, first.catalogue)
    devices = device_count(findings)
    if devices:
        facts.append(count_devices(devices))
    heading.append("  " + " · ".join(facts), style="not bold dim")
    yield heading
    most = 1 if first.severity == "info" else _MAX_EXAMPLES
    for finding in findings[:most]:
        who = f"{names[finding.device]}: " if finding.device in names and devices > 1 else ""
        yield indented(f"{who}{finding.summary}")
    if len(findings) > most:
        yield indented(f"... and {len(findings) - most:,} more")
    for number, candidate in enumerate(first.candidates, 1):
        yield indented(f"{number}. {candidate.cause}? To decide: {candidate.would_decide}", 4)
    yield _labelled("Do", first.remedy)
    command = tshark_command(first)
    if command and first.severity != "info":
        yield Command(f"  Look: {command}")


def _unknowns(diagnosis: Diagnosis) -> Iterable[RenderableType]:
    shown = list(count_unknowns(diagnosis).items())
    for (what, why, would_decide), count in shown[:_MAX_EXAMPLES]:
        many = f" ({count} devices)" if count > 1 else ""
        yield indented(f"{what[0].upper()}{what[1:]}{many}: {why}. To decide: {would_decide}.")
    if len(shown) > _MAX_EXAMPLES:
        yield indented(f"... and {len(shown) - _MAX_EXAMPLES:,} more (see --json)")


def _labelled(label: str, text: str) -> Table:
    """A label and a text beside it that wraps under itself."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=len("  Look:"))
    grid.add_column(overflow="fold")
    grid.add_row(Text(f"  {label}:", style="bold"), Text(text))
    return grid


def print_hellos(diagnosis: Diagnosis, console: Console | None = None) -> None:
    """Print every Hello: when, from where to where; below it who and what; below that what is odd."""
    print_parts(_hello_parts(diagnosis), console)


def _hello_parts(diagnosis: Diagnosis) -> Iterable[RenderableType]:
    if not diagnosis.hellos:
        yield Text("No Hello in this capture.")
    for record in diagnosis.hellos:
        event, hello = record.event, record.event.hello
        ends, first = event.ends, event.evidence[0]
        retry = "?" if hello.retry_count is None else hello.retry_count
        frame = f"{first.file} " if len(diagnosis.captures) > 1 else ""
        yield Text(f"{clock(event.ts)}  {ends.src} > {ends.dst} port {ends.dport}  ") + Text(
            f"{HELLO_TYPES[hello.type]}, retry {retry}", style="bold"
        )
        yield indented(f"{hello.uuid or 'UUID not readable'}  {frame}frame {first.frame}", 4)
        if hello.type == "psk":
            yield indented(f"PID {hello.pid or 'not readable'}", 4)
        elif record.digests:
            yield indented(_digest_line(record), 4)
        for problem in hello.problems:
            yield Padding(Text(problem, style="yellow"), (0, 0, 0, 4), expand=False)


def _digest_line(record: HelloRecord) -> str:
    verdicts = Counter(judged.verdict for judged in record.digests)
    parts = [f"{verdicts[verdict]} {verdict}" for verdict in VERDICTS if verdicts[verdict]]
    return f"{len(record.digests)} digests: {', '.join(reversed(parts))}"
