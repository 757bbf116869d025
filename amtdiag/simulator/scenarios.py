"""What a simulated device can do: each row is one way to behave, and what a capture of it must show.

The server is taken to be right: its chain fits the device's rules, it knows the key, it connects back. What
a flawed server brings about comes from the rules, whatever the scenario is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["pki", "psk"]
Door = Literal["open", "closed", "silent", "mute", "hangs-up"]
"""What the management port does. open: it talks. closed: it is refused (RST). silent: nothing answers.
mute: the connection is taken, and nothing said. hangs-up: it is taken, and closed at the first bytes."""

HANG_UP = -1
FAULT = -2
"""In place of a return value: the connection is closed, or a fault comes."""
DATA_MISSING = 2057
"""PT_STATUS_DATA_MISSING; Open AMT go-wsman-messages."""


class Expected(NamedTuple):
    """What `amtdiag live` or `amtdiag analyze` must say of a capture of it."""

    findings: frozenset[str] = frozenset()
    """Rules that report an error or a warning about the device; no other rule may."""
    stage: str = "tls"
    """The last stage that was tried."""
    mode: str | None = "setup"
    """None: nothing in the capture need say."""


class Behaviour(NamedTuple):
    """How a device behaves. What is not said is as it should be."""

    does: str
    expected: Expected
    kind: Kind | None = None
    """The only kind of setup in which it can be played."""
    door: Door = "open"
    knows_roots: bool = True
    """False: the list holds roots that no CA sells under any more, and none of the caller's."""
    other_suffix: bool = False
    """The PKI DNS suffix in MEBx is another than the domain."""
    versions: tuple[str, str] | None = None
    """The oldest and the newest TLS version, in place of the firmware's."""
    other_pps: bool = False
    refuses_password: bool = False
    answers: Mapping[str, int] = {}
    """By method: the return value, HANG_UP or FAULT."""
    breaks_after_commit: bool = False
    flag: int = 1
    """The Hello's word on the administrator's password: 0 was never set."""
    hello_parts: tuple[float, ...] = (1.0,)
    """The shares of a Hello that come in a segment each; what is left is never sent."""
    counts_up: bool = True
    """False: the device starts over before each Hello, so its retry count stays at 0."""
    needs_plain: bool = False
    """A capture shows it only where management is not encrypted (--plain)."""


def _finds(*rules: str, stage: str = "tls", mode: str | None = "setup") -> Expected:
    return Expected(frozenset(rules), stage, mode)


SCENARIOS: dict[str, Behaviour] = {
    "success": Behaviour("lets a server that does all right provision it", _finds()),
    "refused": Behaviour(
        "refuses the connection back: its setup window has closed (RST)",
        _finds("connect-back-refused", stage="connect_back"),
        door="closed",
    ),
    "silent": Behaviour(
        "does not answer the connection back at all, as behind a firewall that drops",
        _finds("connect-back-unanswered", stage="connect_back"),
        door="silent",
    ),
    "mute": Behaviour(
        "takes the connection back and never says a word", _finds(stage="connect_back"), door="mute"
    ),
    "hangs-up": Behaviour(
        "takes the connection back and closes it at the first bytes",
        _finds("tls-ended", stage="connect_back"),
        door="hangs-up",
    ),
    "unknown-root": Behaviour(
        "lists only roots that no CA sells under any more: the server's is unknown (alert 48)",
        _finds("chain-root-not-listed"),
        kind="pki",
        knows_roots=False,
    ),
    "other-suffix": Behaviour(
        "has another PKI DNS suffix in MEBx, so it refuses a chain that looks right (alert 42)",
        _finds("refused-for-no-visible-reason"),
        kind="pki",
        other_suffix=True,
    ),
    "old-tls": Behaviour(
        "speaks TLS 1.0 only", _finds("tls-version"), kind="pki", versions=("TLSv1", "TLSv1")
    ),
    "other-pps": Behaviour(
        "has another PPS under its PID than the server (alert 20)",
        _finds("psk-differs"),
        kind="psk",
        other_pps=True,
    ),
    "wrong-password": Behaviour(
        "accepts no password: 401 to each",
        _finds("password-wrong", stage="authentication"),
        refuses_password=True,
        needs_plain=True,
    ),
    "call-fails": Behaviour(
        "answers AddCertificate with a fault",
        _finds("call-fails", stage="authentication"),
        answers={"AddCertificate": FAULT},
        needs_plain=True,
    ),
    "commit-fails": Behaviour(
        "answers CommitChanges with 2057, essential data missing",
        _finds("call-fails", stage="commit"),
        answers={"CommitChanges": DATA_MISSING},
        needs_plain=True,
    ),
    "ends-at-password": Behaviour(
        "closes the connection at the call that sets its password, as AMT 20 and 21 do",
        _finds("ends-after-password", stage="authentication"),
        answers={"SetMEBxPassword": HANG_UP},
        needs_plain=True,
    ),
    "broken-after-commit": Behaviour(
        "ends every TLS handshake once CommitChanges is done (alert 80)",
        _finds("broken-after-commit", stage="operational", mode="operational"),
        kind="pki",
        breaks_after_commit=True,
        needs_plain=True,
    ),
    "no-admin-password": Behaviour(
        "says in its Hello that the administrator's password was never set",
        _finds("admin-credentials-unset"),
        flag=0,
    ),
    "split-hello": Behaviour("sends its Hello in two segments", _finds(), hello_parts=(0.4, 0.6)),
    "cut-hello": Behaviour(
        "closes in the middle of its Hello", _finds("hello-damaged"), kind="pki", hello_parts=(0.4,)
    ),
    "starts-over": Behaviour(
        "restarts before each Hello: the retry count stays at 0", _finds("starts-over"), counts_up=False
    ),
}
"""Sources: domain rows F11, F14, F18-F19, F22, F30, F32, F37, F47, F53, F54, F57 of the failure catalogue
(docs/rules.md). Which alert which firmware sends for which fault of a chain is not documented."""
