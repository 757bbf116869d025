"""ICMP: what could not be delivered, and why. The messages are made with scapy."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from amtdiag.capture.decode.packet import ICMP as V4
from amtdiag.capture.decode.packet import ICMPV6 as V6
from amtdiag.pipeline import diagnose
from amtdiag.protocols.icmp import parse

DEVICE, SERVER, ROUTER = "10.0.0.50", "10.0.0.10", "10.0.0.1"
SYN = IP(src=DEVICE, dst=SERVER) / TCP(sport=49160, dport=9971, flags="S", seq=7)
SYN6 = IPv6(src="fd00::50", dst="fd00::10") / TCP(sport=49160, dport=9971, flags="S")


def message(code: int, quoted: Packet = SYN, kind: int = 3) -> bytes:
    return bytes(ICMP(type=kind, code=code) / quoted)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, "no route to it"),
        (1, "the host is not there"),
        (3, "the port is closed"),
        (9, "prohibited"),
        (10, "prohibited"),
        (13, "prohibited"),
    ],
)
def test_the_reason(code: int, reason: str) -> None:
    found = parse(message(code), V4)
    assert found is not None
    assert found.reason == reason
    assert (found.transport, found.sport, found.dport) == ("tcp", 49160, 9971)
    assert (found.src, found.dst) == (ip_address(DEVICE).packed, ip_address(SERVER).packed)


@pytest.mark.parametrize(
    ("code", "reason"), [(0, "no route to it"), (1, "prohibited"), (4, "the port is closed")]
)
def test_the_reason_in_ipv6(code: int, reason: str) -> None:
    data = bytes(IPv6(src="fd00::1", dst="fd00::50") / ICMPv6DestUnreach(code=code) / SYN6)[40:]
    found = parse(data, V6)
    assert found is not None
    assert (found.reason, found.dst) == (reason, ip_address("fd00::10").packed)


def test_the_question_of_a_resolver() -> None:
    found = parse(message(3, IP(src=DEVICE, dst=ROUTER) / UDP(sport=5353, dport=53) / Raw(b"?")), V4)
    assert found is not None
    assert (found.transport, found.dport) == ("udp", 53)


@pytest.mark.parametrize("code", [2, 4])
def test_what_is_not_about_the_way(code: int) -> None:
    assert parse(message(code), V4) is None


def test_options_in_the_quoted_header() -> None:
    quoted = IP(src=DEVICE, dst=SERVER, options=[("NOP"), ("NOP"), ("NOP"), ("EOL")]) / TCP(dport=9971)
    found = parse(message(1, quoted), V4)
    assert found is not None
    assert found.dport == 9971


@pytest.mark.parametrize("size", range(8 + 20 + 4))
def test_a_cut_message(size: int) -> None:
    assert parse(message(13)[:size], V4) is None


@given(st.binary(max_size=80), st.sampled_from([V4, V6]))
def test_any_bytes(data: bytes, protocol: int) -> None:
    parse(data, protocol)


@pytest.mark.parametrize(("code", "rule"), [(13, "server-rejected"), (1, "server-not-there")])
def test_from_the_wire_to_the_finding(code: int, rule: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One SYN and one ICMP message: no repetition is needed to know that it did not get through."""
    path = tmp_path_factory.mktemp("icmp") / "one.pcap"
    ask = Ether(src="02:00:00:00:00:50") / SYN
    wrpcap(str(path), [ask, Ether() / IP(src=ROUTER, dst=DEVICE) / ICMP(type=3, code=code) / SYN])
    found = diagnose([path])
    assert [one.outcome for one in found.connections] == ["rejected"]
    assert [one.rule for one in found.findings if one.severity == "error"] == [rule]
    assert {frame.frame for frame in found.findings[0].evidence} == {1, 2}


def test_an_answer_to_another_attempt_is_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("icmp") / "other.pcap"
    other = IP(src=DEVICE, dst=SERVER) / TCP(sport=50000, dport=9971, flags="S")
    answer = Ether() / IP(src=ROUTER, dst=DEVICE) / ICMP(type=3, code=13) / other
    wrpcap(str(path), [Ether() / SYN, answer])
    assert [one.outcome for one in diagnose([path]).connections] == ["unanswered"]
