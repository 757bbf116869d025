"""`amtdiag simulate device` as a process of its own, on addresses of the loopback interface.

The other end is the test: it hears Hellos with a plain socket, and speaks HTTP digest with urllib.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import run

from amtdiag.model import Hello
from amtdiag.protocols.hello import parse
from amtdiag.simulator.scenarios import SCENARIOS

WITHOUT_SCAPY = "import sys; sys.modules['scapy'] = None; from amtdiag.cli.main import entry; entry()"
SETUP = "http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SetupAndConfigurationService"
COMMIT = f"<a:Action>{SETUP}/CommitChanges</a:Action><w:ResourceURI>{SETUP}</w:ResourceURI>"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Where Hellos go."""
    with socket.create_server(("127.0.0.1", 0)) as ear:
        ear.settimeout(20)
        yield ear


def heard(ear: socket.socket) -> Hello:
    talk, _ = ear.accept()
    data = b""
    with talk:
        while piece := talk.recv(4096):
            data += piece
    found = parse(data)
    assert isinstance(found, Hello)
    assert found.complete
    return found


@contextmanager
def devices(
    server: socket.socket, address: str, *words: str, by: Sequence[str | Path] = ()
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [
            *(*by, sys.executable, "-c", WITHOUT_SCAPY, "simulate", "device", "--server", "127.0.0.1"),
            *("--port", str(server.getsockname()[1]), "--bind", address, *words),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_device_is_provisioned_by_what_others_wrote(server: socket.socket) -> None:
    words = ("--type", "psk", "--plain", "--password", "Geheim-1", "--stay", "0.2", "--jsonl")
    with devices(server, "127.0.77.1", *words) as process:
        hello = heard(server)
        assert (hello.type, hello.pid, hello.retry_count) == ("psk", "0000037M", 0)
        assert answer("127.0.77.1", "Geheim-2").startswith("401")
        assert "<g:ReturnValue>0</g:ReturnValue>" in answer("127.0.77.1", "Geheim-1")
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line["uuid"] for line in lines} == {hello.uuid}
    told = [line["event_type"] for line in lines if line["event_type"] != "note"]
    assert told.count("hello") == told.count("commit") == 1
    assert any(line["text"] == "/wsman: 401" for line in lines)
    assert f"1 of 1 devices provisioned; 1 Hellos, {told.count('connection')} connections back" in err
    assert "Geheim" not in out + err


def answer(address: str, password: str) -> str:
    """The answer to CommitChanges, by a digest client that is not ours."""
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, f"http://{address}:16992/", "admin", password)
    opener = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(passwords))
    body = f"<Envelope><Header>{COMMIT}<a:MessageID>1</a:MessageID></Header><Body></Body></Envelope>"
    try:
        with opener.open(f"http://{address}:16992/wsman", body.encode(), timeout=10) as got:
            return str(got.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code}"


def test_several_devices_say_several_hellos_and_a_signal_ends_them(server: socket.socket) -> None:
    with devices(server, "127.0.77.2", "--count", "3", "--interval", "0.3") as process:
        hellos = [heard(server) for _ in range(9)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1, err
    assert {one.uuid: 0 for one in hellos} == {one.uuid: 0 for one in hellos[:3]}
    assert sorted((one.retry_count or 0) for one in hellos) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert "they share an address" in err
    assert "0 of 3 devices provisioned" in err
    assert out.count("Hello to 127.0.0.1") >= 8


def test_what_it_will_do_is_said_before_and_nothing_is_done_without_an_address(server: socket.socket) -> None:
    ran = run("simulate", "device")
    assert ran.code == 2
    assert "--server" in ran.err
    port = str(server.getsockname()[1])
    ran = run(
        "simulate", "device", "--server", "127.0.0.1", "--port", port, "--dry-run", "--domain", "a.example"
    )
    assert (ran.code, ran.out) == (0, b"")
    for words in (f"127.0.0.1:{port}", "127.0.0.1:16993", "5 x after 60 s", "Ctrl-C", "a.example", "never"):
        assert words in ran.err
    server.settimeout(0.2)
    with pytest.raises(TimeoutError):
        server.accept()


def test_a_port_that_is_taken(server: socket.socket) -> None:
    with (
        socket.create_server(("127.0.77.3", 16993)),
        devices(server, "127.0.77.3") as process,
    ):
        _, err = process.communicate(timeout=20)
    assert process.returncode == 4
    assert err.splitlines()[-1] == "amtdiag: cannot listen: 127.0.77.3:16993 is taken by another program"


def test_without_the_right_to_port_623(server: socket.socket, need: Callable[[str], Path]) -> None:
    start = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()
    if int(start) <= 623:
        pytest.skip("here everybody may have port 623")
    words, by = ("--hellos", "1", "--stay", "0.1"), (need("setpriv"), "--bounding-set", "-net_bind_service")
    with devices(server, "127.0.77.4", *words, by=by) as process:
        heard(server)
        out, err = process.communicate(timeout=20)
    assert "no right to port 623" in out
    assert "1 Hellos" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scenario", "\x1b[2J"], r"no scenario \\x1b\[2J; "),
        (["--scenario", "other-pps"], "goes with --type psk"),
        (["--type", "psk", "--roots", "x"], "--roots goes with --type pki"),
        (["--psk", "x"], "--psk goes with --type psk"),
        (["--type", "psk", "--count", "2"], "need --psk FILE"),
        (["--type", "psk", "--firmware", "12.0.1.2"], "removed in 11.0"),
        (["--domain", "a b"], "is no domain"),
        (["--roots", __file__], "no certificates in PEM"),
        (["--firmware", "16"], "a version such as"),
        (["--interval", "0"], "seconds from"),
        (["--count", "0"], "a number from 1"),
    ],
)
def test_calls_that_make_no_sense(words: list[str], said: str) -> None:
    ran = run("simulate", "device", "--server", "127.0.0.1", *words)
    assert ran.code == 2
    assert re.search(said, ran.err)


def test_a_server_that_has_no_address() -> None:
    ran = run("simulate", "device", "--server", "no-such-host.invalid")
    assert (ran.code, ran.err) == (2, "amtdiag: no-such-host.invalid: no such host\n")


def test_the_list_of_scenarios() -> None:
    text = run("simulate", "scenarios").text
    for name, one in SCENARIOS.items():
        words = r"\s+".join(map(re.escape, one.does.split()))  # wherever the lines break
        assert re.search(rf"^{name} +{words}", text, re.MULTILINE)
        assert all(rule in text for rule in one.expected.findings)
