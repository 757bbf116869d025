"""IP fragments put together again, bounded in number, bytes and age."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from amtdiag.capture.decode.ip import Fragment
from amtdiag.config import Limits


class FragmentOrigin(NamedTuple):
    """What the headers around a payload hold."""

    ts: int
    """Nanoseconds since 1970, UTC."""
    file: int
    """Index of the capture file in the run."""
    frame: int
    """Frame number, counted from 1."""
    src: bytes
    """Source address, 4 or 16 bytes."""
    dst: bytes
    """Destination address, 4 or 16 bytes."""
    ident: int
    """IPv4 identification, 0 for IPv6."""
    mac: bytes
    """Source MAC, 6 bytes, or empty where the link type has none."""
    vlan: tuple[int, ...]
    """VLAN identifiers, outermost first."""
    protocol: int
    """IP's number of what the payload is."""


class Whole(NamedTuple):
    """A datagram's payload as far as its fragments give it: contiguous from its first byte."""

    payload: bytes
    """Contiguous captured bytes."""
    missing: int
    """Bytes that are known to follow but were not captured."""
    parts: tuple[tuple[int, int], ...]
    """Where the bytes of each used fragment end in the payload, and its frame number."""
    origin: FragmentOrigin
    """Of the first fragment."""

    def frames(self, header: int) -> tuple[int, ...]:
        """Return the frames that carry more than the first `header` bytes; all of them if none does."""
        behind = tuple(sorted(frame for end, frame in self.parts if end > header))
        return behind or tuple(sorted(frame for _, frame in self.parts))


class _Pending:
    __slots__ = ("origin", "parts", "size", "total")

    def __init__(self, origin: FragmentOrigin) -> None:
        self.origin = origin
        self.parts: list[tuple[int, bytes, int]] = []
        self.size = 0
        self.total: int | None = None

    def add(self, fragment: Fragment, payload: bytes, missing: int, origin: FragmentOrigin) -> None:
        if fragment.offset == 0:
            self.origin = origin
        self.parts.append((fragment.offset, payload, origin.frame))
        self.size += len(payload)
        if not fragment.more:
            self.total = fragment.offset + len(payload) + missing

    def join(self) -> Whole:
        """The bytes from the start up to the first gap; where fragments overlap, the first wins."""
        body = bytearray()
        parts = []
        for offset, payload, frame in sorted(self.parts, key=lambda part: part[0]):
            if offset > len(body):
                break
            if offset + len(payload) > len(body):
                body += payload[len(body) - offset :]
                parts.append((len(body), frame))
        known = max([self.total or 0, *(offset + len(payload) for offset, payload, _ in self.parts)])
        return Whole(bytes(body), known - len(body), tuple(parts), self.origin)

    def is_whole(self) -> bool:
        if self.total is None or self.size < self.total:
            return False
        return self.join().missing == 0


class Fragments:
    """Datagrams that wait for fragments. What is pushed out early is given with the bytes it has."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: OrderedDict[tuple[object, ...], _Pending] = OrderedDict()
        self._bytes = 0
        self.incomplete = 0
        """Datagrams given up without all of their fragments."""

    def add(
        self, fragment: Fragment, payload: bytes, missing: int, origin: FragmentOrigin, sensor: int = 0
    ) -> Iterator[Whole]:
        """Take one fragment as a sensor saw it; yield the datagram it completes, and any that makes room."""
        key = (sensor, fragment.key)
        pending = self._waiting.get(key)
        if pending is None:
            pending = self._waiting[key] = _Pending(origin)
        before = pending.size
        if len(pending.parts) < self._limits.fragment_datagrams:
            pending.add(fragment, payload, missing, origin)
        self._bytes += pending.size - before
        if pending.is_whole():
            del self._waiting[key]
            self._bytes -= pending.size
            yield pending.join()
        while (
            len(self._waiting) > self._limits.fragment_datagrams or self._bytes > self._limits.fragment_bytes
        ):
            _, oldest = self._waiting.popitem(last=False)
            self._bytes -= oldest.size
            yield from self._give_up(oldest)

    def flush(self) -> Iterator[Whole]:
        """Yield what is still waiting, at the end of the capture."""
        waiting, self._waiting = self._waiting, OrderedDict()
        self._bytes = 0
        for pending in waiting.values():
            yield from self._give_up(pending)

    def _give_up(self, pending: _Pending) -> Iterator[Whole]:
        self.incomplete += 1
        if any(offset == 0 for offset, _, _ in pending.parts):
            yield pending.join()
