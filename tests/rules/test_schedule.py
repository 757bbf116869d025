"""Rules about the series of Hellos."""

from __future__ import annotations

from helpers import (
    DEVICE,
    OTHER_UUID,
    back,
    hello,
    lookup,
    pong,
)

from amtdiag.model import (
    Finding,
)
from amtdiag.rules.schedule import ClonedUuid, GaveUp, HelloAfterOperational, SharedAddress
from rules.stories import (
    ELSEWHERE,
    each_device,
    found,
    looked,
    unknown,
)


def test_a_device_that_falls_silent_after_a_connection_back_has_not_given_up() -> None:
    assert looked(GaveUp, [hello(retry_count=14), back(9, "established")]) == []


def test_two_devices_at_one_address() -> None:
    for results in each_device(SharedAddress, hello(), hello(1, uuid=OTHER_UUID)):
        (finding,) = results
        assert isinstance(finding, Finding)
        assert (finding.severity, finding.catalogue) == ("warning", "F39")
    apart = each_device(SharedAddress, hello(), hello(1, uuid=OTHER_UUID, src=ELSEWHERE))
    assert apart == [[], []]


def test_a_cloned_uuid_behind_a_router() -> None:
    turns = [hello(60 * n, src=(DEVICE, ELSEWHERE)[n % 2]) for n in range(4)]
    assert found(ClonedUuid, turns).confidence == "medium"
    assert looked(ClonedUuid, turns[:3]) == []


def test_what_did_not_happen_yet_is_unknown() -> None:
    assert "capture" in unknown(GaveUp, [hello(retry_count=14)], 30).would_decide


def test_a_question_is_no_hello() -> None:
    assert looked(HelloAfterOperational, [hello(), pong(5, "operational"), lookup(9)]) == []
