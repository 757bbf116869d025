"""The stand-in for an AMT device: gets a lease, looks for its server, says Hello and waits to be called."""

from __future__ import annotations

import contextlib
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_TCP,
    SHUT_WR,
    SO_REUSEADDR,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
    socket,
)

from scenarios.packets import SentHello

from amtdiag.simulator.hello import digests_of, hello_bytes
from amtdiag.simulator.hosts import DEVICE_PORT, HELLO_PORT, AmtHost
from amtdiag.simulator.rmcp import Pong
from tools.lab import wire
from tools.lab.net import Namespace
from tools.lab.programs import read_lease, udhcpc

SERVER_NAME = "ProvisionServer"
WSMAN_REPLY = (
    b"HTTP/1.1 200 OK\r\nServer: Intel(R) Active Management Technology 16.1.25.2124\r\n"
    b"Content-Type: application/soap+xml; charset=UTF-8\r\nContent-Length: 0\r\n\r\n"
)


@dataclass
class AmtDevice:
    """A device, the machine it sits in, and what it has sent."""

    card: AmtHost
    machine: Namespace
    folder: Path
    hellos: list[SentHello]
    """Shared by all devices of a scenario."""
    dns: str = ""
    domain: str = ""
    dns_timeouts: Sequence[float] = (2, 3, 4)
    client: subprocess.Popen[bytes] = field(init=False)
    lease_file: Path = field(init=False)

    # ------------------------------------------------------------------------------------ address and server

    def lease(self, *options: str, limit: float = 20, quit_then: bool = True) -> bool:
        """Ask for a lease; False where there is none."""
        ending = ("-q",) if quit_then else ()
        self.client, self.lease_file = udhcpc(
            self.machine, self.folder, "-t", "5", "-T", "2", "-n", *ending, *options
        )
        return self._read_lease(limit)

    def renew(self, limit: float = 20) -> bool:
        """Have the DHCP client ask to keep the address that it has."""
        self.lease_file.unlink()
        self.client.send_signal(signal.SIGUSR1)
        return self._read_lease(limit)

    def release(self) -> None:
        """Give the address back, and end the DHCP client."""
        self.client.send_signal(signal.SIGUSR2)
        time.sleep(0.3)
        self.client.terminate()
        self.client.wait()

    def _read_lease(self, limit: float) -> bool:
        got = read_lease(self.lease_file, self.client, limit)
        if got is not None:
            self.dns, self.domain = got["dns"].split(" ")[0], got["domain"]
            self.card = replace(self.card, ip=got["ip"])
        return got is not None

    def find_server(self) -> str | None:
        """Look for the provisioning server: by the bare name, then below the domain of the lease."""
        names = [SERVER_NAME] + ([f"{SERVER_NAME}.{self.domain}"] if self.domain else [])
        for name in names:
            found = self.resolve(name)
            if found:
                return found[0]
        return None

    def resolve(self, name: str, kind: int = wire.A) -> list[str]:
        """Ask the DNS server of the lease, and again where nothing comes."""
        return resolve(self.machine, self.dns, name, kind, self.dns_timeouts) if self.dns else []

    # ------------------------------------------------------------------------------------------------- Hello

    def hello(
        self,
        server: str | None,
        retry: int = 0,
        *,
        port: int = HELLO_PORT,
        cut: int = 0,
        timeout: float = 20,
    ) -> bool:
        """Connect, say Hello and close; False where nobody takes the connection. `cut`: two segments."""
        assert server is not None, f"{self.card.name} found no server"
        payload = hello_bytes(self.card, retry)
        with self.machine.new_socket(SOCK_STREAM) as talk:
            talk.settimeout(timeout)
            talk.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            try:
                talk.connect((server, port))
            except OSError:
                return False
            src, sport = talk.getsockname()
            self.hellos.append(
                SentHello(self.card, retry, src, server, sport, port, payload, digests_of(self.card))
            )
            if cut:
                talk.sendall(payload[:cut])
                time.sleep(0.05)
            talk.sendall(payload[cut:])
            talk.shutdown(SHUT_WR)
            with contextlib.suppress(OSError):
                talk.recv(1)
        return True

    def discover(self) -> str:
        """Lease and look-up as they should go: the server's address."""
        assert self.lease(), f"{self.card.name} got no lease"
        found = self.find_server()
        assert found is not None, f"{self.card.name} found no server"
        return found

    # -------------------------------------------------------------------------------------- being called back

    def listen(self, context: ssl.SSLContext, port: int = DEVICE_PORT) -> None:
        """Take TLS connections on the management port, and answer each request."""
        serve(self.machine, port, lambda talk: _answer(talk, context))

    def answer_pings(self, pong: Pong) -> None:
        """Answer RMCP presence pings."""
        port = self.machine.new_socket(SOCK_DGRAM)
        port.bind(("0.0.0.0", wire.RMCP_PORT))

        def answer() -> None:
            with port:
                while True:
                    data, asker = port.recvfrom(64)
                    port.sendto(pong.data(data[9]), asker)

        threading.Thread(target=answer, daemon=True).start()


def resolve(
    machine: Namespace, server: str, name: str, kind: int, timeouts: Sequence[float] = (2, 3)
) -> list[str]:
    """What DNS says of a name: addresses or names; nothing where it denies, fails or is silent."""
    number = sum(name.encode("ascii")) * 257 & 0xFFFF
    with machine.new_socket(SOCK_DGRAM, AF_INET6 if ":" in server else AF_INET) as asker:
        asker.connect((server, wire.DNS_PORT))
        for timeout in timeouts:
            asker.settimeout(timeout)
            started = time.monotonic()
            try:
                asker.send(wire.question(number, name, kind))
                return wire.read_reply(asker.recv(1500))[1]
            except OSError:  # silence, or ICMP
                time.sleep(max(0.0, started + timeout - time.monotonic()))
    return []


def serve(machine: Namespace, port: int, handle: Callable[[socket], None]) -> socket:
    """Listen on a TCP port and give each connection to a function, in a thread of its own."""
    door = machine.new_socket(SOCK_STREAM)
    door.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    door.bind(("0.0.0.0", port))
    door.listen(16)

    def attend(talk: socket) -> None:
        with talk, contextlib.suppress(OSError):
            talk.settimeout(30)
            handle(talk)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                talk, _ = door.accept()
                threading.Thread(target=attend, args=(talk,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return door


def _answer(talk: socket, context: ssl.SSLContext) -> None:
    with context.wrap_socket(talk, server_side=True) as session:
        while session.recv(4096):
            session.sendall(WSMAN_REPLY)
        session.unwrap().recv(1)  # the server closes first
