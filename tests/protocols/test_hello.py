"""The Hello: real payloads, round trips, and what hostile bytes may not do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from amtdiag.model import Hello
from amtdiag.protocols.hello import ALGORITHMS, MAX_LENGTH, NEED_DATA, NotHello, build, parse
from amtdiag.protocols.pid import check_character, is_valid_pid

REAL: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "real_hello.json").read_text())
REAL_BYTES = bytes.fromhex(REAL["payload_hex"])
REAL_DIGESTS = [one["digest"] for one in REAL["digests"]]
UUID = "12345678-9abc-4def-8123-456789abcdef"

uuids = st.uuids().map(str)
digest_lists = st.lists(
    st.sampled_from([1, 2, 3]).flatmap(
        lambda n: st.tuples(st.just(n), st.binary(min_size=ALGORITHMS[n][1], max_size=ALGORITHMS[n][1]))
    ),
    max_size=40,
)
pids = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=7, max_size=7).map(
    lambda seven: seven + check_character(seven)
)


def read(data: bytes, **options: Any) -> Hello:
    found = parse(data, **options)
    assert isinstance(found, Hello), found
    return found


def test_real_hardware() -> None:
    hello = read(REAL_BYTES)
    assert hello.complete
    assert (hello.type, hello.uuid) == ("pki", REAL["uuid"])
    assert (hello.version, hello.retry_count) == (REAL["version"], REAL["retry_count"])
    assert hello.admin_credentials == REAL["admin_credentials_raw"]
    assert [digest.value.hex() for digest in hello.digests] == REAL_DIGESTS
    assert (hello.trailing_bytes, hello.missing_bytes, hello.problems) == (0, 0, ())


def test_intels_own_pid_vector() -> None:
    hello = read(build(uuid=UUID, version=2, pid="0000-037M"))
    assert (hello.type, hello.pid, hello.pid_check_ok, hello.complete) == ("psk", "0000037M", True, True)
    pps = "NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XJ"
    assert all(check_character(group[:3]) == group[3] for group in pps.split("-"))
    assert not is_valid_pid(b"0000037N")


@given(uuids, st.integers(0, 14), st.sampled_from([0, 1]), digest_lists)
def test_pki_round_trip(uuid: str, retry: int, flag: int, digests: list[tuple[int, bytes]]) -> None:
    hello = read(build(uuid=uuid, retry_count=retry, admin_credentials=flag, digests=digests))
    assert (hello.uuid, hello.retry_count, hello.admin_credentials) == (uuid, retry, flag)
    assert [(one.algorithm_id, one.value) for one in hello.digests] == digests
    assert hello.complete


@given(uuids, pids)
def test_psk_round_trip(uuid: str, pid: str) -> None:
    hello = read(build(uuid=uuid, version=2, pid=pid), strict=True)
    assert (hello.uuid, hello.pid, hello.pid_check_ok) == (uuid, pid, True)


@given(st.integers(0, len(REAL_BYTES)), st.binary(max_size=40))
def test_cut_anywhere_with_noise_behind(cut: int, noise: bytes) -> None:
    """A good message cut anywhere, with noise after it, gives at most what was there."""
    found = parse(REAL_BYTES[:cut] + noise)
    if not isinstance(found, Hello):
        return
    whole = (cut - 25) // 34
    assert [digest.value.hex() for digest in found.digests][: max(whole, 0)] == REAL_DIGESTS[: max(whole, 0)]
    if not noise:
        assert found.complete == (cut == len(REAL_BYTES))
        assert found.missing_bytes == (len(REAL_BYTES) - cut if cut >= 27 else found.missing_bytes)


@given(st.integers(27, len(REAL_BYTES) - 1), st.integers(1, 200))
def test_a_gap_loses_only_what_it_covers(start: int, length: int) -> None:
    end = min(start + length, len(REAL_BYTES))
    holed = REAL_BYTES[:start] + bytes(end - start) + REAL_BYTES[end:]
    hello = read(holed, gaps=[(start, end)])
    assert not hello.complete
    assert hello.missing_bytes == end - start
    untouched = [
        value
        for number, value in enumerate(REAL_DIGESTS)
        if not (start < 25 + (number + 1) * 34 and 25 + number * 34 < end)
    ]
    read_back = [digest.value.hex() for digest in hello.digests]
    assert set(read_back) <= set(REAL_DIGESTS)
    assert set(untouched) <= set(read_back)


def test_need_data_is_a_value() -> None:
    for cut in range(len(REAL_BYTES)):
        assert parse(REAL_BYTES[:cut], ended=False) is NEED_DATA
    assert isinstance(parse(REAL_BYTES, ended=False), Hello)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({0: 2}, "flag is 2"),
        ({4: 15}, "retry count is 15"),
        ({25: 4}, "algorithm 4"),
        ({24: 0}, "holds no digest"),
    ],
)
def test_oddities_are_problems_and_no_reason_to_drop(change: dict[int, int], problem: str) -> None:
    data = bytearray(REAL_BYTES)
    for at, value in change.items():
        data[at] = value
    hello = read(bytes(data))
    assert hello.uuid == REAL["uuid"]
    assert any(problem in text for text in hello.problems), hello.problems


def test_known_padding_and_trailing_bytes() -> None:
    padded = read(REAL_BYTES + bytes(3))
    assert (padded.complete, padded.trailing_bytes) == (True, 3)
    assert "padding" in padded.problems[0]
    assert read(REAL_BYTES + b"x" * 9).trailing_bytes == 9
    assert isinstance(parse(REAL_BYTES + b"x" * 9, strict=True), NotHello)


@pytest.mark.parametrize("version", [1, 4, 9])
def test_undocumented_versions_give_the_header_only(version: int) -> None:
    data = bytearray(REAL_BYTES)
    data[2] = version
    hello = read(bytes(data))
    assert (hello.type, hello.version, hello.uuid, hello.digests) == ("unknown", version, REAL["uuid"], ())
    assert any("undocumented" in text for text in hello.problems)
    assert isinstance(parse(bytes(data), strict=True), NotHello)


@given(st.binary(max_size=1200))
@example(bytes(32))
@example(b"\xff" * 400)
@example(b"\x01\x00\x03\x00" + bytes(21))
def test_strict_never_takes_noise(data: bytes) -> None:
    assume(data[:4] not in (b"\0\0\2\0", b"\1\0\2\0", b"\0\0\3\0", b"\1\0\3\0") or len(data) < 32)
    assert isinstance(parse(data, strict=True), NotHello)


SPEECH = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nHost: provisionserver\r\n\r\n",
    b"POST /wsman HTTP/1.1\r\n",
    b"SSH-2.0-OpenSSH_9.2p1\r\n",
    b"\x03\x00\x00\x13\x0e\xe0\x00\x00",
    b"\x00\x00\x00\x85\xffSMB\x72",
    b"\x06\x00\xff\x06\x00\x00\x11\xbe\x80\x00\x00\x00",
    b"EHLO mail.example\r\n",
]


@given(st.sampled_from(SPEECH), st.binary(max_size=600), st.booleans())
def test_other_protocols_are_never_a_hello(start: bytes, rest: bytes, strict: bool) -> None:
    assert isinstance(parse(start + rest, strict=strict), NotHello)


@given(
    st.binary(max_size=MAX_LENGTH + 10),
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=5),
)
def test_nothing_raises(data: bytes, gaps: list[tuple[int, int]]) -> None:
    for strict in (False, True):
        found = parse(data, gaps, strict=strict)
        if isinstance(found, Hello):
            assert len(found.digests) <= 255
            assert found.missing_bytes >= 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 1},
        {"version": 2, "pid": "SHORT"},
        {"version": 2},
        {"version": 3, "pid": "0000037M"},
        {"retry_count": -1},
        {"admin_credentials": 70000},
        {"digests": [(2, bytes(256))]},
        {"digests": [(1, bytes(20))] * 256},
        {"uuid": "no uuid"},
    ],
)
def test_build_refuses_what_no_hello_can_carry(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        build(**{"uuid": UUID, **wrong})
