"""One TCP connection, a packet a step: ``Talk(m).open().send_all(400).close().packets``."""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from shapes.messages import REAL, Message
from shapes.packets import (
    ACK,
    FIN,
    FLOW,
    PSH,
    RST,
    SERVER_ISN,
    STEP,
    SYN,
    T0,
    Connection,
    Flow,
    Network,
    Packet,
    auto,
    checksum,
    ip_header,
    ipv6_header,
    packed,
)


class Talk:
    """One connection, told step by step; each step adds a packet and moves the clock."""

    def __init__(
        self,
        message: Message = REAL,
        flow: Flow = FLOW,
        *,
        isn: int = 0x10000000,
        start: int = T0,
        ip_id: int = 101,
        network: Network = auto,
        options: bytes = b"",
        step: int = STEP,
    ) -> None:
        self.connection = Connection(flow, message, isn, start)
        self.packets: list[Packet] = []
        self.clock, self.step = start, step
        self.ids = {True: itertools.count(ip_id), False: itertools.count(ip_id + 7000)}
        self.network, self.options = network, options
        self.acked = 0  # relative to the first data byte
        self.replied = 0  # bytes of data that the server has sent

    def add(
        self,
        flags: int,
        at: int,
        payload: bytes = b"",
        *,
        outbound: bool = True,
        cargo: tuple[int, int] | None = None,
        options: bytes | None = None,
    ) -> Self:
        """A packet whose first byte has position ``at`` in its sender's data (the SYN has -1)."""
        flow, isn = self.connection.flow, self.connection.isn
        if outbound:
            ports, seq, ack = (flow.sport, flow.dport), isn + 1 + at, SERVER_ISN + 1 + self.replied
        else:
            ports, seq, ack = (flow.dport, flow.sport), SERVER_ISN + 1 + at, isn + 1 + self.acked
        options = self.options if options is None else options
        ack = ack if flags & ACK else 0
        words = 5 + len(options) // 4

        def build(check: int) -> bytes:
            fixed = struct.pack(
                ">HHIIBBHHH", *ports, seq % 2**32, ack % 2**32, words << 4, flags, 64240, check, 0
            )
            return fixed + options + payload

        pair = (flow.src, flow.dst) if outbound else (flow.dst, flow.src)
        bare_tcp = build(0)
        pseudo = b"".join(map(packed, pair)) + struct.pack(">II", len(bare_tcp), 6)
        tcp = build(checksum(pseudo + bare_tcp))
        self.packets.append(
            Packet(
                self.clock,
                self.connection,
                outbound,
                next(self.ids[outbound]),
                tcp,
                payload,
                cargo,
                self.network,
            )
        )
        self.clock += self.step
        return self

    def syn(self) -> Self:
        return self.add(SYN, -1, options=b"\x02\x04\x05\xb4" + self.options)

    def syn_ack(self) -> Self:
        return self.add(SYN | ACK, -1, outbound=False, options=b"\x02\x04\x05\xb4" + self.options)

    def ack(self) -> Self:
        return self.add(ACK, 0)

    def open(self) -> Self:
        return self.syn().syn_ack().ack()

    def send(
        self, start: int = 0, end: int | None = None, *, data: bytes | None = None, flags: int = 0
    ) -> Self:
        """Bytes of the message; ``data`` puts other bytes in the place of the first of them."""
        piece = self.connection.message.payload[start:end]
        end = start + len(piece)
        if data is not None:
            piece = data + piece[len(data) :]
        return self.add(PSH | ACK | flags, start, piece, cargo=(start, end))

    def server_ack(self, upto: int | None = None) -> Self:
        self.acked = len(self.connection.message.payload) if upto is None else upto
        return self.add(ACK, self.replied, outbound=False)

    def send_all(self, *cuts: int, mss: int = 1460) -> Self:
        """The whole message, cut at these positions and wherever a segment would be too long."""
        size = len(self.connection.message.payload)
        edges = sorted({0, *cuts, *range(0, size, mss), size})
        for start, end in itertools.pairwise(edges):
            self.send(start, end).server_ack(end)
        return self

    def send_in_order(self, *ranges: tuple[int, int]) -> Self:
        for start, end in ranges:
            self.send(start, end)
        return self.server_ack()

    def fin(self) -> Self:
        self.add(FIN | ACK, len(self.connection.message.payload))
        self.acked = len(self.connection.message.payload) + 1
        return self

    def server_fin(self) -> Self:
        self.acked = len(self.connection.message.payload) + 1
        return self.add(FIN | ACK, self.replied, outbound=False)

    def close(self) -> Self:
        return self.fin().server_fin().add(ACK, len(self.connection.message.payload) + 1)

    def rst(self, at: int | None = None) -> Self:
        return self.add(RST | ACK, len(self.connection.message.payload) if at is None else at)

    def server_rst(self) -> Self:
        return self.add(RST | ACK, self.replied, outbound=False)

    def probe(self, at: int, garbage: bytes) -> Self:
        """A keep-alive probe when the next byte to send is number ``at``."""
        return self.add(ACK, at - 1, garbage)

    def reply(self, data: bytes) -> Self:
        self.add(PSH | ACK, self.replied, data, outbound=False)
        self.replied += len(data)
        return self

    def wait(self, nanoseconds: int) -> Self:
        self.clock += nanoseconds
        return self


def plain(
    message: Message = REAL, flow: Flow = FLOW, *cuts: int, mss: int = 1460, **how: Any
) -> list[Packet]:
    """The ordinary conversation: open, the message, close."""
    return Talk(message, flow, **how).open().send_all(*cuts, mss=mss).close().packets


def split2(**how: Any) -> list[Packet]:
    return plain(REAL, FLOW, 400, **how)


def interleaved(*conversations: Sequence[Packet]) -> list[Packet]:
    return sorted(itertools.chain(*conversations), key=lambda packet: packet.at)


def without(packets: Sequence[Packet], *indexes: int) -> list[Packet]:
    """Packets that the capture did not get, counted from 0."""
    return [packet for index, packet in enumerate(packets) if index not in indexes]


def twice(packets: Sequence[Packet], delay: int = 3_000, **changes: Any) -> list[Packet]:
    """As a mirror port that copies both ways shows them: the same packets again, a moment later."""
    return interleaved(packets, [replace(packet, at=packet.at + delay, **changes) for packet in packets])


def fragments(packet: Packet, *ranges: tuple[int, int], ipv6_id: int = 0xA17D) -> list[Packet]:
    """The packet in IP fragments, each a range of the TCP segment (multiples of 8 but for the end)."""
    size = len(packet.tcp)
    before = size - len(packet.payload)

    def build(start: int, end: int, template: Packet) -> bytes:
        more = end < size
        body = packet.tcp[start:end]
        if ":" in packet.addresses[0]:
            extension = struct.pack(">BBHI", 6, 0, start | more, ipv6_id)
            return ipv6_header(*packet.addresses, 44, 8 + len(body)) + extension + body
        field_value = (0x2000 if more else 0) | start // 8
        head = ip_header(*packet.addresses, 6, len(body), ip_id=template.ip_id, fragment=field_value)
        return head + body

    pieces = []
    for number, (start, stop) in enumerate(ranges):
        end = min(stop, size)
        low, high = max(start - before, 0), end - before
        pieces.append(
            replace(
                packet,
                at=packet.at + number * 1000,
                network=functools.partial(build, start, end),
                cargo=(low, high) if packet.cargo and high > low else None,
                payload=packet.payload[low : max(high, low)],
            )
        )
    return pieces


def with_data_in_fragments(packets: Sequence[Packet], *ranges: tuple[int, int]) -> list[Packet]:
    return list(
        itertools.chain(*(fragments(p, *ranges) if p.cargo and len(p.tcp) > 400 else [p] for p in packets))
    )
