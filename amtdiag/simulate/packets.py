"""Single packets made with scapy, and the trace that collects them in the order of their times."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from amtdiag.errors import MissingToolError
from amtdiag.simulate.hosts import Device, Host, Network
from amtdiag.simulate.roots import ALGORITHMS

if TYPE_CHECKING:
    from scapy.packet import Packet

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
BROADCAST = "ff:ff:ff:ff:ff:ff"
_DHCP_LENGTH = 300
"""BOOTP's smallest message; every client pads to it."""


def need_scapy() -> None:
    """Raise MissingToolError, in one line, where scapy is not installed."""
    try:
        import scapy  # noqa: F401
    except ImportError:
        raise MissingToolError("making captures needs scapy: pip install amtdiag[scapy]") from None


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured frame."""

    ts: int
    """Nanoseconds since 1970 UTC."""
    data: bytes
    src: Host
    hello: int | None = None
    """Number of the Hello whose bytes it carries."""
    carries: int = 0
    """How many of them."""
    copy: bool = False
    """It only repeats bytes that another frame carried: a retransmission or a mirror's duplicate."""


@dataclass(frozen=True, slots=True)
class SentHello:
    """A Hello as the simulated device sent it, which is the truth about it."""

    device: Device
    retry_count: int
    src: str
    dst: str
    sport: int
    dport: int
    payload: bytes
    digests: tuple[bytes, ...]
    """The whole ones in the payload."""


class Trace:
    """What a capture will hold. Its one seeded generator is all the chance there is."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        self.frames: list[Frame] = []
        self.hellos: list[SentHello] = []

    def add(self, ts: int, src: Host, packet: Packet) -> None:
        """Add a packet at a time; the order of calls does not matter."""
        self.frames.append(Frame(ts // MICROSECOND * MICROSECOND, bytes(packet), src))

    def add_hello(self, hello: int, ts: int, src: Host, packet: Packet, carries: int, *, copy: bool) -> None:
        """Add a packet with `carries` bytes of a Hello."""
        self.add(ts, src, packet)
        self.frames[-1] = replace(self.frames[-1], hello=hello, carries=carries, copy=copy)

    def sent(self, hello: SentHello) -> int:
        """Note a Hello and return the number by which its frames name it."""
        self.hellos.append(hello)
        return len(self.hellos) - 1

    def jitter(self, low: int, high: int) -> int:
        """A time span between two."""
        return self.rng.randint(low, high)

    def ordered(self) -> list[Frame]:
        """The frames as a capture has them."""
        return sorted(self.frames, key=lambda frame: frame.ts)

    def keep(self, wanted: Callable[[Frame], bool]) -> None:
        """Lose all frames but the wanted ones: what a capture at another place, or a shorter one, holds."""
        self.frames = [frame for frame in self.frames if wanted(frame)]

    def mirror(self, delay: int) -> None:
        """Repeat every frame a little later, as a port mirror that sees both ends of a switch does."""
        self.frames += [replace(frame, ts=frame.ts + delay, copy=True) for frame in self.frames]


def digests_of(device: Device) -> tuple[bytes, ...]:
    """The digest list of a device; empty where it has a PID."""
    return () if device.pid is not None else tuple(root.digest(device.digest) for root in device.roots)


def hello_bytes(device: Device, retry_count: int) -> bytes:
    """The Hello of a device: header, then PID or digest list."""
    from uuid import UUID

    head = b"".join(
        number.to_bytes(size, "little")
        for number, size in ((device.admin_credentials, 2), (device.hello_version, 2), (retry_count, 4))
    )
    head += UUID(device.uuid).bytes_le
    if device.pid is not None:
        return head + device.pid.encode("ascii")
    digests = digests_of(device)
    records = b"".join(bytes([ALGORITHMS[device.digest], len(digest)]) + digest for digest in digests)
    return head + bytes([len(digests)]) + records


def udp(src: Host, dst: Host, ports: tuple[int, int], payload: Packet, ip_id: int) -> Packet:
    """A UDP datagram, from one port to another, in its Ethernet frame."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    return (
        Ether(src=src.mac, dst=dst.mac)
        / IP(src=src.ip, dst=dst.ip, id=ip_id)
        / UDP(sport=ports[0], dport=ports[1])
        / payload
    )


def arp(trace: Trace, at: int, asker: Host, target: Host, *, answered: bool = True) -> int:
    """Ask who has an address; return the time after the answer."""
    from scapy.layers.l2 import ARP, Ether

    ask = ARP(op="who-has", hwsrc=asker.mac, psrc=asker.ip, hwdst="00:00:00:00:00:00", pdst=target.ip)
    trace.add(at, asker, Ether(src=asker.mac, dst=BROADCAST) / ask)
    if answered:
        at += trace.jitter(15, 300) * MICROSECOND
        say = ARP(op="is-at", hwsrc=target.mac, psrc=target.ip, hwdst=asker.mac, pdst=asker.ip)
        trace.add(at, target, Ether(src=target.mac, dst=asker.mac) / say)
    return at + trace.jitter(20, 200) * MICROSECOND


def dns(trace: Trace, at: int, net: Network, asker: Host, name: str, *, address: str | None) -> int:
    """Ask the site's DNS server; no address is answered NXDOMAIN. Return the time after."""
    from scapy.layers.dns import DNS, DNSQR, DNSRR

    number, port = trace.rng.getrandbits(16), trace.jitter(32768, 60999)
    kind = "PTR" if name.endswith(".in-addr.arpa") else "A"
    question = DNSQR(qname=name, qtype=kind)
    ask = DNS(id=number, rd=1, qd=[question])
    trace.add(at, asker, udp(asker, net.router, (port, 53), ask, trace.rng.getrandbits(16)))
    at += trace.jitter(100, 900) * MICROSECOND
    answers = [DNSRR(rrname=name, type="A", ttl=300, rdata=address)] if address else []
    say = DNS(id=number, qr=1, rd=1, ra=1, aa=1, rcode=0 if address else 3, qd=[question], an=answers)
    trace.add(at, net.router, udp(net.router, asker, (53, port), say, trace.rng.getrandbits(16)))
    return at + trace.jitter(200, 900) * MICROSECOND


def lease(trace: Trace, at: int, net: Network, device: Host) -> int:
    """A whole DHCP exchange, options 6 and 15 in it; return the time after."""
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    number = trace.rng.getrandbits(32)
    hardware = bytes.fromhex(device.mac.replace(":", ""))
    given = [
        ("server_id", net.router.ip),
        ("lease_time", 43200),
        ("subnet_mask", "255.255.255.0"),
        ("router", net.router.ip),
        ("name_server", net.router.ip),
        ("domain", net.suffix.encode()),
        "end",
    ]
    wanted = ("param_req_list", [1, 3, 6, 12, 15, 28, 81])
    asked = [("requested_addr", device.ip), ("server_id", net.router.ip)]
    steps = (
        ("discover", [wanted, "end"]),
        ("offer", given),
        ("request", [*asked, wanted, ("hostname", device.name.encode()), "end"]),
        ("ack", given),
    )
    for kind, options in steps:
        ours = kind in {"discover", "request"}
        message = BOOTP(
            op=1 if ours else 2,
            xid=number,
            chaddr=hardware,
            yiaddr="0.0.0.0" if ours else device.ip,  # noqa: S104 - "no address yet", not a listener
            siaddr="0.0.0.0" if ours else net.router.ip,  # noqa: S104
        ) / DHCP(options=[("message-type", kind), *options])
        message /= Raw(bytes(max(0, _DHCP_LENGTH - len(bytes(message)))))
        if ours:
            frame = Ether(src=device.mac, dst=BROADCAST) / IP(src="0.0.0.0", dst="255.255.255.255", id=0)  # noqa: S104
            ports = UDP(sport=68, dport=67)
        else:
            frame = Ether(src=net.router.mac, dst=device.mac) / IP(
                src=net.router.ip, dst=device.ip, id=trace.rng.getrandbits(16)
            )
            ports = UDP(sport=67, dport=68)
        trace.add(at, device if ours else net.router, frame / ports / message)
        at += trace.jitter(300, 1200) * MICROSECOND if ours else trace.jitter(4, 25) * MILLISECOND
    return at
