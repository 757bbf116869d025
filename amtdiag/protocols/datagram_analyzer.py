"""From datagrams to events: DHCP, DNS, RMCP; ARP, which says who has an address; ICMP, which says why not."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from amtdiag.capture.decode.packet import ARP, UDP, Segment
from amtdiag.model import (
    DhcpEvent,
    Evidence,
    LookupEvent,
    PingEvent,
    PongEvent,
    RejectionEvent,
    Sighting,
    UnansweredArp,
)
from amtdiag.protocols import dhcp, dhcpv6, dns, icmp, rmcp
from amtdiag.protocols.addresses import address_text
from amtdiag.protocols.arp import Neighbours
from amtdiag.protocols.dns_transactions import Lookups
from amtdiag.protocols.ports import DHCP_PORTS, DHCPV6_PORTS, DNS_PORT
from amtdiag.reassembly.connections import Connection
from amtdiag.times import SECOND

_OTHER_LOOKUPS = 20_000
"""Lookups of other names that are remembered: one may turn out to be a device's custom server name."""
_MOST_TCP_MESSAGES = 16
_PATIENCE = 10 * SECOND
"""A question that is younger than this may still be answered."""
_REMEMBERED = 65_536
"""Pairs of addresses, and attempts, that are remembered so that nothing is said twice."""

DatagramEvent = DhcpEvent | LookupEvent | PongEvent | PingEvent | Sighting | UnansweredArp | RejectionEvent


class DatagramReader:
    """Reads datagrams; DNS questions wait for their answers in it."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files
        self._lookups = Lookups()
        self._others: deque[LookupEvent] = deque(maxlen=_OTHER_LOOKUPS)
        self._neighbours = Neighbours()
        self._pinged: set[tuple[str, str]] = set()
        self._rejected: set[tuple[object, ...]] = set()

    def read(self, one: Segment) -> Iterator[DatagramEvent]:
        """Yield what a datagram says."""
        evidence = tuple(Evidence(self._files[one.file], frame) for frame in one.frames)
        if one.protocol == ARP:
            yield from self._arp(one, evidence)
        elif one.protocol != UDP:
            yield from self._rejection(one, evidence)
        elif DNS_PORT in (one.sport, one.dport):
            ends = (address_text(one.src), address_text(one.dst))
            port = one.dport if one.sport == DNS_PORT else one.sport
            yield from self._wanted(self._lookups.take(one.payload, one.ts, ends, port, evidence))
        elif one.dport in DHCP_PORTS:
            yield from _dhcp(one, evidence)
        elif one.dport in DHCPV6_PORTS:
            yield from _dhcpv6(one, evidence)
        else:
            yield from self._rmcp(one, evidence)

    def _arp(self, one: Segment, evidence: tuple[Evidence, ...]) -> Iterator[Sighting | UnansweredArp]:
        """Read an ARP message; a probe has no sender address, and says nothing of who has one."""
        if any(one.src) and any(one.mac):
            ends = (address_text(one.src), address_text(one.dst))
            yield from self._neighbours.take(one.ts, one.flags, ends, one.mac.hex(":"), evidence)

    def _rejection(self, one: Segment, evidence: tuple[Evidence, ...]) -> Iterator[RejectionEvent]:
        """Yield the first ICMP message about each attempt."""
        found = icmp.parse(one.payload, one.protocol)
        if found is None or found in self._rejected:
            return
        if len(self._rejected) >= _REMEMBERED:
            self._rejected.clear()
        self._rejected.add(found)
        yield RejectionEvent(
            ts=one.ts,
            reporter=address_text(one.src),
            reason=found.reason,
            transport=found.transport,
            src=address_text(found.src),
            sport=found.sport,
            dst=address_text(found.dst),
            dport=found.dport,
            evidence=evidence,
        )

    def _rmcp(self, one: Segment, evidence: tuple[Evidence, ...]) -> Iterator[PingEvent | PongEvent]:
        """Yield every pong, and of pings the first to each address: who is asked is what matters."""
        found = rmcp.parse(one.payload)
        source, target = address_text(one.src), address_text(one.dst)
        if isinstance(found, rmcp.Ping) and (source, target) not in self._pinged:
            if len(self._pinged) >= _REMEMBERED:
                self._pinged.clear()
            self._pinged.add((source, target))
            yield PingEvent(one.ts, source, target, evidence)
        elif isinstance(found, rmcp.PresencePong):
            yield PongEvent(one.ts, source, target, found.mode, found.version, found.port, evidence)

    def read_connection(self, connection: Connection) -> Iterator[DatagramEvent]:
        """Yield the lookups of a DNS connection over TCP."""
        client, server = address_text(connection.client[0]), address_text(connection.server[0])
        for stream, way in (
            (connection.assembled("client"), (client, server)),
            (connection.assembled("server"), (server, client)),
        ):
            at = 0
            for _ in range(_MOST_TCP_MESSAGES):
                length = int.from_bytes(stream.data[at : at + 2])
                if not length or at + 2 + length > len(stream.data):
                    break
                piece = next(p for p in stream.pieces if p.end > at)
                file, frames = piece.frames
                evidence = tuple(Evidence(self._files[file], frame) for frame in frames)
                message = stream.data[at + 2 : at + 2 + length]
                port = connection.client[1]
                yield from self._wanted(self._lookups.take(message, piece.ts, way, port, evidence, tcp=True))
                at += 2 + length

    def finish(self) -> Iterator[DatagramEvent]:
        """Yield the questions that nobody answered."""
        yield from self._wanted(self._lookups.finish())
        yield from self._neighbours.finish()

    def waiting(self, now: int) -> Iterator[DatagramEvent]:
        """Yield what may be said by now of questions that are open, and keep them open."""
        for lookup in self._lookups.waiting(now - _PATIENCE):
            if dns.is_discovery(lookup.name):
                yield lookup
        yield from self._neighbours.waiting(now)

    def other_lookups_so_far(self) -> Iterator[LookupEvent]:
        """Yield the lookups of other names, those among them that have an answer and are not over."""
        yield from self._others
        for lookup in self._lookups.waiting(0):
            if not dns.is_discovery(lookup.name):
                yield lookup

    def other_lookups(self) -> Sequence[LookupEvent]:
        """Return the lookups of other names."""
        return self._others

    def _wanted(self, lookups: Iterator[LookupEvent]) -> Iterator[LookupEvent]:
        """Yield discovery lookups, set the others aside."""
        for lookup in lookups:
            if dns.is_discovery(lookup.name):
                yield lookup
            else:
                self._others.append(lookup)


def _dhcp(one: Segment, evidence: tuple[Evidence, ...]) -> Iterator[DhcpEvent]:
    lease = dhcp.parse(one.payload)
    if lease is None:
        return
    yield DhcpEvent(
        ts=one.ts,
        mac=lease.mac,
        kind=lease.kind,
        address=lease.offered or lease.requested or lease.client,
        server=lease.server,
        dns=lease.dns,
        domain=lease.domain,
        host=lease.host,
        fqdn=lease.fqdn,
        search=lease.search,
        wanted=lease.wanted,
        whole=lease.ended or not one.missing,
        evidence=evidence,
        xid=lease.xid,
    )


def _dhcpv6(one: Segment, evidence: tuple[Evidence, ...]) -> Iterator[DhcpEvent]:
    message = dhcpv6.parse(one.payload)
    if message is None:
        return
    yield DhcpEvent(
        ts=one.ts,
        mac=message.mac,
        kind=message.kind,
        address=None,
        server=address_text(one.src) if message.kind in ("offer", "ack") else None,
        dns=message.dns,
        domain=message.suffixes[0] if message.suffixes else None,
        host=None,
        fqdn=None,
        search=False,
        wanted=frozenset(),
        whole=not one.missing,
        evidence=evidence,
        version=6,
    )
