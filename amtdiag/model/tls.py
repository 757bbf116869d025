"""What TLS conversations with a device show."""

from typing import Literal, NamedTuple

from amtdiag.model.evidence import Evidence

TlsSide = Literal["client", "server"]


class Certificates(NamedTuple):
    """A Certificate message. No certificate in it is a statement too: that side has none to show."""

    der: tuple[bytes, ...]
    """In the order of the message, leaf first; if it is not complete, those in front of what is missing."""
    complete: bool
    """All of the message's certificates are here."""
    evidence: tuple[Evidence, ...]


class CertificateRequest(NamedTuple):
    """What the server wants to see of the client."""

    types: tuple[int, ...]
    algorithms: tuple[int, ...]
    """Signature schemes; TLS 1.2 only."""
    authorities: int
    """How many certificate authorities it names; none means that any will do."""
    names: tuple[bytes, ...]
    """Their distinguished names, DER; the first 32."""
    evidence: tuple[Evidence, ...]


class TlsMessage(NamedTuple):
    """A handshake message in the clear."""

    sender: TlsSide
    name: str
    ts: int
    """When its last byte came; 0 where that is not known."""
    evidence: tuple[Evidence, ...]


class TlsAlert(NamedTuple):
    """An alert in the clear."""

    sender: TlsSide
    level: int
    """1 warning, 2 fatal."""
    description: int
    ts: int
    evidence: tuple[Evidence, ...]


class HiddenAlert(NamedTuple):
    """An alert whose content is encrypted."""

    sender: TlsSide
    certain: bool
    """The record says that it is an alert (up to TLS 1.2). Else, in TLS 1.3, only its size says so, and that
    it is the sender's last."""
    last: bool
    """The sender's last record before it closed; nothing behind it is missing."""
    after_data: bool | None
    """The sender had sent application data before: the handshake was over, and this is likely a good-bye. An
    alert before any data, after which the sender closes, is most likely a refusal. None in TLS 1.3, and where
    bytes before it are missing."""
    ts: int
    evidence: tuple[Evidence, ...]


class Missing(NamedTuple):
    """A part of the handshake that was sent, or must have been, and is not in this capture."""

    what: str | None
    """Name of the message; None where that cannot be told."""
    side: TlsSide
    """Who sent it."""
    bytes: int
    """At least so many bytes of it, or of what is missing there, are not here."""
    frame_before: Evidence | None
    """The last frame of this side in front of what is missing."""
    frame_after: Evidence | None
    """The first behind it; None where nothing more of this side is here: the capture, or the stream, ends."""

    @property
    def text(self) -> str:
        """A sentence without its stop."""
        what = f"the {self.side} {self.what}" if self.what else f"a part of what the {self.side} says"
        near = self.frame_before or self.frame_after
        place = f" at frame {near.frame}" if near else ""
        plural = "" if self.bytes == 1 else "s"
        return f"{what} is not in this capture ({self.bytes:,} byte{plural} missing{place})"


class TlsConversation(NamedTuple):
    """How far a TLS conversation came, told by what is in the clear.

    Each fact is one that bytes of the capture prove. Where bytes are missing it is None or empty, and
    `missing` says what is not there. Without the files' names nothing has evidence.
    """

    finished: bool | None
    """Both sides changed to encryption, which up to TLS 1.2 ends the handshake. False: not as far as the
    capture goes, and no bytes are missing that could hold it. None in TLS 1.3, where certificates are
    exchanged behind it, and where such bytes are missing."""
    alert_by: TlsSide | None
    """Who sent the first alert in the clear that ends the handshake."""
    alert: int | None
    """Its description."""
    version: int | None = None
    """The version the server chose, 0x0303 for TLS 1.2; None where its hello is not here."""
    client_version: int | None = None
    """The version in the client's hello; TLS 1.3 keeps 0x0303 there."""
    client_versions: tuple[int, ...] = ()
    """Those of the extension supported_versions, best first as a rule; empty without it."""
    suite: int | None = None
    """The cipher suite the server chose."""
    suites: tuple[int, ...] = ()
    """The cipher suites the client offers, in its order."""
    server_name: str | None = None
    """The name the client asks for (SNI), safe to show."""
    renegotiation_info: bool | None = None
    """The server's hello carries the extension of secure renegotiation (0xff01). None in TLS 1.3, which has
    no renegotiation."""
    resumed: bool | None = None
    """An earlier session was taken up: no certificates and no key exchange is normal then."""
    client_chain: Certificates | None = None
    server_chain: Certificates | None = None
    certificate_request: CertificateRequest | None = None
    psk_identity: str | None = None
    """Of a pre-shared key, as the client names it, in TLS 1.3 where that is text; safe to show."""
    psk_hint: str | None = None
    """What the server says to help choose a key; safe to show."""
    alerts: tuple[TlsAlert, ...] = ()
    """All alerts in the clear, in their order on each side."""
    hidden_alerts: tuple[HiddenAlert, ...] = ()
    messages: tuple[TlsMessage, ...] = ()
    """The handshake messages in the clear, in the order of time."""
    missing: tuple[Missing, ...] = ()
    client_changed: bool | None = None
    """The client changed to encryption (up to TLS 1.2), see `finished`."""
    server_changed: bool | None = None
    client_finished: bool | None = None
    """An encrypted handshake message, its Finished, followed that change."""
    server_finished: bool | None = None
    certificates_hidden: bool = False
    """TLS 1.3 without an earlier session: what certificates there are, are encrypted."""
    retry_requested: bool = False
    """The server asked for a second ClientHello (HelloRetryRequest of TLS 1.3)."""
    notes: tuple[str, ...] = ()
    """Limits that were hit, and bytes that are not what they should be."""

    def earlier(self, offset: int) -> "TlsConversation":
        """Return the same by a clock that is so many nanoseconds behind."""
        return self._replace(
            messages=tuple(one._replace(ts=one.ts - offset) for one in self.messages),
            alerts=tuple(one._replace(ts=one.ts - offset) for one in self.alerts),
            hidden_alerts=tuple(one._replace(ts=one.ts - offset) for one in self.hidden_alerts),
        )

    def last(self, sender: TlsSide) -> TlsMessage | None:
        """Return the last message in the clear of one side."""
        return next((one for one in reversed(self.messages) if one.sender == sender), None)
