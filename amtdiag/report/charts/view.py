"""A diagnosis, sorted for drawing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from amtdiag.errors import UsageError
from amtdiag.frames import Event, all_events, plain, stopping_rule
from amtdiag.model import SEVERITIES, DeviceRecord, Diagnosis, Finding
from amtdiag.report.names import device_names
from amtdiag.report.verdict import label_of, stuck_devices, title_of


class View:
    """A diagnosis, sorted by device once for all charts of it."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.diagnosis = diagnosis
        self.devices = {one.id: one for one in diagnosis.devices}
        self.names = device_names(diagnosis.devices)
        self.stuck = stuck_devices(diagnosis)
        self.findings: defaultdict[str | None, list[Finding]] = defaultdict(list)
        for finding in diagnosis.findings:
            self.findings[finding.device].append(finding)

    @cached_property
    def events(self) -> Mapping[str, list[Event]]:
        """The events of each device, in time order."""
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for event in all_events(self.diagnosis):
            if event.device is not None and event.kind != "other":
                found[event.device].append(event)
        return found

    def device(self, identity: str) -> DeviceRecord:
        """Raise `UsageError` where there is no such device."""
        if identity not in self.devices:
            raise UsageError(f"no device {plain(identity, 80)!r} in this capture")
        return self.devices[identity]

    def troubled_first(self) -> list[DeviceRecord]:
        """The stuck devices, then the ones with findings, each in the order of their appearance."""

        def rank(one: DeviceRecord) -> tuple[bool, int, int]:
            gravest = max((SEVERITIES.index(f.severity) for f in self.findings[one.id]), default=-1)
            return one.id not in self.stuck, -gravest, one.first_seen

        return sorted(self.diagnosis.devices, key=rank)

    def cause(self, identity: str) -> Finding | None:
        """What stops a device."""
        rule = stopping_rule(self.findings[identity])
        return next((one for one in self.findings[identity] if one.rule == rule), None)

    def doubt(self, identity: str) -> Finding | None:
        """The first trouble with provisioning that is not proven to stop a device."""
        return next(
            (
                one
                for one in self.findings[identity]
                if one.category == "provisioning" and one.severity == "warning" and not one.overcome
            ),
            None,
        )


def labelled(device: DeviceRecord, finding: Finding | None) -> str:
    """Where a device stopped and why, in a few words for the end of its row."""
    if finding is None:
        return ""
    row = f" ({finding.catalogue})" if finding.catalogue else ""
    return f"{device.stage.replace('_', '-')}: {label_of(finding.rule)}{row}"


def titled(*findings: Finding) -> str:
    """The title of a rule, with the rows of the catalogue that its findings name."""
    rows = ", ".join(sorted({one.catalogue for one in findings if one.catalogue}))
    return title_of(findings[0].rule) + (f" ({rows})" if rows else "")
