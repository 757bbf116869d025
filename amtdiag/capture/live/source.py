"""What every source of live packets gives, whichever system it runs on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from amtdiag.capture.prefilter.interest import Interest


class Tap(NamedTuple):
    """An interface."""

    name: str
    linktype: int


class Counts(NamedTuple):
    """Of one interface since the capture began."""

    received: int = 0
    """Packets that passed the kernel's filter."""
    dropped: int = 0
    """Of these, packets for which the kernel had no room."""
    interface_dropped: int = 0
    """Packets that the network card or its driver lost, of whatever kind."""


class LivePacket(NamedTuple):
    """A packet as it came."""

    ts: int
    """Nanoseconds since 1970, by the clock of this machine."""
    number: int
    """Of its interface, in the order in which they were named."""
    data: bytes
    wirelen: int


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
        """Say which interfaces went away or came back since the last call."""
        ...

    def close(self) -> None:
        """End the capture."""


def open_source(
    interfaces: Sequence[str], wanted: Interest, *, any_port: bool, promiscuous: bool, narrowed: str
) -> LiveSource:
    """Open interfaces on whichever system this is; `narrowed` is a filter as of pcap-filter(7), or empty.

    Raises `MissingToolError` where a right or a library is missing, `InputError` where there is no such
    interface, `UsageError` where the filter is none.
    """
    if sys.platform != "linux":
        from amtdiag.capture.live.scapy_source import ScapySource

        return ScapySource(interfaces, wanted, any_port=any_port, narrowed=narrowed)
    from amtdiag.capture.live.af_packet import Sniffer

    return Sniffer(interfaces, wanted, any_port=any_port, promiscuous=promiscuous, narrowed=narrowed)
