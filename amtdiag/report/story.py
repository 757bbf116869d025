"""The story of one device, stage by stage: where and when it stopped, in a line each."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from amtdiag.model import DeviceRecord, Diagnosis, Finding, OwnRoot
from amtdiag.report.verdict import trouble
from amtdiag.rules.base import address_filter, frames

LANES = {
    "dhcp": "DHCP",
    "dns": "DNS",
    "device_to_server": "device to server",
    "server_to_device": "server to device",
    "rmcp": "RMCP",
}
"""What a capture may show of a device, as people call it."""
_OUTCOMES = {True: "passed", False: "failed", None: "open"}


class StoryStep(NamedTuple):
    """One stage that was attempted."""

    ts: int
    stage: str
    outcome: str
    detail: str
    """What happened, with the frames that show it."""


class Story(NamedTuple):
    """A device in trouble, and those that fare alike."""

    device: DeviceRecord
    steps: tuple[StoryStep, ...]
    cause: Finding
    others: int
    """Devices that stopped at the same stage for the same reason."""


def steps_of(device: DeviceRecord) -> Iterator[StoryStep]:
    """Yield the stages of a device as lines."""
    for stage in device.stages:
        shown = f"{stage.detail} ({frames(stage.evidence, 3)})" if stage.evidence else stage.detail
        yield StoryStep(stage.at, stage.name.replace("_", "-"), _OUTCOMES[stage.passed], shown)


def stories(diagnosis: Diagnosis, most: int) -> tuple[Sequence[Story], int]:
    """Return the stories of devices in trouble, and how many devices are left out.

    Those that fare alike share one; what most devices share comes first.
    """
    alike: defaultdict[tuple[str, str], list[tuple[DeviceRecord, Finding]]] = defaultdict(list)
    for device in diagnosis.devices:
        cause = trouble(device)
        if cause is not None and device.stages:
            alike[cause.rule, device.stage].append((device, cause))
    groups = sorted(alike.values(), key=lambda group: -len(group))
    shown = []
    for group in groups[:most]:
        device, cause = group[0]
        shown.append(Story(device, tuple(steps_of(device)), cause, len(group) - 1))
    return shown, sum(len(group) for group in groups[most:])


def device_filter(device: DeviceRecord) -> str:
    """Return a display filter for all that a device sends and gets."""
    by_address = " || ".join(address_filter(address) for address in device.ips[:4])
    if device.macs:
        return f"eth.addr=={device.macs[0]}" + (f" || {by_address}" if by_address else "")
    return by_address


def source_of(finding: Finding) -> str:
    """Return the capture that shows a finding, as a shell reads it."""
    if not finding.evidence:
        return ""
    file = finding.evidence[0].file
    return "CAPTURE" if file == "standard input" else shlex.quote(file)


def own_root_line(own: OwnRoot) -> str:
    """Say how many devices carry the digest of the caller's root."""
    known = len(own.carried_by) + len(own.not_by)
    devices = "1 device" if known == 1 else f"{known:,} devices"
    line = f"Your root, {own.name}: of {devices}, {len(own.carried_by)} carry its digest"
    return f"{line}; of {len(own.unknown)} no whole list was seen." if own.unknown else f"{line}."
