"""Scenarios in which the device does or does not find its server: DHCP and DNS."""

from __future__ import annotations

import os
import signal
import threading
import time

from amtdiag.simulator.rmcp import Pong
from tools.lab import wire
from tools.lab.device import SERVER_NAME
from tools.lab.net import Namespace
from tools.lab.sca import answer_dns
from tools.lab.site import DEVICE, DNS, INFRA, OTHER, OTHER_DHCP, SCA, SECOND, Site
from tools.lab.table import scenario

SYN = "tcp.flags.syn == 1 && tcp.flags.ack == 0"
RESET = "tcp.flags.reset == 1"
NO_HELLO = {"tcp.dstport == 9971": 0}
TLS_DATA = {"tls.record.content_type == 23": 4}
DNS_DROP = "table ip lab {\nchain c { type filter hook input priority 0; udp dport 53 drop; }\n}\n"
FORGER = 66


@scenario("ok-tls12", "All is well: lease, DNS, Hello with 24 roots, connection back, TLS 1.2.", TLS_DATA)
def ok_tls12(site: Site) -> None:
    site.office()
    site.sca()
    device = site.device()
    site.record()
    device.hello(device.discover())
    site.until(4)
    site.ends(
        device,
        "tls",
        suffix=site.suffix,
        stages=["discovery", "resolution", "connection", "hello", "connect_back", "tls"],
    )


@scenario(
    "nxdomain",
    "The zone has no record for provisionserver: NXDOMAIN for every name, and again ten seconds later.",
    {"dns.flags.rcode == 3": 4, **NO_HELLO},
    seconds=20,
)
def nxdomain(site: Site) -> None:
    site.office(*site.dns_options(server=None), dns=False)
    device = site.device()
    site.record()
    device.lease()
    for again in (10, 20):
        assert device.find_server() is None
        site.until(again)
    site.ends(device, "resolution", by_ip=True, suffix=site.suffix)
    site.found("no-server-record", device, "F01", severity="error", by_ip=True)


@scenario(
    "no-option-15",
    "The lease has no domain: only the bare name is asked for, and it does not exist.",
    {"dns.flags.rcode == 3": 2, "dhcp.option.domain_name": 0, **NO_HELLO},
    seconds=20,
)
def no_option_15(site: Site) -> None:
    site.office(*site.dhcp_options(domain=False), dhcp=False)
    device = site.device()
    site.record()
    device.lease()
    for again in (10, 20):
        assert device.find_server() is None
        site.until(again)
    site.ends(device, "resolution", by_ip=True, suffix=None)
    site.found("no-suffix", device, "F02", by_ip=True)
    site.found("no-option-15", device, "F03", by_ip=True)


@scenario(
    "no-option-6",
    "The lease has no DNS server: the device can ask nobody and is silent, so nothing tells that it is AMT.",
    {
        "dhcp.option.dhcp == 5": 1,
        "dhcp.option.domain_name_server": 0,
        "ip.src == 10.30.{n}.50 && !dhcp": 0,
        **NO_HELLO,
    },
    seconds=75,
)
def no_option_6(site: Site) -> None:
    site.office("--dhcp-option=6")
    site.sca()
    device = site.device()
    site.record()
    device.lease()
    assert device.find_server() is None
    site.until(75)
    site.nothing_shows_amt(device)
    site.found("no-option-6", device, "F04", by_mac=True)


@scenario(
    "dns-unreachable",
    "A firewall drops what the device asks the DNS server of its lease: the questions are repeated in vain.",
    {"dns.flags.response == 0": 6, "dns.flags.response == 1": 0, "icmp": 0, **NO_HELLO},
    seconds=22,
)
def dns_unreachable(site: Site) -> None:
    site.office(f"--dhcp-option=6,{site.ip(DNS)}")
    site.plug("dns", DNS).nft(DNS_DROP)
    device = site.device()
    site.record()
    device.lease()
    assert device.find_server() is None
    site.until(22)
    site.ends(device, "resolution", by_ip=True, suffix=site.suffix)
    site.found("dns-silent", device, "F06", by_ip=True)


@scenario(
    "dns-port-closed",
    "No DNS server runs where the lease says: ICMP port unreachable for every question.",
    {"icmp.type == 3 && icmp.code == 3": 6, "dns.flags.response == 1": 0, **NO_HELLO},
    seconds=22,
)
def dns_port_closed(site: Site) -> None:
    site.office("--port=0", f"--dhcp-option=6,{site.ip(INFRA)}", dns=False)
    site.namespaces["infra"].sysctl("net.ipv4.icmp_ratelimit=0")
    device = site.device()
    site.record()
    device.lease()
    assert device.find_server() is None
    site.until(22)
    site.ends(device, "resolution", by_ip=True, suffix=site.suffix)
    site.found("dns-silent", device, "F06", by_ip=True)
    site.truth.also_true |= {"dns-silent", "dns-fails"}


@scenario(
    "dns-refused",
    "The DNS server has no upstream server and refuses every question.",
    {"dns.flags.rcode == 5": 4, **NO_HELLO},
    seconds=15,
)
def dns_refused(site: Site) -> None:
    site.office(dns=False)
    device = site.device()
    site.record()
    device.lease()
    for again in (8, 15):
        assert device.find_server() is None
        site.until(again)
    site.ends(device, "resolution", by_ip=True, suffix=site.suffix)
    site.found("dns-fails", device, "F06", by_ip=True)


@scenario(
    "dns-servfail",
    "The DNS server answers SERVFAIL (a stand-in: dnsmasq never says that of its own).",
    {"dns.flags.rcode == 2": 4, **NO_HELLO},
    seconds=15,
)
def dns_servfail(site: Site) -> None:
    site.office("--port=0", f"--dhcp-option=6,{site.ip(INFRA)}", dns=False)
    answer_dns(site.namespaces["infra"], wire.SERVFAIL)
    device = site.device()
    site.record()
    device.lease()
    for again in (8, 15):
        assert device.find_server() is None
        site.until(again)
    site.ends(device, "resolution", by_ip=True, suffix=site.suffix)
    site.found("dns-fails", device, "F06", by_ip=True)


@scenario(
    "dns-stale-dead",
    "DNS names an address that nobody has: ARP is not answered, so there is not even a SYN. Three rounds.",
    {"arp.opcode == 1 && arp.dst.proto_ipv4 == 10.30.{n}.99": 6, "tcp": 0},
    seconds=70,
)
def dns_stale_dead(site: Site) -> None:
    site.office(*site.dns_options(server=site.ip(99)), dns=False)
    site.sca()
    device = site.device()
    site.record()
    server = device.discover()
    for retry, again in enumerate((15, 35, 70)):
        assert not device.hello(server, retry)
        site.until(again)
    site.ends(device, "connection", by_ip=True, suffix=site.suffix)
    site.found("server-not-there", device, "F05", by_ip=True)
    site.truth.also_true |= {"resolved-no-connection", "server-silent"}


@scenario(
    "dns-stale-other",
    "DNS names another live host, which refuses; a second device that has the server's address gets through.",
    {RESET + " && ip.src == 10.30.{n}.60 && tcp.srcport == 9971": 3, **TLS_DATA},
    seconds=20,
)
def dns_stale_other(site: Site) -> None:
    site.office(*site.dns_options(server=site.ip(OTHER)), dns=False)
    site.sca()
    site.plug("other", OTHER)
    device, lucky = site.device(), site.device(SECOND)
    site.record("lan")
    server = device.discover()
    lucky.lease()
    for retry, again in enumerate((5, 10, 15)):
        assert not device.hello(server, retry)
        if retry == 1:
            lucky.hello(site.ip(SCA))
        site.until(again)
    site.ends(device, "connection", by_ip=True, suffix=site.suffix)
    site.ends(lucky, "tls", suffix=site.suffix)
    site.found("server-refuses-hello", device, "F07", by_ip=True)
    site.found("server-record-elsewhere", device, "F05", by_ip=True)
    site.truth.also_true |= {"server-refuses-hello"}


@scenario(
    "dns-two-answers",
    "A forged DNS answer arrives before the real one; the device says Hello to the forger.",
    {"dns.a == 10.30.{n}.66": 1, "dns.a == 10.30.{n}.10": 1, **TLS_DATA},
)
def dns_two_answers(site: Site) -> None:
    infra = site.office(hub=True)
    site.sca()
    site.sca(FORGER, "forger")
    device = site.device()
    site.record()
    device.lease()
    assert not device.resolve(SERVER_NAME)
    # The real server is made to wait, so that it is the forger who wins the race.
    infra.send_signal(signal.SIGSTOP)
    sniffer = site.namespaces["forger"].sniffer("eth0", wire.IPV4)

    def forge() -> None:
        with sniffer:
            while not (forged := wire.forged_answer(sniffer.recv(2048), wire.NO_ERROR, site.ip(FORGER))):
                pass
            sniffer.send(forged)
            os.kill(infra.pid, signal.SIGCONT)

    threading.Thread(target=forge, daemon=True).start()
    found = device.resolve(site.name(SERVER_NAME))
    assert found == [site.ip(FORGER)]
    device.hello(found[0])
    site.until(5)
    site.ends(device, "tls", suffix=site.suffix)
    site.found("two-answers", device, severity="critical")


@scenario(
    "two-dhcp-servers",
    "A second DHCP server on the segment offers another domain; the device takes the first, all is well.",
    {"dhcp.option.dhcp == 2": 2, **TLS_DATA},
)
def two_dhcp_servers(site: Site) -> None:
    site.office()
    site.plug("rogue", OTHER_DHCP)
    site.serve_network(
        f"--dhcp-range={site.ip(70)},{site.ip(79)},255.255.255.0,1h",
        *("--domain=elsewhere.example", "--no-ping", "--port=0", "--dhcp-reply-delay=1"),
        host="rogue",
    )
    site.sca()
    device = site.device()
    site.record()
    device.hello(device.discover())
    site.until(6)
    site.ends(device, "tls", suffix=site.suffix)
    site.found("two-dhcp-servers", device)


@scenario(
    "custom-fqdn",
    "The device asks for its server by a configured name, not for provisionserver; all is well.",
    {'dns.qry.name == "sca.lab{n:02}.example"': 2, 'dns.qry.name contains "rovision"': 0, **TLS_DATA},
)
def custom_fqdn(site: Site) -> None:
    site.office(*site.dns_options(server=None, sca=site.ip(SCA)), dns=False)
    site.sca()
    device = site.device()
    site.record()
    device.lease()
    device.hello(device.resolve(site.name("sca"))[0])
    site.until(5)
    site.ends(device, "tls", suffix=site.suffix)


@scenario(
    "custom-fqdn-nxdomain",
    "The configured name of the server does not exist. An RMCP pong has told that this is AMT in setup.",
    {"dns.flags.rcode == 3": 3, "udp.srcport == 623": 1, **NO_HELLO},
    seconds=25,
)
def custom_fqdn_nxdomain(site: Site) -> None:
    site.office(*site.dns_options(server=None), dns=False)
    admin = site.plug("admin", 20)
    device = site.device()
    device.answer_pings(Pong(1, (11, 8), 0))
    site.record()
    device.lease()
    site.ping(admin, [site.ip(DEVICE)])
    for again in (8, 16, 24):
        assert not device.resolve(site.name("sca"))
        site.until(again)
    site.ends(device, "resolution", by_ip=True, suffix=site.suffix, firmware="AMT 11.8", weight="decisive")
    site.found("custom-name-unknown", device, "F01", by_ip=True)
    site.truth.also_true |= {"no-server-record"}


@scenario(
    "static-server",
    "The device has its server's address from its settings and asks no DNS; all is well.",
    {'dns.qry.name contains "rovision"': 0, **TLS_DATA},
)
def static_server(site: Site) -> None:
    site.office()
    site.sca()
    device = site.device()
    site.record()
    device.lease()
    device.hello(site.ip(SCA))
    site.until(4)
    site.ends(device, "tls", suffix=site.suffix)


@scenario(
    "dhcp-silent",
    "No DHCP server: the device's discovers are repeated in vain, so nothing tells that it is AMT.",
    {"dhcp.option.dhcp == 1": 5, "dhcp.option.dhcp == 2": 0, "tcp": 0},
    seconds=30,
)
def dhcp_silent(site: Site) -> None:
    site.office(dhcp=False)
    site.sca()
    device = site.device()
    site.record()
    assert not device.lease(limit=30)
    site.until(30)
    site.nothing_shows_amt(device)
    site.found("no-lease", device, by_mac=True)


@scenario(
    "dhcp-nak",
    "The device asks to keep an address of another network, is refused (NAK), gets a right one; all is well.",
    {"dhcp.option.dhcp == 6": 1, "dhcp.option.dhcp == 5": 1, **TLS_DATA},
    seconds=15,
)
def dhcp_nak(site: Site) -> None:
    site.segment()
    infra = site.plug("infra", INFRA)
    site.sca()
    device = site.device()
    old = site.serve_network(
        f"--dhcp-range={site.ip(200)},{site.ip(209)},255.255.255.0,1h", "--no-ping", "--port=0"
    )
    assert device.lease("-r", site.ip(200), quit_then=False)
    old.terminate()
    old.wait()
    infra.ip("addr flush dev eth0", f"addr add {site.ip(INFRA)}/25 broadcast + dev eth0")
    site.serve_network(*site.dhcp_options(prefix=25), *site.dns_options(server=site.ip(SCA)))
    site.record()
    device.renew()
    device.hello(device.find_server())
    site.until(10)
    site.ends(device, "tls", suffix=site.suffix)


@scenario(
    "ipv6-only",
    "A site with IPv6 only: the device asks for AAAA, gets an address and says no Hello for 70 seconds.",
    {"dns.aaaa": 1, "tcp": 0},
    seconds=72,
)
def ipv6_only(site: Site) -> None:
    net = f"fd00:10:30:{site.number}::"
    site.segment()
    infra = site.plug("infra", INFRA, static=False)
    device = site.device(listen=False)
    for machine in (infra, device.machine):
        machine.sysctl("net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.eth0.disable_ipv6=0")
    infra.ip(f"addr add {net}1/64 dev eth0 nodad")
    site.serve_network(
        *(f"--dhcp-range={net},ra-only,64", "--enable-ra", f"--domain={site.suffix}"),
        f"--dhcp-option=option6:domain-search,{site.suffix}",
        *(f"--local=/{site.suffix}/", "--local=/provisionserver/"),
        f"--host-record={site.name('provisionserver')},{net}10",
    )
    site.record()
    device.machine.ip("link set eth0 down", "link set eth0 up")
    address = _global_address(device.machine)
    device.dns, device.dns_timeouts = f"{net}1", (2, 3)
    assert device.resolve(site.name(SERVER_NAME), wire.AAAA) == [f"{net}10"]
    site.until(72)
    site.truth.devices.append({"ip": address, "stage": "resolution", "mode": "setup"})
    site.truth.findings.append({"rule": "ipv6-no-hello", "catalogue": "F44", "ip": address})


def _global_address(machine: Namespace) -> str:
    """The address that a host made for itself, once a router has spoken and nobody else has it."""
    for _ in range(100):
        told = machine.run("ip", "-6", "-o", "addr", "show", "scope", "global", "-tentative")
        if "inet6 " in told:
            return told.split("inet6 ")[1].split("/")[0]
        time.sleep(0.2)
    raise RuntimeError(f"{machine.name} has no IPv6 address")
