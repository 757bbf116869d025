"""What one sensor saw, packet by packet, becomes its events."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from amtdiag.capture.decode.packet import TCP, PacketBatch
from amtdiag.config import Limits
from amtdiag.model import (
    DhcpEvent,
    HelloEvent,
    LookupEvent,
    PingEvent,
    PongEvent,
    RejectionEvent,
    Sighting,
    UnansweredArp,
)
from amtdiag.protocols.addresses import address_bytes
from amtdiag.protocols.ports import LANE_PORTS, MANAGEMENT_PORTS, TCP_PORTS
from amtdiag.protocols.tls.decryption_keys import Decrypt, DecryptionKeys
from amtdiag.reassembly.connections import Connection, Connections
from amtdiag.reassembly.datagrams import Datagrams
from amtdiag.sessions.connection_analyzer import ConnectionAnalyzer
from amtdiag.sessions.event_log import EventLog
from amtdiag.times import SECOND

if TYPE_CHECKING:
    from amtdiag.sessions.datagram_analyzer import DatagramAnalyzer

_Event = TypeVar("_Event")
_SILENT = 10 * SECOND
_LONG = 60 * SECOND
"""After so much silence, or so long, a connection counts as what it is by then, although it goes on."""
_MAX_HELLO = 32_768
"""Bytes of a connection; 255 digests are less than 20,000."""
_MAX_CHUNKS = 256
"""Pieces in which it may come: putting more together with every packet costs too much."""


class SessionAnalyzer:
    """The events of one sensor, each kind bounded in number: no flood of one costs another its place."""

    def __init__(
        self, files: Sequence[str], hello_ports: frozenset[int], limits: Limits, keys: Mapping[str, str]
    ) -> None:
        """Begin a journal; `keys` are pre-shared keys (PPS) by PID."""
        self._files = files
        self._hello_ports = hello_ports
        self._limits = limits
        self._server_ports = hello_ports | TCP_PORTS
        self._connections = self._table()
        self._datagrams = Datagrams()
        self._keys = DecryptionKeys(keys, limits.sealed_bytes)
        self._streams = ConnectionAnalyzer(files, hello_ports, limits.exchanges, self._keys)
        self._encrypted: list[tuple[int, int]] = []
        """Connections that may be decrypted: place among the events, and number."""
        self._messages: DatagramAnalyzer | None = None
        self.events = EventLog()
        self._left_out = 0
        self.crowded_out = 0
        """Events that made room for others: see `forget`."""

    def feed(self, packets: PacketBatch) -> None:
        """Take a batch."""
        for connection in self._connections.feed(packets):
            self._enter(connection)
        for datagram in self._datagrams.feed(packets):
            self._keep(self._datagram_analyzer().read(datagram))

    def addresses_given(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield who got which address of a provisioning server from DNS: client, server."""
        for lookup in self.events.lookups:
            for address in lookup.addresses:
                yield address_bytes(lookup.client), address_bytes(address)

    def feed_odd(self, packets: PacketBatch) -> None:
        """Take conversations on unexpected ports that came to nothing."""
        table = self._table()
        for connection in (*table.feed(packets), *table.finish()):
            self._add(self.events.odd_attempts, self._streams.attempt(connection), self._limits.events)

    def hellos_of(self, packets: PacketBatch) -> Iterator[HelloEvent]:
        """Yield the whole Hellos of connections that a batch belongs to and that are not over."""
        for segment in packets.rows(TCP):
            connection = self._connections.find(segment) if segment.payload else None
            found = self._early_hello(connection) if connection is not None else None
            if found is not None:
                yield found

    def _early_hello(self, connection: Connection) -> HelloEvent | None:
        """Return the Hello of a connection that goes on, looked for where one may be and it costs little."""
        port = connection.server[1]
        if port in TCP_PORTS:
            return None
        for stream in connection.streams.values():
            if stream.bytes > _MAX_HELLO or stream.chunks > _MAX_CHUNKS:
                return None
        return self._streams.early_hello(connection)

    def so_far(self, now: int, odd: Iterable[PacketBatch] = ()) -> EventLog:
        """Return the events up to now, those among them that what is open amounts to; it stays open.

        Of a connection that is not over it is too early to tell what it was, unless it has been silent, or
        open, for some time. `odd` are conversations on unexpected ports that have come to nothing yet.
        """
        journal = SessionAnalyzer(self._files, self._hello_ports, self._limits._replace(sealed_bytes=0), {})
        journal.events = self.events.copy()
        for connection in self._connections.open():
            if _is_settled(connection, now) or self._early_hello(connection) is not None:
                journal._enter(connection)
        for packets in odd:
            journal.feed_odd(packets)
        # The journal has messages of its own from TCP connections that are open.
        for messages in (self._messages, journal._messages):
            if messages is not None:
                journal._keep(messages.waiting(now))
                journal._set_aside(messages.set_aside(open_too=True))
        return journal.events

    def cut(self) -> None:
        """Take what is open as if the capture ended, and go on: the clock is not what it was."""
        for connection in self._connections.finish():
            self._enter(connection)
        self._connections = self._table()
        if self._messages is not None:
            self._keep(self._messages.finish())

    def forget(self, before: int, most: int) -> int:
        """Drop events that ended before a time, and those that say least; return how many.

        Of each kind so many are kept. Nothing is kept for decryption.
        """
        from amtdiag.sessions.eviction import forget  # which live runs alone need

        old, crowded = forget(self.events, before, most)
        self.crowded_out += crowded
        self._encrypted.clear()
        kept = sum(len(link.talk.exchanges) for link in self.events.connections if link.talk is not None)
        self._streams.renew(self._limits.exchanges - kept)
        return old + crowded

    def finish(self) -> None:
        """Take what was still open when the capture ended."""
        for connection in self._connections.finish():
            self._enter(connection)
        if self._messages is not None:
            self._keep(self._messages.finish())
            self._set_aside(self._messages.set_aside())

    def decrypt(self, key_log: bytes, decrypt: Decrypt) -> int:
        """Read what a key log and the keys by PID decrypt; return how many connections that were."""
        found = self._keys.decrypted(key_log, decrypt)
        links = self.events.connections
        for place, number in self._encrypted:
            if number in found:
                links[place] = self._streams.decrypted(links[place], found[number])
        return len(found)

    @property
    def not_kept(self) -> int:
        """Connections that might have been decrypted, and for which there was no room."""
        return self._keys.left_out

    @property
    def sealed(self) -> int:
        """Connections that may be decrypted."""
        return len(self._encrypted)

    @property
    def duplicates(self) -> int:
        """Frames that were there twice."""
        return self._connections.duplicates + self._datagrams.duplicates

    @property
    def left_out(self) -> int:
        """Events of which there were more than are kept."""
        return self._left_out + self._streams.left_out

    @property
    def evicted(self) -> int:
        """Connections that had to be given up early."""
        return self._connections.evicted

    def _table(self) -> Connections:
        return Connections(self._server_ports.__contains__, _read_bytes, self._limits)

    def _enter(self, connection: Connection) -> None:
        """Read a finished connection and keep what it was."""
        if connection.server[1] in LANE_PORTS:
            self._keep(self._datagram_analyzer().read_connection(connection))
        link, hello, encrypted = self._streams.read(connection)
        if hello is not None:
            self._add(self.events.hellos, hello, self._limits.events)
        if link is not None:
            if encrypted is not None and len(self.events.connections) < self._limits.events:
                self._encrypted.append((len(self.events.connections), encrypted))
            self._add(self.events.connections, link, self._limits.events)

    def _datagram_analyzer(self) -> DatagramAnalyzer:
        """Made when the first datagram comes."""
        if self._messages is None:
            from amtdiag.sessions.datagram_analyzer import DatagramAnalyzer

            self._messages = DatagramAnalyzer(self._files)
        return self._messages

    def _set_aside(self, found: Iterator[object]) -> None:
        self.events.other_lookups += (event for event in found if isinstance(event, LookupEvent))

    def _keep(self, found: Iterator[object]) -> None:
        events, most = self.events, self._limits.lane_events
        for event in found:
            match event:
                case DhcpEvent():
                    self._add(events.dhcp, event, most)
                case LookupEvent():
                    self._add(events.lookups, event, most)
                case PongEvent():
                    self._add(events.pongs, event, most)
                case PingEvent():
                    self._add(events.pings, event, most)
                case Sighting():
                    self._add(events.sightings, event, most)
                case UnansweredArp():
                    self._add(events.nobody, event, most)
                case RejectionEvent():
                    self._add(events.rejections, event, most)
                case _:
                    raise TypeError(f"no list for {type(event).__name__}")

    def _add(self, events: list[_Event], event: _Event, most: int) -> None:
        if len(events) < most:
            events.append(event)
        else:
            self._left_out += 1


def _is_settled(connection: Connection, now: int) -> bool:
    quiet, age = now - connection.last_ts, now - connection.first_ts
    return connection.is_closed or quiet >= _SILENT or age >= _LONG


def _read_bytes(connection: Connection) -> int:
    """How many bytes of each direction are read: of screens and tunnels their beginnings."""
    port = MANAGEMENT_PORTS.get(connection.server[1])
    return sys.maxsize if port is None or port.most_bytes is None else port.most_bytes
