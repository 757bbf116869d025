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
from amtdiag.tables import EventKind, EventOutcome, all_events

LaneKind = EventKind | Literal["tls", "http"]

_MOST_OF_A_DEVICE = 400
_MOST_OF_ALL = 500_000
_LEAST = 24
_FEW = 8
_UNAUTHORIZED, _BAD = 401, 400


class Happening(NamedTuple):
    """One mark on the timeline of a device."""

    ts: int
    last_ts: int
    kind: LaneKind
    ends: Endpoints
    outcome: EventOutcome
    detail: str
    retry: int | None
    evidence: tuple[Evidence, ...]
    judgement: Judgement | None = None
    """Of a Hello: what its digests are worth."""


def happenings(diagnosis: Diagnosis) -> Mapping[str, list[Happening]]:
    """Return by device what happened to it, in time order."""
    found: defaultdict[str, list[Happening]] = defaultdict(list)
    worth = {(one.event.ts, one.device, one.event.evidence): one.judgement for one in diagnosis.hellos}
    for event in all_events(diagnosis):
        if event.device is not None and event.kind != "other":
            judgement = worth.get((event.ts, event.device, event.evidence))
            found[event.device].append(
                Happening(
                    event.ts, event.last_ts, event.kind, event.ends, event.outcome, event.detail,
                    event.retry, event.evidence, judgement if event.kind == "hello" else None,
                )
            )  # fmt: skip
    for link in diagnosis.connections:
        if link.owner is not None and (link.tls is not None or link.talk is not None):
            found[link.owner].extend(_within(link))
    for own in found.values():
        own.sort(key=lambda one: one.ts)
    return found


def within_bounds(own: list[Happening], devices: int) -> list[Happening]:
    """Leave out the middle where a device has more than the page can hold: its beginning and end say most."""
    most = max(_LEAST, min(_MOST_OF_A_DEVICE, _MOST_OF_ALL // max(devices, 1)))
    if len(own) <= most:
        return own
    half = most // 2
    return own[:half] + own[-half:]


def _within(link: ConnectionEvent) -> Iterator[Happening]:
    """What is said on a connection, as far as it can be read."""
    if link.tls is not None and link.tls.messages:
        yield _shaking(link, link.tls)
    if link.talk is not None:
        for exchange in link.talk.exchanges:
            yield _asked(link, exchange)


def _shaking(link: ConnectionEvent, talk: TlsConversation) -> Happening:
    from amtdiag.protocols.tls.constants import ALERTS, version_name
    from amtdiag.protocols.tls.suites import suite_name

    parts = ["handshake finished"] if talk.finished else []
    if talk.alert is not None:
        by = link.ends.src if talk.alert_by == "client" else link.ends.dst
        parts.append(f"alert {talk.alert} ({ALERTS.get(talk.alert, 'unknown')}) by {by}")
    if talk.version is not None:
        parts.append(version_name(talk.version))
    if talk.suite is not None:
        parts.append(suite_name(talk.suite))
    if talk.server_name:
        parts.append(f"for {talk.server_name}")
    if talk.psk_identity:
        parts.append(f"PSK identity {talk.psk_identity}")
    for side, chain in (("client", talk.client_chain), ("server", talk.server_chain)):
        if chain is not None:
            many = len(chain.der)
            parts.append(f"{side} shows {many} certificate{'' if many == 1 else 's'}")
    last = talk.messages[-1]
    if not talk.finished:
        parts.append(f"last message: {last.name} by the {last.sender}")
    parts += [one.text for one in talk.missing[:2]]
    broken = talk.alert is not None or talk.finished is False
    outcome: EventOutcome = "answered" if talk.finished else "failed" if broken else "partial"
    said: list[TlsMessage | TlsAlert] = [*talk.messages, *talk.alerts]
    frames = tuple(dict.fromkeys(frame for one in said for frame in one.evidence))
    times = [one.ts for one in said if one.ts]
    first, end = min(times, default=link.ts), max(times, default=link.ts)
    return Happening(first, end, "tls", link.ends, outcome, ", ".join(parts), None, frames[:_FEW])


def _asked(link: ConnectionEvent, one: Exchange) -> Happening:
    parts = [f"{one.method or 'request not seen'} {one.path or ''}".strip()]
    if one.call is not None and one.call.method:
        parts.append(f"{one.call.service or ''} {one.call.method}".strip())
    if one.user:
        parts.append(f"user {one.user}")
    if one.status is None:
        parts.append("no answer seen")
    else:
        parts.append(f"status {one.status}" + (f" ({one.denial})" if one.denial else ""))
    if one.result is not None:
        said = (one.result.return_value, one.result.name, one.result.fault, one.result.reason)
        parts.append("returns " + " ".join(str(word) for word in said if word is not None))
    parts += [one.realm] if one.realm else []
    parts += [f"{word} not seen" for word in one.missing]
    last = one.ts if one.answered is None else max(one.answered, one.ts)
    return Happening(one.ts, last, "http", link.ends, _answer(one), ", ".join(parts), None, one.evidence)


def _answer(one: Exchange) -> EventOutcome:
    """Every conversation begins with a challenge: a 401 to nobody is an answer like any other."""
    if one.status is None:
        return "asked"
    faulty = one.result is not None and (one.result.fault is not None or one.result.return_value)
    if one.status == _UNAUTHORIZED:
        return "failed" if one.denial in ("refused", "likely") else "answered"
    return "failed" if one.status >= _BAD or faulty else "answered"
