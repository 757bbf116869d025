"""How far a TLS conversation came: real handshakes, cut anywhere, and hand-made alerts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amtdiag.model import TlsTalk
from amtdiag.net.stream import Assembled
from amtdiag.protocols.tls import talk
from amtdiag.simulate import tls as simulated

SUFFIX, ADDRESS = "corp.example", "10.0.0.50"


def stream(data: bytes, **changes: Any) -> Assembled:
    return Assembled(data, (), (), anchored=True, ended=True, conflicts=0)._replace(**changes)


def record(kind: int, body: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(body).to_bytes(2) + body


def alert(description: int) -> bytes:
    return record(21, bytes([2, description]))


@pytest.fixture(scope="module")
def finished() -> tuple[bytes, bytes]:
    """What client and server say in a handshake of OpenSSL that works, data behind it."""
    return sides(root_accepted=True)


def sides(*, root_accepted: bool) -> tuple[bytes, bytes]:
    flights = simulated.session(SUFFIX, ADDRESS, root_accepted=root_accepted)
    client = b"".join(flight.data for flight in flights if flight.from_client)
    return client, b"".join(flight.data for flight in flights if not flight.from_client)


def test_a_handshake_that_works(finished: tuple[bytes, bytes]) -> None:
    client, server = finished
    assert talk(stream(client), stream(server)) == TlsTalk(finished=True, alert_by=None, alert=None)


def test_a_handshake_that_the_device_ends() -> None:
    client, server = sides(root_accepted=False)
    assert talk(stream(client), stream(server)) == TlsTalk(finished=False, alert_by="server", alert=48)


def test_an_alert_behind_the_change_of_cipher_is_nobodys_business(finished: tuple[bytes, bytes]) -> None:
    client, server = finished
    found = talk(stream(client + alert(40)), stream(server))
    assert found is not None
    assert found.alert is None


@pytest.mark.parametrize("description", [40, 70, 90])
def test_the_client_gives_up(description: int) -> None:
    hello = record(22, bytes([1]) + bytes(40))
    found = talk(stream(hello + alert(description)), stream(record(22, bytes([2]) + bytes(40))))
    assert found == TlsTalk(finished=False, alert_by="client", alert=description)


def test_to_say_good_bye_is_no_failure() -> None:
    hello = record(22, bytes([1]) + bytes(40))
    found = talk(stream(hello + record(21, bytes([1, 0]))), stream(b""))
    assert found is not None
    assert found.alert is None


def test_tls_13_hides_how_it_ends() -> None:
    server_hello = record(22, bytes([2]) + bytes(40) + b"\x00\x2b\x00\x02\x03\x04")
    found = talk(stream(record(22, bytes([1]) + bytes(40))), stream(server_hello + record(23, bytes(50))))
    assert found == TlsTalk(finished=None, alert_by=None, alert=None)


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x02\x00\x00\x01\x01"])
def test_what_is_no_tls(data: bytes) -> None:
    assert talk(stream(data), stream(data)) is None


def test_without_its_beginning_nothing_is_known(finished: tuple[bytes, bytes]) -> None:
    client, server = finished
    assert talk(stream(client, anchored=False), stream(server, anchored=False)) is None


@given(st.data())
def test_cut_anywhere_it_is_no_alert_and_no_more_than_finished(
    finished: tuple[bytes, bytes], data: st.DataObject
) -> None:
    client, server = finished
    ends = [data.draw(st.integers(0, len(side))) for side in finished]
    found = talk(stream(client[: ends[0]]), stream(server[: ends[1]]))
    assert found is None or (found.alert is None and found.finished in (True, False))
    gap = data.draw(st.integers(0, len(client)))
    found = talk(stream(client, gaps=((gap, gap + 1),)), stream(server))
    assert found is not None
    assert found.alert is None


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_any_bytes(client: bytes, server: bytes) -> None:
    talk(stream(client), stream(server))
