"""What one sensor saw, packet by packet, becomes its events."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from amtdiag.capture.columns import Packets
from amtdiag.config import Limits
from amtdiag.model import (
    DhcpEvent,
    LookupEvent,
    PingEvent,
    PongEvent,
    RejectionEvent,
    Sighting,
    UnansweredArp,
)
from amtdiag.net.connections import Connection, Connections
from amtdiag.net.datagrams import Datagrams
from amtdiag.protocols.addresses import address_bytes
from amtdiag.protocols.events import EventReader
from amtdiag.protocols.ports import CIRA_PORT, DEVICE_PORTS, DNS_PORT, OTHER_PORTS
from amtdiag.provisioning.events import Events

if TYPE_CHECKING:
    from amtdiag.protocols.datagrams import DatagramEvent, DatagramReader

_Event = TypeVar("_Event")
_BEGINNING = 4096
"""Of a redirection session, or a device's tunnel to its presence server, until the user is told."""


class Journal:
    """The events of one sensor, each kind bounded in number: no flood of one costs another its place."""

    def __init__(self, files: Sequence[str], hello_ports: frozenset[int], limits: Limits) -> None:
        self._files = files
        self._limits = limits
        self._server_ports = hello_ports | OTHER_PORTS | {DNS_PORT}
        self._connections = self._table()
        self._datagrams = Datagrams()
        self._streams = EventReader(files, hello_ports, limits.exchanges)
        self._reader: DatagramReader | None = None
        self.events = Events()
        self._left_out = 0

    def feed(self, packets: Packets) -> None:
        """Take a batch."""
        for connection in self._connections.feed(packets):
            self._enter(connection)
        for datagram in self._datagrams.feed(packets):
            self._keep(self._datagram_reader().read(datagram))

    def told(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield who was told which address of a provisioning server: client, server."""
        for lookup in self.events.lookups:
            for address in lookup.addresses:
                yield address_bytes(lookup.client), address_bytes(address)

    def feed_odd(self, packets: Packets) -> None:
        """Take conversations on unexpected ports that came to nothing."""
        table = self._table()
        for connection in (*table.feed(packets), *table.finish()):
            self._add(self.events.odd_attempts, self._streams.attempt(connection), self._limits.events)

    def finish(self) -> None:
        """Take what was still open when the capture ended."""
        for connection in self._connections.finish():
            self._enter(connection)
        if self._reader is not None:
            self._keep(self._reader.finish())
            self.events.other_lookups += self._reader.other_lookups()

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
        return Connections(self._server_ports.__contains__, _keeps, self._limits)

    def _enter(self, connection: Connection) -> None:
        """Read a finished connection and keep what it was."""
        if connection.server[1] == DNS_PORT:
            self._keep(self._datagram_reader().read_connection(connection))
        link, hello = self._streams.read(connection)
        if hello is not None:
            self._add(self.events.hellos, hello, self._limits.events)
        if link is not None:
            self._add(self.events.connections, link, self._limits.events)

    def _datagram_reader(self) -> DatagramReader:
        """Made, and its protocols imported, when the first datagram comes."""
        if self._reader is None:
            from amtdiag.protocols.datagrams import DatagramReader

            self._reader = DatagramReader(self._files)
        return self._reader

    def _keep(self, found: Iterator[DatagramEvent]) -> None:
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

    def _add(self, events: list[_Event], event: _Event, most: int) -> None:
        if len(events) < most:
            events.append(event)
        else:
            self._left_out += 1


def _keeps(connection: Connection) -> int:
    """How many bytes of each direction are read: of screens and tunnels the beginning, if not encrypted."""
    port = connection.server[1]
    if port == CIRA_PORT:
        return _BEGINNING
    role = DEVICE_PORTS.get(port)
    return _BEGINNING if role == "redirection" else 0 if role == "redirection-tls" else sys.maxsize
