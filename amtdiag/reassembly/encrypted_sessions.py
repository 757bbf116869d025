"""Encrypted conversations on their way to whoever can open them, and what comes back as streams.

tshark decrypts TLS. It is given nothing of the user's captures but these conversations, written anew as plain
TCP over IPv4: so it matters neither in what tunnel, in which order, or in how many files they were captured,
and what it says is read back to the frames that they came in.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from amtdiag.reassembly.stream import Assembled, Piece

RAW_IPV4 = 228
"""Link type of the capture that is written."""
TLS_PORT = 16993
_CLIENT_PORT = 1024
_MAX_PAYLOAD = 32_768
_SYN, _ACK, _PUSH_ACK = 2, 16, 24
_CLIENTS, _SERVERS = 0x0A000000, 0x0B000000
"""10.0.0.0 and 11.0.0.0: a conversation's number is the rest of both addresses."""
_MAX_CONVERSATIONS = 1 << 24
_MICROSECONDS = 1000

_TAG_IPV4_SOURCE, _TAG_FRAME, _TAG_END = 20, 30, 0
"""Of Wireshark's exported PDUs (wsutil/exported_pdu_tlvs.h)."""


class DecryptedHandshake(NamedTuple):
    """Decrypted handshake messages and alerts of one side, and where they came."""

    from_server: bool
    piece: Piece
    messages: tuple[int, ...]
    certificates: tuple[bytes, ...]
    alerts: tuple[int, ...]


class DecryptedConversation(NamedTuple):
    """What of a conversation could be decrypted."""

    client: Assembled
    """Application data."""
    server: Assembled
    handshake: tuple[DecryptedHandshake, ...]


class HandshakeFrame(Protocol):
    """What tshark tells of the handshake in one frame, as `amtdiag.capture.decryptor` reads it."""

    @property
    def frame(self) -> int: ...  # noqa: D102 - by_conversation there
    @property
    def messages(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def certificates(self) -> tuple[bytes, ...]: ...  # noqa: D102
    @property
    def alerts(self) -> tuple[int, ...]: ...  # noqa: D102


class _PacketPlace(NamedTuple):
    """What a packet of the capture carries."""

    number: int
    side: int
    piece: Piece


class EncryptedSessions:
    """Encrypted conversations, kept until they are opened; at most so many bytes of them."""

    def __init__(self, most_bytes: int) -> None:
        self._room = most_bytes
        self._conversations: list[tuple[Assembled, Assembled]] = []
        self.left_out = 0
        """Conversations for which there was no room."""

    def __len__(self) -> int:
        return len(self._conversations)

    def add(self, client: Assembled, server: Assembled) -> int | None:
        """Keep a conversation and return its number; None where there is no room."""
        size = len(client.data) + len(server.data)
        if size > self._room or len(self._conversations) >= _MAX_CONVERSATIONS:
            self.left_out += 1
            return None
        self._room -= size
        self._conversations.append((client, server))
        return len(self._conversations) - 1

    def capture(self) -> bytes:
        """Return all conversations as a pcap file."""
        header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, RAW_IPV4)
        return header + b"".join(packet for packet, _ in self._packets())

    def opened(
        self, exported: Iterable[bytes], handshakes: Iterable[HandshakeFrame] = ()
    ) -> dict[int, DecryptedConversation]:
        """Return by number what could be decrypted: exported PDUs, and handshake messages. Never raises."""
        places = [place for _, place in self._packets()]
        bodies: dict[int, tuple[bytearray, bytearray]] = {}
        pieces: dict[int, tuple[list[Piece], list[Piece]]] = {}
        for packet in exported:
            pdu = _pdu(packet)
            place = places[pdu.frame - 1] if pdu is not None and 0 < pdu.frame <= len(places) else None
            if pdu is None or place is None:
                continue
            # A record may end in a frame that begins another: the frame alone does not tell the side.
            number, from_server = pdu.source & (_MAX_CONVERSATIONS - 1), pdu.source >= _SERVERS
            if number >= len(self._conversations):
                continue
            body = bodies.setdefault(number, (bytearray(), bytearray()))[from_server]
            start = len(body)
            body += pdu.data
            listed = pieces.setdefault(number, ([], []))[from_server]
            listed.append(Piece(start, len(body), place.piece.ts, place.piece.frames))
        by_conversation: defaultdict[int, list[DecryptedHandshake]] = defaultdict(list)
        for frame in handshakes:
            place = places[frame.frame - 1] if 0 < frame.frame <= len(places) else None
            if place is not None:
                decrypted = DecryptedHandshake(
                    bool(place.side), place.piece, frame.messages, frame.certificates, frame.alerts
                )
                by_conversation[place.number].append(decrypted)
        opened = {}
        for number in sorted({*bodies, *by_conversation}):
            client, server = (
                Assembled(bytes(body), (), tuple(listed), ended=side.ended)
                for body, listed, side in zip(
                    bodies.get(number, (b"", b"")),
                    pieces.get(number, ([], [])),
                    self._conversations[number],
                    strict=True,
                )
            )
            opened[number] = DecryptedConversation(client, server, tuple(by_conversation[number]))
        return opened

    def _packets(self) -> Iterator[tuple[bytes, _PacketPlace | None]]:
        """Yield each packet of the capture with what it carries, in the order of its frames."""
        for number, conversation in enumerate(self._conversations):
            there = _Way(_CLIENTS + number, _CLIENT_PORT, _SERVERS + number, TLS_PORT)
            ways = there, _Way(there.dst, there.dport, there.src, there.sport)
            pieces = [(piece, side) for side in (0, 1) for piece in conversation[side].pieces]
            first = min((piece.ts for piece, _ in pieces), default=0)
            yield _packet(first, ways[0], (0, 0), _SYN), None
            yield _packet(first, ways[1], (0, 1), _SYN | _ACK), None
            reached = [0, 0]
            for piece, side in sorted(pieces, key=lambda entry: (entry[0].ts, entry[0].frames)):
                for start in range(piece.start, piece.end, _MAX_PAYLOAD):
                    end = min(start + _MAX_PAYLOAD, piece.end)
                    numbers = 1 + start, 1 + reached[1 - side]
                    reached[side] = max(reached[side], end)
                    data = conversation[side].data[start:end]
                    yield (
                        _packet(piece.ts, ways[side], numbers, _PUSH_ACK, data),
                        _PacketPlace(number, side, piece),
                    )


class _Way(NamedTuple):
    """From where to where a packet goes."""

    src: int
    sport: int
    dst: int
    dport: int


def _packet(ts: int, way: _Way, numbers: tuple[int, int], flags: int, data: bytes = b"") -> bytes:
    """A pcap record; checksums are left out, no reader checks them."""
    total = 40 + len(data)
    header = struct.pack(">BBHHHBBHII", 0x45, 0, total, 0, 0x4000, 64, 6, 0, way.src, way.dst)
    segment = struct.pack(">HHIIBBHHH", way.sport, way.dport, *numbers, 0x50, flags, 0xFFFF, 0, 0)
    seconds, rest = divmod(ts // _MICROSECONDS, 1_000_000)
    return struct.pack("<IIII", seconds & 0xFFFFFFFF, rest, total, total) + header + segment + data


class _Pdu(NamedTuple):
    source: int
    frame: int
    data: bytes


def _pdu(packet: bytes) -> _Pdu | None:
    """Read an exported PDU: tags with their lengths, and the data after the last."""
    at, source, frame = 0, None, None
    while at + 4 <= len(packet):
        tag, length = struct.unpack_from(">HH", packet, at)
        at += 4
        if tag == _TAG_END:
            return None if source is None or frame is None else _Pdu(source, frame, packet[at:])
        if length == 4 and tag == _TAG_IPV4_SOURCE:
            source = int.from_bytes(packet[at : at + 4])
        elif length == 4 and tag == _TAG_FRAME:
            frame = int.from_bytes(packet[at : at + 4])
        at += length
    return None
