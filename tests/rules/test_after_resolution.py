"""Rules about what a device does with its server's address."""

from __future__ import annotations

import pytest
from helpers import (
    SERVER,
    lookup,
    pong,
)

from amtdiag.model import (
    Mode,
    Unknown,
)
from amtdiag.rules.after_resolution import Ipv6Only, NotLooking, ResolvedButSilent
from rules.stories import (
    found,
    looked,
    unknown,
)


def test_the_server_that_dns_names_may_be_out_of_view() -> None:
    assert "nothing that the server sent" in unknown(ResolvedButSilent, [lookup(0, SERVER)]).why


def test_without_a_packet_of_the_server_ipv6_is_a_guess() -> None:
    finding = found(Ipv6Only, [lookup(0, "fd00::10")])
    assert (finding.severity, finding.confidence) == ("warning", "low")


@pytest.mark.parametrize(("mode", "asks_why"), [("factory", True), ("setup", True), ("operational", False)])
def test_a_device_that_does_not_look_for_its_server(mode: Mode, asks_why: bool) -> None:
    results = looked(NotLooking, [pong(0, mode)])
    assert [isinstance(one, Unknown) for one in results] == [True] * asks_why
    assert looked(NotLooking, [pong(0, mode)], until=20) == []


def test_what_did_not_happen_yet_is_unknown() -> None:
    assert "capture" in unknown(ResolvedButSilent, [lookup(0, SERVER)], 29).would_decide
