"""What a decrypted handshake of TLS 1.3 adds to what its records in the clear told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from amtdiag.model import Certificates, Evidence, TlsAlert, TlsConversation, TlsSide
from amtdiag.protocols.tls.constants import CERTIFICATE, CLOSE_NOTIFY
from amtdiag.reassembly.encrypted_sessions import DecryptedHandshake
from amtdiag.reassembly.stream import Piece

_FINISHED = 20
_FATAL = 2
_USER_CANCELED = 90
_GOOD_BYES = frozenset({CLOSE_NOTIFY, _USER_CANCELED})
EvidenceOf = Callable[[Sequence[Piece]], tuple[Evidence, ...]]


def with_handshake(
    talk: TlsConversation, said: Iterable[DecryptedHandshake], evidence: EvidenceOf
) -> TlsConversation:
    """Return a talk of TLS 1.3 with its certificates and alerts (RFC 8446, 4.4.2 and 6.2).

    The client's Finished does not end the handshake for the server, which may refuse its certificates then:
    `finished` is True where both sides sent theirs, and no fatal alert came.
    """
    chains: dict[TlsSide, Certificates] = {}
    finished: set[TlsSide] = set()
    alerts: list[TlsAlert] = []
    for one in said:
        side: TlsSide = "server" if one.from_server else "client"
        frames = evidence([one.piece])
        if CERTIFICATE in one.messages and side not in chains:
            chains[side] = Certificates(one.certificates, True, frames)
        if _FINISHED in one.messages:
            finished.add(side)
        alerts += [
            TlsAlert(side, _FATAL, alert, one.piece.ts, frames)
            for alert in one.alerts
            if alert not in _GOOD_BYES
        ]
    first = alerts[0] if alerts else None
    return talk._replace(
        finished=False if first else True if len(finished) == len(("client", "server")) else None,
        alert_by=first.sender if first else talk.alert_by,
        alert=first.description if first else talk.alert,
        client_chain=chains.get("client"),
        server_chain=chains.get("server"),
        alerts=(*talk.alerts, *alerts),
        certificates_hidden=False,
    )
