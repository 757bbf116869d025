"""The parts of a simulated device that read what comes from the network, and its rules about chains."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flaws import DAY, DOMAIN, FIT, NOW, Chains
from hypothesis import given
from hypothesis import strategies as st
from making import SERVER_AUTH, Made

from amtdiag.rules.catalogue import RULES
from amtdiag.simulator import chain_rules, lookup, rmcp, wsman
from amtdiag.simulator.certificates import Wish, certify
from amtdiag.simulator.http import MAX_BODY, MAX_HEAD, HttpRequest, Requests, TooMuch
from amtdiag.simulator.scenarios import SCENARIOS
from amtdiag.simulator.tlsend import ClientChain

BODY = b"<Envelope>" + b"x" * 300 + b"</Envelope>"
HEAD = b"POST /wsman HTTP/1.1\r\nHost: x\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\n" + BODY[:100] + b"\r\n%x\r\n" % (len(BODY) - 100)
CHUNKED += BODY[100:] + b"\r\n0\r\n\r\n"

DERS = st.lists(st.binary(min_size=1, max_size=90), max_size=5)


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(one % len(data) for one in cuts)})
    return [data[start:end] for start, end in pairwise(ends)]


# ------------------------------------------------------------------------------------------------------- HTTP


@given(st.lists(st.integers(0, 5000), max_size=12))
def test_requests_come_out_whole_wherever_they_are_cut(cuts: list[int]) -> None:
    reader, found = Requests(), []
    for one in pieces(WHOLE + CHUNKED + WHOLE, cuts):
        found += reader.feed(one)
    assert [(one.method, one.path, one.body) for one in found] == [("POST", "/wsman", BODY)] * 3


@given(st.lists(st.binary(max_size=300), max_size=8), st.sampled_from([b"", HEAD, CHUNKED[:80]]))
def test_no_bytes_make_the_reader_fail_otherwise(noise: list[bytes], begins: bytes) -> None:
    reader = Requests()
    try:
        for one in [begins, *noise]:
            reader.feed(one)
    except TooMuch:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (MAX_HEAD + 1),
        HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1),
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"z" * 300,
        b"\x16\x03\x01\r\n\r\n",
    ],
)
def test_what_is_too_much_is_not_kept(data: bytes) -> None:
    with pytest.raises(TooMuch):
        Requests().feed(data)


class Open:
    """A guard that lets all in."""

    realm, secret = "r", None

    def admits(self, _request: HttpRequest) -> bool:
        return True

    def challenge(self) -> str:
        return ""


@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_body_gets_an_answer(noise: bytes) -> None:
    memory = wsman.Memory("0" * 32, "16.0.1.2", DOMAIN, b"key", Open())  # type: ignore[arg-type]
    responder = wsman.Responder(memory, {}, refuses=False)
    for kind in ("AddCertificate", "SetAdminAclEntryEx"):
        body = b"<Action>http://x/AMT_A/%s</Action><ResourceURI>http://x/AMT_A</ResourceURI>" % kind.encode()
        for given_body in (noise, body + b"<DigestPassword>" + noise + b"</DigestPassword>" + noise):
            said = responder.answer(HttpRequest("POST", "/wsman", {}, given_body))
            assert said.data.startswith(b"HTTP/1.1 ")


# -------------------------------------------------------------------------------------------------------- TLS


def record(kind: int, data: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(data).to_bytes(2, "big") + data


def flight(ders: Sequence[bytes], step: int) -> bytes:
    """What a client sends: a ClientHello, its chain in records of `step` bytes, and what is encrypted."""
    inner = b"".join(len(one).to_bytes(3, "big") + one for one in ders)
    body = len(inner).to_bytes(3, "big") + inner
    message = b"\x0b" + len(body).to_bytes(3, "big") + body
    records = b"".join(record(22, message[at : at + step]) for at in range(0, len(message), step))
    return record(22, b"\x01\0\0\x02hi") + records + record(20, b"\x01") + record(22, bytes(40))


@given(
    st.lists(st.binary(min_size=1, max_size=90), max_size=5),
    st.integers(1, 300),
    st.lists(st.integers(0, 3000)),
)
def test_a_chain_comes_out_whole_wherever_it_is_cut(ders: list[bytes], step: int, cuts: list[int]) -> None:
    reader = ClientChain()
    found = [chain for one in pieces(flight(ders, step), cuts) if (chain := reader.feed(one))]
    assert found == ([ders] if ders else [])


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_no_bytes_make_the_reader_of_chains_fail(noise: list[bytes]) -> None:
    reader = ClientChain()
    for one in noise:
        reader.feed(one)
    reader = ClientChain()
    reader.feed(record(22, b"".join(noise)[:60_000]))


# -------------------------------------------------------------------------------------------------- datagrams


@given(st.binary(max_size=300), st.integers(0, 0xFFFF))
def test_no_answer_of_a_name_server_makes_the_device_fail(noise: bytes, number: int) -> None:
    lookup.read(noise, number)
    lookup.read(number.to_bytes(2, "big") + b"\x80" + noise, number)


@given(st.binary(max_size=80))
def test_only_pings_are_answered(noise: bytes) -> None:
    assert not rmcp.is_ping(noise) or noise[4:9] == bytes.fromhex("000011be80")


# ----------------------------------------------------------------------------------------------------- chains

CONSOLE_OID = "2.16.840.1.113741.1.2.1"


class More(Chains):
    """Flaws that only some releases mind, and names that must not fit."""

    def for_consoles(self) -> list[Made]:
        return [self._leaf(usages=(SERVER_AUTH, CONSOLE_OID)), self.issuing, self.root]

    def without_root(self) -> list[Made]:
        return self.good()[:2]

    def not_yet_valid(self) -> list[Made]:
        return [self._leaf(begins=NOW + DAY, ends=NOW + 9 * DAY), self.issuing, self.root]

    def with_sha1(self) -> list[Made]:
        """The leaf is signed as was usual until 2015."""
        wish = Wish(f"provisionserver.{DOMAIN}", usages=FIT, begins=NOW - DAY, sha1=True)
        above, key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        root = certify(Wish("RSA Root", begins=NOW - DAY), key=above)
        self.root = Made(root.certificate, above)
        return [Made(certify(wish, root, key=key).certificate, key), self.root]

    def of(self, name: str) -> list[Made]:
        return [self._leaf(name), self.issuing, self.root]


def judged(there: Chains, shown: Sequence[Made], release: int, suffix: str = DOMAIN) -> str | None:
    roots = frozenset({hashlib.sha256(there.root.der).digest()})
    found = chain_rules.refusal([one.der for one in shown], chain_rules.Facts(roots, suffix, NOW, release))
    return found and found.rule


@pytest.mark.parametrize(
    ("made", "old", "new"),
    [
        (More.good, None, None),
        (More.by_unit, None, None),
        (More.for_the_web, "setup-mark", "setup-mark"),
        (More.for_consoles, "setup-mark", "setup-mark"),
        (More.without_server_auth, "server-auth", "server-auth"),
        (More.leaf_only, "root", "root"),
        (More.without_root, "root", "root"),
        (More.disordered, "order", "order"),
        (More.of_a_namesake, "signatures", "signatures"),
        (More.expired, "dates", "dates"),
        (More.not_yet_valid, "dates", "dates"),
        (More.of_another_domain, "suffix", "suffix"),
        (More.of_foreign_root, "root", "root"),
        (More.small_key, None, "key-size"),
        (More.with_sha1, None, "sha1"),
    ],
)
def test_what_each_release_refuses(
    made: Callable[[More], list[Made]], old: str | None, new: str | None
) -> None:
    there = More()
    shown = made(there)
    assert judged(there, shown, 11) == old
    assert judged(there, shown, 16) == new


@pytest.mark.parametrize(
    ("named", "suffix", "fits"),
    [
        ("p.corp.example", "corp.example", True),
        ("p.corp.example", "eu.corp.example", False),
        ("p.corp.com", "eu.corp.com", True),
        ("p.corp.com", "other.com", False),
        ("p.corp.com", "com", True),
        ("p.corp.example", "", False),
    ],
)
def test_which_suffix_fits(named: str, suffix: str, fits: bool) -> None:
    there = More()
    assert (judged(there, there.of(named), 16, suffix) is None) is fits


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=14))
def test_what_is_no_certificate_is_refused(ders: list[bytes]) -> None:
    assert chain_rules.refusal(ders, chain_rules.Facts(frozenset(), DOMAIN, NOW, 16)) is not None


def test_the_table_names_rules_that_there_are() -> None:
    known = {one.id for one in RULES}
    assert {rule for one in SCENARIOS.values() for rule in one.expected.findings} <= known
