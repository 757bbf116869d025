"""Live interfaces where there is no AF_PACKET: by scapy, on macOS, BSD and Windows (with Npcap).

The makers of amtdiag have not run this on those systems. Packets are taken for Ethernet. scapy is
GPL-2.0-only and is not part of a plain installation.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from typing import Any

from amtdiag.capture.decode.linktypes import ETHERNET
from amtdiag.capture.live.source import Counts, LivePacket, Tap
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.errors import InputError, MissingToolError
from amtdiag.safetext import safe

NOT_RUN_BY_US = "capturing through scapy on this system has not been run by the makers of amtdiag"
_MAX_WAITING = 65_536
_SETTLING = 1.0
"""Seconds after which scapy's thread has failed if it cannot capture."""


class ScapySource:
    """A `LiveSource` on scapy's sniffers, one a thread and interface."""

    def __init__(
        self, interfaces: Sequence[str], interest: Interest, *, any_port: bool, narrowed: str = ""
    ) -> None:
        """Begin to capture.

        Raises `MissingToolError` where scapy or the right is missing, `InputError` for an interface that
        does not exist.
        """
        try:
            from scapy.sendrecv import AsyncSniffer
        except ImportError as error:
            raise MissingToolError(
                "capturing on this system takes scapy: pip install 'amtdiag[scapy]'"
            ) from error
        self._waiting: queue.Queue[tuple[int, Any]] = queue.Queue(_MAX_WAITING)
        self._received = [0] * len(interfaces)
        self._dropped = [0] * len(interfaces)
        self._reported: list[str] = []
        wanted = interest.exact_filter(any_port=any_port)
        if narrowed:
            wanted = f"({narrowed}) and ({wanted})"
        self._sniffers = [
            AsyncSniffer(
                iface=name,
                filter=wanted,
                store=False,
                prn=self._callback(number),
            )
            for number, name in enumerate(interfaces)
        ]
        for name, sniffer in zip(interfaces, self._sniffers, strict=True):
            sniffer.start()
            end = time.monotonic() + _SETTLING
            while not sniffer.running and sniffer.exception is None and time.monotonic() < end:
                time.sleep(0.01)
            self._check_started(name, sniffer.exception)
        self.taps = [Tap(name, ETHERNET) for name in interfaces]

    def _check_started(self, name: str, error: BaseException | None) -> None:
        if error is None:
            return
        self.close()
        if isinstance(error, PermissionError):
            raise MissingToolError(f"no right to capture on {safe(name)}: begin with sudo") from error
        raise InputError(f"{safe(name)}: {safe(str(error), 200)}") from error

    def _callback(self, number: int) -> Any:
        def enqueue(packet: Any) -> None:
            self._received[number] += 1
            try:
                self._waiting.put_nowait((number, packet))
            except queue.Full:
                self._dropped[number] += 1

        return enqueue

    def wait(self, seconds: float) -> bool:
        """Wait until packets are there; False where none came in time."""
        end = time.monotonic() + seconds
        while self._waiting.empty() and time.monotonic() < end:
            time.sleep(0.02)
        return not self._waiting.empty()

    def read(self) -> list[LivePacket]:
        """Return what is there, in the order of time."""
        packets = []
        for _ in range(self._waiting.qsize()):
            number, packet = self._waiting.get_nowait()
            data = bytes(packet.original or packet)
            packets.append(
                LivePacket(int(packet.time * 1_000_000_000), number, data, packet.wirelen or len(data))
            )
        return sorted(packets)

    def counts(self) -> list[Counts]:
        """Return what this process counted: what the kernel dropped scapy does not report."""
        return [Counts(*pair) for pair in zip(self._received, self._dropped, strict=True)]

    def check(self) -> list[str]:
        """Return a line for each capture that ended by itself since the last call."""
        ended = [
            f"{safe(tap.name)}: scapy has stopped capturing: {safe(str(sniffer.exception), 200)}"
            for tap, sniffer in zip(self.taps, self._sniffers, strict=True)
            if not sniffer.running
        ]
        new = [line for line in ended if line not in self._reported]
        self._reported += new
        return new

    def close(self) -> None:
        """End the capture."""
        for sniffer in self._sniffers:
            if sniffer.running:
                sniffer.stop()
