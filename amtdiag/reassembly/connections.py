"""TCP connections followed from their first segment to their last, and handed on when they are over."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

from amtdiag.capture.decode.packet import TCP, PacketBatch, Segment
from amtdiag.config import Limits
from amtdiag.reassembly.stream import WRAP, Assembled, Frames, Stream, distance
from amtdiag.times import SECOND

FIN, SYN, RST, ACK = 1, 2, 4, 16

IDLE_CLOSED = 60 * SECOND
"""A closed connection is kept this long for late segments."""
IDLE_OPEN = 3600 * SECOND
_DUPLICATE_WITH_IDENT = SECOND // 20
_DUPLICATE = SECOND // 200
"""How far apart two copies of one frame may be: longer where the IPv4 identification proves them one."""
_REMEMBERED = 6
"""Segments of each direction that a new one is compared with."""
_FEW = 8
"""Frames remembered of each kind."""

Side = Literal["client", "server"]
_Key = tuple[bytes, int, bytes, int]


_Print = tuple[int, int, int, int, int, int]
"""Sequence, acknowledgement, flags, length, identification and checksum of a segment."""


class Half(Stream):
    """One direction of a connection: its bytes, and what else is known of who sends them."""

    __slots__ = ("mac", "recent", "segments", "whole")

    def __init__(self, limits: Limits, most: int) -> None:
        super().__init__(limits, most > 0, most)
        self.segments = 0
        """Duplicated frames not counted."""
        self.mac = b""
        self.recent: list[tuple[_Print, int]] = []
        """The last segments and their times."""
        self.whole: Assembled | None = None
        """As far as it was captured, until another segment comes."""


class Connection:
    """One TCP connection. The client is the side that sent the SYN."""

    __slots__ = (
        "answers",
        "client",
        "client_known",
        "closed_by",
        "duplicates",
        "ends",
        "first_ts",
        "last_ts",
        "resets",
        "server",
        "streams",
        "syn_count",
        "syn_seq",
        "syns",
        "vlan",
    )  # fmt: skip

    def __init__(self, segment: Segment, client: tuple[bytes, int], server: tuple[bytes, int]) -> None:
        self.client = client
        self.server = server
        self.client_known = False
        """The client was told by a SYN, not by a port."""
        self.first_ts = self.last_ts = segment.ts
        self.streams: dict[Side, Half] = {}
        self.syn_seq: int | None = None
        self.syns: list[tuple[int, Frames]] = []
        """Time and frame of the client's first SYNs, duplicated frames left out."""
        self.syn_count = 0
        self.answers: list[tuple[int, Frames]] = []
        """SYN-ACKs."""
        self.resets: list[tuple[Side, int, Frames]] = []
        self.ends: list[tuple[Side, int, Frames]] = []
        """FINs."""
        self.closed_by: Side | None = None
        self.duplicates = 0
        self.vlan = segment.vlan

    def assembled(self, side: Side) -> Assembled:
        """Return one direction as far as it was captured; kept until another segment comes."""
        half = self.streams[side]
        if half.whole is None:
            half.whole = half.assemble()
        return half.whole

    @property
    def memory(self) -> int:
        """What the bytes of both directions take, roughly."""
        return sum(stream.memory for stream in self.streams.values())

    @property
    def is_closed(self) -> bool:
        """Both sides closed, or one reset."""
        return bool(self.resets) or {side for side, _, _ in self.ends} == {"client", "server"}

    def side_of(self, segment: Segment) -> Side:
        """Which side sent a segment."""
        return "client" if (segment.src, segment.sport) == self.client else "server"


class Connections:
    """The table of connections. `feed` takes packets and yields the connections that are over."""

    def __init__(
        self, server_ports: Callable[[int], bool], keep: Callable[[Connection], int], limits: Limits
    ) -> None:
        """Set the table up.

        `server_ports` tells ports on which a server listens, for connections whose SYN was not captured;
        `keep` tells how many bytes of each direction of a new connection are wanted.
        """
        self._is_server_port = server_ports
        self._keep = keep
        self._limits = limits
        self._table: OrderedDict[_Key, Connection] = OrderedDict()
        self._one_sided: OrderedDict[_Key, None] = OrderedDict()
        """Connections of which one side has been seen so far: anybody can send such packets."""
        self._over: OrderedDict[_Key, None] = OrderedDict()
        """Closed ones, which only wait for late segments."""
        self._memory = 0
        self._clock = 0
        self._swept = 0
        self.duplicates = 0
        self.evicted = 0
        """Connections that were open and had to be given up early."""

    def feed(self, packets: PacketBatch) -> Iterator[Connection]:
        """Take a batch; yield connections that it proves over."""
        over: list[Connection] = []
        for segment in packets.rows(TCP):
            self._take(segment, over)
            if over:
                yield from over
                over.clear()
        if self._clock - self._swept > IDLE_CLOSED:
            self._swept = self._clock
            yield from self._sweep()

    def finish(self) -> Iterator[Connection]:
        """Yield all that is left, oldest first; each leaves the table as it is taken."""
        self._one_sided.clear()
        self._over.clear()
        while self._table:
            yield self._table.popitem(last=False)[1]
        self._memory = 0

    def open(self) -> Iterator[Connection]:
        """Yield the connections that are not over, oldest first, and keep them."""
        yield from self._table.values()

    def find(self, segment: Segment) -> Connection | None:
        """Return the connection that a segment belongs to, while it is in the table."""
        return self._table.get(_key(segment))

    def _sweep(self) -> Iterator[Connection]:
        over = [
            key
            for key, connection in self._table.items()
            if self._clock - connection.last_ts > (IDLE_CLOSED if connection.is_closed else IDLE_OPEN)
        ]
        for key in over:
            yield self._drop(key)

    def _drop(self, key: _Key) -> Connection:
        """Take a connection out of the table."""
        connection = self._table.pop(key)
        self._one_sided.pop(key, None)
        self._over.pop(key, None)
        self._memory -= connection.memory
        return connection

    def _take(self, segment: Segment, over: list[Connection]) -> None:
        """Enter a segment; append to `over` the connections that it proves over."""
        key = _key(segment)
        connection = self._table.get(key)
        # Only a SYN, or data after the end, can begin another connection.
        if (
            connection is not None
            and (segment.flags & SYN or connection.resets or connection.ends)
            and self._is_new(connection, segment)
        ):
            over.append(self._drop(key))
            connection = None
        if connection is None:
            connection = self._open(segment)
            self._table[key] = connection
            self._one_sided[key] = None
        self._record(connection, segment)
        streams = connection.streams
        if key in self._one_sided and streams["client"].segments and streams["server"].segments:
            del self._one_sided[key]
        if segment.flags & (FIN | RST) and connection.is_closed:
            self._over[key] = None
            if len(self._over) > self._limits.connections // _LINGER:
                over.append(self._drop(next(iter(self._over))))
        if len(self._table) > self._limits.connections:
            over.append(self._drop(self._least()))
        if self._memory > self._limits.streams_bytes:
            self.evicted += 1
            over.append(self._drop(self._holder(key)))

    def _least(self) -> _Key:
        """Return whose place is taken first: a closed one, one of a flood, else the oldest."""
        if self._over:
            return next(iter(self._over))
        self.evicted += 1
        # A connection that has just begun has one side, too: a few are no flood.
        is_flood = len(self._one_sided) > self._limits.connections // _FLOOD
        return next(iter(self._one_sided if is_flood else self._table))

    def _holder(self, key: _Key) -> _Key:
        """Return who is to give its memory back: this connection if it has much, else the oldest big one."""
        share = self._memory // len(self._table)
        if key in self._table and self._table[key].memory > share * _MUCH:
            return key
        return next(connection for connection, other in self._table.items() if other.memory >= share)

    def _is_new(self, connection: Connection, segment: Segment) -> bool:
        """True where a segment on the same addresses and ports begins another connection."""
        flags = segment.flags
        if flags & SYN and not flags & ACK:
            if connection.syn_seq is not None:
                from_client = connection.side_of(segment) == "client"
                return not (from_client and segment.seq == connection.syn_seq)
            stream = connection.streams[connection.side_of(segment)]
            early = stream.base is None or abs(distance(segment.seq + 1, stream.base)) <= _NEAR
            return connection.is_closed or not early or connection.side_of(segment) == "server"
        if connection.is_closed and segment.payload:
            return connection.streams[connection.side_of(segment)].is_far(segment.seq)
        return False

    def _open(self, segment: Segment) -> Connection:
        one, two = (segment.src, segment.sport), (segment.dst, segment.dport)
        flags = segment.flags
        if flags & SYN:
            client, server = (two, one) if flags & ACK else (one, two)
        elif self._is_server_port(segment.sport) and not self._is_server_port(segment.dport):
            client, server = two, one
        else:
            client, server = one, two
        connection = Connection(segment, client, server)
        connection.client_known = bool(flags & SYN)
        most = self._keep(connection)
        connection.streams = {
            "client": Half(self._limits, most),
            "server": Half(self._limits, most),
        }
        return connection

    def _record(self, connection: Connection, segment: Segment) -> None:
        (
            ts, file, numbers, src, _, sport, _, flags, seq, ack, ident, checksum, payload, missing, mac, _, _
        ) = segment  # fmt: skip
        side: Side = "server"
        other: Side = "client"
        if (src, sport) == connection.client:
            side, other = other, side
        if ts > connection.last_ts:  # noqa: PLR1730 - once a packet
            connection.last_ts = ts
        if ts > self._clock:  # noqa: PLR1730
            self._clock = ts
        stream, answering = connection.streams[side], connection.streams[other]
        recent = stream.recent
        print_ = seq, ack, flags, len(payload), ident, checksum
        if recent and _is_duplicate(recent, print_, ts):
            connection.duplicates += 1
            self.duplicates += 1
            return
        recent.append((print_, ts))
        if len(recent) > _REMEMBERED:
            del recent[0]
        stream.segments += 1
        stream.whole = answering.whole = None
        stream.mac = stream.mac or mac
        frames = (file, numbers)
        if flags & SYN:
            if flags & ACK:
                _few(connection.answers, (ts, frames))
                answering.anchor(ack)
            else:
                connection.syn_seq = seq
                connection.client_known = True
                connection.syn_count += 1
                _few(connection.syns, (ts, frames))
            seq = (seq + 1) % WRAP
            stream.anchor(seq)
        if payload or missing:
            before = stream.memory
            stream.add(seq, payload, missing, ts, frames)
            self._memory += stream.memory - before
        if flags & ACK and not flags & RST:
            answering.acknowledge(ack)
        if flags & FIN:
            stream.close((seq + len(payload) + missing) % WRAP)
            _few(connection.ends, (side, ts, frames))
        if flags & RST:
            _few(connection.resets, (side, ts, frames))
        if flags & (FIN | RST) and connection.closed_by is None:
            connection.closed_by = side


def _is_duplicate(recent: list[tuple[_Print, int]], print_: _Print, ts: int) -> bool:
    """True for a second copy of a frame, as a SPAN port of both directions or two interfaces give it.

    A retransmission is a new IP packet: it has another identification, or comes later than a copy.
    """
    window = _DUPLICATE_WITH_IDENT if print_[4] else _DUPLICATE
    for seen, when in recent:  # noqa: SIM110 - once a packet: half the time of any()
        if seen == print_ and abs(ts - when) <= window:
            return True
    return False


def _key(segment: Segment) -> _Key:
    """Return what both directions of a connection are found by."""
    src, dst, sport, dport = segment.src, segment.dst, segment.sport, segment.dport
    if src < dst or (src == dst and sport <= dport):
        return src, sport, dst, dport
    return dst, dport, src, sport


_NEAR = 1 << 16
_LINGER = 4
"""One connection in so many may be closed and wait for late segments."""
_FLOOD = 8
"""One connection in so many that has one side only makes a flood of them."""
_MUCH = 8
"""A connection that grows and takes so many times the average is the first to give its memory back."""
_T = TypeVar("_T")


def _few(items: list[_T], item: _T) -> None:
    if len(items) < _FEW:
        items.append(item)
