"""Streams: any order, any overlap, any wrap gives the bytes that were sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from amtdiag.capture.decode.packet import PacketBatch, Segment
from amtdiag.config import Limits
from amtdiag.model import Evidence
from amtdiag.reassembly.community_id import community_id
from amtdiag.reassembly.connections import ACK, FIN, RST, SYN, Connection, Connections
from amtdiag.reassembly.stream import WRAP, Assembled, Piece, Stream, evidence_of, joined

FRAMES = (0, (1,))


def stream(first: int | None = 1000) -> Stream:
    one = Stream(Limits(), keep=True)
    if first is not None:
        one.anchor(first)
    return one


@given(
    st.binary(min_size=1, max_size=300),
    st.integers(0, WRAP - 1),
    st.lists(st.tuples(st.integers(0, 299), st.integers(1, 80)), max_size=30),
    st.randoms(use_true_random=False),
)
def test_any_cutting_in_any_order(
    data: bytes, first: int, extra: list[tuple[int, int]], random: object
) -> None:
    cuts = [(at, 40) for at in range(0, len(data), 40)] + [(at, size) for at, size in extra if at < len(data)]
    random.shuffle(cuts)  # type: ignore[attr-defined]
    one = stream(first)
    for at, size in cuts:
        one.add((first + at) % WRAP, data[at : at + size], 0, 0, FRAMES)
    got = one.assemble()
    assert (got.data, got.gaps) == (data, ())
    assert sum(piece.end - piece.start for piece in got.pieces) == len(data)


@given(st.binary(min_size=40, max_size=200), st.integers(10, 30), st.integers(1, 10))
def test_a_lost_segment_is_a_gap_of_its_size(data: bytes, start: int, length: int) -> None:
    one = stream(5)
    one.add(5, data[:start], 0, 0, FRAMES)
    one.add(5 + start + length, data[start + length :], 0, 0, FRAMES)
    got = one.assemble()
    assert got.gaps == ((start, start + length),)
    assert got.data == data[:start] + bytes(length) + data[start + length :]


@given(st.integers(1, 50), st.permutations(range(8)))
def test_only_the_beginning_is_kept_and_all_bytes_are_counted(most: int, order: list[int]) -> None:
    data = bytes(range(80))
    one = Stream(Limits(), keep=True, max_bytes=most)
    one.anchor(1000)
    for at in order:
        one.add(1000 + 10 * at, data[10 * at : 10 * at + 10], 0, 0, FRAMES)
    got = one.assemble()
    assert (got.data, one.bytes) == (data[:most], len(data))


RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


@given(RANGES, st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_what_is_missing_of_a_range(gaps: list[tuple[int, int]], size: int, start: int, length: int) -> None:
    """The answers about ranges are those that a look at each byte gives."""
    lost = {at for first, stop in gaps for at in range(first, stop)}
    end = start + length
    got = Assembled(bytes(size), joined(gaps))
    assert [at for first, stop in got.gaps for at in range(first, stop)] == sorted(lost)
    in_range = [at for at in range(start, end) if at in lost]
    assert [at for first, stop in got.gaps_in(start, end) for at in range(first, stop)] == in_range
    assert got.missing(start, end) == len(in_range)
    assert got.reach == max([size, *(at + 1 for at in lost)])
    if length:
        assert got.has(start, end) == (end <= size and not in_range)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=12),
    st.integers(0, 99),
    st.integers(1, 50),
)
def test_the_pieces_of_a_range(steps: list[tuple[int, int]], start: int, length: int) -> None:
    pieces: list[Piece] = []
    for skipped, size in steps:
        at = (pieces[-1].end if pieces else 0) + skipped
        pieces.append(Piece(at, at + size, 0, FRAMES))
    got, end = Assembled(b"", (), tuple(pieces)), start + length
    meeting = [piece for piece in pieces if piece.start < end and start < piece.end]
    assert got.pieces_in(start, end, len(pieces) + 1) == meeting
    assert got.piece_at(start) == max((piece for piece in pieces if piece.start <= start), default=None)
    assert got.piece_from(start) == next((piece for piece in pieces if piece.start >= start), None)


def test_frames_have_the_names_of_their_files() -> None:
    frames = [(1, (7, 5)), (0, (9,)), (1, (5,))]
    assert evidence_of(frames, ["b", "a"]) == (Evidence("b", 9), Evidence("a", 5), Evidence("a", 7))
    as_sent = evidence_of(frames, ["b", "a"], as_sent=True)
    assert as_sent == (Evidence("a", 7), Evidence("a", 5), Evidence("b", 9))


def test_lost_tail_is_known_from_fin_or_acknowledgement() -> None:
    by_fin, by_ack = stream(), stream()
    for one in (by_fin, by_ack):
        one.add(1000, b"x" * 10, 0, 0, FRAMES)
    by_fin.close(1025)
    by_ack.acknowledge(1025)
    assert by_fin.assemble().gaps == by_ack.assemble().gaps == ((10, 25),)
    assert by_fin.assemble().ended
    assert not by_ack.assemble().ended


def test_what_came_first_is_kept() -> None:
    one = stream()
    one.add(1000, b"good", 0, 0, FRAMES)
    one.add(1000, b"evil", 0, 0, FRAMES)
    one.add(1003, b"?", 0, 0, FRAMES)  # a keep-alive probe
    got = one.assemble()
    assert (got.data, got.gaps) == (b"good", ())


def test_a_false_beginning_is_not_believed() -> None:
    """An answer that acknowledges another connection's number must not open a gap of gigabytes."""
    one = stream(None)
    one.add(1000, b"x", 0, 0, FRAMES)
    one.anchor((1000 - (1 << 30)) % WRAP)
    assert one.assemble().data == b"x"


def test_memory_is_bounded() -> None:
    one = stream()
    for at in range(0, 1 << 20, 1000):
        one.add(1000 + at, bytes(1000), 0, 0, FRAMES)
    assert len(one.assemble().data) <= Limits().stream_bytes


def test_community_id_of_the_specification() -> None:
    """The baseline value of the specification's own test set."""
    src, dst = bytes([128, 232, 110, 120]), bytes([66, 35, 250, 204])
    assert community_id(src, dst, 34855, 80) == community_id(dst, src, 80, 34855)
    assert community_id(src, dst, 34855, 80) == "1:LQU9qZlK+B5F3KDmev6m5PMibrg="


CLIENT, SERVER = b"\x0a\0\0\x02", b"\x0a\0\0\x01"


def segment(
    n: int, up: bool, flags: int, seq: int, payload: bytes = b"", *, ts: int = 0, ident: int = 0
) -> Segment:
    src, dst = (CLIENT, SERVER) if up else (SERVER, CLIENT)
    sport, dport = (50000, 9971) if up else (9971, 50000)
    when = ts or n * 1_000_000
    return Segment(
        when, 0, (n,), src, dst, sport, dport, flags, seq, 0, ident or n, n, payload, 0, b"\2\0\0\0\0\1", ()
    )


def follow(*segments: Segment) -> list[Connection]:
    table = Connections(lambda port: port == 9971, lambda one: 1 << 20, Limits())
    over = list(table.feed(PacketBatch(list(segments))))
    return over + list(table.finish())


def test_all_connections_together_are_bounded() -> None:
    """Whoever opens many connections and fills them takes no more memory than is allowed."""
    limits = Limits(streams_bytes=200_000)
    table = Connections(lambda port: port == 9971, lambda one: 1 << 20, limits)
    over = []
    for n in range(100):
        one = segment(n + 1, True, SYN, 100)._replace(sport=20_000 + n)
        more = segment(n + 1, True, ACK, 101, bytes(10_000))._replace(sport=20_000 + n)
        over += list(table.feed(PacketBatch([one, more])))
    assert table.evicted == len(over) >= 80
    assert all(len(one.streams["client"].assemble().data) == 10_000 for one in over), "read early, not lost"
    assert len(over) + len(list(table.finish())) == 100


def test_port_reuse_makes_two_connections() -> None:
    one, two = follow(
        segment(1, True, SYN, 100),
        segment(2, False, SYN | ACK, 900),
        segment(3, True, ACK, 101, b"first"),
        segment(4, True, RST, 106),
        segment(5, True, SYN, 70000),
        segment(6, True, ACK, 70001, b"second"),
    )
    assert one.streams["client"].assemble().data == b"first"
    assert two.streams["client"].assemble().data == b"second"


def test_a_duplicated_frame_is_no_retransmission() -> None:
    copy = segment(3, True, ACK, 101, b"hello", ident=7)
    again = copy._replace(frames=(4,), ts=copy.ts + 2000)
    later = copy._replace(frames=(5,), ts=copy.ts + 300_000_000, ident=8)
    (one,) = follow(segment(1, True, SYN, 100), segment(2, False, SYN | ACK, 900), copy, again, later)
    assert one.duplicates == 1
    assert one.streams["client"].bytes == 5


def test_syns_are_counted_once_each() -> None:
    syn = segment(1, True, SYN, 100, ident=5)
    copy = syn._replace(frames=(2,), ts=syn.ts + 1000)
    second = segment(3, True, SYN, 100, ts=2_000_000_000)
    (one,) = follow(syn, copy, second)
    assert one.syn_count == len(one.syns) == 2


def test_all_syns_are_counted_and_the_first_are_kept() -> None:
    """Whoever sends them for ever takes no memory."""
    (one,) = follow(*(segment(n, True, SYN, 100, ts=n * 1_000_000_000) for n in range(1, 101)))
    assert one.syn_count == 100
    assert [frames for _, (_, frames) in one.syns] == [(n,) for n in range(1, 9)]


def opened(port: int, *, answered: bool, ended: bool = False) -> list[Segment]:
    found = [segment(port, True, SYN, 100)._replace(sport=port)]
    if answered:
        found.append(segment(port, False, SYN | ACK, 900)._replace(dport=port))
    if ended:
        found.append(segment(port, False, RST | ACK, 901)._replace(dport=port))
    return found


def test_what_says_least_makes_room_first() -> None:
    """Closed connections, then half-open ones where they are a flood, then the oldest."""
    table = Connections(lambda port: port == 9971, lambda one: 1 << 20, Limits(connections=16))

    def pushed_out(*segments: Segment) -> list[int]:
        return [one.client[1] for one in table.feed(PacketBatch(list(segments)))]

    for port in range(2000, 2012):
        assert pushed_out(*opened(port, answered=True)) == []
    assert pushed_out(*opened(3000, answered=True, ended=True)) == []
    assert pushed_out(*(one for port in range(4000, 4003) for one in opened(port, answered=False))) == []
    assert pushed_out(*opened(4003, answered=False)) == [3000]
    assert table.evicted == 0
    assert pushed_out(*opened(4004, answered=False), *opened(4005, answered=False)) == [4000, 4001]
    assert pushed_out(*(one for port in range(2012, 2016) for one in opened(port, answered=True))) == [
        4002, 4003, 4004, 2000
    ]  # fmt: skip
    assert table.evicted == 6


def test_data_before_its_syn_in_the_file() -> None:
    (one,) = follow(
        segment(1, True, ACK, 101, b"hello"), segment(2, True, SYN, 100), segment(3, True, FIN | ACK, 106)
    )
    got = one.streams["client"].assemble()
    assert (got.data, got.anchored, got.ended) == (b"hello", True, True)
