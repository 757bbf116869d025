"""The devices as rows, those in trouble first; made in the thread that judges, from what a diagnosis says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amtdiag.live.rules import STUCK
from amtdiag.model import SEVERITIES, DeviceRecord, Diagnosis, Finding, Severity
from amtdiag.report.device_names import device_names
from amtdiag.report.story import events_by_device
from amtdiag.report.verdict import label_of, trouble
from amtdiag.report.wording import HELLO_TYPES, stage_name
from amtdiag.tables.event import Event
from amtdiag.times import SECOND

_KINDS = {"connect_back": "connect-back", "dhcp": "DHCP", "dns": "DNS", "rmcp": "RMCP", "hello": "Hello"}
_LABELS = {STUCK: "stuck"}
NO_TROUBLE = "no trouble"
UNCLEAR = "cannot be told"


class DeviceRow(NamedTuple):
    """A device as the table shows it."""

    id: str
    name: str
    """Short, and unique in the diagnosis."""
    address: str
    """Its last one; a dash where none is known."""
    hello: str
    """Type and number of its Hellos."""
    mode: str
    stage: str
    """The one that it came to, as people read it."""
    last_ts: int
    """Of its last packet that is known, in ns since 1970 UTC."""
    event: str
    """What that was."""
    verdict: str
    """What is first to say of it, in a word or two."""
    severity: Severity | None
    """Of what the verdict names; None where nothing is wrong."""
    words: str
    """What a filter looks in: lower case."""


def rows_of(diagnosis: Diagnosis, alarms: Sequence[Finding] = ()) -> list[DeviceRow]:
    """Return a row for each device: what is stuck first, then what has trouble, then by first sight.

    `alarms` are the alerts of a live run that no report has.
    """
    names, events = device_names(diagnosis.devices), _last_events(diagnosis)
    alarm = {alarm.device: alarm for alarm in reversed(alarms)}
    other = _other_trouble(diagnosis.findings)
    ranked = []
    for at, device in enumerate(diagnosis.devices):
        finding = trouble(device) or alarm.get(device.id) or other.get(device.id)
        row = _row(device, names[device.id], finding, events.get(device.id))
        is_stuck = device.state == "stuck" or device.id in alarm
        rank = not is_stuck, -SEVERITIES.index(row.severity or "info"), device.first_seen, at
        ranked.append((rank, row))
    return [row for _, row in sorted(ranked)]


def filtered(rows: Sequence[DeviceRow], wanted: str) -> Sequence[DeviceRow]:
    """Return the rows in which each of the words stands somewhere."""
    words = wanted.lower().split()
    if not words:
        return rows
    return [row for row in rows if all(word in row.words for word in words)]


def age(ns: int) -> str:
    """Return how long ago something was, in four characters at most: 12s, 5m, 3h, 41d."""
    seconds = max(ns, 0) // SECOND
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{min(seconds // size, 999)}{unit}"
    return f"{seconds}s"


def _other_trouble(findings: Sequence[Finding]) -> dict[str | None, Finding]:
    """By device: the first finding of any category that is more than a remark; the gravest come first."""
    return {
        finding.device: finding
        for finding in reversed(findings)
        if finding.severity != "info" and not finding.overcome
    }


def _last_events(diagnosis: Diagnosis) -> dict[str, Event]:
    return {
        device: max(reversed(events), key=lambda event: event.last_ts)
        for device, events in events_by_device(diagnosis).items()
    }


def _row(device: DeviceRecord, name: str, finding: Finding | None, event: Event | None) -> DeviceRow:
    kind = HELLO_TYPES.get(device.hello_type, "none")
    address = device.ips[-1] if device.ips else "-"
    hello = f"{kind} x{device.hellos}" if device.hellos else kind
    stage = stage_name(device.stage)
    if finding is None:
        verdict = UNCLEAR if device.state == "unclear" else NO_TROUBLE
    else:
        verdict = _LABELS.get(finding.rule) or label_of(finding.rule)
    mode = device.mode.name
    rule = finding.rule if finding is not None else ""
    words = " ".join((
        device.id, *device.aliases, device.uuid or "", *device.macs, *device.ips, name, hello, mode, stage,
        verdict, rule, finding.severity if finding is not None else "",
    )).lower()  # fmt: skip
    return DeviceRow(
        device.id,
        name,
        address,
        hello,
        mode,
        stage,
        max(device.last_seen, event.last_ts) if event is not None else device.last_seen,
        "" if event is None else f"{_KINDS.get(event.kind, event.kind)} {event.outcome}",
        verdict,
        finding.severity if finding is not None else None,
        words,
    )
