"""What HTTP, redirection and presence conversations with a device show.

All text in these records is safe to show. None of them holds a password, a nonce, a digest, a ticket or a
cookie: the parsers drop those where they read them.
"""

from typing import Literal, NamedTuple

from amtdiag.model.evidence import Evidence

Denial = Literal["challenge", "stale", "refused", "likely", "open"]
"""Why a 401 came. challenge: the request named nobody, which is how every conversation begins. stale: the
server says that only the nonce was too old. refused: user or password are wrong, because the nonce was fresh:
the server had just given it on this connection, or gave it on another and the client counts this as its first
use. likely: the same, but either the giving was not seen, or the client does not count from one. open: cannot
be told from what was seen."""


class WebServer(NamedTuple):
    """What a device's HTTP answers say of it. Text is safe to show."""

    version: str | None
    """From `Server: Intel(R) Active Management Technology 11.8.50.3425`."""
    status: int
    """Of the first answer; 401 asks for a password."""


class WebCall(NamedTuple):
    """What a SOAP message asks for, by its addresses; what it carries is not kept."""

    protocol: Literal["wsman", "eoi"]
    """WS-Management, or the older SOAP interface (EOI) of AMT 1 to 5."""
    service: str | None
    """Last part of the resource or namespace: AMT_SetupAndConfigurationService, SecurityAdministration."""
    method: str | None
    """Last part of the action: CommitChanges, Get, Put, Enumerate, Pull ..."""
    action: str | None
    """WS-Addressing action, as the request states it."""
    resource: str | None
    selectors: tuple[str, ...] | None
    """Names of the selectors, without values; None where the request was not seen."""
    changes: str | None
    """What the call does to a device, in words, where `amtdiag.protocols.web.return_values` knows it."""


class WebResult(NamedTuple):
    """What a SOAP answer says became of a call."""

    return_value: int | None
    """ReturnValue of WS-Management, Status of EOI; None where the answer has none."""
    name: str | None
    """PT_STATUS_... where the number is a known one."""
    meaning: str | None
    fault: str | None
    """Code of a SOAP fault, without its namespace prefix: Sender, Receiver."""
    subcode: str | None
    """AccessDenied, InvalidSelectors, DestinationUnreachable ..."""
    reason: str | None


class Exchange(NamedTuple):
    """A request and its answer. What was not seen, or not said, is None; `missing` tells which."""

    ts: int
    """Of the first byte that was seen of it."""
    answered: int | None
    """When the first byte of the answer came."""
    evidence: tuple[Evidence, ...]
    """Frames of both, the first few of each."""
    method: str | None
    path: str | None
    """Without query and parameters, which may carry secrets."""
    auth: str | None
    """Scheme that the request's credentials are in: Digest, Negotiate, Basic; None without credentials."""
    user: str | None
    """Named by a digest."""
    digest_short: bool | None
    """A digest's response is absent, empty or shorter than 32 digits, as a probe for CVE-2017-5689 sends it.
    None where there is no digest."""
    status: int | None
    server_version: str | None
    """AMT's, from the Server header of this answer."""
    content_type: str | None
    """Of the answer."""
    offered: tuple[str, ...]
    """Authentication schemes that a 401 offers."""
    realm: str | None
    denial: Denial | None
    """Of a 401."""
    call: WebCall | None
    result: WebResult | None
    missing: tuple[str, ...]
    """request, request body, answer, answer body: parts that were sent, or may have been, and were not
    seen."""
    problems: tuple[str, ...]
    """Why a body that is there was not read."""

    @property
    def succeeded(self) -> bool:
        """A call that was answered well."""
        result = self.result
        return self.status == 200 and result is not None and result.return_value == 0 and not result.fault


class HttpConversation(NamedTuple):
    """An HTTP conversation as far as it was seen."""

    server: WebServer | None
    """None where nothing shows that the server is AMT's."""
    exchanges: tuple[Exchange, ...]
    """In the order of the requests. Answers whose request is not known, and the reverse, stand alone."""
    missing: tuple[str, ...]
    """What is not known of either side's bytes: nothing may be concluded from what is absent there."""
    dropped: int
    """Exchanges beyond those that are kept of one connection."""

    def earlier(self, offset: int) -> "HttpConversation":
        """Return the same by a clock that is so many nanoseconds behind."""
        return self._replace(
            exchanges=tuple(
                one._replace(
                    ts=one.ts - offset, answered=None if one.answered is None else one.answered - offset
                )
                for one in self.exchanges
            )
        )


class Redirection(NamedTuple):
    """A redirection session on 16994 (in the clear) or decrypted from 16995."""

    ts: int
    evidence: tuple[Evidence, ...]
    kind: Literal["SOL", "IDER", "KVM"]
    """Serial over LAN, IDE redirection, remote desktop."""
    started: int | None
    """Status of the answer: 0 means started."""
    meaning: str | None
    offered: tuple[str, ...]
    """Kinds of authentication that the device offers."""
    user: str | None
    digest_short: bool | None
    """See `Exchange.digest_short`."""
    accepted: bool | None
    """The device took the credentials; None where that was not seen."""

    def earlier(self, offset: int) -> "Redirection":
        """Return the same by a clock that is so many nanoseconds behind."""
        return self._replace(ts=self.ts - offset)


class Apf(NamedTuple):
    """A device's conversation with a management presence server (CIRA), where it can be read."""

    ts: int
    evidence: tuple[Evidence, ...]
    version: str | None
    uuid: str | None
    """The device's, from the protocol version message."""
    services: tuple[str, ...]
    user: str | None
    method: str | None
    accepted: bool | None
    """The server took the credentials; None where that was not seen."""
    forwarded: tuple[int, ...]
    """Ports of the device that it asks the server to forward."""

    def earlier(self, offset: int) -> "Apf":
        """Return the same by a clock that is so many nanoseconds behind."""
        return self._replace(ts=self.ts - offset)
