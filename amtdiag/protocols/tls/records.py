"""One direction's bytes as TLS records. A record whose header is known tells where the next one begins.

A gap inside a record's body therefore costs only bytes. A gap that holds a header is passed only where the
headers behind it prove each other: each leads to the next, to the end of what was captured.
"""

from typing import NamedTuple

from amtdiag.protocols.tls.constants import ALERT, HANDSHAKE, RECORD_TYPES, SSLV2_HELLO
from amtdiag.reassembly.stream import Assembled

HEADER = 5
MAX_LENGTH = 16_384 + 2_048
"""Of a record's body (RFC 5246, 6.2.3)."""
_MAX_MINOR = 4
_PROOF = 2
"""Whole records that lead to a last one which is cut off; more than chance puts together."""
_BEGINS = frozenset({HANDSHAKE, ALERT})


class Record(NamedTuple):
    """A record whose header is known."""

    kind: int
    start: int
    """Where its body begins in the stream's bytes."""
    end: int
    """Where it ends; behind the stream's bytes if it was cut off."""


class Break(NamedTuple):
    """A place where it is not known what records were sent."""

    before: int
    """Index of the record that follows; the number of records where none does."""
    start: int
    end: int
    """What is unreadable there; not more than `start` where the stream simply stops inside a header."""


class Records(NamedTuple):
    """One side of a conversation."""

    records: tuple[Record, ...]
    breaks: tuple[Break, ...]
    stopped: int | None
    """Offset of bytes that are no record."""


def read(stream: Assembled) -> Records | None:
    """Return the records of one side; None where it does not begin with TLS."""
    data, size = stream.data, len(stream.data)
    reach = stream.reach
    found: list[Record] = []
    breaks: list[Break] = []
    at = 0
    if len(data) > HEADER and data[0] & 0x80 and data[2:4] == b"\x01\x03" and stream.has(0, 4):
        at = 2 + int.from_bytes(data[:2]) % 0x8000
        found.append(Record(SSLV2_HELLO, 2, at))
    while at < reach:
        lost = stream.gaps_in(at, at + HEADER)
        if lost:
            after = _resume(stream, lost[-1][1])
            if after is None and not found:
                return None
            breaks.append(Break(len(found), at, reach if after is None else after))
            if after is None:
                break
            at = after
            continue
        if at + HEADER > size:
            breaks.append(Break(len(found), at, at))
            break
        end = _end(data, at)
        if end is None or (at == 0 and data[0] not in _BEGINS):
            return Records(tuple(found), tuple(breaks), at) if found else None
        found.append(Record(data[at], at + HEADER, end))
        at = end
    return Records(tuple(found), tuple(breaks), None) if found else None


def _end(data: bytes, at: int) -> int | None:
    """Return where the record ends whose header is at `at`; None if that is no header."""
    if data[at] not in RECORD_TYPES or data[at + 1] != 3 or data[at + 2] > _MAX_MINOR:
        return None
    length = data[at + 3] << 8 | data[at + 4]
    return at + HEADER + length if length <= MAX_LENGTH else None


def _resume(stream: Assembled, since: int) -> int | None:
    """Return the first place behind a gap from which headers lead to the end of the bytes."""
    data, dead = stream.data, set[int]()
    at = data.find(b"\x03", since + 1)
    while at != -1:
        if _leads_to_the_end(stream, at - 1, dead):
            return at - 1
        at = data.find(b"\x03", at + 1)
    return None


def _leads_to_the_end(stream: Assembled, at: int, dead: set[int]) -> bool:
    """True for a chain of headers to the last byte; `dead` are places from which there is none."""
    data, size, whole, path = stream.data, len(stream.data), 0, []
    while at not in dead:
        if at == size:
            return True
        path.append(at)
        if not stream.has(at, at + HEADER):
            break
        end = _end(data, at)
        if end is None:
            break
        if end > size:
            if whole >= _PROOF:
                return True
            break
        at, whole = end, whole + 1
    dead.update(path)
    return False
