"""Scenarios about the Hello itself and the connection back."""

from __future__ import annotations

import contextlib
import random
import ssl
import time
from socket import SHUT_RDWR, SHUT_WR, SOCK_STREAM
from typing import Any

from amtdiag.simulator.rmcp import Pong
from amtdiag.simulator.roots import MODERN, PLANTED
from tools.lab.device import AmtDevice
from tools.lab.discovery import RESET, SYN, TLS_DATA
from tools.lab.sca import Sca
from tools.lab.site import DEVICE, OTHER, SCA, Site
from tools.lab.table import scenario

HELLO = "tcp.dstport == 9971 && tcp.len > 0"


def drop(port: int, verdict: str = "drop", hook: str = "input") -> str:
    """Rules for nft: what becomes of SYNs to a port."""
    return (
        "table ip lab {\n"
        f"chain c {{ type filter hook {hook} priority 0; tcp dport {port} {verdict}; }}\n"
        "}\n"
    )


def usual(
    site: Site, *, where: str = "device", pid: str | None = None, **behaviour: Any
) -> tuple[AmtDevice, Sca]:
    """A segment with DHCP, DNS, a server and a device, and the recording begun."""
    site.office()
    sca = site.sca(**behaviour)
    device = site.device(pid=pid)
    site.record(where)
    return device, sca


@scenario(
    "sca-refused",
    "Nothing listens on the server's port 9971: three tries of the device are answered by RST.",
    {RESET + " && tcp.srcport == 9971": 3},
    seconds=20,
)
def sca_refused(site: Site) -> None:
    device, _ = usual(site, listen=False)
    server = device.discover()
    for retry, again in enumerate((6, 12, 18)):
        assert not device.hello(server, retry)
        site.until(again)
    site.ends(device, "connection", by_ip=True)
    site.found("server-refuses-hello", device, "F07", severity="error", by_ip=True)


@scenario(
    "sca-dropped",
    "The server's own firewall drops SYNs to 9971; the kernel repeats them. The server answers ARP.",
    {SYN + " && tcp.dstport == 9971": 5, "tcp.srcport == 9971": 0, "icmp": 0},
    seconds=40,
)
def sca_dropped(site: Site) -> None:
    device, sca = usual(site)
    sca.machine.nft(drop(9971))
    server = device.discover()
    for retry, again in enumerate((20, 40)):
        assert not device.hello(server, retry, timeout=18)
        site.until(again)
    site.ends(device, "connection", by_ip=True)
    site.found("server-silent", device, "F08", by_ip=True)


@scenario(
    "sca-rejected",
    "The server's firewall answers SYNs to 9971 with ICMP administratively prohibited. Three tries.",
    {"icmp.type == 3 && icmp.code == 13": 3, "tcp.srcport == 9971 && !icmp": 0},
    seconds=20,
)
def sca_rejected(site: Site) -> None:
    device, sca = usual(site)
    sca.machine.nft(drop(9971, "reject with icmp admin-prohibited"))
    server = device.discover()
    for retry, again in enumerate((6, 12, 18)):
        assert not device.hello(server, retry, timeout=5)
        site.until(again)
    site.ends(device, "connection", by_ip=True)
    site.found("server-rejected", device, "F08", by_ip=True)
    site.truth.also_true |= {"server-silent", "server-refuses-hello"}


@scenario(
    "wrong-port",
    "The device is set to port 9981, the server listens on 9971: three tries are answered by RST.",
    {RESET + " && tcp.srcport == 9981": 3, "tcp.port == 9971": 0},
    seconds=75,
)
def wrong_port(site: Site) -> None:
    device, _ = usual(site)
    server = device.discover()
    for retry, again in enumerate((10, 20, 75)):
        assert not device.hello(server, retry, port=9981)
        site.until(again)
    site.ends(device, "connection", by_ip=True)
    site.found("wrong-port", device, "F09", by_ip=True)
    site.truth.also_true |= {"server-refuses-hello", "resolved-no-connection"}


@scenario(
    "no-connect-back",
    "The server takes the Hello, closes properly and does nothing for 80 seconds.",
    {HELLO: 1, SYN + " && ip.src == 10.30.{n}.10": 0},
    seconds=80,
)
def no_connect_back(site: Site) -> None:
    device, _ = usual(site, calls_back=False)
    device.hello(device.discover())
    site.until(80)
    site.ends(device, "hello")
    site.found("no-connect-back", device, "F10", severity="error")


@scenario(
    "psk-no-connect-back",
    "A Hello with a PID that the server does not know: it does nothing for 80 seconds.",
    {HELLO + " && tcp.len == 32": 1, SYN + " && ip.src == 10.30.{n}.10": 0},
    seconds=80,
)
def psk_no_connect_back(site: Site) -> None:
    device, _ = usual(site, calls_back=False, pid="0000037M")
    device.hello(device.discover())
    site.until(80)
    site.ends(device, "hello")
    site.found("no-connect-back", device, "F13", severity="error")


@scenario(
    "sca-dies",
    "The server takes the first Hello and exits: the next tries are refused, for 70 seconds.",
    {HELLO: 1, RESET + " && tcp.srcport == 9971": 3},
    seconds=70,
)
def sca_dies(site: Site) -> None:
    site.office()
    sca = site.sca(listen=False, calls_back=False)
    door = sca.start()
    device = site.device()
    site.record()
    server = device.discover()
    assert device.hello(server)
    door.shutdown(SHUT_RDWR)
    for retry, again in enumerate((20, 40, 70), 1):
        site.until(again - 15)
        assert not device.hello(server, retry)
        site.until(again)
    site.ends(device, "hello")
    site.found("server-refuses-hello", device, "F07")
    site.truth.also_true |= {"no-connect-back"}


@scenario(
    "back-refused",
    "The server connects back five times, half a second apart; nothing listens on the device's port 16993.",
    {RESET + " && tcp.srcport == 16993": 5},
    seconds=12,
)
def back_refused(site: Site) -> None:
    site.office()
    site.sca()
    device = site.device(listen=False)
    site.record()
    device.hello(device.discover())
    site.until(12)
    site.ends(device, "connect_back")
    site.found("connect-back-refused", device, "F11", severity="error")


@scenario(
    "back-dropped",
    "The server's SYNs to port 16993 get no answer from the device, which answers ARP.",
    {SYN + " && tcp.dstport == 16993": 8, "tcp.srcport == 16993": 0},
    seconds=35,
)
def back_dropped(site: Site) -> None:
    site.office()
    site.sca(patience=8)
    device = site.device()
    device.machine.nft(drop(16993))
    site.record()
    device.hello(device.discover())
    site.until(35)
    site.ends(device, "connect_back")
    site.found("connect-back-unanswered", device, "F11")


@scenario(
    "back-dead",
    "The device's cable is pulled after its Hello: the server's ARP for it is not answered, no SYN is sent.",
    {
        "arp.opcode == 1 && arp.dst.proto_ipv4 == 10.30.{n}.50 && arp.src.proto_ipv4 == 10.30.{n}.10": 6,
        SYN + " && tcp.dstport == 16993": 0,
    },
    seconds=30,
)
def back_dead(site: Site) -> None:
    device, sca = usual(site, where="lan", delay=3)
    forget_device(sca)
    device.hello(device.discover())
    time.sleep(0.2)
    device.machine.ip("link set eth0 down")
    site.until(28)
    site.ends(device, "connect_back")
    site.found("connect-back-unanswered", device, "F11")
    site.truth.also_true |= {"connect-back-unanswered"}


def forget_device(sca: Sca) -> None:
    """Have the server ask for the device's MAC anew, as it would some minutes later."""
    sca.before_calling = lambda: sca.machine.ip("neigh flush dev eth0")


def stale_ptr(site: Site, named: int) -> tuple[AmtDevice, Sca]:
    """A server that connects to the name of the device, which belongs to another address."""
    ptr = f"{DEVICE}.{site.number}.30.10.in-addr.arpa"
    name = site.name("pc-old")
    site.office(f"--ptr-record={ptr},{name}", f"--host-record={name},{site.ip(named)}")
    sca = site.sca()
    sca.dns = site.ip(1)
    device = site.device()
    site.record("lan")
    return device, sca


@scenario(
    "back-elsewhere",
    "Reverse DNS gives the device another machine's name: the server connects to that one, which refuses.",
    {
        RESET + " && ip.src == 10.30.{n}.60 && tcp.srcport == 16993": 5,
        "tcp.dstport == 16993 && ip.dst == 10.30.{n}.50": 0,
    },
    seconds=12,
)
def back_elsewhere(site: Site) -> None:
    device, _ = stale_ptr(site, OTHER)
    site.plug("other", OTHER)
    device.hello(device.discover())
    site.until(12)
    site.ends(device, "hello")
    site.found("connect-back-elsewhere", device, "F12")
    site.truth.also_true |= {"no-connect-back"}


@scenario(
    "back-elsewhere-dead",
    "The same, but nobody has that address any more: DNS and unanswered ARP of the server are all there is.",
    {
        "dns.resp.type == 12": 1,
        "arp.opcode == 1 && arp.dst.proto_ipv4 == 10.30.{n}.60": 6,
        "tcp.dstport == 16993": 0,
    },
    seconds=30,
)
def back_elsewhere_dead(site: Site) -> None:
    device, _ = stale_ptr(site, OTHER)
    device.hello(device.discover())
    site.until(28)
    site.ends(device, "hello")
    site.found("connect-back-elsewhere", device, "F12")
    site.truth.also_true |= {"no-connect-back", "connect-back-elsewhere"}


@scenario(
    "back-wrong-port",
    "The server tries port 16992 only and is refused; 16993 would be open.",
    {RESET + " && tcp.srcport == 16992": 5, "tcp.port == 16993": 0},
    seconds=12,
)
def back_wrong_port(site: Site) -> None:
    device, _ = usual(site, ports=(16992,))
    device.hello(device.discover())
    site.until(12)
    site.ends(device, "connect_back")
    site.found("connect-back-refused", device, "F11")


@scenario(
    "plain-refused",
    "The server tries port 16992, which firmware from 16.1 on keeps closed, then 16993, and TLS works.",
    {RESET + " && tcp.srcport == 16992": 1, **TLS_DATA},
)
def plain_refused(site: Site) -> None:
    device, _ = usual(site, ports=(16992, 16993), tries=1)
    device.hello(device.discover())
    site.until(5)
    site.ends(device, "tls")
    site.found("connect-back-refused", device, "F49")
    site.truth.overcome |= {"connect-back-refused"}


@scenario(
    "lease-moves",
    "The device gets another address after its Hello; the server's ARP for the old one is not answered.",
    {
        "dhcp.option.dhcp == 7": 1,
        "dhcp.option.dhcp == 5": 2,
        "arp.opcode == 1 && arp.dst.proto_ipv4 == 10.30.{n}.50 && arp.src.proto_ipv4 == 10.30.{n}.10": 6,
        SYN + " && tcp.dstport == 16993": 0,
    },
    seconds=35,
)
def lease_moves(site: Site) -> None:
    site.office(*site.dhcp_options(static_only=False), dhcp=False)
    sca = site.sca(delay=8)
    forget_device(sca)
    device = site.device()
    site.record()
    device.lease("-r", site.ip(50), quit_then=False)
    device.hello(device.find_server())
    time.sleep(1)
    device.release()
    device.lease("-r", site.ip(55))
    site.until(34)
    assert device.card.ip == site.ip(55)
    site.ends(device, "connect_back")
    site.found("address-changed", device, "F40")
    site.truth.also_true |= {"connect-back-unanswered"}


@scenario(
    "retries",
    "Hellos with retry 0, 1 and 2, ten seconds apart; the server acts on the third, and all is well.",
    {HELLO: 3, **TLS_DATA},
    seconds=26,
)
def retries(site: Site) -> None:
    device, _ = usual(site, first_to_call=2)
    server = device.discover()
    for retry in range(3):
        device.hello(server, retry)
        site.until(5 + 10 * (retry + 1) - 5 * (retry == 2))
    site.until(27)
    site.ends(device, "tls")
    site.truth.overcome |= {"no-connect-back"}


@scenario(
    "starts-over",
    "The device boots five times: five leases and five first Hellos, eight seconds apart.",
    {HELLO: 5, "dhcp.option.dhcp == 5": 5},
    seconds=42,
)
def starts_over(site: Site) -> None:
    device, _ = usual(site, calls_back=False)
    for boot in range(5):
        site.until(8 * boot)
        device.hello(device.discover())
    site.until(42)
    site.ends(device, "hello")
    site.found("starts-over", device, "F37")
    site.truth.also_true |= {"no-connect-back"}


@scenario(
    "hello-after-operational",
    "An RMCP pong says operational; fifteen seconds later the device says Hello, and is provisioned.",
    {"udp.srcport == 623": 1, **TLS_DATA},
    seconds=22,
)
def hello_after_operational(site: Site) -> None:
    site.office()
    site.sca()
    admin = site.plug("admin", 20)
    device = site.device()
    device.answer_pings(Pong(2, (11, 8), 16992))
    site.record()
    device.lease()
    site.ping(admin, [site.ip(DEVICE)])
    site.until(15)
    device.hello(device.find_server())
    site.until(20)
    site.ends(device, "tls", None, firmware="AMT 11.8")
    site.found("hello-after-operational", device, "F55")


@scenario(
    "hello-split",
    "The Hello comes in two segments, 50 ms apart; all is well.",
    {HELLO: 2, **TLS_DATA},
)
def hello_split(site: Site) -> None:
    device, _ = usual(site)
    device.hello(device.discover(), cut=600)
    site.until(4)
    site.ends(device, "tls")
    site.found("hello-split", device, "F58")


@scenario(
    "not-a-hello",
    "A browser's GET, a TLS client and noise come to port 9971 from an admin's machine.",
    {HELLO: 3, "tls.handshake.type == 1": 1, "http.request": 1},
)
def not_a_hello(site: Site) -> None:
    site.segment()
    site.sca(calls_back=False, chatty=False)
    admin = site.plug("admin", 20)
    site.record("admin")
    noise = random.Random(site.number).randbytes(300)
    browser = b"GET / HTTP/1.1\r\nHost: sca:9971\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"
    for data in (browser, None, noise):
        with admin.new_socket(SOCK_STREAM) as talk, contextlib.suppress(OSError):
            talk.settimeout(1)
            talk.connect((site.ip(SCA), 9971))
            if data is None:
                context = ssl.create_default_context()
                context.wrap_socket(talk, server_hostname="sca.example").close()
            else:
                talk.sendall(data)
                talk.shutdown(SHUT_WR)
                talk.recv(1)
        time.sleep(0.5)
    site.until(5)
    site.found("not-a-hello", catalogue="F59")


@scenario(
    "admin-flag-unset",
    "The Hello says that the administrator's password was never set; all is well.",
    {HELLO: 1, **TLS_DATA},
)
def admin_flag_unset(site: Site) -> None:
    site.office()
    site.sca()
    device = site.device(admin_credentials=0)
    site.record()
    device.hello(device.discover())
    site.until(4)
    site.ends(device, "tls")
    site.found("admin-credentials-unset", device)


@scenario(
    "planted-root",
    "23 known roots and one digest that belongs to no certificate; all is well.",
    {HELLO: 1, **TLS_DATA},
)
def planted_root(site: Site) -> None:
    site.office()
    site.sca()
    device = site.device(roots=(*MODERN[:23], PLANTED))
    site.record()
    device.hello(device.discover())
    site.until(4)
    site.ends(device, "tls")
    site.found("unknown-digest", device)
