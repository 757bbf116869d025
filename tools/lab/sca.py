"""The stand-in for a setup and configuration application: takes Hellos, and connects back when they end."""

from __future__ import annotations

import contextlib
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from socket import SOCK_DGRAM, SOCK_STREAM, socket

from amtdiag.simulator.hosts import DEVICE_PORT, HELLO_PORT
from tools.lab import wire
from tools.lab.device import resolve, serve
from tools.lab.net import Namespace

REQUEST = (
    b"POST /wsman HTTP/1.1\r\nHost: device\r\nUser-Agent: lab\r\nContent-Length: 0\r\n"
    b"Content-Type: application/soap+xml\r\n\r\n"
)
GAP = 0.5
"""Between two tries to connect back, in seconds, as MeshCentral has it."""


@dataclass
class Sca:
    """A server, what it does with a Hello, and what it heard."""

    machine: Namespace
    context: ssl.SSLContext | None
    """With what it talks TLS to the device."""
    calls_back: bool = True
    ports: Sequence[int] = (DEVICE_PORT,)
    """Those it tries one after the other."""
    tries: int = 5
    delay: float = 0.0
    """How long it thinks before it connects back, besides the usual 15 to 30 ms."""
    patience: float = 4.0
    """How long it waits for an answer to its SYN."""
    dns: str = ""
    """It asks this server for the name of the device, and connects to that."""
    before_calling: Callable[[], None] | None = None
    """Done right before it connects back."""
    heard: list[tuple[str, int, bytes]] = field(default_factory=list)
    """Address and port of the sender as the server saw them, and what it sent."""
    first_to_call: int = 0
    """It does nothing about the Hellos before this one."""
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def start(self, port: int = HELLO_PORT) -> socket:
        """Listen for Hellos; closing what is returned stops that."""
        return serve(self.machine, port, self._hear)

    def _hear(self, talk: socket) -> None:
        sender = talk.getpeername()
        data = b""
        while piece := talk.recv(4096):
            data += piece
        talk.close()
        self.heard.append((*sender, data))
        if self.calls_back and len(self.heard) > self.first_to_call:
            time.sleep(self.delay + self.rng.uniform(0.015, 0.030))
            if self.before_calling is not None:
                self.before_calling()
            self._call(sender[0])

    def _call(self, device: str) -> None:
        target = self._named(device) if self.dns else device
        for port in self.ports:
            for _ in range(self.tries):
                if self._talk(target, port):
                    return
                time.sleep(GAP)

    def _named(self, device: str) -> str:
        """The address behind the name that reverse DNS gives the device: MeshCentral connects to names."""
        names = resolve(self.machine, self.dns, ip_address(device).reverse_pointer, wire.PTR)
        addresses = resolve(self.machine, self.dns, names[0], wire.A) if names else []
        return addresses[0] if addresses else device

    def _talk(self, target: str, port: int) -> bool:
        with self.machine.new_socket(SOCK_STREAM) as talk:
            talk.settimeout(self.patience)
            try:
                talk.connect((target, port))
            except OSError:
                return False
            assert self.context is not None
            with self.context.wrap_socket(talk) as session, contextlib.suppress(OSError):
                for _ in range(2):
                    session.sendall(REQUEST)
                    session.recv(4096)
                    time.sleep(0.02)
                session.unwrap()
        return True


def answer_dns(machine: Namespace, rcode: int) -> None:
    """A DNS server that answers every question with one response code."""
    port = machine.new_socket(SOCK_DGRAM)
    port.bind(("0.0.0.0", wire.DNS_PORT))

    def answer() -> None:
        with port:
            while True:
                query, asker = port.recvfrom(512)
                port.sendto(wire.reply(query, rcode), asker)

    threading.Thread(target=answer, daemon=True).start()
