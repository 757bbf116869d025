"""Who a device is: an address first, a MAC where it can be trusted, a UUID once a Hello names one.

A MAC counts only while it serves one address: an Ethernet source that serves several is a router and
identifies nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from amtdiag.model import ConnectionEvent, Endpoints, HelloEvent
from amtdiag.protocols.hello import PLACEHOLDER_UUIDS
from amtdiag.times import rfc3339


def is_junk_uuid(uuid: str) -> bool:
    """True for a UUID that identifies nobody."""
    return uuid in PLACEHOLDER_UUIDS


class Macs:
    """Which MAC serves which addresses in this capture."""

    def __init__(self) -> None:
        self._addresses: defaultdict[str, set[str]] = defaultdict(set)

    def learn(self, ends: Endpoints) -> None:
        """Take both ends of a conversation."""
        for mac, address in ((ends.src_mac, ends.src), (ends.dst_mac, ends.dst)):
            if mac is not None and len(self._addresses[mac]) < _MANY and not _is_link_local(address):
                self._addresses[mac].add(address)

    def identifies(self, mac: str | None) -> bool:
        """True where a MAC serves a single address."""
        return mac is not None and len(self._addresses[mac]) == 1


_MANY = 3


def _is_link_local(address: str) -> bool:
    """True for fe80::/10 and 169.254/16: an interface has one of them beside its own address."""
    return address.startswith(("169.254.", "fe8", "fe9", "fea", "feb"))


def device_id(hello: HelloEvent, macs: Macs) -> str:
    """Return the strongest identity that a Hello gives: its UUID, else its MAC, else address and time."""
    uuid = hello.hello.uuid
    if uuid is not None and not is_junk_uuid(uuid):
        return f"uuid:{uuid}"
    if macs.identifies(hello.ends.src_mac):
        return f"mac:{hello.ends.src_mac}"
    return address_id(hello.ends.src, hello.ts)


def address_id(address: str, ts: int) -> str:
    """Return the identity of a device of which only an address is known."""
    return f"ip:{address}@{rfc3339(ts)}"


def scanners(attempts: Iterable[ConnectionEvent]) -> frozenset[str]:
    """Return the addresses that try Hello ports at many servers: they scan, and are no devices."""
    servers: defaultdict[str, set[str]] = defaultdict(set)
    for attempt in attempts:
        if len(servers[attempt.ends.src]) < _SCAN:
            servers[attempt.ends.src].add(attempt.ends.dst)
    return frozenset(source for source, seen in servers.items() if len(seen) >= _SCAN)


_SCAN = 8
