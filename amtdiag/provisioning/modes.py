"""The modes of a device as a table: what moves it from one to another, and how sure that is.

Factory: not set up. Setup: sends Hellos, waits for its server. Operational: committed, under management.
Sources: Intel's AMT guide on device modes; domain notes on telling the mode from a capture. A finished TLS
handshake alone is not yet Operational, so that no row says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from amtdiag.model import Basis, Evidence, Mode, ModeSpan

Trigger = Literal["hello", "redirection", "cira"]


class Transition(NamedTuple):
    """One row: seeing `trigger` proves, or suggests, that the device is in `to` from then on."""

    trigger: Trigger
    to: Mode
    basis: Basis
    reason: str


TRANSITIONS: tuple[Transition, ...] = (
    Transition("hello", "setup", "observed", "it sends Hellos, which only a device in Setup Mode does"),
    Transition("redirection", "operational", "inferred", "a redirection session (16994/16995) took place"),
    Transition("cira", "operational", "inferred", "it talks to a management presence server (4433)"),
)  # fmt: skip

_BY_TRIGGER = {row.trigger: row for row in TRANSITIONS}

UNKNOWN = ModeSpan("unknown", "none", None, "nothing in this capture shows the mode", ())


@dataclass(frozen=True, slots=True)
class Sign:
    """A trigger, when it was seen and where."""

    ts: int
    trigger: Trigger
    evidence: tuple[Evidence, ...]


def history(signs: Iterable[Sign]) -> tuple[ModeSpan, ...]:
    """Return the modes that a device went through, one span for each change, oldest first."""
    spans: list[ModeSpan] = []
    for sign in sorted(signs, key=lambda one: one.ts):
        row = _BY_TRIGGER[sign.trigger]
        if not spans or spans[-1].name != row.to:
            spans.append(ModeSpan(row.to, row.basis, sign.ts, row.reason, sign.evidence))
    return tuple(spans) or (UNKNOWN,)
