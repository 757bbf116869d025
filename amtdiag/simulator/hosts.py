"""Who takes part: devices, their server, and the network between them. Names and addresses are made up."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from amtdiag.simulator.roots import MODERN, ListedRoot

HELLO_PORT = 9971
DEVICE_PORT = 16993
SAMPLE_PID = "0000037M"
"""The PID of Intel's own example; its last character checks the others."""
SAMPLE_PPS = b"NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ"
"""The passphrase that Intel's guide prints beside that PID: no secret."""


@dataclass(frozen=True, slots=True)
class Host:
    """One network card: a name, a MAC and an address."""

    name: str
    mac: str
    ip: str


@dataclass(frozen=True, slots=True)
class AmtHost(Host):
    """An AMT device and what its Hello says. A device with a PID speaks Type 2, any other Type 3.

    Unless it has a version of its own.
    """

    uuid: str
    pid: str | None = None
    roots: tuple[ListedRoot, ...] = MODERN
    digest: str = "sha256"
    """Which digest of its roots the firmware sends."""
    admin_credentials: int = 1
    own_version: int | None = None
    """One that no document describes."""

    @property
    def hello_version(self) -> int:
        """The interface version in the Hello."""
        return self.own_version or (3 if self.pid is None else 2)

    @property
    def hello_type(self) -> str:
        """What kind of setup that stands for."""
        return {2: "psk", 3: "pki"}.get(self.hello_version, "unknown")


@dataclass(frozen=True, slots=True)
class Network:
    """A site: its router is DHCP and DNS server too, its SCA is a host of its own."""

    number: int
    suffix: str
    router: Host
    server: Host

    def host(self, name: str, last: int) -> Host:
        """Any other machine of the site."""
        return Host(name, _mac(self.number, last), f"10.20.{self.number}.{last}")

    def device(
        self,
        last: int = 50,
        *,
        pid: str | None = None,
        uuid: str | None = None,
        roots: tuple[ListedRoot, ...] = MODERN,
        digest: str = "sha256",
        admin_credentials: int = 1,
    ) -> AmtHost:
        """An AMT device whose address ends in `last`."""
        mac = _mac(self.number, last)
        return AmtHost(
            name=f"PC-{self.number:02}-{last:03}",
            mac=mac,
            ip=f"10.20.{self.number}.{last}",
            uuid=uuid or _uuid(mac),
            pid=pid,
            roots=roots,
            digest=digest,
            admin_credentials=admin_credentials,
        )


def over_ipv6(net: Network) -> Network:
    """The same site with IPv6 addresses."""
    return replace(net, router=_ipv6(net.router), server=_ipv6(net.server))


def device_over_ipv6(device: AmtHost) -> AmtHost:
    """The same device with an IPv6 address."""
    return replace(device, ip=_ipv6(device).ip)


def _ipv6(host: Host) -> Host:
    *_, number, last = host.ip.split(".")
    return Host(host.name, host.mac, f"fd00:10:20:{number}::{last}")


def network(number: int) -> Network:
    """Each scenario has a site of its own, so that all samples can be read as one without a clash."""
    return Network(
        number=number,
        suffix=f"site{number:02}.example",
        router=Host("router", _mac(number, 1), f"10.20.{number}.1"),
        server=Host("sca", _mac(number, 10), f"10.20.{number}.10"),
    )


def _mac(number: int, last: int) -> str:
    """A locally administered address: it belongs to no vendor."""
    return f"02:a4:d7:00:{number:02x}:{last:02x}"


def _uuid(mac: str) -> str:
    """A UUID as many boards have it: its last six bytes are the MAC."""
    rng = random.Random(mac)
    return (
        f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-1{rng.getrandbits(12):03x}-"
        f"8{rng.getrandbits(12):03x}-{mac.replace(':', '')}"
    )


def checked_pid(body: str) -> str:
    """A PID: seven characters and the one that checks them, the sum of their codes modulo 36."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return body + alphabet[sum(body.encode("ascii")) % len(alphabet)]
