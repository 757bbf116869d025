"""Rules about a TLS handshake that is not finished: versions, renegotiation, trust in the device."""

from __future__ import annotations

from collections.abc import Iterator

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import Candidate, ConnectionEvent, Finding, Unknown
from amtdiag.protocols.tls.constants import is_13, version_name
from amtdiag.rules.base import DeviceRule, frames, proof, rule, where
from amtdiag.rules.chain import STAND_IN, shown_count, suspects
from amtdiag.rules.connect_back import TLS_PORTS, calls_back
from amtdiag.rules.handshake_failures import (
    CERTIFICATE,
    HANDSHAKE,
    ILLEGAL,
    KEY,
    NO_SUITE,
    UNKNOWN_IDENTITY,
    UNSUPPORTED,
    VERSION,
    Broken,
    HandshakeCheck,
    broken_off,
    left_off,
    lost,
)
from amtdiag.times import span


@rule
class TlsVersion(HandshakeCheck):
    """Device and server know no version of TLS in common."""

    id = "tls-version"
    precedence = 370
    title = "Device and server have no TLS version in common"
    label = "TLS version"
    catalogue = "F47"
    row = "the versions of TLS do not meet, or renegotiation is not secure"
    why = "version"
    remedy = (
        "Allow the older version on the server for this device (with OpenSSL: a lower minimum version and "
        "@SECLEVEL=0), or update the device's firmware: TLS 1.2 came with AMT 12."
    )
    source = (
        "RFC 5246, alert 70; Intel's AMT guide on TLS by release; MeshCentral issues 6565 and 5512, "
        "MeshCommander issues 120 and 126"
    )
    example = (
        ("hello", 0),
        ("tls", 1, {"alert": 70, "by": "client", "version": 0x0301, "client_version": 0x0303}),
    )
    near_miss = (("hello", 0), ("tls", 1, {"alert": 40, "by": "client"}))

    def sentence(self, broken: Broken) -> str:
        """Name the versions of both."""
        tls = broken.handshake
        offered = max((*tls.client_versions, tls.client_version or 0), default=0)
        wants = f"The server offers {version_name(offered)}. " if offered else ""
        chosen = f"The device chooses {version_name(tls.version)}. " if tls.version else ""
        return f"{wants}{chosen}{broken.refusal}."

    def advice(self, broken: Broken) -> str | None:
        """Where the device refuses, it is the server's offer that does not suit it."""
        if broken.by == "client":
            return None
        return (
            "Let the server offer a version that the device's firmware knows: TLS 1.0 and 1.1 up to AMT 11, "
            "TLS 1.2 from AMT 12 on, and nothing older from AMT 16 on."
        )


@rule
class TlsRenegotiation(HandshakeCheck):
    """The device does not say that it renegotiates safely, and the server's library insists on it."""

    id = "tls-renegotiation"
    precedence = 380
    title = "The server insists on secure renegotiation"
    label = "TLS renegotiation"
    catalogue = "F47"
    basis = "inferred"
    confidence = "medium"
    why = "renegotiation"
    remedy = (
        "Allow legacy renegotiation on the server for this device (OpenSSL 3: Options = "
        "UnsafeLegacyServerConnect), or update the device's firmware."
    )
    source = "RFC 5746; MeshCommander issues 120 and 126: OpenSSL 3 stops with unsafe legacy renegotiation"
    example = (("hello", 0), ("tls", 1, {"alert": 40, "by": "client", "renegotiation_info": False}))
    near_miss = (("hello", 0), ("tls", 1, {"alert": 40, "by": "client", "renegotiation_info": True}))

    def sentence(self, broken: Broken) -> str:
        """Say what is lacking."""
        return f"The device's ServerHello lacks renegotiation_info. {broken.refusal}, right after it."


@rule
class DeviceNotTrusted(HandshakeCheck):
    """The server does not accept the certificate that the device shows."""

    id = "device-not-trusted"
    precedence = 390
    title = "The server does not trust the device's certificate"
    label = "device not trusted"
    catalogue = "F56"
    row = "the server does not trust the device's On-Die certificate"
    why = "device-certificate"
    remedy = (
        "A device that is not yet provisioned shows a certificate that proves nothing, or from AMT 15 on one "
        "of Intel's On-Die CA: let the server accept the former, or trust Intel's On-Die root, or pin it."
    )
    source = "RFC 5246, alerts; Intel's AMT guide on remote configuration; rpc-go issues 1163 and 1083"
    example = (("hello", 0), ("tls", 1, {"alert": 42, "by": "client"}))
    near_miss = (("hello", 0), ("tls", 1, {"chain": "good", "alert": 42}))

    def sentence(self, broken: Broken) -> str:
        """Say whose certificate, and how it is refused."""
        chain = broken.handshake.server_chain
        count = len(chain.der) if chain else 0
        many = f"{count} certificate{'' if count == 1 else 's'}"
        shown = f" It showed {many} ({frames(chain.evidence)})." if chain else ""
        return f"{broken.refusal}, having seen the device's certificate.{shown}"


@rule
class NoClientCertificate(HandshakeCheck):
    """The device asks for the server's certificate, and the server shows none."""

    id = "no-client-certificate"
    precedence = 360
    title = "The server shows the device no certificate"
    label = "no certificate"
    catalogue = "F18"
    why = "no-certificate"
    remedy = (
        "The server found no provisioning certificate that fits the device's list: load one whose root the "
        "device lists (`amtdiag roots`), with its private key."
    )
    source = "RFC 5246, 7.4.6: an empty Certificate message; MeshCentral's message, issues 4901 and 3855"
    example = (("hello", 0), ("tls", 1, {"chain": "none", "alert": 40}))
    near_miss = (("hello", 0), ("tls", 1, {"chain": "good", "alert": 40}))

    def sentence(self, broken: Broken) -> str:
        """Point at the empty message."""
        chain = broken.handshake.client_chain
        where = f" ({frames(chain.evidence)})" if chain else ""
        return (
            f"The device asks for a certificate and the server sends an empty list{where}. {broken.refusal}."
        )


def _answered_calls(device: DeviceEvidence) -> list[ConnectionEvent]:
    """Connections back in which there is something of TLS, or of the device."""
    return [link for link in device.returns if link.server_bytes or link.tls is not None]


@rule
class TlsEnded(DeviceRule):
    """The connection back is made, and the TLS handshake does not come to its end."""

    subject = staticmethod(_answered_calls)
    id = "tls-ended"
    precedence = 400
    title = "The TLS handshake with the device breaks off"
    label = "TLS breaks off"
    severity = "error"
    remedy = (
        "Look into the handshake: who sends which alert, and which certificates were shown. "
        "Then hold the server's chain against this device (--cert)."
    )
    source = (
        "RFC 5246 and 8446, alerts; recording of a real provisioning server, which says 408 for each of these"
    )
    example = (("hello", 0), ("tls", 1, {"alert": 48}))
    near_miss = (("hello", 0), ("tls", 1, {"finished": True}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A handshake on a TLS port that ended before it was finished, where no other rule tells why."""
        yield from _hidden(device)
        broken = broken_off(device)
        if broken is None or not _is_untold(device, broken):
            return
        alerted = broken.alert is not None
        yield from _unseen_chain(device, broken)
        yield self.finding(
            device,
            f"{broken.refusal}.{_seen_chain(broken)}" if alerted else _hang_up(broken),
            [*broken.evidence, *proof(broken.links)],
            broken.display_filter,
            times=[link.ts for link in broken.links],
            count=len(broken.links),
            overcome=broken.overcome,
            severity=None if alerted else "warning",
            basis=None if alerted else "inferred",
            confidence=None if alerted else "low",
            candidates=_why_broken(broken) if alerted else _why_left(broken),
        )


def _is_untold(device: DeviceEvidence, broken: Broken) -> bool:
    """True where no other rule tells why the handshake ended."""
    if broken.why != "chain":
        return broken.why in ("other", "chain-unseen")
    found = suspects(device)
    return found is not None and found.is_open


def _seen_chain(broken: Broken) -> str:
    if broken.why != "chain":
        return ""
    return f" It had seen {shown_count(broken)}: as far as can be tried here, nothing is wrong with them."


def _unseen_chain(device: DeviceEvidence, broken: Broken) -> Iterator[Unknown]:
    """What of the server's chain, or of the device that refuses it, is not in the capture."""
    what = "why the device refuses the server's certificates"
    tls = broken.handshake
    if broken.why == "chain-unseen" or (tls.client_chain is not None and not tls.client_chain.complete):
        yield Unknown(
            what,
            f"{lost(tls, 'client')} ({frames(broken.evidence)})",
            device.id,
            "a capture with all packets in full length, or --cert with the server's chain",
        )
        return
    found = suspects(device)
    if found is not None and found.unseen:
        yield Unknown(
            what,
            "; ".join(f"{result.got}: {result.why}" if result.why else result.got for result in found.unseen),
            device.id,
            ", and ".join(dict.fromkeys(result.remedy for result in found.unseen)),
        )


def _hidden(device: DeviceEvidence) -> Iterator[Unknown]:
    """What TLS 1.3, or the capture, hides of the last handshake."""
    reached, _ = calls_back(device)
    handshakes = [link for link in reached if link.server_bytes and link.ends.dport in TLS_PORTS]
    if broken_off(device) is not None:
        return
    yield from _left_off(device)
    if not handshakes:
        return
    last, what = handshakes[-1], "whether the TLS handshake with the device was finished"
    if _is_hidden(last):
        yield Unknown(
            what,
            f"TLS 1.3 encrypts certificates and alerts; the device ended it ({where([last])})",
            device.id,
            "the server's log at that time, or its TLS key log (--keylog)",
        )
    elif last.tls is not None and last.tls.finished is None and last.tls.alert is None and last.tls.missing:
        yield Unknown(what, lost(last.tls), device.id, "a capture without losses")


def _left_off(device: DeviceEvidence) -> Iterator[Unknown]:
    """A handshake that stops in the middle, without an alert that would tell why."""
    link = left_off(device)
    if link is None or device.device.mode.name == "operational":
        return
    after = span(link.last_ts - link.ts)
    how = {
        "client": f"the server ended it after {after} without an alert",
        "server": f"the device ended it after {after} without an alert",
        "nobody": f"nobody ended it, it only stops after {after}",
    }[link.closed_by]
    yield Unknown(
        "why the TLS handshake with the device is not finished",
        f"{how}: the device sent {link.server_bytes:,} bytes, the server {link.client_bytes:,} "
        f"({frames(link.evidence)})",
        device.id,
        "the server's log at that time",
    )


def _is_hidden(link: ConnectionEvent) -> bool:
    """True where TLS 1.3 hides what the device thought of the handshake before it hung up."""
    tls = link.tls
    if tls is None or tls.finished is not None or tls.alert is not None or not is_13(tls.version or 0):
        return False
    return link.closed_by == "server" and link.last_ts - link.ts <= HANDSHAKE


def _hang_up(broken: Broken) -> str:
    link = broken.shown
    return (
        f"The connection back was made ({frames(link.evidence)}), and the device ended it after "
        f"{span(link.last_ts - link.ts)}, in the middle of the handshake: it sent {link.server_bytes:,} "
        f"bytes, the server {link.client_bytes:,}."
    )


def _why_left(broken: Broken) -> tuple[Candidate, ...]:
    """What may be behind a handshake that the device leaves without an alert."""
    if broken.shown.server_bytes:
        return _why_broken(broken)
    return (
        Candidate(
            "the device knows no TLS version or suite of those that the server offers",
            "`openssl s_client -connect DEVICE:16993` with other versions",
        ),
        Candidate(
            "the device is not ready for TLS, or something else listens there",
            "the same again after a restart of setup",
        ),
    )


def _why_broken(broken: Broken) -> tuple[Candidate, ...]:
    """What may be behind an alert; which firmware sends which for what is not documented."""
    certificate = Candidate(
        "the certificate of the other side is not accepted: its root is not in the device's list, its usage "
        "or name does not fit, or it has expired",
        "the certificates in the handshake; --cert YOUR-CHAIN.pem",
    )
    version = Candidate("no common TLS version or cipher", "the versions and suites that both sides offer")
    key = Candidate(
        "with PSK: the keys differ, or the device knows no such PID", "enter PID and PPS again on both sides"
    )
    unproven = Candidate(
        "the server signs with a key that does not belong to the certificate it shows",
        "`openssl x509 -pubkey` of the certificate and `openssl pkey -pubout` of the key",
    )
    alert, tls = broken.alert, broken.handshake
    if tls.psk_identity is not None:
        return (key,)
    if alert in KEY and tls.client_chain is not None:
        return (unproven,)
    if alert == UNSUPPORTED:
        return (certificate, STAND_IN)
    ways = {
        alert in CERTIFICATE: certificate,
        alert in {*NO_SUITE, VERSION, ILLEGAL}: version,
        alert in {*KEY, UNKNOWN_IDENTITY}: key,
    }
    return (ways[True],) if True in ways else (certificate, version, key)
