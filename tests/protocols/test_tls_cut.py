"""A conversation cut, with holes, in disorder, in other records: the same facts, or an honest "missing"."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tls_talks import (
    SIDES,
    Said,
    assembled,
    bare,
    contradictions,
    cut_anew,
    said_by,
    segments,
    talks,
    told,
    whole,
)

from amtdiag.model import TlsConversation
from amtdiag.model.tls import TlsSide
from amtdiag.protocols.tls import read_conversation
from amtdiag.protocols.tls.records import HEADER
from amtdiag.reassembly.stream import Assembled

NAMES = (
    "tls1", "tls1_1", "tls1_2", "no certificate", "not asked", "unknown root", "old client", "tls1_3",
    "tls1_3 unknown root", "resumed", "resumed by ticket", "tls1_3 resumed", "tls1_3 retry", "psk",
    "psk refused", "joined",
)  # fmt: skip
names = st.sampled_from(NAMES)
sizes = st.lists(st.integers(1, 5000), min_size=1, max_size=5)


def test_every_talk_is_tried() -> None:
    assert set(NAMES) == set(talks())


@given(names, sizes)
def test_records_cut_anew_say_the_same(name: str, sizes: list[int]) -> None:
    said = talks()[name]
    # What OpenSSL seals or sends after a change that means nothing is left as it is.
    anew = Said(cut_anew(said.client, sizes), cut_anew(said.server, sizes))
    assert bare(whole(anew)) == bare(whole(said))


@given(names, st.data())
def test_disorder_and_repetition_change_nothing(name: str, data: st.DataObject) -> None:
    said = talks()[name]
    sides = []
    for side in SIDES:
        sent = getattr(said, side)
        pieces = segments(sent, side, data.draw(st.lists(st.integers(1, max(len(sent), 2)), max_size=8)))
        order = data.draw(st.permutations(pieces))
        again = data.draw(st.lists(st.sampled_from(pieces), max_size=3)) if pieces else []
        sides.append(assembled([*order, *again], len(sent)))
    found = told(sides)
    assert found is not None
    assert bare(found) == bare(whole(said))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(names, sizes, st.data())
def test_with_any_segments_lost_no_fact_is_wrong(name: str, sizes: list[int], data: st.DataObject) -> None:
    said = talks()[name]
    if data.draw(st.booleans()):
        said = Said(cut_anew(said.client, sizes), cut_anew(said.server, sizes))
    every = whole(said)
    lost: dict[TlsSide, list[tuple[int, int]]] = {}
    sides = []
    for side in SIDES:
        sent = getattr(said, side)
        pieces = segments(sent, side, data.draw(st.lists(st.integers(1, max(len(sent), 2)), max_size=8)))
        gone = data.draw(st.sets(st.sampled_from(range(len(pieces))), max_size=2)) if pieces else set()
        lost[side] = [
            (pieces[at].start, pieces[at].start + len(pieces[at].data)) for at in gone if pieces[at].data
        ]
        sides.append(assembled([one for at, one in enumerate(pieces) if at not in gone], len(sent)))
    judge(told(sides), every, lost, said)


@pytest.mark.parametrize("name", NAMES)
def test_each_segment_lost_alone(name: str) -> None:
    said = talks()[name]
    every = whole(said)
    for size in (230, 1460):
        for side in SIDES:
            pieces = segments(getattr(said, side), side, range(0, len(getattr(said, side)), size))
            for gone in pieces:
                streams = {
                    other: assembled(
                        [one for one in segments(getattr(said, other), other, range(0, 99_999, size))
                         if other != side or one != gone],
                        len(getattr(said, other)),
                    )
                    for other in SIDES
                }  # fmt: skip
                found = read_conversation(streams["client"], streams["server"], ["a.pcap"])
                judge(found, every, {side: [(gone.start, gone.start + len(gone.data))]}, said)


def judge(
    found: TlsConversation | None,
    every: TlsConversation,
    lost: dict[TlsSide, list[tuple[int, int]]],
    said: Said,
) -> None:
    """No fact is wrong, and what is not told is said to be missing."""
    if found is None:  # neither beginning was seen, and nothing behind proves that it is TLS
        assert all(any(start < HEADER for start, _ in lost.get(side, [])) for side in SIDES)
        return
    assert contradictions(found, every, cut=False) == []
    for side in SIDES:
        if said_by(found, side) != said_by(every, side) and not begins_lost(lost.get(side, [])):
            # A client's second hello is read only where the server's words tell that this is TLS 1.3.
            assert any(one.side in (side, "server") for one in found.missing), side
    for one in found.missing:
        assert one.bytes > 0
        assert lost.get(one.side), one


def begins_lost(lost: list[tuple[int, int]]) -> bool:
    return any(start == 0 for start, _ in lost)


@given(names, st.data())
def test_cut_at_any_byte(name: str, data: st.DataObject) -> None:
    said = talks()[name]
    ends = [data.draw(st.integers(0, len(getattr(said, side)))) for side in SIDES]
    found = cut(said, *ends)
    if found is not None:
        assert contradictions(found, whole(said), cut=True) == []


@pytest.mark.parametrize("name", NAMES)
def test_cut_at_every_byte_of_one_side(name: str) -> None:
    said = talks()[name]
    every = whole(said)
    for end in range(0, len(said.client), 7):
        found = cut(said, end, len(said.server))
        assert found is not None
        assert contradictions(found, every, cut=True) == []
    for end in range(0, len(said.server), 7):
        found = cut(said, len(said.client), end)
        assert found is not None
        assert contradictions(found, every, cut=True) == []


def cut(said: Said, client: int, server: int) -> TlsConversation | None:
    """Read a capture that ends early."""
    return read_conversation(
        assembled(segments(said.client[:client], "client", ()), client, ended=False),
        assembled(segments(said.server[:server], "server", ()), server, ended=False),
        ["a.pcap"],
    )


def raw(data: bytes, **changes: Any) -> Assembled:
    return Assembled(data)._replace(**changes)


@given(st.binary(max_size=200), st.binary(max_size=200))
@example(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", b"")
@example(b"\x80\x04\x01\x03\x01\x00", b"\x15\x03\x01\x00\x01\x02")
def test_any_bytes(client: bytes, server: bytes) -> None:
    read_conversation(raw(client), raw(server))


@settings(max_examples=300)
@given(names, st.data())
def test_flipped_bytes_and_holes_never_raise(name: str, data: st.DataObject) -> None:
    said = talks()[name]
    sides = []
    for side in SIDES:
        sent = bytearray(getattr(said, side))
        for _ in range(data.draw(st.integers(0, 6)) if sent else 0):
            sent[data.draw(st.integers(0, min(len(sent) - 1, 400)))] = data.draw(st.integers(0, 255))
        edges = sorted(data.draw(st.sets(st.integers(0, len(sent) + 40), max_size=6)))
        gaps = tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=False) if a < b)
        for start, end in gaps:
            sent[start : min(end, len(sent))] = bytes(max(min(end, len(sent)) - start, 0))
        sides.append(raw(bytes(sent), gaps=gaps))
    found = told(sides)
    assert found is None or found.finished in (True, False, None)
