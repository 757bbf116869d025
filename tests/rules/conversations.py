"""Examples for the rules about what is spoken once the server has reached the device."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates
from helpers import FILE, START, AnyEvent, back, hello, lease
from scenarios import chains
from scenarios.chains import Chain

from amtdiag.config import Options
from amtdiag.model import (
    Certificates,
    ConnectionEvent,
    Evidence,
    Exchange,
    HttpConversation,
    TlsConversation,
    TlsMessage,
    TlsSide,
    WebCall,
    WebResult,
    WebServer,
)
from amtdiag.rules import chain, handshake, keys, management, wsman_calls
from amtdiag.rules.base import DeviceRule
from amtdiag.simulator.certificates import Identity
from amtdiag.times import SECOND


@dataclass(frozen=True)
class Example:
    """What a device did that is a fault, and what is none though it looks much like it."""

    rule: type[DeviceRule]
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
        "method": "POST", "path": "/wsman", "auth": "Digest", "user": "admin", "digest_short": False,
        "status": status,
        "server_version": None, "content_type": None, "offered": (), "realm": None,
        "denial": "refused" if status == 401 else None, "call": call, "result": result, "missing": (),
        "problems": (),
    }  # fmt: skip
    return Exchange(**{**told, **fields})


def web(after: float, *exchanges: Exchange, **fields: Any) -> ConnectionEvent:
    """A conversation with the device's web server."""
    talk = HttpConversation(WebServer("11.8.50", 200), exchanges, (), 0)
    told = {"dport": 16992, "client_bytes": 900, "server_bytes": 900, "talk": talk, "lasts": 1.0, **fields}
    return back(after, "established", **told)


def tls(after: float, talk: TlsConversation | None, **fields: Any) -> ConnectionEvent:
    """A conversation on the device's TLS port."""
    told = {"client_bytes": 517, "server_bytes": 900, "closed_by": "server", "lasts": 1.0, **fields}
    return back(after, "established", tls=talk, **told)


SUFFIX = "example.com"
"""What DHCP gives the devices of these tests."""
FRAMES = (Evidence(FILE, 80),)


def ders(identity: Identity) -> tuple[bytes, ...]:
    """The certificates of a chain, in their order."""
    return tuple(one.public_bytes(Encoding.DER) for one in load_pem_x509_certificates(identity.chain))


def digests(*roots: Identity) -> list[bytes]:
    """What a device has to list for these chains."""
    return [hashlib.sha256(ders(one)[-1]).digest() for one in roots]


LISTED = digests(chains.good(SUFFIX), chains.with_sha1_root(SUFFIX))


def refusal(
    shown: Chain | tuple[bytes, ...] | None, alert: int | None = 42, by: TlsSide = "server", **fields: Any
) -> TlsConversation:
    """A handshake that was ended after the server had shown a chain."""
    der = shown if isinstance(shown, tuple) or shown is None else ders(shown(SUFFIX))
    told = {"version": 0x0303, "messages": (TlsMessage("client", "ClientHello", START, FRAMES),), **fields}
    if der is not None:
        told["client_chain"] = Certificates(der, True, FRAMES)
    return TlsConversation(finished=False, alert_by=None if alert is None else by, alert=alert, **told)


def shown(chain: Chain | tuple[bytes, ...] | None, alert: int | None = 42, **fields: Any) -> list[AnyEvent]:
    """A device with a lease says Hello and is shown a chain."""
    return [lease(-9, domain=SUFFIX), hello(digests=LISTED), tls(1, refusal(chain, alert, **fields))]


def forged(suffix: str) -> Identity:
    """A leaf that names the issuing CA and was signed by another."""
    leaf = ders(chains.good(suffix))[0]
    return Identity(b"", pem(leaf[:-20] + bytes(20)) + b"".join(map(pem, ders(chains.good(suffix))[1:])))


def pem(der: bytes) -> bytes:
    text = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"


ACCEPTED: list[AnyEvent] = [
    lease(-9, domain=SUFFIX),
    hello(digests=LISTED),
    tls(1, TlsConversation(True, None, None)),
]
PSK_HELLO = hello(version=2, pid="0000037M", digests=())
PSK: dict[str, Any] = {"psk_identity": "0000037M", "suite": 0x008C, "suites": (0x008C,)}

FINISHED = TlsConversation(finished=True, alert_by=None, alert=None)
COMMIT = exchange(1, "CommitChanges")
PROBE: dict[str, Any] = {"digest_short": True, "denial": None}

EXAMPLES = [
    Example(
        wsman_calls.PasswordWrong,
        [hello(), web(1, exchange(1, status=401))],
        [hello(), web(1, exchange(1, status=401, denial="challenge", auth=None, user=None))],
    ),
    Example(
        wsman_calls.CallFails,
        [hello(), web(1, exchange(1, "SetMEBxPassword", value=2054))],
        [hello(), web(1, exchange(1, "Get", value=None, fault="Sender"))],
    ),
    Example(
        wsman_calls.EndsAfterPassword,
        [hello(), web(1, exchange(2, "SetMEBxPassword", status=None), closed_by="server")],
        [hello(), web(1, exchange(2, "SetMEBxPassword"), closed_by="server")],
    ),
    Example(
        wsman_calls.BrokenAfterCommit,
        [hello(), web(1, COMMIT), tls(9, TlsConversation(False, "server", 80))],
        [hello(), web(1, COMMIT), tls(9, TlsConversation(False, "server", 80)), tls(20, FINISHED)],
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
        [hello(), tls(1, TlsConversation(False, "client", 70)), web(3)],
        [hello(), tls(1, FINISHED), web(3)],
    ),
    Example(
        management.VulnerableFirmware,
        [hello(), web(1, web=WebServer("9.1.20.1035", 200))],
        [hello(), web(1, web=WebServer("9.1.41.3024", 200))],
    ),
    Example(
        management.OldTls,
        [hello(), tls(1, FINISHED._replace(version=0x0301))],
        [hello(), tls(1, FINISHED._replace(version=0x0303))],
    ),
    Example(chain.CertificateUsage, shown(chains.web_certificate), shown(chains.by_unit)),
    Example(chain.CertificateServerAuth, shown(chains.without_server_auth), shown(chains.by_unit)),
    Example(chain.ChainOutOfOrder, shown(chains.disordered), shown(chains.good)),
    Example(chain.ChainNotWhole, shown(chains.leaf_only), shown(chains.good)),
    Example(chain.ChainSignature, shown(forged), shown(chains.with_sha1)),
    Example(chain.ChainNotListed, shown(chains.of_foreign_root), shown(chains.good)),
    Example(chain.CertificateDomain, shown(chains.of_another_domain), shown(chains.good)),
    Example(chain.ChainSha1, shown(chains.with_sha1), shown(chains.good)),
    Example(chain.ChainSmallKey, shown(chains.with_small_key), shown(chains.good)),
    Example(chain.CertificateDates, shown(chains.expired, 45), shown(chains.good, 45)),
    Example(chain.RefusedForNoVisibleReason, shown(chains.good), ACCEPTED),
    Example(handshake.NoClientCertificate, shown((), 40), shown(chains.good)),
    Example(
        handshake.TlsVersion,
        shown(None, 70, by="client", version=0x0301, client_version=0x0303),
        shown(None, 40, by="client"),
    ),
    Example(
        handshake.TlsRenegotiation,
        shown(None, 40, by="client", renegotiation_info=False),
        shown(None, 40, by="client", renegotiation_info=True),
    ),
    Example(handshake.DeviceNotTrusted, shown(None, 42, by="client"), shown(chains.good, 42)),
    Example(
        keys.PskDiffers,
        [PSK_HELLO, tls(1, refusal(None, 20, **PSK))],
        [PSK_HELLO, tls(1, TlsConversation(True, None, None, **PSK))],
    ),
    Example(
        keys.PskIdentityUnknown,
        [PSK_HELLO, tls(1, refusal(None, 115, **PSK))],
        [PSK_HELLO, tls(1, refusal(None, 20, **PSK))],
    ),
    Example(
        keys.PskNotOffered,
        [PSK_HELLO, tls(1, refusal(None, 40, suites=(0xC02F, 0x00FF)))],
        [PSK_HELLO, tls(1, refusal(None, 40, suites=(0xC02F, 0x008C)))],
    ),
]
"""One for each rule of these modules."""
