"""JSON of a TLS conversation: names for numbers, digests for certificates."""

from __future__ import annotations

from typing import Any

from amtdiag.model import Evidence, TlsConversation
from amtdiag.model.tls import CertificateRequest, Certificates
from amtdiag.times import rfc3339


def tls_json(talk: TlsConversation) -> dict[str, Any]:
    """How far a TLS conversation came. Of certificates only digest and length: they are in the capture."""
    from amtdiag.protocols.tls.constants import ALERTS, version_name
    from amtdiag.protocols.tls.suites import suite_name

    return {
        "finished": talk.finished,
        "alert_by": talk.alert_by,
        "alert": talk.alert,
        "alert_name": None if talk.alert is None else ALERTS.get(talk.alert),
        "version": None if talk.version is None else version_name(talk.version),
        "client_version": None if talk.client_version is None else version_name(talk.client_version),
        "client_versions": [version_name(one) for one in talk.client_versions],
        "suite": None if talk.suite is None else suite_name(talk.suite),
        "suites": [suite_name(one) for one in talk.suites],
        "server_name": talk.server_name,
        "renegotiation_info": talk.renegotiation_info,
        "resumed": talk.resumed,
        "client_certificates": _chain_json(talk.client_chain),
        "server_certificates": _chain_json(talk.server_chain),
        "certificates_hidden": talk.certificates_hidden,
        "certificate_request": _request_json(talk.certificate_request),
        "psk_identity": talk.psk_identity,
        "psk_hint": talk.psk_hint,
        "retry_requested": talk.retry_requested,
        "messages": [
            {
                "sender": one.sender,
                "name": one.name,
                "ts": rfc3339(one.ts),
                "evidence": _frames(one.evidence),
            }
            for one in talk.messages
        ],
        "client_changed": talk.client_changed,
        "client_finished": talk.client_finished,
        "server_changed": talk.server_changed,
        "server_finished": talk.server_finished,
        "alerts": [
            {
                "sender": one.sender,
                "level": one.level,
                "description": one.description,
                "alert_name": ALERTS.get(one.description),
                "ts": rfc3339(one.ts),
                "evidence": _frames(one.evidence),
            }
            for one in talk.alerts
        ],
        "hidden_alerts": [
            {
                "sender": one.sender,
                "certain": one.certain,
                "last": one.last,
                "after_data": one.after_data,
                "ts": rfc3339(one.ts),
                "evidence": _frames(one.evidence),
            }
            for one in talk.hidden_alerts
        ],
        "missing": [
            {
                "what": one.what,
                "side": one.side,
                "bytes": one.bytes,
                "frame_before": one.frame_before and one.frame_before._asdict(),
                "frame_after": one.frame_after and one.frame_after._asdict(),
            }
            for one in talk.missing
        ],
        "notes": list(talk.notes),
    }


def _frames(evidence: tuple[Evidence, ...]) -> list[dict[str, Any]]:
    return [one._asdict() for one in evidence]


def _chain_json(chain: Certificates | None) -> dict[str, Any] | None:
    if chain is None:
        return None
    from hashlib import sha256

    return {
        "complete": chain.complete,
        "certificates": [{"sha256": sha256(der).hexdigest(), "bytes": len(der)} for der in chain.der],
        "evidence": _frames(chain.evidence),
    }


def _request_json(request: CertificateRequest | None) -> dict[str, Any] | None:
    if request is None:
        return None
    from amtdiag.protocols.tls.constants import CERTIFICATE_TYPES, SIGNATURES

    return {
        "types": [CERTIFICATE_TYPES.get(one, str(one)) for one in request.types],
        "algorithms": [SIGNATURES.get(one, f"0x{one:04X}") for one in request.algorithms],
        "authorities": request.authorities,
        "evidence": _frames(request.evidence),
    }
