"""The Hello message of an AMT device in Setup Mode: parse and build. Does no input or output.

Layout (Intel's AMT guide, "Setup mode hello messages"; confirmed by payloads of real hardware)::

    offset  size  field
         0     2  administrator credentials set: 0 no, 1 yes            little-endian
         2     2  interface version: 2 pre-shared key, 3 remote configuration
         4     4  retry count, documented 0-14
         8    16  platform UUID, SMBIOS byte order: first three groups little-endian
        24     8  version 2: PID, ASCII without the dash; the message ends
        24     1  version 3: number of digests n, documented up to 23, real hardware sends 24
        25        version 3: n records of algorithm (1 byte), length (1 byte), digest

The message has no checksum, length or terminator: it ends where the device closes the connection.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from amtdiag.model import Digest, Hello
from amtdiag.protocols.pid import PID_LENGTH, is_valid_pid
from amtdiag.protocols.protocol import Field, Port, Protocol
from amtdiag.reassembly.stream import Assembled, joined
from amtdiag.safetext import safe

HEADER_LENGTH = 24
VERSION_PSK = 2
VERSION_PKI = 3
MAX_DOCUMENTED_RETRY = 14
MAX_DOCUMENTED_DIGESTS = 23
KNOWN_PADDING = 3
"""Realtek's DASH firmware ends its Hello with three bytes of structure padding."""
_MAX_DIGESTS = 255
MAX_LENGTH = HEADER_LENGTH + 1 + _MAX_DIGESTS * (2 + 255)

HEAD = (frozenset({0, 1}), frozenset({0}), frozenset({VERSION_PSK, VERSION_PKI}), frozenset({0}))
"""The values that the first bytes have in every documented Hello."""

ALGORITHMS: dict[int, tuple[str, int]] = {
    0: ("md5", 16),
    1: ("sha1", 20),
    2: ("sha256", 32),
    3: ("sha384", 48),
    4: ("sha224", 28),
    5: ("sha512", 64),
}
"""Number on the wire: name, digest length. A Hello is known to use 1-3; the ME's local interface all."""

_HEAD = struct.Struct("<HHI")
_BY_LENGTH = {length: name for name, length in ALGORITHMS.values()}
_HELLO_ALGORITHMS = (1, 2, 3)
_RECORDS = HEADER_LENGTH + 1
_MIN_VISIBLE = 4
"""Bytes that hold flag and version."""
_MAX_UNDOCUMENTED_VERSION = 15
_MAX_UNDOCUMENTED_RETRY = 1000
_MAX_PROBLEMS = 8

PLACEHOLDER_UUIDS = {
    "00000000-0000-0000-0000-000000000000": "UUID is all zero: absent",
    "ffffffff-ffff-ffff-ffff-ffffffffffff": "UUID is all ones: not set",
    "03000200-0400-0500-0006-000700080009": "UUID is a placeholder that many boards share",
}
"""UUIDs that identify no device, and what to say of each."""


FIELDS = {
    Hello: (
        Field("version", "number", "bytes 2-3, interface version"),
        Field("admin_credentials", "flag", "bytes 0-1"),
        Field("retry_count", "number", "bytes 4-7"),
        Field("uuid", "uuid", "bytes 8-23, SMBIOS byte order"),
        Field("pid", "secret", "version 2: bytes 24-31"),
        Field(
            "pid_check_ok", "flag", "version 2: the eighth character of the PID checks the seven before it"
        ),
        Field("digests", "bytes", "version 3: from byte 25 on"),
        Field("declared_digests", "number", "version 3: byte 24"),
        Field("trailing_bytes", "number", "bytes behind the message"),
        Field("missing_bytes", "number", "bytes of the message that are not captured"),
        Field("complete", "flag", "all bytes of the message are there"),
        Field("problems", "word", "what is odd in it"),
    ),
    Digest: (
        Field("index", "number", "place in the list"),
        Field("algorithm", "word", "first byte of the record, or its length"),
        Field("algorithm_id", "number", "first byte of the record"),
        Field("value", "bytes", "digest of a root certificate, behind its length"),
    ),
}


class NotHello(NamedTuple):
    """These bytes are no Hello."""

    offset: int
    """Where that shows."""
    reason: str


class NeedData:
    """More bytes may make a Hello of these."""


NEED_DATA = NeedData()


def is_junk_uuid(uuid: str) -> bool:
    """True for a UUID that identifies no device."""
    return uuid in PLACEHOLDER_UUIDS


def uuid_text(wire: bytes) -> str:
    """Return the text of a UUID in SMBIOS byte order, as a Hello carries it."""
    text = (wire[3::-1] + wire[5:3:-1] + wire[7:5:-1] + wire[8:16]).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _number(stream: Assembled, start: int, size: int) -> int | None:
    end = start + size
    return int.from_bytes(stream.data[start:end], "little") if stream.has(start, end) else None


def _header(stream: Assembled) -> tuple[int | None, int | None, int | None]:
    """Return flag, version and retry count, each None where bytes of it are missing."""
    if not stream.gaps and len(stream.data) >= _HEAD.size:
        flag, version, retry = _HEAD.unpack_from(stream.data)
        return flag, version, retry
    return _number(stream, 0, 2), _number(stream, 2, 2), _number(stream, 4, 4)


def parse(
    data: bytes,
    gaps: Sequence[tuple[int, int]] = (),
    *,
    ended: bool = True,
    cut_by_capture: bool = False,
    strict: bool = False,
) -> Hello | NotHello | NeedData:
    """Read a Hello from the start of a stream.

    `gaps` are the ranges (start, end) of `data`, or behind it, that were sent but not captured; `ended`
    says that nothing follows, else an unfinished message gives NEED_DATA. `cut_by_capture` says that a
    message which stops early was cut by the capture and not by its sender.

    Lenient reading is for the ports where Hellos are expected: undocumented versions give the header,
    and what is odd is named in `problems`. Strict reading is for all others and wants a documented header
    and a valid PID or a consistent digest list. Never raises for any input.
    """
    if not data and not gaps and ended:
        return _NO_BYTES
    if strict and len(data) >= HEADER_LENGTH and not gaps and (data[0] > 1 or data[1]):
        return _NO_FLAG
    stream = Assembled(data, joined(gaps) if gaps else ())
    refusal = _refusal(stream, strict)
    if refusal is not None:
        if not ended and len(data) < HEADER_LENGTH and not _contradicts_head(data):
            return NEED_DATA
        return refusal
    hello = _read(stream, cut_by_capture)
    if not ended and not hello.complete and not stream.gaps:
        return NEED_DATA
    return (_strict_refusal(hello, stream) if strict else None) or hello


_NO_FLAG = NotHello(0, "flag is neither 0 nor 1")
_NO_BYTES = NotHello(0, "no bytes")


def _contradicts_head(data: bytes) -> bool:
    return any(byte not in allowed for byte, allowed in zip(data, HEAD, strict=False))


def _refusal(stream: Assembled, strict: bool) -> NotHello | None:
    """Say why the header cannot be that of a Hello, or None."""
    if not stream.data:
        return _NO_BYTES
    if not stream.has(0, _MIN_VISIBLE):
        if strict or not _headless(stream):
            return NotHello(0, "too short to tell" if not stream.gaps else "its beginning was not captured")
        return None
    flag, version, retry = _header(stream)
    documented = version in (VERSION_PSK, VERSION_PKI)
    if strict:
        if flag not in (0, 1):
            return _NO_FLAG
        return None if documented else NotHello(2, "version is neither 2 nor 3")
    if flag in (0, 1) and documented:
        return None
    if stream.reach < HEADER_LENGTH:
        return NotHello(0, "shorter than a header, with an undocumented flag or version")
    if documented:
        return None
    if flag not in (0, 1) or not 1 <= (version or 0) <= _MAX_UNDOCUMENTED_VERSION:
        return NotHello(0, "flag and version are those of no Hello")
    if retry is not None and retry > _MAX_UNDOCUMENTED_RETRY:
        return NotHello(4, "undocumented version with an implausible retry count")
    return None


def _headless(stream: Assembled) -> bool:
    """True where the beginning is missing but what follows can only be a list of digests."""
    return bool(stream.gaps) and len(_walk_records(stream, None).digests) >= 2


def _read(stream: Assembled, cut_by_capture: bool) -> Hello:
    problems: list[str] = []
    flag, version, retry = _header(stream)
    uuid = None
    if stream.has(8, HEADER_LENGTH):
        uuid = uuid_text(stream.data[8:HEADER_LENGTH])
        if uuid in PLACEHOLDER_UUIDS:
            problems.append(PLACEHOLDER_UUIDS[uuid])
    if flag is not None and flag > 1:
        problems.append(f"administrator-credentials flag is {flag}, documented are 0 and 1")
    if retry is not None and retry > MAX_DOCUMENTED_RETRY:
        problems.append(f"retry count is {retry}, documented are 0 to {MAX_DOCUMENTED_RETRY}")

    pid: str | None = None
    pid_ok: bool | None = None
    digests: tuple[Digest, ...] = ()
    declared: int | None = None
    end = HEADER_LENGTH
    certain = True
    """`end` is the real end of the message."""
    if version == VERSION_PSK:
        end += PID_LENGTH
        if stream.has(HEADER_LENGTH, end):
            raw = stream.data[HEADER_LENGTH:end]
            pid, pid_ok = safe(raw), is_valid_pid(raw)
            if not pid_ok:
                problems.append("the PID's check character is wrong")
    elif version == VERSION_PKI or (version is None and stream.gaps):
        declared = _number(stream, HEADER_LENGTH, 1)
        if declared is None or stream.gaps:
            digests, end, certain = _walk_records(stream, declared)
            odd = _list_problems(digests, declared)
        else:
            (digests, end, certain), odd = _whole_records(stream.data[_RECORDS:], declared)
        problems += odd
    else:
        problems.append(f"version {version} is undocumented: only the header is read")
        certain = False

    missing = _missing(stream, end, certain)
    whole = declared is None or len(digests) == declared
    complete = stream.has(0, end) and certain and whole and version is not None
    if not complete and (certain or version in (None, VERSION_PKI)):
        problems.append(_cut_text(stream, end, declared, len(digests), cut_by_capture))
    trailing = max(0, stream.reach - end) if certain and complete else 0
    if trailing and not any(a < stream.reach and end < b for a, b in stream.gaps):
        padding = trailing == KNOWN_PADDING and not any(stream.data[end:])
        problems.append(
            f"{trailing} bytes of padding follow, as from Realtek's DASH firmware"
            if padding
            else f"{trailing} bytes follow the message"
        )
    return Hello(
        version=version,
        admin_credentials=flag,
        retry_count=retry,
        uuid=uuid,
        pid=pid,
        pid_check_ok=pid_ok,
        digests=digests,
        declared_digests=declared,
        trailing_bytes=trailing,
        missing_bytes=missing,
        complete=complete,
        problems=tuple(problems),
    )


def _missing(stream: Assembled, end: int, certain: bool) -> int:
    """Bytes of the message, which ends at `end`, that are not there."""
    stop = end if certain else max(end, stream.reach)
    in_gaps = sum(max(0, min(b, stop) - a) for a, b in stream.gaps if a < len(stream.data))
    return in_gaps + max(0, stop - len(stream.data))


def _cut_text(stream: Assembled, end: int, declared: int | None, whole: int, cut_by_capture: bool) -> str:
    who = "the capture" if stream.gaps or cut_by_capture else "the sender"
    text = f"the message is cut by {who}: {min(len(stream.data), end)} of {end} bytes reach"
    if stream.gaps:
        where = ", ".join(f"{a}-{b - 1}" for a, b in stream.gaps[:4])
        text = f"bytes {where} of the message are not in the capture"
    return text if declared is None else f"{text}; {whole} of {declared} digests are whole"


def _list_problems(digests: Sequence[Digest], declared: int | None) -> list[str]:
    """What is odd in a digest list."""
    problems = []
    if declared == 0:
        problems.append("the list holds no digest")
    if declared is not None and declared > MAX_DOCUMENTED_DIGESTS + 1:
        problems.append(f"{declared} digests, documented are up to {MAX_DOCUMENTED_DIGESTS}")
    for digest in digests:
        known = ALGORITHMS.get(digest.algorithm_id)
        length = len(digest.value)
        if known is None:
            problems.append(f"digest {digest.index} has the unknown algorithm {digest.algorithm_id}")
        elif known[1] != length:
            problems.append(
                f"digest {digest.index} has {length} bytes, but algorithm {digest.algorithm_id} "
                f"({known[0]}) has {known[1]}"
            )
        elif digest.algorithm_id not in _HELLO_ALGORITHMS:
            problems.append(f"digest {digest.index} is {known[0]}, which no documented Hello carries")
        if len(problems) >= _MAX_PROBLEMS:
            break
    return problems


def _digest(index: int, algorithm_id: int, value: bytes) -> Digest:
    known = ALGORITHMS.get(algorithm_id)
    if known is None or known[1] != len(value):
        # Where code and length disagree the length is right: it is what the digest was read with.
        return Digest(index, _BY_LENGTH.get(len(value), "unknown"), algorithm_id, value)
    return Digest(index, known[0], algorithm_id, value)


class _Records(NamedTuple):
    """A digest list as far as it can be read."""

    digests: tuple[Digest, ...]
    """The whole ones."""
    end: int
    """Where the message ends."""
    certain: bool
    """That end follows from the list; else it is only how far the stream goes."""


@lru_cache(maxsize=1024)
def _whole_records(body: bytes, declared: int) -> tuple[_Records, list[str]]:
    """Read a list without gaps, as `_walk_records` does. Devices of one firmware share their list: cached."""
    records = _walk_records(Assembled(bytes(_RECORDS) + body), declared)
    return records, _list_problems(records.digests, declared)


def _walk_records(stream: Assembled, declared: int | None) -> _Records:
    """Read the digest records, `declared` of them or as many as the stream has.

    A record whose header is missing is bridged where what follows leaves one possible size.
    """
    digests: list[Digest] = []
    sizes: set[int] = set()
    at = _RECORDS
    limit = _MAX_DIGESTS if declared is None else declared
    for index in range(limit):
        if declared is None and at >= stream.reach:
            return _Records(tuple(digests), at, at == stream.reach)
        if stream.has(at, at + 2):
            algorithm_id, length = stream.data[at], stream.data[at + 1]
            sizes.add(2 + length)
            if stream.has(at + 2, at + 2 + length):
                digests.append(_digest(index, algorithm_id, stream.data[at + 2 : at + 2 + length]))
            at += 2 + length
            continue
        size = _bridge(stream, at, limit - index, sizes)
        if size is None and declared is not None and at + 1 >= len(stream.data) and len(sizes) == 1:
            size = next(iter(sizes))  # the list is cut: the rest is taken to be like what is there
        if size is None:
            return _Records(tuple(digests), max(at, stream.reach), False)
        at += size
    return _Records(tuple(digests), at, True)


def _bridge(stream: Assembled, at: int, remaining: int, sizes: set[int]) -> int | None:
    """Return the size of the record at `at`, whose header is missing, if just one size fits what follows."""
    known = {2 + length for _, length in ALGORITHMS.values()}
    candidates = sizes if len(sizes) == 1 else known
    fitting = [size for size in candidates if _fits(stream, at, remaining, size)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(stream: Assembled, at: int, remaining: int, size: int) -> bool:
    """True where records of one size explain the visible headers from `at` on, at least one of them."""
    visible = 0
    for number in range(remaining):
        header = at + number * size
        if header >= len(stream.data):
            break
        if not stream.has(header, header + 2):
            continue
        known = ALGORITHMS.get(stream.data[header])
        if known is None or 2 + known[1] != size or stream.data[header + 1] != known[1]:
            return False
        visible += 1
    return visible > 0


def _strict_refusal(hello: Hello, stream: Assembled) -> NotHello | None:
    """Say why bytes on an unexpected port are no Hello, or None."""
    if hello.trailing_bytes > KNOWN_PADDING:
        return NotHello(len(stream.data) - hello.trailing_bytes, "other bytes follow")
    if hello.version == VERSION_PSK:
        return None if hello.pid_check_ok else NotHello(HEADER_LENGTH, "the PID's check character is wrong")
    if not hello.digests:
        return NotHello(_RECORDS, "no whole digest")
    for digest in hello.digests:
        known = ALGORITHMS.get(digest.algorithm_id)
        if digest.algorithm_id not in _HELLO_ALGORITHMS or known is None or known[1] != len(digest.value):
            return NotHello(_RECORDS, "the digest list is not consistent")
    if not hello.complete and not stream.gaps and not hello.missing_bytes:
        return NotHello(_RECORDS, "the digest list is not consistent")
    return None


def build(
    *,
    uuid: str,
    version: int = VERSION_PKI,
    retry_count: int = 0,
    admin_credentials: int = 1,
    pid: str | None = None,
    digests: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """Return the bytes of a Hello.

    `digests` are pairs of algorithm number and digest. Raises ValueError for what no Hello can carry.
    """
    if version not in (VERSION_PSK, VERSION_PKI):
        raise ValueError(f"version is {VERSION_PSK} (PSK) or {VERSION_PKI} (PKI), not {version}")
    from uuid import UUID  # reading Hellos does without it

    try:
        head = struct.pack("<HHI", admin_credentials, version, retry_count) + UUID(uuid).bytes_le
    except struct.error as error:
        raise ValueError(f"flag or retry count is out of range: {error}") from error
    if version == VERSION_PSK:
        if digests:
            raise ValueError("a PSK Hello carries a PID, not digests")
        raw = (pid or "").replace("-", "").encode("ascii", "replace")
        if len(raw) != PID_LENGTH:
            raise ValueError(f"a PID has {PID_LENGTH} characters")
        return head + raw
    if pid is not None:
        raise ValueError("a PKI Hello carries digests, not a PID")
    if len(digests) > _MAX_DIGESTS or any(
        len(value) > 255 or not 0 <= number <= 255 for number, value in digests
    ):
        raise ValueError("at most 255 digests of at most 255 bytes")
    records = b"".join(bytes([number, len(value)]) + value for number, value in digests)
    return head + bytes([len(digests)]) + records


PROTOCOL = Protocol(
    "hello",
    "Hello",
    ports=(
        Port("hello", 9971, "tcp", "hello", "Hello"),
        Port("hello", 9972, "tcp", "hello", "Hello to Realtek's console"),
    ),
)
