"""What a capture carries, put together while it is read for the first time, so that it can be masked.

A Hello, a record or a header field may be spread over packets: it is masked as a whole, and each packet gets
its part. What is too long to be kept becomes zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from amtdiag.capture.decode.ip import Header
from amtdiag.capture.decode.packet import ARP, TCP, UDP, PacketBatch, Segment
from amtdiag.capture.frame_index import FrameIndex
from amtdiag.config import Limits
from amtdiag.protocols.ports import PORTS, TCP_PORTS
from amtdiag.redact.datagrams import MASKS, Mask, blank
from amtdiag.redact.packets import Payload, words
from amtdiag.redact.pseudonyms import Pseudonyms

_SYN, _ACK = 2, 16
_WRAP, _HALF = 1 << 32, 1 << 31
_TCP_HEADERS = range(20, 64, 4)
_UDP_HEADER = 8
_DATAGRAMS: dict[int, Mask] = {
    port.number: MASKS.get(port.protocol, blank) for port in PORTS if port.transport == "udp"
}
"""How a datagram of a UDP port is masked."""

Masker = Callable[[bytes, int, bool], bytes]
"""Takes one direction of a connection, its server's port, and whether its beginning is missing."""


class _Stream:
    """One direction of a connection, or a datagram that came in fragments."""

    __slots__ = ("base", "data", "headless", "masked", "port", "protocol")

    def __init__(self, base: int, port: int, *, protocol: int = TCP, headless: bool = False) -> None:
        self.base = base
        """Sequence number of its first byte."""
        self.port = port
        self.protocol = protocol
        self.headless = headless
        self.data = bytearray()
        self.masked: bytes | None = None


class _StreamPlace(NamedTuple):
    """Where what a frame carries belongs."""

    stream: _Stream
    seq: int
    length: int
    """Of the whole segment, which may be in several fragments."""


class Conversations(FrameIndex):
    """Collects the bytes of conversations, besides the numbers of the frames that carry them."""

    def __init__(self, limits: Limits, hello_ports: frozenset[int]) -> None:
        """Begin with nothing."""
        super().__init__()
        self.macs: set[bytes] = set()
        self._limits = limits
        self._hello_ports = hello_ports
        self._streams: dict[tuple[object, ...], _Stream] = {}
        self._places: dict[tuple[int, int], _StreamPlace] = {}
        self._bytes = 0

    def add(self, packets: PacketBatch) -> None:
        """Note a batch."""
        super().add(packets)
        for row in packets.rows(ARP, TCP, UDP):
            if len(row.mac) == 6:
                self.macs.add(row.mac)
            if row.protocol == TCP:
                self._segment(row, packets.sensor)
            elif row.protocol == UDP and (len(row.frames) > 1 or row.missing):
                stream = _Stream(0, _port_of(row), protocol=UDP)
                self._write(stream, 0, row.payload)
                self._place(row, stream, 0)

    def _segment(self, row: Segment, sensor: int) -> None:
        key = sensor, row.src, row.dst, row.sport, row.dport
        stream = self._streams.get(key)
        if row.flags & _SYN:
            server = row.sport if row.flags & _ACK else row.dport
            if stream is None or stream.base != (row.seq + 1) % _WRAP:
                stream = self._streams[key] = _Stream((row.seq + 1) % _WRAP, server)
        if not row.payload:
            return
        seq = (row.seq + bool(row.flags & _SYN)) % _WRAP
        if stream is None:
            other = self._streams.get((sensor, row.dst, row.src, row.dport, row.sport))
            port = other.port if other is not None else self._server_port(row)
            stream = self._streams[key] = _Stream(seq, port, headless=True)
        offset = _distance(seq, stream.base)
        if offset < 0 and stream.headless and -offset + len(stream.data) <= self._limits.stream_bytes:
            # Of a connection that began before the capture an earlier packet came later.
            stream.data[:0] = bytes(-offset)
            stream.base, offset = seq, 0
        self._write(stream, offset, row.payload)
        self._place(row, stream, seq)

    def _server_port(self, row: Segment) -> int:
        known = self._hello_ports | TCP_PORTS
        return row.sport if row.sport in known and row.dport not in known else row.dport

    def _write(self, stream: _Stream, offset: int, payload: bytes) -> None:
        """Enter bytes that are new; what was there first stays."""
        data = stream.data
        if offset < 0:
            payload, offset = payload[-offset:], 0
        end = offset + len(payload)
        if end > self._limits.stream_bytes:
            return
        grown = end - len(data)
        if grown > 0:
            if self._bytes + grown > self._limits.streams_bytes:
                return
            self._bytes += grown
            fresh = min(len(payload), grown)
            data.extend(bytes(max(0, offset - len(data))))
            data.extend(payload[len(payload) - fresh :])
            payload = payload[: len(payload) - fresh]
        there = data[offset : offset + len(payload)]
        if there != payload:  # it may fill a gap, whose bytes are zero
            data[offset : offset + len(payload)] = bytes(
                old or new for old, new in zip(there, payload, strict=True)
            )

    def _place(self, row: Segment, stream: _Stream, seq: int) -> None:
        place = _StreamPlace(stream, seq, len(row.payload))
        for frame in row.frames:
            self._places[row.file, frame] = place

    # -------------------------------------------------------------------------------------- the second time

    def body(
        self,
        at: tuple[int, int],
        header: Header,
        protocol: int,
        *,
        head: bytes,
        data: bytes,
        masker: Masker,
        names: Pseudonyms,
    ) -> Payload | None:
        """Return what stands in the place of a packet's body; None for one that is no part of anything.

        `at` is the file and the frame; the body of a fragment that is not the first begins at the fragment.
        """
        fragment = header.datagram.fragment
        place = self._places.get(at)
        if place is None or place.stream.protocol != protocol:
            mask = _DATAGRAMS.get(_known_port(head)) if protocol == UDP and fragment is None else None
            if mask is None:
                return None
            masked = _fitting(mask(data, names), len(data))
            return Payload(masked, words(masked) - words(data))
        stream = place.stream
        if stream.masked is None:
            stream.masked = self._masked(stream, masker, names)
        start = _distance(place.seq, stream.base)
        change = words(_slice(stream.masked, start, place.length)) - words(
            _slice(stream.data, start, place.length)
        )
        if fragment is not None and fragment.offset:
            start = _later(stream, start + fragment.offset, data)
        return Payload(_matching(stream, start, data), change)

    def _masked(self, stream: _Stream, masker: Masker, names: Pseudonyms) -> bytes:
        raw = bytes(stream.data)
        if stream.protocol == UDP:
            mask = _DATAGRAMS.get(stream.port)
            return _fitting(mask(raw, names), len(raw)) if mask else bytes(len(raw))
        return _fitting(masker(raw, stream.port, stream.headless), len(raw))


def _fitting(masked: bytes, size: int) -> bytes:
    """Whatever a mask returns: as many bytes as there were."""
    return masked[:size].ljust(size, b"\0")


def _port_of(row: Segment) -> int:
    return row.dport if row.dport in _DATAGRAMS else row.sport


def _known_port(head: bytes) -> int:
    """The port of a UDP header by which its datagram is read."""
    source, target = int.from_bytes(head[:2]), int.from_bytes(head[2:4])
    return target if target in _DATAGRAMS else source


def _later(stream: _Stream, end: int, data: bytes) -> int:
    """Return where the bytes of a later fragment stand: only the first says how long the TCP header is."""
    headers = (_UDP_HEADER,) if stream.protocol == UDP else _TCP_HEADERS
    for header in headers:
        if _slice(stream.data, end - header, len(data)) == data:
            return end - header
    return end - headers[0]


def _matching(stream: _Stream, start: int, data: bytes) -> bytes:
    """Return the masked bytes of a packet; zero where it differs from the stream."""
    raw, masked = _slice(stream.data, start, len(data)), _slice(stream.masked or b"", start, len(data))
    if raw == data:
        return masked
    return bytes(new if old == byte else 0 for old, byte, new in zip(raw, data, masked, strict=True))


def _distance(seq: int, base: int) -> int:
    distance = (seq - base) % _WRAP
    return distance - _WRAP if distance >= _HALF else distance


def _slice(data: bytes | bytearray, start: int, length: int) -> bytes:
    """Bytes of a stream; zero where there are none."""
    head = bytes(min(max(0, -start), length))
    found = bytes(data[max(0, start) : max(0, start + length)])
    return (head + found)[:length].ljust(length, b"\0")
