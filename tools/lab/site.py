"""The network of one scenario: its segments, hosts, services and recordings."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Any

from scenarios.packets import SentHello

from amtdiag.simulator.hosts import AmtHost
from amtdiag.simulator.roots import MODERN, ListedRoot
from tools.lab import wire
from tools.lab.credentials import Credentials
from tools.lab.device import AmtDevice, resolve
from tools.lab.net import PREFIX, Namespace, cable
from tools.lab.programs import Recorder, dnsmasq
from tools.lab.sca import Sca
from tools.lab.truth import Truth

INFRA, OTHER_DHCP, DNS, SCA, DEVICE, SECOND, OTHER = 1, 2, 3, 10, 50, 51, 60
"""Last bytes of the addresses on a segment."""


class Site:
    """Everything that one scenario makes; `close` takes it all down."""

    def __init__(self, number: int, folder: Path, credentials: Credentials) -> None:
        self.number = number
        self.suffix = f"lab{number:02}.example"
        self.folder = folder
        self.credentials = credentials
        self.truth = Truth()
        self.hellos: list[SentHello] = []
        self.namespaces: dict[str, Namespace] = {}
        self.places: dict[str, str] = {}
        """Host: the segment it is on."""
        self.recorders: list[Recorder] = []
        self.started = 0.0
        self.closing = threading.Event()

    # -------------------------------------------------------------------------------------------- the network

    def ip(self, last: int) -> str:
        """An address of this site."""
        return f"10.30.{self.number}.{last}"

    def mac(self, last: int) -> str:
        """The MAC that belongs to an address: locally administered, no vendor's."""
        return f"02:a4:d7:1a:{self.number:02x}:{last:02x}"

    def name(self, host: str) -> str:
        """A name in the site's zone."""
        return f"{host}.{self.suffix}"

    def namespace(self, name: str) -> Namespace:
        """A namespace of this site."""
        if name not in self.namespaces:
            self.namespaces[name] = Namespace(f"{PREFIX}{self.number}-{name}")
        return self.namespaces[name]

    def segment(self, name: str = "lan", *, hub: bool = False) -> Namespace:
        """A switch; a hub sends every frame to every port."""
        switch = self.namespace(name)
        ageing = "ageing_time 0" if hub else ""
        switch.ip(
            f"link add br0 type bridge mcast_snooping 0 {ageing}",
            "link set br0 up",
        )
        return switch

    def plug(
        self, name: str, last: int, *, segment: str = "lan", static: bool = True, prefix: int = 24
    ) -> Namespace:
        """A host on a segment. Without a static address it has to ask for one."""
        host, switch = self.namespace(name), self.namespace(segment)
        cable(host, "eth0", self.mac(last), switch, f"p-{name}")
        if static:
            host.ip(f"addr add {self.ip(last)}/{prefix} broadcast + dev eth0")
        host.ip("link set eth0 up")
        switch.ip(f"link set p-{name} master br0", f"link set p-{name} up")
        self.places[name] = segment
        return host

    def router(self) -> Namespace:
        """A router between the devices' segment and the servers': 10.30.N.0/25 and 10.30.N.128/25."""
        self.segment("lan")
        self.segment("dc")
        router = self.plug("router", 1, prefix=25)
        cable(router, "eth1", self.mac(129), self.namespace("dc"), "p-up")
        router.ip(f"addr add {self.ip(129)}/25 broadcast + dev eth1", "link set eth1 up")
        self.namespace("dc").ip("link set p-up master br0", "link set p-up up")
        router.sysctl("net.ipv4.ip_forward=1")
        return router

    def behind(self, name: str, last: int) -> Namespace:
        """A host on the servers' segment."""
        host = self.plug(name, last, segment="dc", prefix=25)
        host.ip(f"route add default via {self.ip(129)}")
        return host

    # ------------------------------------------------------------------------------------------- the services

    def dhcp_options(self, *, domain: bool = True, static_only: bool = True, prefix: int = 24) -> list[str]:
        """dnsmasq's options for DHCP: one address for each device that it knows."""
        mask = "255.255.255.0" if prefix == 24 else "255.255.255.128"
        span = f"{self.ip(DEVICE)},static" if static_only else f"{self.ip(DEVICE)},{self.ip(DEVICE + 9)}"
        return [
            f"--dhcp-range={span},{mask},1h",
            *(f"--dhcp-host={self.mac(last)},{self.ip(last)}" for last in (DEVICE, SECOND) if static_only),
            *([f"--domain={self.suffix}"] if domain else []),
            "--no-ping",
            "--dhcp-authoritative",
        ]

    def dns_options(self, *, server: str | None, **records: str) -> list[str]:
        """dnsmasq's options for DNS: it knows the site's zone and the bare name, and refuses the rest."""
        hosts = {**({"provisionserver": server} if server else {}), **records}
        return [
            f"--local=/{self.suffix}/",
            "--local=/provisionserver/",
            f"--local=/{self.number}.30.10.in-addr.arpa/",
            *(f"--host-record={self.name(host)},{ip}" for host, ip in hosts.items()),
        ]

    def serve_network(self, *options: str, host: str = "infra") -> Any:
        """Start dnsmasq."""
        return dnsmasq(self.namespace(host), self.folder, *options)

    def office(self, *more: str, dns: bool = True, dhcp: bool = True, hub: bool = False) -> Any:
        """The usual segment: infra with DHCP and DNS; return its dnsmasq."""
        self.segment(hub=hub)
        self.plug("infra", INFRA)
        options = [*(self.dhcp_options() if dhcp else []), *more]
        if dns:
            options += self.dns_options(server=self.ip(SCA))
        return self.serve_network(*options)

    def sca(
        self,
        last: int = SCA,
        name: str = "sca",
        *,
        listen: bool = True,
        chatty: bool = True,
        **behaviour: Any,
    ) -> Sca:
        """The server, plugged in if it is not yet, and listening."""
        machine = self.namespaces.get(name) or self.plug(name, last)
        context = self.credentials.server(self.name("provisionserver"))
        sca = Sca(machine, context, rng=random.Random(self.number), **behaviour)
        if listen:
            sca.start()
        if chatty:
            self.chatter(machine)
        return sca

    def chatter(self, machine: Namespace, gap: float = 8) -> None:
        """Have a machine look for its time server now and then, as machines do, beginning with ARP.

        A capture ends with its last packet: without other traffic nothing would show that it went on.
        """

        def ask() -> None:
            with contextlib.suppress(OSError, RuntimeError):
                while not self.closing.wait(gap):
                    machine.ip(f"neigh flush to {self.ip(INFRA)}")
                    resolve(machine, self.ip(INFRA), self.name("time"), wire.A, (1,))

        threading.Thread(target=ask, daemon=True).start()

    def device(
        self,
        last: int = DEVICE,
        *,
        static: bool = False,
        listen: bool = True,
        uuid: str | None = None,
        pid: str | None = None,
        roots: tuple[ListedRoot, ...] = MODERN,
        admin_credentials: int = 1,
        segment: str = "lan",
        prefix: int = 24,
    ) -> AmtDevice:
        """An AMT device on a segment."""
        name = "device" if last == DEVICE else f"device{last}"
        machine = self.plug(name, last, segment=segment, static=static, prefix=prefix)
        card = AmtHost(
            name=f"PC-{self.number:02}-{last:03}",
            mac=self.mac(last),
            ip=self.ip(last),
            uuid=uuid or _uuid(self.mac(last)),
            pid=pid,
            roots=roots,
            admin_credentials=admin_credentials,
        )
        device = AmtDevice(card, machine, self.folder, self.hellos)
        if listen:
            device.listen(self.credentials.device())
        return device

    # ------------------------------------------------------------------------------------------ the recording

    def record(self, where: str = "device", *, capture_filter: str = "", name: str = "capture") -> Recorder:
        """Start recording at the switch port of a host, or all of a segment, as a mirror port shows it."""
        segment = self.places.get(where)
        switch = self.namespace(segment or where)
        interface = f"p-{where}" if segment else "br0"
        recorder = Recorder(switch, interface, self.folder / f"{name}.pcapng", capture_filter)
        self.recorders.append(recorder)
        self.started = time.monotonic()
        return recorder

    def until(self, seconds: float) -> None:
        """Wait until this long after the recording began."""
        time.sleep(max(0.0, self.started + seconds - time.monotonic()))

    def ping(self, asker: Namespace, targets: Sequence[str], gap: float = 0.1) -> None:
        """RMCP presence pings."""
        with asker.new_socket(SOCK_DGRAM) as port:
            port.settimeout(gap)
            for tag, target in enumerate(targets, 1):
                try:
                    port.sendto(wire.presence_ping(tag), (target, wire.RMCP_PORT))
                    port.recv(64)
                except OSError:
                    continue
                time.sleep(gap)

    # ---------------------------------------------------------------------------------------------- the truth

    def ends(
        self,
        device: AmtDevice,
        stage: str | None,
        mode: str | None = "setup",
        *,
        by_ip: bool = False,
        **facts: Any,
    ) -> None:
        """How far a device came, and in which mode the capture shows it."""
        who = {"ip": device.card.ip} if by_ip else {"uuid": device.card.uuid}
        told = {key: value for key, value in (("stage", stage), ("mode", mode)) if value}
        self.truth.devices.append({**who, **told, **facts})

    def nothing_shows_amt(self, device: AmtDevice) -> None:
        """The stand-in never gets as far as to show that it is an AMT device: a lease with a fault is all."""
        self.truth.devices.append(
            {"mac": device.card.mac, "stage": "discovery", "mode": "unknown", "is_amt": False}
        )

    def found(
        self,
        rule: str | None,
        device: AmtDevice | None = None,
        catalogue: str | None = None,
        *,
        severity: str | None = None,
        by_ip: bool = False,
        by_mac: bool = False,
    ) -> None:
        """What a diagnosis has to name. Without a rule: the row of the catalogue alone."""
        entry: dict[str, Any] = {"rule": rule} if rule else {}
        if device is not None:
            by_address = {"mac": device.card.mac} if by_mac else {"ip": device.card.ip}
            entry |= by_address if by_ip or by_mac else {"uuid": device.card.uuid}
        pairs = (("severity", severity), ("catalogue", catalogue))
        self.truth.findings.append(entry | {key: value for key, value in pairs if value})

    def close(self) -> None:
        """Take everything down."""
        self.closing.set()
        for namespace in self.namespaces.values():
            namespace.close()


def _uuid(mac: str) -> str:
    """A UUID as many boards have it: its last six bytes are the MAC."""
    rng = random.Random(mac)
    return (
        f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-1{rng.getrandbits(12):03x}-"
        f"8{rng.getrandbits(12):03x}-{mac.replace(':', '')}"
    )
