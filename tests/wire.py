"""A cable in a network namespace of its own: what is sent into one end comes out of the other."""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from bpf_machine import taken

from amtdiag.capture.files.inputs import Input
from amtdiag.capture.prefilter.bpf import filter_for
from amtdiag.config import Limits, Options
from amtdiag.pipeline import interest

NEAR, FAR = "near0", "far0"
_NEW_NETWORK = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert not done.returncode, f"{' '.join(words)}: {done.stderr}"


@dataclass
class Wire:
    """The namespace, and a raw socket at the near end."""

    name: str
    near: socket.socket

    def ip(self, *words: str) -> None:
        run("ip", "-n", self.name, *words)

    def send(self, packets: Sequence[bytes]) -> None:
        for one in packets:
            self.near.send(one)

    def command(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *words]


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Have this thread in a namespace for a while: sockets that are opened there stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        assert not _libc.setns(there, _NEW_NETWORK)
        yield
    finally:
        assert not _libc.setns(home, _NEW_NETWORK)
        os.close(home)
        os.close(there)


@contextmanager
def laid() -> Iterator[Wire]:
    """Lay a cable; the test is skipped where that takes rights that are not there."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network namespace takes root, and ip(8)")
    name = f"amtdiag-test-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no network namespace here: {made.stderr.strip()}")
    try:
        for kind in ("all", "default"):
            setting = f"net.ipv6.conf.{kind}.disable_ipv6=1"
            subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", setting], check=False)
        run("ip", "-n", name, "link", "add", NEAR, "type", "veth", "peer", "name", FAR)
        for end in (NEAR, FAR):
            run("ip", "-n", name, "link", "set", end, "up")
        with inside(name):
            near = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        near.bind((NEAR, 0))
        with near:
            yield Wire(name, near)
    finally:
        run("ip", "netns", "del", name)


class Capturing:
    """`amtdiag live` at the far end."""

    def __init__(self, process: subprocess.Popen[str], out: IO[str]) -> None:
        self.process = process
        self._out = out
        self.said = ""
        """On standard error."""

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Wait for words on standard error."""
        assert self.process.stderr is not None
        fd, end = self.process.stderr.fileno(), time.monotonic() + seconds
        while text not in self.said:
            ready, _, _ = select.select([fd], [], [], max(end - time.monotonic(), 0))
            assert ready, f"only this is said: {self.said}"
            more = os.read(fd, 65_536)
            assert more, f"it ended, and said: {self.said}"
            self.said += more.decode()

    def lines(self) -> list[dict[str, Any]]:
        """What stands on standard output so far."""
        self._out.seek(0)
        return [json.loads(line) for line in self._out if line.endswith("\n")]

    def end(self, number: int = signal.SIGINT) -> tuple[int, list[dict[str, Any]]]:
        """Send a signal; return the exit code and all lines."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        self.said += err
        return self.process.returncode, self.lines()


@contextmanager
def capturing(wire: Wire, folder: Path, *words: str) -> Iterator[Capturing]:
    """Capture on the far end, from when the first packet would be taken."""
    with (folder / "out.jsonl").open("w+") as out:
        process = subprocess.Popen(
            wire.command(sys.executable, "-m", "amtdiag", "live", "-i", FAR, *words),
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            one = Capturing(process, out)
            one.wait_for("capturing on")
            yield one
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def packets_of(path: Path) -> list[bytes]:
    """The packets of a capture."""
    with Input(path, path.name, Limits()).opened() as container:
        return [bytes(data[start:end]) for _, _, data, start, end, _ in container.records()]


def wanted_of(path: Path) -> list[bytes]:
    """Those that the kernel's filter lets through."""
    program = filter_for(interest(Options()))
    return [one for one in packets_of(path) if taken(program, one)]
