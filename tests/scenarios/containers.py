"""Capture files: pcap with microseconds or nanoseconds, pcapng with the capturing machine's statistics.

Written here and not by scapy, which keeps times as floating-point numbers and knows no statistics block.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable

from scenarios.packets import Frame

ETHERNET = 1
SNAPLEN = 262_144
_SECOND = 1_000_000_000
_HARDWARE, _APPLICATION, _COMMENT = 2, 4, 1
_IF_NAME, _IF_TSRESOL = 2, 9
_ISB_IFRECV, _ISB_IFDROP = 4, 5


def render(
    frames: Iterable[Frame], container: str, *, comment: str = "", dropped: int | None = None
) -> bytes:
    """The bytes of a capture file of that kind."""
    kind, _, packed = container.partition(".")
    if kind == "pcapng":
        data = _pcapng(list(frames), comment, dropped)
    else:
        data = _pcap(frames, nanoseconds=kind == "pcap-ns")
    # Without a time in its header a gzip file is the same in every run.
    return gzip.compress(data, mtime=0) if packed else data


def _pcap(frames: Iterable[Frame], *, nanoseconds: bool) -> bytes:
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    out = [struct.pack("<IHHiIII", magic, 2, 4, 0, 0, SNAPLEN, ETHERNET)]
    for frame in frames:
        seconds, rest = divmod(frame.ts, _SECOND)
        size = len(frame.data)
        out.append(struct.pack("<IIII", seconds, rest // unit, size, size) + frame.data)
    return b"".join(out)


def _pcapng(frames: list[Frame], comment: str, dropped: int | None) -> bytes:
    about = [(_COMMENT, comment.encode()), (_APPLICATION, b"amtdiag simulate")]
    out = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options(about))]
    interface = [(_IF_NAME, b"span0"), (_IF_TSRESOL, b"\x09")]
    out.append(_block(1, struct.pack("<HHI", ETHERNET, 0, SNAPLEN) + _options(interface)))
    for frame in frames:
        size = len(frame.data)
        head = struct.pack("<IIIII", 0, frame.ts >> 32, frame.ts & 0xFFFF_FFFF, size, size)
        out.append(_block(6, head + _padded(frame.data)))
    if dropped is not None and frames:
        last = frames[-1].ts
        received = len(frames) + dropped
        counts = [(_ISB_IFRECV, struct.pack("<Q", received)), (_ISB_IFDROP, struct.pack("<Q", dropped))]
        out.append(_block(5, struct.pack("<III", 0, last >> 32, last & 0xFFFF_FFFF) + _options(counts)))
    return b"".join(out)


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _options(options: list[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options) + bytes(
        4
    )


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
