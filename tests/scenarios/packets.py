"""The trace that collects packets in the order of their times, each with what is known of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from amtdiag.errors import MissingToolError
from amtdiag.simulator.hosts import AmtHost, Host

if TYPE_CHECKING:
    from scapy.packet import Packet

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
BROADCAST = "ff:ff:ff:ff:ff:ff"


def need_scapy() -> None:
    """Raise MissingToolError, in one line, where scapy is not installed."""
    try:
        import scapy  # noqa: F401
    except ImportError:
        raise MissingToolError("making captures needs scapy: pip install amtdiag[scapy]") from None


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured frame."""

    ts: int
    """Nanoseconds since 1970 UTC."""
    data: bytes
    src: Host
    hello: int | None = None
    """Number of the Hello whose bytes it carries."""
    carries: int = 0
    """How many of them."""
    copy: bool = False
    """It only repeats bytes that another frame carried: a retransmission or a mirror's duplicate."""
    says: Mapping[str, object] | None = None
    """What a DHCP, DNS or RMCP message in it says."""


@dataclass(frozen=True, slots=True)
class SentHello:
    """A Hello as the simulated device sent it, which is the truth about it."""

    device: AmtHost
    retry_count: int
    src: str
    dst: str
    sport: int
    dport: int
    payload: bytes
    digests: tuple[bytes, ...]
    """The whole ones in the payload."""


class Trace:
    """What a capture will hold. Its one seeded generator is all the chance there is."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        self.frames: list[Frame] = []
        self.hellos: list[SentHello] = []

    def add(self, ts: int, src: Host, packet: Packet, says: Mapping[str, object] | None = None) -> None:
        """Add a packet at a time; the order of calls does not matter."""
        self.frames.append(Frame(ts // MICROSECOND * MICROSECOND, bytes(packet), src, says=says))

    def add_hello(self, hello: int, ts: int, src: Host, packet: Packet, carries: int, *, copy: bool) -> None:
        """Add a packet with `carries` bytes of a Hello."""
        self.add(ts, src, packet)
        self.frames[-1] = replace(self.frames[-1], hello=hello, carries=carries, copy=copy)

    def sent(self, hello: SentHello) -> int:
        """Note a Hello and return the number by which its frames name it."""
        self.hellos.append(hello)
        return len(self.hellos) - 1

    def jitter(self, low: int, high: int) -> int:
        """A time span between two."""
        return self.rng.randint(low, high)

    def ordered(self) -> list[Frame]:
        """The frames as a capture has them."""
        return sorted(self.frames, key=lambda frame: frame.ts)

    def keep(self, wanted: Callable[[Frame], bool]) -> None:
        """Lose all frames but the wanted ones: what a capture at another place, or a shorter one, holds."""
        self.frames = [frame for frame in self.frames if wanted(frame)]

    def mirror(self, delay: int) -> None:
        """Repeat every frame a little later, as a port mirror that sees both ends of a switch does."""
        self.frames += [replace(frame, ts=frame.ts + delay, copy=True) for frame in self.frames]
