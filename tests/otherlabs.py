"""Captures as another team's lab would make them: OpenSSL itself plays the device, with its own alerts.

The packets come from the simulator, the bytes of TLS from real stacks: the ssl module in memory, and the
openssl program behind a relay that writes down what both ends say (it knows pre-shared keys).
"""

from __future__ import annotations

import hashlib
import selectors
import socket
import ssl
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scenarios.containers import render
from scenarios.conversation import Conversation
from scenarios.packets import MICROSECOND, MILLISECOND, SECOND, Frame, Trace
from scenarios.scene import Scene

from amtdiag.simulator.certificates import Authority, Identity, authority, device_identity
from amtdiag.simulator.hello import hello_bytes
from amtdiag.simulator.hosts import AmtHost, network
from amtdiag.simulator.roots import MODERN, ListedRoot

NO_CHECK_TIME = 0x20_0000
V10, V12, V13 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
START = 1_772_442_072 * SECOND
TRY_AGAIN = 500 * MILLISECOND
REQUEST = b"POST /wsman HTTP/1.1\r\nHost: device:16993\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"

Flights = list[tuple[bool, bytes]]
"""What both ends say in turn; True for the client, which is the provisioning server."""
End = Literal["device FIN", "device RST", "server FIN", "server RST", "nothing"]

# ---------------------------------------------------------------------------------------------- in memory


def _context(
    purpose: int, identity: Identity | None, versions: Sequence[ssl.TLSVersion], level: int
) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(f"ALL:@SECLEVEL={level}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = min(versions), max(versions)
    if identity is not None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "identity.pem"
            file.write_bytes(identity.key + identity.chain)
            context.load_cert_chain(file)
    return context


def server(
    identity: Identity | None, *versions: ssl.TLSVersion, trusts_device: bool = True
) -> ssl.SSLContext:
    """The provisioning server: the TLS client."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, identity, versions or (V12,), 0)
    if not trusts_device:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def device(
    *versions: ssl.TLSVersion,
    trusts: Sequence[Authority] | None = None,
    clock: bool = False,
    level: int = 0,
    ask: bool = True,
) -> ssl.SSLContext:
    """OpenSSL in place of the device: the TLS server, which asks for a certificate."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, device_identity(), versions or (V12,), level)
    if ask:
        context.verify_mode = ssl.CERT_REQUIRED
    if not clock:
        context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    for one in (authority(),) if trusts is None else trusts:
        context.load_verify_locations(cadata=one.pem.decode("ascii"))
    return context


def shake(
    client_context: ssl.SSLContext, server_context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[Flights, ssl.SSLSession | None, bool]:
    """Let both talk: handshake, and where it succeeds a request and its answer.

    Returns what they said, the client's session, and whether both finished.
    """
    boxes = [ssl.MemoryBIO() for _ in range(4)]
    client = client_context.wrap_bio(boxes[0], boxes[1], session=session)
    theirs = server_context.wrap_bio(boxes[2], boxes[3], server_side=True)
    said: Flights = []
    failed = False

    def step(*calls: Callable[[], object]) -> None:
        nonlocal failed
        for call in calls:
            try:
                call()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                failed = True
            for is_client, out, into in ((True, boxes[1], boxes[2]), (False, boxes[3], boxes[0])):
                if data := out.read():
                    said.append((is_client, data))
                    into.write(data)

    for _ in range(4):
        step(client.do_handshake, theirs.do_handshake)
        if failed:
            return said, None, False
    step(lambda: client.write(REQUEST), lambda: theirs.read(4096))
    if not failed:
        step(lambda: theirs.write(ANSWER), lambda: client.read(4096))
        step(client.unwrap, theirs.unwrap)
    return said, client.session, not failed


def alert_of(said: Flights) -> int | None:
    """The description of a fatal alert in the clear that ends it."""
    last = said[-1][1][-7:] if said else b""
    return last[6] if len(last) == 7 and last[0] == 21 and last[3:5] == b"\0\x02" else None


# -------------------------------------------------------------------------------------- the openssl program


def programs(openssl: Path, device_words: Sequence[str], server_words: Sequence[str]) -> Flights:
    """What `openssl s_server`, as the device, and `openssl s_client` say to each other through a relay."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    device_end = subprocess.Popen(
        [openssl, "s_server", "-accept", f"127.0.0.1:{port}", "-naccept", "1", "-quiet", *device_words],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    server_end = None
    try:
        inner = _connected(port)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            mine = listener.getsockname()[1]
            server_end = subprocess.Popen(
                [openssl, "s_client", "-connect", f"127.0.0.1:{mine}", "-quiet", *server_words],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            outer, _ = listener.accept()
        with inner, outer:
            return _relayed(outer, inner)
    finally:
        for process in (device_end, server_end):
            if process is not None:
                process.kill()
                process.communicate()


def _connected(port: int) -> socket.socket:
    until = time.monotonic() + 5
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def _relayed(outer: socket.socket, inner: socket.socket, quiet: float = 0.4) -> Flights:
    """Carry bytes between both until one closes, or both are quiet for so long."""
    said: Flights = []
    with selectors.DefaultSelector() as ready:
        ready.register(outer, selectors.EVENT_READ, (True, inner))
        ready.register(inner, selectors.EVENT_READ, (False, outer))
        while events := ready.select(quiet):
            for key, _ in events:
                is_client, other = key.data
                try:
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    other.sendall(data)
                except ConnectionError:
                    data = b""
                if not data:
                    return said
                if said and said[-1][0] == is_client:
                    said[-1] = (is_client, said[-1][1] + data)
                else:
                    said.append((is_client, data))
    return said


# ------------------------------------------------------------------------------------------------ the capture


def root(of: Authority) -> ListedRoot:
    return ListedRoot(
        "lab", hashlib.sha1(of.der, usedforsecurity=False).hexdigest(), hashlib.sha256(of.der).hexdigest()
    )


@dataclass
class Lab:
    """A capture in the making; `now` runs along."""

    number: int = 230
    now: int = START
    scene: Scene = field(init=False)

    def __post_init__(self) -> None:
        self.scene = Scene(Trace(f"lab {self.number}"), network(self.number), START)

    @property
    def suffix(self) -> str:
        return self.scene.net.suffix

    def device(self, last: int = 50, *, roots: Sequence[Authority] | None = None, **more: str) -> AmtHost:
        """A device that lists some built-in roots, and these."""
        own = (root(one) for one in ((authority(),) if roots is None else roots))
        return self.scene.net.device(last, roots=(*MODERN[:3], *own), **more)  # type: ignore[arg-type]

    def boots(self, one: AmtHost) -> None:
        self.now = self.scene.boot(one, self.now)

    def hello(self, one: AmtHost, retry: int = 0, *, most: int | None = None) -> None:
        payload = None if most is None else hello_bytes(one, retry)[:most]
        self.now = self.scene.soon(self.scene.hello(one, self.now, retry, payload))

    def talk(self, one: AmtHost, port: int = 16993) -> Conversation:
        return Conversation(self.scene.trace, self.scene.net.server, one, port, self.now)

    def back(self, one: AmtHost, said: Flights, end: End = "device FIN", *, port: int = 16993) -> None:
        """A connection to the device that carries this."""
        talk = self.talk(one, port)
        talk.open()
        for is_client, data in said:
            talk.wait(300 * MICROSECOND, 5 * MILLISECOND)
            talk.send(talk.client if is_client else talk.server, data)
        if end != "nothing":
            who, how = end.split()
            side = talk.server if who == "device" else talk.client
            (talk.close if how == "FIN" else talk.abort)(side)
        self.now = talk.now + TRY_AGAIN

    def refused(self, one: AmtHost, port: int = 16993, tries: int = 1) -> None:
        for _ in range(tries):
            talk = self.talk(one, port)
            talk.refused()
            self.now = talk.now + TRY_AGAIN

    def quiet(self, seconds: int = 90) -> None:
        """The capture goes on."""
        net = self.scene.net
        self.scene.chatter(self.now + SECOND, self.now + seconds * SECOND, (net.router,))
        self.now += seconds * SECOND

    def written(self, folder: Path, keep: Callable[[Frame], bool] = lambda _: True) -> Path:
        path = folder / "lab.pcapng"
        path.write_bytes(render(filter(keep, self.scene.trace.ordered()), "pcapng"))
        return path
