"""All events of a run, and the facts that two of them make together."""

from __future__ import annotations

from collections import defaultdict

from amtdiag.model import (
    ConnectionEvent,
    DhcpEvent,
    HelloEvent,
    LookupEvent,
    PingEvent,
    PongEvent,
    RejectionEvent,
    Sighting,
    UnansweredArp,
)
from amtdiag.protocols.ports import DNS_PORT
from amtdiag.times import SECOND

_ANSWERED_BY = 10 * SECOND
"""An ICMP message comes at once; one that is later is about another attempt."""


class EventLog:
    """The events of a run or of one sensor, each kind in time order once `sort` was called."""

    __slots__ = (
        "connections", "dhcp", "hellos", "lookups", "nobody", "odd_attempts", "other_lookups",
        "pings", "pongs", "rejections", "sightings",
    )  # fmt: skip

    def __init__(self) -> None:
        self.hellos: list[HelloEvent] = []
        self.connections: list[ConnectionEvent] = []
        self.odd_attempts: list[ConnectionEvent] = []
        """From a host that asked for a provisioning server to the address it was told, on other ports."""
        self.dhcp: list[DhcpEvent] = []
        self.lookups: list[LookupEvent] = []
        """For the provisioning server's usual name."""
        self.other_lookups: list[LookupEvent] = []
        self.pongs: list[PongEvent] = []
        self.pings: list[PingEvent] = []
        self.sightings: list[Sighting] = []
        self.nobody: list[UnansweredArp] = []
        """Addresses that are asked for in vain."""
        self.rejections: list[RejectionEvent] = []

    def sort(self) -> None:
        """Put every kind in time order."""
        self.hellos.sort(key=lambda one: one.ts)
        self.connections.sort(key=lambda one: one.ts)
        self.odd_attempts.sort(key=lambda one: one.ts)
        self.dhcp.sort(key=lambda one: one.ts)
        self.lookups.sort(key=lambda one: one.ts)
        self.other_lookups.sort(key=lambda one: one.ts)
        self.pongs.sort(key=lambda one: one.ts)
        self.pings.sort(key=lambda one: one.ts)
        self.nobody.sort(key=lambda one: one.ts)

    def copy(self) -> EventLog:
        """Return the same events in lists of their own."""
        other = EventLog()
        for kind in self.__slots__:
            setattr(other, kind, list(getattr(self, kind)))
        return other

    def most(self) -> int:
        """Return how many there are of the kind that there are most of."""
        return max(len(getattr(self, kind)) for kind in self.__slots__)

    def senders(self) -> frozenset[str]:
        """Return the addresses of which packets are seen that they sent themselves."""
        found = {link.ends.dst for link in self.connections if link.server_seen}
        found |= {link.ends.src for link in self.connections}
        found |= {one.address for one in self.sightings} | {one.device for one in self.pongs}
        for lookups in (self.lookups, self.other_lookups):
            found |= {one.client for one in lookups} | {
                one.server for one in lookups if one.rcode is not None
            }
        return frozenset(found)

    def join_rejections(self) -> None:
        """Say of every attempt and question that an ICMP message was about why it failed."""
        about: defaultdict[tuple[str, str, int], list[RejectionEvent]] = defaultdict(list)
        for one in self.rejections:
            about[one.src, one.dst, one.dport].append(one)
        if not about:
            return
        for links in (self.connections, self.odd_attempts):
            for place, link in enumerate(links):
                links[place] = _rejected(link, about.get((link.ends.src, link.ends.dst, link.ends.dport), []))
        for lookups in (self.lookups, self.other_lookups):
            for place, lookup in enumerate(lookups):
                if lookup.rcode is None:
                    said = about.get((lookup.client, lookup.server, DNS_PORT), [])
                    lookups[place] = _undeliverable(lookup, said)


def _rejected(link: ConnectionEvent, said: list[RejectionEvent]) -> ConnectionEvent:
    """The connection, if nobody answered but the ICMP messages about it; else as it is."""
    if link.outcome == "unanswered":
        for one in said:
            if one.sport == link.ends.sport and link.ts <= one.ts <= link.last_ts + _ANSWERED_BY:
                evidence = tuple(dict.fromkeys((*link.evidence, *one.evidence)))
                return link._replace(
                    outcome="rejected", rejection=f"{one.reporter} says: {one.reason}", evidence=evidence
                )
    return link


def _undeliverable(lookup: LookupEvent, said: list[RejectionEvent]) -> LookupEvent:
    for one in said:
        if lookup.ts <= one.ts <= lookup.ts + _ANSWERED_BY:
            evidence = tuple(dict.fromkeys((*lookup.evidence, *one.evidence)))
            return lookup._replace(rejection=f"{one.reporter} says: {one.reason}", evidence=evidence)
    return lookup
