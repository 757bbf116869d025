"""DNS messages: against scapy, names that loop or lie, the server's name."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from helpers import SAMPLES
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR

from amtdiag.pipeline import diagnose
from amtdiag.protocols import dns
from amtdiag.protocols.dns import HEADER, DnsMessage, is_discovery, name_at, parse

NAME = "provisionserver.corp.example"


def built(*answers: Any, name: str = NAME, kind: str = "A", **header: Any) -> bytes:
    """A message as scapy builds it; with answers it is a response."""
    header = {"id": 77, "qr": int(bool(answers)), **header}
    made = DNS(qd=[DNSQR(qname=name, qtype=kind)], **header)
    if answers:
        made.an = list(answers)
    return bytes(made)


def read(data: bytes) -> DnsMessage:
    message = parse(data)
    assert message is not None
    return message


def header(questions: int = 1, answers: int = 0, flags: int = 0x8000) -> bytes:
    return struct.pack(">6H", 1, flags, questions, answers, 0, 0)


def question(name: bytes) -> bytes:
    return header() + name + b"\0\1\0\1"


# ------------------------------------------------------------------------------------------- as scapy


@pytest.mark.parametrize(("kind", "number"), [("A", 1), ("AAAA", 28), ("PTR", 12), ("CNAME", 5)])
def test_questions(kind: str, number: int) -> None:
    message = read(built(kind=kind))
    assert (message.id, message.is_response, message.name, message.type) == (77, False, NAME, number)
    assert (message.addresses, message.names) == ((), ())


def test_answers() -> None:
    message = read(
        built(
            DNSRR(rrname=NAME, type="CNAME", rdata="sca.corp.example"),
            DNSRR(rrname="sca.corp.example", type="A", rdata="10.0.0.5"),
            DNSRR(rrname="sca.corp.example", type="AAAA", rdata="fd00::5"),
        )
    )
    assert message.is_response
    assert message.addresses == ("10.0.0.5", "fd00::5")
    assert message.names == ("sca.corp.example",)


@pytest.mark.parametrize(("code", "name"), dns.RCODES.items())
def test_response_codes(code: int, name: str) -> None:
    assert dns.RCODES[read(built(qr=1, rcode=code)).rcode] == name


def test_compressed_answers() -> None:
    data = header(answers=1) + b"\x0fprovisionserver\x04corp\0\0\1\0\1"
    data += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\5"
    message = read(data)
    assert (message.name, message.addresses) == ("provisionserver.corp", ("10.0.0.5",))
    scapys = DNS(data)
    assert scapys.an[0].rdata == "10.0.0.5"


def test_names_are_lower_case() -> None:
    assert read(built(name="ProvisionServer.Corp.EXAMPLE")).name == NAME


def test_truncation_is_told() -> None:
    assert read(built(qr=1, tc=1)).cut
    assert not read(built(qr=1)).cut


@given(
    st.lists(
        st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789-"), min_size=1, max_size=63),
        min_size=1,
        max_size=3,
    ),
    st.lists(st.ip_addresses(v=4).map(str), max_size=4),
)
def test_names_and_addresses_as_scapy_wrote_them(labels: list[str], addresses: list[str]) -> None:
    name = ".".join(labels)
    message = read(built(*(DNSRR(rrname=name, rdata=one) for one in addresses), name=name))
    assert (message.name, list(message.addresses)) == (name, addresses)


# ------------------------------------------------------------------------------------------ bad names


@pytest.mark.parametrize(
    "name",
    [
        b"\xc0\x0c",  # to itself
        b"\xc0\x20",  # forward
        b"\xc0",  # half a pointer
        b"\x01a\xc0\x0e",  # to the pointer itself
        b"\x05ab",  # cut label
        b"\x41a\0",  # reserved kinds of label
        b"\x81a\0",
        b"\x01a",  # no end
        b"",
    ],
)
def test_names_that_are_none(name: bytes) -> None:
    assert name_at(header() + name, HEADER) is None
    assert parse(header() + name) is None


def test_a_loop_of_two_pointers() -> None:
    data = header() + b"\xc0\x0e\xc0\x0c"
    assert name_at(data, HEADER) is None
    assert name_at(data, HEADER + 2) is None


def test_a_loop_with_labels() -> None:
    """Back to a label before the pointer: ever longer, so that it ends at the longest name."""
    assert name_at(header() + b"\x01a\xc0\x0c", HEADER + 2) is None


def test_a_name_of_255_bytes_is_the_longest() -> None:
    longest = b"".join(bytes([size]) + b"a" * size for size in (63, 63, 63, 61))
    assert name_at(longest + b"\0", 0) is not None
    for longer in (b"".join([longest, b"\1a\0"]), b"\1a" * 128 + b"\0"):
        assert name_at(longer, 0) is None


def test_many_pointers_end() -> None:
    chain = b"\0" + b"".join(b"\xc0" + bytes([max(2 * at - 1, 0)]) for at in range(100))
    assert name_at(chain, 1) == ("", 3)
    name_at(chain, len(chain) - 2)


def test_a_name_says_where_reading_goes_on() -> None:
    data = b"\x01a\0\x01b\xc0\x00rest"
    assert name_at(data, 0) == ("a", 3)
    assert name_at(data, 3) == ("b.a", 7)


def test_names_are_safe_to_show() -> None:
    found = name_at(b"\x05\x1b[2J\xe9\0", 0)
    assert found is not None
    assert found[0].isprintable()


# --------------------------------------------------------------------------------------- bad messages


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(11),
        header(questions=0) + b"\1a\0\0\1\0\1",
        header(questions=2) + b"\1a\0\0\1\0\1" * 2,
        header(flags=0x2800) + b"\1a\0\0\1\0\1",  # a dynamic update
        header() + b"\1a\0\0\1",
    ],
)
def test_what_is_no_message(data: bytes) -> None:
    assert parse(data) is None


def test_answers_are_read_as_far_as_they_go() -> None:
    whole = built(DNSRR(rrname="a", rdata="10.0.0.1"), DNSRR(rrname="a", rdata="10.0.0.2"), name="a")
    assert read(whole).addresses == ("10.0.0.1", "10.0.0.2")
    assert read(whole[:-1]).addresses == ("10.0.0.1",)
    assert read(whole[:-20]).addresses == ()


def test_a_count_that_lies_costs_nothing() -> None:
    assert read(header(answers=65_535) + b"\1a\0\0\1\0\1").addresses == ()


def test_an_address_of_another_size_is_none() -> None:
    data = header(answers=1) + b"\1a\0\0\1\0\1" + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\3\x0a\0\0"
    assert read(data).addresses == ()


@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    parse(data)
    parse(header(answers=9) + data)
    for at in range(0, len(data) + 2, 7):
        name_at(data, at)


@given(st.data())
def test_a_good_message_cut_and_changed(data: st.DataObject) -> None:
    good = bytearray(
        built(DNSRR(rrname=NAME, rdata="10.0.0.1"), DNSRR(rrname=NAME, type="CNAME", rdata="b.c"))
    )
    for _ in range(data.draw(st.integers(0, 5))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    parse(bytes(good[: data.draw(st.integers(0, len(good)))]))


# ------------------------------------------------------------------------------------ the server's name


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("provisionserver", True),
        (NAME, True),
        ("provisionserver2.corp", False),
        ("my-provisionserver.corp", False),
        ("corp.provisionserver", False),
        ("", False),
    ],
)
def test_the_name_of_the_server(name: str, is_one: bool) -> None:
    assert is_discovery(name) is is_one


def test_a_real_exchange() -> None:
    """tshark shows the same."""
    bare, full = diagnose([SAMPLES / "recorded" / "mesh_closed.pcapng"]).lookups
    assert (bare.name, bare.rcode, bare.addresses) == ("provisionserver", "NXDOMAIN", ())
    assert (full.name, full.rcode) == ("provisionserver.truth.example", "NOERROR")
    assert (full.addresses, full.client, full.server) == (("10.99.71.1",), "10.99.71.48", "10.99.71.1")
    assert [one.frame for one in (*bare.evidence, *full.evidence)] == [13, 14, 15, 16]
