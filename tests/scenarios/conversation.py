"""A TCP conversation with the sequence numbers, options and identifications of a real one.

What the recorded provisioning server shows is kept: a stack with time stamps and window scaling, SYN-ACK and
RST with identification 0, the Hello's connection closed by the device.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from amtdiag.simulator.hosts import Host
from scenarios.datagrams import ip_layer
from scenarios.packets import MICROSECOND, MILLISECOND, SECOND, Trace

MSS = 1460
_STAMPS = 12
"""Bytes that the time stamps take from it."""
_LONGER = 20
"""By which IPv6's header is longer."""
_SCALE = 7
_PROHIBITED = 13
"""ICMP's code for a filter that forbids."""


@dataclass(slots=True)
class _ConversationEnd:
    """One end's counters."""

    host: Host
    port: int
    seq: int
    ip_id: int
    clock: int
    """What its time stamps add to the milliseconds of the trace."""
    window: int
    heard: int = 0
    """The next sequence number that it expects: what it acknowledges."""
    last_stamp: int = 0
    """The other end's last time stamp."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment that was cut but not yet sent: for captures with disorder."""

    seq: int
    data: bytes
    last: bool


@dataclass(slots=True)
class Conversation:
    """Packets of one connection, added to the trace as the methods are called; `now` runs along."""

    trace: Trace
    client_host: Host
    server_host: Host
    dport: int
    now: int
    vlans: tuple[int, ...] = ()
    sport: int = 0
    client: _ConversationEnd = field(init=False)
    server: _ConversationEnd = field(init=False)

    def __post_init__(self) -> None:
        """Choose what the two stacks choose at random."""
        rng = self.trace.rng
        self.sport = self.sport or rng.randint(32768, 60999)
        self.client = _ConversationEnd(
            self.client_host, self.sport, rng.getrandbits(32), rng.getrandbits(16), rng.getrandbits(30), 502
        )
        self.server = _ConversationEnd(
            self.server_host, self.dport, rng.getrandbits(32), rng.getrandbits(16), rng.getrandbits(30), 509
        )

    @property
    def mss(self) -> int:
        """How long a segment may be."""
        return MSS - _LONGER if ":" in self.client_host.ip else MSS

    def wait(self, low: int, high: int) -> None:
        """Let a time between two spans pass."""
        self.now += self.trace.jitter(low, high)

    def other(self, end: _ConversationEnd) -> _ConversationEnd:
        """The end at the other side."""
        return self.server if end is self.client else self.client

    def emit(
        self,
        end: _ConversationEnd,
        flags: str,
        data: bytes = b"",
        *,
        seq: int | None = None,
        hello: int | None = None,
        copy: bool = False,
    ) -> None:
        """Put one segment into the trace; nothing is counted here."""
        from scapy.layers.inet import TCP
        from scapy.layers.l2 import Dot1Q, Ether
        from scapy.packet import Packet, Raw

        peer = self.other(end)
        opening, reset = "S" in flags, "R" in flags
        # Linux answers a SYN, and resets, with identification 0.
        ip_id = 0 if reset or flags == "SA" else end.ip_id
        if ip_id:
            end.ip_id = (end.ip_id + 1) % 0x10000 or 1
        stamp = (self.now // MILLISECOND + end.clock) % (1 << 32)
        options: list[tuple[str, object]] = []
        if opening:
            options = [
                ("MSS", self.mss),
                ("SAckOK", b""),
                ("Timestamp", (stamp, end.last_stamp)),
                ("NOP", None),
                ("WScale", _SCALE),
            ]
        elif not reset:
            options = [("NOP", None), ("NOP", None), ("Timestamp", (stamp, end.last_stamp))]
        peer.last_stamp = stamp
        window = 0 if reset else (64240 if flags == "S" else 65160 if flags == "SA" else end.window)
        frame: Packet = Ether(src=end.host.mac, dst=peer.host.mac)
        for vlan in self.vlans:
            frame /= Dot1Q(vlan=vlan)
        frame /= ip_layer(end.host, peer.host, ip_id, flags="DF")
        frame /= TCP(
            sport=end.port,
            dport=peer.port,
            flags=flags,
            seq=end.seq if seq is None else seq,
            ack=end.heard if "A" in flags else 0,
            window=window,
            options=options,
        )
        if data:
            frame /= Raw(data)
        if hello is None:
            self.trace.add(self.now, end.host, frame)
        else:
            self.trace.add_hello(hello, self.now, end.host, frame, len(data), copy=copy)

    def syn(self) -> None:
        """The client asks for a connection."""
        self.emit(self.client, "S")

    def unanswered(self, retransmissions: int = 4) -> None:
        """SYNs with growing pauses, as a stack sends them that hears nothing."""
        for number in range(retransmissions + 1):
            self.syn()
            self.now += (1 << number) * SECOND + self.trace.jitter(4, 30) * MILLISECOND

    def refused(self) -> None:
        """A SYN, and the RST of a machine where nothing listens."""
        self.syn()
        self.wait(20 * MICROSECOND, 90 * MICROSECOND)
        self.server.heard = _add(self.client.seq, 1)
        asked, self.server.seq = self.server.seq, 0
        self.emit(self.server, "RA")
        self.server.seq = asked

    def rejected(self, by: Host) -> None:
        """A SYN, and the ICMP message of somebody on the way who may not let it pass; it quotes the SYN."""
        from scapy.layers.inet import ICMP, IP
        from scapy.layers.l2 import Ether
        from scapy.packet import Raw

        self.syn()
        asked = Ether(self.trace.frames[-1].data)[IP]
        self.wait(200 * MICROSECOND, 900 * MICROSECOND)
        frame = Ether(src=by.mac, dst=self.client_host.mac)
        frame /= IP(src=by.ip, dst=self.client_host.ip, id=self.trace.rng.getrandbits(16), ttl=64)
        frame /= ICMP(type=3, code=_PROHIBITED) / Raw(bytes(asked))
        self.trace.add(self.now, by, frame)

    def open(self) -> None:
        """SYN, SYN-ACK, ACK."""
        self.syn()
        self.client.seq = _add(self.client.seq, 1)
        self.server.heard = self.client.seq
        self.wait(20 * MICROSECOND, 400 * MICROSECOND)
        self.emit(self.server, "SA")
        self.server.seq = _add(self.server.seq, 1)
        self.client.heard = self.server.seq
        self.wait(15 * MICROSECOND, 60 * MICROSECOND)
        self.emit(self.client, "A")
        self.wait(40 * MICROSECOND, 1500 * MICROSECOND)

    def cut(self, end: _ConversationEnd, data: bytes, sizes: tuple[int, ...] = ()) -> list[Piece]:
        """Cut data into segments, of the given sizes first, and count them as sent."""
        pieces = []
        left = list(sizes)
        while data:
            size = left.pop(0) if left else self.mss - _STAMPS
            pieces.append(Piece(end.seq, data[:size], len(data) <= size))
            end.seq = _add(end.seq, min(size, len(data)))
            data = data[size:]
        return pieces

    def put(
        self, end: _ConversationEnd, piece: Piece, *, hello: int | None = None, copy: bool = False
    ) -> None:
        """Send one segment."""
        flags = "PA" if piece.last else "A"
        self.emit(end, flags, piece.data, seq=piece.seq, hello=hello, copy=copy)

    def acknowledge(self, end: _ConversationEnd) -> None:
        """`end` confirms all that the other has sent."""
        end.heard = self.other(end).seq
        self.emit(end, "A")

    def send(
        self, end: _ConversationEnd, data: bytes, *, sizes: tuple[int, ...] = (), hello: int | None = None
    ) -> None:
        """Send data, which the other end acknowledges."""
        for piece in self.cut(end, data, sizes):
            self.put(end, piece, hello=hello)
            self.wait(4 * MICROSECOND, 20 * MICROSECOND)
        self.wait(5 * MICROSECOND, 60 * MICROSECOND)
        self.acknowledge(self.other(end))
        self.wait(10 * MICROSECOND, 60 * MICROSECOND)

    def close(self, first: _ConversationEnd) -> None:
        """`first` sends its FIN; the other follows 2-4 ms later; three segments, as recorded."""
        second = self.other(first)
        self.emit(first, "FA")
        first.seq = _add(first.seq, 1)
        second.heard = first.seq
        self.wait(2 * MILLISECOND, 4 * MILLISECOND)
        self.emit(second, "FA")
        second.seq = _add(second.seq, 1)
        first.heard = second.seq
        self.wait(15 * MICROSECOND, 60 * MICROSECOND)
        self.emit(first, "A")

    def abort(self, end: _ConversationEnd) -> None:
        """`end` resets the connection."""
        self.emit(end, "R")


def _add(seq: int, count: int) -> int:
    return (seq + count) % (1 << 32)
