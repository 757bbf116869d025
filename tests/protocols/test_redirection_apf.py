"""Redirection sessions and conversations with a presence server, byte by byte."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webtalks import (
    ACCEPTED,
    DEVICE,
    REFUSED,
    SECRET,
    STARTED,
    VERSION,
    Segment,
    assemble,
    authenticate,
    fields,
    frames_of,
    presence,
    segments,
    session,
    text,
)

from amtdiag.model.web import Apf, Redirection
from amtdiag.protocols.apf import read_apf
from amtdiag.protocols.redirection import read_redirection


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
