"""Rules about the way to the server."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from helpers import (
    SERVER,
    AnyEvent,
    followed,
    hello,
    link,
    lookup,
    vain,
)

from amtdiag.model import (
    Crossing,
    Finding,
)
from amtdiag.rules.base import DeviceRule
from amtdiag.rules.hello_delivery import RecordElsewhere, ServerNotThere, ServerRefusesHello, ServerSilent
from rules.stories import (
    ELSEWHERE,
    OWN,
    found,
    unknown,
)

ANSWERED: list[AnyEvent] = [link(0, "established"), hello()]
"""A Hello that the server took."""


def test_a_single_syn_at_the_end_of_a_capture_says_nothing() -> None:
    assert "ends right after" in unknown(ServerSilent, [link(0, "unanswered")], until=0.5).why


def test_a_single_syn_without_repetition_says_nothing() -> None:
    assert "sent again" in unknown(ServerSilent, [link(0, "unanswered")]).why


def test_a_server_that_is_reached_later_was_there_after_all() -> None:
    assert found(ServerNotThere, [lookup(0, SERVER), vain(1, SERVER), link(9, "established")]).overcome


def test_what_two_sensors_show_is_said() -> None:
    lost = link(0, "unanswered", crossing=Crossing("SYN", "device.pcapng", "server.pcapng"))
    finding = found(ServerSilent, [lost])
    assert "in device.pcapng and not in server.pcapng" in finding.summary
    assert finding.confidence == "high"
    assert finding.candidates == ()


def test_a_server_that_stopped_over_a_hello() -> None:
    finding = found(ServerRefusesHello, [*ANSWERED, link(60, "refused")])
    assert "it has stopped since" in finding.summary
    assert "ended" in finding.candidates[0].cause


def test_dns_leads_one_device_astray_and_not_the_other() -> None:
    events: list[AnyEvent] = [lookup(0, "10.6.6.6"), link(1, "refused", dst="10.6.6.6"), hello(src=ELSEWHERE)]
    cases = followed(*events).cases
    results = [one for case in cases for one in RecordElsewhere(OWN).look(case)]
    (finding,) = results
    assert isinstance(finding, Finding)
    assert (finding.catalogue, finding.severity) == ("F05", "warning")
    alone = followed(*events[:2]).cases
    assert [one for case in alone for one in RecordElsewhere(OWN).look(case)] == []


@pytest.mark.parametrize(
    ("rule", "failed", "later"),
    [
        (ServerRefusesHello, [link(0, "refused")], hello(9)),
        (ServerRefusesHello, [link(0, "refused")], link(9, "established")),
        (ServerSilent, [link(0, "unanswered", syns=3)], hello(9)),
    ],
)
def test_what_was_overcome_is_a_warning(
    rule: type[DeviceRule], failed: Sequence[AnyEvent], later: AnyEvent
) -> None:
    assert found(rule, failed).severity == "error"
    finding = found(rule, [*failed, later])
    assert (finding.severity, finding.overcome) == ("warning", True)
    assert "got through" in finding.summary


@pytest.mark.parametrize("attempts", [1, 3])
def test_new_attempts_may_follow_refusals_that_are_not_seen(attempts: int) -> None:
    """Of a capture that holds what one side sends: a SYN that is sent again is another thing."""
    silent = [link(9 * n, "unanswered") for n in range(attempts)]
    assert "both directions" in unknown(ServerSilent, silent).would_decide
