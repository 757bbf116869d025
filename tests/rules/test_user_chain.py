"""Rules about the chain of --cert."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from helpers import (
    AnyEvent,
    case_of,
    hello,
    lease,
    pong,
    replace,
)

from amtdiag.model import (
    HelloEvent,
)
from amtdiag.rules.user_chain import OwnChainDoubtful, OwnChainFits, OwnChainRefused, context_of
from rules.stories import (
    digest,
    found,
    looked,
    own_chain,
    unknown,
)


def listed() -> HelloEvent:
    """A Hello with the root of the caller's chain."""
    return hello(digests=[digest("the sample root")])


def test_a_chain_of_ones_own_needs_a_lease_and_a_whole_list() -> None:
    said = unknown(OwnChainFits, [listed()], options=own_chain())
    assert "setup.example.com" in said.what
    assert "DHCP" in said.would_decide
    lost = replace(hello(), hello=replace(hello().hello, complete=False))
    assert "not whole" in unknown(OwnChainFits, [lease(-9), lost], options=own_chain()).why


@pytest.mark.parametrize("events", [[hello(pid="0000037M")], [pong(0, "operational")]])
def test_who_asks_for_no_certificate(events: Sequence[AnyEvent]) -> None:
    for rule in (OwnChainRefused, OwnChainDoubtful, OwnChainFits):
        assert looked(rule, events, options=own_chain()) == []


def test_a_chain_that_breaks_a_rule_names_row_frames_and_remedy() -> None:
    finding = found(OwnChainRefused, [lease(-9, domain="office.example"), listed()], options=own_chain())
    assert (finding.catalogue, finding.severity, finding.basis) == ("F22", "error", "inferred")
    assert "office.example" in finding.summary
    assert "option 15" in finding.remedy
    assert [one.frame for one in finding.evidence] == [4, 191]
    unlisted = found(OwnChainRefused, [lease(-9), hello()], options=own_chain())
    assert unlisted.catalogue == "F18"


def test_the_last_domain_of_each_dhcp_counts() -> None:
    leases = [
        lease(-9, domain="old.example"),
        lease(-8, domain="example.com"),
        lease(-7, version=6, domain="a.b"),
    ]
    assert context_of(case_of([*leases, listed()])).suffixes == ("example.com", "a.b")
    assert context_of(case_of([lease(-9, domain=None), listed()])).suffixes == ()
    assert context_of(case_of([lease(-9, domain=None, whole=False), listed()])).suffixes is None


def test_a_device_that_is_set_up_is_not_stuck_for_a_chain_it_is_not_shown() -> None:
    events: list[AnyEvent] = [hello(), pong(300, "operational")]
    assert found(OwnChainRefused, events, options=own_chain()).severity == "warning"
