"""Who a device is: an address first, a MAC where it can be trusted, a UUID once a Hello names one.

A MAC counts from DHCP (chaddr) and ARP, or while it serves one address as an Ethernet source: one that
serves several is a router and identifies nobody. An address belongs to a device for a while, not for good.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from amtdiag.model import (
    ConnectionEvent,
    DhcpEvent,
    Endpoints,
    Evidence,
    HelloEvent,
    Sighting,
    UnansweredArp,
)
from amtdiag.protocols.hello import is_junk_uuid, uuid_text
from amtdiag.times import rfc3339

_MANY = 4
"""Addresses from which on a MAC is a router's, or a proxy's that answers ARP for others."""
_ASKS_AGAIN = 2
_SCAN = 4
"""Servers whose Hello ports somebody tries before it is called a scan."""
_DELL = b"DELL"[::-1].hex()
"""How the UUID of a Dell begins: the first group of a UUID is written in the other order than on the wire."""
_DELL_TAG = (4, 7, 9, 10, 13, 14, 15)
"""Where a Dell UUID keeps the seven characters of the service tag (seen in public samples; a hint)."""


class Macs:
    """Which MAC had which address when."""

    def __init__(self) -> None:
        self._served: defaultdict[str, set[str]] = defaultdict(set)
        self._said: defaultdict[str, set[str]] = defaultdict(set)
        self._at: defaultdict[str, list[tuple[int, str, tuple[Evidence, ...]]]] = defaultdict(list)

    def learn(self, ends: Endpoints) -> None:
        """Take both ends of a conversation: their Ethernet sources served these addresses."""
        for mac, address in ((ends.src_mac, ends.src), (ends.dst_mac, ends.dst)):
            if mac is None:
                continue
            served = self._served[mac]
            if address not in served and len(served) < _MANY and not _is_link_local(address):
                served.add(address)

    def learn_lease(self, event: DhcpEvent) -> None:
        """Take an acknowledged lease."""
        if event.kind == "ack" and event.address is not None:
            self._say(event.ts, event.address, event.mac, event.evidence)

    def learn_sighting(self, event: Sighting) -> None:
        """Take what ARP says."""
        self._say(event.ts, event.address, event.mac, event.evidence)

    def _say(self, ts: int, address: str, mac: str, evidence: tuple[Evidence, ...]) -> None:
        if len(self._said[mac]) < _MANY:
            self._said[mac].add(address)
        entries = self._at[address]
        if not entries or entries[-1][1] != mac or ts < entries[-1][0]:
            insort(entries, (ts, mac, evidence))

    def at(self, address: str, ts: int, ethernet: str | None = None) -> str | None:
        """Return the MAC that had an address at a time, or None where nothing trustworthy says.

        `ethernet` is the source MAC of the packet at hand, which counts while it serves one address.
        """
        entries = self._at.get(address)
        if entries:
            place = bisect_right(entries, ts, key=lambda entry: entry[0])
            mac = entries[max(place - 1, 0)][1]
            if len(self._said[mac]) < _MANY:
                return mac
        if ethernet is not None and len(self._served[ethernet]) == 1:
            return ethernet
        return None


def _is_link_local(address: str) -> bool:
    """True for fe80::/10 and 169.254/16: an interface has one of them beside its own address."""
    return address.startswith(("169.254.", "fe8", "fe9", "fea", "feb"))


def uuid_id(hello: HelloEvent) -> str | None:
    """Return the identity that a Hello's UUID gives, or None where it gives none."""
    uuid = hello.hello.uuid
    return None if uuid is None or is_junk_uuid(uuid) else f"uuid:{uuid}"


def address_id(address: str, ts: int) -> str:
    """Return the identity of a device of which only an address is known."""
    return f"ip:{address}@{rfc3339(ts)}"


def uuid_hints(uuid: str | None, macs: Collection[str]) -> tuple[str, ...]:
    """Return what a UUID seems to say of its board; hints, not facts.

    Some boards carry their MAC at the end of it, Dell's the service tag (seen in public samples).
    """
    if uuid is None:
        return ()
    hints = []
    last = bytes.fromhex(uuid[-12:]).hex(":")
    if last in macs:
        hints.append(f"the UUID ends in the device's MAC {last}, as some boards have it")
    if uuid.startswith(_DELL):
        # The order of bytes on the wire: swapping the groups a second time undoes the first.
        wire = bytes.fromhex(uuid_text(bytes.fromhex(uuid.replace("-", ""))).replace("-", ""))
        tag = "".join(chr(wire[at] & 0x7F) for at in _DELL_TAG)
        if tag.isalnum() and tag.isascii():
            hints.append(f"the UUID looks like that of a Dell with service tag {tag.upper()}")
    return tuple(hints)


def troubled_clients(leases: Iterable[DhcpEvent]) -> Iterator[str]:
    """Yield the MACs of DHCP clients that got no address, or no DNS server with it.

    Where no AMT device shows itself, one of them may be the device: such a fault keeps it silent.
    """
    by_mac: defaultdict[str, list[DhcpEvent]] = defaultdict(list)
    for lease in leases:
        if lease.version == 4:  # in a network without DHCPv6 everybody asks for it in vain
            by_mac[lease.mac].append(lease)
    for mac, events in by_mac.items():
        acks = [one for one in events if one.kind == "ack"]
        asked = sum(one.kind in ("discover", "request") for one in events)
        if (not acks and asked >= _ASKS_AGAIN) or (acks and acks[-1].address and not _has_dns(acks)):
            yield mac


def _has_dns(acks: Iterable[DhcpEvent]) -> bool:
    return any(one.dns or not one.whole for one in acks)


def scanners(attempts: Iterable[ConnectionEvent], nobody: Iterable[UnansweredArp]) -> frozenset[str]:
    """Return the addresses that try Hello ports at many servers: they scan, and are no devices.

    On a scanner's own segment most of what it tries ends with an ARP request that nobody answers.
    """
    targets: defaultdict[str, set[str]] = defaultdict(set)
    for attempt in attempts:
        if len(targets[attempt.ends.src]) < _SCAN:
            targets[attempt.ends.src].add(attempt.ends.dst)
    for one in nobody:
        if one.asker in targets and len(targets[one.asker]) < _SCAN:
            targets[one.asker].add(one.target)
    return frozenset(source for source, seen in targets.items() if len(seen) >= _SCAN)
