"""Alerts: those in the clear, and what can be known of encrypted ones."""

from collections.abc import Iterator
from typing import NamedTuple

from amtdiag.model.tls import HiddenAlert
from amtdiag.protocols.tls.constants import ALERT, APPLICATION, CLOSE_NOTIFY, FATAL, WARNING, WARNINGS
from amtdiag.protocols.tls.endpoint_stream import EndpointStream
from amtdiag.protocols.tls.records import HEADER, Record

_MAX_ALERTS = 16
_ALERT = 2
"""Bytes of an alert in the clear: level and description. No cipher leaves an alert that short."""
_SEALED_ALERTS = frozenset({_ALERT + 1 + 16, _ALERT + 1 + 8})
"""Length of an alert's record in TLS 1.3: the alert, its type, the tag (of CCM_8)."""
_USER_CANCELLED = 90


class ClearAlert(NamedTuple):
    """An alert in the clear, and the record it came in."""

    level: int
    description: int
    record: Record
    is_final: bool
    """It ends the handshake."""


def clear_alerts(side: EndpointStream, *, is_13: bool | None) -> list[ClearAlert]:
    """Return the alerts in the clear of one side."""
    found: list[ClearAlert] = []
    if side.found is None:
        return found
    broken = side.found.breaks[0].before if side.found.breaks else len(side.records)
    held = b""
    for at, record in enumerate(side.records if is_13 else side.records[: side.change]):
        if record.kind != ALERT or side.stream.gaps_in(record.start, record.end):
            held = b""
            continue
        body = side.stream.data[record.start : record.end]
        if len(body) != _ALERT and (at >= broken or len(body) > 2 * _ALERT):
            held = b""
            continue
        held += body
        while len(held) >= _ALERT:
            level, description, held = held[0], held[1], held[_ALERT:]
            if level in (WARNING, FATAL) and len(found) < _MAX_ALERTS:
                final = _is_final(side, at, level, description, is_13=is_13)
                found.append(ClearAlert(level, description, record, final))
    return found


def _is_final(side: EndpointStream, at: int, level: int, description: int, *, is_13: bool | None) -> bool:
    """True for an alert that ends the handshake. TLS 1.3 goes by the description, not the level."""
    if description == CLOSE_NOTIFY:
        return False
    if level == FATAL or (is_13 and description != _USER_CANCELLED):
        return True
    silent = side.is_whole and side.stream.ended and all(record.kind == ALERT for record in side.records[at:])
    return description not in WARNINGS and silent


def hidden_alerts(side: EndpointStream, *, is_13: bool | None) -> Iterator[HiddenAlert]:
    """Yield the alerts of one side of which only that they are there can be seen."""
    if side.found is None or is_13 is None:
        return
    count = len(side.records)
    broken = side.found.breaks[0].before if side.found.breaks else count
    has_data, found = False, 0
    for at, record in enumerate(side.records):
        length = record.end - record.start
        is_last = (
            at == count - 1
            and side.stream.ended
            and record.end == len(side.stream.data)
            and not (side.stream.gaps and side.stream.gaps[-1][1] > record.start)
        )
        if is_13:
            is_alert = is_last and record.kind == APPLICATION and length in _SEALED_ALERTS
        else:
            is_hidden = at > side.change or (at >= broken and not side.has_changed)
            is_alert = record.kind == ALERT and is_hidden and length != _ALERT
        if is_alert and found < _MAX_ALERTS:
            found += 1
            yield HiddenAlert(
                side.who,
                not is_13,
                is_last,
                None if is_13 or (at >= broken and not has_data) else has_data,
                side.time(record.end),
                side.evidence(record.start - HEADER, record.end),
            )
        has_data = has_data or record.kind == APPLICATION
