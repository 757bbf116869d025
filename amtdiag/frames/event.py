"""Hellos and connections as events: of what kind, whose, with what outcome."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from typing import Literal, NamedTuple

from amtdiag.model import ConnectionEvent, Diagnosis, Endpoints, Evidence, HelloRecord
from amtdiag.protocols.ports import CIRA_PORT, DEVICE_PORTS, HELLO_PORTS

EventKind = Literal["hello", "connection", "connect_back", "presence", "other"]
"""hello: a Hello. connection: of a device to a Hello port. connect_back: to an AMT port of a device.
presence: of a device to a management presence server. other: such as a browser on the Hello port."""
EventOutcome = Literal["whole", "cut", "established", "refused", "unanswered", "reset", "partial"]
"""Of a Hello: whole or cut. Of a connection: as `ConnectionEvent.outcome` says."""


class Event(NamedTuple):
    """A Hello or a connection, and whose it is."""

    ts: int
    last_ts: int
    """Of the last packet; of a Hello the same as `ts`."""
    kind: EventKind
    device: str | None
    ends: Endpoints
    outcome: EventOutcome
    detail: str
    retry: int | None
    """The retry count of a Hello."""
    evidence: tuple[Evidence, ...]


def all_events(diagnosis: Diagnosis) -> list[Event]:
    """Return Hellos and connections in the order in which they began; needs no pandas."""
    owners = _Owners(diagnosis)
    found = [_hello_event(record) for record in diagnosis.hellos]
    found += [_connection_event(link, owners) for link in diagnosis.connections]
    return sorted(found, key=lambda event: event.ts)


def _hello_event(record: HelloRecord) -> Event:
    event, hello = record.event, record.event.hello
    retry = "?" if hello.retry_count is None else hello.retry_count
    parts = [{"psk": "PSK", "pki": "PKI", "unknown": "undocumented"}[hello.type], f"retry {retry}"]
    if hello.type == "pki":
        parts.append(f"{len(hello.digests)} digests")
    elif hello.pid:
        parts.append(f"PID {hello.pid}")
    return Event(
        ts=event.ts,
        last_ts=event.ts,
        kind="hello",
        device=record.device,
        ends=event.ends,
        outcome="whole" if hello.complete else "cut",
        detail=", ".join([*parts, *hello.problems]),
        retry=hello.retry_count,
        evidence=event.evidence,
    )


def _connection_event(link: ConnectionEvent, owners: _Owners) -> Event:
    kind, device = owners.of(link)
    parts: list[str] = [link.outcome, "1 SYN" if link.syns == 1 else f"{link.syns} SYNs"]
    if link.client_bytes or link.server_bytes:
        parts.append(f"{link.client_bytes} bytes sent, {link.server_bytes} received")
    if link.closed_by != "nobody":
        # By address: of a connection back, the TCP server is the device.
        parts.append(f"ended by {link.ends.src if link.closed_by == 'client' else link.ends.dst}")
    if link.foreign:
        parts.append(f"no Hello but {link.foreign}")
    return Event(
        ts=link.ts,
        last_ts=link.last_ts,
        kind=kind,
        device=device,
        ends=link.ends,
        outcome=link.outcome,
        detail=", ".join(parts),
        retry=None,
        evidence=link.evidence,
    )


class _Owners:
    """Whose a connection is: the device that a Hello showed at its address; as in `provisioning.devices`."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        options = diagnosis.tool.get("options")
        ports = options.get("ports", ()) if isinstance(options, Mapping) else ()
        self._hello_ports = {*HELLO_PORTS, *ports}
        self._servers = {(one.event.ends.dst, one.event.ends.dport) for one in diagnosis.hellos}
        self._at: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for record in diagnosis.hellos:
            self._at[record.event.ends.src].append((record.event.ts, record.device))
        for device in diagnosis.devices:
            if not device.hellos:  # known by its attempts alone
                for address in device.ips:
                    self._at[address].append((device.first_seen, device.id))
        for residents in self._at.values():
            residents.sort()

    def of(self, link: ConnectionEvent) -> tuple[EventKind, str | None]:
        """Return what a connection is for and whose it is."""
        ends = link.ends
        kind: EventKind = "other"
        device = None
        if ends.dport in self._hello_ports or (ends.dst, ends.dport) in self._servers:
            device = None if link.foreign else self._resident(ends.src, link.ts)
            kind = "other" if device is None else "connection"
        elif ends.dport in DEVICE_PORTS:
            device = self._resident(ends.dst, link.ts)
            kind = "other" if device is None else "connect_back"
        elif ends.dport == CIRA_PORT:
            device = self._resident(ends.src, link.ts)
            kind = "other" if device is None else "presence"
        return kind, device

    def _resident(self, address: str, ts: int) -> str | None:
        residents = self._at.get(address)
        if not residents:
            return None
        return residents[max(bisect_right(residents, ts, key=lambda one: one[0]) - 1, 0)][1]
