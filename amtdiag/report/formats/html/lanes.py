"""What happened to each device, in lanes: the events of the tables, and within them TLS and HTTP."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from amtdiag.model import (
    ConnectionEvent,
    Diagnosis,
    Endpoints,
    Evidence,
    Exchange,
    Judgement,
    TlsAlert,
    TlsConversation,
    TlsMessage,
)
from amtdiag.report.story import events_by_device
from amtdiag.tables import EventKind, EventOutcome

LaneKind = EventKind | Literal["tls", "http"]

_MAX_EVENTS = 400
"""Of a device."""
_MAX_ALL_EVENTS = 500_000
_MIN_EVENTS = 24
"""Of a device, however many devices there are."""
_MAX_FRAMES = 8
_MAX_MISSING = 2
_UNAUTHORIZED, _BAD = 401, 400


class LaneEvent(NamedTuple):
    """One mark on the timeline of a device."""

    ts: int
    """When it began, in ns since 1970 UTC."""
    last_ts: int
    """When it ended."""
    kind: LaneKind
    """The lane that it stands in."""
    ends: Endpoints
    """An address that is not known is empty, a port 0."""
    outcome: EventOutcome
    detail: str
    """What happened, in words."""
    retry: int | None
    """The retry count of a Hello."""
    evidence: tuple[Evidence, ...]
    """Frames that show it."""
    judgement: Judgement | None = None
    """Of a Hello: what its digests are worth."""


def lane_events(diagnosis: Diagnosis) -> Mapping[str, list[LaneEvent]]:
    """Return by device what happened to it, in time order."""
    judgements = {
        (record.event.ts, record.device, record.event.evidence): record.judgement
        for record in diagnosis.hellos
    }
    found: defaultdict[str, list[LaneEvent]] = defaultdict(list)
    for device, events in events_by_device(diagnosis).items():
        for event in events:
            is_hello = event.kind == "hello"
            judgement = judgements.get((event.ts, device, event.evidence)) if is_hello else None
            found[device].append(
                LaneEvent(
                    event.ts, event.last_ts, event.kind, event.ends, event.outcome, event.detail,
                    event.retry, event.evidence, judgement,
                )
            )  # fmt: skip
    for connection in diagnosis.connections:
        if connection.owner is not None:
            found[connection.owner].extend(_within(connection))
    for own in found.values():
        own.sort(key=lambda event: event.ts)
    return found


def within_bounds(own: list[LaneEvent], devices: int) -> list[LaneEvent]:
    """Leave out the middle where a device has more than the page can hold: its beginning and end say most."""
    most = max(_MIN_EVENTS, min(_MAX_EVENTS, _MAX_ALL_EVENTS // max(devices, 1)))
    if len(own) <= most:
        return own
    half = most // 2
    return own[:half] + own[-half:]


def _within(connection: ConnectionEvent) -> Iterator[LaneEvent]:
    """What is exchanged on a connection, as far as it can be read."""
    if connection.tls is not None and connection.tls.messages:
        yield _tls_event(connection, connection.tls)
    if connection.talk is not None:
        for exchange in connection.talk.exchanges:
            yield _http_event(connection, exchange)


def _tls_event(connection: ConnectionEvent, handshake: TlsConversation) -> LaneEvent:
    from amtdiag.protocols.tls.constants import ALERTS, version_name
    from amtdiag.protocols.tls.suites import suite_name

    parts = ["handshake finished"] if handshake.finished else []
    if handshake.alert is not None:
        by = connection.ends.src if handshake.alert_by == "client" else connection.ends.dst
        parts.append(f"alert {handshake.alert} ({ALERTS.get(handshake.alert, 'unknown')}) by {by}")
    if handshake.version is not None:
        parts.append(version_name(handshake.version))
    if handshake.suite is not None:
        parts.append(suite_name(handshake.suite))
    if handshake.server_name:
        parts.append(f"for {handshake.server_name}")
    if handshake.psk_identity:
        parts.append(f"PSK identity {handshake.psk_identity}")
    for side, chain in (("client", handshake.client_chain), ("server", handshake.server_chain)):
        if chain is not None:
            many = len(chain.der)
            parts.append(f"{side} shows {many} certificate{'' if many == 1 else 's'}")
    last = handshake.messages[-1]
    if not handshake.finished:
        parts.append(f"last message: {last.name} by the {last.sender}")
    parts += [missing.text for missing in handshake.missing[:_MAX_MISSING]]
    broken = handshake.alert is not None or handshake.finished is False
    outcome: EventOutcome = "answered" if handshake.finished else "failed" if broken else "partial"
    messages: list[TlsMessage | TlsAlert] = [*handshake.messages, *handshake.alerts]
    frames = tuple(dict.fromkeys(frame for message in messages for frame in message.evidence))
    times = [message.ts for message in messages if message.ts]
    first, end = min(times, default=connection.ts), max(times, default=connection.ts)
    return LaneEvent(
        first, end, "tls", connection.ends, outcome, ", ".join(parts), None, frames[:_MAX_FRAMES]
    )


def _http_event(connection: ConnectionEvent, exchange: Exchange) -> LaneEvent:
    parts = [f"{exchange.method or 'request not seen'} {exchange.path or ''}".strip()]
    call, result = exchange.call, exchange.result
    if call is not None and call.method:
        parts.append(f"{call.service or ''} {call.method}".strip())
    if exchange.user:
        parts.append(f"user {exchange.user}")
    if exchange.status is None:
        parts.append("no answer seen")
    else:
        parts.append(f"status {exchange.status}" + (f" ({exchange.denial})" if exchange.denial else ""))
    if result is not None:
        words = (result.return_value, result.name, result.fault, result.reason)
        parts.append("returns " + " ".join(str(word) for word in words if word is not None))
    parts += [exchange.realm] if exchange.realm else []
    parts += [f"{word} not seen" for word in exchange.missing]
    ts = exchange.ts
    last_ts = ts if exchange.answered is None else max(exchange.answered, ts)
    outcome, detail = _http_outcome(exchange), ", ".join(parts)
    return LaneEvent(ts, last_ts, "http", connection.ends, outcome, detail, None, exchange.evidence)


def _http_outcome(exchange: Exchange) -> EventOutcome:
    """Every conversation begins with a challenge: a 401 to a request without a user is an answer, too."""
    status, result = exchange.status, exchange.result
    if status is None:
        return "asked"
    if status == _UNAUTHORIZED:
        return "failed" if exchange.denial in ("refused", "likely") else "answered"
    is_fault = result is not None and (result.fault is not None or result.return_value)
    return "failed" if status >= _BAD or is_fault else "answered"
