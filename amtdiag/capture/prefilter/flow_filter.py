"""Which conversations leave the scan: known ports always, others once they begin like a Hello.

On an unexpected port a conversation is undecided from its SYN, or from a first segment too short to tell,
until enough of its first bytes have been seen. Undecided conversations keep their packets in a small
bounded table, so that one that turns out to matter gets its opening.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container

from amtdiag.capture.decode.packet import Segment
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.capture.prefilter.interface import Sieve, Watcher
from amtdiag.config import Limits

_SYN = 2
_RST = 4
_ACK = 16
_FLOOD = 8
"""One undecided conversation in so many that got no answer makes a flood of them."""
_FAR = 1 << 31
_WRAP = 1 << 32


class _Undecided:
    __slots__ = ("client", "first", "held", "opened", "seen")

    def __init__(self, client: bytes, first: int, opened: bool) -> None:
        self.client = client
        """Directional key of the side whose bytes decide."""
        self.first = first
        """Sequence number of the first byte of its stream."""
        self.opened = opened
        """Its SYN was seen, so that `first` is certain."""
        self.held: list[Segment] = []
        self.seen: set[int] = set()
        """Offsets of the head that have been seen and fit."""


class FlowFilter:
    """Decides packet by packet; shared by all files of a run, since a ring file may end anywhere."""

    def __init__(
        self, interest: Interest, limits: Limits, sieve: Sieve | None = None, observer: Watcher | None = None
    ) -> None:
        """Begin with no conversations.

        A `sieve` for the same interest learns of each that is watched, and so does an observer.
        """
        self.interest = interest
        self.sieve = sieve
        self._watchers: list[Watcher] = [watcher for watcher in (sieve, observer) if watcher is not None]
        self._limits = limits
        self.watched: dict[bytes, _Undecided | None] = {}
        """By directional key (source, destination, ports): undecided, or None once it is kept."""
        self._undecided: OrderedDict[bytes, bytes] = OrderedDict()
        self._unanswered: OrderedDict[bytes, None] = OrderedDict()
        """Of these, those of which nothing but SYNs has been seen."""
        self._marked: OrderedDict[bytes, bytes] = OrderedDict()
        self._rejected: OrderedDict[bytes, bytes] = OrderedDict()
        """Conversations that began otherwise: what looks like a Hello later in them is none."""
        self._held = 0
        self.evicted = 0
        """Conversations that were given up because there was no room though they began like a wanted one."""

    def offer(self, key: bytes, reverse: bytes, segment: Segment, out: list[Segment]) -> None:
        """Decide about a segment on an unexpected port; append to `out` what is to be kept.

        Called for a segment whose key is watched, for a SYN, and for one whose payload may begin a Hello.
        """
        flags = segment.flags
        if flags & _SYN and not flags & _ACK:
            state = self.watched.get(key)
            if state is not None and state.client == key and state.first == (segment.seq + 1) % _WRAP:
                self._hold(state, segment)
            else:
                state = self._begin(key, reverse, (segment.seq + 1) % _WRAP, opened=True)
                self._hold(state, segment)
            return
        if key not in self.watched:
            if not segment.payload or self.interest.contradicts(segment.payload, 0):
                return
            if key in self._rejected or reverse in self._rejected:
                return
            self._begin(key, reverse, segment.seq, opened=False)
        state = self.watched[key]
        if state is None:
            out.append(segment)
            return
        self._unanswered.pop(state.client, None)
        if not self._hold(state, segment):
            return
        if state.client != key or not segment.payload:
            return
        offset = (segment.seq - state.first) % _WRAP
        if offset >= _FAR:
            offset -= _WRAP
        if self.interest.contradicts(segment.payload, offset):
            if offset >= 0 or offset + len(segment.payload) > 1:  # not the garbage byte of a keep-alive
                self._reject(state)
            return
        state.seen.update(range(max(offset, 0), min(len(self.interest.head), offset + len(segment.payload))))
        if len(state.seen) == len(self.interest.head):
            self._mark(key, reverse)
            out.extend(state.held)
            self._held -= len(state.held)

    def openings(self, pairs: Container[tuple[bytes, bytes]]) -> list[Segment]:
        """Return the packets of conversations that never came to say anything, between certain addresses.

        `pairs` are source and destination of the first SYN. What was refused or not answered on an unexpected
        port is here as long as the table had room for it.
        """
        found: list[Segment] = []
        for key in self._undecided:
            state = self.watched[key]
            if state is not None and state.opened:
                first = state.held[0]
                if (first.src, first.dst) in pairs:
                    found += state.held
        return sorted(found, key=lambda segment: segment.ts)

    def _begin(self, key: bytes, reverse: bytes, first: int, *, opened: bool) -> _Undecided:
        self._forget(key)
        self._forget(reverse)
        state = _Undecided(key, first, opened)
        self.watched[key] = self.watched[reverse] = state
        for watcher in self._watchers:
            watcher.watch(key, reverse)
        self._undecided[key] = reverse
        if opened:
            self._unanswered[key] = None
        if len(self._undecided) > self._limits.undecided_conversations:
            self._give_up_oldest()
        return state

    def _hold(self, state: _Undecided, segment: Segment) -> bool:
        """Keep a packet of an undecided conversation; False where the conversation had to go instead."""
        if len(state.held) >= self._limits.held_packets:
            self._reject(state)
            return False
        state.held.append(segment)
        self._held += 1
        while self._held > self._limits.held_packets_in_all:
            self._give_up_oldest()
        return self.watched.get(state.client) is state

    def _give_up_oldest(self) -> None:
        # A conversation that has just begun is unanswered, too: a few are no flood.
        is_flood = len(self._unanswered) > self._limits.undecided_conversations // _FLOOD
        oldest = next(iter(self._unanswered if is_flood else self._undecided))
        state = self.watched[oldest]
        self.evicted += state is not None and bool(state.seen)
        self._forget(oldest)

    def _reject(self, state: _Undecided) -> None:
        """Drop a conversation that is none; remember it where its beginning is certain."""
        reverse = self._undecided[state.client]
        self._forget(state.client)
        if state.opened:
            self._rejected[state.client] = reverse
            if len(self._rejected) > self._limits.rejected_conversations:
                self._rejected.popitem(last=False)

    def _mark(self, key: bytes, reverse: bytes) -> None:
        del self._undecided[key]
        self.watched[key] = self.watched[reverse] = None
        self._marked[key] = reverse
        if len(self._marked) > self._limits.marked_conversations:
            self.evicted += 1
            self._forget(next(iter(self._marked)))

    def _forget(self, key: bytes) -> None:
        self._rejected.pop(key, None)
        self._unanswered.pop(key, None)
        for table in (self._undecided, self._marked):
            other = table.pop(key, None)
            if other is not None:
                state = self.watched.pop(key, None)
                self.watched.pop(other, None)
                for watcher in self._watchers:
                    watcher.unwatch(key, other)
                if state is not None:
                    self._held -= len(state.held)
