"""Scenarios about where, how long and by how many sensors was captured."""

from __future__ import annotations

from typing import Any

from tools.lab.calling import HELLO, drop, usual
from tools.lab.device import SERVER_NAME, AmtDevice
from tools.lab.discovery import NO_HELLO, SYN, TLS_DATA
from tools.lab.sca import Sca
from tools.lab.site import DEVICE, Site
from tools.lab.table import scenario

SERVER = 138
NEIGHBOUR = 160


def routed(site: Site, **behaviour: Any) -> tuple[AmtDevice, Sca]:
    """A router, with DHCP and DNS, between a device and its server."""
    site.router()
    site.serve_network(
        *site.dhcp_options(prefix=25),
        *site.dns_options(server=site.ip(SERVER)),
        "--interface=eth1",
        "--no-dhcp-interface=eth1",
        host="router",
    )
    site.behind("sca", SERVER)
    return site.device(), site.sca(**behaviour)


@scenario(
    "server-side-ok",
    "Captured at the server, behind a router: no DHCP or DNS of the device; all is well.",
    {"dhcp": 0, "dns && ip.addr == 10.30.{n}.50": 0, **TLS_DATA},
)
def server_side_ok(site: Site) -> None:
    device, _ = routed(site)
    site.record("sca")
    device.hello(device.discover())
    site.until(5)
    site.ends(device, "tls", stages=["connection", "hello", "connect_back", "tls"])


@scenario(
    "server-side-no-connect-back",
    "Captured at the server, behind a router: it takes the Hello and does nothing for 80 seconds.",
    {HELLO: 1, SYN + " && ip.src == 10.30.{n}.138": 0, "dhcp": 0, "dns && ip.addr == 10.30.{n}.50": 0},
    seconds=80,
)
def server_side_no_connect_back(site: Site) -> None:
    device, _ = routed(site, calls_back=False)
    site.record("sca")
    device.hello(device.discover())
    site.until(80)
    site.ends(device, "hello")
    site.found("no-connect-back", device, "F10", severity="error")


@scenario(
    "device-only-one-way",
    "Only what the device sends was captured: a Hello, then nothing. Nobody can tell what the server did.",
    {HELLO: 1, "eth.src != 02:a4:d7:1a:{n:02x}:32": 0},
    seconds=75,
)
def device_only_one_way(site: Site) -> None:
    site.office()
    site.sca(calls_back=False)
    device = site.device()
    site.chatter(device.machine)
    site.record(capture_filter=f"ether src {site.mac(DEVICE)}")
    device.hello(device.discover())
    site.until(75)
    site.ends(device, "hello")


@scenario(
    "hello-then-end",
    "The capture ends a second after the Hello: too soon to say anything of the server.",
    {HELLO: 1, SYN + " && ip.src == 10.30.{n}.10": 0},
)
def hello_then_end(site: Site) -> None:
    device, _ = usual(site, calls_back=False)
    device.hello(device.discover())
    site.recorders[0].stop(linger=1)
    site.ends(device, "hello")


@scenario(
    "nxdomain-once-then-end",
    "The capture ends right after the bare name was denied: the name that exists is yet to be asked for.",
    {"dns.flags.rcode == 3": 1, 'dns.qry.name contains "example"': 0, **NO_HELLO},
)
def nxdomain_once_then_end(site: Site) -> None:
    device, _ = usual(site)
    device.lease()
    assert not device.resolve(SERVER_NAME)
    site.recorders[0].stop(linger=0.5)
    site.ends(device, "resolution", by_ip=True, suffix=site.suffix)


@scenario(
    "two-sensors-ok",
    "Captured at the device and at the server, whose clock is 2.5 seconds fast; all is well.",
    {f"{file}: {filter_}": 1 for file in ("device", "server") for filter_ in (HELLO, *TLS_DATA)},
    shifts={"server": 2.5},
)
def two_sensors_ok(site: Site) -> None:
    device, _ = routed(site)
    site.record(name="device")
    site.record("sca", name="server")
    device.hello(device.discover())
    site.until(5)
    site.ends(device, "tls", suffix=site.suffix)


@scenario(
    "two-sensors-dropped",
    "The router drops the device's SYNs to 9971; the server's sensor sees another device's Hello succeed.",
    {
        f"device: {SYN} && tcp.dstport == 9971": 5,
        "device: tcp.srcport == 9971": 0,
        f"server: {HELLO} && ip.src == 10.30.{{n}}.160": 1,
        "server: ip.addr == 10.30.{n}.50": 0,
        **{f"server: {filter_}": number for filter_, number in TLS_DATA.items()},
    },
    seconds=42,
)
def two_sensors_dropped(site: Site) -> None:
    device, _ = routed(site)
    site.namespaces["router"].nft(drop(9971, hook="forward"))
    neighbour = site.device(NEIGHBOUR, segment="dc", static=True, prefix=25)
    site.record(name="device")
    site.record("sca", name="server")
    server = device.discover()
    neighbour.hello(site.ip(SERVER))
    for retry, again in enumerate((20, 40)):
        assert not device.hello(server, retry, timeout=17)
        site.until(again)
    site.ends(device, "connection", by_ip=True, suffix=site.suffix)
    site.ends(neighbour, "tls")
    site.found("server-silent", device, "F08", by_ip=True)


@scenario(
    "two-sensors-back-dropped",
    "The Hello passes; the router drops the server's SYNs to 16993. The device's sensor is 40 seconds slow.",
    {
        f"device: {HELLO}": 1,
        "device: tcp.port == 16993": 0,
        f"server: {SYN} && tcp.dstport == 16993": 8,
        "server: tcp.srcport == 16993": 0,
    },
    seconds=36,
    shifts={"device": -40},
)
def two_sensors_back_dropped(site: Site) -> None:
    device, _ = routed(site, patience=8)
    site.namespaces["router"].nft(drop(16993, hook="forward"))
    site.record(name="device")
    site.record("sca", name="server")
    device.hello(device.discover())
    site.until(36)
    site.ends(device, "connect_back", suffix=site.suffix)
    site.found("connect-back-unanswered", device, "F11")
