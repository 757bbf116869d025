"""DNS questions and their answers brought together, over UDP and TCP."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from amtdiag.model import Evidence, LookupEvent
from amtdiag.protocols import dns
from amtdiag.times import SECOND

_EXPIRES = 60 * SECOND
_MOST_OPEN = 20_000
_MOST_EVIDENCE = 8
_Key = tuple[str, str, int, int, str, int]


class _Open:
    __slots__ = (
        "answer", "answers", "client", "evidence", "message", "other", "port", "queries", "server", "ts",
    )  # fmt: skip

    def __init__(self, ts: int, client: str, port: int, server: str, message: dns.DnsMessage) -> None:
        self.ts = ts
        self.client = client
        self.port = port
        self.server = server
        self.message = message
        self.queries = 0
        self.answers = 0
        self.answer: dns.DnsMessage | None = None
        self.other: tuple[str, ...] = ()
        self.evidence: list[Evidence] = []

    def event(self) -> LookupEvent:
        answer = self.answer
        # An answer that is cut before its first address neither names the server nor denies it.
        told = answer is not None and not (answer.cut and not answer.addresses and not answer.rcode)
        # A question that was repeated may rightly be answered twice, by a server that takes turns.
        forged = self.answers > self.queries > 0
        return LookupEvent(
            ts=self.ts,
            client=self.client,
            server=self.server,
            name=self.message.name,
            type=dns.TYPES.get(self.message.type, str(self.message.type)),
            queries=self.queries,
            rcode=dns.RCODES.get(answer.rcode, str(answer.rcode)) if answer is not None and told else None,
            addresses=answer.addresses if answer else (),
            names=answer.names if answer else (),
            other_addresses=self.other if forged else (),
            evidence=tuple(self.evidence),
            port=self.port,
        )


class Lookups:
    """Open questions. `take` yields the lookups that are over; `finish` the rest."""

    def __init__(self) -> None:
        self._open: OrderedDict[_Key, _Open] = OrderedDict()
        self._discovery: OrderedDict[_Key, _Open] = OrderedDict()
        """The same, of the names of provisioning servers: no flood of other names costs them their place."""

    def take(
        self,
        data: bytes,
        ts: int,
        ends: tuple[str, str],
        port: int,
        evidence: tuple[Evidence, ...],
        *,
        tcp: bool = False,
    ) -> Iterator[LookupEvent]:
        """Take one message from the first of `ends` to the second; yield what its time proves over.

        `port` is the client's. A resolver that asks again does so from the same port; a new question has a
        new one, even where careless software gives all its questions one number.
        """
        message = dns.parse(data)
        if message is None:
            return
        source, target = ends
        client, server = (target, source) if message.is_response else (source, target)
        key = (client, server, port, message.id, message.name, message.type)
        table = self._discovery if dns.is_discovery(message.name) else self._open
        one = table.get(key)
        if one is not None and ts - one.ts > _EXPIRES:
            yield table.pop(key).event()
            one = None
        if one is None:
            one = table[key] = _Open(ts, client, 0 if tcp else port, server, message)
        if len(one.evidence) < _MOST_EVIDENCE:
            one.evidence += evidence
        one.queries += not message.is_response
        one.answers += message.is_response
        if message.is_response and (one.answer is None or (one.answer.cut and not message.cut)):
            one.answer = message
        elif message.is_response and one.answer is not None and message.addresses:
            one.other = one.other or tuple(a for a in message.addresses if a not in one.answer.addresses)
        for table in (self._discovery, self._open):
            while table:
                first = next(iter(table))
                if len(table) <= _MOST_OPEN and ts - table[first].ts <= _EXPIRES:
                    break
                yield table.pop(first).event()

    def finish(self) -> Iterator[LookupEvent]:
        """Yield what is still open."""
        rest = sorted((*self._discovery.values(), *self._open.values()), key=lambda one: one.ts)
        self._discovery.clear()
        self._open.clear()
        for one in rest:
            yield one.event()

    def waiting(self, before: int) -> Iterator[LookupEvent]:
        """Yield what is still open, and keep it; questions without an answer only if asked before a time."""
        for one in (*self._discovery.values(), *self._open.values()):
            if one.answer is not None or one.ts < before:
                yield one.event()
