"""ARP: who has which address, and which addresses nobody has.

A host that gets no answer asks again (RFC 826 leaves when to the host; Linux asks three times, a second
apart). One request without an answer says nothing: on a switch the answer takes another way than the
broadcast that asked for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from amtdiag.model import Evidence, Sighting, UnansweredArp
from amtdiag.times import SECOND

_GIVES_UP = 10 * SECOND
"""A host that has not asked again within this time has stopped asking."""
_ASKS_AGAIN = 2
"""Requests without an answer that mean that there was none."""
_MOST_EVIDENCE = 4
_REMEMBERED = 65_536
_REPLY = 2


class _Asked:
    __slots__ = ("count", "evidence", "last_ts", "ts")

    def __init__(self, ts: int) -> None:
        self.ts = self.last_ts = ts
        self.count = 0
        self.evidence: list[Evidence] = []

    def event(self, asker: str, target: str) -> UnansweredArp:
        return UnansweredArp(self.ts, self.last_ts, asker, target, self.count, tuple(self.evidence))


class Neighbours:
    """Reads ARP messages. Says who has an address when that changes: networks are full of repetition."""

    def __init__(self) -> None:
        self._has: dict[str, str] = {}
        self._asked: OrderedDict[tuple[str, str], _Asked] = OrderedDict()
        """By target and asker, the least recently asked first."""
        self._askers: dict[str, set[str]] = {}

    def take(
        self, ts: int, operation: int, ends: tuple[str, str], mac: str, evidence: tuple[Evidence, ...]
    ) -> Iterator[Sighting | UnansweredArp]:
        """Take a message from the first of `ends`, whose MAC is given, about the second."""
        sender, target = ends
        yield from self._give_up(ts - _GIVES_UP)
        for asker in self._askers.pop(sender, ()):
            del self._asked[sender, asker]
        if operation != _REPLY and sender != target:
            self._ask(ts, sender, target, evidence)
        if self._has.get(sender) != mac:
            if len(self._has) >= _REMEMBERED:
                self._has.clear()
            self._has[sender] = mac
            yield Sighting(ts, mac, sender, evidence)

    def finish(self) -> Iterator[UnansweredArp]:
        """Yield what was still being asked for when the capture ended."""
        yield from self._give_up(None)

    def waiting(self, now: int) -> Iterator[UnansweredArp]:
        """Yield what is asked for in vain by now, and keep it."""
        for (target, asker), asked in self._asked.items():
            if asked.count >= _ASKS_AGAIN and asked.last_ts < now - _GIVES_UP:
                yield asked.event(asker, target)

    def _ask(self, ts: int, asker: str, target: str, evidence: tuple[Evidence, ...]) -> None:
        asked = self._asked.setdefault((target, asker), _Asked(ts))
        self._askers.setdefault(target, set()).add(asker)
        self._asked.move_to_end((target, asker))
        asked.last_ts = ts
        asked.count += 1
        if len(asked.evidence) < _MOST_EVIDENCE:
            asked.evidence += evidence

    def _give_up(self, before: int | None) -> Iterator[UnansweredArp]:
        """Close the questions that were last asked before a time, or all."""
        while self._asked:
            (target, asker), asked = next(iter(self._asked.items()))
            if before is not None and asked.last_ts >= before and len(self._asked) <= _REMEMBERED:
                return
            del self._asked[target, asker]
            askers = self._askers[target]
            askers.discard(asker)
            if not askers:
                del self._askers[target]
            if asked.count >= _ASKS_AGAIN:
                yield asked.event(asker, target)
