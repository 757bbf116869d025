"""Rules about the question for the provisioning server."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from helpers import (
    MAC,
    SERVER,
    AnyEvent,
    back,
    hello,
    lease,
    link,
    lookup,
    sighting,
)

from amtdiag.rules.base import DeviceRule
from amtdiag.rules.catalogue import DEVICE_RULES
from amtdiag.rules.discovery import DnsRefuses, DnsSilent, NoServerRecord, NoSuffix
from rules.stories import (
    found,
    looked,
    unknown,
)

DENIED = lookup(0, rcode="NXDOMAIN")
BARE = lookup(0, rcode="NXDOMAIN", name="provisionserver")
FAILED = lookup(0, rcode="SERVFAIL")


def test_who_goes_on_to_a_server_was_answered_elsewhere() -> None:
    assert looked(DnsSilent, [lookup(0, rcode=None, queries=5), hello(30)]) == []


def test_a_question_asked_anew_was_not_answered() -> None:
    asked = [lookup(0, rcode=None), lookup(5, rcode=None)]
    assert found(DnsSilent, [sighting(-9, MAC), lease(-5), *asked]).count == 2


def test_a_question_asked_anew_may_have_been_answered_where_no_answer_would_be_seen() -> None:
    assert (
        "shows both directions"
        in unknown(DnsSilent, [lookup(0, rcode=None), lookup(5, rcode=None)]).would_decide
    )


def test_an_answer_without_addresses_denies_the_name() -> None:
    assert "knows no address" in found(NoServerRecord, [lookup(0)]).summary


def test_a_question_that_cannot_be_delivered_needs_no_repetition() -> None:
    finding = found(DnsSilent, [lookup(0, rcode=None, rejection="10.0.0.1 says: the port is closed")])
    assert "the port is closed" in finding.summary


def test_a_refused_bare_name_is_no_fault_beside_another() -> None:
    events = [lookup(0, rcode="REFUSED", name="provisionserver"), DENIED]
    assert looked(DnsRefuses, events) == []
    assert found(DnsRefuses, [lookup(0, rcode="REFUSED", name="provisionserver")]).count == 1


@pytest.mark.parametrize(
    ("rule", "events"),
    [(NoServerRecord, [DENIED, hello(30)]), (DnsRefuses, [FAILED, link(5, "established"), hello(6)])],
)
def test_who_reaches_a_server_has_overcome_it(rule: type[DeviceRule], events: Sequence[AnyEvent]) -> None:
    finding = found(rule, events)
    assert (finding.overcome, finding.severity) == (True, "warning")


@pytest.mark.parametrize(
    ("rule", "events", "until"),
    [
        (NoSuffix, [BARE], 4),
        (DnsSilent, [lookup(0, rcode=None), lookup(60, rcode=None)], 600),
        (DnsSilent, [lookup(0, rcode=None)], 600),
    ],
)
def test_what_did_not_happen_yet_is_unknown(
    rule: type[DeviceRule], events: Sequence[AnyEvent], until: float
) -> None:
    assert "capture" in unknown(rule, events, until).would_decide


@pytest.mark.parametrize(
    "rule",
    [
        rule
        for rule in DEVICE_RULES
        if rule.__module__.rpartition(".")[2] in ("discovery", "lease", "after_resolution")
    ],
    ids=lambda rule: rule.id,
)
def test_a_capture_at_the_server_blames_neither_dhcp_nor_dns(rule: type[DeviceRule]) -> None:
    """Taken where neither goes by: that they are not there says nothing."""
    assert looked(rule, [link(0, "established"), hello(), back(1, "refused")]) == []
    assert looked(rule, [link(0, "refused")]) == []


@pytest.mark.parametrize(
    "events",
    [
        [lookup(0, rcode="NOERROR", type="AAAA")],
        [DENIED, lookup(1, SERVER, name="provisionserver")],
    ],
)
def test_what_proves_no_missing_record(events: list[AnyEvent]) -> None:
    assert looked(NoServerRecord, events) == []
