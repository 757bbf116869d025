"""Two devices side by side, stage by stage: what is the first thing that went another way?

What differs by nature (addresses, ports of clients, times, counts) is never a difference. Neither is what one
capture cannot show: a stage that is missing on one side is a difference only if that device went no further.
Settings (a domain, a list of roots) may well differ between sites and models: they are named, and the first
difference is one of what happened, if there is any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

from amtdiag.errors import UsageError
from amtdiag.model import (
    ConnectionEvent,
    DeviceRecord,
    Diagnosis,
    Evidence,
    Exchange,
    HelloRecord,
    Stage,
    StageReached,
    TlsConversation,
)
from amtdiag.report.device_names import device_names, find_device
from amtdiag.rules.base import frames

STAGES: tuple[Stage, ...] = get_args(Stage)
_OUTCOMES = {True: "passed", False: "failed", None: "open"}
NOT_REACHED = "not reached"
OUTCOME = "outcome"
_LISTED = 3

Standing = Literal["same", "differs", "unseen"]
"""unseen: one capture does not show it, so that nothing can be said."""


class Trait(NamedTuple):
    """One thing that two devices have in common or not."""

    stage: Stage
    name: str
    value: str
    """What is compared, and shown; safe to show."""
    evidence: tuple[Evidence, ...] = ()
    detail: str = ""
    """What is shown beside the value, and not compared."""
    setting: bool = False
    """It may differ without harm."""
    members: frozenset[str] = frozenset()
    """Where the value is a set: what is in it."""

    def beside(self, other: Trait | None) -> str:
        """The value with what only this one has, and the frames that show it."""
        text = f"{self.value}: {self.detail}" if self.detail else self.value
        only = sorted(self.members - other.members) if other is not None and self.members else []
        if only:
            more = f" and {len(only) - _LISTED} more" if len(only) > _LISTED else ""
            text += f"; only here: {', '.join(only[:_LISTED])}{more}"
        return f"{text} ({frames(self.evidence, 3)})" if self.evidence else text


class Line(NamedTuple):
    """One trait of both devices."""

    stage: Stage
    name: str
    standing: Standing
    setting: bool
    good: str
    bad: str


class Subject(NamedTuple):
    """A device and the diagnosis that it comes from."""

    diagnosis: Diagnosis
    device: DeviceRecord

    @property
    def name(self) -> str:
        """Its short name."""
        return device_names(self.diagnosis.devices)[self.device.id]

    @property
    def causes(self) -> list[str]:
        """Rules that have something to say about it, likeliest cause first; overcome troubles left out."""
        found = (one for one in self.diagnosis.findings if one.device == self.device.id and not one.overcome)
        return list(dict.fromkeys(one.rule for one in found if one.severity != "info"))


class Comparison(NamedTuple):
    """All traits of two devices, in the order of the stages."""

    good: Subject
    bad: Subject
    lines: tuple[Line, ...]

    @property
    def differences(self) -> tuple[Line, ...]:
        """What went another way, the earliest first."""
        return tuple(line for line in self.lines if line.standing == "differs")

    @property
    def first(self) -> Line | None:
        """The first difference: of what happened, else of the settings."""
        return min(self.differences, key=lambda line: line.setting, default=None)


def choose(diagnosis: Diagnosis, wanted: str | None, *, stuck: bool) -> Subject:
    """Return the device to compare: the `wanted` one (id, UUID, MAC, address, or a part of one).

    Without a wish it is the one that got furthest, or with `stuck` the first that something stops. Raises
    `UsageError` where there is no device, or several fit.
    """
    devices = diagnosis.devices
    if not devices:
        raise UsageError("no device in this capture to compare")
    if wanted is not None:
        return Subject(diagnosis, find_device(devices, wanted))
    if stuck:
        return Subject(diagnosis, next((one for one in devices if one.state == "stuck"), devices[0]))
    furthest = max(devices, key=lambda one: (one.state != "stuck", STAGES.index(one.stage)))
    return Subject(diagnosis, furthest)


def compare(good: Subject, bad: Subject) -> Comparison:
    """Put the traits of two devices side by side."""
    ours, theirs = _by_name(good), _by_name(bad)
    keys = sorted(
        ours.keys() | theirs.keys(), key=lambda key: (STAGES.index(key[0]), _place(key, ours, theirs))
    )
    lines = []
    for stage, name in keys:
        one, other = ours.get((stage, name)), theirs.get((stage, name))
        lines.append(
            Line(
                stage,
                name,
                _standing(stage, one, other, good.device, bad.device),
                any(trait.setting for trait in (one, other) if trait),
                one.beside(other) if one else _absent(stage, good.device),
                other.beside(one) if other else _absent(stage, bad.device),
            )
        )
    return Comparison(good, bad, tuple(lines))


_Traits = dict[tuple[Stage, str], Trait]


def _by_name(subject: Subject) -> _Traits:
    return {(one.stage, one.name): one for one in traits(subject)}


def _place(key: tuple[Stage, str], *sides: _Traits) -> int:
    """Where a trait stands in its stage."""
    return min(list(side).index(key) for side in sides if key in side)


def _standing(
    stage: Stage, one: Trait | None, other: Trait | None, good: DeviceRecord, bad: DeviceRecord
) -> Standing:
    if one is not None and other is not None:
        return "same" if (one.value, one.members) == (other.value, other.members) else "differs"
    lacking = good if one is None else bad
    return "differs" if _stopped_before(stage, lacking) or _came_to(stage, lacking) else "unseen"


def _came_to(stage: Stage, device: DeviceRecord) -> bool:
    return any(one.name == stage for one in device.stages)


def _stopped_before(stage: Stage, device: DeviceRecord) -> bool:
    """True where a device did not come to a stage; where it went on, the capture does not show the stage."""
    return bool(device.stages) and max(STAGES.index(one.name) for one in device.stages) < STAGES.index(stage)


def _absent(stage: Stage, device: DeviceRecord) -> str:
    if _came_to(stage, device):
        return "none"
    return NOT_REACHED if _stopped_before(stage, device) else "not in this capture"


# --------------------------------------------------------------------------------------------- traits


def traits(subject: Subject) -> Iterator[Trait]:
    """Yield what can be compared of one device, stage by stage."""
    diagnosis, device = subject
    own = [link for link in diagnosis.connections if link.owner == device.id]
    back = [link for link in own if link.kind == "connect_back"]
    for stage in device.stages:
        yield Trait(stage.name, OUTCOME, _OUTCOMES[stage.passed], stage.evidence, stage.detail)
        match stage.name:
            case "discovery":
                yield Trait("discovery", "domain given", "yes" if device.suffix else "no", stage.evidence)
                yield Trait("discovery", "domain", device.suffix or "none", stage.evidence, setting=True)
            case "resolution":
                yield from _resolution(subject, stage)
            case "connection":
                yield from _ends("connection", [link for link in own if link.kind == "connection"])
            case "hello":
                records = [record for record in diagnosis.hellos if record.device == device.id]
                if records:
                    yield from _hello(records[-1])
            case "connect_back":
                yield from _ends("connect_back", back)
            case "tls":
                yield from _tls([link.tls for link in back if link.tls is not None])
            case "authentication":
                yield from _web([one for link in back if link.talk for one in link.talk.exchanges])
            case _:
                pass
    yield Trait("operational", "mode at the end", device.mode.name, device.mode.evidence)


def _resolution(subject: Subject, stage: StageReached) -> Iterator[Trait]:
    device = subject.device
    asked = [one for one in subject.diagnosis.lookups if one.owner == device.id]
    if not asked:
        return
    found = [one for one in asked if one.addresses]
    shown = (found or asked)[-1]
    answer = shown.rcode or shown.rejection or "no answer"
    if shown.addresses:
        answer = "an IPv6 address" if ":" in shown.addresses[0] else "an IPv4 address"
    suffix = f".{device.suffix}" if device.suffix else None
    name = (
        shown.name.removesuffix(suffix) + ".<its domain>"
        if suffix and shown.name.endswith(suffix)
        else shown.name
    )
    yield Trait("resolution", "name asked for", name, stage.evidence, setting=True)
    yield Trait("resolution", "answer", answer, shown.evidence)


def _ends(stage: Stage, links: Sequence[ConnectionEvent]) -> Iterator[Trait]:
    """How the last connection of a stage went."""
    if links:
        last = links[-1]
        yield Trait(stage, "port", str(last.ends.dport), last.evidence)
        yield Trait(stage, "connection", last.rejection or last.outcome, last.evidence)


def _tls(talks: Sequence[TlsConversation]) -> Iterator[Trait]:
    """What the handshake that came furthest shows."""
    if not talks:
        return
    from amtdiag.protocols.tls.constants import ALERTS, version_name
    from amtdiag.protocols.tls.suites import suite_name

    talk = next((one for one in talks if one.finished), talks[-1])
    evidence = talk.messages[0].evidence if talk.messages else ()
    if talk.version is not None:
        yield Trait("tls", "version", version_name(talk.version), evidence)
    if talk.suite is not None:
        yield Trait("tls", "cipher suite", suite_name(talk.suite), evidence, setting=True)
    for who, chain in (("server", talk.client_chain), ("device", talk.server_chain)):
        if chain is not None:
            count = f"{len(chain.der)}" if chain.complete else f"{len(chain.der)} and more"
            prints = frozenset(hashlib.sha256(one).hexdigest()[:16] for one in chain.der)
            yield Trait(
                "tls",
                f"certificates of the {who}",
                count,
                chain.evidence,
                setting=True,
                members=prints,
            )
    if talk.psk_identity is not None:
        yield Trait("tls", "PID", talk.psk_identity, evidence, setting=True)
    said = "none"
    if talk.alert is not None:
        whose = "the server's" if talk.alert_by == "client" else "the device's"
        said = f"{whose} {talk.alert} ({ALERTS.get(talk.alert, 'unknown')})"
    yield Trait("tls", "alert", said, talk.alerts[0].evidence if talk.alerts else ())


def _web(exchanges: Sequence[Exchange]) -> Iterator[Trait]:
    """What the device's web server says of itself, and what was called with which result."""
    version = next((one.server_version for one in exchanges if one.server_version), None)
    if version is not None:
        yield Trait("authentication", "AMT version", version, setting=True)
    for one in exchanges:
        if one.call is not None and one.call.method is not None and one.status is not None:
            value = one.result.return_value if one.result is not None else None
            told = f"status {one.status}" if value is None else f"returns {value}"
            yield Trait("authentication", one.call.method, told, one.evidence)


def _hello(record: HelloRecord) -> Iterator[Trait]:
    """What the last Hello says of the device."""
    hello, evidence = record.event.hello, record.event.evidence
    yield Trait("hello", "type", hello.type.upper(), evidence)
    if hello.admin_credentials is not None:
        yield Trait("hello", "admin credentials", "set" if hello.admin_credentials else "not set", evidence)
    yield Trait("hello", "problems", "; ".join(hello.problems) or "none", evidence)
    if record.digests:
        yield Trait(
            "hello",
            "consistent with",
            record.judgement.consistent_with or "no release",
            evidence,
            setting=True,
        )
        yield Trait(
            "hello", "trusted roots", _roots(record), evidence, setting=True, members=_root_names(record)
        )


def _roots(record: HelloRecord) -> str:
    kinds = sorted({one.digest.algorithm for one in record.digests})
    return f"{len(record.digests)} in {' and '.join(kinds)}"


def _root_names(record: HelloRecord) -> frozenset[str]:
    return frozenset(one.name or one.digest.value.hex()[:16] for one in record.digests)
