"""DNS questions and their answers brought together, over UDP and TCP."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from amtdiag.model import Evidence, LookupEvent
from amtdiag.protocols import dns

_SECOND = 1_000_000_000
_EXPIRES = 60 * _SECOND
_MOST_OPEN = 20_000
_MOST_EVIDENCE = 8


@dataclass(slots=True)
class _Open:
    ts: int
    client: str
    server: str
    message: dns.Message
    queries: int = 0
    answer: dns.Message | None = None
    other: tuple[str, ...] = ()
    evidence: list[Evidence] = field(default_factory=list)

    def event(self) -> LookupEvent:
        answer = self.answer
        return LookupEvent(
            ts=self.ts,
            client=self.client,
            server=self.server,
            name=self.message.name,
            type=dns.TYPES.get(self.message.type, str(self.message.type)),
            queries=self.queries,
            rcode=None if answer is None else dns.RCODES.get(answer.rcode, str(answer.rcode)),
            addresses=answer.addresses if answer else (),
            names=answer.names if answer else (),
            other_addresses=self.other,
            evidence=tuple(self.evidence),
        )


class Lookups:
    """Open questions. `take` yields the lookups that are over; `finish` the rest."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, str, int, str, int], _Open] = OrderedDict()

    def take(
        self, data: bytes, ts: int, ends: tuple[str, str], evidence: tuple[Evidence, ...]
    ) -> Iterator[LookupEvent]:
        """Take one message from the first of `ends` to the second; yield what its time proves over."""
        message = dns.parse(data)
        if message is None:
            return
        source, target = ends
        client, server = (target, source) if message.is_response else (source, target)
        key = (client, server, message.id, message.name, message.type)
        one = self._open.get(key)
        if one is not None and ts - one.ts > _EXPIRES:
            yield self._open.pop(key).event()
            one = None
        if one is None:
            one = self._open[key] = _Open(ts, client, server, message)
        if len(one.evidence) < _MOST_EVIDENCE:
            one.evidence += evidence
        if not message.is_response:
            one.queries += 1
        elif one.answer is None or (one.answer.truncated and not message.truncated):
            one.answer = message
        elif message.addresses and set(message.addresses) != set(one.answer.addresses):
            one.other = tuple(a for a in message.addresses if a not in one.answer.addresses)
        while self._open:
            first = next(iter(self._open))
            if len(self._open) <= _MOST_OPEN and ts - self._open[first].ts <= _EXPIRES:
                break
            yield self._open.pop(first).event()

    def finish(self) -> Iterator[LookupEvent]:
        """Yield what is still open."""
        rest, self._open = self._open, OrderedDict()
        for one in rest.values():
            yield one.event()
