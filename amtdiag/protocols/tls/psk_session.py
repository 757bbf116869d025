"""What the keys of a TLS-PSK session are made of, from both sides of its handshake."""

from __future__ import annotations

from typing import NamedTuple

from amtdiag.protocols.tls import handshake, messages, psk, records
from amtdiag.protocols.tls.constants import (
    CHANGE_CIPHER,
    CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE,
    HANDSHAKE,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
)
from amtdiag.protocols.tls.handshake import Raw
from amtdiag.reassembly.stream import Assembled

_EXTENDED_MASTER_SECRET, _ENCRYPT_THEN_MAC = 23, 22


def psk_handshake(client: Assembled, server: Assembled) -> psk.PskHandshake | None:
    """Return what a TLS-PSK session's keys are made of; None where some of it is missing. Never raises."""
    ours, theirs = _ClearSide.of(client, from_client=True), _ClearSide.of(server, from_client=False)
    if ours is None or theirs is None or ours.encrypted is None:
        return None
    first, chosen = ours.message(CLIENT_HELLO), theirs.message(SERVER_HELLO)
    if first is None or chosen is None or ours.message(CLIENT_KEY_EXCHANGE) is None:
        return None
    hello, answer = messages.pull_client_hello(first.body), messages.pull_server_hello(chosen.body)
    if isinstance(hello, messages.Malformed) or isinstance(answer, messages.Malformed):
        return None
    transcript = None
    if _EXTENDED_MASTER_SECRET in answer.extensions:
        # A session ticket of the server comes behind ClientKeyExchange, and does not count.
        head = ours.text(CLIENT_HELLO, CLIENT_HELLO)
        transcript = head + theirs.text(SERVER_HELLO, SERVER_HELLO_DONE)
        transcript += ours.text(None, CLIENT_KEY_EXCHANGE)[len(head) :]
    return psk.PskHandshake(
        version=answer.version,
        suite=answer.suite,
        client_random=hello.random,
        server_random=answer.random,
        transcript=transcript,
        encrypt_then_mac=_ENCRYPT_THEN_MAC in answer.extensions,
        finished=ours.encrypted,
    )


class _ClearSide(NamedTuple):
    """What one side sends in the clear, and its first encrypted record."""

    parts: tuple[Raw, ...]
    encrypted: bytes | None

    @classmethod
    def of(cls, stream: Assembled, *, from_client: bool) -> _ClearSide | None:
        """Return what a side sends; None where some of it is missing."""
        found = records.read(stream) if stream.anchored else None
        if found is None:
            return None
        kinds = [record.kind for record in found.records]
        change = kinds.index(CHANGE_CIPHER) if CHANGE_CIPHER in kinds else len(kinds)
        parts = handshake.read(stream, found, change, from_client=from_client).parts
        if any(not isinstance(part, Raw) for part in parts):
            return None
        encrypted = next((record for record in found.records[change + 1 :] if record.kind == HANDSHAKE), None)
        body = (
            stream.data[encrypted.start : encrypted.end]
            if encrypted is not None and encrypted.end <= stream.first_gap()
            else None
        )
        return cls(tuple(part for part in parts if isinstance(part, Raw)), body)

    def message(self, kind: int) -> Raw | None:
        """Return the first message of a kind."""
        return next((part for part in self.parts if part.kind == kind), None)

    def text(self, first: int | None, last: int) -> bytes:
        """Return the messages from the first of one kind to the first of another, with their headers."""
        found = b""
        begun = first is None
        for part in self.parts:
            begun = begun or part.kind == first
            if begun:
                found += bytes([part.kind]) + len(part.body).to_bytes(3) + part.body
            if part.kind == last:
                break
        return found
