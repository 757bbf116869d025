"""What is around an IP packet: link layers, tags, tunnels."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from shapes.messages import ANY, Unchecked
from shapes.packets import Packet, ip_header


@dataclass(frozen=True, slots=True)
class Link:
    """What a capture stores around an IP packet. ``shows_mac``: the sender's hardware address is there."""

    type: int
    wrap: Callable[[Packet], bytes]
    vlan: tuple[int, ...] | Unchecked = ()
    shows_mac: bool | Unchecked = True


def ether_type(packet: Packet) -> int:
    return 0x0800 if packet.version == 4 else 0x86DD


def ethernet(*tags: tuple[int, int], body: Callable[[Packet], tuple[int, bytes]] | None = None) -> Link:
    """Ethernet with (tag type, VLAN id) tags, outermost first; ``body`` gives an EtherType and the rest."""

    def wrap(packet: Packet) -> bytes:
        source, destination = packet.macs
        kind, content = body(packet) if body else (ether_type(packet), packet.ip)
        kinds = [tag for tag, _ in tags] + [kind]
        stack = b"".join(struct.pack(">HH", vid, k) for (_, vid), k in zip(tags, kinds[1:], strict=True))
        return destination + source + struct.pack(">H", kinds[0]) + stack + content

    return Link(1, wrap, tuple(vid for _, vid in tags))


def prefixed(linktype: int, prefix: Callable[[Packet], bytes] | bytes, *, shows_mac: bool = False) -> Link:
    def wrap(packet: Packet) -> bytes:
        return (prefix if isinstance(prefix, bytes) else prefix(packet)) + packet.ip

    return Link(linktype, wrap, shows_mac=shows_mac)


def family(order: str, ipv6: int = 24) -> Callable[[Packet], bytes]:
    """An address family as BSD writes it; IPv6 has another number on each system."""
    return lambda packet: struct.pack(order + "I", 2 if packet.version == 4 else ipv6)


def ppp(before: bytes = b"", *, short: bool = False) -> Callable[[Packet], bytes]:
    """The number of a PPP protocol; ``short``: in one byte."""
    return lambda packet: before + (0x21 if packet.version == 4 else 0x57).to_bytes(1 if short else 2, "big")


def pppoe(packet: Packet) -> tuple[int, bytes]:
    protocol = 0x0021 if packet.version == 4 else 0x0057
    return 0x8864, struct.pack(">BBHHH", 0x11, 0, 0x2A, len(packet.ip) + 2, protocol) + packet.ip


def mpls(*labels: int, pseudowire: bool = False) -> Callable[[Packet], tuple[int, bytes]]:
    def body(packet: Packet) -> tuple[int, bytes]:
        stack = b"".join(
            struct.pack(">I", label << 12 | (number == len(labels)) << 8 | 64)
            for number, label in enumerate(labels, 1)
        )
        inner = b"\0\0\0\0" + ethernet().wrap(packet) if pseudowire else packet.ip
        return 0x8847, stack + inner

    return body


def llc_snap(packet: Packet) -> tuple[int, bytes]:
    content = b"\xaa\xaa\x03\0\0\0" + struct.pack(">H", ether_type(packet)) + packet.ip
    return len(content), content


def sll(packet: Packet, *, vid: int | None = None) -> bytes:
    tag = b"" if vid is None else struct.pack(">HH", vid, ether_type(packet))
    kind = ether_type(packet) if vid is None else 0x8100
    return struct.pack(">HHH6sHH", 0 if packet.outbound else 4, 1, 6, packet.macs[0], 0, kind) + tag


def sll2(packet: Packet) -> bytes:
    return struct.pack(
        ">HHIHBB6sH", ether_type(packet), 0, 2, 1, 0 if packet.outbound else 4, 6, packet.macs[0], 0
    )


def tunnel(protocol: int, before: bytes, *, inner_ethernet: bool = False, udp_port: int = 0) -> Link:
    """The packet inside another IPv4 packet between two routers."""

    def body(packet: Packet) -> tuple[int, bytes]:
        content = before + (ethernet().wrap(packet) if inner_ethernet else packet.ip)
        if udp_port:
            content = struct.pack(">HHHH", 51000, udp_port, len(content) + 8, 0) + content
        return 0x0800, ip_header("10.9.0.1", "10.9.0.2", protocol, len(content), ip_id=packet.ip_id) + content

    return replace(ethernet(body=body), shows_mac=ANY, vlan=ANY)


RAW = Link(101, lambda packet: packet.ip, shows_mac=False)
ERSPAN2 = struct.pack(">HHI", 0x1000, 0x88BE, 1) + struct.pack(">HHI", 0x1000, 0x0005, 0)
