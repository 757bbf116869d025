"""A listener in the server's place: accepts connections, reads, and closes them. It never sends a byte."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from itertools import product

from amtdiag.errors import InputError, MissingToolError
from amtdiag.model import Hello
from amtdiag.protocols import hello as protocol

MAX_BYTES = 65_536
"""Of one connection. The longest Hello has 255 digests and less than 20,000 bytes."""
MAX_SECONDS = 30.0
"""For one connection, from its beginning, however slow it is."""
SILENCE = 3.0
"""Seconds after a whole Hello until the connection is closed from this side."""
MAX_OPEN = 256
MAX_OPEN_OF_ONE = 8
"""Connections at one time, of all sources and of one address."""
_BACKLOG = 128


def open_listeners(addresses: Sequence[str | None], ports: Sequence[int]) -> list[socket.socket]:
    """Open a socket for each address and port: without addresses for all, IPv6 and IPv4.

    Raises `MissingToolError` where there is no right to listen, `InputError` where it fails otherwise.
    """
    listeners: list[socket.socket] = []
    try:
        for number, place in product(ports, addresses or [None]):
            listeners.append(open_listener(place, number))
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def open_listener(address: str | None, number: int) -> socket.socket:
    """Open a socket on an address, or on all of them where that is None."""
    family = socket.AF_INET
    host, _, scope = (address or "").partition("%")
    if address is None:
        host = "0.0.0.0"  # noqa: S104 - a server listens on all of its addresses
        if socket.has_dualstack_ipv6():
            family, host = socket.AF_INET6, "::"
    elif ip_address(address).version == 6:
        family = socket.AF_INET6
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address is not None))
            listener.bind((host, number, 0, _scope(scope)))
        else:
            listener.bind((host, number))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        place = shown(host, number)
        if isinstance(error, PermissionError):
            raise MissingToolError(f"no right to listen on {place}: choose a port above 1023") from error
        raise InputError(
            f"cannot listen on {place}: {error.strerror or error} (where the provisioning server itself "
            "listens, use `amtdiag live` beside it)"
        ) from error
    return listener


def _scope(name: str) -> int:
    """The number of the interface that a link-local address names."""
    if not name:
        return 0
    return int(name) if name.isdigit() else socket.if_nametoindex(name)


class IncomingConnection:
    """A connection that the listener took."""

    __slots__ = ("data", "deadline", "first_ts", "hello_until", "here", "last_ts", "source", "sport")

    def __init__(self, source: str, sport: int, here: tuple[str, int]) -> None:
        self.source = source
        """Address of the other side,"""
        self.sport = sport
        """and its port."""
        self.here = here
        """Address and port of this side."""
        self.data = bytearray()
        """What was sent, `MAX_BYTES` at most."""
        self.first_ts = self.last_ts = time.time_ns()
        """When it began, and when bytes came last, ns since 1970 UTC."""
        self.deadline = time.monotonic() + MAX_SECONDS
        """When it is closed at the latest."""
        self.hello_until: float | None = None
        """When to close, once a whole Hello is there."""


Report = Callable[[IncomingConnection, Hello | None, str | None], None]
"""Takes a connection with its Hello; where there is none, with the reason."""


class HelloListener:
    """Accepts and reads; each connection is reported once: when a Hello is whole, or at its end."""

    def __init__(self, listeners: Sequence[socket.socket], report: Report) -> None:
        """Begin on open sockets; `report` gets each connection, its Hello, or why there is none."""
        self._report = report
        self._selector = selectors.DefaultSelector()
        self._open: dict[str, int] = {}
        self._connections: dict[socket.socket, IncomingConnection] = {}
        self.hellos = self.others = self.turned_away = 0
        for listener in listeners:
            self._selector.register(listener, selectors.EVENT_READ)

    def step(self, seconds: float) -> None:
        """Do what there is to do, waiting so long for it."""
        for key, _ in self._selector.select(seconds):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            taken = self._connections.get(connection)
            if taken is None:
                self._accept(connection)
            else:
                self._read(connection, taken)
        now = time.monotonic()
        for connection, taken in list(self._connections.items()):
            if now >= min(taken.deadline, taken.hello_until or taken.deadline):
                self._end(connection, taken, "it was still open when its time was over")

    def close(self) -> None:
        """Take what is open as it stands."""
        for connection, taken in list(self._connections.items()):
            self._end(connection, taken, "it was still open when listening ended")
        self._selector.close()

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, (host, sport, *_) = listener.accept()
        except OSError:
            return  # gone again, or no descriptor is free: the next turn tries again
        source = _plain_address(host)
        if len(self._connections) >= MAX_OPEN or self._open.get(source, 0) >= MAX_OPEN_OF_ONE:
            self.turned_away += 1
            connection.close()
            return
        connection.setblocking(False)
        here_host, here_port = connection.getsockname()[:2]
        self._connections[connection] = IncomingConnection(
            source, sport, (_plain_address(here_host), here_port)
        )
        self._open[source] = self._open.get(source, 0) + 1
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket, taken: IncomingConnection) -> None:
        try:
            data = connection.recv(MAX_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(connection, taken, f"the other side ended it: {error.strerror or error}")
            return
        if not data:
            self._end(connection, taken, "the other side closed it")
            return
        taken.last_ts = time.time_ns()
        taken.data += data[: MAX_BYTES - len(taken.data)]
        if taken.hello_until is not None:
            return
        found = protocol.parse(bytes(taken.data), ended=False)
        if isinstance(found, Hello) and found.complete:
            taken.hello_until = time.monotonic() + SILENCE
            self._finish(taken, found, None)
        elif len(taken.data) >= MAX_BYTES:
            self._end(connection, taken, f"it sent more than {MAX_BYTES:,} bytes")

    def _end(self, connection: socket.socket, taken: IncomingConnection, why: str) -> None:
        self._selector.unregister(connection)
        connection.close()
        del self._connections[connection]
        self._open[taken.source] -= 1
        if not self._open[taken.source]:
            del self._open[taken.source]
        if taken.hello_until is None:
            found = protocol.parse(bytes(taken.data), cut_by_capture=False)
            self._finish(taken, found if isinstance(found, Hello) else None, self._reason(taken, found, why))

    @staticmethod
    def _reason(taken: IncomingConnection, found: object, why: str) -> str:
        if not taken.data:
            return f"it sent nothing; {why}"
        return f"{found.reason}; {why}" if isinstance(found, protocol.NotHello) else why

    def _finish(self, taken: IncomingConnection, hello: Hello | None, reason: str | None) -> None:
        if hello is not None:
            self.hellos += 1
        else:
            self.others += 1
        self._report(taken, hello, reason)


def _plain_address(host: str) -> str:
    """An address as the reports have it: without the scope, and IPv4 as such."""
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if address.version == 6 else None
    return str(mapped or address)


def shown(host: str, number: int) -> str:
    """Return address and port as they are written together."""
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
