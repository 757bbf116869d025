"""The bytes of a Hello, and what they mean."""

from __future__ import annotations

import itertools
import json
import random
import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"


class Unchecked(Enum):
    """A field that the truth leaves open."""

    ANY = "not compared"

    def __repr__(self) -> str:
        return "ANY"


ANY = Unchecked.ANY

# --------------------------------------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class Digest:
    index: int
    algorithm_id: int
    value: bytes
    offset: int  # of the record's algorithm byte in the message

    @property
    def end(self) -> int:
        return self.offset + 2 + len(self.value)


@dataclass(frozen=True, slots=True)
class Message:
    """What a device sends in one connection. ``version`` None: no Hello at all."""

    payload: bytes
    version: int | None = None
    retry: int = 0
    flag: int = 0
    uuid: str = ""
    digests: tuple[Digest, ...] = ()
    pid: bytes | None = None
    trailing: int | Unchecked = 0
    whole: bool | Unchecked = True

    @property
    def type(self) -> str:
        return {2: "psk", 3: "pki"}.get(self.version or 0, "unknown")


REAL_UUID = bytes.fromhex("4b529b93d413181de4871c697a6b7a2b")
INTEL_PID = b"0000037M"  # the example of Intel's documentation, with a right check character
SHA1, SHA256, SHA384, CODE4 = (1, 20), (2, 32), (3, 48), (4, 32)


def device_uuid(number: int) -> bytes:
    return REAL_UUID[:10] + number.to_bytes(6, "big")


def header(version: int, retry: int, flag: int, uuid_wire: bytes) -> bytes:
    return struct.pack("<HHI", flag, version, retry) + uuid_wire


def pki(
    entries: Iterable[tuple[int, bytes]],
    *,
    retry: int = 0,
    flag: int = 1,
    uuid_wire: bytes = REAL_UUID,
    trailing: bytes = b"",
    cut: int | None = None,
) -> Message:
    """A Type 3 Hello of (algorithm code, digest) entries; ``cut``: the sender stops after so many bytes."""
    entries = list(entries)
    payload = header(3, retry, flag, uuid_wire) + bytes([len(entries)])
    digests = []
    for index, (code, value) in enumerate(entries):
        digests.append(Digest(index, code, value, len(payload)))
        payload += bytes([code, len(value)]) + value
    payload = (payload + trailing)[:cut]
    return Message(
        payload,
        3,
        retry,
        flag,
        str(uuid.UUID(bytes_le=uuid_wire)),
        tuple(d for d in digests if d.end <= len(payload)),
        trailing=len(trailing),
        whole=cut is None,
    )


def psk(pid: bytes = INTEL_PID, *, retry: int = 0, flag: int = 1, uuid_wire: bytes = REAL_UUID) -> Message:
    payload = header(2, retry, flag, uuid_wire) + pid
    return Message(payload, 2, retry, flag, str(uuid.UUID(bytes_le=uuid_wire)), pid=pid)


def bare(version: int, rest: bytes = b"") -> Message:
    """A Hello of a version nobody documents: only its header means something."""
    payload = header(version, 0, 1, REAL_UUID) + rest
    text = str(uuid.UUID(bytes_le=REAL_UUID))
    return Message(payload, version, 0, 1, text, trailing=ANY if rest else 0, whole=ANY)


def noise(payload: bytes) -> Message:
    """Bytes that are no Hello."""
    return Message(payload)


def invented(count: int, *kinds: tuple[int, int], seed: int = 7) -> list[tuple[int, bytes]]:
    """Entries with made-up digests, the (code, length) kinds in turn."""
    generator = random.Random(seed)
    return [
        (code, generator.randbytes(size)) for code, size in itertools.islice(itertools.cycle(kinds), count)
    ]


def pid_check_ok(pid: bytes) -> bool:
    total = sum(pid[:7]) % 36
    return pid[7] == (0x30 if total < 10 else 0x37) + total


_REAL_FACTS = json.loads((DATA / "real_hello.json").read_text(encoding="utf-8"))
REAL_ENTRIES = [(d["algorithm_id"], bytes.fromhex(d["digest"])) for d in _REAL_FACTS["digests"]]


def real(*, retry: int = 0, flag: int = 1, uuid_wire: bytes = REAL_UUID, cut: int | None = None) -> Message:
    """The Hello of real hardware, as it is or with another header."""
    return pki(REAL_ENTRIES, retry=retry, flag=flag, uuid_wire=uuid_wire, cut=cut)


REAL = real()
if (
    REAL.payload.hex() != _REAL_FACTS["payload_hex"]
):  # the maker of messages against a message nobody here made
    raise AssertionError("the message put together from the real Hello's fields is not the real Hello")
SIZE = len(REAL.payload)
