"""Network namespaces, the cables between them, and sockets that live in them."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "amtlab"
"""All namespaces of the lab begin with it, so that what a killed run left behind can be told."""
_NAMED = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_SIOCETHTOOL = 0x8946
_OFFLOADS = {"tx checksum": 0x17, "TSO": 0x1F, "GSO": 0x24}
_libc = ctypes.CDLL(None, use_errno=True)


def run(*words: str, stdin: str | None = None) -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Move this thread into a namespace for a while: a socket made there stays there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(_NAMED / namespace, os.O_RDONLY)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def _enter(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(slots=True)
class Namespace:
    """A machine: its own interfaces, addresses, firewall and processes."""

    name: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        run("ip", "netns", "add", self.name)
        self.sysctl("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        self.ip("link set lo up")

    def ip(self, *commands: str) -> None:
        """Run commands of ip(8) in here."""
        run("ip", "-n", self.name, "-batch", "-", stdin="\n".join(commands) + "\n")

    def sysctl(self, *settings: str) -> None:
        """Set kernel parameters in here."""
        run("ip", "netns", "exec", self.name, "sysctl", "-qw", *settings)

    def nft(self, rules: str) -> None:
        """Load rules of nft(8) in here."""
        run("ip", "netns", "exec", self.name, "nft", "-f", "-", stdin=rules)

    def run(self, *words: str) -> str:
        """Run a program in here to its end."""
        return run("ip", "netns", "exec", self.name, *words)

    def start(self, *words: str, log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a program in here; it ends with the lab at the latest."""
        with log.open("ab") as out:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **(env or {})},
            )
        self.processes.append(process)
        return process

    def new_socket(
        self, kind: socket.SocketKind, family: socket.AddressFamily = socket.AF_INET
    ) -> socket.socket:
        """A socket that lives in here, whatever thread uses it."""
        with inside(self.name):
            return socket.socket(family, kind)

    def sniffer(self, interface: str, ethertype: int) -> socket.socket:
        """A raw socket on an interface: gets and sends whole frames."""
        with inside(self.name):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
            raw.bind((interface, ethertype))
            return raw

    def plain_checksums(self, interface: str) -> None:
        """Have the kernel compute checksums and cut segments itself, as a network card would for it."""
        with self.new_socket(socket.SOCK_DGRAM) as control:
            for command in _OFFLOADS.values():
                value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
                name = interface.encode("ascii")
                fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP", name, ctypes.addressof(value)))

    def close(self) -> None:
        """End all that runs in here, and remove it."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)


def cable(host: Namespace, interface: str, mac: str, other: Namespace, port: str) -> None:
    """Join two namespaces: a card in a host, a port of a switch."""
    run(
        *("ip", "link", "add", interface, "address", mac, "netns", host.name),
        *("type", "veth", "peer", "name", port, "netns", other.name),
    )
    host.plain_checksums(interface)


def leftovers() -> Sequence[str]:
    """Namespaces that an earlier run of the lab did not remove."""
    return [path.name for path in _NAMED.glob(f"{PREFIX}*")] if _NAMED.is_dir() else []


def remove(names: Sequence[str]) -> None:
    """Remove namespaces and what still runs in them."""
    for name in names:
        for pid in run("ip", "netns", "pids", name).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        run("ip", "netns", "del", name)
