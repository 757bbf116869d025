"""With a key log, or PID and PPS, what is said within TLS is read; and no secret comes out anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import struct
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers import SAMPLES, run

pytest.importorskip("scapy")
from scenarios import tls
from scenarios.containers import render
from scenarios.conversation import Conversation
from scenarios.packets import Trace
from scenarios.scenarios import FIRST_START
from scenarios.scene import Scene
from scenarios.tls import Flight
from scenarios.web import PASSWORD, Session

from amtdiag.api.analysis import Analysis, read
from amtdiag.config import Limits, Options
from amtdiag.pipeline import diagnose
from amtdiag.protocols.pid import read_pairs
from amtdiag.simulator import chains
from amtdiag.simulator.certificates import device_identity
from amtdiag.simulator.hosts import network

pytestmark = pytest.mark.usefixtures("tshark")

NEW_PASSWORD = "Another-Passw0rd1"
PPS = "NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XJ"
PAIR = f"0000-037M {PPS}\n"


class Capture(NamedTuple):
    path: Path
    key_log: Path


def flights(folder: Path, version: ssl.TLSVersion, session: Session) -> list[Flight]:
    """OpenSSL carries a session with the device's web server; the keys go to keys.log."""
    identity = device_identity()
    (folder / "identity.pem").write_bytes(identity.key + identity.chain)
    near = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    near.check_hostname, near.verify_mode = False, ssl.CERT_NONE
    near.keylog_filename = str(folder / "keys.log")
    far = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    far.load_cert_chain(folder / "identity.pem")
    near.minimum_version = near.maximum_version = version
    pipes = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in range(2)]
    ends = [near.wrap_bio(*pipes[0]), far.wrap_bio(*pipes[1], server_side=True)]
    said: list[Flight] = []

    def carry(side: int) -> None:
        data = pipes[side][1].read()
        if data:
            said.append(Flight(side == 0, data))
            pipes[1 - side][0].write(data)

    for _ in range(4):
        for side in (0, 1):
            with contextlib.suppress(ssl.SSLWantReadError):
                ends[side].do_handshake()
            carry(side)
    for message in session.said:
        side = 0 if message.from_client else 1
        ends[side].write(message.data)
        carry(side)
        with contextlib.suppress(ssl.SSLWantReadError):
            while ends[1 - side].read(65536):
                pass
    return said


@pytest.fixture(scope="module", params=["TLSv1_2", "TLSv1_3"])
def capture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """A provisioning within TLS, to its commit."""
    folder = tmp_path_factory.mktemp("secrets")
    scene = Scene(Trace(request.param), network(1), FIRST_START)
    device = scene.net.device()
    session = Session(device.ip)
    session.challenge()
    session.reads()
    session.returns("SetMEBxPassword", 0, f"Password={NEW_PASSWORD}")
    session.returns("CommitChanges", 0)
    closed = scene.hello(device, scene.boot(device, scene.start))
    scene.back_tls(device, closed, flights(folder, ssl.TLSVersion[request.param], session))
    path = folder / "trace.pcapng"
    path.write_bytes(render(scene.trace.ordered(), "pcapng"))
    return Capture(path, folder / "keys.log")


def with_secrets_inside(capture: Capture, kind: int = 0x544C534B) -> Path:
    """The same capture with a decryption-secrets block behind its section header, as editcap does it."""
    data, secrets = capture.path.read_bytes(), capture.key_log.read_bytes()
    body = struct.pack("<II", kind, len(secrets)) + secrets + bytes(-len(secrets) % 4)
    block = struct.pack("<II", 10, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
    size = int.from_bytes(data[4:8], "little")
    path = capture.path.with_name("inside.pcapng")
    path.write_bytes(data[:size] + block + data[size:])
    return path


def analysed(*words: str | Path) -> dict[str, Any]:
    ran = run("analyze", "--json", "--fail-on", "never", *words)
    assert (ran.code, ran.err) == (0, "")
    found: dict[str, Any] = json.loads(ran.text)
    return found


def lines_of(*words: str | Path) -> list[dict[str, Any]]:
    ran = run("analyze", "--jsonl", "--fail-on", "never", *words)
    assert (ran.code, ran.err) == (0, "")
    return [json.loads(line) for line in ran.text.splitlines()]


def calls(lines: list[dict[str, Any]]) -> list[str]:
    talks = [line["http"] for line in lines if line["event_type"] == "connection" and line["http"]]
    return [one["call"]["method"] for talk in talks for one in talk["exchanges"] if one["call"]]


def test_without_secrets_the_commit_is_not_seen(capture: Capture) -> None:
    found = analysed(capture.path)
    assert found["devices"][0]["mode"]["name"] == "setup"
    assert calls(lines_of(capture.path)) == []


@pytest.mark.parametrize("inside", [False, True], ids=["key log", "in the capture"])
def test_what_the_secrets_open_is_read(capture: Capture, inside: bool) -> None:
    words = [with_secrets_inside(capture)] if inside else [capture.path, "--keylog", capture.key_log]
    found = analysed(*words)
    assert found["devices"][0]["mode"]["name"] == "operational"
    assert found["devices"][0]["mode"]["basis"] == "observed"
    assert [one["name"] for one in found["devices"][0]["stages"]][-3:] == [
        "authentication", "commit", "operational",
    ]  # fmt: skip
    lines = lines_of(*words)
    assert calls(lines) == ["Get", "Get", "SetMEBxPassword", "CommitChanges"]
    (link,) = [line for line in lines if line["event_type"] == "connection" and line["http"]]
    assert link["opened_by"] == "a TLS key log"
    frames = [frame["frame"] for one in link["http"]["exchanges"] for frame in one["evidence"]]
    assert frames == sorted(frames)
    assert all(1 <= frame <= found["captures"][0]["packets"] for frame in frames)
    assert "1 of 1 TLS conversations with devices were decrypted" in run("analyze", *words).text


def test_secrets_in_a_running_event_loop(capture: Capture) -> None:
    """As in Jupyter: what waits for tshark must not need a loop of its own."""

    async def cell() -> Analysis:
        return read(capture.path, keylog=capture.key_log)

    opened = [one.opened_by for one in asyncio.run(cell()).diagnosis.connections if one.opened_by]
    assert opened


def refused_13(folder: Path) -> Capture:
    """TLS 1.3: the server shows a chain whose root the device does not list, and OpenSSL refuses it."""
    suffix = network(1).suffix
    identities = {"near": chains.of_foreign_root(suffix), "far": device_identity()}
    for name, identity in identities.items():
        (folder / f"{name}.pem").write_bytes(identity.key + identity.chain)
    near, far = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    near.check_hostname, near.verify_mode = False, ssl.CERT_NONE
    near.keylog_filename = str(folder / "keys.log")
    far.verify_mode = ssl.CERT_REQUIRED
    near.load_cert_chain(folder / "near.pem")
    far.load_cert_chain(folder / "far.pem")
    near.minimum_version = ssl.TLSVersion.TLSv1_3
    pipes = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in range(2)]
    ends = [near.wrap_bio(*pipes[0]), far.wrap_bio(*pipes[1], server_side=True)]
    said: list[Flight] = []
    for side in (0, 1, 0, 1):
        with contextlib.suppress(ssl.SSLError):
            ends[side].do_handshake()
        data = pipes[side][1].read()
        said.append(Flight(side == 0, data))
        pipes[1 - side][0].write(data)
    scene = Scene(Trace("refused"), network(1), FIRST_START)
    device = scene.net.device()
    scene.back_tls(device, scene.hello(device, scene.boot(device, scene.start)), said)
    path = folder / "refused.pcapng"
    path.write_bytes(render(scene.trace.ordered(), "pcapng"))
    return Capture(path, folder / "keys.log")


def test_certificates_of_tls_13(tmp_path: Path) -> None:
    """Encrypted, they are said to be; opened, they are judged as any other chain."""
    path, key_log = refused_13(tmp_path)
    hidden = analysed(path)
    assert [one["rule"] for one in hidden["findings"] if one["severity"] == "error"] == []
    assert any("--keylog" in one["would_decide"] for one in hidden["unknowns"])
    opened = analysed(path, "--keylog", key_log)
    first = opened["findings"][0]
    assert (first["rule"], first["catalogue"], first["severity"]) == ("chain-root-not-listed", "F19", "error")
    assert "alert 48 (unknown CA" in first["summary"]
    assert not any("TLS handshake" in one["what"] for one in opened["unknowns"])


def test_no_secret_comes_out(capture: Capture, tmp_path: Path) -> None:
    inside = with_secrets_inside(capture)
    said = [
        run("analyze", *words, inside, "--keylog", capture.key_log).text
        for words in (["--json"], ["--jsonl"], ["-o", tmp_path / "report"])
    ]
    said += [path.read_text("utf-8") for path in (tmp_path / "report").glob("*.*")]
    said.append(repr(diagnose([inside])))
    lines = [line.split() for line in capture.key_log.read_text().splitlines() if line[0] != "#"]
    keys = [line[2] for line in lines]
    assert keys
    for secret in (*keys, PASSWORD, NEW_PASSWORD):
        assert not any(secret in text for text in said), secret


@pytest.mark.parametrize("sample", ["psk-hello", "psk-differs"])
def test_pid_and_pps(tmp_path: Path, sample: str) -> None:
    file = tmp_path / "keys.txt"
    file.write_text("# of the pilot\n" + PAIR.replace("-", "").lower().replace("0000037m", "0000037M,"))
    words: list[str | Path] = [next(SAMPLES.glob(f"{sample}.pcap*")), "--psk", file]
    (link, *_) = [one for one in lines_of(*words) if one["event_type"] == "connection" and one["opened_by"]]
    assert link["opened_by"] == "the PPS that was given for PID 0000037M, the 32 characters without dashes"
    assert bool(link["http"]) == (sample == "psk-hello")
    for face in ("--json", "--jsonl"):
        text = run("analyze", face, *words).text
        assert PPS not in text
        assert PPS.replace("-", "") not in text


def test_another_pps_opens_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    wrong = "AAAF" * 8
    assert read_pairs(f"0000037M {wrong}".encode()) == (("0000037M", wrong),)
    file.write_text(f"0000037M {wrong}\n")
    lines = lines_of(SAMPLES / "psk-hello.pcapng", "--psk", file)
    assert not any(one.get("opened_by") for one in lines)
    assert not any(one.get("http") for one in lines)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no pair"),
        (f"0000-037N {PPS}", "line 1 is no PID and PPS"),
        (f"\n0000-037M {PPS[:-1]}K", "line 2 is no PID and PPS"),
        (f"0000-037M {PPS} more", "line 1 is no PID and PPS"),
        ("\x1b[31m", "line 1 is no PID and PPS"),
    ],
)
def test_a_file_that_holds_no_pairs(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(content)
    ran = run("analyze", SAMPLES / "psk-hello.pcapng", "--psk", file)
    assert ran.code == 2
    assert says in ran.err
    assert PPS[:8] not in ran.err
    assert ran.err.count("\n") == 1


def test_without_tshark(capture: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = run("analyze", capture.path, "--keylog", capture.key_log)
    assert ran.code == 4
    assert "tshark is needed" in ran.err
    ran = run("analyze", with_secrets_inside(capture), "--fail-on", "never")
    assert ran.code == 0
    assert "brings secrets along: tshark is needed" in " ".join(ran.text.split())


def test_secrets_of_another_kind(capture: Capture) -> None:
    text = run("analyze", with_secrets_inside(capture, 0x57474B4C), "--fail-on", "never").text
    assert "secrets that are no TLS key log" in " ".join(text.split())
    assert "decrypted" not in text


def test_there_is_room_for_so_many(capture: Capture) -> None:
    options = Options(key_log=capture.key_log.read_bytes(), limits=Limits(sealed_bytes=1000))
    found = diagnose([capture.path], options)
    assert found.notes == ("1 TLS conversations were not kept for decryption: too many bytes of them",)


def test_secrets_for_nothing(capture: Capture) -> None:
    text = run("analyze", SAMPLES / "no-connect-back.pcapng", "--keylog", capture.key_log).text
    assert "no TLS conversation with a device that they could open" in " ".join(text.split())


@pytest.mark.parametrize("port", [16995, 4433])
def test_the_handshake_of_redirection_and_of_a_presence_server(port: int, tmp_path: Path) -> None:
    """It is read, and what it carries with it: the beginning is enough."""
    scene = Scene(Trace("elsewhere"), network(1), FIRST_START)
    device, other = scene.net.device(), scene.net.server
    one, two = (device, other) if port == 4433 else (other, device)
    talk = Conversation(scene.trace, one, two, port, scene.hello(device, scene.boot(device, scene.start)))
    talk.open()
    for flight in tls.session(scene.net.suffix, device.ip):
        talk.send(talk.client if flight.from_client else talk.server, flight.data)
    talk.close(talk.client)
    path = tmp_path / "elsewhere.pcapng"
    path.write_bytes(render(scene.trace.ordered(), "pcapng"))
    (link,) = [one for one in diagnose([path]).connections if one.ends.dport == port]
    assert link.tls is not None
    assert (link.tls.finished, link.tls.version) == (True, 0x0303)
    assert link.tls.client_chain is not None
    assert len(link.tls.client_chain.der) == 2
    assert (link.talk, link.redirection, link.apf) == (None, None, None)
