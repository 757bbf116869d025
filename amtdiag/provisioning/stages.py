"""How far a device came: the stages that were attempted, and whether each was passed.

discovery: it gets a lease. resolution: it finds its server in DNS. connection: it reaches the server's Hello
port. hello: its Hello arrives whole. connect_back: the server opens a connection to the device. tls: bytes
go both ways there. operational: a sign that it is under management.
"""

from __future__ import annotations

from collections.abc import Sequence

from amtdiag.model import Basis, ConnectionEvent, Evidence, StageReached
from amtdiag.protocols.ports import DEVICE_PORTS
from amtdiag.provisioning.case import Case

_ANSWERED = frozenset({"established", "reset", "partial"})
_FEW = 8


def stages_of(case: Case, basis: Basis) -> tuple[StageReached, ...]:
    """Return the stages that were attempted, in their order. `basis` is that of the connections back."""
    stages = []
    if case.leases:
        acks = case.acks
        shown = (acks or case.leases)[0]
        stages.append(StageReached("discovery", case.leases[0].ts, "observed", bool(acks), shown.evidence))
    if case.lookups:
        found = case.resolved
        shown_lookup = (found or case.lookups)[0]
        passed = bool(found)
        stages.append(
            StageReached("resolution", case.lookups[0].ts, "observed", passed, shown_lookup.evidence[:_FEW])
        )
    if case.attempts:
        reached = [link for link in case.attempts if link.outcome in _ANSWERED]
        stages.append(
            StageReached(
                "connection",
                case.attempts[0].ts,
                "observed",
                bool(reached),
                _frames(reached or case.attempts),
            )
        )
    hellos = [record.event for record in case.hellos]
    if hellos:
        whole = [event for event in hellos if event.hello.complete]
        evidence = (whole or hellos)[0].evidence[:_FEW]
        stages.append(StageReached("hello", hellos[0].ts, "observed", True if whole else None, evidence))
    stages += _back(case, hellos[0].ts if hellos else 0, basis)
    return tuple(stages)


def _back(case: Case, start: int, basis: Basis) -> list[StageReached]:
    """The stages on the device's own ports. What came before its first Hello belongs to another story."""
    back = [link for link in case.returns if link.ts >= start]
    if not back:
        return []
    reached = [link for link in back if link.outcome in _ANSWERED]
    stages = [StageReached("connect_back", back[0].ts, basis, bool(reached), _frames(reached or back))]
    talks = [link for link in reached if _is_tls(link) and link.client_bytes and link.server_bytes]
    if talks:
        stages.append(StageReached("tls", talks[0].ts, basis, None, _frames(talks)))
    return stages


def _is_tls(link: ConnectionEvent) -> bool:
    return DEVICE_PORTS[link.ends.dport] == "tls"


def _frames(links: Sequence[ConnectionEvent]) -> tuple[Evidence, ...]:
    """The first frames that prove what became of these connections."""
    return tuple(frame for link in links[:_FEW] for frame in link.evidence)[:_FEW]
