"""Floods that try to drown the devices of a live capture: what one sender on the segment can send.

A flood gives, by number, the packets of one of its strokes. Addresses and identities are made up from the
number; `VICTIM` is the server that devices say Hello to.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SYN, RST, ACK, PSH_ACK, SYN_ACK, FIN_ACK = 2, 4, 16, 24, 18, 17
_TCP, _UDP, _ICMP = 6, 17, 1
_DHCP_MAGIC = bytes.fromhex("63825363")


@dataclass(frozen=True)
class Target:
    """A server and a device that are really there."""

    server: bytes
    device: bytes


Stroke = Callable[[int, Target], Iterator[bytes]]


def dice(number: int) -> random.Random:
    return random.Random(number)


def stranger(number: int) -> bytes:
    """An address that nobody has."""
    return bytes((10, 200)) + ((number * 40_503 + 77) % 65_536).to_bytes(2)


def frame(src: bytes, dst: bytes, protocol: int, transport: bytes, mac: bytes | None = None) -> bytes:
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(transport), 0, 0x4000, 64, protocol, 0, src, dst)
    link = b"\x02\0" + dst + (mac or b"\x02\0" + src) + b"\x08\0"
    return link + header + transport


def tcp(  # noqa: PLR0917 - they stand in the order of a packet
    src: bytes, dst: bytes, ports: tuple[int, int], flags: int, seq: int, ack: int = 0, data: bytes = b""
) -> bytes:
    return frame(src, dst, _TCP, struct.pack(">HHIIBBHHH", *ports, seq, ack, 0x50, flags, 8192, 0, 0) + data)


def udp(src: bytes, dst: bytes, ports: tuple[int, int], data: bytes, mac: bytes | None = None) -> bytes:
    return frame(src, dst, _UDP, struct.pack(">HHHH", *ports, 8 + len(data), 0) + data, mac)


def hello(number: int, digests: int = 3) -> bytes:
    """Of a device with a random UUID."""
    found = dice(number)
    body = struct.pack("<HHI", 1, 3, 0) + found.randbytes(16) + bytes([digests])
    return body + b"".join(b"\2\x20" + found.randbytes(32) for _ in range(min(digests, 3)))


def conversation(
    client: bytes, server: bytes, ports: tuple[int, int], *said: bytes, seq: int
) -> Iterator[bytes]:
    """Opened, something said, closed: both sides made up."""
    back = ports[::-1]
    yield tcp(client, server, ports, SYN, seq)
    yield tcp(server, client, back, SYN_ACK, 500, seq + 1)
    at = seq + 1
    for one in said:
        yield tcp(client, server, ports, PSH_ACK, at, 501, one)
        at += len(one)
        yield tcp(server, client, back, ACK, 501, at)
    yield tcp(client, server, ports, FIN_ACK, at, 501)
    yield tcp(server, client, back, FIN_ACK, 501, at + 1)


def seq_of(number: int) -> int:
    return number * 40_503 % (1 << 31)


def port_of(number: int) -> int:
    return 1024 + number % 60_000


# ---------------------------------------------------------------------------------------------------- strokes


def random_uuids(number: int, target: Target) -> Iterator[bytes]:
    """Whole Hellos of ever another device, from one address."""
    ends = bytes((10, 200, 0, 9)), target.server, (port_of(number), 9971)
    yield from conversation(*ends, hello(number), seq=seq_of(number))


def random_everything(number: int, target: Target) -> Iterator[bytes]:
    """The same, from ever another address."""
    ends = stranger(number), target.server, (port_of(number), 9971)
    yield from conversation(*ends, hello(number), seq=seq_of(number))


def bare_hellos(number: int, target: Target) -> Iterator[bytes]:
    """Hellos without a connection, in single packets."""
    yield tcp(stranger(number), target.server, (port_of(number), 9971), PSH_ACK, 1, 1, hello(number))


def half_open(number: int, target: Target) -> Iterator[bytes]:
    """SYNs that nobody answers."""
    yield tcp(stranger(number), target.server, (port_of(number), 9971 + number % 2), SYN, number)


def half_open_from_one(number: int, target: Target) -> Iterator[bytes]:
    yield tcp(bytes((10, 200, 0, 9)), target.server, (port_of(number), 9971), SYN, number)


def answered_and_left(number: int, target: Target) -> Iterator[bytes]:
    """Connections that are opened and never used."""
    yield tcp(stranger(number), target.server, (port_of(number), 9971), SYN, number)
    yield tcp(target.server, stranger(number), (9971, port_of(number)), SYN_ACK, 500, number + 1)


def endless_digests(number: int, target: Target) -> Iterator[bytes]:
    """Lists of digests that do not end, on some connections for ever."""
    client, ports = stranger(number % 40), (port_of(number % 40), 9971)
    if number < 40:
        yield tcp(client, target.server, ports, SYN, 999)
        yield tcp(target.server, client, ports[::-1], SYN_ACK, 500, 1000)
        yield tcp(client, target.server, ports, PSH_ACK, 1000, 501, hello(number, 255))
    found = dice(number)
    block = b"".join(b"\2\x20" + found.randbytes(32) for _ in range(40))
    yield tcp(client, target.server, ports, PSH_ACK, 1127 + number // 40 * len(block), 501, block)


def overlapping(number: int, target: Target) -> Iterator[bytes]:
    """Single bytes out of order and over each other, each with another value."""
    client, ports = stranger(number % 20), (port_of(number % 20), 9971)
    if number < 20:
        yield tcp(client, target.server, ports, SYN, 999)
        yield tcp(target.server, client, ports[::-1], SYN_ACK, 500, 1000)
    at = (number * 7919) % 60_000
    yield tcp(client, target.server, ports, PSH_ACK, 1000 + at * 3, 501, bytes([number % 256]))
    yield tcp(client, target.server, ports, PSH_ACK, 1000 + at, 501, dice(number).randbytes(4))


def dhcp_message(kind: int, mac: bytes, yours: bytes, options: bytes) -> bytes:
    operation = 2 if kind in (2, 5, 6) else 1
    head = struct.pack(">BBBBIHH4s4s4s4s", operation, 1, 6, 0, 7, 0, 0, bytes(4), yours, bytes(4), bytes(4))
    return head + mac.ljust(16, b"\0") + bytes(192) + _DHCP_MAGIC + bytes((53, 1, kind)) + options + b"\xff"


def starving_dhcp(number: int, target: Target) -> Iterator[bytes]:
    """Ever another client that gets a lease without a DNS server."""
    mac, server = b"\x06\0" + number.to_bytes(4), bytes((10, 200, 255, 254))
    asked = b"\x37\4\1\3\6\x0f"
    everybody = b"\xff" * 4
    yield udp(bytes(4), everybody, (68, 67), dhcp_message(1, mac, bytes(4), asked), mac)
    for kind in (2, 5):
        yield udp(server, everybody, (67, 68), dhcp_message(kind, mac, stranger(number), b"\x36\4" + server))


def dhcp_for_the_device(number: int, target: Target) -> Iterator[bytes]:
    """The address of a device that is there, given to ever another client."""
    mac, server = b"\x06\0" + number.to_bytes(4), bytes((10, 200, 255, 254))
    yield udp(server, b"\xff" * 4, (67, 68), dhcp_message(5, mac, target.device, b"\x36\4" + server))


def name(*parts: bytes) -> bytes:
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0\0\1\0\1"


def dns(number: int, asked: bytes, client: bytes, target: Target) -> Iterator[bytes]:
    resolver, xid, port = bytes((10, 200, 255, 253)), number % 65_536, port_of(number)
    yield udp(client, resolver, (port, 53), struct.pack(">HHHHHH", xid, 0x100, 1, 0, 0, 0) + asked)
    answer = struct.pack(">HHHHHH", xid, 0x8180, 1, 1, 0, 0) + asked
    found = b"\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4" + stranger(number + 1)
    yield udp(resolver, client, (53, port), answer + found)


def discoveries(number: int, target: Target) -> Iterator[bytes]:
    """Ever another client that finds a server nobody has."""
    asked = name(b"provisionserver", b"x%d" % number, b"example")
    yield from dns(number, asked, stranger(number), target)


def other_names(number: int, target: Target) -> Iterator[bytes]:
    yield from dns(number, name(b"n%d" % number, b"example"), stranger(number), target)


def questions(number: int, target: Target) -> Iterator[bytes]:
    """Names that nobody is asked to answer for."""
    yield next(dns(number, name(b"q%d" % number, b"example"), stranger(number), target))


def pongs(number: int, target: Target) -> Iterator[bytes]:
    """Presence pongs of devices that are not there."""
    pong = b"\6\0\xff\6\0\0\x11\xbe\x40\0\0\x10\0\0\1\x57" + b"\0\0\xb0\1" + bytes(8)
    yield udp(stranger(number), target.server, (623, port_of(number)), pong)


def tls_hellos(number: int, target: Target) -> Iterator[bytes]:
    """The server seems to call ever another device, which begins TLS."""
    greeting = b"\x16\x03\x01\0\x3b\1\0\0\x37\3\3" + dice(number).randbytes(53)
    ends = target.server, stranger(number), (port_of(number), 16993)
    yield from conversation(*ends, greeting, seq=seq_of(number))


def calls(number: int, target: Target) -> Iterator[bytes]:
    """The server seems to call ever another device in vain."""
    yield tcp(target.server, stranger(number), (port_of(number), 16993), SYN, number)


def gratuitous_arp(number: int, target: Target) -> Iterator[bytes]:
    mac, address = b"\x06\0" + number.to_bytes(4), stranger(number)
    body = b"\0\1\x08\0\6\4\0\1" + mac + address + bytes(6) + address
    yield (b"\xff" * 6 + mac + b"\x08\x06" + body).ljust(60, b"\0")


def unreachable(number: int, target: Target) -> Iterator[bytes]:
    """ICMP about attempts that nobody made."""
    about = tcp(stranger(number), target.server, (port_of(number), 9971), SYN, number)[14:42]
    yield frame(stranger(number + 7), stranger(number), _ICMP, b"\3\1\0\0\0\0\0\0" + about)


def odd_ports(number: int, target: Target) -> Iterator[bytes]:
    """SYNs to ports that nobody expects, and beginnings of a Hello on them."""
    ports = (port_of(number), 20_000 + number % 999)
    yield tcp(stranger(number), target.server, ports, SYN, number)
    yield tcp(stranger(number), target.server, ports, PSH_ACK, number + 1, 1, hello(number)[:10])


def odd_hellos(number: int, target: Target) -> Iterator[bytes]:
    ports = (port_of(number), 20_000 + number % 999)
    yield from conversation(stranger(number), target.server, ports, hello(number), seq=seq_of(number))


def pieces(number: int, target: Target) -> Iterator[bytes]:
    """First fragments of datagrams whose rest never comes."""
    whole = bytearray(udp(stranger(number), target.server, (port_of(number), 53), bytes(1400)))
    whole[18:22] = number.to_bytes(4)[2:] + b"\x20\0"
    yield bytes(whole)


FLOODS: tuple[Stroke, ...] = (
    random_uuids, random_everything, bare_hellos, half_open, half_open_from_one, answered_and_left,
    endless_digests, overlapping, starving_dhcp, dhcp_for_the_device, discoveries, other_names, questions,
    pongs, tls_hellos, calls, gratuitous_arp, unreachable, odd_ports, odd_hellos, pieces,
)  # fmt: skip
