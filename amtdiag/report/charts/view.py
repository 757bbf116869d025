"""A diagnosis, sorted for drawing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cached_property

from amtdiag.errors import UsageError
from amtdiag.model import SEVERITIES, DeviceRecord, Diagnosis, Finding, State
from amtdiag.report.causes import gravest, grouped, same_rule
from amtdiag.report.device_names import device_names
from amtdiag.report.story import events_by_device
from amtdiag.report.timezones import Wanted, Zone
from amtdiag.report.verdict import label_of, title_of, trouble
from amtdiag.report.wording import stage_name
from amtdiag.safetext import plain
from amtdiag.tables import Event

UNSTOPPED: dict[State, str] = {
    "trouble": "Trouble that is not proven to stop them",
    "unclear": "Whether anything stops them cannot be told",
    "clear": "Nothing in this capture stops them",
}
"""Groups of the devices that nothing is proven to stop, in the order in which they are drawn."""
MAX_CAUSES = 12
"""Rows of a chart that has a row a cause."""


class ChartData:
    """A diagnosis, sorted by device once for all charts of it."""

    def __init__(self, diagnosis: Diagnosis, tz: Wanted = "UTC") -> None:
        """`tz` is the zone in which times of day are written; raise `UsageError` where there is none such."""
        self.diagnosis = diagnosis
        self.zone = Zone(tz)
        self.devices = {device.id: device for device in diagnosis.devices}
        self.amt = [device for device in diagnosis.devices if device.is_amt]
        self.names = device_names(diagnosis.devices)
        self.findings: defaultdict[str | None, list[Finding]] = defaultdict(list)
        for finding in diagnosis.findings:
            self.findings[finding.device].append(finding)

    @classmethod
    def of(cls, found: Charted, tz: Wanted = "UTC") -> ChartData:
        """Return a diagnosis sorted for drawing; one that is so already stays as it is, with its zone."""
        return found if isinstance(found, ChartData) else cls(found, tz)

    @cached_property
    def events(self) -> Mapping[str, list[Event]]:
        """The events of each device, in time order."""
        return events_by_device(self.diagnosis)

    @cached_property
    def groups(self) -> Mapping[str, str]:
        """What stops each device, in words, as a group of devices; the largest come first."""
        causes = (device.cause for device in self.devices.values() if device.cause is not None)
        rules = {group[0].rule: group for group in grouped(causes, same_rule)}
        names = {rule: titled(*group) for rule, group in rules.items()}
        most = sorted(rules, key=lambda rule: -len(rules[rule]))
        if len(most) > MAX_CAUSES:
            names.update(dict.fromkeys(most[MAX_CAUSES - 1 :], "Other causes"))
        named = {
            identity: names[device.cause.rule] if device.cause is not None else UNSTOPPED[device.state]
            for identity, device in self.devices.items()
        }
        sizes = Counter(named.values())

        unstopped = list(UNSTOPPED.values())

        def rank(identity: str) -> tuple[int, int, str]:
            name = named[identity]
            return unstopped.index(name) if name in unstopped else -1, -sizes[name], name

        return {identity: named[identity] for identity in sorted(named, key=rank)}

    def device(self, identity: str) -> DeviceRecord:
        """Raise `UsageError` where there is no such device."""
        if identity not in self.devices:
            raise UsageError(f"no device {plain(identity, 80)!r} in this capture")
        return self.devices[identity]

    def troubled_first(self) -> list[DeviceRecord]:
        """The stuck devices, then the ones with findings, each in the order of their appearance."""

        def rank(device: DeviceRecord) -> tuple[bool, int, int]:
            found = self.findings[device.id]
            gravity = SEVERITIES.index(gravest(found)) if found else -1
            return device.state != "stuck", -gravity, device.first_seen

        return sorted(self.diagnosis.devices, key=rank)


Charted = Diagnosis | ChartData
"""What charts are drawn of: whoever draws several of a diagnosis has it sorted once."""


def labelled(device: DeviceRecord) -> str:
    """Where a device came to, and what stops it there or may do so, in a few words for the end of its row."""
    finding = trouble(device)
    if finding is None:
        return ""
    row = f" ({finding.catalogue})" if finding.catalogue else ""
    return f"{stage_name(device.stage)}: {label_of(finding.rule)}{row}"


def titled(*findings: Finding) -> str:
    """The title of a rule, with the rows of the catalogue that its findings name."""
    rows = ", ".join(sorted({finding.catalogue for finding in findings if finding.catalogue}))
    return title_of(findings[0].rule) + (f" ({rows})" if rows else "")
