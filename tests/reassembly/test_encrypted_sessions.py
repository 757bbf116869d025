"""Encrypted conversations handed to tshark, and what comes back: what was sent, at its frames."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amtdiag.capture import decryptor as runner
from amtdiag.capture.decryptor import Decrypter, TsharkError
from amtdiag.config import Limits
from amtdiag.errors import MissingToolError
from amtdiag.reassembly.encrypted_sessions import EncryptedSessions
from amtdiag.reassembly.stream import Assembled, Stream
from amtdiag.simulator.certificates import device_identity

MILLISECOND = 1_000_000
SAID = [b"POST /wsman HTTP/1.1\r\nContent-Length: 40000\r\n\r\n" + b"x" * 40_000, b"second"]
HEARD = [b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nabc", b"y" * 20_000]


def decrypt(capture: bytes, key_log: bytes, limits: Limits) -> list[bytes]:
    return Decrypter(capture, key_log, limits).data()


class Talk(NamedTuple):
    flights: list[tuple[bool, bytes]]
    keylog: bytes


def talk(folder: Path, version: ssl.TLSVersion) -> Talk:
    """OpenSSL talks to itself; its key log opens it."""
    identity = device_identity()
    (folder / "identity.pem").write_bytes(identity.key + identity.chain)
    near = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    near.check_hostname, near.verify_mode = False, ssl.CERT_NONE
    near.keylog_filename = str(folder / "keys.log")
    far = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    far.load_cert_chain(folder / "identity.pem")
    near.minimum_version = near.maximum_version = version
    boxes = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in range(2)]
    ends = [near.wrap_bio(*boxes[0]), far.wrap_bio(*boxes[1], server_side=True)]
    flights: list[tuple[bool, bytes]] = []

    def carry(side: int) -> None:
        data = boxes[side][1].read()
        if data:
            flights.append((side == 0, data))
            boxes[1 - side][0].write(data)

    for _ in range(4):
        for side in (0, 1):
            with contextlib.suppress(ssl.SSLWantReadError):
                ends[side].do_handshake()
            carry(side)
    for asked, answered in zip(SAID, HEARD, strict=True):
        ends[0].write(asked)
        carry(0)
        while True:
            try:
                ends[1].read(65536)
            except ssl.SSLWantReadError:
                break
        ends[1].write(answered)
        carry(1)
    return Talk(flights, (folder / "keys.log").read_bytes())


def streams(
    flights: list[tuple[bool, bytes]], size: int, lost: int | None = None
) -> tuple[Assembled, Assembled]:
    """Both directions in segments of that size; one of the client's may be missing."""
    sides = {
        True: Stream(Limits(stream_bytes=1 << 20), keep=True),
        False: Stream(Limits(stream_bytes=1 << 20), keep=True),
    }
    reached, frame, of_client = {True: 0, False: 0}, 0, 0
    for stream in sides.values():
        stream.anchor(0)
    for from_client, data in flights:
        for at in range(0, len(data), size):
            part = data[at : at + size]
            frame += 1
            of_client += from_client
            if not (from_client and of_client == lost):
                sides[from_client].add(reached[from_client], part, 0, frame * MILLISECOND, (3, (frame,)))
            reached[from_client] += len(part)
    return sides[True].assemble(), sides[False].assemble()


@pytest.fixture(scope="module", params=["TLSv1_2", "TLSv1_3"])
def genuine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Talk:
    return talk(tmp_path_factory.mktemp("talk"), ssl.TLSVersion[request.param])


@pytest.mark.usefixtures("tshark")
def test_what_was_said_comes_back(genuine: Talk) -> None:
    sealed = EncryptedSessions(1 << 20)
    for size in (536, 1460, 60_000):
        sealed.add(*streams(genuine.flights, size))
    found = sealed.opened(decrypt(sealed.capture(), genuine.keylog, Limits()))
    assert sorted(found) == [0, 1, 2]
    for number, (client, server, _) in found.items():
        assert client.data == b"".join(SAID)
        assert server.data == b"".join(HEARD)
        frames = [piece.frames for piece in client.pieces]
        assert all(file == 3 for file, _ in frames)
        sent = sealed._conversations[number][0].pieces
        assert set(frames) <= {piece.frames for piece in sent}
        assert frames == sorted(frames)


@pytest.mark.usefixtures("tshark")
def test_after_a_gap_nothing_is_made_up(genuine: Talk) -> None:
    sealed = EncryptedSessions(1 << 20)
    segments = sum(-(-len(data) // 1460) for from_client, data in genuine.flights if from_client)
    sealed.add(*streams(genuine.flights, 1460, lost=segments - 3))
    found = sealed.opened(decrypt(sealed.capture(), genuine.keylog, Limits()))
    assert b"".join(SAID).startswith(found[0].client.data)
    assert len(found[0].client.data) < len(b"".join(SAID))


@pytest.mark.usefixtures("tshark")
def test_foreign_secrets_open_nothing(genuine: Talk) -> None:
    sealed = EncryptedSessions(1 << 20)
    sealed.add(*streams(genuine.flights, 1460))
    foreign = b"CLIENT_RANDOM " + b"ab" * 32 + b" " + b"cd" * 48 + b"\nrubbish\n\xff\xfe\n"
    assert sealed.opened(decrypt(sealed.capture(), foreign, Limits())) == {}


def test_there_is_a_bound(genuine: Talk) -> None:
    both = streams(genuine.flights, 1460)
    size = sum(len(one.data) for one in both)
    sealed = EncryptedSessions(2 * size)
    assert [sealed.add(*both) for _ in range(4)] == [0, 1, None, None]
    assert sealed.left_out == 2


@given(st.lists(st.binary(max_size=80)))
def test_rubbish_from_tshark(exported: list[bytes]) -> None:
    sealed = EncryptedSessions(1 << 20)
    sealed.add(*(streams([(True, b"abc"), (False, b"def")], 2)))
    whole = b"\0\x14\0\4\x0a\0\0\0\0\x1e\0\4\0\0\0\3\0\0\0\0"
    assert set(sealed.opened(exported)) <= {0}
    assert sealed.opened([*exported, whole + b"xyz"])[0].client.data.endswith(b"xyz")


@pytest.fixture
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Secrets are removed, whatever happens."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def test_without_tshark(monkeypatch: pytest.MonkeyPatch, nothing_left: Path) -> None:
    monkeypatch.setenv("PATH", str(nothing_left))
    with pytest.raises(MissingToolError, match="tshark is needed"):
        decrypt(b"", b"", Limits())


@pytest.mark.usefixtures("tshark")
def test_a_failing_tshark(monkeypatch: pytest.MonkeyPatch, nothing_left: Path) -> None:
    with pytest.raises(TsharkError, match="gave up"):
        decrypt(b"no capture", b"", Limits())
    monkeypatch.setattr(runner, "_PATIENCE", 0.001)
    with pytest.raises(TsharkError, match="longer than"):
        decrypt(EncryptedSessions(1).capture(), b"", Limits())
