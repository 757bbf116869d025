"""Datagrams: copies are left out, repetitions are not."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from amtdiag.capture.decode.packet import ARP, TCP, UDP, PacketBatch, Segment
from amtdiag.reassembly.datagrams import Datagrams

MILLISECOND = 1_000_000
FIRST = Segment(
    ts=0,
    file=0,
    frames=(1,),
    src=bytes([10, 0, 0, 1]),
    dst=bytes([10, 0, 0, 2]),
    sport=5000,
    dport=53,
    flags=0,
    seq=0,
    ack=0,
    ident=4711,
    checksum=0x1234,
    payload=b"question",
    missing=0,
    mac=bytes(6),
    vlan=(),
    protocol=UDP,
)


def fed(*segments: Segment) -> tuple[list[Segment], int]:
    datagrams = Datagrams()
    return list(datagrams.feed(PacketBatch(list(segments)))), datagrams.duplicates


def later(milliseconds: float, **changes: Any) -> Segment:
    return FIRST._replace(ts=round(milliseconds * MILLISECOND), frames=(2,), **changes)


def test_a_copy_counts_once() -> None:
    assert fed(FIRST, later(0.01)) == ([FIRST], 1)
    assert fed(FIRST, later(0)) == ([FIRST], 1)


def test_a_copy_in_the_next_batch_counts_once() -> None:
    datagrams = Datagrams()
    found = [one for batch in (FIRST, later(1)) for one in datagrams.feed(PacketBatch([batch]))]
    assert found == [FIRST]


def test_a_repetition_is_a_datagram_of_its_own() -> None:
    again = later(1000)
    assert fed(FIRST, again) == ([FIRST, again], 0)


def test_what_differs_is_no_copy() -> None:
    for changes in (
        {"ident": 4712}, {"checksum": 1}, {"payload": b"another"}, {"sport": 5001}, {"src": bytes(4)},
    ):  # fmt: skip
        other = later(1, **changes)
        assert fed(FIRST, other) == ([FIRST, other], 0)


def test_a_copy_on_another_vlan_counts_once() -> None:
    assert fed(FIRST, later(1, vlan=(7,))) == ([FIRST], 1)


def test_a_copy_in_another_file_that_comes_earlier_counts_once() -> None:
    assert fed(later(1), FIRST._replace(file=1))[1] == 1


def test_many_in_between_do_not_hide_a_copy() -> None:
    between = [later(1, ident=number) for number in range(4000)]
    assert fed(FIRST, *between, later(2))[1] == 1


def test_other_protocols_pass_by() -> None:
    arp = later(1, protocol=ARP)
    assert fed(FIRST._replace(protocol=TCP), arp) == ([arp], 0)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3)), max_size=60))
def test_each_is_either_new_or_a_copy(steps: list[tuple[int, int]]) -> None:
    segments = [later(at, ident=ident) for at, ident in steps]
    found, copies = fed(*segments)
    assert len(found) + copies == len(segments)
    assert {one.ident for one in found} == {one.ident for one in segments}
