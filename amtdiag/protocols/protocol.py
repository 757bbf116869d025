"""What a protocol says of itself in its own file: ports, lane, how its connections are read, fields.

Each module of this package, and each package in it, that has a `PROTOCOL` is a protocol: `registry` finds it.
It also has `FIELDS`, in itself or in the modules of its package: by record of its parser, the fields.
`from __future__ import annotations` is not in modules of records: it triples what a record costs at import.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from amtdiag.capture.decode.packet import Segment
    from amtdiag.model import Evidence
    from amtdiag.reassembly.connections import Connection
    from amtdiag.reassembly.stream import Assembled, Piece

PortUse = Literal["hello", "device", "presence", "lane"]
"""hello: servers wait there for Hellos. device: a device listens there. presence: a management presence
server waits there for devices. lane: messages besides the connections of provisioning, such as DNS."""
FieldKind = Literal[
    "address", "mac", "name", "user", "uuid", "secret", "certificate", "text",
    "number", "word", "flag", "bytes",
]  # fmt: skip
"""address: IP. mac: of Ethernet. name: of a host or domain. user: an account. secret: proves who a sender is,
or helps to. certificate: DER of one, or of a name in one. text: chosen by people. All these may identify a
site, a person or a machine, the others do not. word: one of a list that a standard or this program defines.
flag: yes or no. bytes: without meaning to this program."""


class Port(NamedTuple):
    """A port of a protocol."""

    protocol: str
    """Name of what is read there."""
    number: int
    transport: Literal["tcp", "udp"]
    use: PortUse
    title: str
    """What people call it."""
    tls: bool = False
    """Connections to it may begin with a TLS handshake, which is read."""
    clear: bool = True
    """What is sent to it without TLS is read."""
    most_bytes: int | None = None
    """Bytes of each direction of a connection that are read; None for all."""


class Field(NamedTuple):
    """A field of a record that a parser returns."""

    name: str
    kind: FieldKind
    source: str
    """Where it stands in the message, by the standard or the page that says so."""


EvidenceOf: TypeAlias = "Callable[[Sequence[Piece]], tuple[Evidence, ...]]"
"""Returns the frames in which pieces of a stream came."""


class ReaderContext:
    """What the readers of one sensor's connections share."""

    __slots__ = ("evidence", "exchanges", "left_out")

    def __init__(self, evidence: EvidenceOf, exchanges: int) -> None:
        """Begin; of all connections together so many HTTP `exchanges` are kept."""
        self.evidence = evidence
        self.exchanges = exchanges
        """HTTP exchanges that may still be kept."""
        self.left_out = 0
        """HTTP exchanges that were not kept."""


ConversationReader: TypeAlias = "Callable[[Assembled, Assembled], Mapping[str, object]]"
"""Takes the client's and the server's stream, in the clear or decrypted; returns the fields of the
`ConnectionEvent` that it fills. Never raises."""


class LaneReader:
    """Reads the messages of a lane, of one sensor. Subclasses have `read`; the rest where messages wait."""

    def read(self, datagram: "Segment", evidence: "tuple[Evidence, ...]") -> Iterator[object]:
        """Yield the events that a datagram, ARP or ICMP message completes. Never raises."""
        raise NotImplementedError

    def read_connection(self, connection: "Connection", evidence_of: EvidenceOf) -> Iterator[object]:
        """Yield the events of a TCP connection to a port of the lane."""
        del connection, evidence_of
        return iter(())

    def waiting(self, now: int) -> Iterator[object]:
        """Yield what may be said by `now`, in ns, of messages that still wait for others, and keep them."""
        del now
        return iter(())

    def finish(self) -> Iterator[object]:
        """Yield what still waits when the capture ends."""
        return iter(())

    def set_aside(self, *, open_too: bool = False) -> Iterator[object]:
        """Yield what matters only to some device; with `open_too` also of messages that wait for others."""
        del open_too
        return iter(())


class Protocol(NamedTuple):
    """A protocol as the rest of the program knows it."""

    name: str
    title: str
    """What people call it."""
    ports: tuple[Port, ...] = ()
    conversation: Callable[[ReaderContext], ConversationReader] | None = None
    """Makes what reads its connections; None where it has none of its own."""
    lane: Callable[[], LaneReader] | None = None
    """Makes what reads its messages; None where it is no lane."""
    carried_as: tuple[int, ...] = ()
    """Values of `Segment.protocol` whose messages are all its own; UDP is told apart by the ports."""
