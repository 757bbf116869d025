"""Inside the connection back: the TLS handshake, as far as its outcome is seen."""

from __future__ import annotations

from collections.abc import Iterator

from amtdiag.checks.base import Check, address_filter, frames, proof
from amtdiag.checks.callback import TLS_PORTS, calls_back
from amtdiag.model import Candidate, ConnectionEvent, Finding, Unknown
from amtdiag.protocols.tls.numbers import ALERTS, is_13
from amtdiag.provisioning.case import Case
from amtdiag.times import SECOND, span

_HANDSHAKE = 5 * SECOND
"""A handshake takes less; what lasts longer was something else."""
_PARTS = 3
"""Missing parts that are named."""


class TlsEnded(Check):
    """The connection back is made, and the TLS handshake does not come to its end."""

    id = "tls-ended"
    title = "The TLS handshake with the device breaks off"
    label = "TLS breaks off"
    severity = "error"
    remedy = (
        "Look into the handshake: who sends which alert, and which certificates were shown. "
        "Then check the provisioning certificate against the device's digest list (--root-of)."
    )
    source = (
        "RFC 5246 and 8446, alerts; recording of a real provisioning server, which says 408 for each of these"
    )

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """A handshake on a TLS port that an alert or the device ended before it was finished."""
        reached, _ = calls_back(case)
        talks = [link for link in reached if link.server_bytes and link.ends.dport in TLS_PORTS]
        broken = [link for link in talks if _breaks_off(link)]
        hidden = [link for link in talks if _is_hidden(link)]
        if hidden and not broken and hidden[-1] is talks[-1]:
            yield Unknown(
                "whether the TLS handshake with the device was finished",
                f"TLS 1.3 encrypts certificates and alerts; the device ended it ({frames(proof(hidden))})",
                case.id,
                "the server's log at that time, or its TLS key log",
            )
        unseen = [link for link in talks if _is_unseen(link)]
        if unseen and not broken and unseen[-1] is talks[-1]:
            assert unseen[-1].tls is not None
            yield Unknown(
                "whether the TLS handshake with the device was finished",
                "; ".join(part.text for part in unseen[-1].tls.missing[:_PARTS]),
                case.id,
                "a capture without losses",
            )
        if not broken or case.device.mode.name == "operational":
            return
        last = broken[-1]
        alerted = next((link for link in reversed(broken) if link.tls and link.tls.alert is not None), None)
        overcome = any(link.ts > last.ts and link.tls and link.tls.finished for link in talks)
        yield self.finding(
            case,
            _refusal(alerted) if alerted is not None else _hang_up(last),
            proof(broken),
            f"tls && tcp.port=={last.ends.dport} && {address_filter(last.ends.dst)}",
            times=[link.ts for link in broken],
            count=len(broken),
            overcome=overcome,
            severity=None if alerted is not None else "warning",
            basis=None if alerted is not None else "inferred",
            confidence=None if alerted is not None else "low",
            candidates=_why_broken(alerted.tls.alert if alerted is not None and alerted.tls else None),
        )


def _is_hidden(link: ConnectionEvent) -> bool:
    """True where TLS 1.3 hides what the device thought of the handshake before it hung up."""
    tls = link.tls
    if tls is None or tls.finished is not None or tls.alert is not None or not is_13(tls.version or 0):
        return False
    return link.closed_by == "server" and link.last_ts - link.ts <= _HANDSHAKE


def _is_unseen(link: ConnectionEvent) -> bool:
    """True where bytes are missing that would tell how a handshake ended."""
    tls = link.tls
    return tls is not None and tls.finished is None and tls.alert is None and bool(tls.missing)


def _breaks_off(link: ConnectionEvent) -> bool:
    """True where a handshake was ended by an alert in the clear, or by the device before its end."""
    if link.tls is not None and link.tls.alert is not None:
        return True
    if link.tls is not None and link.tls.finished is not False:
        return False
    quick = link.last_ts - link.ts <= _HANDSHAKE
    return link.closed_by == "server" and bool(link.client_bytes) and quick


def _refusal(link: ConnectionEvent) -> str:
    assert link.tls is not None
    ends, alert = link.ends, link.tls.alert
    who = f"The device, {ends.dst}," if link.tls.alert_by == "server" else f"The server, {ends.src},"
    name = ALERTS.get(alert or 0, "unknown")
    return f"{who} ends the handshake with alert {alert} ({name}; {frames(link.evidence)})."


def _hang_up(link: ConnectionEvent) -> str:
    return (
        f"The connection back was made ({frames(link.evidence)}), and the device ended it after "
        f"{span(link.last_ts - link.ts)}, in the middle of the handshake: it sent {link.server_bytes:,} "
        f"bytes, the server {link.client_bytes:,}."
    )


_CERTIFICATE_ALERTS = frozenset({42, 43, 44, 45, 46, 48})
_VERSION_ALERTS = frozenset({40, 47, 70, 71})
_KEY_ALERTS = frozenset({20, 51, 115})


def _why_broken(alert: int | None) -> tuple[Candidate, ...]:
    """What may be behind an alert; which firmware sends which for what is not documented."""
    certificate = Candidate(
        "the certificate of the other side is not accepted: its root is not in the device's list, its usage "
        "or name does not fit, or it has expired",
        "the certificates in the handshake; --root-of YOUR-CHAIN.pem",
    )
    version = Candidate("no common TLS version or cipher", "the versions and suites that both sides offer")
    key = Candidate("with PSK: the keys differ", "enter PID and PPS again on both sides")
    ways = {
        alert in _CERTIFICATE_ALERTS: certificate,
        alert in _VERSION_ALERTS: version,
        alert in _KEY_ALERTS: key,
    }
    return (ways[True],) if True in ways else (certificate, version, key)
