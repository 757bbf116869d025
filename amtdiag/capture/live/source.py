"""What every source of live packets gives, whichever system it runs on."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Tap(NamedTuple):
    """An interface on which packets are captured."""

    name: str
    """As the operating system calls it."""
    linktype: int
    """Of its packets, as in a pcap file."""


class Counts(NamedTuple):
    """Packets of one interface since the capture began."""

    received: int = 0
    """Packets that passed the kernel's filter."""
    dropped: int = 0
    """Of these, packets for which the kernel had no room."""
    interface_dropped: int = 0
    """Packets that the network card or its driver lost, of whatever kind."""

    @property
    def lost(self) -> int:
        """Packets that are missing in the capture."""
        return self.dropped + self.interface_dropped


class LivePacket(NamedTuple):
    """A packet as it came."""

    ts: int
    """Nanoseconds since 1970, by the clock of this machine."""
    number: int
    """Of its interface, in the order in which they were named, from 0."""
    data: bytes
    """As captured, from the link layer on."""
    wirelen: int
    """Bytes on the wire."""


class LiveSource(Protocol):
    """Where live packets come from."""

    @property
    def taps(self) -> Sequence[Tap]:
        """The interfaces, in the order in which they were named."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait until packets are there; False where none came in time."""
        ...

    def read(self) -> list[LivePacket]:
        """Return what is there, in the order of time."""
        ...

    def counts(self) -> list[Counts]:
        """Return what has been counted since the capture began, interface by interface."""
        ...

    def check(self) -> list[str]:
        """Return a line for each interface that went away or came back since the last call."""
        ...

    def close(self) -> None:
        """End the capture."""
