"""Hellos, connections and messages of the other lanes as events: of what kind, whose, with what outcome."""

from typing import Literal, NamedTuple

from amtdiag.model import (
    ConnectionEvent,
    DhcpEvent,
    Diagnosis,
    Endpoints,
    Evidence,
    HelloRecord,
    HttpConversation,
    LookupEvent,
    PongEvent,
)
from amtdiag.protocols.ports import DNS_PORT

EventKind = Literal[
    "hello", "connection", "connect_back", "console", "scanner", "presence", "dhcp", "dns", "rmcp", "other",
]  # fmt: skip
"""hello: a Hello. dhcp: a DHCP message. dns: a question for the provisioning server. rmcp: the answer to a
presence ping. The others are those of `amtdiag.model.ConnectionKind`."""
EventOutcome = Literal[
    "whole", "cut", "established", "refused", "rejected", "unanswered", "reset", "partial",
    "asked", "answered", "failed",
]  # fmt: skip
"""Of a Hello: whole or cut. Of a connection: as `ConnectionEvent.outcome` says. Of DHCP: asked by the client,
answered, failed (declined by either). Of DNS: answered with an address, failed, unanswered. Of RMCP:
answered."""

_MOST_CALLS = 8
"""Calls of a conversation that its line names."""


class Event(NamedTuple):
    """A Hello, a connection or a message of another kind, and whose it is."""

    ts: int
    last_ts: int
    """Of the last packet of a connection; else the same as `ts`."""
    kind: EventKind
    device: str | None
    ends: Endpoints
    """An address that is not known is empty, a port 0."""
    outcome: EventOutcome
    detail: str
    retry: int | None
    """The retry count of a Hello."""
    evidence: tuple[Evidence, ...]


def all_events(diagnosis: Diagnosis) -> list[Event]:
    """Return Hellos, connections and the rest in the order in which they began; needs no pandas."""
    found = [_hello_event(record) for record in diagnosis.hellos]
    found += [_connection_event(link) for link in diagnosis.connections]
    found += [_dhcp_event(lease) for lease in diagnosis.dhcp]
    found += [_lookup_event(lookup) for lookup in diagnosis.lookups]
    found += [_pong_event(pong) for pong in diagnosis.pongs]
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


def _connection_event(link: ConnectionEvent) -> Event:
    parts: list[str] = [link.outcome, "1 SYN" if link.syns == 1 else f"{link.syns} SYNs"]
    if link.client_bytes or link.server_bytes:
        parts.append(f"{link.client_bytes} bytes sent, {link.server_bytes} received")
    if link.closed_by != "nobody":
        # By address: of a connection back, the TCP server is the device.
        parts.append(f"ended by {link.ends.src if link.closed_by == 'client' else link.ends.dst}")
    if link.rejection:
        parts.append(link.rejection)
    if link.talk:
        parts += _calls(link.talk)
    if link.redirection:
        parts.append(f"{link.redirection.kind} session")
    if link.foreign:
        parts.append(f"no Hello but {link.foreign}")
    return Event(
        ts=link.ts,
        last_ts=link.last_ts,
        kind=link.kind,
        device=link.owner,
        ends=link.ends,
        outcome=link.outcome,
        detail=", ".join(parts),
        retry=None,
        evidence=link.evidence,
    )


def _calls(talk: HttpConversation) -> list[str]:
    """How much was asked by HTTP, and what changed something or was refused."""
    parts = [f"{len(talk.exchanges)} HTTP requests" if len(talk.exchanges) != 1 else "1 HTTP request"]
    for one in talk.exchanges:
        if one.denial == "refused":
            parts.append(f"{one.user or 'credentials'} refused")
        if one.denial is None and one.call and one.call.changes and one.call.method:
            value = one.result.return_value if one.result else None
            parts.append(one.call.method + ("" if value is None else f" returned {value}"))
    return list(dict.fromkeys(parts))[:_MOST_CALLS]


_DHCP_ANSWERS: dict[str, EventOutcome] = {
    "offer": "answered", "ack": "answered", "nak": "failed", "decline": "failed",
}  # fmt: skip


def _dhcp_event(lease: DhcpEvent) -> Event:
    server, client = lease.server or "", lease.address or ""
    told = lease.kind in ("offer", "ack", "nak")
    parts = [lease.kind, lease.address, lease.domain and f"domain {lease.domain}"]
    parts += [f"DNS {' '.join(lease.dns)}" if lease.dns else None, lease.host and f"host {lease.host}"]
    return Event(
        ts=lease.ts,
        last_ts=lease.ts,
        kind="dhcp",
        device=lease.owner,
        ends=_datagram_ends(server, client) if told else _datagram_ends("", server, mac=lease.mac),
        outcome=_DHCP_ANSWERS.get(lease.kind, "asked"),
        detail=", ".join(part for part in parts if part),
        retry=None,
        evidence=lease.evidence,
    )


def _lookup_event(lookup: LookupEvent) -> Event:
    outcome: EventOutcome = "unanswered" if lookup.rcode is None else "failed"
    parts = [f"{lookup.name} {lookup.type}", *lookup.addresses, *lookup.names]
    if lookup.addresses:
        outcome = "answered"
    elif lookup.rcode is not None:
        parts.append(lookup.rcode)
    if lookup.queries > 1:
        parts.append(f"asked {lookup.queries} times")
    return Event(
        ts=lookup.ts,
        last_ts=lookup.ts,
        kind="dns",
        device=lookup.owner,
        ends=_datagram_ends(lookup.client, lookup.server, DNS_PORT),
        outcome=outcome,
        detail=", ".join(parts),
        retry=None,
        evidence=lookup.evidence,
    )


def _pong_event(pong: PongEvent) -> Event:
    return Event(
        ts=pong.ts,
        last_ts=pong.ts,
        kind="rmcp",
        device=pong.owner,
        ends=_datagram_ends(pong.device, pong.asker),
        outcome="answered",
        detail=f"mode {pong.mode}" + (f", AMT {pong.version}" if pong.version else ""),
        retry=None,
        evidence=pong.evidence,
    )


def _datagram_ends(src: str, dst: str, dport: int = 0, mac: str | None = None) -> Endpoints:
    return Endpoints(src, 0, dst, dport, mac, None, (), "")
