"""Scenarios with several devices, with devices that are in operation, and without any Hello."""

from __future__ import annotations

import time
from dataclasses import replace
from socket import SOCK_STREAM, socket

from amtdiag.simulator.rmcp import Pong
from tools.lab.calling import HELLO
from tools.lab.device import serve
from tools.lab.discovery import NO_HELLO, RESET, SYN, TLS_DATA
from tools.lab.site import DEVICE, SCA, SECOND, Site
from tools.lab.table import scenario

CIRA_PORT = 4433
PLAIN_PORT = 16992
REALM = "Digest:AFD80000000000000000000000000000"
UNAUTHORIZED = (
    "HTTP/1.1 401 Unauthorized\r\n"
    f'WWW-Authenticate: Digest realm="{REALM}", nonce="MTIzNDU2Nzg5MDEyMzQ1", stale="false", qop="auth"\r\n'
    "Content-Type: text/html\r\nServer: Intel(R) Active Management Technology 11.8.50.3425\r\n"
    "Content-Length: 0\r\nConnection: close\r\n\r\n"
).encode("ascii")


@scenario(
    "cloned-uuid",
    "Two machines carry one UUID, and their Hellos take turns; the server connects back to each.",
    {HELLO: 4, **TLS_DATA},
    seconds=22,
)
def cloned_uuid(site: Site) -> None:
    site.office()
    site.sca()
    first = site.device()
    second = site.device(SECOND, uuid=first.card.uuid)
    site.record("lan")
    servers = [device.discover() for device in (first, second)]
    for retry in range(2):
        for device, server in zip((first, second), servers, strict=True):
            device.hello(server, retry)
            time.sleep(4)
    site.until(20)
    site.ends(first, "tls", macs=[first.card.mac, second.card.mac])
    site.found("cloned-uuid", first, "F38", severity="error")


@scenario(
    "nat",
    "Two devices behind a router that translates addresses, where the way back ends; seen at the server.",
    {HELLO: 2, RESET + " && tcp.srcport == 16993": 10},
    seconds=16,
)
def nat(site: Site) -> None:
    site.router().nft(
        "table ip lab {\nchain c { type nat hook postrouting priority srcnat; oifname eth1 masquerade; }\n}\n"
    )
    site.serve_network(*site.dhcp_options(prefix=25), *site.dns_options(server=site.ip(138)), host="router")
    site.behind("sca", 138)
    sca = site.sca(chatty=False)
    devices = [site.device(), site.device(SECOND)]
    site.record("sca")
    for device in devices:
        device.hello(device.discover())
        time.sleep(4)
    site.until(14)
    for number, hello in enumerate(site.hellos):
        seen = next((src, sport) for src, sport, data in sca.heard if data == hello.payload)
        site.hellos[number] = replace(hello, src=seen[0], sport=seen[1])
    for device in devices:
        site.ends(device, None)
        site.found("shared-address", device, "F39")
    site.found("connect-back-refused")


@scenario(
    "pid-reused",
    "Two devices with one and the same PID; the server connects back to neither.",
    {HELLO + " && tcp.len == 32": 2, SYN + " && ip.src == 10.30.{n}.10": 0},
    seconds=85,
)
def pid_reused(site: Site) -> None:
    site.office()
    site.sca(calls_back=False)
    devices = [site.device(pid="0000037M"), site.device(SECOND, pid="0000037M")]
    site.record("lan")
    for device in devices:
        device.hello(device.discover())
        time.sleep(3)
    site.until(85)
    for device in devices:
        site.ends(device, "hello")
        site.found("no-connect-back", device, "F13")
    site.found("pid-reused")


@scenario(
    "rmcp-modes",
    "RMCP pings: one device answers that it is in factory mode, one in setup, one in operation.",
    {"udp.srcport == 623": 3, **NO_HELLO},
)
def rmcp_modes(site: Site) -> None:
    site.segment()
    admin = site.plug("admin", 20)
    known = {
        50: (Pong(0, (16, 1)), "factory", "AMT 16.1"),
        51: (Pong(1, (9, 5)), "setup", "AMT 9.5"),
        52: (Pong(2, (11, 8), 16992), "operational", "AMT 11.8"),
    }
    devices = {last: site.device(last, static=True) for last in known}
    for last, device in devices.items():
        device.answer_pings(known[last][0])
    site.record("admin")
    site.ping(admin, [site.ip(last) for last in known])
    site.until(3)
    for last, device in devices.items():
        _, mode, firmware = known[last]
        site.ends(device, None, mode, by_ip=True, weight="decisive", firmware=firmware)


@scenario(
    "rmcp-sweep",
    "An admin behind a router pings 30 addresses for AMT, captured at the admin's port; one device answers.",
    {"udp.dstport == 623 && !icmp": 30, "udp.srcport == 623": 1, "icmp.type == 3 && icmp.code == 1": 1},
    seconds=15,
)
def rmcp_sweep(site: Site) -> None:
    site.router()
    admin = site.behind("admin", 150)
    device = site.device(static=True, prefix=25)
    device.machine.ip(f"route add default via {site.ip(1)}")
    device.answer_pings(Pong(2, (12, 0), 16993))
    site.record("admin")
    site.ping(admin, [site.ip(last) for last in range(40, 70)])
    site.until(9)
    site.ends(device, None, "operational", by_ip=True, weight="decisive", firmware="AMT 12.0")
    site.found("rmcp-sweep")


@scenario(
    "cira",
    "A device in operation opens TLS to its presence server's port 4433 and exchanges data; no Hello.",
    {f"tls.record.content_type == 23 && tcp.port == {CIRA_PORT}": 6, **NO_HELLO},
    seconds=12,
)
def cira(site: Site) -> None:
    site.office(*site.dns_options(server=None, mps=site.ip(SCA)), dns=False)
    mps = site.plug("mps", SCA)
    context = site.credentials.listening_server(site.name("mps"))

    def echo(talk: socket) -> None:
        with context.wrap_socket(talk, server_side=True) as session:
            while data := session.recv(4096):
                session.sendall(data)
            session.unwrap()

    serve(mps, CIRA_PORT, echo)
    device = site.device(listen=False)
    site.record()
    device.lease()
    with device.machine.new_socket(SOCK_STREAM) as talk:
        talk.connect((device.resolve(site.name("mps"))[0], CIRA_PORT))
        with site.credentials.connecting_device().wrap_socket(talk) as session:
            for size in (93, 40, 60, 40):
                session.sendall(bytes(size))
                session.recv(4096)
                time.sleep(1)
            site.until(8)
            session.unwrap()
    site.until(9)
    site.ends(device, None, "operational", by_ip=True)


@scenario(
    "operational-http",
    "An admin opens the web page of a device in operation: 401, and a Server line that names AMT 11.8.50.",
    {"http.response.code == 401": 1, 'http.server contains "Active Management"': 1, **NO_HELLO},
)
def operational_http(site: Site) -> None:
    site.segment()
    admin = site.plug("admin", 20)
    device = site.device(static=True)

    def refuse(talk: socket) -> None:
        talk.recv(4096)
        talk.sendall(UNAUTHORIZED)

    serve(device.machine, PLAIN_PORT, refuse)
    site.record()
    for path in ("/", "/index.htm"):
        with admin.new_socket(SOCK_STREAM) as talk:
            talk.connect((site.ip(DEVICE), PLAIN_PORT))
            host = f"{site.ip(DEVICE)}:{PLAIN_PORT}"
            talk.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/7.88.1\r\n\r\n".encode())
            while talk.recv(4096):
                pass
        time.sleep(0.5)
    site.until(3)
    site.ends(device, None, "operational", by_ip=True, firmware="11.8.50.3425")
