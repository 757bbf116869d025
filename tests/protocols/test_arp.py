"""ARP: who has an address, and whom nobody answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from amtdiag.model import Evidence, Sighting, UnansweredArp
from amtdiag.protocols.arp import ArpReader
from amtdiag.times import SECOND

ASK, REPLY = 1, 2
A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
MACS = {A: "02:00:00:00:00:01", B: "02:00:00:00:00:02", C: "02:00:00:00:00:03"}
Step = tuple[float, int, str, str]


def said(*steps: Step) -> list[Sighting | UnansweredArp]:
    """What becomes of ARP messages: seconds, operation, sender, target."""
    reader = ArpReader()
    found: list[Sighting | UnansweredArp] = []
    for frame, (after, operation, sender, target) in enumerate(steps, 1):
        at = round(after * SECOND)
        found += reader.take(at, operation, (sender, target), MACS[sender], (Evidence("f", frame),))
    return [*found, *reader.finish()]


def vain(*steps: Step) -> list[tuple[str, str, int]]:
    return [(one.asker, one.target, one.requests) for one in said(*steps) if isinstance(one, UnansweredArp)]


def test_three_questions_and_no_answer() -> None:
    asked = [(float(n), ASK, A, B) for n in range(3)]
    assert vain(*asked) == [(A, B, 3)]
    (_, one) = said(*asked)
    assert isinstance(one, UnansweredArp)
    assert (one.ts, one.last_ts) == (0, 2 * SECOND)
    assert [frame.frame for frame in one.evidence] == [1, 2, 3]


def test_one_question_says_nothing() -> None:
    """On a switch the answer takes another way than the question."""
    assert vain((0, ASK, A, B)) == []


def test_an_answer_ends_it() -> None:
    assert vain((0, ASK, A, B), (1, ASK, A, B), (1.1, REPLY, B, A)) == []


def test_whoever_says_anything_is_there() -> None:
    assert vain((0, ASK, A, B), (1, ASK, A, B), (2, ASK, B, C)) == []


def test_after_a_pause_it_is_another_search() -> None:
    steps = [(0, ASK, A, B), (1, ASK, A, B), (60, ASK, A, B), (61, ASK, A, B)]
    assert vain(*steps) == [(A, B, 2), (A, B, 2)]
    assert vain((0, ASK, A, B), (60, ASK, A, B)) == []


def test_askers_are_told_apart() -> None:
    assert vain((0, ASK, A, C), (0.1, ASK, B, C), (1, ASK, A, C), (2, ASK, A, C)) == [(A, C, 3)]


def test_to_announce_oneself_is_no_question() -> None:
    assert vain((0, ASK, A, A), (1, ASK, A, A)) == []


def test_who_has_an_address_is_said_when_it_changes() -> None:
    sightings = [one for one in said((0, ASK, A, B), (9, ASK, A, B)) if isinstance(one, Sighting)]
    assert [(one.mac, one.address) for one in sightings] == [(MACS[A], A)]


hosts = st.sampled_from([A, B, C])


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([ASK, REPLY]), hosts, hosts), max_size=30))
def test_who_answers_last_is_not_asked_for_in_vain(steps: list[tuple[int, int, str, str]]) -> None:
    """Whatever came before: an address that speaks at the end of it is nobody's question any more."""
    clock, story = 0, []
    for pause, operation, sender, target in steps:
        clock += pause
        story.append((clock, operation, sender, target))
    story += [(clock, REPLY, host, A) for host in (A, B, C)]
    for one in said(*story):
        if isinstance(one, UnansweredArp):
            assert one.last_ts < (clock - 9) * SECOND or one.requests >= 2
            assert one.last_ts <= (clock - 10) * SECOND
