"""The messages that the stand-ins write themselves: DNS, presence pings, a forged answer."""

from __future__ import annotations

import ipaddress
import struct

A, PTR, AAAA = 1, 12, 28
NO_ERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
DNS_PORT = 53
RMCP_PORT = 623
IPV4 = 0x0800


def question(number: int, name: str, kind: int) -> bytes:
    """A question as a stub resolver asks it: recursion desired, class IN."""
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + _name(name) + struct.pack(">2H", kind, 1)


def reply(query: bytes, rcode: int, address: str | None = None) -> bytes:
    """The answer to a question for an address."""
    count = 0 if address is None else 1
    head = query[:2] + struct.pack(">5H", 0x8180 | rcode, 1, count, 0, 0)
    if address is None:
        return head + query[12:]
    record = struct.pack(">HHHIH", 0xC00C, A, 1, 60, 4) + ipaddress.IPv4Address(address).packed
    return head + query[12:] + record


def read_reply(data: bytes) -> tuple[int, list[str]]:
    """The response code, and the addresses or names in an answer."""
    _, flags, questions, answers, *_ = struct.unpack(">6H", data[:12])
    at = 12
    for _ in range(questions):
        at = _read_name(data, at)[1] + 4
    found = []
    for _ in range(answers):
        at = _read_name(data, at)[1]
        kind, _, _, length = struct.unpack(">HHIH", data[at : at + 10])
        at += 10
        if kind in (A, AAAA):
            found.append(str(ipaddress.ip_address(data[at : at + length])))
        elif kind == PTR:
            found.append(_read_name(data, at)[0])
        at += length
    return flags & 0xF, found


def _name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split(".")) + b"\0"


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    labels: list[str] = []
    end = 0
    while data[at]:
        if data[at] >= 0xC0:
            end = end or at + 2
            at = struct.unpack(">H", data[at : at + 2])[0] & 0x3FFF
        else:
            labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii"))
            at += 1 + data[at]
    return ".".join(labels), end or at + 1


def presence_ping(tag: int) -> bytes:
    """An RMCP presence ping as MeshCommander sends it."""
    return b"\x06\x00\x00\x06\x00\x00\x11\xbe\x80" + bytes([tag, 0, 0])


def forged_answer(frame: bytes, rcode: int, address: str) -> bytes | None:
    """The frame that answers a frame with a DNS question in the name of the server that was asked."""
    at = 14
    size = (frame[at] & 0xF) * 4
    udp = at + size
    if frame[at + 9] != 17 or struct.unpack(">H", frame[udp + 2 : udp + 4])[0] != DNS_PORT:
        return None
    data = reply(frame[udp + 8 :], rcode, address)
    source, target = frame[at + 16 : at + 20], frame[at + 12 : at + 16]
    ports = frame[udp + 2 : udp + 4] + frame[udp : udp + 2]
    length = struct.pack(">H", 8 + len(data))
    pseudo = source + target + b"\0\x11" + length
    body = ports + length
    check = struct.pack(">H", _checksum(pseudo + body + b"\0\0" + data) or 0xFFFF)
    head = struct.pack(">BBHHHBB", 0x45, 0, 28 + len(data), 0, 0x4000, 64, 17)
    head += struct.pack(">H", _checksum(head + b"\0\0" + source + target)) + source + target
    return frame[6:12] + frame[:6] + frame[12:14] + head + body + check + data


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
