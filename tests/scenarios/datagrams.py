"""What precedes a Hello, and what asks for a mode: ARP, DHCP, DNS and RMCP, as exchanges of datagrams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amtdiag.simulator.hosts import Host, Network
from amtdiag.simulator.rmcp import RMCP_PORT, Pong
from scenarios.packets import BROADCAST, MICROSECOND, MILLISECOND, SECOND, Trace

if TYPE_CHECKING:
    from scapy.packet import Packet

NXDOMAIN, SERVFAIL = 3, 2
_NO_ADDRESS = "0.0.0.0"
_DHCP_LENGTH = 300
"""BOOTP's smallest message; every client pads to it."""


def ip_layer(src: Host, dst: Host, ip_id: int, flags: str = "") -> Packet:
    """The header of IP, in the version that the addresses have."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    if ":" in src.ip:
        return IPv6(src=src.ip, dst=dst.ip, hlim=64)
    return IP(src=src.ip, dst=dst.ip, id=ip_id, flags=flags, ttl=64)


def udp(src: Host, dst: Host, ports: tuple[int, int], payload: Packet, ip_id: int) -> Packet:
    """A UDP datagram, from one port to another, in its Ethernet frame."""
    from scapy.layers.inet import UDP
    from scapy.layers.l2 import Ether

    return (
        Ether(src=src.mac, dst=dst.mac)
        / ip_layer(src, dst, ip_id)
        / UDP(sport=ports[0], dport=ports[1])
        / payload
    )


def arp(trace: Trace, at: int, asker: Host, target: Host, *, answered: bool = True) -> int:
    """Ask who has an address; return the time after the answer."""
    from scapy.layers.l2 import ARP, Ether

    if ":" in asker.ip:
        return _neighbour(trace, at, asker, target)
    ask = ARP(op="who-has", hwsrc=asker.mac, psrc=asker.ip, hwdst="00:00:00:00:00:00", pdst=target.ip)
    trace.add(at, asker, Ether(src=asker.mac, dst=BROADCAST) / ask)
    if answered:
        at += trace.jitter(15, 300) * MICROSECOND
        say = ARP(op="is-at", hwsrc=target.mac, psrc=target.ip, hwdst=asker.mac, pdst=asker.ip)
        trace.add(at, target, Ether(src=target.mac, dst=asker.mac) / say)
    return at + trace.jitter(20, 200) * MICROSECOND


def _neighbour(trace: Trace, at: int, asker: Host, target: Host) -> int:
    """The same over IPv6."""
    from ipaddress import IPv6Address

    from scapy.layers.inet6 import (
        ICMPv6ND_NA,
        ICMPv6ND_NS,
        ICMPv6NDOptDstLLAddr,
        ICMPv6NDOptSrcLLAddr,
        IPv6,
    )
    from scapy.layers.l2 import Ether

    tail = IPv6Address(target.ip).packed[-3:]
    group = str(IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + tail))
    ask = IPv6(src=asker.ip, dst=group, hlim=255)
    ask /= ICMPv6ND_NS(tgt=target.ip) / ICMPv6NDOptSrcLLAddr(lladdr=asker.mac)
    trace.add(at, asker, Ether(src=asker.mac, dst=f"33:33:ff:{tail.hex(':')}") / ask)
    at += trace.jitter(15, 300) * MICROSECOND
    say = IPv6(src=target.ip, dst=asker.ip, hlim=255)
    say /= ICMPv6ND_NA(tgt=target.ip, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=target.mac)
    trace.add(at, target, Ether(src=target.mac, dst=asker.mac) / say)
    return at + trace.jitter(20, 200) * MICROSECOND


# -------------------------------------------------------------------------------------------------------- DNS


@dataclass(frozen=True, slots=True)
class Question:
    """A question for DNS, as its repetitions and its answers share it."""

    asker: Host
    server: Host
    name: str
    kind: str
    number: int
    port: int

    @classmethod
    def new(cls, trace: Trace, net: Network, asker: Host, name: str, server: Host | None = None) -> Question:
        """A question with a number and a port of its own; for the site's router unless told otherwise."""
        number, port = trace.rng.getrandbits(16), trace.jitter(32768, 60999)
        kind = "PTR" if name.endswith(".arpa") else "AAAA" if ":" in asker.ip else "A"
        return cls(asker, server or net.router, name, kind, number, port)

    def ask(self, trace: Trace, at: int) -> None:
        """Send the question."""
        from scapy.layers.dns import DNS, DNSQR

        ask = DNS(id=self.number, rd=1, qd=[DNSQR(qname=self.name, qtype=self.kind)])
        packet = udp(self.asker, self.server, (self.port, 53), ask, trace.rng.getrandbits(16))
        trace.add(at, self.asker, packet, {"protocol": "dns", "name": self.name})

    def answer(
        self,
        trace: Trace,
        at: int,
        data: str | None,
        rcode: int,
        sender: Host | None = None,
        *,
        more: tuple[str, ...] = (),
    ) -> None:
        """Send an answer; `sender` may be somebody else who gives himself out for the server."""
        from scapy.layers.dns import DNS, DNSQR, DNSRR

        told = [data, *more] if data else []
        answers = [DNSRR(rrname=self.name, type=self.kind, ttl=300, rdata=one) for one in told]
        question = DNSQR(qname=self.name, qtype=self.kind)
        say = DNS(id=self.number, qr=1, rd=1, ra=1, aa=1, rcode=rcode, qd=[question], an=answers)
        source = Host(self.server.name, (sender or self.server).mac, self.server.ip)
        packet = udp(source, self.asker, (53, self.port), say, trace.rng.getrandbits(16))
        addresses = told if self.kind != "PTR" else []
        says = {"protocol": "dns", "name": self.name, "rcode": rcode, "addresses": addresses}
        trace.add(at, sender or self.server, packet, says)


def dns(
    trace: Trace, at: int, net: Network, asker: Host, name: str, *, address: str | None, rcode: int = NXDOMAIN
) -> int:
    """Ask the site's DNS server; no address is answered with `rcode`. Return the time after.

    For a PTR record the "address" is the name that it holds.
    """
    question = Question.new(trace, net, asker, name)
    question.ask(trace, at)
    at += trace.jitter(100, 900) * MICROSECOND
    question.answer(trace, at, address, 0 if address else rcode)
    return at + trace.jitter(200, 900) * MICROSECOND


# ------------------------------------------------------------------------------------------------------- DHCP


@dataclass(frozen=True, slots=True)
class Terms:
    """What a DHCP server gives."""

    server: Host
    address: str
    dns: str | None
    domain: str | None

    def options(self) -> list[object]:
        """The options of an offer, and of the acknowledgement."""
        given: list[object] = [
            ("server_id", self.server.ip),
            ("lease_time", 43200),
            ("subnet_mask", "255.255.255.0"),
            ("router", self.server.ip),
        ]
        if self.dns is not None:
            given.append(("name_server", self.dns))
        if self.domain is not None:
            given.append(("domain", self.domain.encode()))
        return [*given, "end"]

    def says(self, kind: str) -> dict[str, object]:
        """The truth about such a message."""
        return {
            "protocol": "dhcp",
            "type": kind,
            "domain": self.domain,
            "dns": [self.dns] if self.dns is not None else [],
        }


def terms(net: Network, device: Host) -> Terms:
    """What the site's router gives: itself as DNS server, and the site's domain."""
    return Terms(net.router, device.ip, net.router.ip, net.suffix)


def lease(
    trace: Trace,
    at: int,
    net: Network,
    device: Host,
    given: Terms | None = None,
    *,
    rival: Terms | None = None,
) -> int:
    """A whole DHCP exchange; return the time after. A rival's offer comes late and is not taken."""
    given = given or terms(net, device)
    number = trace.rng.getrandbits(32)
    wanted = ("param_req_list", [1, 3, 6, 12, 15, 28, 81])
    asked = [("requested_addr", given.address), ("server_id", given.server.ip)]
    steps: tuple[tuple[str, list[object]], ...] = (
        ("discover", [wanted, "end"]),
        ("offer", given.options()),
        ("request", [*asked, wanted, ("hostname", device.name.encode()), "end"]),
        ("ack", given.options()),
    )
    for kind, options in steps:
        ours = kind in {"discover", "request"}
        giver = None if ours else given
        _dhcp_message(trace, at, device, giver, number=number, kind=kind, options=options)
        if rival is not None and kind == "offer":
            at += trace.jitter(900, 1900) * MICROSECOND
            _dhcp_message(trace, at, device, rival, number=number, kind=kind, options=rival.options())
        at += trace.jitter(300, 1200) * MICROSECOND if ours else trace.jitter(4, 25) * MILLISECOND
    return at


def lease_refused(trace: Trace, at: int, net: Network, device: Host) -> int:
    """The device asks to keep an address that it has from elsewhere, and the site's router refuses."""
    number = trace.rng.getrandbits(32)
    wanted = ("param_req_list", [1, 3, 6, 12, 15, 28, 81])
    options: list[object] = [("requested_addr", device.ip), wanted, "end"]
    _dhcp_message(trace, at, device, None, number=number, kind="request", options=options)
    at += trace.jitter(300, 1200) * MICROSECOND
    nothing = Terms(net.router, _NO_ADDRESS, None, None)
    options = [("server_id", net.router.ip), "end"]
    _dhcp_message(trace, at, device, nothing, number=number, kind="nak", options=options)
    return at + trace.jitter(4, 25) * MILLISECOND


def lease_in_vain(trace: Trace, at: int, device: Host) -> int:
    """The device asks for any address, three times with growing pauses, and nobody offers one."""
    number = trace.rng.getrandbits(32)
    for pause in (4, 8, 16):
        options: list[object] = [("param_req_list", [1, 3, 6, 12, 15, 28, 81]), "end"]
        _dhcp_message(trace, at, device, None, number=number, kind="discover", options=options)
        at += pause * SECOND + trace.jitter(0, 900) * MILLISECOND
    return at


def _dhcp_message(
    trace: Trace,
    at: int,
    device: Host,
    given: Terms | None,
    *,
    number: int,
    kind: str,
    options: list[object],
) -> None:
    """One message; from the device where nobody gives anything."""
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    message = BOOTP(
        op=2 if given else 1,
        xid=number,
        chaddr=bytes.fromhex(device.mac.replace(":", "")),
        yiaddr=given.address if given else _NO_ADDRESS,
        siaddr=given.server.ip if given and kind != "nak" else _NO_ADDRESS,
    ) / DHCP(options=[("message-type", kind), *options])
    message /= Raw(bytes(max(0, _DHCP_LENGTH - len(bytes(message)))))
    if given is None:
        frame = Ether(src=device.mac, dst=BROADCAST) / IP(src=_NO_ADDRESS, dst="255.255.255.255", id=0)
        says: dict[str, object] = {"protocol": "dhcp", "type": kind, "domain": None, "dns": []}
        trace.add(at, device, frame / UDP(sport=68, dport=67) / message, says)
    else:
        # A refusal is for everybody to hear: the device has no address to which it could be sent.
        mac, address = (BROADCAST, "255.255.255.255") if kind == "nak" else (device.mac, given.address)
        frame = Ether(src=given.server.mac, dst=mac) / IP(
            src=given.server.ip, dst=address, id=trace.rng.getrandbits(16)
        )
        trace.add(at, given.server, frame / UDP(sport=67, dport=68) / message, given.says(kind))


def lease6(trace: Trace, at: int, net: Network, device: Host) -> int:
    """A whole DHCPv6 exchange, options 23 and 24 in it; return the time after."""
    from scapy.layers.dhcp6 import (
        DUID_LL,
        DHCP6_Advertise,
        DHCP6_Reply,
        DHCP6_Request,
        DHCP6_Solicit,
        DHCP6OptClientId,
        DHCP6OptDNSDomains,
        DHCP6OptDNSServers,
        DHCP6OptElapsedTime,
        DHCP6OptIA_NA,
        DHCP6OptIAAddress,
        DHCP6OptOptReq,
        DHCP6OptServerId,
    )

    number = trace.rng.getrandbits(24)
    inside, group = link_local(device), Host("all-dhcp-servers", "33:33:00:01:00:02", "ff02::1:2")
    router = link_local(net.router)
    who = DHCP6OptClientId(duid=DUID_LL(lladdr=device.mac))
    server = DHCP6OptServerId(duid=DUID_LL(lladdr=net.router.mac))
    wanted = DHCP6OptElapsedTime(elapsedtime=0) / DHCP6OptOptReq(reqopts=[23, 24])
    address = DHCP6OptIAAddress(addr=device.ip, preflft=7200, validlft=10800)
    given = DHCP6OptIA_NA(iaid=1, T1=3600, T2=5760, ianaopts=[address])
    given /= DHCP6OptDNSServers(dnsservers=[net.router.ip])
    given /= DHCP6OptDNSDomains(dnsdomains=[net.suffix])
    steps = (
        (DHCP6_Solicit(trid=number) / who / DHCP6OptIA_NA(iaid=1) / wanted, True),
        (DHCP6_Advertise(trid=number) / who / server / given, False),
        (DHCP6_Request(trid=number) / who / server / DHCP6OptIA_NA(iaid=1) / wanted, True),
        (DHCP6_Reply(trid=number) / who / server / given, False),
    )
    for message, ours in steps:
        ends, ports = ((inside, group), (546, 547)) if ours else ((router, inside), (547, 546))
        trace.add(at, device if ours else net.router, udp(*ends, ports, message, 0))
        at += trace.jitter(300, 1200) * MICROSECOND if ours else trace.jitter(4, 25) * MILLISECOND
    return at


def link_local(host: Host) -> Host:
    """The same network card with the address that it gives itself (EUI-64)."""
    from ipaddress import IPv6Address

    raw = bytes.fromhex(host.mac.replace(":", ""))
    tail = bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:]
    return Host(host.name, host.mac, str(IPv6Address(b"\xfe\x80" + bytes(6) + tail)))


# ------------------------------------------------------------------------------------------------------- RMCP


def ping(trace: Trace, at: int, asker: Host, target: Host, *, tag: int, pong: Pong | None = None) -> int:
    """A presence ping as MeshCommander sends it, and the answer if there is one; return the time after."""
    from scapy.packet import Raw

    port = trace.jitter(32768, 60999)
    data = b"\x06\x00\x00\x06\x00\x00\x11\xbe\x80" + bytes([tag, 0, 0])
    packet = udp(asker, target, (port, RMCP_PORT), Raw(data), trace.rng.getrandbits(16))
    trace.add(at, asker, packet, {"protocol": "rmcp", "type": "ping", "tag": tag})
    if pong is not None:
        at += trace.jitter(600, 2500) * MICROSECOND
        says = {
            "protocol": "rmcp",
            "type": "pong",
            "tag": tag,
            "state": pong.state,
            "port": pong.port,
            "version": list(pong.version),
        }
        packet = udp(target, asker, (RMCP_PORT, port), Raw(pong.data(tag)), trace.rng.getrandbits(16))
        trace.add(at, target, packet, says)
    return at + trace.jitter(200, 900) * MICROSECOND
