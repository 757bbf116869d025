"""Live interfaces where there is no AF_PACKET: by scapy, on macOS, BSD and Windows (with Npcap).

The makers of amtdiag have not run this on those systems. Packets are taken for Ethernet. scapy is
GPL-2.0-only and is not part of a plain installation.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable, Sequence
from typing import Any

from amtdiag.capture.decode.linktypes import ETHERNET
from amtdiag.capture.live.source import Counts, LivePacket, Tap
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.errors import InputError, MissingToolError
from amtdiag.safetext import safe

NOT_RUN_BY_US = "capturing through scapy on this system has not been run by the makers of amtdiag"
_MOST_WAITING = 65_536
_SETTLES = 1.0
"""Seconds in which scapy's thread says that it cannot capture."""


def expression(interest: Interest, *, any_port: bool) -> str:
    """Return libpcap's expression for what may be of interest, with and without one VLAN tag."""
    tcp = "tcp" if any_port else f"tcp and ({_ports(interest.ports)})"
    wanted = (
        f"({tcp}) or (udp and ({_ports(interest.datagram_ports)})) or arp or icmp[icmptype] = 3"
        " or (icmp6 and ip6[40] = 1) or (ip[6:2] & 0x3fff != 0) or (ip6 and ip6[6] = 44)"
    )
    return f"{wanted} or (vlan and ({wanted}))"


def _ports(ports: Iterable[int]) -> str:
    return " or ".join(f"port {one}" for one in sorted(ports))


class ScapySource:
    """See `sniffer.Source`, whose methods these are."""

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
        self._waiting: queue.Queue[tuple[int, Any]] = queue.Queue(_MOST_WAITING)
        self._received = [0] * len(interfaces)
        self._dropped = [0] * len(interfaces)
        self._said: list[str] = []
        wanted = expression(interest, any_port=any_port)
        if narrowed:
            wanted = f"({narrowed}) and ({wanted})"
        self._sniffers = [
            AsyncSniffer(
                iface=name,
                filter=wanted,
                store=False,
                prn=self._taker(number),
            )
            for number, name in enumerate(interfaces)
        ]
        for name, one in zip(interfaces, self._sniffers, strict=True):
            one.start()
            end = time.monotonic() + _SETTLES
            while not one.running and one.exception is None and time.monotonic() < end:
                time.sleep(0.01)
            self._complain(name, one)
        self.taps = [Tap(name, ETHERNET) for name in interfaces]

    def _complain(self, name: str, one: Any) -> None:
        error = one.exception
        if error is None:
            return
        self.close()
        if isinstance(error, PermissionError):
            raise MissingToolError(f"no right to capture on {safe(name)}: begin with sudo") from error
        raise InputError(f"{safe(name)}: {safe(str(error), 200)}") from error

    def _taker(self, number: int) -> Any:
        def take(packet: Any) -> None:
            self._received[number] += 1
            try:
                self._waiting.put_nowait((number, packet))
            except queue.Full:
                self._dropped[number] += 1

        return take

    def wait(self, seconds: float) -> bool:
        """Wait for packets."""
        end = time.monotonic() + seconds
        while self._waiting.empty() and time.monotonic() < end:
            time.sleep(0.02)
        return not self._waiting.empty()

    def read(self) -> list[LivePacket]:
        """Return what is there."""
        frames = []
        for _ in range(self._waiting.qsize()):
            number, packet = self._waiting.get_nowait()
            data = bytes(packet.original or packet)
            frames.append(
                LivePacket(int(packet.time * 1_000_000_000), number, data, packet.wirelen or len(data))
            )
        return sorted(frames)

    def counts(self) -> list[Counts]:
        """Return what this side counted: scapy does not tell what the kernel dropped."""
        return [Counts(*both) for both in zip(self._received, self._dropped, strict=True)]

    def check(self) -> list[str]:
        """Say which captures ended by themselves."""
        ended = [
            f"{safe(tap.name)}: scapy has stopped capturing: {safe(str(one.exception), 200)}"
            for tap, one in zip(self.taps, self._sniffers, strict=True)
            if not one.running
        ]
        new = [text for text in ended if text not in self._said]
        self._said += new
        return new

    def close(self) -> None:
        """End the capture."""
        for one in self._sniffers:
            if one.running:
                one.stop()
