"""TLS handshakes with a device that were broken off: who ended them, and what the messages say of why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import (
    Candidate,
    ConnectionEvent,
    Evidence,
    Finding,
    HiddenAlert,
    TlsAlert,
    TlsConversation,
    TlsSide,
    Unknown,
)
from amtdiag.protocols.tls.constants import ALERTS, is_13
from amtdiag.rules.base import DeviceRule, address_filter, frames, proof
from amtdiag.rules.connect_back import PATIENCE, TLS_PORTS, calls_back
from amtdiag.times import SECOND

HANDSHAKE = 5 * SECOND
"""A handshake takes less; what lasts longer was something else."""
_FINISHED = 40
"""Bytes with which a side finishes, at least: ChangeCipherSpec and Finished with a MAC. An alert takes 7."""
OK = 200
BAD_RECORD_MAC, UNSUPPORTED = 20, 43
VERSION = 70
NO_SUITE = frozenset({40, 71})
CERTIFICATE = frozenset({42, 43, 44, 45, 46, 48})
KEY = frozenset({20, 51})
ILLEGAL = 47
"""What OpenSSL says where the proof of a key in TLS 1.3's first message does not hold (RFC 8446: 51)."""
UNKNOWN_IDENTITY = 115
"""Alerts by what they say (RFC 5246, 7.2; RFC 4279)."""

Why = Literal[
    "version", "renegotiation", "psk-not-offered", "psk-identity", "psk-key", "device-certificate",
    "no-certificate", "chain", "chain-unseen", "other",
]  # fmt: skip
"""What the handshake's messages say of why it ended. chain: the device ended it after it had seen the
server's certificates; chain-unseen: and these are not in the capture."""


class Broken(NamedTuple):
    """Handshakes with a device that were broken off."""

    links: tuple[ConnectionEvent, ...]
    shown: ConnectionEvent
    """The last of them of which the cause is told."""
    by: TlsSide
    """Who ended it: the device is the TLS server."""
    alert: int | None
    """In the clear; None where it was encrypted, or where there was none."""
    why: Why
    overcome: bool
    """A later handshake was finished, or the device's web server let the server in."""
    pid: str | None
    """The one that the device's last Hello names."""

    @property
    def handshake(self) -> TlsConversation:
        """The handshake that is shown."""
        return self.shown.tls or TlsConversation(None, None, None)

    @property
    def refusal(self) -> str:
        """Who ended it, how and where."""
        ends = self.shown.ends
        who = f"The device, {ends.dst}," if self.by == "server" else f"The server, {ends.src},"
        where = frames(self.evidence[-2:])
        if self.alert is not None:
            name = ALERTS.get(self.alert, "unknown")
            return f"{who} ends the handshake with alert {self.alert} ({name}; {where})"
        hidden = any(alert.sender == self.by for alert in self.handshake.hidden_alerts)
        how = "with an encrypted alert" if hidden else "without an alert"
        return f"{who} ends the handshake {how} ({where})"

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The frames of what ended it, else those of the connection."""
        alerts: list[TlsAlert | HiddenAlert] = [*self.handshake.alerts, *self.handshake.hidden_alerts]
        found = tuple(frame for alert in alerts if alert.sender == self.by for frame in alert.evidence)
        return found or self.shown.evidence

    @property
    def display_filter(self) -> str:
        """A display filter for the handshakes."""
        return f"tls && tcp.port=={self.shown.ends.dport} && {address_filter(self.shown.ends.dst)}"


def broken_off(device: DeviceEvidence) -> Broken | None:
    """Return what the handshakes with a device show, where one was broken off and it is not operational."""
    if not any([_breaks_off(link) for link in device.returns]):
        return None
    reached, _ = calls_back(device)
    broken = tuple(link for link in reached if link.ends.dport in TLS_PORTS and _breaks_off(link))
    if not broken or device.device.mode.name == "operational":
        return None
    causes = [(link, *_cause(device, link)) for link in broken]
    shown, by, alert, why = next((cause for cause in reversed(causes) if cause[3] != "other"), causes[-1])
    overcome = any(_gets_through(link) for link in reached if link.ts > broken[-1].ts)
    hello = device.last_hello
    return Broken(broken, shown, by, alert, why, overcome, hello.hello.pid if hello is not None else None)


def _gets_through(link: ConnectionEvent) -> bool:
    """True where a handshake is finished, or the device's web server lets the server in without one."""
    asked = link.talk.exchanges if link.talk is not None else ()
    let_in = any(
        exchange.status == OK and (exchange.auth or "request" in exchange.missing) for exchange in asked
    )
    return let_in or bool(link.tls and link.tls.finished)


def _breaks_off(link: ConnectionEvent) -> bool:
    """True where a handshake was ended by an alert in the clear, or by the device before its end."""
    tls = link.tls
    if tls is not None and tls.alert is not None:
        return True
    if tls is not None and tls.finished is not False:
        return _is_refused_unseen(link)
    if tls is None and not link.server_bytes:
        return False
    return link.closed_by == "server" and bool(link.client_bytes) and _is_quick(link)


def left_off(device: DeviceEvidence) -> ConnectionEvent | None:
    """Return the last handshake with a device where it stops in the middle, and nothing tells why.

    The server ends it without a word, the device does so late, or neither ends it.
    """
    reached, _ = calls_back(device)
    handshakes = [link for link in reached if link.ends.dport in TLS_PORTS and link.client_bytes]
    last = handshakes[-1] if handshakes else None
    if last is None or last.tls is None or last.tls.finished is not False or last.ts < reached[-1].ts:
        return None
    waited = device.covered_until - last.last_ts >= PATIENCE
    return last if last.closed_by != "nobody" or waited else None


def _is_quick(link: ConnectionEvent) -> bool:
    return link.last_ts - link.ts <= HANDSHAKE


def _is_refused_unseen(link: ConnectionEvent) -> bool:
    """True where the device ended it though no alert is seen.

    It said something encrypted before it would have finished, or it went right after the certificates, and
    what it may have said there is not in the capture.
    """
    tls = link.tls
    if tls is None or tls.finished or is_13(tls.version or 0):
        return False
    lost_here = sum(part.bytes for part in tls.missing if part.side == "server")
    shown = tls.client_chain is not None
    if shown and link.closed_by == "server" and _is_quick(link) and 0 < lost_here < _FINISHED:
        return True
    return any(
        alert.sender == "server" and alert.certain and alert.after_data is False
        for alert in tls.hidden_alerts
    )


def _cause(device: DeviceEvidence, link: ConnectionEvent) -> tuple[TlsSide, int | None, Why]:
    """Who ended a handshake, with which alert, and what that says."""
    tls = link.tls
    if tls is None:
        return "server", None, "other"
    by: TlsSide = tls.alert_by or ("client" if link.closed_by == "client" else "server")
    alert = tls.alert
    return by, alert, _why_client(tls, alert) if by == "client" else _why_device(device, tls, alert)


def _why_client(tls: TlsConversation, alert: int | None) -> Why:
    """Why the server, which is the TLS client, ends a handshake."""
    last = tls.last("client")
    only_hello = last is not None and last.name == "ClientHello"
    if alert == VERSION:
        return "version"
    if tls.psk_identity is not None and alert in KEY:
        return "psk-key"
    if alert in CERTIFICATE:
        return "device-certificate"
    if only_hello and tls.renegotiation_info is False and tls.version is not None:
        return "renegotiation"
    return "other"


def _why_device(device: DeviceEvidence, tls: TlsConversation, alert: int | None) -> Why:
    """Why the device, which is the TLS server, ends a handshake."""
    if alert == VERSION:
        return "version"
    hello = device.last_hello
    if tls.psk_identity is not None:
        return _why_key(tls, alert, hello.hello.pid if hello is not None else None)
    wants_psk = hello is not None and hello.hello.type == "psk"
    chose = tls.suite is not None or tls.last("server") is not None
    if (
        wants_psk
        and tls.suites
        and not _offers_psk(tls)
        and not chose
        and (alert is None or alert in NO_SUITE)
    ):
        return "psk-not-offered"
    if tls.client_chain is not None and alert != BAD_RECORD_MAC:
        if tls.client_chain.der or not tls.client_chain.complete:
            return "chain"
        return "no-certificate"
    lost = any(part.side == "client" for part in tls.missing)
    return "chain-unseen" if lost and (alert is None or alert in CERTIFICATE) else "other"


def _why_key(tls: TlsConversation, alert: int | None, pid: str | None) -> Why:
    """Why the device ends a handshake with a pre-shared key, where its Hello named `pid`."""
    another = pid is not None and pid.replace("-", "") != (tls.psk_identity or "").replace("-", "")
    refused = alert is None or alert in KEY or (alert == ILLEGAL and tls.suite is None)
    if alert == UNKNOWN_IDENTITY or (another and (refused or alert in NO_SUITE)):
        return "psk-identity"
    return "psk-key" if refused else "other"


def _offers_psk(tls: TlsConversation) -> bool:
    from amtdiag.protocols.tls.suites import family

    return any(family(suite) in ("psk", "rsa-psk") for suite in tls.suites)


class HandshakeCheck(DeviceRule):
    """A rule about a handshake that was broken off for one reason."""

    subject = staticmethod(broken_off)
    why: Why

    def sentence(self, broken: Broken) -> str:
        """Say what the messages show, and who ended it."""
        raise NotImplementedError

    def candidates(self, _broken: Broken) -> tuple[Candidate, ...]:
        """What else may be behind it."""
        return ()

    def advice(self, _broken: Broken) -> str | None:
        """What to do, where that depends on the handshake."""
        return None

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A handshake on a TLS port that ended before it was finished, for the reason that the rule names."""
        return self.examine(device, broken_off(device))

    def examine(self, device: DeviceEvidence, broken: Broken | None) -> Iterator[Finding | Unknown]:
        """Look at what the handshakes show."""
        if broken is not None and broken.why == self.why:
            yield self.finding(
                device,
                self.sentence(broken),
                [*broken.evidence, *proof(broken.links)],
                broken.display_filter,
                times=[link.ts for link in broken.links],
                count=len(broken.links),
                overcome=broken.overcome,
                candidates=self.candidates(broken),
                remedy=self.advice(broken),
            )


def lost(tls: TlsConversation, side: TlsSide | None = None) -> str:
    """Say what of the handshake, or of one side's part of it, is not in the capture."""
    return "; ".join(part.text for part in tls.missing if side in (None, part.side))
