"""The devices as rows, those in trouble first; made in the thread that judges, from what a diagnosis says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amtdiag.live.rules import STUCK
from amtdiag.model import SEVERITIES, DeviceRecord, Diagnosis, Finding, Severity
from amtdiag.report.device_names import device_names
from amtdiag.report.verdict import first_causes, label_of, stuck_devices
from amtdiag.tables.event import Event, all_events
from amtdiag.times import SECOND

_HELLO_TYPES = {"psk": "PSK", "pki": "PKI", "unknown": "?", None: ""}
_KINDS = {"connect_back": "connect-back", "dhcp": "DHCP", "dns": "DNS", "rmcp": "RMCP", "hello": "Hello"}
_LABELS = {STUCK: "stuck"}
NO_TROUBLE = "no trouble"


class DeviceRow(NamedTuple):
    """A device as the table shows it."""

    id: str
    name: str
    address: str
    hello: str
    mode: str
    stage: str
    last_ts: int
    """Of its last packet that is known."""
    event: str
    """What that was."""
    verdict: str
    severity: Severity | None
    """Of what the verdict names; None where nothing is wrong."""
    words: str
    """What a filter looks in: lower case."""


def rows_of(diagnosis: Diagnosis) -> list[DeviceRow]:
    """Return a row for each device: what is stuck first, then what has trouble, then by first sight.

    The findings may hold alerts of a live run besides those of the report.
    """
    names, stuck, causes = device_names(diagnosis.devices), stuck_devices(diagnosis), first_causes(diagnosis)
    worst = _worst(diagnosis.findings)
    events = _last_events(diagnosis)
    rows = []
    for one in diagnosis.devices:
        finding = causes.get(one.id) or worst.get(one.id)
        rows.append(_row(one, names[one.id], finding, events.get(one.id)))
    order = {one.id: at for at, one in enumerate(diagnosis.devices)}
    rows.sort(
        key=lambda row: (
            row.id not in stuck,
            -SEVERITIES.index(row.severity or "info"),
            diagnosis.devices[order[row.id]].first_seen,
        )
    )
    return rows


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


def _worst(findings: Sequence[Finding]) -> dict[str, Finding]:
    """By device: the gravest finding that is more than a remark, the first of them."""
    worst: dict[str, Finding] = {}
    for one in findings:
        if one.device is None or one.severity == "info" or one.overcome:
            continue
        known = worst.get(one.device)
        if known is None or SEVERITIES.index(one.severity) > SEVERITIES.index(known.severity):
            worst[one.device] = one
    return worst


def _last_events(diagnosis: Diagnosis) -> dict[str, Event]:
    last: dict[str, Event] = {}
    for one in all_events(diagnosis):
        if one.device is not None and (one.device not in last or one.last_ts >= last[one.device].last_ts):
            last[one.device] = one
    return last


def _row(device: DeviceRecord, name: str, finding: Finding | None, event: Event | None) -> DeviceRow:
    kind = _HELLO_TYPES[device.hello_type]
    address = device.ips[-1] if device.ips else "-"
    hello = f"{kind} x{device.hellos}" if device.hellos else kind or "none"
    stage = device.stage.replace("_", "-")
    verdict = NO_TROUBLE if finding is None else _LABELS.get(finding.rule) or label_of(finding.rule)
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
