"""The selection on unexpected ports, where room is short: nothing breaks, and what is lost is counted."""

from __future__ import annotations

import pytest

from amtdiag.capture.decode.packet import Segment
from amtdiag.capture.prefilter.flow_filter import FlowFilter
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.config import Limits
from amtdiag.protocols.hello import HEAD

HERE, THERE = b"\x0a\0\0\x02", b"\x0a\0\0\x01"
SYN, ACK = 2, 16


def offer(
    selection: FlowFilter, port: int, seq: int, flags: int = ACK, payload: bytes = b""
) -> list[Segment]:
    sport, dport = port.to_bytes(2), (40000).to_bytes(2)
    out: list[Segment] = []
    segment = Segment(0, 0, (1,), HERE, THERE, port, 40000, flags, seq, 0, 0, 0, payload, 0, b"", ())
    selection.offer(HERE + THERE + sport + dport, THERE + HERE + dport + sport, segment, out)
    return out


def selection(**limits: int) -> FlowFilter:
    return FlowFilter(Interest(frozenset(), frozenset(), HEAD), Limits(**limits))


def test_room_for_all_held_packets_is_bounded() -> None:
    """The conversation at hand may be the oldest one, and so the one that has to go."""
    table = selection(held_packets_in_all=3)
    offer(table, 1000, 99, SYN)
    for at in range(6):
        offer(table, 1000, 200 + at, payload=b"later")
    assert table.watched == {}
    for port in range(2000, 2010):
        offer(table, port, 99, SYN)
        offer(table, port, 100, payload=b"\x01")
    assert len(table.watched) <= 2 * 3


@pytest.mark.parametrize("last", [b"GET ", b"\x01\x00\x03\x00"])
def test_the_packet_that_is_one_too_many_may_also_decide(last: bytes) -> None:
    table = selection(held_packets_in_all=3)
    offer(table, 1000, 99, SYN)
    for at in range(2):
        offer(table, 1000, 200 + at, payload=b"later")
    assert offer(table, 1000, 100, payload=last) == []
    assert table.watched == {}


def test_what_began_right_and_had_to_go_is_counted() -> None:
    table = selection(undecided_conversations=4)
    for port in range(1000, 1010):
        offer(table, port, 99, SYN)
        offer(table, port, 100, payload=b"\x01")
    assert table.evicted == 6
    silent = selection(undecided_conversations=4)
    for port in range(1000, 1010):
        offer(silent, port, 99, SYN)
    assert silent.evicted == 0, "a SYN alone is no loss"


def test_a_conversation_with_too_many_packets_is_rejected_for_good() -> None:
    table = selection(held_packets=3)
    offer(table, 1000, 99, SYN)
    for at in range(5):
        offer(table, 1000, 200 + at, payload=b"later")
    assert table.watched == {}
    assert offer(table, 1000, 300, payload=b"\x01\x00\x03\x00" + bytes(40)) == []


def test_the_opening_comes_with_what_is_kept() -> None:
    table = selection()
    offer(table, 1000, 99, SYN)
    assert offer(table, 1000, 102, payload=b"\x03\x00") == []
    kept = offer(table, 1000, 100, payload=b"\x01\x00")
    assert [one.seq for one in kept] == [99, 102, 100]
