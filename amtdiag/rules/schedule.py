"""What the series of Hellos tells: giving up, starting over, two devices that say they are one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.devices.modes import CALLS
from amtdiag.model import FAILED, Candidate, Evidence, Finding, HelloRecord, Unknown
from amtdiag.protocols.hello import MAX_DOCUMENTED_RETRY
from amtdiag.rules.base import DeviceRule, address_filter, flow_filter, frames, rule
from amtdiag.rules.connect_back import PATIENCE
from amtdiag.times import SECOND, span

_HOUR = 3600 * SECOND
_WINDOW = (5 * _HOUR, 7 * _HOUR)
"""Around the six hours that most OEMs leave the setup window open."""
_TURNS = 2
_CONTRADICTION = 10 * 60 * SECOND
_RESTARTS = 3


def _frames_of(device: DeviceEvidence) -> list[Evidence]:
    return [record.event.evidence[0] for record in device.hellos]


def _filter(device: DeviceEvidence) -> str:
    ends = device.hellos[-1].event.ends
    return flow_filter(ends)


def several_hellos(device: DeviceEvidence) -> Sequence[HelloRecord]:
    """Return the Hellos where there is more than one."""
    return device.hellos if len(device.hellos) > 1 else ()


@rule
class GaveUp(DeviceRule):
    """The last retry was sent, then silence."""

    subject = "hellos"
    id = "device-gave-up"
    precedence = 490
    title = "The device has given up saying Hello"
    label = "gave up"
    catalogue = "F34"
    row = "the device has used up its Hellos"
    basis = "inferred"
    confidence = "medium"
    remedy = "Restart setup, by the local agent, in MEBx or by a partial unprovision, with the server ready."
    source = "Intel's AMT guide: retry count 0 to 14; HP white papers on restarting"
    example = (("hello", 0, {"retry_count": 14}),)
    near_miss = (("hello", 0, {"retry_count": 13}),)

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Retry 14 or more, and nothing for a while after it."""
        last = device.hellos[-1].event if device.hellos else None
        if last is None or (last.hello.retry_count or 0) < MAX_DOCUMENTED_RETRY:
            return
        quiet = device.covered_until - last.ts
        if any(link.outcome not in FAILED and link.ts > last.ts for link in device.returns):
            return
        usual = max((gap for gap in device.device.gaps), default=PATIENCE)
        if quiet < max(usual * 2, PATIENCE):
            yield Unknown(
                "whether the device goes on saying Hello",
                f"the capture ends {span(quiet)} after retry {last.hello.retry_count}",
                device.id,
                f"a capture that goes on for more than {span(max(usual * 2, PATIENCE))}",
            )
            return
        yield self.finding(
            device,
            f"After retry {last.hello.retry_count} ({frames(last.evidence)}) the device is silent for "
            f"{span(quiet)}.",
            last.evidence,
            _filter(device),
            times=[last.ts],
        )


@rule
class WindowClosed(DeviceRule):
    """Hellos for about six hours, then none."""

    subject = staticmethod(several_hellos)
    id = "window-closed"
    precedence = 530
    title = "The setup window has closed"
    label = "window closed"
    catalogue = "F35"
    row = "the setup window has closed"
    severity = "warning"
    basis = "inferred"
    confidence = "low"
    remedy = (
        "Restart setup on the device, or have the server extend the window (ExtendProvisioningPeriod) as "
        "soon as it hears the first Hello. Most OEMs leave it open for six hours."
    )
    source = "Intel's AMT guide on remote configuration; Altiris and HP manuals: six hours"
    example = (("hello", 0), ("hello", 3 * 3600), ("hello", 6 * 3600), ("until", 13 * 3600))
    near_miss = (("hello", 0), ("hello", 2 * 3600), ("hello", 4 * 3600), ("until", 13 * 3600))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A series as long as the usual window, and an hour of silence after it."""
        if len(device.hellos) < 3:
            return
        first, last = device.hellos[0].event, device.hellos[-1].event
        lasted, quiet = last.ts - first.ts, device.covered_until - last.ts
        if _WINDOW[0] <= lasted <= _WINDOW[1] and quiet >= max(_HOUR, 2 * max(device.device.gaps)):
            yield self.finding(
                device,
                f"{len(device.hellos)} Hellos within {span(lasted)}, then none for {span(quiet)}.",
                [first.evidence[0], last.evidence[0]],
                _filter(device),
                times=[first.ts, last.ts],
            )


@rule
class StartsOver(DeviceRule):
    """The retry count falls back again and again."""

    subject = staticmethod(several_hellos)
    id = "starts-over"
    precedence = 540
    title = "The device starts over again and again"
    label = "starts over"
    catalogue = "F37"
    row = "the device starts over again and again"
    severity = "warning"
    basis = "inferred"
    confidence = "medium"
    remedy = "Look for power cycling, an agent that restarts setup in a loop, or a reset of the ME."
    source = "Domain inference: the count rises by one unless the device was restarted"
    example = (
        ("hello", 0, {"retry_count": 0}),
        ("hello", 60, {"retry_count": 1}),
        ("hello", 120, {"retry_count": 0}),
        ("hello", 180, {"retry_count": 1}),
        ("hello", 240, {"retry_count": 0}),
    )
    near_miss = (
        ("hello", 0, {"retry_count": 0}),
        ("hello", 60, {"retry_count": 1}),
        ("hello", 120, {"retry_count": 2}),
        ("hello", 180, {"retry_count": 0}),
        ("hello", 240, {"retry_count": 1}),
    )

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Three Hellos or more whose count did not rise."""
        counted = [r.event for r in device.hellos if r.event.hello.retry_count is not None]
        falls = [b for a, b in pairwise(counted) if (b.hello.retry_count or 0) <= (a.hello.retry_count or 0)]
        if len(falls) < _RESTARTS - 1 or len(device.macs) > 1:
            return
        counts = ", ".join(str(event.hello.retry_count) for event in counted[:12])
        yield self.finding(
            device,
            f"The retry count falls back {len(falls)} times: {counts} ({frames(_frames_of(device))}).",
            [event.evidence[0] for event in falls],
            _filter(device),
            times=[event.ts for event in falls],
            count=len(falls),
        )


@rule
class ClonedUuid(DeviceRule):
    """One UUID from two MACs."""

    subject = staticmethod(several_hellos)
    id = "cloned-uuid"
    precedence = 170
    title = "Two machines carry the same UUID"
    label = "shared UUID"
    catalogue = "F38"
    row = "two machines have one UUID"
    remedy = (
        "Rewrite the UUID of one of them with the vendor's tool: the server takes both for one machine, and "
        "what it does to one it undoes on the other."
    )
    source = "Domain inference from interleaved Hellos; SMBIOS UUIDs are to be unique"
    example = (
        ("hello", 0, {"mac": "device"}),
        ("hello", 10, {"src": "other", "mac": "other"}),
        ("hello", 60, {"mac": "device"}),
    )
    near_miss = (("hello", 0, {"mac": "device"}), ("hello", 10, {"src": "other", "mac": "device"}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Hellos of one UUID that come from two addresses in turn, with two MACs or again and again."""
        sources = [record.event.ends.src for record in device.hellos]
        turns = sum(a != b for a, b in pairwise(sources))
        families = {":" in source for source in sources}
        # One change is a device that moved; two machines take turns. Behind a router their MACs are not seen.
        distinct = len(device.macs) > 1 and turns >= _TURNS
        if not device.id.startswith("uuid:") or len(families) > 1 or not (distinct or turns > _TURNS):
            return
        macs = f", MACs {' and '.join(device.macs[:3])}" if distinct else ""
        yield self.finding(
            device,
            f"The UUID comes from {' and '.join(sorted(set(sources))[:4])} in turn{macs} "
            f"({frames(_frames_of(device))}).",
            _frames_of(device),
            _filter(device),
            times=[record.event.ts for record in device.hellos],
            count=max(len(device.macs), len(set(sources))),
            confidence=None if distinct else "medium",
        )


@rule
class SharedAddress(DeviceRule):
    """Several UUIDs from one address."""

    subject = "shared_address"
    id = "shared-address"
    precedence = 550
    title = "Several devices say Hello from one address"
    label = "one address"
    catalogue = "F39"
    row = "two devices share one address"
    severity = "warning"
    confidence = "medium"
    remedy = (
        "Provision without NAT or a relay between device and server: MeshCentral ignores a second Hello from "
        "an address that it is working on, and connects back to the address it saw."
    )
    source = "MeshCentral's source"
    example = (("hello", 0), ("hello", 1, {"uuid": "other"}))
    near_miss = (("hello", 0), ("hello", 1, {"uuid": "other", "src": "other"}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """The address is another device's too."""
        if not device.shared_address or not device.hellos:
            return
        yield self.finding(
            device,
            f"Other devices say Hello from {device.hellos[-1].event.ends.src} too "
            f"({frames(_frames_of(device))}).",
            _frames_of(device),
            _filter(device),
            times=[record.event.ts for record in device.hellos],
            candidates=(
                Candidate("NAT or a relay between them and the server", "a capture on the devices' segment"),
                Candidate("the lease went from one device to the other", "the DHCP server's log"),
            ),
        )


def _has_several_modes(device: DeviceEvidence) -> bool:
    return len(device.device.modes) > 1


@rule
class ModesDisagree(DeviceRule):
    """Signs of two modes take turns."""

    subject = staticmethod(_has_several_modes)
    id = "modes-disagree"
    precedence = 570
    title = "The device shows two modes in turn"
    label = "two modes"
    severity = "info"
    basis = "inferred"
    confidence = "low"
    remedy = (
        "Find out whether two machines share the address or the UUID, and what was done to the device then."
    )
    source = "Intel's AMT guide on device modes: no way leads back and forth within minutes without a command"
    example = (("hello", 0), ("pong", 5, "operational"), ("hello", 30))
    near_miss = (("hello", 0), ("pong", 5, "operational"), ("hello", 700))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """One mode, another, and the first again, within ten minutes."""
        for first, between, again in zip(
            device.device.modes, device.device.modes[1:], device.device.modes[2:], strict=False
        ):
            start, end = first.since or 0, again.since or 0
            changed = between.reason in CALLS or again.reason in CALLS
            if first.name != again.name or end - start > _CONTRADICTION or changed:
                continue
            evidence = [*first.evidence[:2], *between.evidence[:2], *again.evidence[:2]]
            yield self.finding(
                device,
                f"It shows {first.name} ({first.reason}), {between.name} ({between.reason}) and again "
                f"{first.name} ({frames(evidence)}).",
                evidence,
                f"(rmcp || tcp.port in {{9971, 16992..16995}}) && {address_filter(device.device.ips[-1])}",
                times=[start, end],
                candidates=(
                    Candidate("two machines share the address or the UUID", "their MACs, by ARP or DHCP"),
                    Candidate("it was unprovisioned or set up in between", "its audit log, the server's log"),
                ),
            )
            return


@rule
class HelloAfterOperational(DeviceRule):
    """A device that was under management says Hello."""

    subject = staticmethod(_has_several_modes)
    id = "hello-after-operational"
    precedence = 560
    title = "A provisioned device says Hello again"
    label = "unprovisioned?"
    catalogue = "F55"
    row = "a provisioned device says Hello again"
    category = "security"
    severity = "warning"
    basis = "inferred"
    confidence = "medium"
    remedy = "Find out who unprovisioned it, and when: the audit log of the device or of the server tells."
    source = "Domain inference: Hellos come in Setup Mode only"
    example = (
        ("back", 0, "established", {"dport": 16994, "client_bytes": 9, "server_bytes": 9}),
        ("hello", 60),
    )
    near_miss = (
        ("hello", -60),
        ("back", 0, "established", {"dport": 16994, "client_bytes": 9, "server_bytes": 9}),
    )

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Setup after Operational in the history of modes."""
        for before, after in pairwise(device.device.modes):
            again = any(record.event.ts >= (before.since or 0) for record in device.hellos)
            if before.name == "operational" and after.name == "setup" and again:
                yield self.finding(
                    device,
                    f"It was operational ({before.reason}, {frames(before.evidence)}) and then "
                    f"{after.reason} ({frames(after.evidence)}).",
                    [*before.evidence, *after.evidence],
                    _filter(device),
                    times=[after.since] if after.since is not None else [],
                )
                return
