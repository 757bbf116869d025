"""RMCP pings and pongs: the bytes of the guide, and bytes that are none of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amtdiag.model import Mode
from amtdiag.protocols.rmcp import Ping, PresencePong, parse

PING = bytes.fromhex("06 00 ff 06 00 00 11 be 80 2a 00 00")


def pong(*, nibbles: int = 0x90, state: int = 0, port: int = 16993, major: int = 0, minor: int = 0) -> bytes:
    """A pong of an Intel device: version in nibbles and state, or whole numbers behind them."""
    head = bytes.fromhex("06 00 ff 06 00 00 11 be 40 2a 00 10 00 00 01 57")
    body = port.to_bytes(2) + bytes([nibbles, state, 0x81, 0, major, minor]) + bytes(4)
    return head + body


def read(data: bytes) -> PresencePong:
    found = parse(data)
    assert isinstance(found, PresencePong)
    return found


def test_a_ping() -> None:
    assert parse(PING) == Ping(0x2A)


@pytest.mark.parametrize(
    ("state", "mode"), [(0, "factory"), (1, "setup"), (2, "operational"), (3, "unknown")]
)
def test_the_mode(state: int, mode: Mode) -> None:
    assert read(pong(state=state)).mode == mode
    assert read(pong(state=state | 0xFC)).mode == mode


def test_a_pong() -> None:
    assert read(pong(state=2)) == PresencePong(0x2A, 16993, "9.0", "operational")


def test_no_port_is_none() -> None:
    assert read(pong(port=0)).port is None


def test_the_version_in_whole_numbers() -> None:
    found = read(pong(nibbles=0, major=16, minor=1, state=1))
    assert (found.version, found.mode) == ("16.1", "setup")


def test_old_firmware_says_no_mode() -> None:
    found = read(pong(nibbles=0, state=2))
    assert (found.version, found.mode) == (None, "unknown")


@pytest.mark.parametrize("size", range(len(pong())))
def test_a_cut_pong(size: int) -> None:
    found = parse(pong()[:size])
    assert found is None or size >= 24


@pytest.mark.parametrize(("at", "value"), [(0, 5), (3, 7), (4, 1), (7, 0), (8, 0x41), (15, 0x58)])
def test_other_messages(at: int, value: int) -> None:
    other = bytearray(pong())
    other[at] = value
    assert parse(bytes(other)) is None


@given(st.binary(max_size=64))
def test_random_bytes(data: bytes) -> None:
    parse(data)
    parse(PING[:8] + data)
    parse(pong()[:16] + data)
