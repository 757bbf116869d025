"""Real HTTP stacks with real digest authentication, recorded on their way through a relay."""

from __future__ import annotations

import hashlib
import http.client
import re
import secrets
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from webtalks import REALM, SERVER, SETUP, Flight, amt_answer, mesh_call, talk_of

from amtdiag.model.web import HttpConversation
from amtdiag.protocols.web.nonces import Nonces

USER, PASSWORD = "admin", "P@ssw0rd"
CALL = mesh_call(SETUP, "CommitChanges", 1)


def md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


def proof(method: str, said: dict[str, str], password: str = PASSWORD) -> str:
    one, two = md5(said["username"], said["realm"], password), md5(method, said["uri"])
    return md5(one, said["nonce"], said["nc"], said["cnonce"], said["qop"], two)


class Device(BaseHTTPRequestHandler):
    """Asks for a digest, checks it, and answers a call."""

    protocol_version = "HTTP/1.1"
    nonces: ClassVar[set[str]] = set()

    def version_string(self) -> str:
        return SERVER

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = dict(re.findall(r'(\w+)="?([^",]*)"?', self.headers.get("Authorization", "")))
        fresh = said.get("nonce") in self.nonces
        if fresh and proof("POST", said) == said["response"]:
            self.send_response(200)
            self.send_header("Content-Type", "application/soap+xml; charset=UTF-8")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            body = amt_answer(SETUP, "CommitChanges", 1)
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            return
        nonce = secrets.token_hex(16)
        self.nonces.add(nonce)
        stale = "true" if said and not fresh else "false"
        self.send_response(401)
        self.send_header(
            "WWW-Authenticate", f'Digest realm="{REALM}", nonce="{nonce}",stale="{stale}",qop="auth"'
        )
        self.send_header("Content-Length", "0")
        self.end_headers()


class Relay:
    """Passes connections on, and keeps what was said on each."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.talks: list[list[Flight]] = []
        self.pumps: list[threading.Thread] = []
        self.acceptor = threading.Thread(target=self.accept)
        self.acceptor.start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target)
                talk: list[Flight] = []
                self.talks.append(talk)
                pump = threading.Thread(target=self.pump, args=(near, far, talk))
                pump.start()
                self.pumps.append(pump)

    @staticmethod
    def pump(near: socket.socket, far: socket.socket, talk: list[Flight]) -> None:
        def carry(source: socket.socket, sink: socket.socket, *, by_client: bool) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    talk.append((by_client, data))
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=carry, args=(far, near), kwargs={"by_client": False})
        back.start()
        carry(near, far, by_client=True)
        back.join()
        near.close()
        far.close()

    def close(self) -> list[HttpConversation]:
        """What was said, read."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join()
        for pump in self.pumps:
            pump.join()
        nonces = Nonces()
        return [talk_of(talk, nonces=nonces, after=1000 * at) for at, talk in enumerate(self.talks)]


@pytest.fixture
def relay() -> Iterator[Relay]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Device)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    relay = Relay(("127.0.0.1", server.server_address[1]))
    yield relay
    server.shutdown()
    server.server_close()
    thread.join()


def by_urllib(port: int, password: str) -> int:
    """urllib makes a connection for every request."""
    passwords = urllib.request.HTTPPasswordMgr()
    passwords.add_password(REALM, f"http://127.0.0.1:{port}", USER, password)
    opener = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(passwords))
    try:
        with opener.open(urllib.request.Request(f"http://127.0.0.1:{port}/wsman", CALL)) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except ValueError:  # urllib gives up after a few refusals
        return 401


@pytest.mark.parametrize(
    ("password", "status", "denials"), [(PASSWORD, 200, ["challenge", None]), ("wrong", 401, None)]
)
def test_urllib(relay: Relay, password: str, status: int, denials: list[str | None] | None) -> None:
    assert by_urllib(relay.port, password) == status
    exchanges = [exchange for talk in relay.close() for exchange in talk.exchanges]
    assert exchanges[-1].status == status
    assert {one.server_version for one in exchanges} == {"15.0.35.2039"}
    assert [one.user for one in exchanges] == [None] + [USER] * (len(exchanges) - 1)
    if denials is None:
        denials = ["challenge", *["refused"] * (len(exchanges) - 1)]
        assert len(exchanges) > 1
    else:
        assert exchanges[-1].result is not None
        assert exchanges[-1].result.return_value == 0
    assert [one.denial for one in exchanges] == denials
    assert PASSWORD not in repr(exchanges)


def test_http_client_on_one_connection(relay: Relay) -> None:
    """A challenge, a wrong password, the right one twice, a nonce that the device never gave."""
    client = http.client.HTTPConnection("127.0.0.1", relay.port)
    nonce, got = "", []
    for count, password in enumerate(["", "wrong", PASSWORD, PASSWORD, "unknown nonce"], 0):
        headers = {}
        if password:
            said = {
                "username": USER, "realm": REALM, "uri": "/wsman", "qop": "auth", "cnonce": "abc",
                "nc": f"{count:08x}", "nonce": "0" * 32 if password == "unknown nonce" else nonce,
            }  # fmt: skip
            said["response"] = proof("POST", said, password)
            headers["Authorization"] = "Digest " + ", ".join(
                f'{key}="{value}"' for key, value in said.items()
            )
        client.request("POST", "/wsman", CALL, headers)
        answer = client.getresponse()
        answer.read()
        got.append(answer.status)
        asked = re.search('nonce="([^"]+)"', answer.headers.get("WWW-Authenticate", ""))
        nonce = asked[1] if asked else nonce
    client.close()
    (talk,) = relay.close()
    assert [one.status for one in talk.exchanges] == got == [401, 401, 200, 200, 401]
    assert [one.denial for one in talk.exchanges] == ["challenge", "refused", None, None, "stale"]
    assert talk.missing == ()
