"""DHCP of both versions: against scapy, odd and hostile options, a real exchange."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import MAC, SAMPLES
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import (
    DUID_EN,
    DUID_LL,
    DUID_LLT,
    DHCP6_RelayForward,
    DHCP6_RelayReply,
    DHCP6_Reply,
    DHCP6_Solicit,
    DHCP6OptClientId,
    DHCP6OptDNSDomains,
    DHCP6OptDNSServers,
    DHCP6OptRelayMsg,
)

from amtdiag.pipeline import diagnose
from amtdiag.protocols import dhcp, dhcpv6
from amtdiag.protocols.dhcp import Lease

RAW_MAC = bytes.fromhex(MAC.replace(":", ""))


def message(*options: Any, **header: Any) -> bytes:
    """A message as scapy builds it."""
    return bytes(BOOTP(chaddr=RAW_MAC, xid=0x1234, **header) / DHCP(options=[*options, "end"]))


def raw(options: bytes, *, sname: bytes = b"", file: bytes = b"") -> bytes:
    """A message with options, byte by byte."""
    head = b"\x02\x01\x06\x00" + bytes(24) + RAW_MAC + bytes(10)
    return head + sname.ljust(64, b"\0") + file.ljust(128, b"\0") + dhcp.MAGIC + options


def read(data: bytes) -> Lease:
    lease = dhcp.parse(data)
    assert lease is not None
    return lease


# ------------------------------------------------------------------------------------------------- version 4


@pytest.mark.parametrize("cut", range(1, 12))
def test_options_that_were_cut_are_not_absent(cut: int) -> None:
    whole = message(("message-type", "ack"), ("server_id", "10.0.0.1"), ("domain", b"corp.example"))
    assert read(whole).ended
    lease = dhcp.parse(whole[:-cut])
    assert lease is None or not lease.ended


@pytest.mark.parametrize(
    "kind", ["discover", "offer", "request", "decline", "ack", "nak", "release", "inform"]
)
def test_kinds(kind: str) -> None:
    lease = read(message(("message-type", kind)))
    assert (lease.kind, lease.mac, lease.xid) == (kind, MAC, 0x1234)


def test_a_whole_answer() -> None:
    lease = read(
        message(
            ("message-type", "ack"),
            ("server_id", "10.0.0.1"),
            ("name_server", "10.0.0.2", "10.0.0.3"),
            ("domain", "Corp.Example"),
            ("hostname", "PC-7"),
            yiaddr="10.0.0.50",
            ciaddr="10.0.0.49",
        )
    )
    assert (lease.offered, lease.client, lease.server) == ("10.0.0.50", "10.0.0.49", "10.0.0.1")
    assert (lease.domain, lease.host) == ("corp.example", "pc-7")


def test_dns_servers_and_what_is_wanted() -> None:
    lease = read(
        message(
            ("message-type", "request"),
            ("requested_addr", "10.0.0.50"),
            (6, bytes([10, 0, 0, 2, 10, 0, 0, 3])),
            ("param_req_list", [1, 6, 15]),
            (81, b"\x01\x00\x00pc-7.corp.example"),
            (119, b"\x04corp\x07example\x00"),
        )
    )
    assert lease.dns == ("10.0.0.2", "10.0.0.3")
    assert lease.wanted == {1, 6, 15}
    assert (lease.requested, lease.fqdn, lease.search) == ("10.0.0.50", "pc-7.corp.example", True)


def test_what_is_not_there_is_none() -> None:
    lease = read(message(("message-type", "discover")))
    assert (lease.offered, lease.client, lease.requested, lease.server) == (None, None, None, None)
    assert (lease.dns, lease.domain, lease.host, lease.fqdn, lease.search) == ((), None, None, None, False)
    assert lease.wanted == frozenset()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(240),
        message(),  # no type
        message(("message-type", 99)),
        message(("message-type", "ack"), htype=6),
        message(("message-type", "ack"), hlen=8),
        message(("message-type", "ack"))[:239],
    ],
    ids=["empty", "zeros", "BOOTP", "unknown type", "not Ethernet", "long address", "cut"],
)
def test_what_is_no_message(data: bytes) -> None:
    assert dhcp.parse(data) is None


def test_an_option_in_parts_is_one() -> None:
    """RFC 3396."""
    assert read(raw(b"\x35\x01\x05\x0f\x04corp\x00\x0f\x08.example\xff")).domain == "corp.example"


@pytest.mark.parametrize(
    ("overload", "domain", "host"),
    [(0, None, None), (1, "corp", None), (2, None, "pc-7"), (3, "corp", "pc-7")],
)
def test_options_in_the_file_and_sname_fields(overload: int, domain: str | None, host: str | None) -> None:
    options = b"\x35\x01\x05\x34\x01" + bytes([overload]) + b"\xff"
    lease = read(raw(options, file=b"\x0f\x04corp\xff", sname=b"\x0c\x04pc-7\xff"))
    assert (lease.domain, lease.host) == (domain, host)


def test_an_option_does_not_run_over_its_field() -> None:
    options = b"\x35\x01\x05\x34\x01\x02\xff"
    assert read(raw(options, sname=b"\x00" * 60 + b"\x0f\x09co", file=b"rp")).domain is None


@pytest.mark.parametrize("tail", [b"\x0f", b"\x0f\x05corp", b"\x0f\xff"])
def test_half_an_option_says_nothing(tail: bytes) -> None:
    lease = read(raw(b"\x35\x01\x05" + tail))
    assert (lease.kind, lease.domain) == ("ack", None)


@pytest.mark.parametrize("address", [b"", b"\1\2\3", b"\1\2\3\4\5", bytes(4)])
def test_an_address_of_another_size_is_none(address: bytes) -> None:
    option = bytes([54, len(address)]) + address
    assert read(raw(b"\x35\x01\x05" + option + b"\xff")).server is None


def test_text_is_made_safe() -> None:
    domain = read(raw(b"\x35\x01\x05\x0f\x06a\x1b[2J\x00\xff")).domain
    assert domain is not None
    assert "\x1b" not in domain
    assert "\0" not in domain


@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    dhcp.parse(data)
    dhcpv6.parse(data)
    lease = dhcp.parse(raw(b"\x35\x01\x05" + data))
    assert lease is None or lease.mac == MAC


@given(st.data())
def test_a_good_message_cut_and_changed(data: st.DataObject) -> None:
    good = bytearray(message(("message-type", "ack"), ("domain", "corp.example"), ("server_id", "10.0.0.1")))
    for _ in range(data.draw(st.integers(0, 5))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    dhcp.parse(bytes(good[: data.draw(st.integers(0, len(good)))]))


def test_a_real_exchange() -> None:
    """Of a device that another DHCP server served; tshark shows the same."""
    found = diagnose([SAMPLES / "recorded" / "mesh_closed.pcapng"]).dhcp
    kinds = ["discover", "offer", "discover", "offer", "request", "ack"]
    assert [one.kind for one in found] == kinds
    assert {one.mac for one in found} == {"02:1c:69:7a:6b:7a"}
    assert [one.evidence[0].frame for one in found] == [1, 6, 7, 8, 9, 10]
    ack = found[-1]
    assert (ack.address, ack.server, ack.dns) == ("10.99.71.48", "10.99.71.1", ("10.99.71.1",))
    assert (ack.domain, ack.search) == ("truth.example", False)
    assert 15 in found[0].wanted


# ------------------------------------------------------------------------------------------------- version 6


def reply(*suffixes: str, duid: Any = None) -> Any:
    options = DHCP6OptClientId(duid=duid or DUID_LL(lladdr=MAC)) / DHCP6OptDNSServers(dnsservers=["fd00::1"])
    if suffixes:
        options /= DHCP6OptDNSDomains(dnsdomains=list(suffixes))
    return DHCP6_Reply() / options


def test_the_first_suffix_of_a_reply() -> None:
    found = dhcpv6.parse(bytes(reply("corp.example.", "lab.example.")))
    assert found == Lease("ack", MAC, dns=("fd00::1",), domain="corp.example", version=6)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_reply_through_relays(depth: int) -> None:
    message = reply("corp.example.")
    for _ in range(depth):
        message = DHCP6_RelayReply(linkaddr="fd00::1", peeraddr="fe80::2") / DHCP6OptRelayMsg(message=message)
    found = dhcpv6.parse(bytes(message))
    assert found is not None
    assert found.domain == "corp.example"


def test_relays_without_end() -> None:
    message = bytes(reply())
    for _ in range(50):
        message = bytes(34).replace(b"\0", b"\x0c", 1) + b"\0\x09" + len(message).to_bytes(2) + message
    assert dhcpv6.parse(message) is None
    assert dhcpv6.parse(bytes(DHCP6_RelayForward())) is None


def test_a_client_without_a_mac_is_nobody() -> None:
    assert dhcpv6.parse(bytes(reply(duid=DUID_EN(enterprisenum=343, id=b"x")))) is None


def test_a_duid_with_a_time() -> None:
    found = dhcpv6.parse(bytes(DHCP6_Solicit() / DHCP6OptClientId(duid=DUID_LLT(lladdr=MAC, timeval=1))))
    assert found == Lease("discover", MAC, version=6)


@given(st.data())
def test_a_good_reply_cut_and_changed(data: st.DataObject) -> None:
    good = bytearray(bytes(reply("corp.example.")))
    for _ in range(data.draw(st.integers(0, 5))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    dhcpv6.parse(bytes(good[: data.draw(st.integers(0, len(good)))]))
