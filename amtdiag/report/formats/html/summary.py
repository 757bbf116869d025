"""What the page says at its top, and without a script: verdict, funnel, causes, troubled devices, limits."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from functools import cached_property
from typing import Literal, NamedTuple, get_args

from amtdiag.model import STATES, CaptureInfo, DeviceRecord, Diagnosis, Finding, Severity, Stage, State
from amtdiag.report.device_names import device_names
from amtdiag.report.story import LANES, own_root_line, source_of
from amtdiag.report.verdict import label_of, title_of, trouble, troubled_first, verdict
from amtdiag.tables import MODES

STAGES: tuple[Stage, ...] = get_args(Stage)

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
_MOST_TROUBLED = 60
_MOST_CAPTURES = 40
_MOST_UNKNOWNS = 30
_MOST_NOTES = 40
_MOST_CAUSES = 200


class FunnelStep(NamedTuple):
    """A row of the funnel."""

    stage: Stage
    meaning: str
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
    title: str
    first: Finding
    findings: int
    devices: int
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


class Troubled(NamedTuple):
    """A device with a cause, as a row."""

    device: DeviceRecord
    name: str
    address: str
    state: State
    severity: Severity
    label: str
    summary: str


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
        return [one for one in self.diagnosis.devices if one.is_amt]

    @property
    def own_root(self) -> str:
        """What became of the question for the caller's root, if there was one."""
        own = self.diagnosis.own_root
        return "" if own is None else own_root_line(own)

    @property
    def operational(self) -> int:
        """How many are under management in the end."""
        return sum(one.mode.name == "operational" for one in self.devices)

    def modes(self) -> list[tuple[str, int, int]]:
        """Return each mode with the devices that ended in it, and for how many of these it is inferred."""
        found = Counter((one.mode.name, one.mode.basis == "inferred") for one in self.devices)
        counts = ((mode, found[mode, False] + found[mode, True], found[mode, True]) for mode in MODES)
        return [one for one in counts if one[1]]

    def place(self, device: DeviceRecord) -> int:
        """Return the number of the stage that a device came to."""
        if device.state != "stuck" and device.mode.name == "operational":
            return len(STAGES) - 1
        return STAGES.index(device.stage)

    def funnel(self) -> list[FunnelStep]:
        """Return the stages with the devices that came so far."""
        ended: Counter[tuple[int, bool]] = Counter()
        for one in self.devices:
            ended[self.place(one), one.state == "stuck"] += 1
        left, steps = len(self.devices), []
        for number, stage in enumerate(STAGES):
            stuck, other = ended[number, True], ended[number, False]
            lane = _LANE_OF.get(stage)
            seen = lane is None or any(one.visibility.get(lane) for one in self.devices)
            steps.append(FunnelStep(stage, MEANINGS[stage], left, stuck, other, seen))
            left -= stuck + other
        return steps

    @cached_property
    def causes(self) -> list[Cause]:
        """The findings that say the same, likeliest first."""
        groups: defaultdict[tuple[object, ...], list[Finding]] = defaultdict(list)
        for one in self.diagnosis.findings:
            groups[cause_key(one)].append(one)
        found = []
        for number, group in enumerate(groups.values()):
            first = group[0]
            devices = len({one.device for one in group if one.device})
            example = self.names.get(first.device or "", "") if devices > 1 else ""
            found.append(
                Cause(
                    number, title_of(first.rule), first, len(group), devices, example, _tshark(first)
                )
            )  # fmt: skip
        return found

    def causes_at(self, place: str) -> list[Cause]:
        """Return those of a heading, what most devices have first within a severity."""
        return [one for one in self.causes if one.place == place][:_MOST_CAUSES]

    def troubled(self) -> list[Troubled]:
        """Return the devices in trouble, stuck ones first, as many as a printed page can bear."""
        return [
            Troubled(
                device, self.names[device.id], device.ips[-1] if device.ips else "", device.state,
                first.severity, label_of(first.rule), first.summary,
            )
            for device in troubled_first(self.in_trouble)[:_MOST_TROUBLED]
            if (first := trouble(device)) is not None
        ]  # fmt: skip

    @property
    def captures(self) -> list[CaptureInfo]:
        """The files, as many as can be read at a glance; those with something to say first."""
        listed = sorted(
            self.diagnosis.captures, key=lambda one: not (one.notes or one.drops or one.truncated)
        )
        return listed[:_MOST_CAPTURES]

    @property
    def notes(self) -> list[str]:
        """What there is to say of files and run."""
        found = self.diagnosis
        several = len(found.captures) > 1
        notes = [f"{one.file}: {note}" if several else note for one in found.captures for note in one.notes]
        return [*found.problems, *notes, *found.notes][:_MOST_NOTES]

    def unknowns(self) -> tuple[list[tuple[str, str, str, int]], int]:
        """Return what cannot be known, why, what would decide, of how many devices; and how many are left."""
        groups = Counter((one.what, one.why, one.would_decide) for one in self.diagnosis.unknowns)
        told = [(*said, count) for said, count in groups.most_common(_MOST_UNKNOWNS)]
        return told, len(groups) - len(told)

    def lanes(self) -> list[tuple[str, int]]:
        """Return each lane with the number of devices for which the capture shows it."""
        devices = self.diagnosis.devices
        return [
            (text, sum(bool(one.visibility.get(lane)) for one in devices)) for lane, text in LANES.items()
        ]

    @property
    def span(self) -> tuple[int, int] | None:
        """From the first packet to the last."""
        times = [
            ts for one in self.diagnosis.captures for ts in (one.first_ts, one.last_ts) if ts is not None
        ]
        return (min(times), max(times)) if times else None


def cause_key(one: Finding) -> tuple[object, ...]:
    """What findings of one cause have in common."""
    return one.rule, one.severity, one.catalogue, one.overcome


def _tshark(finding: Finding) -> str:
    source = source_of(finding)
    if not source or not finding.display_filter:
        return ""
    return f"tshark -r {source} -Y {shlex.quote(finding.display_filter)}"
