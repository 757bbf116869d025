"""Events to devices: each Hello and connection goes to the device it belongs to, then its story is told."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

from amtdiag.model import (
    Basis,
    CaptureInfo,
    ConnectionEvent,
    DeviceRecord,
    HelloEvent,
    HelloRecord,
    HelloType,
)
from amtdiag.protocols.ports import CIRA_PORT, DEVICE_PORTS
from amtdiag.provisioning.identity import Macs, address_id, device_id, scanners
from amtdiag.provisioning.modes import Sign, Trigger, history
from amtdiag.provisioning.stages import stages_of
from amtdiag.provisioning.visibility import Coverage
from amtdiag.trust.releases import consistent_with
from amtdiag.trust.verdicts import judge

_REDIRECTION = frozenset({"redirection", "redirection-tls"})


@dataclass(slots=True)
class Case:
    """One device with all that was seen of it: what the checks look at."""

    id: str
    hellos: list[HelloRecord] = field(default_factory=list)
    attempts: list[ConnectionEvent] = field(default_factory=list)
    """Connections of the device to a Hello port."""
    returns: list[ConnectionEvent] = field(default_factory=list)
    """Connections to the device's own AMT ports."""
    outgoing: list[ConnectionEvent] = field(default_factory=list)
    """Connections of the device to a management presence server."""
    shared_address: bool = False
    """Another device sends Hellos from the same address: what comes back may be for either."""
    device: DeviceRecord = field(init=False)
    covered_until: int = 0
    """How long the capture goes on after the last event of this device."""

    @property
    def last_hello(self) -> HelloEvent | None:
        """The latest Hello."""
        return self.hellos[-1].event if self.hellos else None


@dataclass(slots=True)
class Followed:
    """What `follow` gives: the cases, and connections to Hello ports that are no device's."""

    cases: list[Case]
    hellos: list[HelloRecord]
    strays: list[ConnectionEvent]


def follow(
    hellos: Iterable[HelloEvent],
    connections: Iterable[ConnectionEvent],
    captures: Iterable[CaptureInfo],
    hello_ports: frozenset[int],
    most_devices: int,
) -> Followed:
    """Give every event to its device and tell each device's story. Events may come in any order."""
    by_time = sorted(hellos, key=lambda event: event.ts)
    links = sorted(connections, key=lambda event: event.ts)
    book = _Book(by_time, links, most_devices)
    book.take_hellos(by_time)
    book.take_connections(links, hello_ports)
    coverage = Coverage(captures)
    for case in book.cases.values():
        _describe(case, coverage, book.macs)
    cases = sorted(book.cases.values(), key=lambda case: case.device.first_seen)
    records = sorted((record for case in cases for record in case.hellos), key=lambda r: r.event.ts)
    return Followed(cases, records, book.strays)


class _Book:
    """Which device had which address when."""

    def __init__(self, hellos: Sequence[HelloEvent], links: Sequence[ConnectionEvent], most: int) -> None:
        self.cases: dict[str, Case] = {}
        self.strays: list[ConnectionEvent] = []
        self.macs = Macs()
        self._most = most
        self._at: defaultdict[str, list[tuple[int, Case]]] = defaultdict(list)
        """By address: when a Hello came from it, and whose."""
        self._servers = {(event.ends.dst, event.ends.dport) for event in hellos}
        """Where Hellos went, on whatever port."""
        for ends in chain((event.ends for event in hellos), (link.ends for link in links)):
            self.macs.learn(ends)

    def take_hellos(self, hellos: Sequence[HelloEvent]) -> None:
        """Hand out the Hellos; afterwards it is known who lived at which address."""
        for event in hellos:
            identity = device_id(event, self.macs)
            if identity.startswith("ip:"):
                known = self._at[event.ends.src]
                identity = known[-1][1].id if known else identity
            case = self._case(identity)
            if case is None:
                continue
            case.hellos.append(HelloRecord(event, identity, judge(event.hello, event.ts)))
            self._at[event.ends.src].append((event.ts, case))
        for residents in self._at.values():
            if len({case.id for _, case in residents}) > 1:
                for _, case in residents:
                    case.shared_address = True

    def take_connections(self, links: Sequence[ConnectionEvent], hello_ports: frozenset[int]) -> None:
        """Hand out the connections: to a Hello port, back to a device, out to a presence server."""
        scanning = scanners(link for link in links if link.ends.dport in hello_ports)
        for link in links:
            port = link.ends.dport
            if port in hello_ports or (link.ends.dst, port) in self._servers:
                case = self._resident(link.ends.src, link.ts)
                if (
                    case is None
                    and link.outcome in ("refused", "unanswered")
                    and link.ends.src not in scanning
                ):
                    case = self._case(address_id(link.ends.src, link.ts))
                    if case is not None:
                        self._at[link.ends.src].append((link.ts, case))
                if case is None or link.foreign:
                    self.strays.append(link)
                else:
                    case.attempts.append(link)
            elif port in DEVICE_PORTS:
                case = self._resident(link.ends.dst, link.ts)
                if case is not None:
                    case.returns.append(link)
            elif port == CIRA_PORT:
                case = self._resident(link.ends.src, link.ts)
                if case is not None:
                    case.outgoing.append(link)

    def _case(self, identity: str) -> Case | None:
        case = self.cases.get(identity)
        if case is None and len(self.cases) < self._most:
            case = self.cases[identity] = Case(identity)
        return case

    def _resident(self, address: str, ts: int) -> Case | None:
        """Return the device that spoke last from an address before `ts`, else the first one after."""
        residents = self._at.get(address)
        if not residents:
            return None
        at = bisect_right(residents, ts, key=lambda entry: entry[0])
        return residents[max(at - 1, 0)][1]


def _describe(case: Case, coverage: Coverage, macs: Macs) -> None:
    """Tell the story of a device from what belongs to it."""
    events = [record.event for record in case.hellos]
    links = [*case.attempts, *case.returns, *case.outgoing]
    last_seen = max([*(event.ts for event in events), *(link.last_ts for link in links)])
    first_seen = min([*(event.ts for event in events), *(link.ts for link in links)])
    case.covered_until = coverage.until(last_seen)
    last = case.hellos[-1] if case.hellos else None
    basis: Basis = "inferred" if case.shared_address else "observed"
    stages = stages_of(events, case.attempts, case.returns, basis)
    modes = history(_signs(case))
    seen_from = [event.ends for event in events] + [link.ends for link in case.attempts]
    hardware = [ends.src_mac for ends in seen_from if ends.src_mac and macs.identifies(ends.src_mac)]
    addresses = list(dict.fromkeys(ends.src for ends in seen_from))
    uuid = next((event.hello.uuid for event in events if event.hello.uuid), None)
    server = next((ends.dst for ends in reversed(seen_from)), None)
    case.device = DeviceRecord(
        id=case.id,
        aliases=_aliases(case.id, list(dict.fromkeys(hardware)), addresses, first_seen),
        uuid=uuid,
        macs=tuple(dict.fromkeys(hardware)),
        ips=tuple(addresses),
        hello_type=_hello_type(events),
        retry_counts=tuple(e.hello.retry_count for e in events if e.hello.retry_count is not None),
        gaps=tuple(b.ts - a.ts for a, b in pairwise(events)),
        hellos=len(events),
        first_seen=first_seen,
        last_seen=last_seen,
        mode=modes[-1],
        modes=modes,
        stage=stages[-1].name if stages else "discovery",
        stages=stages,
        visibility={
            "device_to_server": bool(events) or any(link.syns for link in case.attempts),
            "server_to_device": any(link.server_seen for link in case.attempts)
            or any(link.syns for link in case.returns),
        },
        suffix=None,
        server=server,
        firmware=consistent_with(last.event.hello, last.digests) if last else None,
    )


def _aliases(identity: str, macs: Sequence[str], addresses: Sequence[str], first: int) -> tuple[str, ...]:
    others = [f"mac:{mac}" for mac in macs] + [address_id(address, first) for address in addresses]
    return tuple(other for other in others if other != identity)


def _hello_type(events: Sequence[HelloEvent]) -> HelloType | None:
    return events[-1].hello.type if events else None


def _signs(case: Case) -> list[Sign]:
    """What tells the mode."""
    signs = [Sign(record.event.ts, "hello", record.event.evidence) for record in case.hellos]
    kinds: tuple[tuple[Trigger, list[ConnectionEvent]], ...] = (
        ("redirection", [link for link in case.returns if DEVICE_PORTS[link.ends.dport] in _REDIRECTION]),
        ("cira", case.outgoing),
    )
    for trigger, links in kinds:
        signs += [
            Sign(link.ts, trigger, link.evidence)
            for link in links
            if link.outcome in ("established", "reset") and link.client_bytes and link.server_bytes
        ]
    return signs
