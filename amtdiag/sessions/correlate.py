"""Captures of several sensors brought together: one clock, every fact once, and what got lost between them.

Two sensors on the way of one connection see it twice, by two clocks. Its first sequence number tells that it
is one. What left one side and never came by the other is a fact of its own, which no single capture shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from amtdiag.model import ConnectionEvent, Crossing, Evidence, HelloEvent, LookupEvent, TlsConversation
from amtdiag.sessions.event_log import EventLog
from amtdiag.times import SECOND, span

_TOGETHER = 5 * SECOND
"""How far apart, by one clock, two sensors may see one thing: it may have to be sent again in between."""
_RANK = ("unanswered", "rejected", "refused", "partial", "reset", "established")
"""Outcomes, the one that says most last."""
_MOST_EVIDENCE = 16
_WORTH_SAYING = SECOND // 100
"""A difference of clocks below this is no news."""
_Opening = tuple[int, int | None]
"""When a connection was opened, and when it was answered."""


class SensorView(NamedTuple):
    """What one sensor saw, and when it was watching, by its own clock."""

    name: str
    events: EventLog
    spans: tuple[tuple[int, int], ...]


class Together(NamedTuple):
    """All views as one."""

    events: EventLog
    offsets: tuple[int, ...]
    """By view: nanoseconds that its clock is ahead of the first one's."""
    notes: tuple[str, ...]


def bring_together(views: Sequence[SensorView]) -> Together:
    """Make one of several views. Takes their events over."""
    if len(views) == 1:
        return Together(views[0].events, (0,), ())
    offsets, notes = _clocks(views)
    views = [
        SensorView(
            view.name, _shifted(view.events, offset), tuple((a - offset, b - offset) for a, b in view.spans)
        )
        for view, offset in zip(views, offsets, strict=True)
    ]
    events = EventLog()
    events.connections = _connections(views)
    events.hellos = _once(views, lambda one: one.hellos, _hello_key, _one_hello)
    events.lookups = _once(views, lambda one: one.lookups, _lookup_key, _one_lookup)
    events.other_lookups = _once(views, lambda one: one.other_lookups, _lookup_key, _one_lookup)
    for kind in ("odd_attempts", "dhcp", "pongs", "pings", "sightings", "nobody", "rejections"):
        merged = _once(views, lambda one, kind=kind: getattr(one, kind), _fact_key, _first)  # type: ignore[misc]
        setattr(events, kind, merged)
    return Together(events, tuple(offsets), tuple(notes))


# ----------------------------------------------------------------------------------------------------- clocks


def _clocks(views: Sequence[SensorView]) -> tuple[list[int], list[str]]:
    """How far each clock is ahead of the first, told by the connections that two views share."""
    opened = [_by_isn(view.events.connections) for view in views]
    shared = _shared(opened)
    beside = _beside_others(views)
    offsets: dict[int, int] = {}
    notes: list[str] = []
    alone = 0
    for start in range(len(views)):
        if start in offsets:
            continue
        offsets[start] = 0
        alone += not shared[start] and start in beside
        reached = [start]
        while reached:
            known = reached.pop(0)
            for number, keys in sorted(shared[known].items(), key=lambda item: -len(item[1])):
                if number in offsets:
                    continue
                offset = _offset([(opened[known][key], opened[number][key]) for key in keys])
                offsets[number] = offsets[known] + offset
                reached.append(number)
                if abs(offset) >= _WORTH_SAYING:
                    way = "ahead of" if offset > 0 else "behind"
                    notes.append(
                        f"the clock of {views[number].name} is {span(abs(offset))} {way} that of "
                        f"{views[known].name} ({_count(len(keys), 'connection')} in both): times are shown "
                        "by the latter"
                    )
    if alone:
        notes.append(
            f"{_count(alone, 'capture')} taken at the same time as others and without a connection in "
            "common: clocks are taken as they are"
        )
    return [offsets[number] for number in range(len(views))], notes


def _beside_others(views: Sequence[SensorView]) -> frozenset[int]:
    """The views that ran at the same time as another, by clocks as they are."""
    found: set[int] = set()
    running, until = -1, -1
    for first, last, number in sorted(
        (*watched, number) for number, view in enumerate(views) for watched in view.spans
    ):
        if running >= 0 and first <= until and number != running:
            found |= {running, number}
        if last > until:
            running, until = number, last
    return frozenset(found)


def _shared(opened: Sequence[Mapping[Hashable, _Opening]]) -> list[dict[int, list[Hashable]]]:
    """By view: which connections it shares with which other."""
    seen: dict[Hashable, list[int]] = defaultdict(list)
    for number, keys in enumerate(opened):
        for key in keys:
            seen[key].append(number)
    shared: list[dict[int, list[Hashable]]] = [defaultdict(list) for _ in opened]
    for key, numbers in seen.items():
        for one in numbers:
            for other in numbers:
                if one != other:
                    shared[one][other].append(key)
    return shared


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def _by_isn(links: Iterable[ConnectionEvent]) -> dict[Hashable, _Opening]:
    """When each connection was opened and answered, by what tells it from all others."""
    return {_isn_key(link): (link.ts, link.answer_ts) for link in links if link.isn is not None}


def _isn_key(link: ConnectionEvent) -> Hashable:
    ends = link.ends
    return ends.src, ends.sport, ends.dst, ends.dport, link.isn


def _offset(pairs: Iterable[tuple[_Opening, _Opening]]) -> int:
    """How far the other clock is ahead, the median of all pairs.

    There and back cancel the time on the way, as NTP does it.
    """
    found = []
    for (syn, answer), (other_syn, other_answer) in pairs:
        there = other_syn - syn
        back = there if answer is None or other_answer is None else other_answer - answer
        found.append((there + back) // 2)
    return sorted(found)[len(found) // 2]


_TIMES = ("ts", "last_ts", "answer_ts")


def _shifted(events: EventLog, offset: int) -> EventLog:
    """The same events by another clock."""
    if not offset:
        return events
    shifted = EventLog()
    for kind in EventLog.__slots__:
        setattr(shifted, kind, [_earlier(one, offset) for one in getattr(events, kind)])
    return shifted


def _earlier(event: Any, offset: int) -> Any:
    times = {name: getattr(event, name, None) for name in _TIMES}
    moved: dict[str, Any] = {name: ts - offset for name, ts in times.items() if ts is not None}
    for name in ("tls", "talk", "redirection", "apf"):
        if getattr(event, name, None) is not None:
            moved[name] = getattr(event, name).earlier(offset)
    return event._replace(**moved)


# -------------------------------------------------------------------------------------------- every fact once


class _Event(Protocol):
    @property
    def ts(self) -> int: ...
    @property
    def evidence(self) -> tuple[Evidence, ...]: ...


_T = TypeVar("_T", bound=_Event)


def _once(
    views: Sequence[SensorView],
    kind: Callable[[EventLog], list[_T]],
    key: Callable[[_T], Hashable],
    join: Callable[[_T, _T], _T],
) -> list[_T]:
    """The events of one kind, those joined that different views show at about the same time.

    Within a view nothing is joined: what it shows twice happened twice.
    """
    seen: dict[Hashable, list[tuple[int, _T]]] = defaultdict(list)
    for number, view in enumerate(views):
        for event in kind(view.events):
            entries = seen[key(event)]
            for place, (of, other) in enumerate(entries):
                if of != number and abs(event.ts - other.ts) <= _TOGETHER:
                    entries[place] = (number, join(other, event))
                    break
            else:
                entries.append((number, event))
    return [event for entries in seen.values() for _, event in entries]


def _fact_key(event: Any) -> Hashable:
    """All that an event says, without when and where it was seen."""
    return tuple(
        value
        for name, value in zip(event._fields, event, strict=True)
        if name not in (*_TIMES, "evidence", "ends", "wanted")
    ) + (_ends_key(event) if "ends" in event._fields else ())


def _ends_key(event: ConnectionEvent | HelloEvent) -> tuple[object, ...]:
    ends = event.ends
    return ends.src, ends.sport, ends.dst, ends.dport


def _hello_key(event: HelloEvent) -> Hashable:
    return _ends_key(event)


def _lookup_key(event: LookupEvent) -> Hashable:
    return event.client, event.server, event.name, event.type


def _evidence(*events: _Event) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys(frame for event in events for frame in event.evidence))[:_MOST_EVIDENCE]


def _first(one: Any, other: Any) -> Any:
    return one._replace(evidence=_evidence(one, other))


def _one_hello(one: HelloEvent, other: HelloEvent) -> HelloEvent:
    """The better read of the two; the sender's MAC where it was seen first, which is nearer to it."""
    better = max(one, other, key=lambda event: (event.hello.complete, len(event.hello.digests)))
    nearer = min(one, other, key=lambda event: event.ts)
    ends = better.ends._replace(src_mac=nearer.ends.src_mac)
    worse = other if better is one else one
    return better._replace(ends=ends, ts=one.ts, evidence=_evidence(better, worse))


def _one_lookup(one: LookupEvent, other: LookupEvent) -> LookupEvent:
    """The answered of the two."""
    better = max(one, other, key=lambda event: (event.rcode is not None, len(event.addresses)))
    return better._replace(
        ts=min(one.ts, other.ts), queries=max(one.queries, other.queries), evidence=_evidence(one, other)
    )


# ----------------------------------------------------------------------------- connections, and what got lost


def _connections(views: Sequence[SensorView]) -> list[ConnectionEvent]:
    """Every connection once, with what became of it on its way from sensor to sensor."""
    alive = [view.events.senders() for view in views]
    joined: list[ConnectionEvent] = []
    for group in _groups(views):
        numbers = [number for number, _ in group]
        link = _one_link([link for _, link in group], [views[number].name for number in numbers])
        if link.outcome == "unanswered" and link.crossing is None:
            blind = _never_came(link, numbers, views, alive)
            if blind is not None:
                link = link._replace(crossing=Crossing("SYN", link.evidence[0].file, views[blind].name))
        joined.append(link)
    return joined


def _groups(views: Sequence[SensorView]) -> Iterator[list[tuple[int, ConnectionEvent]]]:
    """The views of each connection, with the numbers of the sensors."""
    groups: dict[Hashable, list[tuple[int, ConnectionEvent]]] = defaultdict(list)
    late: list[tuple[int, ConnectionEvent]] = []
    for number, view in enumerate(views):
        for link in view.events.connections:
            if link.isn is None:
                late.append((number, link))
            else:
                groups[_isn_key(link)].append((number, link))
    by_ends: dict[Hashable, list[list[tuple[int, ConnectionEvent]]]] = defaultdict(list)
    for group in groups.values():
        by_ends[_ends_key(group[0][1])].append(group)
    for number, link in late:  # its opening is not in that capture: ends and time have to do
        near = by_ends[_ends_key(link)]
        for group in near:
            others = [other for of, other in group if of != number]
            if others and others[0].ts - _TOGETHER <= link.ts <= others[0].last_ts + _TOGETHER:
                group.append((number, link))
                break
        else:
            near.append([(number, link)])
    for near in by_ends.values():
        yield from near


def _one_link(links: Sequence[ConnectionEvent], names: Sequence[str]) -> ConnectionEvent:
    """One connection of its views: what the best of them shows, and the MACs that are nearest to the ends."""
    if len(links) == 1:
        return links[0]
    order = sorted(range(len(links)), key=lambda at: links[at].ts)
    first, last = links[order[0]], links[order[-1]]
    best = max(links, key=lambda one: (_RANK.index(one.outcome), one.client_bytes + one.server_bytes))
    crossing = None
    silent = next((at for at in order if links[at].outcome == "unanswered"), None)
    answered = best.outcome in ("established", "refused") and not best.client_bytes
    if silent is not None and answered and max(one.syns for one in links) > 1:
        # The client went on asking: the answer that one sensor shows did not get to it.
        crossing = Crossing("answer", names[links.index(best)], names[silent])
        best = links[silent]
    return best._replace(
        ts=first.ts,
        last_ts=max(one.last_ts for one in links),
        ends=best.ends._replace(src_mac=first.ends.src_mac, dst_mac=last.ends.dst_mac),
        syns=max(one.syns for one in links),
        server_seen=any(one.server_seen for one in links),
        evidence=_evidence(best, *(one for one in links if one is not best)),
        web=next((one.web for one in links if one.web), None),
        talk=max(
            (one.talk for one in links if one.talk),
            key=lambda talk: (len(talk.exchanges), -len(talk.missing)),
            default=None,
        ),
        redirection=next((one.redirection for one in links if one.redirection), None),
        apf=next((one.apf for one in links if one.apf), None),
        tls=max((one.tls for one in links if one.tls), key=_facts, default=None),
        foreign=next((one.foreign for one in links if one.foreign), None),
        crossing=crossing,
    )


def _facts(talk: TlsConversation) -> tuple[bool, int, int, int, bool]:
    """How much a sensor saw of a TLS conversation, for comparison with another's view of it."""
    said = len(talk.messages) + len(talk.alerts) + len(talk.hidden_alerts)
    shown = sum(chain.complete for chain in (talk.client_chain, talk.server_chain) if chain)
    has_end = bool(talk.finished) or talk.alert is not None
    return has_end, said, shown, -len(talk.missing), talk.finished is not None


def _never_came(
    link: ConnectionEvent,
    shown_by: Sequence[int],
    views: Sequence[SensorView],
    alive: Sequence[frozenset[str]],
) -> int | None:
    """A view that shows packets of the target at the time, and not this SYN."""
    for number, view in enumerate(views):
        watching = any(first <= link.ts and link.last_ts <= last for first, last in view.spans)
        if number not in shown_by and watching and link.ends.dst in alive[number]:
            return number
    return None
