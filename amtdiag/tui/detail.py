"""One device in full: what was found, how far it came, what happened when."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from amtdiag.live.rules import TITLES
from amtdiag.model import DeviceRecord, Diagnosis, Finding
from amtdiag.report.story import device_filter, steps_of
from amtdiag.report.verdict import title_of
from amtdiag.tables import plain
from amtdiag.tables.event import Event, all_events
from amtdiag.times import clock

SEVERITY_STYLES = {"critical": "bold red", "error": "red", "warning": "yellow", "info": "cyan", None: ""}
_OUTCOME_STYLES = {"passed": "green", "failed": "red", "open": "yellow"}
_MOST_EVENTS = 100
_MOST_FINDINGS = 20
_MOST_NAMES = 6


def detail_of(diagnosis: Diagnosis, device_id: str) -> Text:
    """Return what there is to say of a device, or that it is gone."""
    device = next((one for one in diagnosis.devices if device_id == one.id or device_id in one.aliases), None)
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
    found = [one for one in diagnosis.findings if one.device == device.id]
    for one in found[:_MOST_FINDINGS]:
        yield Text()
        yield from _finding(one)
    yield Text()
    yield Text("Step by step", style="bold")
    for step in steps_of(device):
        line = Text(f"{clock(step.ts)[11:]} ", style="dim")
        line.append(f"{step.stage} ", style="not dim")
        line.append(f"{step.outcome} ", style=f"not dim {_OUTCOME_STYLES[step.outcome]}")
        line.append(step.detail, style="not dim")
        yield line
    for gap in diagnosis.unknowns:
        if gap.device == device.id:
            yield _labelled("Not known", f"{gap.what}: {gap.why}. To decide: {gap.would_decide}.")
    yield Text()
    yield Text("Timeline, newest first", style="bold")
    events = [one for one in all_events(_near(diagnosis, device)) if one.device == device.id]
    for event in events[: -_MOST_EVENTS - 1 : -1]:
        yield _event(event)
    if len(events) > _MOST_EVENTS:
        yield Text(f"... and {len(events) - _MOST_EVENTS:,} earlier ones", style="dim")
    yield Text()
    places = ", ".join((*device.ips[-_MOST_NAMES:], *device.macs[:_MOST_NAMES]))
    for label, known in (
        ("Where", places),
        ("Server", device.server),
        ("Suffix", device.suffix),
        ("Fits", device.firmware),
        ("Look", device_filter(device)),
    ):
        if known:
            yield _labelled(label, known)


def _near(diagnosis: Diagnosis, device: DeviceRecord) -> Diagnosis:
    """What may be of one device: of thousands, the events of all need not be made to show those of one."""
    ips, macs = frozenset(device.ips), frozenset(device.macs)
    return diagnosis._replace(
        hellos=tuple(one for one in diagnosis.hellos if one.device == device.id),
        connections=tuple(one for one in diagnosis.connections if one.ends.src in ips or one.ends.dst in ips),
        dhcp=tuple(one for one in diagnosis.dhcp if one.mac in macs),
        lookups=tuple(one for one in diagnosis.lookups if one.client in ips),
        pongs=tuple(one for one in diagnosis.pongs if one.device in ips),
    )


def _finding(one: Finding) -> Iterator[Text]:
    heading = Text(TITLES.get(one.rule) or title_of(one.rule), style=f"bold {SEVERITY_STYLES[one.severity]}")
    facts = [one.severity, one.basis, *(["overcome"] if one.overcome else [])]
    heading.append(f"  {' · '.join(facts)}", style="not bold dim")
    yield heading
    yield Text(one.summary)
    for candidate in one.candidates:
        yield Text(f"- {candidate.cause}? To decide: {candidate.would_decide}")
    yield _labelled("Do", one.remedy)
    if one.display_filter:
        yield _labelled("Look", one.display_filter)


def _event(event: Event) -> Text:
    line = Text(f"{clock(event.ts)[11:]} ", style="dim")
    ends = event.ends
    port = f":{ends.dport}" if ends.dport else ""
    way = f" {ends.src or '-'} > {ends.dst or '-'}{port}" if ends.src or ends.dst else ""
    line.append(f"{event.kind.replace('_', '-')}{way}: {event.detail}", style="not dim")
    if event.evidence:
        line.append(f" (frame {event.evidence[0].frame})", style="dim")
    return line


def _labelled(label: str, text: str) -> Text:
    line = Text(f"{label}: ", style="bold")
    line.append(text, style="not bold")
    return line
