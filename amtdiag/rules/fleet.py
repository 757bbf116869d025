"""What only the comparison of devices shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import FAILED, Finding, Unknown
from amtdiag.rules.base import (
    FleetEvidence,
    FleetRule,
    address_filter,
    flow_filter,
    frames,
    proof,
    rule,
    where,
)

_FEW_DEVICES = 4
"""Devices that agree on a server before one that does not is odd."""
_MAJORITY = 0.8
"""Share of the devices that has to agree."""
_PSK_REMOVED_IN = 11
"""The release of AMT from which on there is no pre-shared key (Intel's AMT guide, Hello message)."""


@rule
class PidReused(FleetRule):
    """One pre-shared key opens several devices."""

    id = "pid-reused"
    precedence = 1040
    title = "Several devices share one PID"
    category = "security"
    severity = "warning"
    remedy = "Give every device a pair of its own: one leak opens all that share one."
    source = "HP and Intel manuals: unique PID/PPS pairs"
    example = (("hello", 1, {"device": 1, "pid": "0000037M"}), ("hello", 2, {"device": 2, "pid": "0000037M"}))
    near_miss = (
        ("hello", 1, {"device": 1, "pid": "0000037M"}),
        ("hello", 9, {"device": 1, "pid": "0000037M"}),
    )

    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """The same PID in the Hellos of two devices or more."""
        users: defaultdict[str, list[DeviceEvidence]] = defaultdict(list)
        for device in scene.cases:
            for record in device.hellos:
                pid = record.event.hello.pid
                if pid and (not users[pid] or users[pid][-1] is not device):
                    users[pid].append(device)
        for pid, sharing in users.items():
            if len(sharing) < 2:
                continue
            events = [r.event for device in sharing for r in device.hellos if r.event.hello.pid == pid]
            evidence = [event.evidence[0] for event in events]
            yield self.finding(
                pid,
                f"{len(sharing)} devices use the PID {pid} ({frames(evidence)}).",
                evidence,
                f"tcp.port=={events[0].ends.dport}",
                times=[event.ts for event in events],
                count=len(sharing),
            )


@rule
class UnexpectedServer(FleetRule):
    """Whoever gets a device's Hello can take the machine."""

    id = "unexpected-server"
    precedence = 1010
    title = "A Hello goes to a server that is not expected"
    label = "other server"
    category = "security"
    severity = "warning"
    basis = "inferred"
    confidence = "low"
    remedy = "Check whether that server is yours: whoever gets the Hello can take the machine."
    source = "Public work on provisioning by a rogue server (Ververis)"
    example = (
        ("hello", 1, {"device": 1}),
        ("hello", 2, {"device": 2}),
        ("hello", 3, {"device": 3}),
        ("hello", 4, {"device": 4}),
        ("hello", 99, {"device": 99, "dst": "10.6.6.6"}),
    )
    near_miss = (
        ("hello", 1, {"device": 1}),
        ("hello", 2, {"device": 2}),
        ("hello", 3, {"device": 3}),
        ("hello", 99, {"device": 99, "dst": "10.6.6.6"}),
    )

    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """A server that --server does not name; without that, one that a single device of many turns to."""
        if self.options.servers:
            yield from self._outside(scene)
        else:
            yield from self._alone(scene)

    def _outside(self, scene: FleetEvidence) -> Iterator[Finding]:
        """Hellos and attempts to servers that the caller did not name."""
        for device in scene.cases:
            events = [record.event for record in device.hellos] or device.attempts
            strange = [event for event in events if event.ends.dst not in self.options.servers]
            if strange:
                servers = sorted({event.ends.dst for event in strange})
                yield self.finding(
                    device.id,
                    f"It turns to {', '.join(servers[:3])} ({where(strange)}), which is not among "
                    "the servers that you named.",
                    proof(strange),
                    f"tcp.port=={strange[0].ends.dport} && {address_filter(servers[0])}",
                    times=[event.ts for event in strange],
                    count=len(strange),
                    basis="observed",
                    confidence="high",
                    severity="error",
                    device=device.id,
                )

    def _alone(self, scene: FleetEvidence) -> Iterator[Finding]:
        """A device whose Hello goes where no other's does, while the others agree."""
        targets = {
            device.id: {r.event.ends.dst for r in device.hellos} for device in scene.cases if device.hellos
        }
        votes = Counter(server for servers in targets.values() for server in servers)
        if len(votes) < 2:
            return
        usual, count = votes.most_common(1)[0]
        if count < max(_FEW_DEVICES, _MAJORITY * len(targets)):
            return
        for device in scene.cases:
            servers = targets.get(device.id, set())
            if len(servers) != 1 or usual in servers or votes[next(iter(servers))] > 1:
                continue
            (server,) = servers
            last = device.hellos[-1].event
            yield self.finding(
                device.id,
                f"Its Hello goes to {server} ({frames(last.evidence)}), those of {count} others to {usual}.",
                last.evidence,
                f"tcp.port=={last.ends.dport} && {address_filter(server)}",
                times=[last.ts],
                device=device.id,
            )


@rule
class PskAmongPki(FleetRule):
    """A device speaks PSK to a server that provisions by certificate."""

    id = "psk-among-pki"
    precedence = 1020
    title = "A PSK Hello where others are provisioned by certificate"
    label = "PSK, not PKI"
    catalogue = "F17"
    row = "a PKI site gets a device that has a PID"
    severity = "warning"
    basis = "inferred"
    confidence = "low"
    remedy = (
        "PID and PPS were entered, and AMT prefers them: clear them in MEBx, or enter the pair at the server."
    )
    source = "Intel's AMT guide, overview of automatic configuration"
    example = (
        ("hello", 1, {"device": 1}),
        ("back", 2, "established", {"dst": "10.0.0.1"}),
        ("hello", 9, {"device": 9, "pid": "0000037M"}),
    )
    near_miss = (
        ("hello", 1, {"device": 1}),
        ("back", 2, "established", {"dst": "10.0.0.1"}),
        ("hello", 9, {"device": 9}),
    )

    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """PSK Hellos that a server does not follow up, while it connects back to devices with PKI Hellos."""
        yield from _odd_type(self, scene, "psk", "pki")


@rule
class PkiAmongPsk(FleetRule):
    """A device speaks PKI to a server that provisions by pre-shared key."""

    id = "pki-among-psk"
    precedence = 1030
    title = "A PKI Hello where others are provisioned by PSK"
    label = "PKI, not PSK"
    catalogue = "F16"
    row = "a PSK site gets a device that knows no PSK"
    severity = "warning"
    basis = "inferred"
    confidence = "low"
    remedy = (
        "AMT 11.0 removed the pre-shared key: provision such devices by certificate or from their own "
        "system. An older device has no PID and PPS: enter them."
    )
    source = "Intel's AMT guide, Hello message: PSK up to AMT 10"
    example = (
        ("hello", 1, {"device": 1, "pid": "0000037M"}),
        ("back", 2, "established", {"dst": "10.0.0.1"}),
        ("hello", 9, {"device": 9}),
    )
    near_miss = (
        ("hello", 1, {"device": 1, "pid": "0000037M"}),
        ("back", 2, "established", {"dst": "10.0.0.1"}),
        ("hello", 9, {"device": 9, "pid": "0000037M"}),
    )

    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """PKI Hellos that a server does not follow up, while it connects back to devices with PSK Hellos."""
        yield from _odd_type(self, scene, "pki", "psk")


def _odd_type(rule: FleetRule, scene: FleetEvidence, odd: str, usual: str) -> Iterator[Finding]:
    """Devices with Hellos of one type that a server ignores which comes back to those of the other type."""
    if not {odd, usual} <= {event.hello.type for event in scene.events.hellos}:
        return
    follows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for device in scene.cases:
        if device.returns and any([link.outcome not in FAILED for link in device.returns]):
            for event in {r.event.ends.dst: r.event for r in device.hellos}.values():
                follows[event.ends.dst][event.hello.type] += 1
    for device in scene.cases:
        last = device.last_hello
        if last is None or device.returns or device.elsewhere or last.hello.type != odd or device.sought:
            continue
        followed = follows[last.ends.dst]
        if not followed[usual] or followed[odd] or device.covered_until - last.ts <= 0:
            continue
        version = f" The device says that it is {device.device.firmware}." if device.pongs else ""
        devices = "1 device" if followed[usual] == 1 else f"{followed[usual]} devices"
        yield rule.finding(
            device.id,
            f"Its Hello is of type {odd.upper()} ({frames(last.evidence)}); {last.ends.dst} connects back to "
            f"{devices} with {usual.upper()} and to none with {odd.upper()}.{version}",
            last.evidence,
            flow_filter(last.ends),
            times=[last.ts],
            device=device.id,
        )
