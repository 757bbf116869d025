"""Every event goes to the device it belongs to."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import compress
from typing import TypeVar

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.devices.identity import Macs, address_id, scanners, troubled_clients, uuid_id
from amtdiag.model import (
    FAILED,
    ConnectionEvent,
    ConnectionKind,
    DhcpEvent,
    HelloEvent,
    HelloRecord,
    LookupEvent,
    PongEvent,
    UnansweredArp,
)
from amtdiag.protocols.dns import address_of_reverse
from amtdiag.protocols.hello import is_junk_uuid
from amtdiag.protocols.ports import CIRA_PORT, DEVICE_PORTS
from amtdiag.sessions.event_log import EventLog
from amtdiag.times import SECOND
from amtdiag.trust.verdicts import judge

_NAT_PATIENCE = 600 * SECOND
"""What comes back to a shared address may be for whoever said Hello from it within this time."""
_SOON = 60 * SECOND
"""A connection to a stranger counts as meant for a device this long after its Hello."""
_OFFERS = 10 * SECOND
"""What a DHCP server asks by ARP about an address it does within this time of giving it."""
_Owned = TypeVar("_Owned", DhcpEvent, LookupEvent, PongEvent)
_SETUP_PORTS = 1024
"""Below it are the ports of other services, which the system on the device may try."""
_MANY = 64
_FEW_NAMES = 4
"""Names that do not exist of which one may be a server's; more are the rambling of an operating system."""
_MOST_PROSPECTS = 64
_FEW_STRANGERS = 2
"""Addresses that a server may mistake for a device's; of more, they are machines of their own."""


class Book:
    """Which device lived at which address when, and what is known of each."""

    def __init__(self, events: EventLog, hello_ports: frozenset[int], most: int) -> None:
        self.cases: dict[str, DeviceEvidence] = {}
        self.strays: list[ConnectionEvent] = []
        """Connections to Hello ports that carried something else, or came from no device."""
        self.scanners: frozenset[str] = frozenset()
        self.macs = Macs()
        self._most = most
        self._hello_ports = hello_ports
        self._at: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        """By address: when a device was there, and which."""
        self._by_mac: dict[str, DeviceEvidence] = {}
        self._servers = {(event.ends.dst, event.ends.dport) for event in events.hellos}
        """Where Hellos went, on whatever port."""
        for sighting in events.sightings:
            self.macs.learn_sighting(sighting)
        for lease in events.dhcp:
            self.macs.learn_lease(lease)
        for hello in events.hellos:
            self.macs.learn(hello.ends)
        for link in events.connections:
            self.macs.learn(link.ends)
        self._take_hellos(events.hellos)
        events.lookups = self._take_lookups(events.lookups)
        events.pongs = self._take_pongs(events.pongs)
        events.connections = self._take_connections(events.connections, events.nobody)
        self._take_odd_attempts(events.odd_attempts)
        self._take_custom_lookups(events.other_lookups)
        self._sift_vain_lookups()
        self._take_names(events.other_lookups)
        events.dhcp = self._take_leases(events.dhcp)
        self._take_unanswered(events)
        working = frozenset(event.ends.dst for event in events.hellos)
        senders = events.senders()
        for case in self.cases.values():
            case.working_servers = working
            case.server_in_view = any(not senders.isdisjoint(lookup.addresses) for lookup in case.resolved)

    def _take_hellos(self, hellos: Sequence[HelloEvent]) -> None:
        """Give Hellos to their devices, those that say most about themselves first."""
        residents: defaultdict[str, set[str]] = defaultdict(set)
        for event in sorted(hellos, key=_says_little):
            address = event.ends.src
            mac = self.macs.at(address, event.ts, event.ends.src_mac)
            case = self._sender(event, mac)
            if case is None:
                continue
            case.hellos.append(HelloRecord(event, case.id, judge(event.hello, event.ts)))
            self._settle(case, address, event.ts, mac)
            residents[address].add(case.id)
        for case in self.cases.values():
            case.hellos.sort(key=lambda record: record.event.ts)
        for identities in residents.values():
            if len(identities) > 1:
                for identity in identities:
                    self.cases[identity].shared_address = True

    def _sender(self, event: HelloEvent, mac: str | None) -> DeviceEvidence | None:
        """Return whose a Hello is, None where there are too many devices already."""
        address, uuid = event.ends.src, event.hello.uuid
        identity = uuid_id(event)
        if identity is None and uuid is None:
            return self._owner(address, event.ts, event.ends.src_mac)
        if identity is None and mac is None:
            # A UUID that many share: the same address has to do, as long as nobody else is there.
            resident = self._resident(address, event.ts)
            if resident is not None and resident.hellos[-1].event.hello.uuid == uuid:
                return resident
        return self._case(identity or (f"mac:{mac}" if mac else address_id(address, event.ts)))

    def _take_lookups(self, lookups: Sequence[LookupEvent]) -> list[LookupEvent]:
        # A resolver that asks on behalf of others is no device.
        resolvers = {lookup.server for lookup in lookups}
        taken = []
        for lookup in lookups:
            case = self._owner(lookup.client, lookup.ts) if lookup.client not in resolvers else None
            owned = lookup if case is None else _owned(lookup, case.id)
            taken.append(owned)
            if case is not None:
                case.lookups.append(owned)
        return taken

    def _take_custom_lookups(self, lookups: Sequence[LookupEvent]) -> None:
        """A device may have been given its server's name: it asks, then connects to the answer."""
        for lookup in lookups:
            case = self._resident(lookup.client, lookup.ts)
            if case is None:
                continue
            if lookup.rcode == "NXDOMAIN" and lookup.type in ("A", "AAAA") and len(case.vain_lookups) < _MANY:
                case.vain_lookups.append(lookup)
            if not lookup.addresses:
                continue
            if any(link.ends.dst in lookup.addresses and link.ts >= lookup.ts for link in case.attempts):
                insort(case.lookups, _owned(lookup, case.id), key=lambda one: one.ts)

    def _sift_vain_lookups(self) -> None:
        """Of names that do not exist, keep those that were asked for again; none where they are many."""
        for case in self.cases.values():
            if not case.vain_lookups:
                continue
            asked = Counter({one.name: 0 for one in case.vain_lookups})
            for one in case.vain_lookups:
                asked[one.name] += one.queries
            again = {name for name, count in asked.items() if count > 1}
            known = any(pong.mode in ("factory", "setup") for pong in case.pongs)
            if not known or len(asked) > _FEW_NAMES:
                again = set()
            case.vain_lookups = [one for one in case.vain_lookups if one.name in again]

    def _take_names(self, lookups: Sequence[LookupEvent]) -> None:
        """A server may ask for the name of who said Hello, and connect to what that name stands for."""
        called: dict[tuple[str, str], DeviceEvidence] = {}
        for lookup in lookups:
            if lookup.type == "PTR":
                case = self._said_hello(address_of_reverse(lookup.name), lookup.client, lookup.ts)
                if case is not None:
                    case.names.append(lookup)
                    called.update({(lookup.client, name): case for name in lookup.names})
            elif (lookup.client, lookup.name) in called:
                called[lookup.client, lookup.name].names.append(lookup)

    def _said_hello(self, address: str | None, server: str, ts: int) -> DeviceEvidence | None:
        """Return the device that said Hello to a server from an address just before `ts`."""
        case = self._resident(address, ts) if address is not None else None
        if case is None:
            return None
        told = (record.event for record in case.hellos if record.event.ends.dst == server)
        return case if any(-SECOND <= ts - event.ts <= _SOON for event in told) else None

    def _take_leases(self, leases: Sequence[DhcpEvent]) -> list[DhcpEvent]:
        """Give DHCP messages to their devices. Where nobody is known, a client with a fault may be one."""
        if not self.cases:
            for mac in list(troubled_clients(leases))[:_MOST_PROSPECTS]:
                case = self._case(f"mac:{mac}")
                if case is not None:
                    case.prospect = True
                    case.macs.append(mac)
                    self._by_mac[mac] = case
        taken = []
        for lease in leases:
            case = self._by_mac.get(lease.mac)
            owned = lease if case is None else _owned(lease, case.id)
            taken.append(owned)
            if case is not None:
                case.leases.append(owned)
        return taken

    def _take_unanswered(self, events: EventLog) -> None:
        """Give what was asked in vain by ARP to the device that asked, or that was asked for."""
        given: defaultdict[str, list[int]] = defaultdict(list)
        for lease in events.dhcp:
            if lease.address is not None:
                given[lease.address].append(lease.ts)
        for one in events.nobody:
            asker = self._resident(one.asker, one.ts)
            if asker is not None and one.target in _told(asker):
                asker.server_gone.append(one)
            # A DHCP server asks for an address before it gives it away.
            offered = any(-_OFFERS <= ts - one.last_ts <= _OFFERS for ts in given[one.target])
            target = self._resident(one.target, one.last_ts)
            if target is not None and not offered:
                target.asked_for.append(one)

    def _take_odd_attempts(self, attempts: Sequence[ConnectionEvent]) -> None:
        for link in attempts:
            case = self._resident(link.ends.src, link.ts)
            if case is not None and link.outcome in FAILED and link.ends.dport >= _SETUP_PORTS:
                case.odd_attempts.append(link)

    def _take_pongs(self, pongs: Sequence[PongEvent]) -> list[PongEvent]:
        taken = []
        for pong in pongs:
            case = self._owner(pong.device, pong.ts)
            owned = pong if case is None else _owned(pong, case.id)
            taken.append(owned)
            if case is not None:
                case.pongs.append(owned)
        return taken

    def _take_connections(
        self, links: Sequence[ConnectionEvent], nobody: Sequence[UnansweredArp]
    ) -> list[ConnectionEvent]:
        to_hello_port = list(map(self._is_hello_port, links))
        self.scanners = scanners(list(compress(links, to_hello_port)), nobody)
        strangers: list[ConnectionEvent] = []
        taken: list[ConnectionEvent] = []
        for link, is_attempt in zip(links, to_hello_port, strict=True):
            port = link.ends.dport
            if is_attempt:
                taken.append(self._take_attempt(link))
            elif port in DEVICE_PORTS:
                resident = self._resident(link.ends.dst, link.ts)
                taken.append(self._take_management(link, resident))
                if resident is None:
                    strangers.append(taken[-1])
            else:
                taken.append(self._take_presence(link) if port == CIRA_PORT else link)
        self._give_strangers(strangers)
        return taken

    def _take_attempt(self, link: ConnectionEvent) -> ConnectionEvent:
        """Give a connection to a Hello port to the device that opens it; return it with what it is."""
        ends, is_scan = link.ends, link.ends.src in self.scanners
        case = self._resident(ends.src, link.ts)
        if case is None and link.outcome in FAILED and not is_scan:
            case = self._owner(ends.src, link.ts, ends.src_mac)
        if case is None or link.foreign:
            link = link._replace(kind="scanner") if is_scan else link
            self.strays.append(link)
            return link
        link = _given(link, "connection", case.id)
        case.attempts.append(link)
        return link

    def _take_management(self, link: ConnectionEvent, case: DeviceEvidence | None) -> ConnectionEvent:
        """Give a connection to an AMT port to the device there, if known; return it with what it is."""
        is_scan = link.ends.src in self.scanners
        if case is None and _talks(link):
            case = self._owner(link.ends.dst, link.ts, link.ends.dst_mac)
        if case is None:
            return link._replace(kind="scanner") if is_scan else link
        if self._is_call(case, link):
            link = _given(link, "connect_back", case.id)
            case.returns.append(link)
            if case.shared_address:
                self._tell_neighbours(case, link)
        else:
            link = _given(link, "scanner" if is_scan else "console", case.id)
            case.visits.append(link)
        return link

    def _take_presence(self, link: ConnectionEvent) -> ConnectionEvent:
        """Give a connection to a presence server to the device that opens it; return it with what it is."""
        case = self._resident(link.ends.src, link.ts)
        if case is None and _talks(link):
            case = self._owner(link.ends.src, link.ts, link.ends.src_mac)
        if case is None:
            return link
        link = _given(link, "presence", case.id)
        case.outgoing.append(link)
        return link

    def _is_call(self, case: DeviceEvidence, link: ConnectionEvent) -> bool:
        """True where a connection to an AMT port may be the server that calls back, no console or scan."""
        hellos = [record.event for record in case.hellos]
        if any([event.ends.dst == link.ends.src for event in hellos]):
            return True
        servers = _told(case) | {event.ends.dst for event in hellos}
        if not servers:
            return _talks(link)  # what came before it is not in the capture
        soon = any(0 <= link.ts - event.ts <= _SOON for event in hellos)
        return link.ends.src in servers or (soon and link.ends.src not in self.scanners)

    def _is_hello_port(self, link: ConnectionEvent) -> bool:
        return link.ends.dport in self._hello_ports or (link.ends.dst, link.ends.dport) in self._servers

    def _give_strangers(self, links: Sequence[ConnectionEvent]) -> None:
        """Give connections to addresses of no device to the device that the server may have meant.

        That is one whose Hello it got just before and that it connects to nowhere else. A server has other
        machines to manage: an address that it knew before the Hello, or one of many, was not meant for it.
        """
        waiting: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for case in self.cases.values():
            for record in case.hellos:
                waiting[record.event.ends.dst].append((record.event.ts, case.id))
        for entries in waiting.values():
            entries.sort()
        met: set[tuple[str, str]] = set()
        tried: set[tuple[str, str]] = set()
        """Devices, and the strangers whose connections they were given."""
        for link in links:
            pair = (link.ends.src, link.ends.dst)
            entries = waiting.get(link.ends.src, [])
            since = bisect_left(entries, (link.ts - _SOON, ""))
            until = bisect_right(entries, link.ts, key=lambda entry: entry[0])
            cases = [self.cases[identity] for identity in dict.fromkeys(e[1] for e in entries[since:until])]
            for case in cases:
                given = (case.id, link.ends.dst)
                if not case.returns and (given in tried or pair not in met):
                    case.elsewhere.append(link)
                    tried.add(given)
            met.add(pair)
        for case in self.cases.values():
            if len({link.ends.dst for link in case.elsewhere}) > _FEW_STRANGERS:
                case.elsewhere.clear()

    def _owner(self, address: str, ts: int, ethernet: str | None = None) -> DeviceEvidence | None:
        """Return the device at an address, making one where none is known."""
        mac = self.macs.at(address, ts, ethernet)
        resident = self._resident(address, ts)
        if resident is not None and (mac is None or not resident.macs or mac in resident.macs):
            case: DeviceEvidence | None = resident
        elif mac is not None and mac in self._by_mac:
            case = self._by_mac[mac]
        else:
            case = self._case(f"mac:{mac}" if mac else address_id(address, ts))
        if case is not None:
            self._settle(case, address, ts, mac)
        return case

    def _settle(self, case: DeviceEvidence, address: str, ts: int, mac: str | None) -> None:
        """Note that a device was at an address, and which MAC identifies it."""
        insort(self._at[address], (ts, case.id))
        if mac is not None:
            if mac not in case.macs:
                case.macs.append(mac)
            self._by_mac.setdefault(mac, case)

    def _case(self, identity: str) -> DeviceEvidence | None:
        case = self.cases.get(identity)
        if case is None and len(self.cases) < self._most:
            case = self.cases[identity] = DeviceEvidence(identity)
        return case

    def _tell_neighbours(self, taker: DeviceEvidence, link: ConnectionEvent) -> None:
        """What comes back to a shared address may be for whoever said Hello from it just before."""
        for when, identity in self._at[link.ends.dst]:
            if identity != taker.id and 0 <= link.ts - when <= _NAT_PATIENCE:
                self.cases[identity].neighbour_returns = True

    def _resident(self, address: str, ts: int) -> DeviceEvidence | None:
        """Return the device that was last at an address before `ts`, else the first one after."""
        residents = self._at.get(address)
        if not residents:
            return None
        place = bisect_right(residents, ts, key=lambda entry: entry[0]) if len(residents) > 1 else 0
        return self.cases[residents[max(place - 1, 0)][1]]


def _owned(event: _Owned, owner: str) -> _Owned:
    """Return an event with its owner, the last field: `_replace` takes four times as long."""
    return type(event)._make((*event[:-1], owner))


def _given(link: ConnectionEvent, kind: ConnectionKind, owner: str) -> ConnectionEvent:
    """Return a connection with its kind and owner, the last two fields."""
    return ConnectionEvent._make((*link[:-2], kind, owner))


def _says_little(event: HelloEvent) -> int:
    """0 for a Hello that names its device, 1 for one whose UUID many share, 2 for one without."""
    uuid = event.hello.uuid
    return 2 if uuid is None else int(is_junk_uuid(uuid))


def _told(case: DeviceEvidence) -> set[str]:
    """The addresses at which a device looks for its server."""
    told = {address for lookup in case.lookups for address in (*lookup.addresses, *lookup.other_addresses)}
    return told | {link.ends.dst for link in case.attempts}


def _talks(link: ConnectionEvent) -> bool:
    """True where both sides said something."""
    return link.outcome not in FAILED and bool(link.client_bytes and link.server_bytes)
