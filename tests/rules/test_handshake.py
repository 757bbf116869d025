"""Rules about a TLS handshake that is not finished."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from helpers import (
    FILE,
    START,
    back,
    hello,
    replace,
)

from amtdiag.model import (
    ConnectionEvent,
    Evidence,
    Outcome,
    TlsConversation,
)
from amtdiag.model.tls import Missing
from amtdiag.rules.handshake import TlsEnded
from amtdiag.times import SECOND
from rules.stories import (
    found,
    looked,
    unknown,
)

HIDDEN = TlsConversation(finished=None, alert_by=None, alert=None, version=0x0304)


def shaking(alert: int | None = None, by: Literal["client", "server"] = "server") -> TlsConversation:
    """A handshake that is not finished."""
    return TlsConversation(False, None if alert is None else by, alert)


def at_length(outcome: Outcome = "established", **fields: Any) -> ConnectionEvent:
    """A conversation on the device's TLS port that lasts a second and that the device ends."""
    talk = {
        "client_bytes": 517,
        "server_bytes": 7,
        "closed_by": "server",
        "lasts": 1.0,
        "tls": shaking(48),
        **fields,
    }
    return back(1, outcome, **talk)


@pytest.mark.parametrize(
    "talk",
    [
        at_length(server_bytes=0, tls=None),
        at_length(client_bytes=0, tls=shaking()),
        at_length(dport=16992),
        at_length("refused"),
        at_length(closed_by="client", tls=HIDDEN),
    ],
    ids=[
        "device silent",
        "server silent",
        "no TLS port",
        "refused",
        "TLS 1.3",
    ],
)
def test_what_is_no_ended_handshake(talk: ConnectionEvent) -> None:
    assert looked(TlsEnded, [hello(), talk]) == []


@pytest.mark.parametrize(
    ("talk", "who"),
    [
        (at_length(lasts=6.0, tls=shaking()), "the device"),
        (at_length(closed_by="client", tls=shaking()), "the server"),
        (at_length(closed_by="nobody", tls=shaking()), "nobody"),
    ],
    ids=["too long for a handshake", "the server ends it", "nobody does"],
)
def test_of_a_handshake_that_is_left_off_nothing_is_known_but_who(talk: ConnectionEvent, who: str) -> None:
    assert unknown(TlsEnded, [hello(), talk]).why.startswith(f"{who} ended it")


def test_tls_13_hides_why_the_device_hangs_up() -> None:
    assert "TLS 1.3" in unknown(TlsEnded, [hello(), at_length(tls=HIDDEN)]).why
    done = replace(
        at_length(), ts=START + 9 * SECOND, tls=TlsConversation(finished=True, alert_by=None, alert=None)
    )
    assert looked(TlsEnded, [hello(), at_length(tls=HIDDEN), done]) == []


def test_what_is_missing_of_a_handshake_is_named() -> None:
    lost = Missing("Certificate", "client", 1260, Evidence(FILE, 31), None)
    part = TlsConversation(finished=None, alert_by=None, alert=None, version=0x0303, missing=(lost,))
    text = "the client Certificate is not in this capture (1,260 bytes missing at frame 31)"
    assert unknown(TlsEnded, [hello(), at_length(tls=part)]).why == text
    done = replace(
        at_length(), ts=START + 9 * SECOND, tls=TlsConversation(finished=True, alert_by=None, alert=None)
    )
    assert looked(TlsEnded, [hello(), at_length(tls=part), done]) == []


def test_a_handshake_that_is_finished_later_is_what_counts() -> None:
    done = at_length(tls=TlsConversation(finished=True, alert_by=None, alert=None))
    better = replace(done, ts=START + 9 * SECOND, last_ts=START + 10 * SECOND)
    finding = found(TlsEnded, [hello(), at_length(), better])
    assert (finding.overcome, finding.severity) == (True, "warning")


@pytest.mark.parametrize(
    ("alert", "by", "who", "candidates"),
    [(48, "server", "The device", 1), (40, "client", "The server", 1), (90, "server", "The device", 3)],
)
def test_who_breaks_a_handshake_off_is_said(
    alert: int, by: Literal["client", "server"], who: str, candidates: int
) -> None:
    finding = found(TlsEnded, [hello(), at_length(tls=shaking(alert, by))])
    assert finding.summary.startswith(who)
    assert f"alert {alert} (" in finding.summary
    assert len(finding.candidates) == candidates


def test_without_an_alert_the_end_is_a_guess() -> None:
    finding = found(TlsEnded, [hello(), at_length(tls=shaking())])
    assert (finding.severity, finding.basis, finding.confidence) == ("warning", "inferred", "low")


def test_an_operational_device_may_end_its_sessions() -> None:
    session = back(0.5, "established", dport=16994, client_bytes=9, server_bytes=9)
    assert looked(TlsEnded, [hello(), session, at_length()]) == []
