"""What was seen of one device, event by event: the input of its story and of the checks."""

from __future__ import annotations

from amtdiag.model import (
    FAILED,
    ConnectionEvent,
    DeviceRecord,
    DhcpEvent,
    HelloEvent,
    HelloRecord,
    LookupEvent,
    PongEvent,
    UnansweredArp,
)
from amtdiag.times import SECOND

DHCP_QUESTIONS = frozenset({"discover", "request"})
DHCP_ANSWERS = frozenset({"offer", "ack", "nak"})
_CALLED_BACK = 60 * SECOND
"""A server that calls back has begun to by then."""


class DeviceEvidence:
    """One device with all that was seen of it. Lists are in time order."""

    __slots__ = (
        "asked_for", "attempts", "covered_until", "device", "elsewhere", "hellos", "id", "leases",
        "lookups", "macs", "names", "neighbour_returns", "odd_attempts", "outgoing", "pongs",
        "prospect", "returns", "server_gone", "server_in_view", "shared_address", "vain_lookups",
        "visits", "working_servers",
    )  # fmt: skip

    def __init__(self, identity: str) -> None:
        self.id = identity
        self.hellos: list[HelloRecord] = []
        self.attempts: list[ConnectionEvent] = []
        """Connections of the device to a Hello port."""
        self.returns: list[ConnectionEvent] = []
        """Connections to the device's own AMT ports by its server, as far as that can be told."""
        self.visits: list[ConnectionEvent] = []
        """Connections to its AMT ports by others: consoles, scanners."""
        self.elsewhere: list[ConnectionEvent] = []
        """Connections of its server to AMT ports of an address that is no device's, right after its Hello."""
        self.outgoing: list[ConnectionEvent] = []
        """Connections of the device to a management presence server."""
        self.leases: list[DhcpEvent] = []
        self.lookups: list[LookupEvent] = []
        """Its questions for the provisioning server, under whatever name."""
        self.vain_lookups: list[LookupEvent] = []
        """Its repeated questions for a name that does not exist and that may be its server's."""
        self.names: list[LookupEvent] = []
        """Its server's questions for its name (PTR), and for the address of that name."""
        self.pongs: list[PongEvent] = []
        self.odd_attempts: list[ConnectionEvent] = []
        """Its attempts to reach the server that DNS named on ports where no Hello is expected."""
        self.server_gone: list[UnansweredArp] = []
        """It asks in vain who has the address of its server."""
        self.asked_for: list[UnansweredArp] = []
        """Somebody asks in vain who has its own address, after its Hello."""
        self.macs: list[str] = []
        """MACs that identify it, in the order they were learnt."""
        self.server_in_view = False
        """Something that the server sent which DNS named is in the capture."""
        self.working_servers: frozenset[str] = frozenset()
        """Addresses that took a Hello of some device in this capture."""
        self.shared_address = False
        """Another device sends Hellos from the same address: what comes back may be for either."""
        self.neighbour_returns = False
        """A connection to the shared address came after its Hello, and went to another device's account."""
        self.prospect = False
        """Nothing shows that it is an AMT device: it is here because its lease has a fault."""
        self.device: DeviceRecord
        self.covered_until = 0
        """How long the capture goes on after the last event of this device."""

    @property
    def links(self) -> list[ConnectionEvent]:
        """Connections to its own AMT ports, by whomever."""
        return [*self.returns, *self.visits]

    @property
    def shaken(self) -> bool:
        """A TLS handshake with it is in the capture, or part of one."""
        return any(link.tls is not None for link in self.returns) or any(
            link.tls is not None for link in self.visits
        )

    @property
    def spoken(self) -> bool:
        """Something that was said to its web server, or by it, can be read."""
        return any(link.talk is not None or link.web is not None for link in self.links)

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

    @property
    def asked_in_vain(self) -> bool:
        """It sent the same question for a DHCPv4 lease again, and no answer to any is in the capture.

        That says that none arrived, wherever the capture was taken; a new question may follow a refusal that
        the capture does not show.
        """
        if any(one.kind in DHCP_ANSWERS for one in self.leases):
            return False
        asked = [one for one in self.leases if one.kind in DHCP_QUESTIONS and one.version == 4]
        return len({(one.kind, one.xid) for one in asked}) < len(asked)

    @property
    def sought(self) -> list[UnansweredArp]:
        """What its server asked in vain when it should have called back, and nothing had got through yet."""
        return [one for one in self.asked_for if self._is_call(one)]

    def _is_call(self, one: UnansweredArp) -> bool:
        """True where its server asked soon after a Hello, before it had reached the device."""
        hellos = [
            record.event
            for record in self.hellos
            if record.event.ends.dst == one.asker and 0 <= one.last_ts - record.event.ts <= _CALLED_BACK
        ]
        return bool(hellos) and not any(
            hellos[-1].ts <= link.ts <= one.ts and link.outcome not in FAILED for link in self.returns
        )

    @property
    def lacks_lease(self) -> bool:
        """It asked for an address in this capture, and none was given."""
        return bool(self.leases) and not self.acks

    def had_left(self, address: str, ts: int) -> bool:
        """True where the device had been given another address after its last Hello from this one."""
        hellos = [record.event.ts for record in self.hellos if record.event.ends.src == address]
        if not hellos:
            return False
        later = [ack for ack in self.acks if hellos[-1] < ack.ts <= ts and ack.address]
        return bool(later) and later[-1].address != address

    @property
    def is_heard(self) -> bool:
        """Something that it sent is in the capture."""
        said = any(link.syns or link.client_bytes for link in self.attempts)
        asked = any(lookup.queries for lookup in self.lookups)
        answered = any(link.server_seen for link in self.returns)
        return bool(self.hellos or self.pongs) or said or asked or answered

    @property
    def is_spoken_to(self) -> bool:
        """Something that was sent to it is in the capture: an answer to it would be there too."""
        told = any(lease.kind in ("offer", "ack", "nak") for lease in self.leases)
        answered = any(lookup.rcode is not None or lookup.rejection for lookup in self.lookups)
        return told or answered or bool(self.returns) or any(link.server_seen for link in self.attempts)

    def sets_out_after(self, ts: int) -> bool:
        """True where the device reached out to a server after `ts`: by whatever way, it knows one."""
        return any([link.ts >= ts for link in self.attempts]) or any(
            [record.event.ts >= ts for record in self.hellos]
        )

    @property
    def resolved(self) -> list[LookupEvent]:
        """Lookups that gave an address."""
        return [lookup for lookup in self.lookups if lookup.addresses]
