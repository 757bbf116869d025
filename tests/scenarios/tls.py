"""Genuine TLS bytes: OpenSSL talks to itself in memory, and each flight is written down.

The device is the TLS server here and asks for a client certificate, as AMT does; the SCA is the client.
"""

from __future__ import annotations

import ssl
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from amtdiag.simulator.certificates import Identity, device_identity, root_pem, server_identity

_NO_CHECK_TIME = 0x20_0000
"""OpenSSL's flag for "judge no dates": the samples can be made in any year."""
REQUEST = (
    b"POST /wsman HTTP/1.1\r\nHost: %b:16993\r\nContent-Type: application/soap+xml; charset=UTF-8\r\n"
    b"Content-Length: 600\r\n\r\n" + b"<".ljust(600, b" ")
)
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: Intel(R) Active Management Technology 16.1.25.1424\r\n"
    b"Content-Type: application/soap+xml; charset=UTF-8\r\nContent-Length: 900\r\n\r\n"
    + b"<".ljust(900, b" ")
)


@dataclass(frozen=True, slots=True)
class Flight:
    """What one end sends before it waits for the other."""

    from_client: bool
    data: bytes


class _TlsEnd:
    """One end of a TLS session in memory."""

    def __init__(self, context: ssl.SSLContext, *, server_side: bool) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=server_side)
        self.failed = False

    def shake(self) -> None:
        """Go on with the handshake as far as the bytes reach."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.failed = True  # the alert is in `outgoing`


def session(
    suffix: str, host: str, shown: Identity | None = None, *, root_accepted: bool = True
) -> list[Flight]:
    """A TLS 1.2 session between an SCA of that domain and the device at that address.

    The SCA shows its usual chain, or another one.

    With the root accepted it carries a request and its response and is closed by the SCA; else it ends with
    the device's fatal alert (48, unknown CA) after the client's certificate.
    """
    client = _TlsEnd(_sca(shown or server_identity(suffix)), server_side=False)
    device = _TlsEnd(_device(root_accepted), server_side=True)
    flights: list[Flight] = []

    def carry(source: _TlsEnd, target: _TlsEnd) -> None:
        data = source.outgoing.read()
        if data:
            flights.append(Flight(source is client, data))
            target.incoming.write(data)

    for _ in range(6):
        client.shake()
        carry(client, device)
        device.shake()
        carry(device, client)
        if device.failed:
            return flights
    client.tls.write(REQUEST % host.encode("ascii"))
    carry(client, device)
    device.tls.read(4096)
    device.tls.write(RESPONSE)
    carry(device, client)
    client.tls.read(4096)
    try:
        client.tls.unwrap()
    except ssl.SSLWantReadError:
        carry(client, device)
    return flights


def refused(
    shown: Identity, alert: int, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2, *, device_name: str = ""
) -> list[Flight]:
    """A session that the device ends with a fatal alert, once it has seen the certificates that are shown.

    All is genuine but the alert: OpenSSL, which plays the device, judges certificates by rules of its own.
    """
    client, device = (
        _TlsEnd(_sca(shown, version), server_side=False),
        _TlsEnd(_device(False, version, device_name), server_side=True),
    )
    flights: list[Flight] = []
    for source, target in ((client, device), (device, client), (client, device)):
        source.shake()
        data = source.outgoing.read()
        flights.append(Flight(source is client, data))
        target.incoming.write(data)
    return [*flights, Flight(False, fatal_alert(alert, version))]


def old_version() -> list[Flight]:
    """The device knows TLS 1.0 only; the server's library no longer does, and says so with alert 70."""
    return _broken_off(_device(False, ssl.TLSVersion.TLSv1), lambda hello: hello)


def without_secure_renegotiation() -> list[Flight]:
    """The device answers without renegotiation_info, and the server's library takes that for an attack."""
    return _broken_off(_device(False), _without_renegotiation_info)


def _broken_off(device_context: ssl.SSLContext, change: Callable[[bytes], bytes]) -> list[Flight]:
    """ClientHello, the device's answer, and the alert with which the client ends it."""
    client = _TlsEnd(_sca(device_identity()), server_side=False)
    device = _TlsEnd(device_context, server_side=True)
    client.shake()
    said = client.outgoing.read()
    device.incoming.write(said)
    device.shake()
    answer = change(device.outgoing.read())
    client.incoming.write(answer)
    client.shake()
    return [Flight(True, said), Flight(False, answer), Flight(True, client.outgoing.read())]


_RENEGOTIATION_INFO = bytes.fromhex("ff01000100")


def _without_renegotiation_info(flight: bytes) -> bytes:
    """Take the extension out of a ServerHello, which is the first message of the first record."""
    gone = len(_RENEGOTIATION_INFO)
    record, message = int.from_bytes(flight[3:5]) - gone, int.from_bytes(flight[6:9]) - gone
    session_id = flight[43]
    at = 44 + session_id + 3
    extensions = int.from_bytes(flight[at : at + 2]) - gone
    head = flight[:3] + record.to_bytes(2) + flight[5:6] + message.to_bytes(3) + flight[9:at]
    rest = extensions.to_bytes(2) + flight[at + 2 :].replace(_RENEGOTIATION_INFO, b"", 1)
    return head + (rest if extensions else rest[2:])


def fatal_alert(description: int, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> bytes:
    """A fatal alert in the clear."""
    return b"\x15" + int(version).to_bytes(2) + b"\0\2\2" + bytes([description])


def client_hello() -> bytes:
    """The first flight of any TLS client: what a scanner sends to a port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # The key shares of TLS 1.3 grow from one OpenSSL to the next; this fits one segment with each of them.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    end = _TlsEnd(context, server_side=False)
    end.shake()
    return end.outgoing.read()


_TLS12 = ssl.TLSVersion.TLSv1_2


def _sca(identity: Identity, version: ssl.TLSVersion = _TLS12) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The device's certificate proves nothing before provisioning; no SCA can check it.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return _prepared(context, identity, version)


def _device(root_accepted: bool, version: ssl.TLSVersion = _TLS12, name: str = "") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    if root_accepted:
        context.load_verify_locations(cadata=root_pem().decode("ascii"))
    return _prepared(context, device_identity(name) if name else device_identity(), version)


def _prepared(context: ssl.SSLContext, identity: Identity, version: ssl.TLSVersion) -> ssl.SSLContext:
    # Old versions, short keys and SHA-1 are what is to be shown.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.options |= ssl.OP_NO_TICKET
    # The ssl module takes certificates from files only.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "identity.pem"
        file.write_bytes(identity.key + identity.chain)
        context.load_cert_chain(file)
    return context
