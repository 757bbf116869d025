"""Each packet of a Hello twice, as mirror ports show it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

from shapes.containers import Interface, pcapng
from shapes.conversations import plain, split2, twice
from shapes.messages import REAL, psk
from shapes.packets import FLOW6, STEP, STRICT
from shapes.stored import by_time, records, through
from shapes.truth import Shape, ng, single
from shapes.wrappings import RAW, ethernet


def _copies() -> Iterator[Shape]:
    yield single("span_both_ways", twice(split2()))
    yield single("span_both_ways_40000", twice(plain(REAL, STRICT, 400)))
    yield single("span_both_ways_bytewise", twice(plain(psk(), mss=1)))
    yield single("span_late_copies", twice(split2(), 2 * STEP + 1))
    yield single("span_routed_copies", twice(split2(), ttl=63, routed=True))
    yield single("span_ipv6", twice(plain(REAL, FLOW6, 400)))
    tagged = records(twice(split2(), 3_000)[1::2], ethernet((0x8100, 10)))
    yield single("span_tagged_copies", by_time(records(split2()), tagged))
    seen_late = [replace(packet, at=packet.at + 3_000) for packet in split2()]
    both = by_time(through(0, records(split2())), through(1, records(seen_late)))
    pair = functools.partial(pcapng, interfaces=(Interface(), Interface()))
    yield ng("pcapng_two_interfaces_same_packets", both, pair)
    bridge = by_time(through(0, records(split2())), through(1, records(seen_late, RAW)))
    mixed = functools.partial(pcapng, interfaces=(Interface(), Interface(101)))
    yield ng("pcapng_two_link_types_same_packets", bridge, mixed)


SHAPES: tuple[Shape, ...] = tuple(_copies())
