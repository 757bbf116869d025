"""Secrets that the analyst has, and the conversations that they open.

A key log is handed on as it is. Of a PID and its PPS the master secret of each session is computed here and
proven before it is believed. Secrets stay in this object: no event and no report holds one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from amtdiag.model import TlsTalk
from amtdiag.net.sealed import Sealed
from amtdiag.net.stream import Assembled
from amtdiag.protocols.tls import handshake, messages, psk, records
from amtdiag.protocols.tls.handshake import Raw
from amtdiag.protocols.tls.numbers import (
    CHANGE_CIPHER,
    CLIENT_HELLO,
    HANDSHAKE,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
)

_EXTENDED_MASTER_SECRET, _ENCRYPT_THEN_MAC = 23, 22
_CLIENT_KEY_EXCHANGE = 16
KEY_LOG = "a TLS key log"


class Taken(NamedTuple):
    """A conversation that was kept to be opened."""

    number: int | None
    """In `Opener.sealed`; None where there was no room."""
    key: str | None
    """Whose pre-shared key the client used, in words; None where none that was given fits."""


class Opener:
    """Pre-shared keys by PID, and the conversations that wait for all secrets to be known."""

    def __init__(self, keys: Mapping[str, str], most_bytes: int) -> None:
        self._keys = keys
        self._derived: list[bytes] = []
        self.sealed = Sealed(most_bytes)

    def take(self, client: Assembled, server: Assembled, talk: TlsTalk) -> Taken | None:
        """Keep a conversation if there may be something in it to open; None where there is not."""
        key = self._try_keys(client, server, talk)
        if not (talk.finished or talk.certificates_hidden or key):
            return None
        return Taken(self.sealed.add(client, server), key)

    def key_log(self, given: bytes) -> bytes:
        """Return the given key log, and the lines that were derived from pre-shared keys."""
        return b"\n".join([given, *self._derived, b""])

    def _try_keys(self, client: Assembled, server: Assembled, talk: TlsTalk) -> str | None:
        pid = talk.psk_identity
        pps = self._keys.get(pid.replace("-", "").upper()) if pid else None
        if pps is None:
            return None
        shaken = psk_handshake(client, server)
        if shaken is None:
            return None
        for form in psk.forms(pps):
            master = psk.opens(shaken, form.key)
            if master is not None:
                line = f"CLIENT_RANDOM {shaken.client_random.hex()} {master.hex()}"
                self._derived.append(line.encode("ascii"))
                return f"the PPS that was given for PID {pid}, {form.name}"
        return None


def psk_handshake(client: Assembled, server: Assembled) -> psk.Handshake | None:
    """Return what a TLS-PSK session's keys are made of; None where some of it is missing. Never raises."""
    ours, theirs = _Said.of(client, from_client=True), _Said.of(server, from_client=False)
    if ours is None or theirs is None or ours.sealed is None:
        return None
    first, chosen = ours.message(CLIENT_HELLO), theirs.message(SERVER_HELLO)
    if first is None or chosen is None or ours.message(_CLIENT_KEY_EXCHANGE) is None:
        return None
    hello, answer = messages.pull_client_hello(first.body), messages.pull_server_hello(chosen.body)
    if isinstance(hello, messages.Malformed) or isinstance(answer, messages.Malformed):
        return None
    transcript = None
    if _EXTENDED_MASTER_SECRET in answer.extensions:
        # A session ticket of the server comes behind ClientKeyExchange, and does not count.
        head = ours.text(CLIENT_HELLO, CLIENT_HELLO)
        transcript = head + theirs.text(SERVER_HELLO, SERVER_HELLO_DONE)
        transcript += ours.text(None, _CLIENT_KEY_EXCHANGE)[len(head) :]
    return psk.Handshake(
        version=answer.version,
        suite=answer.suite,
        client_random=hello.random,
        server_random=answer.random,
        transcript=transcript,
        encrypt_then_mac=_ENCRYPT_THEN_MAC in answer.extensions,
        finished=ours.sealed,
    )


class _Said(NamedTuple):
    """What one side says in the clear, and its first encrypted record."""

    parts: tuple[Raw, ...]
    sealed: bytes | None

    @classmethod
    def of(cls, stream: Assembled, *, from_client: bool) -> _Said | None:
        """Return what a side says; None where some of it is missing."""
        gaps = records.Gaps(stream.gaps)
        found = records.read(stream, gaps) if stream.anchored else None
        if found is None:
            return None
        kinds = [one.kind for one in found.records]
        change = kinds.index(CHANGE_CIPHER) if CHANGE_CIPHER in kinds else len(kinds)
        parts = handshake.read(stream.data, gaps, found, change, from_client=from_client).parts
        if any(not isinstance(part, Raw) for part in parts):
            return None
        sealed = next((one for one in found.records[change + 1 :] if one.kind == HANDSHAKE), None)
        reach = stream.gaps[0][0] if stream.gaps else len(stream.data)
        body = stream.data[sealed.start : sealed.end] if sealed is not None and sealed.end <= reach else None
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
