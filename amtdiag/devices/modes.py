"""The modes of a device as a table: what moves it from one to another, and how sure that is.

Factory: not set up. Setup: looks for its server, sends Hellos. Operational: committed, under management.
Sources: Intel's AMT guide on device modes, unconfiguring and the RMCP ping; the MOF on CommitChanges.
A finished TLS handshake alone is not yet Operational, so that no row says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from amtdiag.model import Basis, Evidence, Mode, ModeSpan, Weight

Trigger = Literal[
    "discovery",
    "hello",
    "pong-factory",
    "pong-setup",
    "pong-operational",
    "rcfg",
    "commit",
    "unprovision",
    "partial-unprovision",
    "web",
    "redirection",
    "cira",
]


class Transition(NamedTuple):
    """One row: seeing `trigger` proves, or suggests, that the device is in `to` from then on."""

    trigger: Trigger
    to: Mode
    basis: Basis
    weight: Weight
    reason: str


TRANSITIONS: tuple[Transition, ...] = (
    Transition("discovery", "setup", "inferred", "strong", "it looks for a provisioning server"),
    Transition("hello", "setup", "observed", "decisive", "it sends Hellos"),
    Transition("pong-factory", "factory", "observed", "decisive", "its RMCP pong says: not configured"),
    Transition("pong-setup", "setup", "observed", "decisive", "its RMCP pong says: in progress"),
    Transition("pong-operational", "operational", "observed", "decisive", "its RMCP pong says: configured"),
    Transition("rcfg", "setup", "inferred", "strong", "its certificate is that of remote setup (AMT RCFG)"),
    Transition("commit", "operational", "observed", "decisive", "CommitChanges succeeded"),
    Transition("unprovision", "factory", "observed", "decisive", "Unprovision succeeded"),
    Transition("partial-unprovision", "setup", "observed", "decisive", "PartialUnprovision succeeded"),
    Transition("web", "operational", "inferred", "strong", "its web server answers as AMT's (16992)"),
    Transition("redirection", "operational", "inferred", "strong", "a redirection session ran (16994/5)"),
    Transition("cira", "operational", "inferred", "strong", "it talks to a presence server (4433)"),
)  # fmt: skip

CALLS = frozenset(
    row.reason for row in TRANSITIONS if row.trigger in ("commit", "unprovision", "partial-unprovision")
)
"""Reasons that are changes of the mode, and not signs of the one that was before."""

_BY_TRIGGER = {row.trigger: row for row in TRANSITIONS}

UNKNOWN = ModeSpan("unknown", "none", "none", None, "nothing in this capture shows the mode", ())


class Sign(NamedTuple):
    """A trigger, when it was seen and where."""

    ts: int
    trigger: Trigger
    evidence: tuple[Evidence, ...]


def history(signs: Iterable[Sign]) -> tuple[ModeSpan, ...]:
    """Return the modes that a device went through, one span for each change, oldest first.

    A stronger sign of the same mode replaces the basis of its span: the Hello that proves what the lookup
    before it suggested. Signs that contradict each other stay visible as spans that follow each other.
    """
    spans: list[ModeSpan] = []
    for sign in sorted(signs, key=lambda one: one.ts):
        row = _BY_TRIGGER[sign.trigger]
        span = ModeSpan(row.to, row.basis, row.weight, sign.ts, row.reason, sign.evidence)
        if not spans or spans[-1].name != row.to:
            spans.append(span)
        elif row.weight == "decisive" and spans[-1].weight != "decisive":
            first = spans[-1].since
            spans[-1] = ModeSpan(row.to, row.basis, row.weight, first, row.reason, sign.evidence)
    return tuple(spans) or (UNKNOWN,)
