"""Rules about strangers, other ways of management, and the capture."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import (
    DEVICE,
    SERVER,
    AnyEvent,
    back,
    capture,
    hello,
    link,
    lookup,
    ping,
    vain,
)

from amtdiag.model import (
    Finding,
    WebServer,
)
from amtdiag.rules import network_wide
from rules.stories import (
    ELSEWHERE,
    seen,
)

DENIED = lookup(0, rcode="NXDOMAIN")


def test_a_sweep_on_its_own_segment_is_mostly_arp() -> None:
    asked = [vain(n, f"10.0.0.{n}", asker=SERVER) for n in range(20)]
    (finding,) = seen(network_wide.RmcpSweep, ping(0), *asked)
    assert isinstance(finding, Finding)
    assert "21 addresses" in finding.summary
    assert seen(network_wide.RmcpSweep, *asked) == []


@pytest.mark.parametrize(("targets", "scans"), [(3, False), (4, True)])
def test_attempts_at_many_servers(targets: int, scans: bool) -> None:
    tries = [link(n, "refused", src="10.9.9.9", dst=f"10.0.0.{n}") for n in range(targets)]
    results = seen(network_wide.PortSweep, *tries)
    assert [one.count for one in results if isinstance(one, Finding)] == ([targets] if scans else [])


def test_a_scanner_on_its_own_segment_is_told_by_arp_too() -> None:
    """Three addresses are somebody's; one of them was slow to answer ARP, six are nobody's."""
    tries = [link(n, "refused", src="10.9.9.9", dst=f"10.9.9.{n}") for n in (1, 2, 3)]
    asked = [vain(n, f"10.9.9.{n}", asker="10.9.9.9") for n in range(3, 10)]
    (found,) = seen(network_wide.PortSweep, *tries, *asked, vain(9, "10.9.9.99", asker="10.9.9.8"))
    assert isinstance(found, Finding)
    assert "at 3 addresses" in found.summary
    assert found.summary.endswith("and asks in vain for 6 more.")


def test_other_ways_of_management_are_named_where_no_hello_is() -> None:
    talk: dict[str, Any] = {"client_bytes": 99, "server_bytes": 99}
    cira = link(0, "established", dport=4433, dst="10.0.0.44", **talk)
    web = back(1, "established", dport=16992, dst=ELSEWHERE, web=WebServer("11.8.50", 401), **talk)
    name = lookup(2, "10.0.0.80", client="10.0.0.5", name="rps.example.com")
    other = lookup(3, "10.0.0.81", client="10.0.0.5", name="rpsomething.example.com")
    results = seen(network_wide.AnotherPath, cira, web, name, other)
    said = [one.summary for one in results if isinstance(one, Finding)]
    assert [text.partition(":")[0] for text in said] == [DEVICE, ELSEWHERE, "10.0.0.5"]
    assert "rpsomething" not in said[2]
    assert seen(network_wide.AnotherPath, cira, web, name, hello(src="10.0.0.99")) == []


@pytest.mark.parametrize(("targets", "sweeps"), [(15, False), (16, True)])
def test_pings_to_many_addresses(targets: int, sweeps: bool) -> None:
    pings = [ping(number, f"10.0.0.{number}") for number in range(targets)]
    results = seen(network_wide.RmcpSweep, *pings, *(ping(number, asker="10.1.1.1") for number in range(99)))
    found = [one for one in results if isinstance(one, Finding)]
    assert [(one.rule, one.severity, one.count) for one in found] == (
        [("rmcp-sweep", "info", targets)] if sweeps else []
    )
    assert all(len(one.evidence) <= 8 for one in found)


def test_silence_is_said_only_where_there_is_silence() -> None:
    stories: list[tuple[list[AnyEvent], bool]] = [
        ([], True),
        ([DENIED], False),
        ([hello()], False),
        ([link(0, "refused")], False),
    ]
    for events, silent in stories:
        assert bool(seen(network_wide.NoHello, *events)) is silent


def test_strangers_at_the_hello_port() -> None:
    strays = [link(n, "established", src="10.0.0.9", foreign="an HTTP request") for n in range(3)]
    strays.append(link(5, "established", src="10.0.0.9", foreign="a TLS handshake"))
    strays.append(link(6, "established", src="10.0.0.8"))
    first, second = (one for one in seen(network_wide.NotAHello, *strays) if isinstance(one, Finding))
    assert (first.rule, first.count, first.severity, first.device) == ("not-a-hello", 3, "info", None)
    assert first.summary == f"10.0.0.9 sent an HTTP request to port 9971 of {SERVER}: no Hello."
    assert second.count == 1
    assert first.id != second.id


def test_dropped_packets() -> None:
    captures = [capture(), capture(drops=0), capture(drops=37, file="lossy.pcapng")]
    (finding,) = seen(network_wide.CaptureDrops, captures=captures)
    assert isinstance(finding, Finding)
    assert (finding.rule, finding.count, finding.device) == ("capture-drops", 37, None)
    assert finding.summary.startswith("lossy.pcapng: ")
