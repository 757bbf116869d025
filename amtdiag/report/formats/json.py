"""JSON: the stable, machine-readable face. Its shape is described in `schema/`; times are RFC 3339."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from amtdiag.model import (
    SEVERITIES,
    Apf,
    CaptureInfo,
    ConnectionEvent,
    DeviceRecord,
    DhcpEvent,
    Diagnosis,
    Evidence,
    Exchange,
    Finding,
    Hello,
    HelloRecord,
    HttpConversation,
    JudgedDigest,
    LookupEvent,
    OwnRoot,
    PongEvent,
    Redirection,
    TlsConversation,
    Unknown,
)
from amtdiag.report.formats.jsontext import device_text, finding_text
from amtdiag.report.verdict import verdict
from amtdiag.times import rfc3339

if TYPE_CHECKING:
    from amtdiag.report.compare import Comparison

SCHEMA_VERSION = "1.0"
_ENCODER = json.JSONEncoder(ensure_ascii=True)


def dumps(value: object) -> str:
    """One line of JSON in ASCII, so that no character can act on what shows it."""
    return _ENCODER.encode(value)


def _time(ts: int | None) -> str | None:
    return None if ts is None else rfc3339(ts)


def evidence_json(evidence: tuple[Evidence, ...]) -> list[dict[str, Any]]:
    """Frames with their files."""
    return [{"file": one.file, "frame": one.frame} for one in evidence]


def hello_json(record: HelloRecord) -> dict[str, Any]:
    """One Hello: a line of `hellos --jsonl`."""
    event, hello = record.event, record.event.hello
    ends, first = event.ends, event.evidence[0]
    return {
        "ts": rfc3339(event.ts),
        "file": first.file,
        "frames": [one.frame for one in event.evidence if one.file == first.file],
        "evidence": evidence_json(event.evidence),
        "src": ends.src,
        "sport": ends.sport,
        "dst": ends.dst,
        "dport": ends.dport,
        "src_mac": ends.src_mac,
        "vlan": list(ends.vlan),
        "community_id": ends.community_id,
        **message_json(hello),
        "hashes": [digest_json(one) for one in record.digests],
        "device": record.device,
    }


def message_json(hello: Hello) -> dict[str, Any]:
    """The message itself, its digests left out."""
    flag = hello.admin_credentials
    return {
        "version": hello.version,
        "type": hello.type,
        "admin_credentials_set": None if flag is None or flag > 1 else bool(flag),
        "admin_credentials_raw": flag,
        "retry_count": hello.retry_count,
        "uuid": hello.uuid,
        "pid": hello.pid,
        "pid_check_ok": hello.pid_check_ok,
        "trailing_bytes": hello.trailing_bytes,
        "missing_bytes": hello.missing_bytes,
        "complete": hello.complete,
        "problems": list(hello.problems),
    }


def digest_json(judged: JudgedDigest) -> dict[str, Any]:
    """One digest with its verdict."""
    digest = judged.digest
    return {
        "index": digest.index,
        "algorithm": digest.algorithm,
        "algorithm_id": digest.algorithm_id,
        "length": len(digest.value),
        "digest": digest.value.hex(),
        "name": judged.name,
        "verdict": judged.verdict,
        "verdicts": list(judged.verdicts),
    }


def capture_json(one: CaptureInfo) -> dict[str, Any]:
    """One capture file."""
    return {
        "file": one.file,
        "format": one.format,
        "bytes": one.bytes,
        "packets": one.packets,
        "linktypes": list(one.linktypes),
        "first_ts": _time(one.first_ts),
        "last_ts": _time(one.last_ts),
        "snaplen": one.snaplen,
        "drops": one.drops,
        "truncated": one.truncated,
        "watched_until": _time(one.watched_until),
        "notes": list(one.notes),
    }


def device_json(device: DeviceRecord) -> dict[str, Any]:
    """One device."""
    return _read_back(device_text(device))


def finding_json(one: Finding) -> dict[str, Any]:
    """One finding."""
    return _read_back(finding_text(one))


def _read_back(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value


def unknown_json(one: Unknown) -> dict[str, Any]:
    """One thing that cannot be told."""
    return {"what": one.what, "why": one.why, "device": one.device, "would_decide": one.would_decide}


def connection_json(event: ConnectionEvent) -> dict[str, Any]:
    """One TCP connection."""
    ends = event.ends
    return {
        "ts": rfc3339(event.ts),
        "last_ts": rfc3339(event.last_ts),
        "src": ends.src,
        "sport": ends.sport,
        "dst": ends.dst,
        "dport": ends.dport,
        "community_id": ends.community_id,
        "outcome": event.outcome,
        "syns": event.syns,
        "client_bytes": event.client_bytes,
        "server_bytes": event.server_bytes,
        "closed_by": event.closed_by,
        "foreign": event.foreign,
        "rejection": event.rejection,
        "crossing": event.crossing and event.crossing._asdict(),
        "tls": event.tls and _tls_json(event.tls),
        "opened_by": event.opened_by,
        "amt_web_server": event.web and event.web._asdict(),
        "http": event.talk and talk_json(event.talk),
        "redirection": event.redirection and _spoken_json(event.redirection),
        "apf": event.apf and _spoken_json(event.apf),
        "kind": event.kind,
        "owner": event.owner,
        "evidence": evidence_json(event.evidence),
    }


def talk_json(talk: HttpConversation) -> dict[str, Any]:
    """What was asked and answered by HTTP."""
    return {
        "exchanges": [exchange_json(one) for one in talk.exchanges],
        "missing": list(talk.missing),
        "dropped": talk.dropped,
    }


def exchange_json(one: Exchange) -> dict[str, Any]:
    """A request and its answer."""
    return {
        **one._asdict(),
        "ts": rfc3339(one.ts),
        "answered": _time(one.answered),
        "evidence": evidence_json(one.evidence),
        "call": one.call and one.call._asdict(),
        "result": one.result and one.result._asdict(),
    }


def _spoken_json(one: Redirection | Apf) -> dict[str, Any]:
    return {**one._asdict(), "ts": rfc3339(one.ts), "evidence": evidence_json(one.evidence)}


def _tls_json(talk: TlsConversation) -> dict[str, Any]:
    from amtdiag.report.formats.tls_json import tls_json  # few captures hold TLS

    return tls_json(talk)


def dhcp_json(event: DhcpEvent) -> dict[str, Any]:
    """One DHCP message."""
    return {
        "ts": rfc3339(event.ts),
        "version": event.version,
        "mac": event.mac,
        "kind": event.kind,
        "address": event.address,
        "server": event.server,
        "dns": list(event.dns),
        "domain": event.domain,
        "host": event.host,
        "fqdn": event.fqdn,
        "search": event.search,
        "wanted": sorted(event.wanted),
        "owner": event.owner,
        "evidence": evidence_json(event.evidence),
    }


def lookup_json(event: LookupEvent) -> dict[str, Any]:
    """One question for the provisioning server, with its answer."""
    return {
        "ts": rfc3339(event.ts),
        "client": event.client,
        "server": event.server,
        "name": event.name,
        "type": event.type,
        "queries": event.queries,
        "rcode": event.rcode,
        "addresses": list(event.addresses),
        "names": list(event.names),
        "other_addresses": list(event.other_addresses),
        "rejection": event.rejection,
        "owner": event.owner,
        "evidence": evidence_json(event.evidence),
    }


def pong_json(event: PongEvent) -> dict[str, Any]:
    """One answer to an RMCP presence ping."""
    return {
        "ts": rfc3339(event.ts),
        "device_address": event.device,
        "asker": event.asker,
        "mode": event.mode,
        "version": event.version,
        "port": event.port,
        "owner": event.owner,
        "evidence": evidence_json(event.evidence),
    }


def _own_root_json(own: OwnRoot | None) -> dict[str, Any] | None:
    if own is None:
        return None
    return {
        "name": own.name,
        "carried_by": list(own.carried_by),
        "not_by": list(own.not_by),
        "unknown": list(own.unknown),
    }


def summary_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The figures, and the verdict in a sentence."""
    severities = Counter(one.severity for one in diagnosis.findings)
    return {
        "verdict": verdict(diagnosis),
        "files": len(diagnosis.captures),
        "packets": sum(one.packets for one in diagnosis.captures),
        "hellos": len(diagnosis.hellos),
        "devices": len(diagnosis.devices),
        "devices_stuck": sum(device.state == "stuck" for device in diagnosis.devices),
        "findings": {severity: severities[severity] for severity in SEVERITIES},
        "root_of": _own_root_json(diagnosis.own_root),
        "notes": list(diagnosis.notes),
        "problems": list(diagnosis.problems),
    }


def analysis_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the whole diagnosis: what `analyze --json` prints."""
    return {
        key: [one if isinstance(one, dict) else _read_back(one) for one in value]
        if isinstance(value, map)
        else value
        for key, value in _parts(diagnosis)
    }


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Two devices side by side: what `compare --json` prints."""
    sides = {"good": comparison.good, "bad": comparison.bad}
    return {
        "schema_version": SCHEMA_VERSION,
        **{
            role: {
                "files": [one.file for one in subject.diagnosis.captures],
                "device": subject.device.id,
                "stage": subject.device.stage,
                "mode": subject.device.mode.name,
                "rules": subject.causes,
            }
            for role, subject in sides.items()
        },
        "lines": [line._asdict() for line in comparison.lines],
    }


def analysis_text(diagnosis: Diagnosis) -> Iterator[str]:
    """Yield the same document as text in pieces: of a large fleet it is larger than all else."""
    opening = "{"
    for key, value in _parts(diagnosis):
        yield f"{opening}{dumps(key)}: "
        opening = ", "
        if not isinstance(value, map):
            yield dumps(value)
            continue
        before = "["
        for item in value:
            yield before + (item if isinstance(item, str) else dumps(item))
            before = ", "
        yield "[]" if before == "[" else "]"
    yield "}\n"


def _parts(diagnosis: Diagnosis) -> Iterator[tuple[str, Any]]:
    """Yield the keys of the document with their values.

    Those that may be long are maps over their records, to objects or to text that is JSON already.
    """
    yield "schema_version", SCHEMA_VERSION
    yield "tool", dict(diagnosis.tool)
    yield "summary", summary_json(diagnosis)
    yield "captures", map(capture_json, diagnosis.captures)
    yield "devices", map(device_text, diagnosis.devices)
    yield "findings", map(finding_text, diagnosis.findings)
    yield "unknowns", map(unknown_json, diagnosis.unknowns)


def analysis_lines(diagnosis: Diagnosis) -> Iterator[dict[str, Any]]:
    """Yield the diagnosis as one object a line, each with its `event_type`."""
    yield {
        "event_type": "summary",
        "schema_version": SCHEMA_VERSION,
        "tool": dict(diagnosis.tool),
        **summary_json(diagnosis),
    }
    parts = (
        ("capture", map(capture_json, diagnosis.captures)),
        ("connection", map(connection_json, diagnosis.connections)),
        ("dhcp", map(dhcp_json, diagnosis.dhcp)),
        ("dns", map(lookup_json, diagnosis.lookups)),
        ("rmcp", map(pong_json, diagnosis.pongs)),
        ("hello", map(hello_json, diagnosis.hellos)),
        ("device", map(device_json, diagnosis.devices)),
        ("finding", map(finding_json, diagnosis.findings)),
        ("unknown", map(unknown_json, diagnosis.unknowns)),
    )  # fmt: skip
    for event_type, rows in parts:
        for row in rows:
            yield {"event_type": event_type, **row}
