"""`amtdiag listen` as a process of its own, with real connections to it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from helpers import OTHER_UUID, UUID, run

from amtdiag.cli import listen
from amtdiag.live import listener as listener_module
from amtdiag.live.listener import MAX_BYTES, MAX_OPEN_OF_ONE, HelloListener, open_listener
from amtdiag.protocols.hello import build

HELLO = build(uuid=UUID, version=3, digests=[(2, bytes(range(32)))] * 20)
PSK = build(uuid=OTHER_UUID, version=2, pid="0000037M")


class Listening:
    """A listener that runs, and the port that it chose."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection((host, self.port), timeout=20)

    def end(self, number: int = signal.SIGINT) -> tuple[int, list[dict[str, Any]], str]:
        """Exit code, lines and what stands on standard error."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, [json.loads(line) for line in out.splitlines()], err


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@contextmanager
def listening(*words: str, wait: bool = True) -> Iterator[Listening]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "amtdiag", "listen", "--port", str(port), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if wait:
            assert process.stderr is not None
            assert f":{port}" in process.stderr.readline()
        yield Listening(process, port)
    finally:
        process.kill()
        process.communicate()


def drain(one: socket.socket) -> bytes:
    """All that the other side sends, until it closes."""
    got = b""
    while data := one.recv(4096):
        got += data
    return got


def test_a_hello_is_said_and_nothing_is_answered() -> None:
    with listening() as there:
        with there.connect() as device:
            device.sendall(HELLO)
            device.shutdown(socket.SHUT_WR)
            assert drain(device) == b""
        code, lines, err = there.end()
    (line,) = lines
    assert code == 0
    assert (line["event_type"], line["src_ip"], line["dest_port"]) == ("hello", "127.0.0.1", there.port)
    assert line["hello"]["uuid"] == UUID
    assert bytes.fromhex(line["raw"]) == HELLO
    assert "1 Hellos, 0 connections without one" in err


def test_a_hello_in_single_bytes() -> None:
    with listening("-a", "duration:30", "--count", "1") as there, there.connect() as device:
        device.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HELLO[:60]:
            device.sendall(bytes([byte]))
            time.sleep(0.001)
        device.sendall(HELLO[60:])
        out, _ = there.process.communicate(timeout=20)  # --count ends it, without the device's closing
        assert json.loads(out)["hello"]["complete"]
        assert drain(device) == b""


def test_ipv6() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with listening() as there:
        with there.connect("::1") as device:
            device.sendall(HELLO)
        with there.connect() as device:
            device.sendall(build(uuid=OTHER_UUID, version=3, digests=[(2, bytes(32))]))
        _, lines, _ = until(there, 2)
    assert {line["src_ip"]: line["hello"]["uuid"] for line in lines} == {"::1": UUID, "127.0.0.1": OTHER_UUID}


def until(there: Listening, count: int) -> tuple[int, list[dict[str, Any]], str]:
    """End a listener once so many lines are there."""
    assert there.process.stdout is not None
    got = [there.process.stdout.readline() for _ in range(count)]
    code, more, err = there.end()
    return code, [*map(json.loads, got), *more], err


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "it sent nothing; the other side closed it"),
        (b"\x16\x03\x01" + bytes(200), "flag and version are those of no Hello; the other side closed it"),
        (b"\x1b[2J\xff" * 9, "flag and version are those of no Hello; the other side closed it"),
        (HELLO[:3], "too short to tell; the other side closed it"),
    ],
    ids=["nothing", "TLS", "escapes", "three bytes"],
)
def test_what_is_no_hello(sent: bytes, reason: str) -> None:
    with listening() as there:
        with there.connect() as device:
            device.sendall(sent)
            device.shutdown(socket.SHUT_WR)
            assert drain(device) == b""
        code, (line,), _ = until(there, 1)
    assert code == 1
    assert (line["event_type"], line["hello"], line["reason"]) == ("connection", None, reason)
    assert bytes.fromhex(line["raw"]) == sent


def test_a_hello_that_is_cut_is_read_as_far_as_it_goes() -> None:
    with listening() as there:
        with there.connect() as device:
            device.sendall(HELLO[:100])
        _, (line,), _ = until(there, 1)
    assert (line["event_type"], line["hello"]["uuid"], line["hello"]["complete"]) == ("hello", UUID, False)


def test_one_address_cannot_take_all_places() -> None:
    many = MAX_OPEN_OF_ONE + 5
    with listening() as there:
        devices = [there.connect() for _ in range(many)]
        try:
            turned_away = devices[MAX_OPEN_OF_ONE:]
            assert all(drain(one) == b"" for one in turned_away)  # closed at once
            devices[0].sendall(HELLO)
            _, lines, err = until(there, 1)
        finally:
            for one in devices:
                one.close()
    assert lines[0]["event_type"] == "hello"
    assert "5 turned away" in err


def test_a_flood_of_hellos_writes_so_many_lines_and_no_more(tmp_path: Path) -> None:
    many = listen.MAX_LINES_OF_ONE + 30
    with listening("-w", str(tmp_path / "record.jsonl")) as there:
        came: list[str] = []
        out = there.process.stdout
        assert out is not None
        # A pipe holds a few lines only. All are read here: what lies in this reader's buffer, no other sees.
        reader = Thread(target=lambda: came.extend(out.readline() for _ in range(listen.MAX_LINES_OF_ONE)))
        reader.start()
        for _ in range(many):
            with there.connect() as device:
                device.sendall(PSK)
                device.shutdown(socket.SHUT_WR)
                assert drain(device) == b""
        reader.join()
        _, lines, err = there.end(signal.SIGTERM)
    assert f"{many} Hellos" in err
    assert "30 lines kept back" in err
    record = (tmp_path / "record.jsonl").read_text("ascii").splitlines()
    assert len(record) == listen.MAX_LINES_OF_ONE
    assert [json.loads(line) for line in record] == [json.loads(line) for line in came]
    assert lines == []


def test_endless_bytes_end_at_the_limit() -> None:
    with listening() as there:
        with there.connect() as device, pytest.raises(ConnectionError):
            device.sendall(bytes(256 << 20))
        _, (line,), _ = until(there, 1)
    assert line["bytes"] == MAX_BYTES
    assert line["reason"].endswith("it sent more than 65,536 bytes")


@contextmanager
def a_listener(*, lines: bool = True) -> Iterator[tuple[HelloListener, int]]:
    """A listener in this process."""
    with open_listener("127.0.0.1", 0) as opened:
        listener = HelloListener([opened], listen._ConnectionLog(lines, None).write)
        yield listener, opened.getsockname()[1]
        listener.close()


def test_a_slow_sender_has_so_long_and_no_longer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listener_module, "MAX_SECONDS", 0.3)
    with a_listener() as (listener, port), socket.create_connection(("127.0.0.1", port)) as device:
        began = time.monotonic()
        while not listener.others + listener.hellos and time.monotonic() - began < 10:
            device.sendall(HELLO[:1])
            listener.step(0.05)
        assert drain(device) == b""
    assert json.loads(capsys.readouterr().out)["reason"].endswith("when its time was over")


def test_after_a_hello_it_hangs_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listener_module, "SILENCE", 0.1)
    with a_listener() as (listener, port), socket.create_connection(("127.0.0.1", port)) as device:
        device.sendall(HELLO)
        for _ in range(8):
            listener.step(0.05)
        device.settimeout(5)
        assert drain(device) == b""
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("listen", "--port", str(port), "--address", "127.0.0.1")
    assert ran.code == 3
    assert re.fullmatch(
        rf"amtdiag: cannot listen on 127\.0\.0\.1:{port}: Address already in use.*\n", ran.err
    )


def test_an_address_that_is_not_here() -> None:
    ran = run("listen", "--address", "192.0.2.1")
    assert ran.code == 3
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("words", [["-a", "files:3"], ["--count", "0"], ["--port", "0"], ["--address", "x"]])
def test_calls_that_make_no_sense(words: list[str]) -> None:
    assert run("listen", *words).code == 2


def test_text_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with a_listener(lines=False) as (listener, port):
        for sent in (HELLO, b"\x1b[2J" * 8):
            with socket.create_connection(("127.0.0.1", port)) as device:
                device.sendall(sent)
            for _ in range(3):
                listener.step(0.05)
    one, two = capsys.readouterr().out.splitlines()
    assert f"Hello of {UUID}: 20 digests, retry 0" in one
    assert "no Hello" in two
    assert two.isprintable()
