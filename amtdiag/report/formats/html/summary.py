"""What the page says at its top, and without a script: verdict, funnel, causes, troubled devices, limits."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Literal, NamedTuple

from amtdiag.model import STATES, CaptureInfo, DeviceRecord, Diagnosis, Finding, Stage, State
from amtdiag.report.causes import device_count, grouped
from amtdiag.report.device_names import device_names
from amtdiag.report.overview import all_notes, capture_span, count_unknowns
from amtdiag.report.story import own_root_line, tshark_command
from amtdiag.report.verdict import title_of, trouble, troubled_first, verdict
from amtdiag.report.wording import LANES, STAGES
from amtdiag.tables import MODES

MEANINGS: dict[Stage, str] = {
    "discovery": "gets an address by DHCP",
    "resolution": "finds its server in DNS",
    "connection": "reaches the server",
    "hello": "says Hello",
    "connect_back": "the server connects back",
    "tls": "both agree on encryption",
    "authentication": "the device takes the password",
    "commit": "the setup is committed",
    "operational": "under management",
}
_LANE_OF: dict[Stage, str] = {
    "discovery": "dhcp",
    "resolution": "dns",
    "connection": "device_to_server",
    "hello": "device_to_server",
    "connect_back": "server_to_device",
    "tls": "server_to_device",
}
_MAX_TROUBLED = 60
_MAX_CAPTURES = 40
_MAX_UNKNOWNS = 30
_MAX_NOTES = 40
_MAX_CAUSES = 200


class FunnelStep(NamedTuple):
    """A row of the funnel."""

    stage: Stage
    meaning: str
    """What a device does at it, in words."""
    reached: int
    """Devices that attempted this stage, or a later one."""
    stuck: int
    """Those that something stops here."""
    ended: int
    """Those for which the capture shows nothing further, and nothing that stops them."""
    seen: bool
    """The capture shows this stage for at least one device."""


class Cause(NamedTuple):
    """Findings that say the same of different devices."""

    number: int
    """Of all such groups, from 0, likeliest first."""
    title: str
    first: Finding
    """The likeliest of them."""
    findings: int
    """How many."""
    devices: int
    """How many they are about."""
    example: str
    """The name of the device that `first` is about, where there are several."""
    command: str
    """What shows its frames in tshark; empty where nothing does."""

    @property
    def place(self) -> Literal["stops", "look", "know"]:
        """Under which heading it stands."""
        first = self.first
        grave = first.severity in ("error", "critical")
        if grave and not first.overcome:
            return "stops" if first.category == "provisioning" or first.severity == "critical" else "look"
        return "know" if first.severity == "info" or first.overcome else "look"


class Outline:
    """A diagnosis, counted and grouped for the top of the page."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.diagnosis = diagnosis
        self.verdict = verdict(diagnosis)
        self.names = device_names(diagnosis.devices)
        self.in_trouble = [device for device in diagnosis.devices if trouble(device) is not None]

    @property
    def counts(self) -> list[tuple[State, int]]:
        """How many devices are in each state."""
        found = Counter(device.state for device in self.devices)
        return [(state, found[state]) for state in STATES]

    @property
    def devices(self) -> list[DeviceRecord]:
        """The devices that something shows to have AMT."""
        return [device for device in self.diagnosis.devices if device.is_amt]

    @property
    def own_root(self) -> str:
        """What became of the question for the caller's root, if there was one."""
        own = self.diagnosis.own_root
        return "" if own is None else own_root_line(own)

    @property
    def operational(self) -> int:
        """How many are under management in the end."""
        return sum(device.mode.name == "operational" for device in self.devices)

    def modes(self) -> list[tuple[str, int, int]]:
        """Return each mode with the devices that ended in it, and for how many of these it is inferred."""
        found = Counter((device.mode.name, device.mode.basis == "inferred") for device in self.devices)
        counts = ((mode, found[mode, False] + found[mode, True], found[mode, True]) for mode in MODES)
        return [(mode, number, inferred) for mode, number, inferred in counts if number]

    def place(self, device: DeviceRecord) -> int:
        """Return the number of the stage that a device came to."""
        if device.state != "stuck" and device.mode.name == "operational":
            return len(STAGES) - 1
        return STAGES.index(device.stage)

    def funnel(self) -> list[FunnelStep]:
        """Return the stages with the devices that came so far."""
        ended: Counter[tuple[int, bool]] = Counter()
        for device in self.devices:
            ended[self.place(device), device.state == "stuck"] += 1
        left, steps = len(self.devices), []
        for number, stage in enumerate(STAGES):
            stuck, other = ended[number, True], ended[number, False]
            lane = _LANE_OF.get(stage)
            seen = lane is None or any(device.visibility.get(lane) for device in self.devices)
            steps.append(FunnelStep(stage, MEANINGS[stage], left, stuck, other, seen))
            left -= stuck + other
        return steps

    @cached_property
    def causes(self) -> list[Cause]:
        """The findings that say the same, likeliest first."""
        found = []
        for number, group in enumerate(grouped(self.diagnosis.findings)):
            first, devices = group[0], device_count(group)
            example = self.names.get(first.device or "", "") if devices > 1 else ""
            found.append(
                Cause(
                    number, title_of(first.rule), first, len(group), devices, example, tshark_command(first)
                )
            )  # fmt: skip
        return found

    def causes_at(self, place: str) -> list[Cause]:
        """Return those of a heading, what most devices have first within a severity."""
        return [cause for cause in self.causes if cause.place == place][:_MAX_CAUSES]

    def troubled(self) -> list[tuple[DeviceRecord, Finding]]:
        """Return the devices in trouble with it, stuck ones first, as many as a printed page can bear."""
        listed = ((device, trouble(device)) for device in troubled_first(self.in_trouble)[:_MAX_TROUBLED])
        return [(device, finding) for device, finding in listed if finding is not None]

    @property
    def captures(self) -> list[CaptureInfo]:
        """The files, as many as can be read at a glance; those with something to say first."""
        listed = sorted(
            self.diagnosis.captures,
            key=lambda capture: not (capture.notes or capture.drops or capture.truncated),
        )
        return listed[:_MAX_CAPTURES]

    @property
    def notes(self) -> list[str]:
        """What there is to say of files and run."""
        return [*self.diagnosis.problems, *all_notes(self.diagnosis)][:_MAX_NOTES]

    def unknowns(self) -> tuple[list[tuple[str, str, str, int]], int]:
        """Return what cannot be known, why, what would decide, of how many devices; and how many are left."""
        groups = count_unknowns(self.diagnosis)
        shown = [(*unknown, number) for unknown, number in groups.most_common(_MAX_UNKNOWNS)]
        return shown, len(groups) - len(shown)

    def lanes(self) -> list[tuple[str, int]]:
        """Return each lane with the number of devices for which the capture shows it."""
        devices = self.diagnosis.devices
        return [
            (text, sum(bool(device.visibility.get(lane)) for device in devices))
            for lane, text in LANES.items()
        ]

    @property
    def span(self) -> tuple[int, int] | None:
        """From the first packet to the last."""
        return capture_span(self.diagnosis)
