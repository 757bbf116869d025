"""What processes that read for one another say, as bytes: numbers, packets and text, never objects.

A message is its kind, its length and that many bytes. The worker gets a `SETUP`, answers `READY`, then gets a
`FILE` at a time and answers with `PART`s and a `LAST` one, or with `FAILED`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple, Protocol

from amtdiag.capture.files.inputs import Known
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.capture.prefilter.interface import SEEN_BYTES
from amtdiag.config import Limits
from amtdiag.errors import InputError
from amtdiag.model import CaptureInfo
from amtdiag.safetext import safe

_MESSAGE = struct.Struct(">BI")
_PART = struct.Struct(">QQII")
"""Last frame, position in the file, lengths of the information and of the bits."""
_ENTRY = struct.Struct(">16sQIIIII")
"""Time stamp, frame, link type, length on the wire, captured length, conversations begun and ended."""

_KEY_BYTES = (2 * 4 + 4, 2 * 16 + 4)
"""Two addresses and two ports."""
_MOST = 1 << 127
"""A hostile capture has stamps of some 95 bits."""
_MAX_FRAMES = (1 << 63) - 1
_DAMAGED = "what the process that read it sent is damaged"

Pair = tuple[bytes, bytes]
"""The keys of both directions of a conversation."""


class Kind(IntEnum):
    """What a message is."""

    SETUP = 1
    READY = 2
    FILE = 3
    PART = 4
    LAST = 5
    FAILED = 6
    TOO_MUCH = 7
    """In an answer of a cluster only."""


class Entry(NamedTuple):
    """One packet as it was captured, and what the worker began or ceased to watch because of it."""

    ts: int
    frame: int
    linktype: int
    wirelen: int
    packet: bytes
    begun: tuple[Pair, ...]
    ended: tuple[Pair, ...]

    def to_bytes(self) -> bytes:
        """Return the entry as it travels."""
        head = _ENTRY.pack(
            # a hostile pcapng file can have a stamp of some 95 bits
            self.ts.to_bytes(16, signed=True),
            self.frame,
            self.linktype,
            self.wirelen,
            len(self.packet),
            len(self.begun),
            len(self.ended),
        )
        return b"".join((head, self.packet, *map(_pack_pair, (*self.begun, *self.ended))))


class Part(NamedTuple):
    """A stretch of a file: the packets in it that may matter, in file order."""

    info: CaptureInfo
    """What there is to say of the file up to here."""
    position: int
    """Bytes of the file that were read."""
    last_frame: int
    """The stretch ends with it."""
    seen: bytes
    """Of which conversations a segment in it was left out; see `kernel.Sieve.seen`."""
    body: bytes

    def entries(self) -> Iterator[Entry]:
        """Yield the packets. Raises `InputError` where they are damaged."""
        body, at = self.body, 0
        while at < len(body):
            try:
                ts, frame, linktype, wirelen, size, begun, ended = _ENTRY.unpack_from(body, at)
                at += _ENTRY.size
                packet = body[at : at + size]
                at += size
                pairs = []
                for _ in range(begun + ended):
                    pair, at = _unpack_pair(body, at)
                    pairs.append(pair)
            except (struct.error, IndexError) as error:
                raise InputError(_DAMAGED) from error
            if at > len(body) or frame > _MAX_FRAMES:
                raise InputError(_DAMAGED)
            yield Entry(
                int.from_bytes(ts, signed=True),
                frame,
                linktype,
                wirelen,
                packet,
                tuple(pairs[:begun]),
                tuple(pairs[begun:]),
            )

    def to_bytes(self) -> bytes:
        """Return the part as it travels."""
        info = json.dumps(self.info).encode()
        head = _PART.pack(self.last_frame, self.position, len(info), len(self.seen))
        return b"".join((head, info, self.seen, self.body))

    @classmethod
    def from_bytes(cls, data: bytes) -> Part:
        """Read what `to_bytes` gives. Raises `InputError` where it is damaged."""
        try:
            last_frame, position, info_size, seen_size = _PART.unpack_from(data)
            at = _PART.size + info_size
            fields = json.loads(data[_PART.size : at])
            info = CaptureInfo._make(tuple(field) if isinstance(field, list) else field for field in fields)
            sound = _is_sound(info)
        except (struct.error, ValueError, TypeError, RecursionError) as error:
            raise InputError(_DAMAGED) from error
        seen = data[at : at + seen_size]
        if not sound or len(seen) != SEEN_BYTES:
            raise InputError(_DAMAGED)
        return cls(info, position, last_frame, seen, data[at + seen_size :])


def _is_sound(info: CaptureInfo) -> bool:
    """Tell whether every field is what it should be: workers of a cluster are not to be believed."""
    optional = (info.first_ts, info.last_ts, info.snaplen, info.drops, info.watched_until)
    texts: list[object] = [info.file, info.format, *info.linktypes, *info.notes]
    numbers: list[object] = [info.bytes, info.packets, *(number for number in optional if number is not None)]
    flags: list[object] = [info.truncated]
    return (
        type(info.linktypes) is type(info.notes) is tuple
        and all(isinstance(text, str) and _is_safe(text) for text in texts)
        and all(type(number) is int and abs(number) < _MOST for number in numbers)
        and all(isinstance(flag, bool) for flag in flags)
        and min(info.bytes, info.packets) >= 0
    )


def _is_safe(text: str) -> bool:
    """Tell whether text has passed `safe`, which then changes nothing but backslashes."""
    bare = text.replace("\\", "")
    return safe(bare, len(bare)) == bare


def _pack_pair(pair: Pair) -> bytes:
    key, reverse = pair
    return bytes((len(key),)) + key + reverse


def _unpack_pair(data: bytes, at: int) -> tuple[Pair, int]:
    if data[at] not in _KEY_BYTES:
        raise IndexError
    middle = at + 1 + data[at]
    end = middle + data[at]
    return (data[at + 1 : middle], data[middle:end]), end


def pack_setup(interest: Interest, limits: Limits, seed: int) -> bytes:
    """Return what a worker has to know before the first file."""
    wanted = [
        sorted(interest.ports),
        sorted(interest.datagram_ports),
        [sorted(place) for place in interest.head],
    ]
    return json.dumps([wanted, limits._asdict(), seed]).encode()


def unpack_setup(data: bytes) -> tuple[Interest, Limits, int]:
    """Read what `pack_setup` gives."""
    (ports, datagram_ports, head), limits, seed = json.loads(data)
    interest = Interest(frozenset(ports), frozenset(datagram_ports), tuple(map(frozenset, head)))
    return interest, Limits(**limits), seed


def pack_file(known: Known, carried: Iterable[bytes]) -> bytes:
    """Return the order to read a file, all packets of the conversations `carried` included."""
    head = json.dumps(known).encode()
    keys = b"".join(bytes((len(key),)) + key for key in carried)
    return len(head).to_bytes(4) + head + keys


def unpack_file(data: bytes) -> tuple[Known, list[bytes]]:
    """Read what `pack_file` gives."""
    at = 4 + int.from_bytes(data[:4])
    known = Known(*json.loads(data[4:at]))
    keys = []
    while at < len(data):
        end = at + 1 + data[at]
        keys.append(data[at + 1 : end])
        at = end
    return known, keys


class ByteSource(Protocol):
    """Where messages come from."""

    def read(self, size: int, /) -> bytes | None:
        """Return so many bytes, fewer at the end."""
        ...


class ByteSink(Protocol):
    """Where messages go."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""
        ...

    def flush(self) -> object:
        """Hand on what was written."""
        ...


def send(stream: ByteSink, kind: Kind, body: bytes = b"") -> None:
    """Write one message."""
    stream.write(_MESSAGE.pack(kind, len(body)))
    stream.write(body)
    stream.flush()


def receive(stream: ByteSource) -> tuple[Kind, bytes] | None:
    """Read one message; None where the other side is gone, be it in the middle of one."""
    head = stream.read(_MESSAGE.size) or b""
    if len(head) < _MESSAGE.size:
        return None
    kind, size = _MESSAGE.unpack(head)
    body = stream.read(size) or b""
    return (Kind(kind), body) if len(body) == size else None
