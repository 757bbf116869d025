"""What has become known since the last look at a live capture: alerts, facts, devices that are gone.

All of it is worked out in the thread that judges, so that packets are taken meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from amtdiag.live.engine import Departed, FlowKey, Live, Withdrawn, key_of
from amtdiag.live.rules import Alarms
from amtdiag.model import ConnectionEvent, DhcpEvent, Diagnosis, Finding, LookupEvent
from amtdiag.pipeline import Seen
from amtdiag.times import SECOND

MOST_FACTS = 1000
"""Facts of each kind that are told with one judgement, of which there is one a second at most."""
_MOST_TOLD = 100_000
_PATIENCE = 60 * SECOND
"""After which a question without an answer is one that was not answered."""
_LEASES = frozenset({"ack", "nak", "decline"})


Fact = ConnectionEvent | LookupEvent | DhcpEvent
"""Something that is over."""


class Update(NamedTuple):
    """What one judgement brings."""

    now: int
    diagnosis: Diagnosis
    raised: Sequence[Finding]
    withdrawn: Sequence[Withdrawn]
    departed: Sequence[Departed]
    facts: Sequence[Fact]
    alarms: Sequence[Finding]
    """What stands of the alerts that no report has; see `amtdiag.live.rules`."""
    facts_left_out: int
    """Facts of which there were too many at one time."""


class AlertTracker:
    """Says of each diagnosis what is new in it."""

    def __init__(self, live: Live, stuck_after: int, servers: frozenset[str]) -> None:
        """`stuck_after` and `servers`: see `Alarms`."""
        self._live = live
        self.alarms = Alarms(stuck_after, servers)
        self._told: OrderedDict[tuple[object, ...], None] = OrderedDict()

    def look(self, seen: Seen, over: Sequence[FlowKey], now: int) -> Update:
        """Judge what is known, in any thread; `over` are the connections that have ended since."""
        return self.sift(self._live.conclude(seen), over, now)

    def sift(self, diagnosis: Diagnosis, over: Sequence[FlowKey], now: int) -> Update:
        """Say what is new in a diagnosis."""
        departed = self._live.departures(diagnosis)
        alarms = self.alarms.look(diagnosis, now)
        raised = self._live.alerts(diagnosis, alarms)
        facts, left_out = self._facts(diagnosis, over, now)
        return Update(now, diagnosis, raised, self._live.withdrawn(), departed, facts, alarms, left_out)

    def _facts(self, diagnosis: Diagnosis, over: Sequence[FlowKey], now: int) -> tuple[list[Fact], int]:
        facts: list[Fact] = []
        left_out = 0
        for kind in (_links(diagnosis, over), self._lookups(diagnosis, now), self._leases(diagnosis)):
            found = list(kind)
            facts += found[:MOST_FACTS]
            left_out += max(len(found) - MOST_FACTS, 0)
        return facts, left_out

    def _lookups(self, diagnosis: Diagnosis, now: int) -> Iterator[Fact]:
        for one in diagnosis.lookups:
            is_over = one.rcode is not None or one.rejection is not None or now - one.ts >= _PATIENCE
            if is_over and self._is_new(one.client, one.name, one.type, one.ts):
                yield one

    def _leases(self, diagnosis: Diagnosis) -> Iterator[Fact]:
        """Yield what DHCP gave to machines that are listed as devices: of others it is nobody's business."""
        for one in diagnosis.dhcp:
            if one.owner is not None and one.kind in _LEASES and self._is_new(*one.evidence[0]):
                yield one

    def _is_new(self, *key: object) -> bool:
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > _MOST_TOLD:
            self._told.popitem(last=False)
        return True


def _links(diagnosis: Diagnosis, over: Sequence[FlowKey]) -> Iterator[Fact]:
    """Yield the connections between devices and servers that have ended, as they are judged now."""
    wanted = frozenset(over)
    if not wanted:
        return
    for link in diagnosis.connections:
        if link.owner is not None and key_of(link) in wanted:
            yield link
