"""IP fragments put together again."""

from __future__ import annotations

import itertools

import pytest

from amtdiag.capture.decode.defragment import FragmentOrigin, Fragments, Whole
from amtdiag.capture.decode.ip import Fragment
from amtdiag.config import Limits

DATA = bytes(range(48))


def origin(frame: int) -> FragmentOrigin:
    return FragmentOrigin(frame, 0, frame, b"\1" * 4, b"\2" * 4, 7, b"", (), 17)


def piece(start: int, end: int, ident: int = 7) -> tuple[Fragment, bytes]:
    key = (b"\1" * 4, b"\2" * 4, 17, ident)
    return Fragment(key, start, end < len(DATA)), DATA[start:end]


def add(
    table: Fragments, start: int, end: int, frame: int, *, ident: int = 7, sensor: int = 0
) -> list[Whole]:
    fragment, payload = piece(start, end, ident)
    return list(table.add(fragment, payload, 0, origin(frame), sensor))


@pytest.mark.parametrize("order", list(itertools.permutations([(0, 16), (16, 32), (32, 48)])))
def test_any_order(order: tuple[tuple[int, int], ...]) -> None:
    table = Fragments(Limits())
    found = [whole for frame, (start, end) in enumerate(order, 1) for whole in add(table, start, end, frame)]
    assert [(whole.payload, whole.missing) for whole in found] == [(DATA, 0)]
    assert found[0].frames(0) == (1, 2, 3)
    assert found[0].origin.frame == order.index((0, 16)) + 1
    assert table.incomplete == 0


def test_where_they_overlap_the_first_wins() -> None:
    table = Fragments(Limits())
    add(table, 0, 32, 1)
    fragment, _ = piece(16, 48)
    (whole,) = table.add(fragment, b"\xff" * 32, 0, origin(2))
    assert whole.payload == DATA[:32] + b"\xff" * 16


def test_frames_behind_a_header() -> None:
    table = Fragments(Limits())
    add(table, 0, 8, 1)
    (whole,) = add(table, 8, 48, 2)
    assert whole.frames(8) == (2,)
    assert whole.frames(48) == (1, 2), "nothing follows the header: all of them"


def test_what_waits_to_the_end_goes_as_far_as_it_is_there() -> None:
    table = Fragments(Limits())
    add(table, 0, 16, 1)
    add(table, 32, 48, 2)
    add(table, 16, 48, 3, ident=8)
    (whole,) = table.flush()
    assert (whole.payload, whole.missing) == (DATA[:16], 32)
    assert table.incomplete == 2
    assert list(table.flush()) == []


def test_sensors_are_kept_apart() -> None:
    table = Fragments(Limits())
    add(table, 0, 16, 1, sensor=1)
    assert add(table, 16, 48, 2, sensor=2) == []
    assert add(table, 16, 48, 3, sensor=1)


def test_the_oldest_makes_room() -> None:
    table = Fragments(Limits(fragment_datagrams=2))
    found = [whole for ident in range(5) for whole in add(table, 0, 16, ident + 1, ident=ident)]
    assert [whole.origin.frame for whole in found] == [1, 2, 3]
    assert table.incomplete == 3
    bounded = Fragments(Limits(fragment_bytes=40))
    found = [whole for ident in range(5) for whole in add(bounded, 0, 16, ident + 1, ident=ident)]
    assert [whole.origin.frame for whole in found] == [1, 2, 3]
