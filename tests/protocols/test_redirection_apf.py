"""Redirection sessions and conversations with a presence server, byte by byte."""

from __future__ import annotations

import re
import struct
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webtalks import Flight, Segment, assemble, frames_of, segments

from amtdiag.model.web import Apf, Redirection
from amtdiag.protocols.web.apf import read_apf
from amtdiag.protocols.web.redirection import read_redirection

SECRET = "s3cret"
STARTED = b"\x11\x00" + bytes(10) + b"\x01\x07"
OFFER = b"\x14\x00\x00\x00\x00" + struct.pack("<I", 3) + b"\x01\x03\x04"
CHALLENGE = b"\x14\x01\x00\x00\x04" + struct.pack("<I", 12) + b"\x05Realm\x05nonce"
ACCEPTED, REFUSED = b"\x14\x00\x00\x00\x04" + bytes(4), b"\x14\x01\x00\x00\x04" + bytes(4)


def fields(*texts: str) -> bytes:
    return b"".join(bytes([len(text)]) + text.encode() for text in texts)


def authenticate(kind: int, data: bytes) -> bytes:
    return b"\x13\x00\x00\x00" + bytes([kind]) + struct.pack("<I", len(data)) + data


def session(end: bytes, opening: bytes = b"\x10\x00\x00\x00SOL ", response: str = "0" * 32) -> list[Flight]:
    """What MeshCommander and a device say to each other."""
    ask = fields("admin", "", "", "/RedirectionService", "", "", "", "")
    proof = fields("admin", "Realm", SECRET, "/RedirectionService", SECRET, "00000002", response, "auth")
    return [
        (True, opening),
        (False, STARTED),
        (True, authenticate(0, b"")),
        (False, OFFER),
        (True, authenticate(4, ask)),
        (False, CHALLENGE),
        (True, authenticate(4, proof)),
        (False, end),
        (True, b"\x28\x00\x00\x00typed"),
    ]


def redirection(wire: list[Segment]) -> Redirection | None:
    return read_redirection(assemble(wire, by_client=True), assemble(wire, by_client=False), frames_of)


@pytest.mark.parametrize(("end", "accepted"), [(ACCEPTED, True), (REFUSED, False)])
@pytest.mark.parametrize(
    ("opening", "kind"),
    [(b"\x10\x00\x00\x00SOL ", "SOL"), (b"\x10\x01\x00\x00KVMR", "KVM"), (b"\x10\x00\x00\x00IDER", "IDER")],
)
def test_a_session(end: bytes, opening: bytes, kind: str, *, accepted: bool) -> None:
    got = redirection(segments(session(end, opening)))
    assert got is not None
    assert (got.kind, got.started, got.meaning) == (kind, 0, "started")
    assert (got.offered, got.user) == (("password", "digest without qop", "digest"), "admin")
    assert (got.accepted, got.digest_short) == (accepted, False)
    assert [frame.frame for frame in got.evidence] == [1, 2]
    assert SECRET not in repr(got)


def test_a_short_digest_is_noted() -> None:
    got = redirection(segments(session(ACCEPTED, response="")))
    assert got is not None
    assert (got.digest_short, got.accepted) == (True, True)


def test_a_password_is_not_kept() -> None:
    flights = [
        *session(ACCEPTED)[:2],
        (True, authenticate(1, fields("admin", SECRET))),
        (False, b"\x14\x00\x00\x00\x01" + bytes(4)),
    ]
    got = redirection(segments(flights))
    assert got is not None
    assert (got.user, got.accepted) == ("admin", True)
    assert SECRET not in repr(got)


def test_a_device_that_is_busy() -> None:
    got = redirection(segments([(True, b"\x10\x01\x00\x00KVMR"), (False, b"\x11\x02\x00\x00")]))
    assert got is not None
    assert (got.started, got.meaning, got.accepted) == (2, "busy", None)


@pytest.mark.parametrize("end", [ACCEPTED, REFUSED])
def test_a_session_with_a_lost_segment(end: bytes) -> None:
    wire = segments(session(end), 9)
    whole = redirection(wire)
    assert whole is not None
    for at in range(len(wire)):
        got = redirection(wire[:at] + wire[at + 1 :])
        if got is not None:
            known = [value for value in got[2:] if value not in (None, ())]
            assert all(value in whole[2:] for value in known)
            assert got.accepted in (None, whole.accepted)


# -------------------------------------------------------------------------------------------------------- APF

DEVICE = UUID("4c4c4544-004b-4210-8033-b6c04f504633")


def text(value: str) -> bytes:
    return struct.pack(">I", len(value)) + value.encode()


VERSION = b"\xc0" + struct.pack(">III", 1, 0, 9) + DEVICE.bytes_le + bytes(64)
LOGIN = b"\x32" + text("admin") + text("pfwd@amt.intel.com") + text("password") + b"\x00" + text(SECRET)


def forward(port: int) -> bytes:
    return b"\x50" + text("tcpip-forward") + b"\x01" + text("") + struct.pack(">I", port)


def presence(end: bytes) -> list[Flight]:
    return [
        (True, VERSION),
        (True, b"\x05" + text("auth@amt.intel.com")),
        (False, b"\xc0" + bytes(92)),
        (False, b"\x06" + text("auth@amt.intel.com")),
        (True, LOGIN),
        (False, end),
        (True, b"\xd0" + bytes(4) + b"\x05" + text("pfwd@amt.intel.com")),
        (True, forward(16992) + forward(16993)),
    ]


def apf(wire: list[Segment]) -> Apf | None:
    return read_apf(assemble(wire, by_client=True), assemble(wire, by_client=False), frames_of)


@pytest.mark.parametrize(
    ("end", "accepted"), [(b"\x34", True), (b"\x33" + text("password") + b"\x00", False)]
)
def test_a_device_at_its_presence_server(end: bytes, *, accepted: bool) -> None:
    got = apf(segments(presence(end)))
    assert got is not None
    assert (got.version, got.uuid) == ("1.0", str(DEVICE))
    assert got.services == ("auth@amt.intel.com", "pfwd@amt.intel.com")
    assert (got.user, got.method, got.accepted, got.forwarded) == (
        "admin",
        "password",
        accepted,
        (16992, 16993),
    )
    assert SECRET not in repr(got)


def test_presence_with_a_lost_segment() -> None:
    wire = segments(presence(b"\x34"), 11)
    whole = apf(wire)
    assert whole is not None
    for at in range(len(wire)):
        got = apf(wire[:at] + wire[at + 1 :])
        if got is not None:
            assert whole.services[: len(got.services)] == got.services
            assert whole.forwarded[: len(got.forwarded)] == got.forwarded
            for one, other in zip(got, whole, strict=True):
                assert isinstance(one, tuple | int) or one in (None, other)


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_any_bytes(client: bytes, server: bytes) -> None:
    for begin, told in ((b"", b""), (b"\x10\x00\x00\x00SOL ", STARTED), (VERSION, b"")):
        wire = segments([(True, begin + client), (False, told + server)])
        shown = f"{redirection(wire)} {apf(wire)}"
        assert not re.search(r"[\x00-\x1f]", shown)
