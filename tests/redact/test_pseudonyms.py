"""Pseudonyms: of the same length, one for one, other ones by another key."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import assume, given
from hypothesis import strategies as st

from amtdiag.protocols.pid import PID_ALPHABET, check_character, is_valid_pid
from amtdiag.redact.datagrams import dhcp, dhcpv6, dns, rmcp
from amtdiag.redact.pseudonyms import Pseudonyms
from amtdiag.redact.streams import Content

KEY, OTHER = b"one key", b"another"
NAMES, OTHERS = Pseudonyms(KEY), Pseudonyms(OTHER)
LABELS = st.text("abcxyz019-", min_size=1, max_size=12).map(str.encode) | st.sampled_from(
    [b"lan", b"com", b"rps", b"mps-1", b"emaserver"]
)
KINDS: list[tuple[Callable[[Pseudonyms, bytes], bytes], st.SearchStrategy[bytes]]] = [
    (lambda names, one: names.ipv4(one), st.binary(min_size=4, max_size=4)),
    (lambda names, one: names.ipv6(one), st.binary(min_size=16, max_size=16)),
    (lambda names, one: names.mac(one), st.binary(min_size=6, max_size=6)),
    (lambda names, one: names.uuid(one), st.binary(min_size=16, max_size=16)),
    (lambda names, one: names.pid(one), st.text(PID_ALPHABET, min_size=8, max_size=8).map(str.encode)),
    (lambda names, one: names.label(one), LABELS),
]


@given(st.sampled_from(KINDS), st.data())
def test_one_for_one(
    kind: tuple[Callable[[Pseudonyms, bytes], bytes], st.SearchStrategy[bytes]], data: st.DataObject
) -> None:
    """Two values never share a pseudonym, and each is as long as what it stands for."""
    replace, values = kind
    one, two = data.draw(values), data.draw(values)
    assert len(replace(NAMES, one)) == len(one)
    assert replace(NAMES, one) == replace(Pseudonyms(KEY), one)
    assert (replace(NAMES, one) == replace(NAMES, two)) == (one == two)


@given(st.binary(min_size=16, max_size=16))
def test_another_key_gives_another_pseudonym(uuid: bytes) -> None:
    """Of 16 bytes not one in a lifetime is the same by chance."""
    assume(NAMES.uuid(uuid) != uuid)  # a placeholder
    assert NAMES.uuid(uuid) != OTHERS.uuid(uuid)


@given(st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4))
def test_networks_stay_networks(one: bytes, two: bytes) -> None:
    """Addresses share as many octets as before."""
    first, second = NAMES.ipv4(one), NAMES.ipv4(two)
    for size in range(5):
        assert (first[:size] == second[:size]) == (one[:size] == two[:size])
    assert [len(str(a)) for a in first] == [len(str(a)) for a in one]


@given(st.text(PID_ALPHABET, min_size=7, max_size=7))
def test_the_check_of_a_pid_is_computed_anew(head: str) -> None:
    """Right stays right, wrong stays wrong."""
    right = (head + check_character(head)).encode()
    wrong = right[:-1] + (b"A" if right[-1:] != b"A" else b"B")
    assert is_valid_pid(NAMES.pid(right))
    assert not is_valid_pid(NAMES.pid(wrong))


BEGINNINGS = [
    b"",
    b"\x16\x03\x03\x00\x40\x0b\x00\x00\x3c\x00\x00\x39\x00\x00\x36",
    b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c",
    b"\x16\x03\x03\x00\x40\x0c\x00\x00\x3c\x03",
    b"\x16\x03\x03\x00\x40\x0d\x00\x00\x3c\x02",
    b"POST /wsman HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n<a b=c><",
    b"\x00\x00\x04\x00\x01\x00\x00\x00",
    b"\x13\x00\x00\x00\x04",
    b"\x11",
    b"\xc0",
    b"\x32\x00\x00\x00\x05",
    b"\x01\x01\x06\x00" + bytes(232) + b"\x63\x82\x53\x63",
    b"\x0c\x01",
    b"\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00",
]


@given(
    st.sampled_from(BEGINNINGS), st.binary(max_size=300), st.sampled_from([9971, 53, 16992, 16994, 4433, 80]),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_any_bytes_are_masked_in_the_same_length(
    head: bytes, tail: bytes, port: int, headless: bool, keep: bool
) -> None:
    """Whatever is on the wire."""
    data = head + tail
    content = Content(NAMES, lambda _: False, keep_certificates=keep)
    assert len(content.mask(data, port, frozenset({9971}), headless=headless)) == len(data)
    for mask in (dns, dhcp, dhcpv6, rmcp):
        assert len(mask(data, NAMES)) == len(data)
