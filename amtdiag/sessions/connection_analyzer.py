"""From a finished TCP connection to events: what it was, and the Hello that it carried, if any.

Content decides first, the port second: a Hello is recognised strictly on any port and read leniently where
one is expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from amtdiag.model import (
    ConnectionEvent,
    Endpoints,
    Evidence,
    Hello,
    HelloEvent,
    Outcome,
    TlsConversation,
)
from amtdiag.protocols import hello as hello_protocol
from amtdiag.protocols.addresses import address_text, mac_text
from amtdiag.protocols.ports import MANAGEMENT_PORTS
from amtdiag.protocols.protocol import ConversationReader, Port, ReaderContext
from amtdiag.protocols.registry import PROTOCOLS
from amtdiag.protocols.tls import read_conversation
from amtdiag.protocols.tls.decryption_keys import KEY_LOG, DecryptionKeys, EncryptedConversation
from amtdiag.reassembly.community_id import community_id
from amtdiag.reassembly.connections import Connection, Side
from amtdiag.reassembly.stream import Assembled, Frames, Piece, evidence_of

if TYPE_CHECKING:
    from amtdiag.reassembly.encrypted_sessions import DecryptedConversation

_MAX_SYNS = 8
"""Frames of SYNs that are kept as evidence of one connection."""
_TLS_HEADER = 5

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"\x16\x03", "a TLS handshake"),
    (b"GET ", "an HTTP request"),
    (b"HEAD ", "an HTTP request"),
    (b"POST ", "an HTTP request"),
    (b"OPTIONS ", "an HTTP request"),
    (b"SSH-", "an SSH greeting"),
    (b"\x03\x00\x00", "an RDP connection request"),
    (b"\xffSMB", "an SMB message"),
    (b"\xfeSMB", "an SMB message"),
)


class AnalyzedConnection(NamedTuple):
    """What a connection was."""

    link: ConnectionEvent | None
    """None on a port that no protocol has, without a Hello."""
    hello: HelloEvent | None
    """The Hello that it carried; None where it carried none."""
    encrypted: int | None
    """Its number among those that may be decrypted later; None where it may not."""


class ConnectionAnalyzer:
    """Turns the finished connections of one sensor into events."""

    def __init__(
        self, files: Sequence[str], hello_ports: frozenset[int], exchanges: int, keys: DecryptionKeys
    ) -> None:
        """Begin; of all connections together so many HTTP `exchanges` are kept.

        `files` are the names behind the numbers of files. What may be decrypted later is given to `keys`.
        """
        self._keys = keys
        self._files = files
        self._hello_ports = hello_ports
        self._context = ReaderContext(self._evidence, exchanges)
        self._readers: dict[str, ConversationReader] = {}
        """By protocol, made when its first connection comes."""

    @property
    def left_out(self) -> int:
        """HTTP exchanges that are not kept."""
        return self._context.left_out

    def read(self, connection: Connection) -> AnalyzedConnection:
        """Return what a connection was. On a port of no protocol, only a Hello makes it an event."""
        hello = self._hello(connection)
        port = connection.server[1]
        if hello is None and port not in self._hello_ports and port not in MANAGEMENT_PORTS:
            return AnalyzedConnection(None, None, None)
        foreign = None
        if hello is None and port in self._hello_ports:
            foreign = _foreign(connection.assembled("client"))
        link = self._connection(connection, foreign, hello)
        kept = self._keep_encrypted(connection, link.tls)
        if kept is None:
            return AnalyzedConnection(link, hello, None)
        return AnalyzedConnection(link._replace(opened_by=kept.key), hello, kept.number)

    def renew(self, exchanges: int) -> None:
        """Keep so many more HTTP exchanges."""
        self._context.exchanges = exchanges

    def early_hello(self, connection: Connection) -> HelloEvent | None:
        """Return the Hello of a connection that is not over, once all of it is there."""
        event = self._hello(connection)
        return event if event is not None and event.hello.complete else None

    def decrypted(self, link: ConnectionEvent, streams: DecryptedConversation) -> ConnectionEvent:
        """Return a connection with what its decrypted bytes show."""
        content = self._content(MANAGEMENT_PORTS.get(link.ends.dport), streams.client, streams.server)
        tls = link.tls
        if tls is not None and tls.certificates_hidden and streams.handshake:
            from amtdiag.protocols.tls.decrypted import with_handshake

            tls = with_handshake(tls, streams.handshake, self._evidence)
        return link._replace(tls=tls, opened_by=link.opened_by or KEY_LOG, **content)

    def _keep_encrypted(
        self, connection: Connection, tls: TlsConversation | None
    ) -> EncryptedConversation | None:
        return None if tls is None else self._keys.keep(*_both(connection), tls)

    def _hello(self, connection: Connection) -> HelloEvent | None:
        if connection.server[1] in self._hello_ports:
            return self._hello_from(connection, "client", strict=False)
        if not connection.streams["client"].keep:
            return None
        sides: tuple[Side, ...] = ("client",) if connection.client_known else ("client", "server")
        for side in sides:
            found = self._hello_from(connection, side, strict=True)
            if found is not None:
                return found
        return None

    def _hello_from(self, connection: Connection, side: Side, *, strict: bool) -> HelloEvent | None:
        stream = connection.assembled(side)
        cut_by_capture = not stream.ended and not connection.resets
        found = hello_protocol.parse(stream.data, stream.gaps, cut_by_capture=cut_by_capture, strict=strict)
        if not isinstance(found, Hello) and not stream.anchored and _begins_with_a_probe(stream):
            stream = stream.without_first_byte()
            found = hello_protocol.parse(
                stream.data, stream.gaps, cut_by_capture=cut_by_capture, strict=strict
            )
        if not isinstance(found, Hello):
            return None
        end = len(stream.data) - found.trailing_bytes
        pieces = [piece for piece in stream.pieces if piece.start < end] or list(stream.pieces)
        return HelloEvent(
            ts=min([piece.ts for piece in pieces]),
            ends=self._ends(connection, side),
            evidence=self._evidence(pieces),
            segments=len(pieces),
            hello=found,
        )

    def _evidence(self, pieces: Sequence[Piece]) -> tuple[Evidence, ...]:
        return evidence_of([piece.frames for piece in pieces], self._files)

    def _connection(
        self, connection: Connection, foreign: str | None, hello: HelloEvent | None = None
    ) -> ConnectionEvent:
        """Return what a connection was; one that carried a Hello of its client has the ends of that."""
        outcome = _outcome(connection)
        frames: list[Frames] = [frames for _, frames in connection.syns[:_MAX_SYNS]]
        if connection.answers:
            frames.append(connection.answers[0][1])
        if connection.resets:
            frames.append(connection.resets[0][2])
        if connection.ends:
            frames.append(connection.ends[0][2])
        link = ConnectionEvent(
            ts=connection.first_ts,
            last_ts=connection.last_ts,
            ends=hello.ends
            if hello is not None and _is_of_client(hello.ends, connection)
            else self._ends(connection, "client"),
            outcome=outcome,
            syns=connection.syn_count,
            client_bytes=connection.streams["client"].bytes,
            server_bytes=connection.streams["server"].bytes,
            closed_by=connection.closed_by or "nobody",
            server_seen=connection.streams["server"].segments > 0,
            evidence=evidence_of(frames, self._files),
            foreign=foreign,
            isn=connection.syn_seq,
            answer_ts=connection.answers[0][0] if connection.answers else None,
            tls=self._tls(connection),
        )
        content = self._clear_content(connection)
        return link._replace(**content) if content else link

    def _clear_content(self, connection: Connection) -> dict[str, Any]:
        """What is sent in the clear on a port of a device or a presence server."""
        client, server = connection.streams["client"], connection.streams["server"]
        port = MANAGEMENT_PORTS.get(connection.server[1])
        if port is None or not port.clear or not client.bytes + server.bytes or not client.keep:
            return {}
        return self._content(port, *_both(connection))

    def _content(self, port: Port | None, client: Assembled, server: Assembled) -> dict[str, Any]:
        """The fields of a connection's event that the protocol of its port fills."""
        if port is None:
            return {}
        reader = self._readers.get(port.protocol)
        if reader is None:
            make = PROTOCOLS[port.protocol].conversation
            if make is None:
                return {}
            reader = self._readers[port.protocol] = make(self._context)
        return dict(reader(client, server))

    def _tls(self, connection: Connection) -> TlsConversation | None:
        """Read the handshake of a conversation on a device's TLS port, or with its presence server."""
        port = MANAGEMENT_PORTS.get(connection.server[1])
        if port is None or not port.tls:
            return None
        client = connection.assembled("client")
        if not connection.streams["server"].segments and _is_one_record(client):
            return None  # a ClientHello to which no answer is in the capture
        return read_conversation(client, connection.assembled("server"), self._files)

    def attempt(self, connection: Connection) -> ConnectionEvent:
        """Return what a connection was, whatever its port: for attempts that came to nothing."""
        return self._connection(connection, None)

    @staticmethod
    def _ends(connection: Connection, side: Side) -> Endpoints:
        other: Side = "server" if side == "client" else "client"
        (src, sport), (dst, dport) = connection.client, connection.server
        if side == "server":
            src, sport, dst, dport = dst, dport, src, sport
        return Endpoints(
            address_text(src),
            sport,
            address_text(dst),
            dport,
            mac_text(connection.streams[side].mac),
            mac_text(connection.streams[other].mac),
            connection.vlan,
            community_id(src, dst, sport, dport),
        )


def _is_of_client(ends: Endpoints, connection: Connection) -> bool:
    address, port = connection.client
    return ends.sport == port and ends.src == address_text(address)


def _both(connection: Connection) -> tuple[Assembled, Assembled]:
    """Both directions, the client's first."""
    return connection.assembled("client"), connection.assembled("server")


def _is_one_record(stream: Assembled) -> bool:
    """True where a stream holds one TLS record or less."""
    data = stream.data
    return len(data) <= _TLS_HEADER + int.from_bytes(data[3:_TLS_HEADER])


def _begins_with_a_probe(stream: Assembled) -> bool:
    """True where the first thing seen may be a keep-alive: one byte that repeats the one before it."""
    return len(stream.pieces) > 1 and stream.pieces[0].end == 1


def _outcome(connection: Connection) -> Outcome:
    client, server = connection.streams["client"], connection.streams["server"]
    answered = bool(connection.answers)
    if not answered and connection.syns:
        # What follows the client's SYNs follows a SYN-ACK, though that one may not be in the capture.
        went_on = client.segments > connection.syn_count or server.bytes
        if not went_on and any([side == "server" for side, _, _ in connection.resets]):
            return "refused"
        if not server.segments and not client.bytes:
            return "unanswered"
    if connection.resets and (answered or not connection.syns):
        return "reset"
    return "established" if answered else "partial"


def _foreign(stream: Assembled) -> str | None:
    """Name what came on a Hello port instead of a Hello; None where its beginning is not known."""
    if not stream.data or not stream.anchored or (stream.gaps and stream.gaps[0][0] == 0):
        return None
    for magic, name in _FOREIGN:
        if stream.data.startswith(magic):
            return name
    return "bytes that are no Hello"
