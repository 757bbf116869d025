"""Keys of TLS-PSK sessions, held against OpenSSL: it talks to itself, and its own key log is the truth."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from scenarios.psk import CIPHER_SUITE, session

from amtdiag.protocols.tls.psk import SUITES, PskHandshake, forms, opens

PPS = "NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XJ"
KEY = PPS.replace("-", "").encode()
EMS, ETM = 23, 22


class Recorded(NamedTuple):
    handshake: PskHandshake
    master: bytes
    """From OpenSSL's key log."""


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 5 <= len(data):
        length = int.from_bytes(data[at + 3 : at + 5])
        yield data[at], data[at + 5 : at + 5 + length]
        at += 5 + length


def clear_messages(data: bytes) -> tuple[bytes, bytes]:
    """Handshake messages before ChangeCipherSpec, and the first record after it."""
    messages, changed = b"", False
    for kind, body in records(data):
        if changed:
            return messages, body
        changed = kind == 20
        messages += body if kind == 22 else b""
    return messages, b""


def through_done(messages: bytes) -> bytes:
    """A server's messages through ServerHelloDone: a session ticket comes after ClientKeyExchange."""
    at = 0
    while messages[at] != 14:
        at += 4 + int.from_bytes(messages[at + 1 : at + 4])
    return messages[: at + 4]


def server_extensions(hello: bytes) -> set[int]:
    at = 4 + 2 + 32
    at += 1 + hello[at] + 3
    end, found = at + 2 + int.from_bytes(hello[at : at + 2]), set()
    at += 2
    while at < end:
        kind, length = struct.unpack(">HH", hello[at : at + 4])
        found.add(kind)
        at += 4 + length
    return found


def as_handshake(client: bytes, server: bytes) -> PskHandshake:
    ours, finished = clear_messages(client)
    theirs, _ = clear_messages(server)
    first = 4 + int.from_bytes(ours[1:4])
    client_hello, key_exchange = ours[:first], ours[first:]
    session_id = theirs[4 + 34]
    has = server_extensions(theirs[: 4 + int.from_bytes(theirs[1:4])])
    return PskHandshake(
        version=int.from_bytes(theirs[4:6]),
        suite=int.from_bytes(theirs[39 + session_id : 41 + session_id]),
        client_random=client_hello[6:38],
        server_random=theirs[6:38],
        transcript=client_hello + through_done(theirs) + key_exchange if EMS in has else None,
        encrypt_then_mac=ETM in has,
        finished=finished,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def carry(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            kept += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def record_session(openssl: Path, folder: Path, *words: str) -> tuple[bytes, bytes, Path]:
    """What s_client and s_server say to each other through us, and the key log of the client."""
    port, log = free_port(), folder / "keys.log"
    common = ["-psk", KEY.hex(), *words]
    command = [str(openssl), "s_server", "-accept", str(port), "-nocert", "-quiet", "-naccept", "1", *common]
    with started(command) as server, socket.socket() as front:
        front.bind(("127.0.0.1", 0))
        front.listen()
        here = front.getsockname()[1]
        command = [str(openssl), "s_client", "-connect", f"127.0.0.1:{here}", "-psk_identity", "0000037M"]
        with started([*command, "-keylogfile", str(log), *common]) as client:
            near, _ = front.accept()
            far = reached(port)
            said, heard = bytearray(), bytearray()
            ways = [
                threading.Thread(target=carry, args=way) for way in ((near, far, said), (far, near, heard))
            ]
            for way in ways:
                way.start()
            assert client.stdin is not None
            deadline = time.monotonic() + 10
            while not (log.exists() and clear_messages(bytes(heard))[1]) and time.monotonic() < deadline:
                time.sleep(0.01)
            client.stdin.close()
            client.wait(10)
            near.close()
            far.close()
            for way in ways:
                way.join(10)
        server.kill()
    return bytes(said), bytes(heard), log


def reached(port: int) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


SESSIONS = [
    *((version, suite) for version in ("tls1", "tls1_1", "tls1_2") for suite in (0x008C, 0x008D)),
    *(("tls1_2", suite) for suite in (0x00A8, 0x00A9, 0x00AE, 0x00AF, 0xCCAB, 0x002C)),
]
NAMES = {
    0x002C: "PSK-NULL-SHA",
    0x008C: "PSK-AES128-CBC-SHA",
    0x008D: "PSK-AES256-CBC-SHA",
    0x00A8: "PSK-AES128-GCM-SHA256",
    0x00A9: "PSK-AES256-GCM-SHA384",
    0x00AE: "PSK-AES128-CBC-SHA256",
    0x00AF: "PSK-AES256-CBC-SHA384",
    0xCCAB: "PSK-CHACHA20-POLY1305",
}


@pytest.mark.parametrize("bound", [True, False], ids=["bound", "plain"])
@pytest.mark.parametrize(
    ("version", "suite"), SESSIONS, ids=lambda one: one if isinstance(one, str) else hex(one)
)
def test_openssl(need: Callable[[str], Path], tmp_path: Path, version: str, suite: int, bound: bool) -> None:
    """`bound`: with extended master secret and encrypt-then-MAC, which OpenSSL offers unless told."""
    words = [f"-{version}", "-cipher", f"{NAMES[suite]}:@SECLEVEL=0"]
    if not bound:
        config = tmp_path / "openssl.cnf"
        config.write_text(
            "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n"
            "[c]\nOptions = -ExtendedMasterSecret,-EncryptThenMac\n"
        )
    with pytest.MonkeyPatch.context() as patch:
        if not bound:
            patch.setenv("OPENSSL_CONF", str(tmp_path / "openssl.cnf"))
        client, server, log = record_session(need("openssl"), tmp_path, *words)
    handshake = as_handshake(client, server)
    assert handshake.suite == suite
    assert (handshake.transcript is not None) == bound
    line = next(one.split() for one in log.read_text().splitlines() if one.startswith("CLIENT_RANDOM"))
    assert bytes.fromhex(line[1]) == handshake.client_random
    assert opens(handshake, KEY) == bytes.fromhex(line[2])
    assert opens(handshake, KEY[:-1] + b"K") is None


@pytest.mark.parametrize("form", forms(PPS), ids=lambda form: form.name)
def test_which_form_was_used(form: tuple[str, bytes]) -> None:
    flights = session(random.Random(7), "0000037M", form[1], host="10.0.0.1")
    client = b"".join(flight.data for flight in flights if flight.from_client)
    server = b"".join(flight.data for flight in flights if not flight.from_client)
    handshake = as_handshake(client, server)
    assert handshake.suite == CIPHER_SUITE
    assert [one.name for one in forms(PPS) if opens(handshake, one.key)] == [form[0]]


@pytest.mark.parametrize("suite", [*SUITES, 0xC02F, 0x0000])
@pytest.mark.parametrize("finished", [b"", b"\0", bytes(16), bytes(31), b"\xff" * 64, bytes(200)])
@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0303, 0x0304])
@pytest.mark.parametrize("etm", [True, False])
def test_rubbish_opens_nothing(suite: int, finished: bytes, version: int, etm: bool) -> None:
    handshake = PskHandshake(version, suite, bytes(32), bytes(32), None, etm, finished)
    assert opens(handshake, KEY) is None
