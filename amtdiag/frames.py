"""Tables of a diagnosis, for pandas and for spreadsheets.

Every function takes a `Diagnosis` and returns a new DataFrame with one row a fact. Times are
``datetime64[ns, UTC]``, durations seconds (``Float64``), numbers ``Int64``, truths ``boolean``, text
``string``; what is not known is ``<NA>``. Words of a fixed vocabulary are categories, ordered where they have
an order. The types are the same when there is no row. pandas is imported when the first table is made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from amtdiag.model import (
    SEVERITIES,
    Basis,
    Category,
    Confidence,
    ConnectionEvent,
    DeviceRecord,
    DhcpEvent,
    Diagnosis,
    Endpoints,
    Evidence,
    Finding,
    HelloRecord,
    HelloType,
    LookupEvent,
    Mode,
    PongEvent,
    Stage,
)
from amtdiag.protocols.ports import CIRA_PORT, DEVICE_PORTS, HELLO_PORTS
from amtdiag.safetext import safe
from amtdiag.times import SECOND, rfc3339
from amtdiag.trust.verdicts import VERDICTS

if TYPE_CHECKING:
    import pandas as pd

EventKind = Literal["hello", "connection", "connect_back", "presence", "dhcp", "dns", "rmcp", "other"]
"""hello: a Hello. connection: of a device to a Hello port. connect_back: to an AMT port of a device.
presence: of a device to a management presence server. dhcp: a DHCP message. dns: a question for the
provisioning server. rmcp: the answer to a presence ping. other: such as a browser on the Hello port."""
EventOutcome = Literal[
    "whole", "cut", "established", "refused", "unanswered", "reset", "partial", "asked", "answered", "failed"
]
"""Of a Hello: whole or cut. Of a connection: as `ConnectionEvent.outcome` says. Of DHCP: asked by the client,
answered, failed (declined by either). Of DNS: answered with an address, failed, unanswered. Of RMCP:
answered."""

MODES: tuple[Mode, ...] = ("unknown", "factory", "setup", "operational")
"""In the order in which a device goes through them."""
CONFIDENCES: tuple[Confidence, ...] = ("low", "medium", "high")


def plain(text: str, most: int | None = None) -> str:
    r"""Return text that cannot act on what shows it, cut to `most` characters.

    Text of a capture has passed `safetext.safe` on its way into the model, so that nothing changes here; what
    slipped through all the same (ESC, bidi, surrogates) is written as ``\xNN``. Unlike `safe` this can be
    repeated: it leaves a backslash alone.
    """
    if most is not None and len(text) > most:
        text = text[: max(most - 1, 0)] + "…"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else safe(one) for one in text)


# ----------------------------------------------------------------------------------------------------- events


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
    owners = _Owners(diagnosis)
    found = [_hello_event(record) for record in diagnosis.hellos]
    found += [_connection_event(link, owners) for link in diagnosis.connections]
    found += [_dhcp_event(lease, owners) for lease in diagnosis.dhcp]
    found += [_lookup_event(lookup, owners) for lookup in diagnosis.lookups]
    found += [_pong_event(pong, owners) for pong in diagnosis.pongs]
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
        parts.append(f"ended by the {link.closed_by}")
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


_DHCP_ANSWERS: dict[str, EventOutcome] = {
    "offer": "answered", "ack": "answered", "nak": "failed", "decline": "failed",
}  # fmt: skip


def _dhcp_event(lease: DhcpEvent, owners: _Owners) -> Event:
    server, client = lease.server or "", lease.address or ""
    told = lease.kind in ("offer", "ack", "nak")
    parts = [lease.kind, lease.address, lease.domain and f"domain {lease.domain}"]
    parts += [f"DNS {' '.join(lease.dns)}" if lease.dns else None, lease.host and f"host {lease.host}"]
    return Event(
        ts=lease.ts,
        last_ts=lease.ts,
        kind="dhcp",
        device=owners.of_mac(lease.mac),
        ends=_datagram_ends(server, client) if told else _datagram_ends("", server, mac=lease.mac),
        outcome=_DHCP_ANSWERS.get(lease.kind, "asked"),
        detail=", ".join(part for part in parts if part),
        retry=None,
        evidence=lease.evidence,
    )


def _lookup_event(lookup: LookupEvent, owners: _Owners) -> Event:
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
        device=owners.at(lookup.client, lookup.ts),
        ends=_datagram_ends(lookup.client, lookup.server, 53),
        outcome=outcome,
        detail=", ".join(parts),
        retry=None,
        evidence=lookup.evidence,
    )


def _pong_event(pong: PongEvent, owners: _Owners) -> Event:
    return Event(
        ts=pong.ts,
        last_ts=pong.ts,
        kind="rmcp",
        device=owners.at(pong.device, pong.ts),
        ends=_datagram_ends(pong.device, pong.asker),
        outcome="answered",
        detail=f"mode {pong.mode}" + (f", AMT {pong.version}" if pong.version else ""),
        retry=None,
        evidence=pong.evidence,
    )


def _datagram_ends(src: str, dst: str, dport: int = 0, mac: str | None = None) -> Endpoints:
    return Endpoints(src, 0, dst, dport, mac, None, (), "")


class _Owners:
    """Whose an event is: the device that the diagnosis knows at its address at that time."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        options = diagnosis.tool.get("options")
        ports = options.get("ports", ()) if isinstance(options, Mapping) else ()
        self._hello_ports = {*HELLO_PORTS, *ports}
        self._servers = {(one.event.ends.dst, one.event.ends.dport) for one in diagnosis.hellos}
        self._residents = diagnosis.residents
        self._by_mac = {mac: one.id for one in reversed(diagnosis.devices) for mac in one.macs}

    def of(self, link: ConnectionEvent) -> tuple[EventKind, str | None]:
        """Return what a connection is for and whose it is."""
        ends = link.ends
        kind: EventKind = "other"
        device = None
        if ends.dport in self._hello_ports or (ends.dst, ends.dport) in self._servers:
            device = None if link.foreign else self.at(ends.src, link.ts)
            kind = "other" if device is None else "connection"
        elif ends.dport in DEVICE_PORTS:
            device = self.at(ends.dst, link.ts)
            kind = "other" if device is None else "connect_back"
        elif ends.dport == CIRA_PORT:
            device = self.at(ends.src, link.ts)
            kind = "other" if device is None else "presence"
        return kind, device

    def of_mac(self, mac: str) -> str | None:
        """Return the device with a MAC."""
        return self._by_mac.get(mac)

    def at(self, address: str, ts: int) -> str | None:
        """Return the device at an address: the last one before `ts`, else the first one after."""
        residents = self._residents.get(address)
        if not residents:
            return None
        return residents[max(bisect_right(residents, ts, key=lambda one: one[0]) - 1, 0)][1]


# ----------------------------------------------------------------------------------------------------- tables


def hellos(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a Hello, in time order.

    ts; device; type (psk, pki, unknown); version; retry_count; gap_s: seconds since the device's previous
    Hello; uuid; pid; pid_check_ok; admin_credentials_set; digests: whole ones; declared_digests;
    unknown_digests: those that no catalogue names; complete; missing_bytes; trailing_bytes; segments: TCP
    segments with bytes of it; src, sport, dst, dport; src_mac; vlan: tags from the outermost on;
    community_id; problems; file and frame of its first byte.
    """
    import pandas as pd

    records = diagnosis.hellos
    events = [record.event for record in records]
    messages = [event.hello for event in events]
    flags = [message.admin_credentials for message in messages]
    return pd.DataFrame(
        {
            "ts": _times(event.ts for event in events),
            "device": _texts(record.device for record in records),
            "type": _words((one.type for one in messages), get_args(HelloType)),
            "version": _ints(one.version for one in messages),
            "retry_count": _ints(one.retry_count for one in messages),
            "gap_s": _floats(_gaps(records)),
            "uuid": _texts(one.uuid for one in messages),
            "pid": _texts(one.pid for one in messages),
            "pid_check_ok": _flags(one.pid_check_ok for one in messages),
            "admin_credentials_set": _flags({0: False, 1: True}.get(-1 if f is None else f) for f in flags),
            "digests": _ints(len(one.digests) for one in messages),
            "declared_digests": _ints(one.declared_digests for one in messages),
            "unknown_digests": _ints(sum("unknown" in d.verdicts for d in one.digests) for one in records),
            "complete": _flags(one.complete for one in messages),
            "missing_bytes": _ints(one.missing_bytes for one in messages),
            "trailing_bytes": _ints(one.trailing_bytes for one in messages),
            "segments": _ints(event.segments for event in events),
            **_ends([event.ends for event in events]),
            "src_mac": _texts(event.ends.src_mac for event in events),
            "vlan": _texts(" ".join(map(str, event.ends.vlan)) or None for event in events),
            "community_id": _texts(event.ends.community_id for event in events),
            "problems": _texts("; ".join(one.problems) or None for one in messages),
            **_first_frame([event.evidence for event in events]),
        }
    )


def _gaps(records: Iterable[HelloRecord]) -> Iterator[float | None]:
    last: dict[str, int] = {}
    for record in records:
        before = last.get(record.device)
        yield None if before is None else (record.event.ts - before) / SECOND
        last[record.device] = record.event.ts


def digests(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a digest of a Hello, in the order of the Hellos and of their lists.

    ts and device of the Hello; hello: its row in `hellos`; index: place in the list, from 0; algorithm;
    algorithm_id: as sent; digest: hexadecimal; name: of the root; verdict: the gravest that holds (ordered,
    gravest first); verdicts: all that hold; file and frame of the Hello.
    """
    import pandas as pd

    rows = [
        (number, record, judged)
        for number, record in enumerate(diagnosis.hellos)
        for judged in record.digests
    ]
    return pd.DataFrame(
        {
            "ts": _times(record.event.ts for _, record, _ in rows),
            "device": _texts(record.device for _, record, _ in rows),
            "hello": _ints(number for number, _, _ in rows),
            "index": _ints(judged.digest.index for *_, judged in rows),
            "algorithm": _texts(judged.digest.algorithm for *_, judged in rows),
            "algorithm_id": _ints(judged.digest.algorithm_id for *_, judged in rows),
            "digest": _texts(judged.digest.value.hex() for *_, judged in rows),
            "name": _texts(judged.name for *_, judged in rows),
            "verdict": _words((judged.verdict for *_, judged in rows), tuple(VERDICTS), ordered=True),
            "verdicts": _texts(" ".join(judged.verdicts) for *_, judged in rows),
            **_first_frame([record.event.evidence for _, record, _ in rows]),
        }
    )


def devices(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a device, in the order in which they were first seen.

    device: its id; uuid; macs, ips: all of them, with spaces between; hello_type; hellos: their number;
    last_retry: retry count of the last Hello; gap_median_s, gap_max_s: seconds between Hellos; first_seen,
    last_seen; mode (ordered) and mode_basis; stage: the last one attempted (ordered), and stage_passed,
    unknown while it is open; cause: rule of the first finding that stops it, <NA> where nothing does;
    worst: gravest severity of its findings; findings: their number; server: where its last Hello went;
    suffix; firmware: what its digest list is consistent with; sees_device_to_server, sees_server_to_device:
    whether the capture shows that direction.
    """
    import pandas as pd

    listed = diagnosis.devices
    own: defaultdict[str | None, list[Finding]] = defaultdict(list)
    for finding in diagnosis.findings:
        own[finding.device].append(finding)
    gaps = [[gap / SECOND for gap in one.gaps] for one in listed]
    return pd.DataFrame(
        {
            "device": _texts(one.id for one in listed),
            "uuid": _texts(one.uuid for one in listed),
            "macs": _texts(" ".join(one.macs) or None for one in listed),
            "ips": _texts(" ".join(one.ips) or None for one in listed),
            "hello_type": _words((one.hello_type for one in listed), get_args(HelloType)),
            "hellos": _ints(one.hellos for one in listed),
            "last_retry": _ints(one.retry_counts[-1] if one.retry_counts else None for one in listed),
            "gap_median_s": _floats(median(some) if some else None for some in gaps),
            "gap_max_s": _floats(max(some, default=None) for some in gaps),
            "first_seen": _times(one.first_seen for one in listed),
            "last_seen": _times(one.last_seen for one in listed),
            "mode": _words((one.mode.name for one in listed), MODES, ordered=True),
            "mode_basis": _words((one.mode.basis for one in listed), get_args(Basis)),
            "stage": _words((one.stage for one in listed), get_args(Stage), ordered=True),
            "stage_passed": _flags(one.stages[-1].passed if one.stages else None for one in listed),
            "cause": _texts(stopping_rule(own[one.id]) for one in listed),
            "worst": _words((worst_of(own[one.id]) for one in listed), SEVERITIES, ordered=True),
            "findings": _ints(len(own[one.id]) for one in listed),
            "server": _texts(one.server for one in listed),
            "suffix": _texts(one.suffix for one in listed),
            "firmware": _texts(one.firmware for one in listed),
            **{
                f"sees_{lane}": _flags(_sees(one, lane) for one in listed)
                for lane in ("device_to_server", "server_to_device")
            },
        }
    )


def stopping_rule(findings: Iterable[Finding]) -> str | None:
    """Return the rule of the first finding that stops provisioning."""
    grave = ("error", "critical")
    return next((f.rule for f in findings if f.category == "provisioning" and f.severity in grave), None)


def worst_of(findings: Iterable[Finding]) -> str | None:
    """Return the gravest severity, None where there is no finding."""
    return max((one.severity for one in findings), key=SEVERITIES.index, default=None)


def _sees(device: DeviceRecord, lane: str) -> bool | None:
    return device.visibility.get(lane)


def findings(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a finding, likeliest cause first.

    id; rule; catalogue: row of the failure catalogue; category; severity (ordered); device, <NA> for one
    about the capture; basis; confidence (ordered); count: how often it was seen; first_ts, last_ts;
    summary; remedy; candidates: possible causes, each with what would decide; display_filter: for
    Wireshark; file and frame of the first evidence; frames: all evidence in that file.
    """
    import pandas as pd

    listed = diagnosis.findings
    return pd.DataFrame(
        {
            "id": _texts(one.id for one in listed),
            "rule": _texts(one.rule for one in listed),
            "catalogue": _texts(one.catalogue for one in listed),
            "category": _words((one.category for one in listed), get_args(Category)),
            "severity": _words((one.severity for one in listed), SEVERITIES, ordered=True),
            "device": _texts(one.device for one in listed),
            "basis": _words((one.basis for one in listed), get_args(Basis)),
            "confidence": _words(
                (one.confidence for one in listed), get_args(Confidence)[::-1], ordered=True
            ),
            "count": _ints(one.count for one in listed),
            "first_ts": _times(one.first_ts for one in listed),
            "last_ts": _times(one.last_ts for one in listed),
            "summary": _texts(one.summary for one in listed),
            "remedy": _texts(one.remedy for one in listed),
            "candidates": _texts(
                "; ".join(f"{c.cause} ({c.would_decide})" for c in one.candidates) or None for one in listed
            ),
            "display_filter": _texts(one.display_filter or None for one in listed),
            **_first_frame([one.evidence for one in listed]),
            "frames": _texts(_frames(one.evidence) for one in listed),
        }
    )


def _frames(evidence: Sequence[Evidence]) -> str | None:
    return " ".join(str(one.frame) for one in evidence if one.file == evidence[0].file) or None


def events(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a Hello, connection, DHCP message, DNS question or RMCP pong, in the order in which they began.

    ts; event: hello, connection (device to a Hello port), connect_back (to an AMT port of the device),
    presence (device to a management presence server), dhcp, dns (question for the provisioning server), rmcp
    (answer to a ping) or other; device; src, sport, dst, dport: from whom to whom; outcome: whole or cut for
    a Hello; established, refused, unanswered, reset or partial for a connection; else asked, answered, failed
    or unanswered; duration_s: from first to last packet of a connection, else 0; detail; file and frame of
    its first packet.
    """
    import pandas as pd

    listed = all_events(diagnosis)
    return pd.DataFrame(
        {
            "ts": _times(one.ts for one in listed),
            "event": _words((one.kind for one in listed), get_args(EventKind)),
            "device": _texts(one.device for one in listed),
            **_ends([one.ends for one in listed]),
            "outcome": _words((one.outcome for one in listed), get_args(EventOutcome)),
            "duration_s": _floats((one.last_ts - one.ts) / SECOND for one in listed),
            "detail": _texts(one.detail for one in listed),
            **_first_frame([one.evidence for one in listed]),
        }
    )


def captures(diagnosis: Diagnosis) -> pd.DataFrame:
    """One row a capture file.

    file; format; bytes; packets; linktypes; first_ts, last_ts; duration_s: seconds between them; snaplen:
    bytes kept of a packet; drops: packets that the capturing side lost; truncated; notes.
    """
    import pandas as pd

    listed = diagnosis.captures
    return pd.DataFrame(
        {
            "file": _texts(one.file for one in listed),
            "format": _texts(one.format for one in listed),
            "bytes": _ints(one.bytes for one in listed),
            "packets": _ints(one.packets for one in listed),
            "linktypes": _texts(" ".join(one.linktypes) or None for one in listed),
            "first_ts": _times(one.first_ts for one in listed),
            "last_ts": _times(one.last_ts for one in listed),
            "duration_s": _floats(
                None if one.first_ts is None or one.last_ts is None else (one.last_ts - one.first_ts) / SECOND
                for one in listed
            ),
            "snaplen": _ints(one.snaplen for one in listed),
            "drops": _ints(one.drops for one in listed),
            "truncated": _flags(one.truncated for one in listed),
            "notes": _texts("; ".join(one.notes) or None for one in listed),
        }
    )


# ---------------------------------------------------------------------------------------------------- columns

_LARGEST = 2**63 - 1


def _ends(ends: Sequence[Endpoints]) -> dict[str, Any]:
    return {
        "src": _texts(one.src or None for one in ends),
        "sport": _ints(one.sport or None for one in ends),
        "dst": _texts(one.dst or None for one in ends),
        "dport": _ints(one.dport or None for one in ends),
    }


def _first_frame(evidence: Sequence[Sequence[Evidence]]) -> dict[str, Any]:
    return {
        "file": _texts(some[0].file if some else None for some in evidence),
        "frame": _ints(some[0].frame if some else None for some in evidence),
    }


def _bounded(value: int) -> int:
    """What a damaged capture says beyond 64 bits (times: the years 1677 to 2262) becomes the limit."""
    return max(-_LARGEST, min(value, _LARGEST))


def _times(values: Iterable[int | None]) -> Any:
    import numpy as np
    import pandas as pd

    # The smallest 64-bit number is NumPy's "not a time".
    numbers = [-_LARGEST - 1 if value is None else _bounded(value) for value in values]
    moments = np.array(numbers, dtype="int64").view("datetime64[ns]")
    return pd.Series(moments, dtype="datetime64[ns]").dt.tz_localize("UTC")


def _ints(values: Iterable[int | None]) -> Any:
    import pandas as pd

    return pd.array([None if value is None else _bounded(value) for value in values], dtype="Int64")


def _floats(values: Iterable[float | None]) -> Any:
    import pandas as pd

    return pd.array(list(values), dtype="Float64")


def _flags(values: Iterable[bool | None]) -> Any:
    import pandas as pd

    return pd.array(list(values), dtype="boolean")


def _texts(values: Iterable[str | None]) -> Any:
    import pandas as pd

    return pd.array([None if value is None else plain(value) for value in values], dtype="string")


def _words(values: Iterable[str | None], vocabulary: Sequence[str], *, ordered: bool = False) -> Any:
    import pandas as pd

    return pd.Categorical(list(values), categories=list(vocabulary), ordered=ordered)


# -------------------------------------------------------------------------------------------------------- CSV

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet run a cell, the full-width forms of = + - @ among it."""


def csv_safe(text: str) -> str:
    """Return `text`, behind an apostrophe where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def write_csv(table: pd.DataFrame, path: str | PathLike[str]) -> None:
    """Write a table as CSV: UTF-8, RFC 3339 times with nanoseconds, empty cells for what is not known.

    Text cells and headings that a spreadsheet would run get an apostrophe in front. Raises OSError.
    """
    import pandas as pd
    from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

    columns = {}  # by number: two may have one name
    for number in range(len(table.columns)):
        column = table.iloc[:, number]
        if not is_numeric_dtype(column.dtype):  # truths are numeric too
            convert = _time_cell if is_datetime64_any_dtype(column.dtype) else _text_cell
            # Each value is converted once: most columns repeat a few.
            cells = {value: convert(value) for value in column.dropna().unique()}
            column = column.astype(object).map(cells)
        columns[number] = column
    written = pd.DataFrame(columns)
    written.columns = pd.Index([_text_cell(name) for name in table.columns])
    written.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _text_cell(value: object) -> str:
    return csv_safe(plain(str(value)))


def _time_cell(value: Any) -> str:
    return rfc3339(value.value)
