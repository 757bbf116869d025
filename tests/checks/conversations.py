"""Examples for the rules about what is spoken once the server has reached the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from helpers import FILE, START, AnyEvent, back, hello

from amtdiag.checks import calls, management
from amtdiag.checks.base import Check
from amtdiag.config import Options
from amtdiag.model import ConnectionEvent, Evidence, Exchange, TlsTalk, WebCall, WebResult, WebServer, WebTalk
from amtdiag.times import SECOND


@dataclass(frozen=True)
class Example:
    """What a device did that is a fault, and what is none though it looks much like it."""

    rule: type[Check]
    fault: Sequence[AnyEvent]
    near_miss: Sequence[AnyEvent]
    options: Options = Options()  # noqa: RUF009
    until: float = 600


def exchange(after: float, method: str | None = None, status: int | None = 200, **fields: Any) -> Exchange:
    """A request with credentials of `admin`, and its answer; with a method, a call that returns 0."""
    ts = START + round(after * SECOND)
    call = result = None
    if method is not None:
        call = WebCall("wsman", "AMT_SetupAndConfigurationService", method, None, None, (), None)
        if status == 200:
            result = WebResult(fields.pop("value", 0), None, None, fields.pop("fault", None), None, None)
    told = {
        "ts": ts, "answered": None if status is None else ts, "evidence": (Evidence(FILE, 70),),
        "method": "POST", "path": "/wsman", "auth": "Digest", "user": "admin", "digest_short": False, "status": status,
        "server_version": None, "content_type": None, "offered": (), "realm": None,
        "denial": "refused" if status == 401 else None, "call": call, "result": result, "missing": (),
        "problems": (),
    }  # fmt: skip
    return Exchange(**{**told, **fields})


def web(after: float, *exchanges: Exchange, **fields: Any) -> ConnectionEvent:
    """A conversation with the device's web server."""
    talk = WebTalk(WebServer("11.8.50", 200), exchanges, (), 0)
    told = {"dport": 16992, "client_bytes": 900, "server_bytes": 900, "talk": talk, "lasts": 1.0, **fields}
    return back(after, "established", **told)


def tls(after: float, talk: TlsTalk | None, **fields: Any) -> ConnectionEvent:
    """A conversation on the device's TLS port."""
    told = {"client_bytes": 517, "server_bytes": 900, "closed_by": "server", "lasts": 1.0, **fields}
    return back(after, "established", tls=talk, **told)


FINISHED = TlsTalk(finished=True, alert_by=None, alert=None)
COMMIT = exchange(1, "CommitChanges")
PROBE: dict[str, Any] = {"digest_short": True, "denial": None}

EXAMPLES = [
    Example(
        calls.PasswordWrong,
        [hello(), web(1, exchange(1, status=401))],
        [hello(), web(1, exchange(1, status=401, denial="challenge", auth=None, user=None))],
    ),
    Example(
        calls.CallFails,
        [hello(), web(1, exchange(1, "SetMEBxPassword", value=2054))],
        [hello(), web(1, exchange(1, "Get", value=None, fault="Sender"))],
    ),
    Example(
        calls.EndsAfterPassword,
        [hello(), web(1, exchange(2, "SetMEBxPassword", status=None), closed_by="server")],
        [hello(), web(1, exchange(2, "SetMEBxPassword"), closed_by="server")],
    ),
    Example(
        calls.BrokenAfterCommit,
        [hello(), web(1, COMMIT), tls(9, TlsTalk(False, "server", 80))],
        [hello(), web(1, COMMIT), tls(9, TlsTalk(False, "server", 80)), tls(20, FINISHED)],
    ),
    Example(
        management.EmptyDigest,
        [hello(), web(1, exchange(1, **PROBE))],
        [hello(), web(1, exchange(1))],
    ),
    Example(
        management.UnprovisionedInClear,
        [hello(), web(1, exchange(1, "Unprovision"))],
        [hello(), web(1, exchange(1, "Unprovision", value=1))],
    ),
    Example(
        management.PlainManagement,
        [hello(), web(1)],
        [hello(), web(1, server_bytes=0)],
    ),
    Example(
        management.FallsBackToPlain,
        [hello(), tls(1, TlsTalk(False, "client", 70)), web(3)],
        [hello(), tls(1, FINISHED), web(3)],
    ),
]
"""One for each rule of these modules."""
