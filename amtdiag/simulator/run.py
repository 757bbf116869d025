"""The clock of a run: who says Hello when, what happens to a connection back, and when it is over."""

from __future__ import annotations

import contextlib
import heapq
import socket
import ssl
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from amtdiag.simulator import chain_rules, pskend, rmcp, tlsend, wsman
from amtdiag.simulator.door import Entrance, bound, family
from amtdiag.simulator.hello import hello_bytes
from amtdiag.simulator.hosts import DEVICE_PORT
from amtdiag.simulator.http import Requests, TooMuch, reply
from amtdiag.simulator.lookup import look_up
from amtdiag.simulator.plan import HIGHEST_RETRY, PLAIN_PORT, Card, SimulationPlan

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_TICK = 0.05
_AT_ONE_TIME = 32
"""Hellos that are under way."""
_CONNECT = 20.0
_GOODBYE = 5.0
"""Seconds to wait for the server to close its side after a Hello."""
_BETWEEN_PARTS = 0.05
_READ = 16 << 10


class SimulatorEvent(NamedTuple):
    """Something that happened."""

    ts: int
    """Nanoseconds since 1970."""
    uuid: str
    kind: str
    """lookup, hello, connection, refused, tls, call, pong, commit, note."""
    text: str


class Outcome(NamedTuple):
    """What a run came to."""

    devices: int
    provisioned: int
    """Devices at which CommitChanges was called, and done."""
    hellos: int
    connections: int
    """That the server opened."""


class _Channel(Protocol):
    what: str

    def receive(self) -> bytes: ...
    def send(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class _PlainTalk:
    what = "no TLS"

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def receive(self) -> bytes:
        return self._connection.recv(_READ)

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def close(self) -> None:
        """TCP alone has no farewell."""


class _SimulatedDevice:
    """A device of the run, and how far it is."""

    def __init__(self, card: Card, plan: SimulationPlan, public_key: bytes) -> None:
        self.card = card
        self.waits = iter(plan.waits)
        self.retry = 0
        guard = wsman.guard(plan.password)
        self.memory = wsman.Memory(card.uuid, plan.firmware, plan.domain, public_key, guard)
        self.responder = wsman.Responder(
            self.memory, plan.scenario.answers, refuses=plan.scenario.refuses_password
        )


class Run:
    """Some devices on this machine. Use it as a context: its ports are open inside."""

    def __init__(self, plan: SimulationPlan, say: Callable[[SimulatorEvent], None]) -> None:
        self._plan = plan
        self._report = say
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._number = 0
        self._hellos = self._connections = 0
        self._last = time.monotonic()
        self._cleanup = contextlib.ExitStack()
        self._speaking: dict[str, _SimulatedDevice] = {}
        self._connecting: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def __enter__(self) -> Self:
        """Open all ports. MissingToolError where one cannot be had."""
        with contextlib.ExitStack() as stack:
            self._open(stack)
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._cleanup.close()

    def _open(self, stack: contextlib.ExitStack) -> None:
        plan = self._plan
        if plan.kind == "psk":
            pskend.needed()
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amtdiag-device-")))
        identity, public_key = _identity(self._folder)
        self._tls = tlsend.TlsEnd(identity, self._folder, plan.versions)
        self._facts = chain_rules.Facts(
            frozenset(_digests(plan)), plan.suffix, datetime.now(UTC), plan.release
        )
        self._devices = [_SimulatedDevice(card, plan, public_key) for card in plan.cards]
        for device in self._devices:
            self._speaking.setdefault(device.card.address, device)
        ports = [DEVICE_PORT] if plan.scenario.door != "closed" else []
        for address in self._speaking:
            for port in [*ports, *([PLAIN_PORT] if plan.plain else [])]:
                door = plan.scenario.door if port == DEVICE_PORT else "open"
                attend = partial(self._attend, address, port)
                stack.callback(Entrance(address, port, door, attend).close)
            self._ping(stack, address)

    def _ping(self, stack: contextlib.ExitStack, address: str) -> None:
        try:
            endpoint = stack.enter_context(bound(address, rmcp.RMCP_PORT, socket.SOCK_DGRAM))
        except PermissionError:
            self._say(self._speaking[address], "note", "no right to port 623: presence pings go unanswered")
            return

        def make(tag: int) -> bytes:
            memory = self._speaking[address].memory
            return rmcp.pong(tag, self._plan.firmware, committed=memory.committed)

        def say(asker: str) -> None:
            self._say(self._speaking[address], "pong", f"answers a presence ping of {asker}")

        thread = threading.Thread(target=rmcp.answer, args=(endpoint, self._stop, make, say), daemon=True)
        thread.start()
        stack.callback(thread.join, 2)
        stack.callback(self._stop.set)

    # ------------------------------------------------------------------------------------------ sending Hello

    def play(self, asked: Callable[[], bool]) -> Outcome:
        """Say Hellos and be called back, until it is over or it was `asked` to stop."""
        began = self._last = time.monotonic()
        due = [(began, number) for number in range(len(self._devices))]
        under_way: list[Future[None]] = []
        with ThreadPoolExecutor(_AT_ONE_TIME) as pool:
            while not asked():
                now = time.monotonic()
                while due and due[0][0] <= now:
                    _, number = heapq.heappop(due)
                    device = self._devices[number]
                    if device.memory.committed:
                        continue
                    under_way.append(pool.submit(self._speak, device))
                    if (wait := next(device.waits, None)) is not None:
                        heapq.heappush(due, (now + wait, number))
                under_way = [
                    thread for thread in under_way if not thread.done() or thread.result()
                ]  # raises what it did
                done = all(device.memory.committed for device in self._devices) or not due
                if now - began >= self._plan.window or (done and now - self._last >= self._plan.stay):
                    break
                time.sleep(_TICK)
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            self._hang_up()
        committed = sum(device.memory.committed for device in self._devices)
        return Outcome(len(self._devices), committed, self._hellos, self._connections)

    def _speak(self, device: _SimulatedDevice) -> None:
        """Look for the server, if that is wanted, and say Hello."""
        plan, card = self._plan, device.card
        target = plan.servers[0]
        if plan.dns:
            found = look_up(plan.dns, plan.domain, card.address)
            known = [address for address in found.addresses if address in plan.servers]
            self._say(device, "lookup", f"{found}{'' if known else ': no Hello is sent'}")
            if not known:
                return
            target = known[0]
        retry = min(device.retry, HIGHEST_RETRY) if plan.scenario.counts_up else 0
        device.retry += 1
        payload = hello_bytes(plan.message(card), retry)
        with self._lock:
            self._speaking[card.address] = device
        where = f"{target}:{plan.hello_port}"
        try:
            self._hello(device, target, payload)
        except OSError as error:
            if not self._stop.is_set():  # or it was ended from here
                self._say(device, "hello", f"{where} takes no Hello: {error.strerror or error}")
            return
        with self._lock:
            self._hellos += 1
        self._say(device, "hello", f"Hello to {where}, retry {retry}, {len(payload)} bytes")

    def _hello(self, device: _SimulatedDevice, target: str, payload: bytes) -> None:
        with socket.socket(family(target), socket.SOCK_STREAM) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(_CONNECT)
            connection.bind((device.card.address, 0))
            with self._lock:
                self._connecting.add(connection)
            connection.connect((target, self._plan.hello_port))
            sent = 0
            for share in self._plan.scenario.hello_parts:
                if sent:
                    time.sleep(_BETWEEN_PARTS)
                end = sent + round(share * len(payload))
                connection.sendall(payload[sent:end])
                sent = end
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(_GOODBYE)
            with contextlib.suppress(OSError):
                connection.recv(1)

    def _hang_up(self) -> None:
        """End the Hellos under way, so that no thread waits for a server that does not answer."""
        with self._lock:
            open_connections = list(self._connecting)
        for connection in open_connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    # -------------------------------------------------------------------------------------- being called back

    def _attend(self, address: str, port: int, connection: socket.socket, host: str) -> None:
        device = self._speaking[address]
        with self._lock:
            self._connections += 1
            self._number += 1
            number = self._number
        self._say(device, "connection", f"{host} connects to {port}")
        scenario = self._plan.scenario
        if port == DEVICE_PORT and scenario.door in ("mute", "hangs-up"):
            while connection.recv(_READ) and scenario.door == "mute":
                pass
            return
        end: _Channel
        if port == PLAIN_PORT:
            end = _PlainTalk(connection)
        elif self._plan.kind == "psk":
            card = device.card
            pps = card.pps[::-1] if scenario.other_pps else card.pps
            end = pskend.PskTalk(connection, self._folder, number, card.pid, pps)
        elif scenario.breaks_after_commit and device.memory.committed:
            connection.recv(_READ)
            connection.sendall(tlsend.alert(None, tlsend.INTERNAL_ERROR))
            self._say(device, "refused", f"ends the handshake: alert {tlsend.INTERNAL_ERROR}")
            return
        else:
            judge = None if device.memory.committed else partial(self._judge, device)
            try:
                end = self._tls.shake(connection, judge, number)
            except tlsend.Refused as refused:
                self._say(device, "refused", f"refuses the chain: {refused}")
                return
            except ssl.SSLError as error:
                self._say(device, "refused", f"the handshake fails: {error.reason or error}")
                return
        try:
            self._serve(device, end)
        finally:
            end.close()

    def _judge(self, device: _SimulatedDevice, chain: Sequence[bytes]) -> chain_rules.Refusal | None:
        found = chain_rules.refusal(chain, self._facts._replace(now=datetime.now(UTC)))
        if found is None:
            self._say(device, "tls", f"accepts the chain of {len(chain)} certificates")
        return found

    def _serve(self, device: _SimulatedDevice, end: _Channel) -> None:
        requests, first = Requests(), True
        while data := end.receive():
            if first:
                self._say(device, "tls", f"talks with the server: {end.what}")
                first = False
            try:
                whole = requests.feed(data)
            except TooMuch:
                end.send(reply(400, self._plan.firmware))
                return
            for request in whole:
                before = device.memory.committed
                answer = device.responder.answer(request)
                if answer.call or answer.result:
                    self._say(device, "call", f"{answer.call or request.path}: {answer.result}")
                if not answer.data:
                    return
                end.send(answer.data)
                if device.memory.committed and not before:
                    self._say(device, "commit", "is provisioned")
                if request.headers.get("connection", "").lower() == "close":
                    return
        if first:
            self._say(device, "refused", f"the connection ends before a word is said ({end.what})")

    def _say(self, device: _SimulatedDevice, kind: str, text: str) -> None:
        self._last = time.monotonic()
        self._report(SimulatorEvent(time.time_ns(), device.card.uuid, kind, text))


def _digests(plan: SimulationPlan) -> set[bytes]:
    """What a root may be listed by."""
    return {bytes.fromhex(digest) for root in plan.listed for digest in (root.sha1, root.sha256) if digest}


@cache
def _key() -> RSAPrivateKey:
    """One key for all devices of this process."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(65537, 2048)


def _identity(folder: Path) -> tuple[Path, bytes]:
    """Make a self-signed certificate, as devices have it: the file of both, and the key's public part."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from amtdiag.simulator.certificates import Wish, certify, identity

    key = _key()
    begins = datetime.now(UTC) - timedelta(days=30)
    made = identity(certify(Wish("AMT RCFG", days=7300, begins=begins), key=key))
    file = folder / "identity.pem"
    file.write_bytes(made.key + made.chain)
    return file, key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
