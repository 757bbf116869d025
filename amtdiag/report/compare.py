"""Two devices side by side, stage by stage: what is the first thing that went another way?

What differs by nature (addresses, ports of clients, times, counts) is never a difference. Neither is what one
capture cannot show: a stage that is missing on one side is a difference only if that device went no further.
Settings (a domain, a list of roots) may well differ between sites and models: they are named, and the first
difference is one of what happened, if there is any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

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
from amtdiag.report.story import with_frames
from amtdiag.report.wording import OUTCOMES, STAGES

NOT_REACHED = "not reached"
OUTCOME = "outcome"
_MAX_LISTED = 3
"""Members that only one of two sets has."""

Standing = Literal["same", "differs", "unseen"]
"""unseen: one capture does not show it, so that nothing can be said."""


class Trait(NamedTuple):
    """One thing that two devices have in common or not."""

    stage: Stage
    """The stage that shows it."""
    name: str
    """Unique in its stage."""
    value: str
    """What is compared, and shown; safe to show."""
    evidence: tuple[Evidence, ...] = ()
    """Frames that show it."""
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
            more = f" and {len(only) - _MAX_LISTED} more" if len(only) > _MAX_LISTED else ""
            text += f"; only here: {', '.join(only[:_MAX_LISTED])}{more}"
        return with_frames(text, self.evidence)


class Line(NamedTuple):
    """One trait of both devices."""

    stage: Stage
    name: str
    """Of the trait, unique in its stage."""
    standing: Standing
    setting: bool
    """It may differ without harm."""
    good: str
    """What the device that works shows, or why it shows nothing."""
    bad: str
    """The same of the device that does not work."""


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
        found = (
            finding
            for finding in self.diagnosis.findings
            if finding.device == self.device.id and not finding.overcome
        )
        return list(dict.fromkeys(finding.rule for finding in found if finding.severity != "info"))


class Comparison(NamedTuple):
    """All traits of two devices, in the order of the stages."""

    good: Subject
    """The device that works."""
    bad: Subject
    """The device that does not."""
    lines: tuple[Line, ...]
    """What is the same, differs, or is not seen of one of them."""

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
        return Subject(diagnosis, next((device for device in devices if device.state == "stuck"), devices[0]))
    furthest = max(devices, key=lambda device: (device.state != "stuck", STAGES.index(device.stage)))
    return Subject(diagnosis, furthest)


def compare(good: Subject, bad: Subject) -> Comparison:
    """Put the traits of two devices side by side."""
    ours, theirs = _by_name(good), _by_name(bad)
    keys = sorted(
        ours.keys() | theirs.keys(), key=lambda key: (STAGES.index(key[0]), _place(key, ours, theirs))
    )
    lines = []
    for stage, name in keys:
        our, their = ours.get((stage, name)), theirs.get((stage, name))
        lines.append(
            Line(
                stage,
                name,
                _standing(stage, our, their, good.device, bad.device),
                any(trait.setting for trait in (our, their) if trait),
                our.beside(their) if our else _absent(stage, good.device),
                their.beside(our) if their else _absent(stage, bad.device),
            )
        )
    return Comparison(good, bad, tuple(lines))


_Traits = dict[tuple[Stage, str], Trait]


def _by_name(subject: Subject) -> _Traits:
    return {(trait.stage, trait.name): trait for trait in traits(subject)}


def _place(key: tuple[Stage, str], *sides: _Traits) -> int:
    """Where a trait stands in its stage."""
    return min(list(side).index(key) for side in sides if key in side)


def _standing(
    stage: Stage, our: Trait | None, their: Trait | None, good: DeviceRecord, bad: DeviceRecord
) -> Standing:
    if our is not None and their is not None:
        return "same" if (our.value, our.members) == (their.value, their.members) else "differs"
    lacking = good if our is None else bad
    return "differs" if _stopped_before(stage, lacking) or _came_to(stage, lacking) else "unseen"


def _came_to(stage: Stage, device: DeviceRecord) -> bool:
    return any(reached.name == stage for reached in device.stages)


def _stopped_before(stage: Stage, device: DeviceRecord) -> bool:
    """True where a device did not come to a stage; where it went on, the capture does not show the stage."""
    places = [STAGES.index(reached.name) for reached in device.stages]
    return bool(places) and max(places) < STAGES.index(stage)


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
        yield Trait(stage.name, OUTCOME, OUTCOMES[stage.passed], stage.evidence, stage.detail)
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
                yield from _web([exchange for link in back if link.talk for exchange in link.talk.exchanges])
            case _:
                pass
    yield Trait("operational", "mode at the end", device.mode.name, device.mode.evidence)


def _resolution(subject: Subject, stage: StageReached) -> Iterator[Trait]:
    device = subject.device
    asked = [lookup for lookup in subject.diagnosis.lookups if lookup.owner == device.id]
    if not asked:
        return
    found = [lookup for lookup in asked if lookup.addresses]
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


def _tls(handshakes: Sequence[TlsConversation]) -> Iterator[Trait]:
    """What the handshake that came furthest shows."""
    if not handshakes:
        return
    from amtdiag.protocols.tls.constants import ALERTS, version_name
    from amtdiag.protocols.tls.suites import suite_name

    handshake = next((handshake for handshake in handshakes if handshake.finished), handshakes[-1])
    evidence = handshake.messages[0].evidence if handshake.messages else ()
    if handshake.version is not None:
        yield Trait("tls", "version", version_name(handshake.version), evidence)
    if handshake.suite is not None:
        yield Trait("tls", "cipher suite", suite_name(handshake.suite), evidence, setting=True)
    for who, chain in (("server", handshake.client_chain), ("device", handshake.server_chain)):
        if chain is not None:
            count = f"{len(chain.der)}" if chain.complete else f"{len(chain.der)} and more"
            prints = frozenset(hashlib.sha256(certificate).hexdigest()[:16] for certificate in chain.der)
            yield Trait(
                "tls",
                f"certificates of the {who}",
                count,
                chain.evidence,
                setting=True,
                members=prints,
            )
    if handshake.psk_identity is not None:
        yield Trait("tls", "PID", handshake.psk_identity, evidence, setting=True)
    alert = "none"
    if handshake.alert is not None:
        whose = "the server's" if handshake.alert_by == "client" else "the device's"
        alert = f"{whose} {handshake.alert} ({ALERTS.get(handshake.alert, 'unknown')})"
    yield Trait("tls", "alert", alert, handshake.alerts[0].evidence if handshake.alerts else ())


def _web(exchanges: Sequence[Exchange]) -> Iterator[Trait]:
    """What the device's web server says of itself, and what was called with which result."""
    version = next((exchange.server_version for exchange in exchanges if exchange.server_version), None)
    if version is not None:
        yield Trait("authentication", "AMT version", version, setting=True)
    for exchange in exchanges:
        if exchange.call is not None and exchange.call.method is not None and exchange.status is not None:
            value = exchange.result.return_value if exchange.result is not None else None
            result = f"status {exchange.status}" if value is None else f"returns {value}"
            yield Trait("authentication", exchange.call.method, result, exchange.evidence)


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
    kinds = sorted({judged.digest.algorithm for judged in record.digests})
    return f"{len(record.digests)} in {' and '.join(kinds)}"


def _root_names(record: HelloRecord) -> frozenset[str]:
    return frozenset(judged.name or judged.digest.value.hex()[:16] for judged in record.digests)
