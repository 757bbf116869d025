"""How far a device came: the stages that were attempted, and whether each was passed.

connection: the device reaches the server's Hello port. hello: its Hello arrives whole. connect_back: the
server opens a connection to the device. tls: bytes go both ways there. The stages before and after need
other lanes of the capture.
"""

from __future__ import annotations

from collections.abc import Sequence

from amtdiag.model import Basis, ConnectionEvent, Evidence, HelloEvent, StageReached
from amtdiag.protocols.ports import DEVICE_PORTS

_ANSWERED = frozenset({"established", "reset", "partial"})
_FEW = 8


def stages_of(
    hellos: Sequence[HelloEvent],
    attempts: Sequence[ConnectionEvent],
    returns: Sequence[ConnectionEvent],
    basis: Basis,
) -> tuple[StageReached, ...]:
    """Return the stages that were attempted, in their order. `basis` is that of the connections back."""
    stages = []
    if attempts:
        reached = [link for link in attempts if link.outcome in _ANSWERED]
        shown = reached or attempts
        stages.append(StageReached("connection", attempts[0].ts, "observed", bool(reached), _frames(shown)))
    if hellos:
        whole = [event for event in hellos if event.hello.complete]
        shown_hello = (whole or hellos)[0]
        passed = True if whole else None
        stages.append(StageReached("hello", hellos[0].ts, "observed", passed, shown_hello.evidence[:_FEW]))
    # What came to the device's ports before it ever said Hello belongs to another story.
    start = hellos[0].ts if hellos else 0
    back = [link for link in returns if link.ts >= start]
    if back:
        reached = [link for link in back if link.outcome in _ANSWERED]
        stages.append(
            StageReached("connect_back", back[0].ts, basis, bool(reached), _frames(reached or back))
        )
        talks = [link for link in reached if _is_tls(link) and link.client_bytes and link.server_bytes]
        if talks:
            stages.append(StageReached("tls", talks[0].ts, basis, None, _frames(talks)))
    return tuple(stages)


def _is_tls(link: ConnectionEvent) -> bool:
    return DEVICE_PORTS[link.ends.dport] == "tls"


def _frames(links: Sequence[ConnectionEvent]) -> tuple[Evidence, ...]:
    """The first frames that prove what became of these connections."""
    return tuple(frame for link in links[:_FEW] for frame in link.evidence)[:_FEW]
