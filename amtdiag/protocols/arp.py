"""ARP (RFC 826): who has which address, and which addresses no host has.

A host that gets no answer asks again (RFC 826 leaves when to the host; Linux asks three times, a second
apart). One request without an answer says nothing: on a switch the answer takes another way than the
broadcast that asked for it.
"""

from collections import OrderedDict
from collections.abc import Iterator

from amtdiag.capture.decode.packet import ARP, Segment
from amtdiag.model import Evidence, Sighting, UnansweredArp
from amtdiag.protocols.addresses import address_text
from amtdiag.protocols.protocol import Field, LaneReader, Protocol
from amtdiag.times import SECOND

_GIVES_UP = 10 * SECOND
"""A host that has not asked again within this time has stopped asking."""
_UNANSWERED_AFTER = 2
"""Requests without an answer that mean that there was none."""
_MAX_EVIDENCE = 4
_MAX_REMEMBERED = 65_536
_REPLY = 2

FIELDS = {
    Sighting: (Field("mac", "mac", "ar$sha (RFC 826)"), Field("address", "address", "ar$spa (RFC 826)")),
    UnansweredArp: (
        Field("asker", "address", "ar$spa (RFC 826)"),
        Field("target", "address", "ar$tpa (RFC 826)"),
        Field("requests", "number", "requests counted"),
    ),
}


class _Request:
    __slots__ = ("count", "evidence", "last_ts", "ts")

    def __init__(self, ts: int) -> None:
        self.ts = self.last_ts = ts
        self.count = 0
        self.evidence: list[Evidence] = []

    def event(self, asker: str, target: str) -> UnansweredArp:
        return UnansweredArp(self.ts, self.last_ts, asker, target, self.count, tuple(self.evidence))


class ArpReader(LaneReader):
    """Reads ARP messages. Reports who has an address when that changes: networks are full of repetition."""

    def __init__(self) -> None:
        """Begin with no address known."""
        self._macs: dict[str, str] = {}
        """By address: who has it."""
        self._requests: OrderedDict[tuple[str, str], _Request] = OrderedDict()
        """By target and asker, the least recently asked first."""
        self._askers: dict[str, set[str]] = {}

    def read(self, datagram: Segment, evidence: tuple[Evidence, ...]) -> Iterator[Sighting | UnansweredArp]:
        """Read a message; a probe has no sender address, and says nothing of who has one."""
        if any(datagram.src) and any(datagram.mac):
            ends = (address_text(datagram.src), address_text(datagram.dst))
            yield from self.take(datagram.ts, datagram.flags, ends, datagram.mac.hex(":"), evidence)

    def take(
        self, ts: int, operation: int, ends: tuple[str, str], mac: str, evidence: tuple[Evidence, ...]
    ) -> Iterator[Sighting | UnansweredArp]:
        """Take a message from the first of `ends`, whose MAC is given, about the second."""
        sender, target = ends
        yield from self._give_up(ts - _GIVES_UP)
        for asker in self._askers.pop(sender, ()):
            del self._requests[sender, asker]
        if operation != _REPLY and sender != target:
            self._ask(ts, sender, target, evidence)
        if self._macs.get(sender) != mac:
            if len(self._macs) >= _MAX_REMEMBERED:
                self._macs.clear()
            self._macs[sender] = mac
            yield Sighting(ts, mac, sender, evidence)

    def finish(self) -> Iterator[UnansweredArp]:
        """Yield what was still being asked for when the capture ended."""
        yield from self._give_up(None)

    def waiting(self, now: int) -> Iterator[UnansweredArp]:
        """Yield what got no answer by now, and keep it."""
        for (target, asker), request in self._requests.items():
            if request.count >= _UNANSWERED_AFTER and request.last_ts < now - _GIVES_UP:
                yield request.event(asker, target)

    def _ask(self, ts: int, asker: str, target: str, evidence: tuple[Evidence, ...]) -> None:
        request = self._requests.setdefault((target, asker), _Request(ts))
        self._askers.setdefault(target, set()).add(asker)
        self._requests.move_to_end((target, asker))
        request.last_ts = ts
        request.count += 1
        if len(request.evidence) < _MAX_EVIDENCE:
            request.evidence += evidence

    def _give_up(self, before: int | None) -> Iterator[UnansweredArp]:
        """Close the requests that were last sent before a time, or all."""
        while self._requests:
            (target, asker), request = next(iter(self._requests.items()))
            if before is not None and request.last_ts >= before and len(self._requests) <= _MAX_REMEMBERED:
                return
            del self._requests[target, asker]
            askers = self._askers[target]
            askers.discard(asker)
            if not askers:
                del self._askers[target]
            if request.count >= _UNANSWERED_AFTER:
                yield request.event(asker, target)


PROTOCOL = Protocol("arp", "ARP", lane=ArpReader, carried_as=(ARP,))
