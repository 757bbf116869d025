"""What an event is worth where there are more than can be kept: what says least about a device goes first.

A sender can make up single packets, and addresses to send them from; it takes a machine at an address to have
a conversation from there, and a device to do several of the things that devices do. So what is known of a
device's address is counted, conversations twice. Nothing here is shown: it only says what to keep.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from amtdiag.model import ConnectionEvent, DhcpEvent, HelloEvent
from amtdiag.protocols.hello import is_junk_uuid
from amtdiag.protocols.ports import DEVICE_PORTS
from amtdiag.sessions.event_log import EventLog

_MANY = 8
"""UUIDs from one address beyond which it is a sender of made-up ones, or hides many machines."""
_SHARE = 256
"""Events of one kind beyond which an address's older ones are worth less than other devices'."""
_LESS = 4
_SINGLE, _CONVERSATION = 1, 2
_AGAIN = 10_000_000_000
"""Nanoseconds after which the same UUID from the same address is another sign, and no copy."""


def forget(log: EventLog, before: int, limit: int) -> tuple[int, int]:
    """Drop what ended before a time (ns since 1970 UTC) and what there is too much of; return both numbers.

    Of a kind of which there are more than `limit`, those stay that say most about a device.
    """
    old = crowded = 0
    for kind in log.__slots__:
        events = getattr(log, kind)
        kept = [event for event in events if getattr(event, "last_ts", event.ts) >= before]
        old += len(events) - len(kept)
        events[:] = kept
    if log.most() > limit:
        worth = Worth(log)
        for kind in log.__slots__:
            events = getattr(log, kind)
            if len(events) > limit:
                crowded += len(events) - limit
                events[:] = worth.best(kind, events, limit)
    return old, crowded


class Worth:
    """What is known of the addresses, and the MACs, that events are about."""

    def __init__(self, events: EventLog) -> None:
        signs: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """By address: what is known of it, and what that counts."""
        uuids: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """By address: its UUIDs, and when each was seen first."""
        served: defaultdict[str, set[str]] = defaultdict(set)
        """By Ethernet address: devices' addresses; a router has many."""
        for hello in events.hellos:
            address, uuid = hello.ends.src, hello.hello.uuid
            signs[address]["hello"] = _SINGLE
            if uuid is not None and not is_junk_uuid(uuid) and len(uuids[address]) <= _MANY:
                since = uuids[address].setdefault(uuid, hello.ts)
                if hello.ts - since > _AGAIN:
                    signs[address]["again"] = _SINGLE
            if hello.ends.src_mac is not None and len(served[hello.ends.src_mac]) < _MANY:
                served[hello.ends.src_mac].add(address)
        for link in events.connections:
            if link.server_seen and link.outcome != "partial":
                signs[_device(link)][f"port {link.ends.dport}"] = _CONVERSATION
        for lookup in events.lookups:
            if lookup.rcode is not None:
                signs[lookup.client]["lookup"] = _SINGLE
        for pong in events.pongs:
            signs[pong.device]["pong"] = _SINGLE
        for ping in events.pings:
            signs[ping.target]["ping"] = _SINGLE
        for sighting in events.sightings:
            signs[sighting.address]["neighbour"] = _SINGLE
        for lease in events.dhcp:
            if lease.kind == "ack" and lease.address is not None:
                signs[lease.address]["lease"] = _SINGLE
        self._addresses = {
            address: _SINGLE if len(uuids.get(address, ())) > _MANY else sum(found.values())
            for address, found in signs.items()
        }
        self._macs = {
            mac: max(self._addresses[one] for one in addresses)
            for mac, addresses in served.items()
            if len(addresses) == 1
        }

    def best(self, kind: str, events: Sequence[Any], most: int) -> list[Any]:
        """Return so many events of a kind in their order: those worth most, of equal ones the newest."""
        about = _ABOUT[kind]
        taken: Counter[str] = Counter()
        ranked: list[tuple[int, int]] = []
        for at in range(len(events) - 1, -1, -1):
            event = events[at]
            who = about(event)
            taken[who] += 1
            worth = self._of(event, who) - (_LESS if taken[who] > _SHARE else 0)
            ranked.append((worth, at))
        ranked.sort(reverse=True)
        return [events[at] for at in sorted(at for _, at in ranked[:most])]

    def _of(self, event: Any, who: str) -> int:
        if isinstance(event, DhcpEvent):
            known = self._macs.get(event.mac)
            # Anybody can offer a device's address to a MAC of his own.
            return known if known is not None else self._addresses.get(event.address or "", 0) // 2
        return self._addresses.get(who, 0)


def _device(link: ConnectionEvent) -> str:
    """The end of a connection that a device would be."""
    return link.ends.dst if link.ends.dport in DEVICE_PORTS else link.ends.src


def _sender(event: HelloEvent | ConnectionEvent) -> str:
    return event.ends.src


_ABOUT: dict[str, Callable[[Any], str]] = {
    "hellos": _sender,
    "connections": _device,
    "odd_attempts": _sender,
    "dhcp": lambda one: one.mac,
    "lookups": lambda one: one.client,
    "other_lookups": lambda one: one.client,
    "pongs": lambda one: one.device,
    "pings": lambda one: one.target,
    "sightings": lambda one: one.address,
    "nobody": lambda one: one.asker,
    "rejections": lambda one: one.src,
}
"""By kind of event: whom it is about."""
