"""What was seen of one device, event by event: the input of its story and of the checks."""

from __future__ import annotations

from dataclasses import dataclass, field

from amtdiag.model import (
    ConnectionEvent,
    DeviceRecord,
    DhcpEvent,
    HelloEvent,
    HelloRecord,
    LookupEvent,
    PongEvent,
)


@dataclass(slots=True)
class Case:
    """One device with all that was seen of it. Lists are in time order."""

    id: str
    hellos: list[HelloRecord] = field(default_factory=list)
    attempts: list[ConnectionEvent] = field(default_factory=list)
    """Connections of the device to a Hello port."""
    returns: list[ConnectionEvent] = field(default_factory=list)
    """Connections to the device's own AMT ports."""
    elsewhere: list[ConnectionEvent] = field(default_factory=list)
    """Connections of its server to AMT ports of an address that is no device's, right after its Hello."""
    outgoing: list[ConnectionEvent] = field(default_factory=list)
    """Connections of the device to a management presence server."""
    leases: list[DhcpEvent] = field(default_factory=list)
    lookups: list[LookupEvent] = field(default_factory=list)
    """Its questions for the provisioning server, under whatever name."""
    pongs: list[PongEvent] = field(default_factory=list)
    macs: list[str] = field(default_factory=list)
    """MACs that identify it, in the order they were learnt."""
    shared_address: bool = False
    """Another device sends Hellos from the same address: what comes back may be for either."""
    neighbour_returns: bool = False
    """A connection to the shared address came after its Hello, and went to another device's account."""
    device: DeviceRecord = field(init=False)
    covered_until: int = 0
    """How long the capture goes on after the last event of this device."""

    @property
    def last_hello(self) -> HelloEvent | None:
        """The latest Hello."""
        return self.hellos[-1].event if self.hellos else None

    @property
    def suffix(self) -> str | None:
        """The domain that DHCP gave last."""
        domains = [lease.domain for lease in self.leases if lease.kind == "ack" and lease.domain]
        return domains[-1] if domains else None

    @property
    def acks(self) -> list[DhcpEvent]:
        """The acknowledged leases."""
        return [lease for lease in self.leases if lease.kind == "ack"]

    def had_left(self, address: str, ts: int) -> bool:
        """True where the device had been given another address after its last Hello from this one."""
        hellos = [record.event.ts for record in self.hellos if record.event.ends.src == address]
        if not hellos:
            return False
        later = [ack for ack in self.acks if hellos[-1] < ack.ts <= ts and ack.address]
        return bool(later) and later[-1].address != address

    @property
    def resolved(self) -> list[LookupEvent]:
        """Lookups that gave an address."""
        return [lookup for lookup in self.lookups if lookup.addresses]
