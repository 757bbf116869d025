"""The device's end of TLS with certificates: a server that judges the client's chain by AMT's rules.

OpenSSL would judge by its own rules (client authentication among the usages, say). So what the client sends
in the clear is read before OpenSSL sees it: a chain that the device refuses gets its alert from here, of one
that it accepts OpenSSL is told to trust the leaf as it is. TLS 1.2 at most: no AMT release is known to speak
1.3, which would encrypt the chain.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from amtdiag.simulator.chain_rules import Refusal

VERSIONS = ("TLSv1", "TLSv1_1", "TLSv1_2")
_WIRE = {"TLSv1": b"\x03\x01", "TLSv1.1": b"\x03\x02", "TLSv1.2": b"\x03\x03"}
_HANDSHAKE, _ALERT, _CHANGE = 22, 21, 20
_CERTIFICATE = 11
_FATAL = 2
_MAX_CHAIN = 128 << 10
_READ = 16 << 10
_NO_CHECK_TIME, _PARTIAL_CHAIN = 0x20_0000, 0x8_0000
"""OpenSSL's X509_V_FLAG_s: the dates are this module's business, and the leaf alone is the anchor."""
_TRUST_AS_CLIENT = bytes.fromhex("300c300a06082b06010505070302")
"""OpenSSL's addition to a certificate (X509_CERT_AUX): trusted as a TLS client."""
INTERNAL_ERROR = 80

Judge = Callable[[Sequence[bytes]], Refusal | None]


class Refused(Exception):
    """The device has ended the handshake because of the chain."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.why} (rule {refusal.rule}); alert {refusal.alert}")
        self.refusal = refusal


class TlsEnd:
    """Makes the device's end of connections."""

    def __init__(self, identity: Path, folder: Path, versions: tuple[str, str]) -> None:
        self._identity = identity
        self._folder = folder
        """For files that OpenSSL must read from a disk; only its owner looks into it."""
        self._versions = versions

    def context(self, *, asks: bool) -> ssl.SSLContext:
        """Settings for one connection; `asks` for the client's chain."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(
            "ALL:!aNULL:!PSK:!SRP:@SECLEVEL=0"
        )  # old firmware, and chains that only this module judges
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            oldest, newest = (ssl.TLSVersion[version] for version in self._versions)
            context.minimum_version, context.maximum_version = oldest, newest
        context.options |= ssl.OP_NO_TICKET  # a resumed session would show no chain
        context.load_cert_chain(self._identity)
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME | _PARTIAL_CHAIN)
        return context

    def shake(self, connection: socket.socket, judge: Judge | None, number: int) -> TlsChannel:
        """Do the handshake; Refused or OSError (so ssl.SSLError) if it fails. `number`: of the connection."""
        context = self.context(asks=judge is not None)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        chain = ClientChain()
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
            finally:
                if waiting := outgoing.read():
                    connection.sendall(waiting)
            data = connection.recv(_READ)
            if not data:
                raise ConnectionResetError("the server ends it in the middle of the handshake")
            shown = chain.feed(data)
            if shown and judge is not None:
                if refusal := judge(shown):
                    connection.sendall(alert(tls.version(), refusal.alert))
                    raise Refused(refusal)
                self._trust(context, shown[0], number)
            incoming.write(data)
        if waiting := outgoing.read():
            connection.sendall(waiting)
        return TlsChannel(connection, tls, incoming, outgoing)

    def _trust(self, context: ssl.SSLContext, leaf: bytes, number: int) -> None:
        text = base64.encodebytes(leaf + _TRUST_AS_CLIENT).decode("ascii")
        file = self._folder / f"leaf-{number}.pem"
        file.write_text(f"-----BEGIN TRUSTED CERTIFICATE-----\n{text}-----END TRUSTED CERTIFICATE-----\n")
        try:
            context.load_verify_locations(file)
        finally:
            file.unlink()


class TlsChannel:
    """A connection whose handshake is done."""

    def __init__(
        self, connection: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        self._connection, self._tls, self._incoming, self._outgoing = connection, tls, incoming, outgoing
        cipher = tls.cipher()
        self.what = f"{tls.version()} {cipher[0] if cipher else ''}"

    def receive(self) -> bytes:
        """What the client says next; nothing at the end."""
        while True:
            try:
                return self._tls.read(_READ)
            except ssl.SSLWantReadError:
                data = self._connection.recv(_READ)
                if not data:
                    return b""
                self._incoming.write(data)
            except ssl.SSLZeroReturnError:
                return b""

    def send(self, data: bytes) -> None:
        """Say something."""
        self._tls.write(data)
        self._connection.sendall(self._outgoing.read())

    def close(self) -> None:
        """Say that this is the end."""
        with contextlib.suppress(ssl.SSLError, OSError):
            self._tls.unwrap()
        with contextlib.suppress(OSError):
            self._connection.sendall(self._outgoing.read())


class ClientChain:
    """Reads the certificates that a TLS client shows in the clear, and nothing else."""

    def __init__(self) -> None:
        self._records = bytearray()
        self._messages = bytearray()
        self._done = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; the chain, leaf first, once it is whole, and nothing before and after that."""
        if self._done:
            return []
        self._records += data
        while len(self._records) >= 5:
            kind, length = self._records[0], int.from_bytes(self._records[3:5], "big")
            if kind == _CHANGE or len(self._messages) > _MAX_CHAIN:
                self._done = True
                return []
            if len(self._records) < 5 + length:
                return []
            if kind == _HANDSHAKE:
                self._messages += self._records[5 : 5 + length]
            del self._records[: 5 + length]
            if (found := self._found()) is not None:
                self._done = True
                return found
        return []

    def _found(self) -> list[bytes] | None:
        """The chain, if the message that carries it is whole."""
        while len(self._messages) >= 4:
            length = int.from_bytes(self._messages[1:4], "big")
            if len(self._messages) < 4 + length:
                return None
            kind, body = self._messages[0], bytes(self._messages[4 : 4 + length])
            del self._messages[: 4 + length]
            if kind == _CERTIFICATE:
                return _certificates(body)
        return None


def _certificates(body: bytes) -> list[bytes]:
    found, at = [], 3
    while at + 3 <= len(body):
        length = int.from_bytes(body[at : at + 3], "big")
        found.append(body[at + 3 : at + 3 + length])
        at += 3 + length
    return found


def alert(version: str | None, number: int) -> bytes:
    """A fatal alert in the clear."""
    return bytes([_ALERT]) + _WIRE.get(version or "", b"\x03\x03") + bytes([0, 2, _FATAL, number])
