"""The device's end of TLS with a pre-shared key: the openssl program speaks it, this module carries bytes.

Python's ssl module knows pre-shared keys only from 3.13 on. The program gets a connection of its own each
time, over a socket in the run's folder; what it decrypts comes on its standard output.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from amtdiag.errors import MissingToolError

_SUITES = "PSK-AES256-CBC-SHA:PSK-AES128-CBC-SHA:@SECLEVEL=0"
"""Plain PSK suites of RFC 4279; which ones AMT had is not documented."""
_READ = 16 << 10
_START = 5.0
"""Seconds in which the program has to be there."""


def needed() -> str:
    """The path of the program; MissingToolError where this cannot work."""
    path = shutil.which("openssl")
    if path is None:
        raise MissingToolError("a device with a pre-shared key needs the openssl program")
    if not hasattr(socket, "AF_UNIX"):
        raise MissingToolError("a device with a pre-shared key needs sockets of the Unix kind")
    return path


class PskTalk:
    """One connection, by a program of its own."""

    def __init__(self, connection: socket.socket, folder: Path, number: int, pid: str, pps: str) -> None:
        self._connection = connection
        self._path = folder / f"psk-{number}"
        # By its name alone: OpenSSL fails where the path of a connection has more than 31 characters.
        self._program = subprocess.Popen(
            [
                *(needed(), "s_server", "-unix", self._path.name, "-naccept", "1", "-quiet", "-nocert"),
                *("-psk", pps.encode("ascii").hex(), "-psk_identity", pid),
                *("-no_tls1_3", "-cipher", _SUITES),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )
        self._inner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect()
        except BaseException:
            self.close()
            raise
        self._carriers = [
            threading.Thread(target=_carry, args=ends, daemon=True)
            for ends in ((connection, self._inner), (self._inner, connection))
        ]
        for carrier in self._carriers:
            carrier.start()

    what = "TLS with a pre-shared key"

    def _connect(self) -> None:
        until = time.monotonic() + _START
        while True:
            try:
                return self._inner.connect(str(self._path))
            except OSError:
                if time.monotonic() > until or self._program.poll() is not None:
                    raise
                time.sleep(0.005)

    def receive(self) -> bytes:
        """What the client says next; nothing at the end, and where the handshake failed."""
        assert self._program.stdout is not None
        return os.read(self._program.stdout.fileno(), _READ)

    def send(self, data: bytes) -> None:
        """Say something."""
        assert self._program.stdin is not None
        self._program.stdin.write(data)
        self._program.stdin.flush()

    def close(self) -> None:
        """End the program, which says goodbye, and what carries its bytes."""
        with contextlib.suppress(OSError):
            assert self._program.stdin is not None
            self._program.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._program.wait(0.5)
        self._program.kill()
        self._program.wait()
        assert self._program.stdout is not None
        self._program.stdout.close()
        with contextlib.suppress(OSError):
            self._inner.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        for carrier in getattr(self, "_carriers", ()):
            carrier.join(1)
        self._inner.close()
        self._path.unlink(missing_ok=True)


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes until one side ends, and pass the end on."""
    with contextlib.suppress(OSError):
        while data := source.recv(_READ):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
