"""Programs of Debian that run in a namespace: dnsmasq, udhcpc and dumpcap."""

from __future__ import annotations

import signal
import struct
import subprocess
import time
from pathlib import Path

from tools.lab.net import Namespace

NEEDED = ("ip", "nft", "sysctl", "dnsmasq", "udhcpc", "dumpcap", "tshark", "capinfos", "editcap", "openssl")
LEASE_SCRIPT = Path(__file__).with_name("lease.sh")
_SECTION, _INTERFACE = 0x0A0D0D0A, 1
_OF_THE_MACHINE = {_SECTION: {2, 3}, _INTERFACE: {12}}
"""Options that name hardware and operating system."""


def wait_for(text: str, log: Path, process: subprocess.Popen[bytes], limit: float = 20) -> None:
    """Wait until a program has written something to its log."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        if log.exists() and text in log.read_text(errors="replace"):
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    said = log.read_text(errors="replace")[-500:] if log.exists() else ""
    raise RuntimeError(f"waited for {text!r} in vain: {said}")


def dnsmasq(host: Namespace, folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """A DHCP and DNS server that knows what its options say and nothing else."""
    log = folder / f"dnsmasq-{host.name}-{len(host.processes)}.log"
    process = host.start(
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"),
        *("--pid-file=", "--user=root", "--log-facility=-", "--interface=eth0", "--bind-interfaces"),
        f"--dhcp-leasefile={folder / 'leases'}-{len(host.processes)}",
        *options,
        log=log,
    )
    wait_for("started", log, process)
    return process


def udhcpc(host: Namespace, folder: Path, *options: str) -> tuple[subprocess.Popen[bytes], Path]:
    """A DHCP client on the host's first interface, and the file in which its lease will stand."""
    lease = folder / f"lease-{host.name}"
    lease.unlink(missing_ok=True)
    process = host.start(
        *("udhcpc", "-f", "-i", "eth0", "-s", str(LEASE_SCRIPT), *options),
        log=folder / f"udhcpc-{host.name}.log",
        env={"AMTLAB_LEASE": str(lease)},
    )
    return process, lease


def read_lease(path: Path, process: subprocess.Popen[bytes], limit: float) -> dict[str, str] | None:
    """Wait for a lease and return what is in it; None where the client gave up or the time ran out."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        if path.exists():
            return dict(line.split("=", 1) for line in path.read_text().splitlines())
        if process.poll() not in (None, 0):
            return None
        time.sleep(0.02)
    return None


class Recorder:
    """dumpcap on an interface."""

    def __init__(self, host: Namespace, interface: str, target: Path, capture_filter: str = "") -> None:
        self.target = target
        log = target.with_suffix(".log")
        words = ["dumpcap", "-q", "-i", interface, "-w", str(target)]
        if capture_filter:
            words += ["-f", capture_filter]
        self._process = host.start(*words, log=log)
        wait_for("File:", log, self._process)
        time.sleep(0.1)

    def stop(self, linger: float = 0.3) -> Path:
        """End the recording, `linger` seconds from now, if it has not ended yet."""
        if self._process.poll() is None:
            time.sleep(linger)
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=20)
        return self.target


def without_machine(data: bytes) -> bytes:
    """A pcapng file less what it says of the machine that it was recorded on."""
    out = bytearray()
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        block = data[at : at + length]
        if kind in _OF_THE_MACHINE:
            fixed = 24 if kind == _SECTION else 16
            body = block[8:fixed] + _options(block[fixed:-4], _OF_THE_MACHINE[kind])
            size = struct.pack("<I", len(body) + 12)
            block = block[:4] + size + body + size
        out += block
        at += length
    return bytes(out)


def _options(data: bytes, unwanted: set[int]) -> bytes:
    out = bytearray()
    at = 0
    while at < len(data):
        code, length = struct.unpack_from("<HH", data, at)
        size = 4 + (length + 3) // 4 * 4
        if code not in unwanted:
            out += data[at : at + size]
        at += size
    return bytes(out)
