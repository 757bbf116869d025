"""Who talks to whom, and one IP packet of it."""

from __future__ import annotations

import functools
import ipaddress
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shapes.messages import Message

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
T0 = 1_700_000_000_001_234_567  # ns
STEP = 1_234_567
SERVER_ISN = 4096


@dataclass(frozen=True, slots=True)
class Flow:
    """Who talks to whom, device first."""

    src: str = "192.168.2.148"
    dst: str = "192.168.2.10"
    sport: int = 49160
    dport: int = 9971
    src_mac: str = "1c:69:7a:6b:7a:2b"
    dst_mac: str = "02:00:00:00:99:71"


FLOW = Flow()
STRICT = Flow(dport=40000)  # a port that means nothing: only the bytes can tell a Hello
FLOW6 = Flow(src="2001:db8:2::148", dst="2001:db8:2::10")


def device(number: int, dport: int = 9971) -> Flow:
    return Flow(
        f"192.168.2.{number}", sport=49160 + number, dport=dport, src_mac=f"1c:69:7a:00:00:{number:02x}"
    )


@dataclass(frozen=True, slots=True)
class Connection:
    flow: Flow
    message: Message
    isn: int
    start: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One IP packet. ``cargo``: which bytes of the message it carries."""

    at: int
    connection: Connection
    outbound: bool
    ip_id: int
    tcp: bytes
    payload: bytes
    cargo: tuple[int, int] | None
    network: Network
    ttl: int = 64
    routed: bool = False

    @property
    def addresses(self) -> tuple[str, str]:
        flow = self.connection.flow
        return (flow.src, flow.dst) if self.outbound else (flow.dst, flow.src)

    @property
    def macs(self) -> tuple[bytes, bytes]:
        """Source and destination; a router in between shows its own."""
        if self.routed:
            return mac("02:00:00:00:00:fe"), mac("02:00:00:00:00:fd")
        flow = self.connection.flow
        pair = mac(flow.src_mac), mac(flow.dst_mac)
        return pair if self.outbound else pair[::-1]

    @property
    def ip(self) -> bytes:
        return self.network(self)

    @property
    def version(self) -> int:
        return self.ip[0] >> 4


Network = Callable[[Packet], bytes]


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@functools.cache
def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def ip_header(
    src: str,
    dst: str,
    proto: int,
    size: int,
    *,
    ip_id: int = 1,
    ttl: int = 64,
    options: bytes = b"",
    fragment: int = 0,
    total: int | None = None,
    wrong: int = 0,
) -> bytes:
    """An IPv4 header; ``fragment`` is the whole flags-and-offset field, ``wrong`` spoils the checksum."""
    words = 5 + len(options) // 4
    total = words * 4 + size if total is None else total

    def build(check: int) -> bytes:
        start = struct.pack(">BBHHHBBH", 0x40 | words, 0, total, ip_id & 0xFFFF, fragment, ttl, proto, check)
        return start + packed(src) + packed(dst) + options

    return build(checksum(build(0)) ^ wrong)


def ipv4(
    packet: Packet, *, options: bytes = b"", no_length: bool = False, wrong_checksums: bool = False
) -> bytes:
    """``no_length``: total length 0, as a segmentation offload leaves it."""
    tcp = packet.tcp
    wrong = 0x5555 if wrong_checksums else 0
    if wrong:
        tcp = tcp[:16] + bytes([tcp[16] ^ 0x55, tcp[17] ^ 0x55]) + tcp[18:]
    head = ip_header(
        *packet.addresses,
        6,
        len(tcp),
        ip_id=packet.ip_id,
        ttl=packet.ttl,
        options=options,
        fragment=0x4000,
        total=0 if no_length else None,
        wrong=wrong,
    )
    return head + tcp


def ipv6_header(src: str, dst: str, following: int, size: int, hops: int = 64) -> bytes:
    return struct.pack(">IHBB", 6 << 28, size, following, hops) + packed(src) + packed(dst)


def ipv6(packet: Packet, extensions: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """``extensions``: (protocol number, body after the next-header byte) in order."""
    following = [number for number, _ in [*extensions, (6, b"")][1:]]
    chain = b"".join(bytes([n]) + body for n, (_, body) in zip(following, extensions, strict=True))
    first = extensions[0][0] if extensions else 6
    rest = chain + packet.tcp
    return ipv6_header(*packet.addresses, first, len(rest), packet.ttl) + rest


def auto(packet: Packet) -> bytes:
    return ipv6(packet) if ":" in packet.connection.flow.src else ipv4(packet)
