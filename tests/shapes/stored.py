"""The records that a container stores."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from shapes.packets import T0, Packet
from shapes.wrappings import Link, ethernet


@dataclass(frozen=True, slots=True)
class Record:
    """One packet as a container stores it."""

    data: bytes
    packet: Packet | None
    at: int
    link: Link
    cargo: tuple[int, int] | None = None
    tail: int = 0  # bytes after the packet: padding, frame check sequence
    original: int | None = None
    interface: int = 0

    @property
    def length(self) -> int:
        return len(self.data) if self.original is None else self.original


def record(
    packet: Packet, link: Link, *, pad_to: int = 0, fill: bytes = b"\0", after: int = 0, fcs: bool = False
) -> Record:
    """``pad_to``: minimum frame size; ``after``: so many bytes more, whatever the size."""
    data = link.wrap(packet)
    tail = max(pad_to - len(data), 0) + after
    data += (fill * tail)[:tail]
    if fcs:
        data += zlib.crc32(data).to_bytes(4, "little")
    return Record(data, packet, packet.at, link, packet.cargo, tail + 4 * fcs)


def records(packets: Iterable[Packet], link: Link | None = None, **how: Any) -> list[Record]:
    return [record(packet, link or ethernet(), **how) for packet in packets]


def other(data: bytes, at: int = T0, link: Link | None = None) -> Record:
    """A frame that belongs to no conversation of ours."""
    return Record(data, None, at, link or ethernet())


def snapped(all_records: Iterable[Record], snaplen: int) -> list[Record]:
    """As a capture with a snapshot length stores them."""

    def cut(one: Record) -> Record:
        if len(one.data) <= snaplen:
            return one
        cargo = one.cargo
        if cargo:
            payload_at = len(one.data) - one.tail - (cargo[1] - cargo[0])
            end = min(cargo[0] + max(snaplen - payload_at, 0), cargo[1])
            cargo = (cargo[0], end) if end > cargo[0] else None
        return replace(one, data=one.data[:snaplen], cargo=cargo, original=one.length)

    return [cut(one) for one in all_records]


def through(number: int, chosen: Iterable[Record]) -> list[Record]:
    """The same records seen by interface ``number``."""
    return [replace(one, interface=number) for one in chosen]


def by_time(*groups: Iterable[Record]) -> list[Record]:
    return sorted(itertools.chain(*groups), key=lambda one: one.at)
