"""What matters, and the filters made of it."""

from __future__ import annotations

import subprocess

import pytest

from amtdiag.capture.prefilter.interest import Interest

HEAD = (frozenset({0, 1}), frozenset({0}), frozenset({2, 3}))


def interest(ports: set[int], datagram_ports: set[int]) -> Interest:
    return Interest(frozenset(ports), frozenset(datagram_ports), HEAD)


@pytest.mark.parametrize(
    ("ports", "datagram_ports", "text"),
    [
        ({9971}, {67}, "tcp port 9971 or udp port 67"),
        ({1, 2, 3, 5}, {7, 8}, "tcp portrange 1-3 or tcp port 5 or udp portrange 7-8"),
        ({52, 53}, {53, 54}, "tcp port 52 or port 53 or udp port 54"),
        ({0, 65535}, {0, 1, 65534, 65535}, "port 0 or port 65535 or udp port 1 or udp port 65534"),
    ],
)
def test_the_filter_that_a_user_gives(ports: set[int], datagram_ports: set[int], text: str) -> None:
    assert interest(ports, datagram_ports).capture_filter() == f"{text} or arp or icmp or icmp6"


@pytest.mark.needs("tcpdump")
@pytest.mark.parametrize("any_port", [False, True])
def test_libpcap_takes_the_filters(any_port: bool) -> None:
    wanted = interest({9971, 16992, 16993}, {53, 67, 68})
    for text in (wanted.capture_filter(), wanted.exact_filter(any_port=any_port)):
        done = subprocess.run(["tcpdump", "-y", "EN10MB", "-d", text], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("payload", "offset", "contradicts"),
    [
        (b"", 0, False),
        (b"\1\0\3\0", 0, False),
        (b"\1\1", 0, True),
        (b"\2", 2, False),
        (b"\1", 2, True),
        (b"anything", 3, False),
        (b"\xff\0", -1, False),
        (b"\xff\2", -1, True),
    ],
)
def test_what_a_conversation_may_begin_with(payload: bytes, offset: int, contradicts: bool) -> None:
    assert interest(set(), set()).contradicts(payload, offset) is contradicts
