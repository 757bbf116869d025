"""Rules about the lease."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from helpers import (
    MAC,
    OTHER_MAC,
    SERVER,
    AnyEvent,
    asks,
    case_of,
    followed,
    hello,
    lease,
    link,
    lookup,
    pong,
    sighting,
)

from amtdiag.rules.base import DeviceRule
from amtdiag.rules.lease import NoDnsServer, NoDomainOption, NoLease
from rules.stories import (
    found,
    looked,
    unknown,
)

DENIED = lookup(0, rcode="NXDOMAIN")
ASKED = lookup(1, SERVER)
CUT_LEASE = lease(0, domain=None, dns=(), whole=False)
SIX_ONLY = lease(0, domain=None, dns=(), address=None)


@pytest.mark.parametrize("kind", ["discover", "offer", "request", "nak"])
def test_only_an_acknowledged_lease_can_lack_options(kind: str) -> None:
    events: list[AnyEvent] = [sighting(-1, MAC), lease(0, kind, domain=None, dns=()), lookup(1, SERVER)]
    assert looked(NoDomainOption, events) == []
    assert looked(NoDnsServer, events) == []


def test_one_lease_with_a_domain_is_enough() -> None:
    assert looked(NoDomainOption, [lease(0, domain=None), lease(9), lookup(10, SERVER)]) == []


def test_what_the_client_asked_for_and_got_instead_is_said() -> None:
    events = [lease(0, "request", wanted=frozenset({1, 3})), lease(1, domain=None, search=True)]
    summary = found(NoDomainOption, [*events, lookup(2, SERVER)]).summary
    assert "did not ask" in summary
    assert "119" in summary


def test_a_new_question_for_a_lease_may_follow_a_refusal_that_is_not_seen() -> None:
    asked = [asks(n, xid=n) for n in (1, 4, 9)]
    assert "both directions" in unknown(NoLease, [sighting(-9, MAC), pong(-9, "setup"), *asked]).would_decide


def test_a_device_that_asks_with_a_domain_has_one_from_elsewhere() -> None:
    finding = found(NoDomainOption, [lease(0, domain=None), DENIED])
    assert (finding.severity, finding.overcome) == ("warning", False)


def test_one_question_for_a_lease_says_nothing() -> None:
    assert "sent again" in unknown(NoLease, [sighting(-9, MAC), pong(-9, "setup"), asks(0)]).why


def test_dhcpv6_in_vain_is_the_rule_in_most_networks() -> None:
    solicits = [asks(n, version=6) for n in (0, 3, 9)]
    assert looked(NoLease, [sighting(-9, MAC), pong(-9, "setup"), *solicits]) == []


def test_a_machine_that_nothing_shows_to_have_amt_is_conjecture() -> None:
    events = [asks(0), lease(1, dns=())]
    finding = found(NoDnsServer, events)
    assert (finding.severity, finding.basis, finding.confidence) == ("warning", "inferred", "low")
    assert not case_of(events).device.is_amt


def test_beside_a_device_other_clients_are_none() -> None:
    cases = followed(hello(), asks(0, mac=OTHER_MAC), asks(5, mac=OTHER_MAC)).cases
    assert [case.id for case in cases] == [f"uuid:{hello().hello.uuid}"]


def test_a_lease_without_a_fault_makes_no_device() -> None:
    assert followed(asks(0), lease(1)).cases == []


@pytest.mark.parametrize(
    ("rule", "events"),
    [
        (NoDomainOption, [lease(0, domain=None), link(5, "refused", mac=MAC)]),
        (NoDnsServer, [lease(0, dns=()), link(5, "refused", mac=MAC)]),
    ],
)
def test_who_reaches_a_server_has_overcome_it(rule: type[DeviceRule], events: Sequence[AnyEvent]) -> None:
    finding = found(rule, events)
    assert (finding.overcome, finding.severity) == (True, "warning")


@pytest.mark.parametrize(
    ("rule", "events"),
    [
        (NoDomainOption, [CUT_LEASE, ASKED]),
        (NoDomainOption, [SIX_ONLY, ASKED]),
        (NoDnsServer, [CUT_LEASE, pong(1, "setup")]),
    ],
)
def test_what_proves_nothing(rule: type[DeviceRule], events: list[AnyEvent]) -> None:
    """Messages that are cut by the capture, or of the other IP version."""
    assert looked(rule, events) == []
