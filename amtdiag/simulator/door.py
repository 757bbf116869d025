"""The sockets on which a device is called back: opening them, and taking what comes."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable

from amtdiag.errors import MissingToolError
from amtdiag.simulator.scenarios import Door

MAX_OPEN = 64
"""Connections at one time."""
PATIENCE = 30.0
"""Seconds for which a connection may say nothing."""
_TICK = 0.2
_BACKLOG = 16
_FILLERS = 4
"""Connections that fill a queue which holds one, with some to spare."""

Attend = Callable[[socket.socket, str], None]


def family(address: str) -> socket.AddressFamily:
    """IPv4 or IPv6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bound(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A socket on a port of ours. MissingToolError where the port is taken or the right is missing."""
    listener = socket.socket(family(address), kind)
    try:
        if kind == socket.SOCK_STREAM:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError):
            raise
        why = {errno.EADDRINUSE: "is taken by another program", errno.EADDRNOTAVAIL: "is not on this machine"}
        place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        reason = why.get(error.errno or 0, error.strerror or str(error))
        raise MissingToolError(f"cannot listen: {place} {reason}") from error
    return listener


class Entrance:
    """A TCP port that takes connections, each in a thread of its own, or takes none."""

    def __init__(self, address: str, port: int, door: Door, attend: Attend) -> None:
        self._attend = attend
        self._listener = bound(address, port, socket.SOCK_STREAM)
        self._stop = threading.Event()
        self._open = threading.Semaphore(MAX_OPEN)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._fillers: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        try:
            self._listener.listen(0 if door == "silent" else _BACKLOG)
            if door == "silent":
                self._fill(address, port)
                return
        except BaseException:
            self.close()
            raise
        self._listener.settimeout(_TICK)
        self._threads.append(threading.Thread(target=self._accept, daemon=True))
        self._threads[0].start()

    def _fill(self, address: str, port: int) -> None:
        """Have the queue of a port full that no thread reads: the kernel drops every further SYN (Linux)."""
        for _ in range(_FILLERS):
            one = socket.socket(family(address), socket.SOCK_STREAM)
            self._fillers.append(one)
            one.settimeout(0.1)
            try:
                one.connect((address, port))
            except TimeoutError:
                return

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, (host, *_) = self._listener.accept()
            except OSError:
                continue  # no connection came, or it is gone again
            if not self._open.acquire(blocking=False):
                connection.close()
                continue
            connection.settimeout(PATIENCE)
            with self._lock:
                self._connections.add(connection)
            thread = threading.Thread(target=self._take, args=(connection, host), daemon=True)
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _take(self, connection: socket.socket, host: str) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                self._attend(connection, host)
        finally:
            with self._lock:
                self._connections.discard(connection)
            self._open.release()

    def close(self) -> None:
        """Take no more, and end what is open."""
        self._stop.set()
        with self._lock:
            open_connections = list(self._connections)
        for connection in open_connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        until = time.monotonic() + 3
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        for listener in (self._listener, *self._fillers):
            listener.close()
