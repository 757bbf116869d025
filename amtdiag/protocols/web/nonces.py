"""Which digest nonces were given and used: a wrong password, or a nonce that is merely too old.

MeshCommander and MeshCentral close the connection after a 401 and answer it on the next, half a second later
(amt-wsman-node-0.2.0.js), so nonces are remembered from one connection to the others. They stay in here.
"""

from __future__ import annotations

from amtdiag.model.web import Denial
from amtdiag.protocols.web.credentials import Challenge, Credentials
from amtdiag.times import SECOND

_MAX_REMEMBERED = 4096
_MAX_NONCE = 256
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
        """Take note of a nonce from a server, given at a time in ns."""
        if nonce and len(nonce) <= _MAX_NONCE:
            self._put(nonce, None if nonce in self._given else at)
            self._here = nonce

    def judge(self, credentials: Credentials | None, challenge: Challenge | None, at: int) -> Denial | None:
        """Say why a request, sent at a time in ns, got a 401; None where it got none. Call once a request."""
        denial: Denial | None = None
        if challenge is not None:
            if credentials is None:
                denial = "challenge"
            else:
                denial = "stale" if challenge.stale else self._denial(credentials, at)
        if credentials is not None and credentials.nonce and len(credentials.nonce) <= _MAX_NONCE:
            self._put(credentials.nonce, None)
        return denial

    def _denial(self, credentials: Credentials, at: int) -> Denial:
        nonce = credentials.nonce
        if credentials.scheme == "Basic":
            return "refused"
        if not nonce or len(nonce) > _MAX_NONCE:
            return "open"
        if nonce not in self._given:
            return "likely" if credentials.first_use else "open"
        given = self._given[nonce]
        if given is None or given > at:
            return "open"
        if credentials.first_use or nonce == self._here:
            return "refused"
        return "likely" if at - given <= _FRESH else "open"

    def _put(self, nonce: bytes, given: int | None) -> None:
        if len(self._given) >= _MAX_REMEMBERED and nonce not in self._given:
            del self._given[next(iter(self._given))]
        self._given[nonce] = given
