"""Which digest nonces were given and used: what tells a wrong password from a nonce that is merely too old.

MeshCommander and MeshCentral close the connection after a 401 and answer it on the next, half a second later
(amt-wsman-node-0.2.0.js), so nonces are remembered from one connection to the others. They stay in here.
"""

from __future__ import annotations

from amtdiag.model.web import Denial
from amtdiag.protocols.web.credentials import Asked, Sent
from amtdiag.times import SECOND

_REMEMBERED = 4096
_LONGEST = 256
_FRESH = 10 * SECOND
"""So long a nonce of another connection may count as fresh with a client whose count runs on. That proves
nothing: an earlier use of it may not have been captured."""


class Nonces:
    """The nonces of one run, the last few thousand: by each, when it was given, or None once it was used."""

    def __init__(self) -> None:
        self._given: dict[bytes, int | None] = {}
        self._here = b""
        """The last one given on the present connection."""

    def begin(self) -> None:
        """Take note that another connection is read."""
        self._here = b""

    def give(self, nonce: bytes, at: int) -> None:
        """Take note of a nonce from a server."""
        if nonce and len(nonce) <= _LONGEST:
            self._put(nonce, None if nonce in self._given else at)
            self._here = nonce

    def judge(self, sent: Sent | None, asked: Asked | None, at: int) -> Denial | None:
        """Say why a request, sent at a time, got a 401; None where it got none. Call once a request."""
        denial: Denial | None = None
        if asked is not None:
            denial = "challenge" if sent is None else "stale" if asked.stale else self._denial(sent, at)
        if sent is not None and sent.nonce and len(sent.nonce) <= _LONGEST:
            self._put(sent.nonce, None)
        return denial

    def _denial(self, sent: Sent, at: int) -> Denial:
        if sent.scheme == "Basic":
            return "refused"
        if not sent.nonce or len(sent.nonce) > _LONGEST:
            return "open"
        if sent.nonce not in self._given:
            return "likely" if sent.first_use else "open"
        given = self._given[sent.nonce]
        if given is None or given > at:
            return "open"
        if sent.first_use or sent.nonce == self._here:
            return "refused"
        return "likely" if at - given <= _FRESH else "open"

    def _put(self, nonce: bytes, given: int | None) -> None:
        if len(self._given) >= _REMEMBERED and nonce not in self._given:
            del self._given[next(iter(self._given))]
        self._given[nonce] = given
