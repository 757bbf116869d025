"""Genuine TLS bytes: OpenSSL talks to itself in memory, and each flight is written down.

The device is the TLS server here and asks for a client certificate, as AMT does; the SCA is the client.
"""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from amtdiag.simulate.certificates import Identity, device_identity, root_pem, server_identity

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


class _End:
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


def session(suffix: str, host: str, *, root_accepted: bool = True) -> list[Flight]:
    """A TLS 1.2 session between an SCA of that domain and the device at that address.

    With the root accepted it carries a request and its response and is closed by the SCA; else it ends with
    the device's fatal alert (48, unknown CA) after the client's certificate.
    """
    client = _End(_sca(server_identity(suffix)), server_side=False)
    device = _End(_device(root_accepted), server_side=True)
    flights: list[Flight] = []

    def carry(source: _End, target: _End) -> None:
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


def client_hello() -> bytes:
    """The first flight of any TLS client: what a scanner sends to a port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # The key shares of TLS 1.3 grow from one OpenSSL to the next; this fits one segment with each of them.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    end = _End(context, server_side=False)
    end.shake()
    return end.outgoing.read()


def _sca(identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The device's certificate proves nothing before provisioning; no SCA can check it.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return _prepared(context, identity)


def _device(root_accepted: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    if root_accepted:
        context.load_verify_locations(cadata=root_pem().decode("ascii"))
    return _prepared(context, device_identity())


def _prepared(context: ssl.SSLContext, identity: Identity) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    # The ssl module takes certificates from files only.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "identity.pem"
        file.write_bytes(identity.key + identity.chain)
        context.load_cert_chain(file)
    return context
