"""Answers to RMCP presence pings: the clear word on a device's mode. Layout: Intel's AMT guide, RMCP ping."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

RMCP_PORT = 623
_LEAST, _MOST = 12, 64
_TICK = 0.25
_ASF = bytes.fromhex("000011be80")
"""The enterprise number of ASF, and the type of a ping."""
NOT_DONE, DONE = 1, 2
_TLS_PORT = 16993


@dataclass(frozen=True, slots=True)
class Pong:
    """What an AMT device answers to a presence ping."""

    state: int
    """0 not configured, 1 in progress, 2 done."""
    version: tuple[int, int]
    port: int = 0
    """The open port; 0 where AMT is there but not set up."""

    def data(self, tag: int) -> bytes:
        """The message: a version that fits two nibbles stands there, any other in the bytes for it."""
        major, minor = self.version
        short = major < 16 and minor < 16
        return b"".join(
            (
                b"\x06\x00\x00\x06\x00\x00\x11\xbe\x40",
                bytes([tag, 0, 16]),
                (343).to_bytes(4, "big"),
                self.port.to_bytes(2, "big"),
                bytes([major << 4 | minor if short else 0, self.state, 0x20, 0]),
                bytes(2) if short else bytes(self.version),
                bytes(4),
            )
        )


def is_ping(data: bytes) -> bool:
    """True for a presence ping, with the sequence number of ASF or that of MeshCommander."""
    return len(data) >= _LEAST and data[0] == 6 and data[3] == 6 and data[4:9] == _ASF


def pong(tag: int, firmware: str, *, committed: bool) -> bytes:
    """The answer: the mode, the firmware's version and the open port."""
    major, minor, *_ = (int(part) for part in firmware.split("."))
    return Pong(DONE if committed else NOT_DONE, (major, minor), _TLS_PORT if committed else 0).data(tag)


def answer(
    endpoint: socket.socket, stop: threading.Event, make: Callable[[int], bytes], say: Callable[[str], None]
) -> None:
    """Answer pings until told to stop."""
    endpoint.settimeout(_TICK)
    while not stop.is_set():
        try:
            data, asker = endpoint.recvfrom(_MOST)
            if is_ping(data):
                endpoint.sendto(make(data[9]), asker)
                say(asker[0])
        except OSError:  # nothing came, or an ICMP message to an earlier answer
            continue


__all__ = ["RMCP_PORT", "answer", "is_ping", "pong"]
