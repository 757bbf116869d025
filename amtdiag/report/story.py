"""The story of one device, stage by stage: where and when it stopped, in a line each."""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from amtdiag.model import Basis, DeviceRecord, Diagnosis, Evidence, Finding, OwnRoot
from amtdiag.report.verdict import trouble
from amtdiag.report.wording import OUTCOMES, Outcome, count_devices, stage_name
from amtdiag.rules.base import address_filter, frames
from amtdiag.tables.event import Event, all_events

MAX_FRAMES = 3
"""Frames that a line of the story names."""


class StoryStep(NamedTuple):
    """One stage that was attempted."""

    ts: int
    """When, in ns since 1970 UTC."""
    stage: str
    """As people read it."""
    outcome: Outcome
    """Passed, failed, or open: the capture does not tell."""
    detail: str
    """What happened, with the frames that show it."""
    basis: Basis


class Story(NamedTuple):
    """A device in trouble, and those that fare alike."""

    device: DeviceRecord
    steps: tuple[StoryStep, ...]
    """Its stages."""
    cause: Finding
    """What stops it, or is not proven to."""
    others: int
    """Devices that stopped at the same stage for the same reason."""


def steps_of(device: DeviceRecord) -> Iterator[StoryStep]:
    """Yield the stages of a device as lines."""
    for stage in device.stages:
        detail = with_frames(stage.detail, stage.evidence)
        yield StoryStep(stage.at, stage_name(stage.name), OUTCOMES[stage.passed], detail, stage.basis)


def with_frames(text: str, evidence: Sequence[Evidence]) -> str:
    """Return text with the frames that show what it says, if there are any."""
    return f"{text} ({frames(evidence, MAX_FRAMES)})" if evidence else text


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


def events_by_device(diagnosis: Diagnosis) -> dict[str, list[Event]]:
    """Return the events of each device that has any, in time order."""
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in all_events(diagnosis):
        if event.device is not None:
            found[event.device].append(event)
    return found


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


def tshark_command(finding: Finding, display_filter: str | None = None) -> str:
    """Return what shows a finding, or what else a filter is for, in tshark; empty where no frame shows it."""
    source, shown = source_of(finding), display_filter or finding.display_filter
    return f"tshark -r {source} -Y {shlex.quote(shown)}" if source and shown else ""


def own_root_line(own: OwnRoot) -> str:
    """Say how many devices carry the digest of the caller's root."""
    devices = count_devices(len(own.carried_by) + len(own.not_by))
    line = f"Your root, {own.name}: of {devices}, {len(own.carried_by)} carry its digest"
    return f"{line}; of {len(own.unknown)} no whole list was seen." if own.unknown else f"{line}."
