"""Lines for a SIEM while a capture goes on, in the shape of Suricata's EVE: one JSON object each.

The outer fields are Suricata's (docs.suricata.io, "EVE JSON Format"), so that what reads eve.json reads
these. What is ours is inside, in the shape of `amtdiag analyze --json`.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from amtdiag.live.diff import Fact
from amtdiag.live.engine import Withdrawn
from amtdiag.live.loop import Counters
from amtdiag.live.rules import TITLES
from amtdiag.model import (
    ConnectionEvent,
    Diagnosis,
    Endpoints,
    Evidence,
    Finding,
    HelloEvent,
    LookupEvent,
)
from amtdiag.protocols.addresses import address_bytes
from amtdiag.protocols.ports import DNS_PORT
from amtdiag.reassembly.community_id import community_id
from amtdiag.report.formats.json import connection_json, dhcp_json, evidence_json, finding_json, message_json
from amtdiag.report.verdict import title_of
from amtdiag.times import SECOND, rfc3339

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEVERITIES = {"critical": 1, "error": 1, "warning": 2, "info": 3}
"""Suricata's numbers, 1 being the gravest."""
_SIGNATURES = 1 << 31
_UDP = 17
_FLOW_BITS = 51
"""As wide as Suricata's: a number in JSON is exact up to 2 ** 53."""


def eve_time(ts: int) -> str:
    """Return a time as Suricata writes it."""
    moment = _EPOCH + timedelta(microseconds=ts // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f%z")


def flow_id(community_id: str) -> int:
    """Return a number for a conversation, the same in every run."""
    digest = hashlib.sha256(community_id.encode("ascii")).digest()
    return int.from_bytes(digest[:8]) >> (64 - _FLOW_BITS)


def _flow(ends: Endpoints) -> dict[str, Any]:
    return {
        "flow_id": flow_id(ends.community_id),
        "src_ip": ends.src,
        "src_port": ends.sport,
        "dest_ip": ends.dst,
        "dest_port": ends.dport,
        "proto": "TCP",
        "community_id": ends.community_id,
    }


def hello_line(event: HelloEvent) -> dict[str, Any]:
    """A Hello that has just come."""
    return {
        "timestamp": eve_time(event.ts),
        "event_type": "hello",
        **_flow(event.ends),
        "pcap_cnt": event.evidence[0].frame,
        "hello": {
            **message_json(event.hello),
            "digests": [one.value.hex() for one in event.hello.digests],
            "evidence": evidence_json(event.evidence),
        },
    }


def flows_of(diagnosis: Diagnosis) -> dict[Evidence, Endpoints]:
    """Return by frame the conversation that it belongs to."""
    found: dict[Evidence, Endpoints] = {}
    for link in diagnosis.connections:
        found.update(dict.fromkeys(link.evidence, link.ends))
    for record in diagnosis.hellos:
        found.update(dict.fromkeys(record.event.evidence, record.event.ends))
    return found


def alert_line(one: Finding, flows: Mapping[Evidence, Endpoints], now: int) -> dict[str, Any]:
    """A finding that has just been made."""
    return _alert("alert", one, flows, now)


def withdrawn_line(one: Withdrawn, flows: Mapping[Evidence, Endpoints], now: int) -> dict[str, Any]:
    """A finding that was an alert and is none any more; of a type of its own, so that nobody counts it."""
    return {**_alert("alert_withdrawn", one.finding, flows, now), "reason": one.reason}


def _alert(event_type: str, one: Finding, flows: Mapping[Evidence, Endpoints], now: int) -> dict[str, Any]:
    ends = next((flows[frame] for frame in one.evidence if frame in flows), None)
    return {
        "timestamp": eve_time(now),
        "event_type": event_type,
        **(_flow(ends) if ends is not None else {}),
        **({"pcap_cnt": one.evidence[0].frame} if one.evidence else {}),
        "alert": {
            "action": "allowed",
            "gid": 1,
            "signature_id": zlib.crc32(one.rule.encode("utf-8")) % _SIGNATURES,
            "rev": 1,
            "signature": f"amtdiag {one.rule}: {TITLES.get(one.rule) or title_of(one.rule)}",
            "category": one.category,
            "severity": _SEVERITIES[one.severity],
        },
        "finding": finding_json(one),
    }


def fact_line(event: Fact) -> dict[str, Any]:
    """Something that is over: a connection, a question, what DHCP gave. Its time is when that began."""
    kind, outer, inner = _told(event)
    return {
        "timestamp": eve_time(event.ts),
        "event_type": kind,
        **outer,
        "pcap_cnt": event.evidence[0].frame,
        kind: inner,
        "device": event.owner,
    }


def _told(event: Fact) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the type of a line, its outer fields, what is inside: in Suricata's words where it has any."""
    if isinstance(event, ConnectionEvent):
        inner = connection_json(event)
        for key in ("ts", "last_ts", "src", "sport", "dst", "dport", "community_id"):
            del inner[key]
        times = {
            "start": eve_time(event.ts),
            "end": eve_time(event.last_ts),
            "age": (event.last_ts - event.ts) // SECOND,
            "state": "established" if event.closed_by == "nobody" and event.server_bytes else "closed",
        }
        return "flow", _flow(event.ends), {**times, **inner}
    if isinstance(event, LookupEvent):
        return (
            "dns",
            _lookup_flow(event),
            {
                "type": "answer" if event.rcode is not None else "query",
                "rrname": event.name,
                "rrtype": event.type,
                "rcode": event.rcode,
                "answers": [{"rrname": event.name, "rdata": one} for one in (*event.names, *event.addresses)],
                "queries": event.queries,
                "other_addresses": list(event.other_addresses),
                "rejection": event.rejection,
                "owner": event.owner,
                "evidence": evidence_json(event.evidence),
            },
        )
    inner = dhcp_json(event)
    del inner["ts"]
    words = {"dhcp_type": event.kind, "client_mac": event.mac, "assigned_ip": event.address}
    return "dhcp", {"proto": "UDP"}, {**words, **inner}


def _lookup_flow(event: LookupEvent) -> dict[str, Any]:
    ends = {"src_ip": event.client, "dest_ip": event.server, "dest_port": DNS_PORT}
    if not event.port:
        return ends
    identity = community_id(
        address_bytes(event.client), address_bytes(event.server), event.port, DNS_PORT, _UDP
    )
    return {
        "flow_id": flow_id(identity),
        **ends,
        "src_port": event.port,
        "proto": "UDP",
        "community_id": identity,
    }


def stats_line(one: Counters) -> dict[str, Any]:
    """The counters of the capture."""
    counts = one.counts
    return {
        "timestamp": eve_time(one.now),
        "event_type": "stats",
        "stats": {
            "uptime": (one.now - one.since) // SECOND,
            "devices": one.devices,
            "facts_left_out": one.facts_left_out,
            "capture": {
                "kernel_packets": sum(one.received for one in counts),
                "kernel_drops": sum(one.dropped for one in counts),
                "kernel_ifdrops": sum(one.interface_dropped for one in counts),
                "interfaces": [
                    {
                        "in_iface": tap.name,
                        "kernel_packets": one.received,
                        "kernel_drops": one.dropped,
                        "kernel_ifdrops": one.interface_dropped,
                    }
                    for tap, one in zip(one.taps, counts, strict=True)
                ],
            },
        },
    }


def note_line(now: int, text: str) -> dict[str, Any]:
    """Something about the capture itself: an interface went down, the clock was set, a disk is full."""
    return {"timestamp": eve_time(now), "event_type": "capture_note", "text": text}


def departed_line(now: int, one: Mapping[str, Any]) -> dict[str, Any]:
    """A device that has been silent for so long that it is let go of."""
    times = {key: rfc3339(one[key]) for key in ("first_seen", "last_seen")}
    return {"timestamp": eve_time(now), "event_type": "device_departed", "device": {**one, **times}}
