"""Secrets that the analyst has, and the conversations that they decrypt.

A key log is handed on as it is. Of a PID and its PPS the master secret of each session is computed here and
proven before it is believed. Secrets stay in this object: no event and no report holds one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from amtdiag.model import TlsConversation
from amtdiag.reassembly.stream import Assembled

if TYPE_CHECKING:
    from amtdiag.reassembly.encrypted_sessions import DecryptedConversation, EncryptedSessions, HandshakeFrame

KEY_LOG = "a TLS key log"


class DecryptionTool(Protocol):
    """What a capture and the secrets for it show: `amtdiag.capture.decryptor.Decrypter`, or a test's own."""

    def data(self) -> Iterable[bytes]:
        """Return application data as exported PDUs."""
        ...

    def handshakes(self) -> Iterable[HandshakeFrame]:
        """Return handshake messages and alerts, frame by frame."""
        ...


Decrypt = Callable[[bytes, bytes], DecryptionTool]
"""Takes a pcap file and a key log."""


class EncryptedConversation(NamedTuple):
    """A conversation that was kept for decryption."""

    number: int | None
    """Its place among those that wait; None where there was no room."""
    key: str | None
    """Whose pre-shared key the client used, in words; None where none that was given fits."""


class DecryptionKeys:
    """Pre-shared keys by PID, and the conversations that wait for all secrets to be known."""

    def __init__(self, keys: Mapping[str, str], max_bytes: int) -> None:
        self._keys = keys
        self._max_bytes = max_bytes
        self._derived: list[bytes] = []
        self._encrypted: EncryptedSessions | None = None
        self._hides = False
        """Certificates of some conversation are encrypted."""

    def keep(
        self, client: Assembled, server: Assembled, conversation: TlsConversation
    ) -> EncryptedConversation | None:
        """Keep a conversation if there may be something in it to decrypt; None where there is not."""
        key = self._try_keys(client, server, conversation)
        if not (conversation.finished or conversation.certificates_hidden or key):
            return None
        if self._encrypted is None:
            from amtdiag.reassembly.encrypted_sessions import EncryptedSessions

            self._encrypted = EncryptedSessions(self._max_bytes)
        self._hides = self._hides or conversation.certificates_hidden
        return EncryptedConversation(self._encrypted.add(client, server), key)

    def decrypted(self, key_log: bytes, decrypt: Decrypt) -> dict[int, DecryptedConversation]:
        """Return by number what the secrets decrypt: a key log, and the keys by PID."""
        log = self._key_log(key_log)
        if self._encrypted is None or not log.strip():
            return {}
        tool = decrypt(self._encrypted.capture(), log)
        return self._encrypted.opened(tool.data(), tool.handshakes() if self._hides else ())

    @property
    def left_out(self) -> int:
        """Conversations for which there was no room."""
        return self._encrypted.left_out if self._encrypted is not None else 0

    def _key_log(self, given: bytes) -> bytes:
        """The given key log, and the lines that were derived from pre-shared keys."""
        return b"\n".join([given, *self._derived, b""])

    def _try_keys(self, client: Assembled, server: Assembled, conversation: TlsConversation) -> str | None:
        pid = conversation.psk_identity
        pps = self._keys.get(pid.replace("-", "").upper()) if pid else None
        if pps is None:
            return None
        from amtdiag.protocols.tls import psk
        from amtdiag.protocols.tls.psk_session import psk_handshake

        handshake = psk_handshake(client, server)
        if handshake is None:
            return None
        for form in psk.forms(pps):
            master = psk.opens(handshake, form.key)
            if master is not None:
                line = f"CLIENT_RANDOM {handshake.client_random.hex()} {master.hex()}"
                self._derived.append(line.encode("ascii"))
                return f"the PPS that was given for PID {pid}, {form.name}"
        return None
