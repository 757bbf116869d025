"""Makes captures of any size in which few packets matter, with the truth about them.

    python benchmarks/captures.py --size 1G --format pcapng mixed.pcapng

The bulk is traffic of other kinds, from a store of frames with random addresses and ports: TCP and UDP, one
frame in a hundred IPv6, two in a hundred with a VLAN tag. Two packets in a thousand are provisioning: Hellos,
connections back, DHCP, DNS, RMCP. The same arguments give the same bytes, and pcap and pcapng of one size the
same packets.
"""

from __future__ import annotations

import argparse
import json
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from task import MEGA, Format, Kind, Truth, size_of

Random = np.random.Generator

SIZES = {"mixed": (60, 80, 128, 256, 576, 1024, 1514), "small": (80,)}
SHARES = {"mixed": (0.24, 0.10, 0.10, 0.08, 0.08, 0.05, 0.35), "small": (1.0,)}
USED_PORTS = frozenset({9971, 9972, *range(16992, 16996), 664, 4433, 53, 67, 68, 546, 547, 623, 4789})
SYN, PSH_ACK, ACK = 2, 24, 16
START = 1_700_000_000 * MEGA
STORE = 20_000
RELEVANT_STORE = 512
SHARE = 0.002
BATCH = 20_000


def ipv4_frame(  # noqa: PLR0917 - they stand in the order of a packet
    src: bytes,
    dst: bytes,
    protocol: int,
    ports: tuple[int, int],
    payload: bytes,
    flags: int = PSH_ACK,
    seq: int = 1,
) -> bytes:
    if protocol == 6:
        transport = struct.pack(">HHIIBBHHH", *ports, seq, 1 if flags & ACK else 0, 0x50, flags, 64240, 0, 0)
    else:
        transport = struct.pack(">HHHH", *ports, 8 + len(payload), 0)
    total = 20 + len(transport) + len(payload)
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, total, 0, 0x4000, 64, protocol, 0, src, dst)
    words = sum(struct.unpack(">10H", header))
    words = (words & 0xFFFF) + (words >> 16)
    check = struct.pack(">H", ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF)
    frame = (
        b"\2\0" + dst + b"\2\0" + src + b"\x08\0" + header[:10] + check + header[12:] + transport + payload
    )
    return frame.ljust(60, b"\0")


def address(number: int) -> bytes:
    return (0x0A000000 + number).to_bytes(4)


def hello(random: Random) -> bytes:
    """PSK or PKI by turns of the dice; digests that no catalogue knows."""
    version = int(random.integers(2, 4))
    body = struct.pack("<HHI", 1, version, int(random.integers(0, 15))) + random.bytes(16)
    if version == 2:
        return body + b"0000037M"
    return body + bytes([21]) + b"".join(b"\2\x20" + random.bytes(32) for _ in range(21))


def relevant_frames(random: Random) -> tuple[list[bytes], np.ndarray[Any, Any]]:
    """One frame a device, of eight kinds; and which of them are Hellos."""
    server, resolver = address(16), address(1)
    name = b"".join(bytes([len(part)]) + part for part in (b"provisionserver", b"corp", b"example")) + b"\0"
    frames: list[bytes] = []
    for number in range(RELEVANT_STORE):
        device, port, seq = address(0x10000 + number), 49152 + number, int(random.integers(1, 1 << 31))
        match number % 8:
            case 0 | 1 | 2:
                frames.append(ipv4_frame(device, server, 6, (port, 9971), hello(random), seq=seq))
            case 3:
                greeting = b"\x16\x03\x01\0\x40\1\0\0\x3c\3\3" + random.bytes(58)
                frames.append(ipv4_frame(server, device, 6, (port, 16992 + number // 8 % 4), greeting))
            case 4:
                head = struct.pack(">BBBBIHH", 1, 1, 6, 0, number, 0, 0x8000) + bytes(16) + b"\2\0" + device
                options = b"\x63\x82\x53\x63\x35\1\1\x37\4\1\3\6\x0f\xff"
                frames.append(ipv4_frame(bytes(4), b"\xff" * 4, 17, (68, 67), head + bytes(202) + options))
            case 5:
                question = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + name + b"\0\1\0\1"
                frames.append(ipv4_frame(device, resolver, 17, (port, 53), question))
            case 6:
                ping = b"\6\0\xff\6\0\0\x11\xbe\x80" + bytes([number & 255, 0, 0])
                frames.append(ipv4_frame(server, device, 17, (port, 623), ping))
            case _:
                frames.append(ipv4_frame(device, server, 6, (port, 9971), b"", SYN, seq))
    return frames, np.arange(RELEVANT_STORE) % 8 < 3


def bulk_frames(random: Random, kind: Kind) -> list[bytes]:
    """Traffic that does not matter and never has a port that would."""
    frames = []
    for size in random.choice(SIZES[kind], size=STORE, p=SHARES[kind]):
        is_ipv6, has_tag, is_tcp = random.random() < 0.01, random.random() < 0.02, random.random() < 0.8
        ports: list[int] = []
        while len(ports) < 2:
            often = random.random() < 0.25 and not ports
            port = int(random.choice([443, 80, 445, 3389, 8080]) if often else random.integers(1024, 65536))
            if port not in USED_PORTS:
                ports.append(port)
        link = b"\2" + random.bytes(5) + b"\2" + random.bytes(5)
        if has_tag:
            link += b"\x81\0" + int(random.integers(1, 4000)).to_bytes(2)
        room = max(0, int(size) - len(link) - 2 - (40 if is_ipv6 else 20) - (20 if is_tcp else 8))
        if is_tcp:
            numbers = [int(one) for one in random.integers(1 << 31, size=2)]
            transport = struct.pack(">HHIIBBHHH", *ports, *numbers, 0x50, ACK, 64240, 0, 0)
        else:
            transport = struct.pack(">HHHH", *ports, 8 + room, 0)
        content = transport + random.bytes(room)
        protocol = 6 if is_tcp else 17
        if is_ipv6:
            header = (
                struct.pack(">IHBB", 6 << 28, len(content), protocol, 64)
                + b"\x20\1\x0d\xb8"
                + random.bytes(28)
            )
        else:
            start = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(content), 0, 0x4000, 64, protocol, 0)
            header = start + b"\x0b" + random.bytes(3) + b"\x0b" + random.bytes(3)
        frames.append(link + (b"\x86\xdd" if is_ipv6 else b"\x08\0") + header + content)
    return frames


def record(frame: bytes, form: Format) -> bytes:
    """With an empty time stamp."""
    if form == "pcap":
        return struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame
    body = struct.pack("<IIIII", 0, 0, 0, len(frame), len(frame)) + frame + bytes(-len(frame) % 4)
    return struct.pack("<II", 6, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def file_header(form: Format) -> bytes:
    if form == "pcap":
        return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    return section + struct.pack("<IIHHII", 1, 20, 1, 0, 262_144, 20)


def write_stamps(
    buffer: np.ndarray[Any, Any], starts: np.ndarray[Any, Any], first: int, form: Format
) -> None:
    """A packet every 20 microseconds."""
    stamps = START + (first + np.arange(len(starts), dtype=np.int64)) * 20
    if form == "pcap":
        at, halves = 0, (stamps // MEGA, stamps % MEGA)
    else:
        at, halves = 12, (stamps >> 32, stamps & 0xFFFF_FFFF)
    for number, half in enumerate(halves):
        digits = half.astype("<u4").view(np.uint8).reshape(-1, 4)
        for digit in range(4):
            buffer[starts + at + 4 * number + digit] = digits[:, digit]


def write(out: BinaryIO, kind: Kind, size: int, form: Format, seed: int = 1) -> Truth:
    """Write packets until a pcap file of them would have `size` bytes."""
    random = np.random.default_rng(seed)
    bulk = bulk_frames(random, kind)
    relevant, is_hello = relevant_frames(random)
    records = [np.frombuffer(record(frame, form), np.uint8) for frame in bulk + relevant]
    lengths = np.array([len(one) for one in records])
    pcap_lengths = np.array([16 + len(frame) for frame in bulk + relevant])
    store = np.concatenate(records)
    offsets = np.cumsum(lengths) - lengths
    out.write(file_header(form))
    done, packets, matter = 24, 0, 0
    hellos: set[int] = set()
    while done < size:
        chosen = random.integers(0, STORE, BATCH)
        matters = random.random(BATCH) < SHARE
        chosen[matters] = STORE + random.integers(0, RELEVANT_STORE, int(matters.sum()))
        ends = done + np.cumsum(pcap_lengths[chosen])
        chosen = chosen[: int(np.searchsorted(ends, size)) + 1]
        done = int(ends[len(chosen) - 1])
        taken = lengths[chosen]
        starts = np.cumsum(taken) - taken
        buffer = store[np.repeat(offsets[chosen] - starts, taken) + np.arange(int(taken.sum()))]
        write_stamps(buffer, starts, packets, form)
        out.write(buffer.tobytes())
        packets += len(chosen)
        found = chosen[chosen >= STORE] - STORE
        matter += len(found)
        hellos.update(found[is_hello[found]].tolist())
    return Truth(packets, matter, len(hellos), out.tell())


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a big capture in which few packets matter.")
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--kind", choices=("mixed", "small"), default="mixed", help="small: 80 bytes a packet"
    )
    parser.add_argument("--size", type=size_of, default=size_of("1G"))
    parser.add_argument("--format", choices=("pcap", "pcapng"), default="pcap")
    arguments = parser.parse_args()
    with arguments.out.open("wb") as out:
        print(json.dumps(asdict(write(out, arguments.kind, arguments.size, arguments.format))))


if __name__ == "__main__":
    main()
