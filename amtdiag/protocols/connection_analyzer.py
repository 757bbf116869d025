"""From a finished TCP connection to events: what it was, and the Hello it may have carried.

Content decides first, the port second: a Hello is recognised strictly on any port and read leniently where
one is expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from amtdiag.model import (
    Apf,
    ConnectionEvent,
    Endpoints,
    Evidence,
    Hello,
    HelloEvent,
    HttpConversation,
    Outcome,
    Redirection,
    TlsConversation,
    WebServer,
)
from amtdiag.protocols import hello as hello_protocol
from amtdiag.protocols.addresses import address_text, mac_text
from amtdiag.protocols.ports import CIRA_PORT, DEVICE_PORTS, OTHER_PORTS
from amtdiag.protocols.tls import talk
from amtdiag.protocols.tls.decryption_keys import KEY_LOG, Opener, Taken
from amtdiag.reassembly.community_id import community_id
from amtdiag.reassembly.connections import Connection, Side
from amtdiag.reassembly.stream import Assembled, Frames, Piece

if TYPE_CHECKING:
    from amtdiag.protocols.web.nonces import Nonces
    from amtdiag.reassembly.encrypted_sessions import DecryptedConversation

_EVIDENCE_PER_KIND = 8
_TLS_HEADER = 5
_TLS_ROLES = ("tls", "redirection-tls")

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


class _Spoken(TypedDict, total=False):
    """The fields of a connection that its conversation fills."""

    web: WebServer | None
    talk: HttpConversation | None
    redirection: Redirection | None
    apf: Apf | None


class Told(NamedTuple):
    """What a connection was."""

    link: ConnectionEvent | None
    hello: HelloEvent | None
    sealed: int | None
    """Its number among those that may be decrypted later."""


class EventReader:
    """Turns finished connections into events. Holds the names of the files and the Hello ports."""

    def __init__(
        self, files: Sequence[str], hello_ports: frozenset[int], exchanges: int, opener: Opener
    ) -> None:
        """Set the reader up; of all connections together it keeps so many HTTP `exchanges`.

        What may be decrypted later is given to the `opener`.
        """
        self._opener = opener
        self._files = files
        self._hello_ports = hello_ports
        self._exchanges = exchanges
        self._nonces: Nonces | None = None
        self.left_out = 0
        """HTTP exchanges that are not kept."""

    def read(self, connection: Connection) -> Told:
        """Return what a connection was. On ports nobody asked for, only a Hello makes it an event."""
        found = self._hello(connection)
        port = connection.server[1]
        if found is None and port not in self._hello_ports and port not in OTHER_PORTS:
            return Told(None, None, None)
        foreign = None
        if found is None and port in self._hello_ports:
            foreign = _foreign(connection.assembled("client"))
        link = self._connection(connection, foreign, found)
        taken = self._seal(connection, link.tls)
        if taken is None:
            return Told(link, found, None)
        return Told(link._replace(opened_by=taken.key), found, taken.number)

    def renew(self, exchanges: int) -> None:
        """Keep so many more HTTP exchanges."""
        self._exchanges = exchanges

    def early_hello(self, connection: Connection) -> HelloEvent | None:
        """Return the Hello of a connection that is not over, once all of it is there."""
        found = self._hello(connection)
        return found if found is not None and found.hello.complete else None

    def opened(self, link: ConnectionEvent, streams: DecryptedConversation) -> ConnectionEvent:
        """Return a connection with what its decrypted bytes say."""
        spoken = self._said(link.ends.dport, streams.client, streams.server)
        tls = link.tls
        if tls is not None and tls.certificates_hidden and streams.handshake:
            from amtdiag.protocols.tls.decrypted import with_handshake

            tls = with_handshake(tls, streams.handshake, self._evidence)
        return link._replace(tls=tls, opened_by=link.opened_by or KEY_LOG, **spoken)

    def _seal(self, connection: Connection, talk: TlsConversation | None) -> Taken | None:
        if talk is None:
            return None
        client, server = _both(connection)
        return self._opener.take(client, server, talk)

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
        return self._named({(piece.frames[0], frame) for piece in pieces for frame in piece.frames[1]})

    def _named(self, frames: set[tuple[int, int]]) -> tuple[Evidence, ...]:
        """Frames by file and number, in order."""
        files = self._files
        return tuple([Evidence(files[file], frame) for file, frame in sorted(frames)])

    def _connection(
        self, connection: Connection, foreign: str | None, hello: HelloEvent | None = None
    ) -> ConnectionEvent:
        """Return what a connection was; one that carried a Hello of its client has the ends of that."""
        outcome = _outcome(connection)
        frames: list[Frames] = [frames for _, frames in connection.syns[:_EVIDENCE_PER_KIND]]
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
            evidence=self._named({(file, number) for file, numbers in frames for number in numbers}),
            foreign=foreign,
            isn=connection.syn_seq,
            answer_ts=connection.answers[0][0] if connection.answers else None,
            tls=self._tls(connection),
        )
        spoken = self._spoken(connection)
        return link._replace(**spoken) if spoken else link

    def _spoken(self, connection: Connection) -> _Spoken:
        """What is said in the clear on the plain port, the redirection port and to a presence server."""
        client, server = connection.streams["client"], connection.streams["server"]
        port = connection.server[1]
        if DEVICE_PORTS.get(port) in _TLS_ROLES or not client.bytes + server.bytes or not client.keep:
            return {}
        return self._said(port, *_both(connection))

    def _said(self, port: int, client: Assembled, server: Assembled) -> _Spoken:
        """What is said to a device, or by it to a presence server; in the clear, or decrypted."""
        # Imported late: their patterns take longer to make than a small capture takes to read.
        role = DEVICE_PORTS.get(port)
        if role in ("plain", "tls"):
            talk = self._web(client, server)
            return {"talk": talk, "web": talk and talk.server}
        if role in ("redirection", "redirection-tls"):
            from amtdiag.protocols.web.redirection import read_redirection

            return {"redirection": read_redirection(client, server, self._evidence)}
        if port == CIRA_PORT:
            from amtdiag.protocols.web.apf import read_apf

            return {"apf": read_apf(client, server, self._evidence)}
        return {}

    def _web(self, client: Assembled, server: Assembled) -> HttpConversation | None:
        """What is said to a device's web server, in the clear or decrypted."""
        from amtdiag.protocols.web.http_session import read_web

        if self._nonces is None:
            from amtdiag.protocols.web.nonces import Nonces

            self._nonces = Nonces()
        talk = read_web(client, server, self._evidence, self._nonces, self._exchanges)
        if talk is not None:
            self._exchanges -= len(talk.exchanges)
            self.left_out += talk.dropped
        return talk

    def _tls(self, connection: Connection) -> TlsConversation | None:
        """Read the handshake of a conversation on a device's TLS port, or with its presence server."""
        port = connection.server[1]
        if DEVICE_PORTS.get(port) not in _TLS_ROLES and port != CIRA_PORT:
            return None
        client = connection.assembled("client")
        if not connection.streams["server"].segments and _is_one_record(client):
            return None  # a ClientHello that nobody is seen to answer
        return talk(client, connection.assembled("server"), self._files)

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
