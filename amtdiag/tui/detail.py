"""One device in full: what was found, how far it came, what happened when."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from amtdiag.live.rules import TITLES
from amtdiag.model import DeviceRecord, Diagnosis, Finding
from amtdiag.report.story import device_filter, steps_of
from amtdiag.report.verdict import title_of
from amtdiag.report.wording import OUTCOME_STYLES, SEVERITY_STYLES, stage_name
from amtdiag.safetext import plain
from amtdiag.tables.event import Event, all_events
from amtdiag.times import clock

_MAX_EVENTS = 100
_MAX_FINDINGS = 20
_MAX_NAMES = 6
"""Addresses, and MACs."""


def detail_of(diagnosis: Diagnosis, device_id: str) -> Text:
    """Return what there is to say of a device, or that it is gone."""
    device = next(
        (device for device in diagnosis.devices if device_id == device.id or device_id in device.aliases),
        None,
    )
    if device is None:
        return Text("This device is not listed any more.", style="dim")
    text = Text(no_wrap=False, overflow="fold")
    for part in _parts(diagnosis, device):
        text.append_text(part)
        text.append("\n")
    text.rstrip()
    lines = text.plain.split("\n")
    if not all(map(str.isprintable, lines)):  # what slipped through is shown, and the colours are not
        return Text("\n".join(map(plain, lines)))
    return text


def _parts(diagnosis: Diagnosis, device: DeviceRecord) -> Iterator[Text]:
    yield _labelled("Device", device.uuid or device.id)
    yield _labelled("Mode", f"{device.mode.name.capitalize()} ({device.mode.basis}: {device.mode.reason})")
    found = [finding for finding in diagnosis.findings if finding.device == device.id]
    for finding in found[:_MAX_FINDINGS]:
        yield Text()
        yield from _finding(finding)
    yield Text()
    yield Text("Step by step", style="bold")
    for step in steps_of(device):
        line = Text(f"{clock(step.ts)[11:]} ", style="dim")
        line.append(f"{step.stage} ", style="not dim")
        line.append(f"{step.outcome} ", style=f"not dim {OUTCOME_STYLES[step.outcome]}")
        line.append(step.detail, style="not dim")
        yield line
    for gap in diagnosis.unknowns:
        if gap.device == device.id:
            yield _labelled("Not known", f"{gap.what}: {gap.why}. To decide: {gap.would_decide}.")
    yield Text()
    yield Text("Timeline, newest first", style="bold")
    events = all_events(_only(diagnosis, device))
    for event in events[: -_MAX_EVENTS - 1 : -1]:
        yield _event(event)
    if len(events) > _MAX_EVENTS:
        yield Text(f"... and {len(events) - _MAX_EVENTS:,} earlier ones", style="dim")
    yield Text()
    places = ", ".join((*device.ips[-_MAX_NAMES:], *device.macs[:_MAX_NAMES]))
    for label, known in (
        ("Where", places),
        ("Server", device.server),
        ("Suffix", device.suffix),
        ("Fits", device.firmware),
        ("Look", device_filter(device)),
    ):
        if known:
            yield _labelled(label, known)


def _only(diagnosis: Diagnosis, device: DeviceRecord) -> Diagnosis:
    """What is of one device: of thousands, the events of all need not be made to show those of one."""
    own = device.id
    return diagnosis._replace(
        hellos=tuple(record for record in diagnosis.hellos if record.device == own),
        connections=tuple(event for event in diagnosis.connections if event.owner == own),
        dhcp=tuple(lease for lease in diagnosis.dhcp if lease.owner == own),
        lookups=tuple(lookup for lookup in diagnosis.lookups if lookup.owner == own),
        pongs=tuple(pong for pong in diagnosis.pongs if pong.owner == own),
    )


def _finding(finding: Finding) -> Iterator[Text]:
    heading = Text(
        TITLES.get(finding.rule) or title_of(finding.rule), style=f"bold {SEVERITY_STYLES[finding.severity]}"
    )
    facts = [finding.severity, finding.basis, *(["overcome"] if finding.overcome else [])]
    heading.append(f"  {' · '.join(facts)}", style="not bold dim")
    yield heading
    yield Text(finding.summary)
    for candidate in finding.candidates:
        yield Text(f"- {candidate.cause}? To decide: {candidate.would_decide}")
    yield _labelled("Do", finding.remedy)
    if finding.display_filter:
        yield _labelled("Look", finding.display_filter)


def _event(event: Event) -> Text:
    line = Text(f"{clock(event.ts)[11:]} ", style="dim")
    ends = event.ends
    port = f":{ends.dport}" if ends.dport else ""
    way = f" {ends.src or '-'} > {ends.dst or '-'}{port}" if ends.src or ends.dst else ""
    line.append(f"{stage_name(event.kind)}{way}: {event.detail}", style="not dim")
    if event.evidence:
        line.append(f" (frame {event.evidence[0].frame})", style="dim")
    return line


def _labelled(label: str, text: str) -> Text:
    line = Text(f"{label}: ", style="bold")
    line.append(text, style="not bold")
    return line
