"""What the traffic shows beside the devices: strangers, other ways of management, the capture itself."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from amtdiag.model import ConnectionEvent, Finding, LookupEvent, PingEvent, Unknown
from amtdiag.protocols.ports import CIRA_PORT
from amtdiag.rules.base import (
    MAX_EVIDENCE,
    FleetEvidence,
    FleetRule,
    address_filter,
    proof,
    rule,
    where,
)

_SWEEP = 16
"""Addresses that are pinged before it is called a sweep."""
_ACTIVATION = r"(rps|mps|ema|openamt|meshcentral)([-.0-9]|server|$)"
"""How names begin that servers for other ways to activation usually have."""


def _absent_hosts(scene: FleetEvidence) -> defaultdict[str, set[str]]:
    """By sender, the addresses for which it gets no answer to ARP: on its own segment, a scan ends there."""
    absent: defaultdict[str, set[str]] = defaultdict(set)
    for question in scene.events.nobody:
        absent[question.asker].add(question.target)
    return absent


@rule
class RmcpSweep(FleetRule):
    """RMCP presence pings find AMT devices and tell their mode."""

    id = "rmcp-sweep"
    precedence = 1070
    title = "Somebody searches the network for AMT devices"
    category = "security"
    severity = "info"
    remedy = "An inventory tool of yours, or somebody else's: find the host."
    source = "Intel's AMT guide, RMCP ping; MeshCommander's scanner"
    example = (*(("ping", number, f"10.0.0.{number}") for number in range(16)),)
    near_miss = (*(("ping", number, f"10.0.0.{number}") for number in range(15)),)

    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """Pings of one host to 16 addresses or more."""
        sent: defaultdict[str, list[PingEvent]] = defaultdict(list)
        for ping in scene.events.pings:
            sent[ping.asker].append(ping)
        absent = _absent_hosts(scene)
        for asker, pings in sent.items():
            asked = {ping.target for ping in pings} | absent[asker]
            if len(asked) >= _SWEEP:
                yield self.finding(
                    asker,
                    f"{asker} sends RMCP pings to {len(asked)} addresses: it looks for AMT devices.",
                    proof(pings[:MAX_EVIDENCE]),
                    f"udp.port==623 && {address_filter(asker)}",
                    times=[ping.ts for ping in pings],
                    count=len(pings),
                )


@rule
class PortSweep(FleetRule):
    """Somebody tries one port after the other machine by machine."""

    id = "port-sweep"
    precedence = 1080
    title = "Somebody scans the network for provisioning servers"
    category = "security"
    severity = "info"
    remedy = "A vulnerability scanner of yours, or somebody else's: find the host."
    source = "Domain inference: a device turns to one server, a scanner to many"
    example = (
        *(("link", number, "refused", {"src": "10.9.9.9", "dst": f"10.0.0.{number}"}) for number in range(4)),
    )
    near_miss = (
        *(("link", number, "refused", {"src": "10.9.9.9", "dst": f"10.0.0.{number}"}) for number in range(3)),
    )

    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """Attempts of one host at the Hello port of four servers or more."""
        tried: defaultdict[str, list[ConnectionEvent]] = defaultdict(list)
        for link in scene.strays:
            if link.ends.src in scene.scanners:
                tried[link.ends.src].append(link)
        absent = _absent_hosts(scene)
        for source, links in tried.items():
            targets = {link.ends.dst for link in links}
            others = absent[source] - targets
            more = f", and asks in vain for {len(others)} more" if others else ""
            yield self.finding(
                source,
                f"{source} tries port {links[0].ends.dport} at {len(targets)} addresses "
                f"({where(links)}){more}.",
                proof(links),
                f"tcp.port=={links[0].ends.dport} && {address_filter(source)}",
                times=[link.ts for link in links],
                count=len(links),
            )


@rule
class NotAHello(FleetRule):
    """A browser, a test or a scanner, not AMT."""

    id = "not-a-hello"
    precedence = 1090
    title = "Something else came to a Hello port"
    catalogue = "F59"
    row = "something else than a Hello on the Hello port"
    severity = "info"
    remedy = "Not AMT: a browser, a test or a scanner. Leave it out of the diagnosis."
    source = "MeshCentral's source: what its port gets besides Hellos"
    example = (("link", 0, "established", {"src": "10.0.0.9", "foreign": "an HTTP request"}),)
    near_miss = (("link", 0, "established", {"src": "10.0.0.9"}),)

    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """Data on a Hello port that is no Hello, once a source and kind."""
        by_source: dict[tuple[str, str], list[ConnectionEvent]] = {}
        for link in scene.strays:
            if link.foreign:
                by_source.setdefault((link.ends.src, link.foreign), []).append(link)
        for (source, foreign), links in by_source.items():
            ends = links[0].ends
            yield self.finding(
                f"{source}/{foreign}",
                f"{source} sent {foreign} to port {ends.dport} of {ends.dst}: no Hello.",
                proof(links),
                f"tcp.port=={ends.dport} && {address_filter(source)}",
                times=[link.ts for link in links],
                count=len(links),
            )


@rule
class AnotherPath(FleetRule):
    """Devices are managed, or set up, by a way on which there is no Hello."""

    id = "another-path"
    precedence = 1050
    title = "There are signs of another way of management than by Hello"
    severity = "info"
    basis = "inferred"
    confidence = "low"
    remedy = (
        "Where devices are set up from their own system (RPS, EMA) or talk to a presence server (CIRA), look "
        "for the fault there: in the log of the agent and of that server. The activation itself happens "
        "inside the machine and is in no capture."
    )
    source = "Open AMT and MeshCentral documentation: host-based activation, CIRA on port 4433"
    example = (
        (
            "link",
            0,
            "established",
            {"dport": 4433, "dst": "10.0.0.44", "client_bytes": 99, "server_bytes": 99},
        ),
    )
    near_miss = (*example, ("hello", 1, {"src": "10.0.0.99"}))

    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """Without any Hello: talks to port 4433, AMT web servers, names of activation servers."""
        if scene.events.hellos:
            return
        cira = [link for device in scene.cases for link in device.outgoing if link.server_bytes]
        web = [
            link
            for device in scene.cases
            for link in (*device.returns, *device.visits)
            if link.web or (link.server_bytes and not (link.tls and link.tls.finished is False))
        ]
        answered = [lookup for lookup in scene.events.other_lookups if lookup.addresses]
        names = [lookup for lookup in answered if re.match(_ACTIVATION, lookup.name)]
        for subject, events, what in (
            ("cira", cira, f"talk to port {CIRA_PORT} (CIRA, device to presence server)"),
            ("amt", web, "answer on AMT ports: they are under management already"),
            ("activation", names, "ask for names of activation servers"),
        ):
            if events:
                yield self._path(subject, events, what)

    def _path(self, subject: str, events: list[ConnectionEvent] | list[LookupEvent], what: str) -> Finding:
        hosts = sorted({_host(event, subject) for event in events})
        listed = ", ".join(hosts[:3]) + (f" and {len(hosts) - 3} more" if len(hosts) > 3 else "")
        asked = sorted({event.name for event in events if isinstance(event, LookupEvent)})
        named = f" ({', '.join(asked[:3])})" if asked else ""
        return self.finding(
            subject,
            f"{listed}: {what}{named} ({where(events)}).",
            proof(events),
            "dns" if named else f"tcp.port in {{{CIRA_PORT}, 16992..16995}}",
            times=[event.ts for event in events],
            count=len(events),
        )


def _host(event: ConnectionEvent | LookupEvent, subject: str) -> str:
    """Whose sign it is."""
    if isinstance(event, LookupEvent):
        return event.client
    return event.ends.dst if subject == "amt" else event.ends.src


@rule
class NoHello(FleetRule):
    """Nobody says Hello in this capture, and no device shows why."""

    id = "no-hello"
    precedence = 1060
    title = "No Hello in this capture"
    severity = "info"
    basis = "none"
    confidence = "low"
    remedy = "Capture on the device's own segment while setup is started there (local agent, MEBx, USB file)."
    source = (
        "HP white papers: notebooks ship with a window of 0; Intel's AMT guide on AMT enabled after the lease"
    )
    example = (("lease", 0),)
    near_miss = (("lease", 0), ("hello", 1))

    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """No Hello, and no device that tried to say one."""
        shown = any(device.lookups or device.attempts or device.lacks_lease for device in scene.cases)
        if scene.events.hellos or shown:
            return
        clients = {lease.mac for lease in scene.events.dhcp if lease.kind == "ack"}
        bare = {lease.mac for lease in scene.events.dhcp if lease.kind == "ack" and lease.domain}
        lacking = len(clients - bare)
        leases = f"; {lacking} of {len(clients)} leases here carry no domain (option 15)" if lacking else ""
        yield Unknown(
            "why no device says Hello here",
            "a device that is off, whose setup window is closed or was never opened (an OEM timer of 0), "
            "that missed the lease, or that is set up from its own system or by CIRA, sends nothing to see"
            + leases,
            None,
            "its MEBx and local agent; then a capture on its own segment while setup is restarted",
        )


@rule
class CaptureDrops(FleetRule):
    """The capture has holes that no packet shows."""

    id = "capture-drops"
    precedence = 1100
    title = "The capturing side dropped packets"
    category = "capture"
    severity = "info"
    remedy = "Capture with a filter (tcp port 9971 or portrange 16992-16995) or a larger buffer."
    source = "The pcapng format: interface statistics"
    example = (("drops", 37),)
    near_miss = (("drops", 0),)

    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """The number of lost packets that the capturing program wrote into the file."""
        for capture in scene.captures:
            if capture.drops:
                yield self.finding(
                    capture.file,
                    f"{capture.file}: the capturing side dropped {capture.drops:,} packets.",
                    (),
                    "",
                    times=[ts for ts in (capture.first_ts, capture.last_ts) if ts is not None],
                    count=capture.drops,
                )
