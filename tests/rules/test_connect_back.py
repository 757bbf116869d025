"""Rules about the way back to the device."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from helpers import (
    DEVICE,
    MAC,
    OTHER_UUID,
    SERVER,
    AnyEvent,
    back,
    capture,
    followed,
    hello,
    lease,
    link,
    lookup,
    vain,
)

from amtdiag.model import (
    Finding,
    Outcome,
    Unknown,
)
from amtdiag.rules.base import DeviceRule
from amtdiag.rules.connect_back import (
    ConnectBackRefused,
    ConnectBackUnanswered,
    ConnectsElsewhere,
    NoConnectBack,
)
from rules.stories import (
    OWN,
    found,
    looked,
    unknown,
)

ANSWERED: list[AnyEvent] = [link(0, "established"), hello()]
"""A Hello that the server took."""
REVERSE = "148.2.168.192.in-addr.arpa"


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [(ConnectBackRefused, "refused"), (ConnectBackUnanswered, "unanswered")],
)
def test_what_failed_after_a_success_is_not_overcome(rule: type[DeviceRule], outcome: Outcome) -> None:
    failed = back(9, outcome, syns=3)
    finding = found(rule, [hello(), back(1, "established"), failed])
    assert (finding.severity, finding.overcome) == ("warning", False)
    assert "after an earlier attempt" in finding.summary


@pytest.mark.parametrize("seconds", [0.05, 15, 29])
def test_silence_is_no_fault_while_the_server_has_time(seconds: float) -> None:
    assert "the capture ends" in unknown(NoConnectBack, ANSWERED, seconds).why


@pytest.mark.parametrize("seconds", [31, 600])
def test_silence_is_a_fault_once_patience_is_over(seconds: float) -> None:
    assert "never connects back" in found(NoConnectBack, ANSWERED, seconds).summary


def test_silence_is_no_fault_where_the_server_is_not_seen() -> None:
    one_way: list[AnyEvent] = [link(0, "partial", server_seen=False, client_bytes=841), hello()]
    assert "no packet from the server" in unknown(NoConnectBack, one_way).why


def test_silence_is_no_fault_where_the_capture_has_a_gap() -> None:
    """Two files a day apart: nobody was looking when the server would have connected back."""
    captures = [capture(5), capture(90_000, since=86_400)]
    cases = followed(*ANSWERED, captures=captures).cases
    (result,) = NoConnectBack(OWN).look(cases[0])
    assert isinstance(result, Unknown)


def test_connections_before_the_first_hello_do_not_break_the_silence() -> None:
    assert found(NoConnectBack, [back(-30, "established"), *ANSWERED]).count == 1


def test_a_psk_device_has_a_row_of_its_own() -> None:
    finding = found(NoConnectBack, [link(0, "established"), hello(pid="0000037M")])
    assert finding.catalogue == "F13"
    assert "PID" in finding.candidates[0].cause


def test_no_hello_no_silence() -> None:
    assert looked(NoConnectBack, [link(0, "refused")]) == []


def test_a_plain_port_that_is_closed_gets_its_own_advice() -> None:
    assert "16.1" in found(ConnectBackRefused, [hello(), back(1, "refused", dport=16992)]).remedy
    assert "16.1" not in found(ConnectBackRefused, [hello(), back(1, "refused")]).remedy


def test_a_shared_address_makes_the_way_back_a_guess() -> None:
    case, _ = followed(hello(), hello(1, uuid=OTHER_UUID), back(0.5, "refused")).cases
    (finding,) = ConnectBackRefused(OWN).look(case)
    assert isinstance(finding, Finding)
    assert (finding.basis, finding.confidence) == ("inferred", "medium")


def test_the_device_that_is_gone_when_it_is_called_back() -> None:
    finding = found(ConnectBackUnanswered, [hello(), vain(1, DEVICE, asker=SERVER)])
    assert "who has" in finding.summary
    assert finding.severity == "error"
    assert looked(NoConnectBack, [*ANSWERED, vain(1, DEVICE, asker=SERVER)]) == []


@pytest.mark.parametrize(
    "events",
    [
        [vain(-30, DEVICE, asker=SERVER), hello()],
        [hello(), vain(1, DEVICE, asker="10.9.9.9")],
        [hello(), vain(90, DEVICE, asker=SERVER)],
        [hello(), back(1, "established"), vain(9, DEVICE, asker=SERVER)],
        [hello(), lease(5, mac=MAC), vain(1, DEVICE, asker=SERVER)],
    ],
    ids=["before the Hello", "somebody else asks", "long after", "it had been reached", "DHCP looks first"],
)
def test_who_is_asked_for_in_vain_and_was_not_called_back(events: list[AnyEvent]) -> None:
    assert looked(ConnectBackUnanswered, events) == []


@pytest.mark.parametrize(("address", "says"), [("10.7.7.7", "the address 10.7.7.7"), (None, "no address")])
def test_a_name_that_leads_the_server_elsewhere(address: str | None, says: str) -> None:
    asked = [
        lookup(1, client=SERVER, name=REVERSE, type="PTR", names=("pc-old.example.com",)),
        lookup(1.1, *([address] if address else []), client=SERVER, name="pc-old.example.com"),
    ]
    finding = found(ConnectsElsewhere, [*ANSWERED, *asked])
    assert says in finding.summary
    assert looked(NoConnectBack, [*ANSWERED, *asked]) == []


def test_a_name_that_leads_to_the_device_is_right() -> None:
    asked = [
        lookup(1, client=SERVER, name=REVERSE, type="PTR", names=("pc.example.com",)),
        lookup(1.1, DEVICE, client=SERVER, name="pc.example.com"),
    ]
    assert looked(ConnectsElsewhere, [*ANSWERED, *asked]) == []


def test_a_server_that_stopped_will_not_call_back_however_short_the_capture() -> None:
    assert found(NoConnectBack, [*ANSWERED, link(5, "refused")], until=6).catalogue == "F10"


@pytest.mark.parametrize(
    ("rule", "failed", "later"),
    [
        (ConnectBackRefused, [hello(), back(1, "refused")], back(9, "established")),
        (ConnectBackUnanswered, [hello(), back(1, "unanswered", syns=3)], back(9, "reset")),
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
    called = [back(9 * n, "unanswered") for n in range(attempts)]
    assert looked(ConnectBackUnanswered, [lookup(-9, SERVER, queries=0), *called]) == []


@pytest.mark.parametrize(
    "events",
    [
        [back(-5, "established", dst="10.7.7.7"), hello(), back(1, "refused", dst="10.7.7.7")],
        [hello(), *(back(1, "refused", dst=f"10.7.7.{n}") for n in range(3))],
    ],
)
def test_connections_that_are_meant_for_other_machines_prove_nothing(events: list[AnyEvent]) -> None:
    assert looked(ConnectsElsewhere, events) == []
