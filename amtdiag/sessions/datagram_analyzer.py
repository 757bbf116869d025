"""From datagrams to events: each goes to the reader of its lane."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from amtdiag.capture.decode.packet import UDP, Segment
from amtdiag.model import Evidence
from amtdiag.protocols.protocol import LaneReader
from amtdiag.protocols.registry import PROTOCOLS
from amtdiag.reassembly.connections import Connection
from amtdiag.reassembly.stream import Piece


class DatagramAnalyzer:
    """Turns the datagrams of one sensor into events; questions wait in the readers for their answers."""

    def __init__(self, files: Sequence[str]) -> None:
        """Make the readers of all lanes; `files` are the names behind the numbers of files."""
        self._files = files
        self._readers: list[LaneReader] = []
        self._by_protocol: dict[int, LaneReader] = {}
        self._by_port: dict[tuple[str, int], LaneReader] = {}
        for protocol in PROTOCOLS.values():
            if protocol.lane is not None:
                reader = protocol.lane()
                self._readers.append(reader)
                self._by_protocol.update(dict.fromkeys(protocol.carried_as, reader))
                self._by_port.update({(port.transport, port.number): reader for port in protocol.ports})

    def read(self, datagram: Segment) -> Iterator[object]:
        """Yield the events that a datagram completes."""
        evidence = tuple([Evidence(self._files[datagram.file], frame) for frame in datagram.frames])
        if datagram.protocol != UDP:
            yield from self._by_protocol[datagram.protocol].read(datagram, evidence)
            return
        target = self._by_port.get(("udp", datagram.dport))
        source = self._by_port.get(("udp", datagram.sport))
        if target is not None:
            yield from target.read(datagram, evidence)
        if source is not None and source is not target:
            yield from source.read(datagram, evidence)

    def read_connection(self, connection: Connection) -> Iterator[object]:
        """Yield the events of a lane's TCP connection."""
        yield from self._by_port["tcp", connection.server[1]].read_connection(connection, self._evidence)

    def finish(self) -> Iterator[object]:
        """Yield what still waits when the capture ends."""
        for reader in self._readers:
            yield from reader.finish()

    def waiting(self, now: int) -> Iterator[object]:
        """Yield what may be said by now, in ns, of messages that wait for others, and keep them."""
        for reader in self._readers:
            yield from reader.waiting(now)

    def set_aside(self, *, open_too: bool = False) -> Iterator[object]:
        """Yield what was set aside; with `open_too` also of messages that wait for others."""
        for reader in self._readers:
            yield from reader.set_aside(open_too=open_too)

    def _evidence(self, pieces: Iterable[Piece]) -> tuple[Evidence, ...]:
        frames = sorted({(piece.frames[0], frame) for piece in pieces for frame in piece.frames[1]})
        return tuple([Evidence(self._files[file], frame) for file, frame in frames])
