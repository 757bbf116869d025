"""What a decrypted handshake of TLS 1.3 adds to what its records in the clear show."""

from __future__ import annotations

from collections.abc import Iterable

from amtdiag.model import Certificates, TlsAlert, TlsConversation, TlsSide
from amtdiag.protocols.protocol import EvidenceOf
from amtdiag.protocols.tls.constants import CERTIFICATE, CLOSE_NOTIFY
from amtdiag.reassembly.encrypted_sessions import DecryptedHandshake

_FINISHED = 20
_FATAL = 2
_USER_CANCELED = 90
_CLOSING_ALERTS = frozenset({CLOSE_NOTIFY, _USER_CANCELED})


def with_handshake(
    conversation: TlsConversation, decrypted: Iterable[DecryptedHandshake], evidence: EvidenceOf
) -> TlsConversation:
    """Return a conversation of TLS 1.3 with its certificates and alerts (RFC 8446, 4.4.2 and 6.2).

    The client's Finished does not end the handshake for the server, which may refuse its certificates then:
    `finished` is True where both sides sent theirs, and no fatal alert came.
    """
    chains: dict[TlsSide, Certificates] = {}
    finished: set[TlsSide] = set()
    alerts: list[TlsAlert] = []
    for flight in decrypted:
        side: TlsSide = "server" if flight.from_server else "client"
        frames = evidence([flight.piece])
        if CERTIFICATE in flight.messages and side not in chains:
            chains[side] = Certificates(flight.certificates, True, frames)
        if _FINISHED in flight.messages:
            finished.add(side)
        alerts += [
            TlsAlert(side, _FATAL, alert, flight.piece.ts, frames)
            for alert in flight.alerts
            if alert not in _CLOSING_ALERTS
        ]
    first = alerts[0] if alerts else None
    return conversation._replace(
        finished=False if first else True if len(finished) == len(("client", "server")) else None,
        alert_by=first.sender if first else conversation.alert_by,
        alert=first.description if first else conversation.alert,
        client_chain=chains.get("client"),
        server_chain=chains.get("server"),
        alerts=(*conversation.alerts, *alerts),
        certificates_hidden=False,
    )
