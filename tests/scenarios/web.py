"""What servers say to a device's web server, and what it answers: HTTP digest and WS-Management.

The envelopes are like those of Open AMT and MeshCommander; digests are computed with the sample's password.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from amtdiag.simulator.wsman import AMT, FAULT_ACTION, REALM, USER

SETUP = f"{AMT}AMT_SetupAndConfigurationService"
GENERAL = f"{AMT}AMT_GeneralSettings"
GET = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get"
PASSWORD = "Sample-Passw0rd"
_ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
_NAMESPACES = (
    'xmlns:a="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:b="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:c="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"'
)


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message of one side."""

    from_client: bool
    data: bytes


def call(method: str, *fields: str, resource: str = SETUP) -> tuple[str, str, str]:
    """Action, resource and body of a call."""
    body = "".join(
        f"<r:{name}>{value}</r:{name}>" for name, _, value in (one.partition("=") for one in fields)
    )
    return (
        f"{resource}/{method}",
        resource,
        f'<r:{method}_INPUT xmlns:r="{resource}">{body}</r:{method}_INPUT>',
    )


@dataclass(slots=True)
class Session:
    """One HTTP connection between a server and a device; every step adds what both say."""

    host: str
    version: str = "11.8.50.3425"
    password: str = PASSWORD
    """What the server believes; the device knows `PASSWORD`."""
    said: list[SentMessage] = field(default_factory=list)
    _nonce: str = ""
    _count: int = 0
    _messages: int = 0

    def challenge(self, action: str = GET, resource: str = GENERAL, body: str = "") -> None:
        """The first request names nobody, and is answered with a nonce."""
        self._ask(self._envelope(action, resource, body))
        self._refuse()

    def ask(self, action: str, resource: str, body: str, answer: str = "", status: str = "200 OK") -> None:
        """A request with credentials, and its answer."""
        self._ask(self._envelope(action, resource, body), self._authorization())
        if self.password != PASSWORD:
            self._refuse()
            return
        self._answer(status, self._reply(f"{action}Response", answer))

    def returns(self, method: str, value: int, *fields: str, resource: str = SETUP) -> None:
        """A call, and its ReturnValue."""
        inner = f"<g:ReturnValue>{value}</g:ReturnValue>"
        output = f'<g:{method}_OUTPUT xmlns:g="{resource}">{inner}</g:{method}_OUTPUT>'
        self.ask(*call(method, *fields, resource=resource), answer=output)

    def fails(self, method: str, subcode: str, reason: str, *fields: str, resource: str = SETUP) -> None:
        """A call that is answered with a fault."""
        fault = (
            f"<a:Fault><a:Code><a:Value>a:Sender</a:Value><a:Subcode><a:Value>b:{subcode}</a:Value></a:Subcode>"
            f'</a:Code><a:Reason><a:Text xml:lang="en-US">{reason}</a:Text></a:Reason></a:Fault>'
        )
        self._ask(self._envelope(*call(method, *fields, resource=resource)), self._authorization())
        self._answer("400 Bad Request", self._reply(FAULT_ACTION, fault))

    def unanswered(self, method: str, *fields: str, resource: str = SETUP) -> None:
        """A call, after which the device says no more."""
        self._ask(self._envelope(*call(method, *fields, resource=resource)), self._authorization())

    def reads(self, resource: str = GENERAL) -> None:
        """What every tool does first: Get."""
        self.ask(GET, resource, "", f'<g:Answer xmlns:g="{resource}"><g:HostName>PC</g:HostName></g:Answer>')

    def probe(self, *, succeeds: bool) -> None:
        """An empty digest, as the scanners for CVE-2017-5689 send it."""
        said = self._authorization()
        at = said.index("response=") + len("response=")
        self._ask(
            "", f'{said[:at]}"{said[at + 34 :]}'.replace('response="', 'response=""'), "GET", "/index.htm"
        )
        if succeeds:
            self._answer("200 OK", "<html>Intel Active Management Technology</html>", "text/html")
        else:
            self._refuse()

    def _authorization(self) -> str:
        self._count += 1
        count, other = (
            f"{self._count:08x}",
            hashlib.md5(self._nonce.encode(), usedforsecurity=False).hexdigest(),
        )
        one = _md5(f"{USER}:{REALM}:{self.password}")
        two = _md5("POST:/wsman")
        answer = _md5(f"{one}:{self._nonce}:{count}:{other[:16]}:auth:{two}")
        return (
            f'Digest username="{USER}",realm="{REALM}",nonce="{self._nonce}",uri="/wsman",qop=auth,'
            f'nc={count},cnonce="{other[:16]}",response="{answer}"'
        )

    def _ask(self, body: str, authorization: str = "", method: str = "POST", path: str = "/wsman") -> None:
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}:16992\r\n"
        if authorization:
            head += f"Authorization: {authorization}\r\n"
        if body:
            head += f"Content-Type: application/soap+xml;charset=UTF-8\r\nContent-Length: {len(body)}\r\n"
        self.said.append(SentMessage(True, (head + "\r\n" + body).encode("ascii")))

    def _refuse(self) -> None:
        self._nonce = _md5(f"{self.host}/{len(self.said)}")
        self._count = 0
        head = (
            "HTTP/1.1 401 Unauthorized\r\n"
            f'WWW-Authenticate: Digest realm="{REALM}", nonce="{self._nonce}",stale="false",qop="auth"\r\n'
            f"Content-Type: text/html\r\n{self._server()}Content-Length: 11\r\n\r\n"
        )
        self.said.append(SentMessage(False, head.encode("ascii") + b"<html/>\r\n\r\n"))

    def _answer(self, status: str, body: str, kind: str = "application/soap+xml; charset=UTF-8") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{self._server()}"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        self.said.append(SentMessage(False, (head + body).encode("ascii")))

    def _server(self) -> str:
        return f"Server: Intel(R) Active Management Technology {self.version}\r\n"

    def _envelope(self, action: str, resource: str, body: str) -> str:
        self._messages += 1
        return (
            f'<?xml version="1.0" encoding="utf-8"?><a:Envelope {_NAMESPACES}><a:Header>'
            f"<b:Action>{action}</b:Action><b:To>/wsman</b:To><c:ResourceURI>{resource}</c:ResourceURI>"
            f"<b:MessageID>{self._messages}</b:MessageID>"
            f"<b:ReplyTo><b:Address>{_ANONYMOUS}</b:Address></b:ReplyTo></a:Header>"
            f"<a:Body>{body}</a:Body></a:Envelope>"
        )

    def _reply(self, action: str, body: str) -> str:
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><a:Envelope {_NAMESPACES}><a:Header>'
            f"<b:To>{_ANONYMOUS}</b:To><b:RelatesTo>{self._messages}</b:RelatesTo>"
            f'<b:Action a:mustUnderstand="true">{action}</b:Action></a:Header>'
            f"<a:Body>{body}</a:Body></a:Envelope>"
        )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("ascii"), usedforsecurity=False).hexdigest()
