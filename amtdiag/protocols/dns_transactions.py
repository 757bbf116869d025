"""DNS questions and their answers brought together, over UDP and TCP."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator

from amtdiag.capture.decode.packet import Segment
from amtdiag.model import Evidence, LookupEvent
from amtdiag.protocols import dns
from amtdiag.protocols.addresses import address_text
from amtdiag.protocols.protocol import EvidenceOf, LaneReader, Port, Protocol
from amtdiag.reassembly.connections import Connection
from amtdiag.times import SECOND

_EXPIRES = 60 * SECOND
_MAX_OPEN = 20_000
_MAX_EVIDENCE = 8
_MAX_OTHER_LOOKUPS = 20_000
"""Lookups of other names that are remembered: one may turn out to be a device's custom server name."""
_MAX_TCP_MESSAGES = 16
_MAY_BE_ANSWERED = 10 * SECOND
"""A question that is younger than this may still be answered."""
_LENGTH = 2
"""Bytes in front of a message over TCP that say how long it is (RFC 1035, 4.2.2)."""
_Key = tuple[str, str, int, int, str, int]


class _Transaction:
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
        is_clear = answer is not None and not (answer.cut and not answer.addresses and not answer.rcode)
        # A question that was repeated may rightly be answered twice, by a server that takes turns.
        forged = self.answers > self.queries > 0
        return LookupEvent(
            ts=self.ts,
            client=self.client,
            server=self.server,
            name=self.message.name,
            type=dns.TYPES.get(self.message.type, str(self.message.type)),
            queries=self.queries,
            rcode=dns.RCODES.get(answer.rcode, str(answer.rcode)) if answer and is_clear else None,
            addresses=answer.addresses if answer else (),
            names=answer.names if answer else (),
            other_addresses=self.other if forged else (),
            evidence=tuple(self.evidence),
            port=self.port,
        )

    def add(self, message: dns.DnsMessage, evidence: tuple[Evidence, ...]) -> None:
        """Add a question that was repeated, or an answer."""
        if len(self.evidence) < _MAX_EVIDENCE:
            self.evidence += evidence
        if not message.is_response:
            self.queries += 1
            return
        self.answers += 1
        if self.answer is None or (self.answer.cut and not message.cut):
            self.answer = message
        elif message.addresses:
            known = self.answer.addresses
            self.other = self.other or tuple(address for address in message.addresses if address not in known)


class Lookups:
    """Open questions. `take` yields the lookups that are over; `finish` the rest."""

    def __init__(self) -> None:
        self._open: OrderedDict[_Key, _Transaction] = OrderedDict()
        self._discovery: OrderedDict[_Key, _Transaction] = OrderedDict()
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
        transaction = table.get(key)
        if transaction is not None and ts - transaction.ts > _EXPIRES:
            yield table.pop(key).event()
            transaction = None
        if transaction is None:
            transaction = table[key] = _Transaction(ts, client, 0 if tcp else port, server, message)
        transaction.add(message, evidence)
        for table in (self._discovery, self._open):
            while table:
                first = next(iter(table))
                if len(table) <= _MAX_OPEN and ts - table[first].ts <= _EXPIRES:
                    break
                yield table.pop(first).event()

    def finish(self) -> Iterator[LookupEvent]:
        """Yield what is still open."""
        transactions = sorted(
            (*self._discovery.values(), *self._open.values()), key=lambda transaction: transaction.ts
        )
        self._discovery.clear()
        self._open.clear()
        for transaction in transactions:
            yield transaction.event()

    def waiting(self, before: int) -> Iterator[LookupEvent]:
        """Yield what is still open, and keep it; questions without an answer only if asked before a time."""
        for transaction in (*self._discovery.values(), *self._open.values()):
            if transaction.answer is not None or transaction.ts < before:
                yield transaction.event()


class DnsReader(LaneReader):
    """Reads DNS messages: yields lookups of a provisioning server's usual name, sets the others aside."""

    def __init__(self) -> None:
        """Begin with no question open."""
        self._lookups = Lookups()
        self._others: deque[LookupEvent] = deque(maxlen=_MAX_OTHER_LOOKUPS)

    def read(self, datagram: Segment, evidence: tuple[Evidence, ...]) -> Iterator[LookupEvent]:
        """Yield the lookups that are over."""
        ends = (address_text(datagram.src), address_text(datagram.dst))
        port = datagram.dport if datagram.sport == dns.DNS_PORT else datagram.sport
        return self._wanted(self._lookups.take(datagram.payload, datagram.ts, ends, port, evidence))

    def read_connection(self, connection: Connection, evidence_of: EvidenceOf) -> Iterator[LookupEvent]:
        """Yield the lookups of a DNS connection over TCP."""
        client, server = address_text(connection.client[0]), address_text(connection.server[0])
        for stream, ends in (
            (connection.assembled("client"), (client, server)),
            (connection.assembled("server"), (server, client)),
        ):
            at = 0
            for _ in range(_MAX_TCP_MESSAGES):
                start = at + _LENGTH
                end = start + int.from_bytes(stream.data[at:start])
                if end == start or end > len(stream.data):
                    break
                piece = next(piece for piece in stream.pieces if piece.end > at)
                message = stream.data[start:end]
                yield from self._wanted(
                    self._lookups.take(
                        message, piece.ts, ends, connection.client[1], evidence_of([piece]), tcp=True
                    )
                )
                at = end

    def finish(self) -> Iterator[LookupEvent]:
        """Yield the questions that got no answer."""
        return self._wanted(self._lookups.finish())

    def waiting(self, now: int) -> Iterator[LookupEvent]:
        """Yield what may be said by now of questions that are open, and keep them open."""
        for lookup in self._lookups.waiting(now - _MAY_BE_ANSWERED):
            if dns.is_discovery(lookup.name):
                yield lookup

    def set_aside(self, *, open_too: bool = False) -> Iterator[LookupEvent]:
        """Yield the lookups of other names; with `open_too` also those with an answer that are not over."""
        yield from self._others
        if open_too:
            for lookup in self._lookups.waiting(0):
                if not dns.is_discovery(lookup.name):
                    yield lookup

    def _wanted(self, lookups: Iterator[LookupEvent]) -> Iterator[LookupEvent]:
        """Yield discovery lookups, set the others aside."""
        for lookup in lookups:
            if dns.is_discovery(lookup.name):
                yield lookup
            else:
                self._others.append(lookup)


PROTOCOL = Protocol(
    "dns",
    "DNS",
    ports=(
        Port("dns", dns.DNS_PORT, "udp", "lane", "DNS"),
        Port("dns", dns.DNS_PORT, "tcp", "lane", "DNS"),
    ),
    lane=DnsReader,
)
