"""The web server of AMT, and web servers that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amtdiag.protocols.web.server_banner import amt_web_server

AMT = b"Server: Intel(R) Active Management Technology 11.8.50.3425\r\n"
REALM = b'WWW-Authenticate: Digest realm="Digest:AFD80000000000000000000000000000", nonce="x"\r\n'


def answer(*headers: bytes, status: bytes = b"401 Unauthorized") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(headers) + b"Content-Length: 0\r\n\r\n"


def test_the_version() -> None:
    found = amt_web_server(answer(AMT))
    assert found is not None
    assert (found.version, found.status) == ("11.8.50.3425", 401)


def test_the_realm_is_enough() -> None:
    found = amt_web_server(answer(REALM))
    assert found is not None
    assert found.version is None


def test_a_name_without_a_version() -> None:
    found = amt_web_server(answer(b"Server: Intel(R) Active Management Technology\r\n", status=b"200 OK"))
    assert found is not None
    assert (found.version, found.status) == (None, 200)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        answer(b"Server: nginx\r\n"),
        answer(b'WWW-Authenticate: Digest realm="somebody"\r\n'),
        answer() + AMT,
        b"HTTP/2 200\r\n" + AMT,
        b"\x16\x03\x03\x00\x02\x02\x28",
    ],
)
def test_other_servers(data: bytes) -> None:
    assert amt_web_server(data) is None


def test_nothing_but_digits_and_dots_is_a_version() -> None:
    found = amt_web_server(answer(b"Server: Intel(R) Active Management Technology \x1b[2J1.2\r\n"))
    assert found is not None
    assert found.version is None


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    amt_web_server(data)
    amt_web_server(answer(AMT)[:40] + data)
