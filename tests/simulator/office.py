"""An office in network namespaces: DHCP, DNS, a small provisioning server, and machines for devices.

The server is as small as it can be: it hears a Hello, connects back, shows its chain or its key, and makes
the calls by which MeshCentral provisions. What it does to which device is data.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from flaws import DOMAIN
from helpers import ROOT
from wire import Capturing, inside, run

SERVER = "10.77.0.1"
SWITCH = "eth0"
"""The bridge that all are plugged into; it is the server's card too."""
LEASE = ROOT / "tools" / "lab" / "lease.sh"
AMT = "http://intel.com/wbem/wscim/1/amt-schema/1/"
SETUP = f"{AMT}AMT_SetupAndConfigurationService"
CALLS = (
    f"{SETUP}/SetMEBxPassword",
    f"{AMT}AMT_AuthorizationService/SetAdminAclEntryEx",
    f"{AMT}AMT_PublicKeyManagementService/AddCertificate",
    f"{SETUP}/CommitChanges",
)
GET = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get"
PATIENCE = 3.5
"""Seconds for an answer to a SYN, which the kernel repeats after 1 and 3."""


class Serving(NamedTuple):
    """What the server does to a device."""

    identity: Path | None = None
    """Its key and chain; None: it shows no certificate."""
    pair: tuple[str, str] | None = None
    """PID and PPS, in place of a chain."""
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1
    port: int = 16993
    first: int = 1
    """The first Hello after which it connects back."""
    times: int = 1
    """How often it does."""
    tls_then: bool = False
    """It connects with TLS, twice, after all that."""
    pings: bool = False
    """It asks for the mode at the end."""


class Office:
    """All that is there before a device comes."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self.name = f"amtdiag-test-{os.getpid()}-sca"
        self._numbers = iter(range(1, 200))
        self._namespace(self.name)
        self._ip(self.name, "link add", SWITCH, "type bridge mcast_snooping 0")
        self._ip(self.name, f"addr add {SERVER}/24 broadcast + dev", SWITCH)
        self._ip(self.name, "link set", SWITCH, "up")
        self._dnsmasq()
        self.server = Server(self.name)
        stack.callback(self.server.close)

    def _ip(self, name: str, *words: str) -> None:
        run("ip", "-n", name, *" ".join(words).split())

    def _namespace(self, name: str) -> None:
        run("ip", "netns", "add", name)
        self._stack.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
        settings = [f"net.ipv6.conf.{kind}.disable_ipv6=1" for kind in ("all", "default")]
        subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", *settings], check=False)
        self._ip(name, "link set lo up")

    def _dnsmasq(self) -> None:
        log = self._folder / "dnsmasq.log"
        words = [
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"),
            *("--pid-file=", "--user=root", f"--log-facility={log}", f"--interface={SWITCH}"),
            *(f"--dhcp-leasefile={self._folder / 'leases'}", "--no-ping", "--dhcp-authoritative"),
            *("--bind-interfaces", "--dhcp-range=10.77.0.50,10.77.0.199,255.255.255.0,1h"),
            "--host-record=provisionserver.astray.example,10.77.0.9",
            *(f"--domain={DOMAIN}", f"--local=/{DOMAIN}/", "--local=/elsewhere.example/"),
            f"--host-record=provisionserver.{DOMAIN},{SERVER}",
            f"--dhcp-option=6,{SERVER}",
        ]
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        until = time.monotonic() + 20
        while not (log.exists() and "started" in log.read_text()):
            assert time.monotonic() < until
            time.sleep(0.02)

    def machine(self) -> tuple[str, str]:
        """Plug a machine in and have it get a lease: its namespace, and its address."""
        number = next(self._numbers)
        name = f"amtdiag-test-{os.getpid()}-{number}"
        self._namespace(name)
        mac, port = f"02:a4:d7:77:00:{number:02x}", f"port{number}"
        self._ip(self.name, f"link add {port} type veth peer name eth0 address {mac} netns {name}")
        self._ip(self.name, f"link set {port} master", SWITCH, "up")
        self._ip(name, "link set eth0 up")
        lease = self._folder / f"lease-{number}"
        subprocess.run(
            ["ip", "netns", "exec", name, "udhcpc", "-f", "-q", "-n", "-i", "eth0", "-s", str(LEASE)],
            env={**os.environ, "AMTLAB_LEASE": str(lease)},
            capture_output=True,
            check=True,
            timeout=60,
        )
        said = dict(line.split("=", 1) for line in lease.read_text().splitlines())
        assert said["domain"] == DOMAIN
        return name, said["ip"]

    @contextmanager
    def watched(self, *words: str) -> Iterator[Capturing]:
        """Have `amtdiag live` watch the switch."""
        with (self._folder / "out.jsonl").open("w+") as out:
            process = subprocess.Popen(
                [
                    "ip",
                    "netns",
                    "exec",
                    self.name,
                    sys.executable,
                    "-m",
                    "amtdiag",
                    "live",
                    "-i",
                    SWITCH,
                    *words,
                ],
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


@contextmanager
def office(folder: Path) -> Iterator[Office]:
    """Set an office up; the test is skipped where that takes rights that are not there."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("network namespaces take root")
    probe = f"amtdiag-test-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no network namespace here: {made.stderr.strip()}")
    subprocess.run(["ip", "netns", "del", probe], check=True)
    with ExitStack() as stack:
        yield Office(stack, folder)


# ------------------------------------------------------------------------------------------------- the server


@dataclass
class Server:
    """A provisioning server on port 9971 of its namespace."""

    namespace: str
    serving: dict[str, Serving] = field(default_factory=dict)
    """By the device's address; it does nothing about the Hellos of any other."""
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    results: dict[str, list[str]] = field(default_factory=dict)
    """By address: what became of each call."""
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        with inside(self.namespace):
            self._ear = socket.create_server((SERVER, 9971), backlog=64)
        self._ear.settimeout(0.2)
        self._closed = threading.Event()
        self._accepting = threading.Thread(target=self._in_its_place, args=(self._accept,), daemon=True)
        self._accepting.start()

    def close(self) -> None:
        self._closed.set()
        self._accepting.join()
        self.wait()
        self._ear.close()

    def wait(self) -> None:
        """Wait until all is done that was begun."""
        for one in self._threads:
            one.join(30)

    def _in_its_place(self, do: Callable[..., None], *given: object) -> None:
        with inside(self.namespace):
            do(*given)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                talk, (host, _) = self._ear.accept()
            except OSError:
                continue
            thread = threading.Thread(target=self._in_its_place, args=(self._hear, talk, host), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _hear(self, talk: socket.socket, host: str) -> None:
        data = b""
        with talk:
            talk.settimeout(10)
            while piece := talk.recv(4096):
                data += piece
        self.heard.append((host, data))
        serving = self.serving.get(host)
        if serving is None or [one for one, _ in self.heard].count(host) < serving.first:
            return
        time.sleep(0.02)
        results = self.results.setdefault(host, [])
        for _ in range(serving.times):
            _call(host, serving, serving.port, results)
            time.sleep(0.3)
        for _ in range(2 if serving.tls_then else 0):
            _call(host, serving, 16993, results)
            time.sleep(0.3)
        if serving.pings:
            results.append(f"mode {_mode(host)}")


def _mode(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(5)
        asker.sendto(bytes.fromhex("06000006000011be80070000"), (host, 623))
        return asker.recv(64)[19]


def _call(host: str, serving: Serving, port: int, results: list[str]) -> None:
    """Connect to a device and provision it, as far as it lets us."""
    if serving.pair is not None and port == 16993:
        return _call_with_psk(host, serving.pair, results)
    try:
        with socket.create_connection((host, port), PATIENCE) as talk:
            if port == 16992:
                return _provision(talk.sendall, lambda: talk.recv(65536), results)
            with _context(serving).wrap_socket(talk) as session:
                _provision(session.sendall, lambda: session.recv(65536), results)
                with contextlib.suppress(OSError):
                    session.unwrap()
    except OSError as error:
        results.append(f"{type(error).__name__}: {error}")


def _context(serving: Serving) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = serving.oldest, serving.newest
    if serving.identity is not None:
        context.load_cert_chain(serving.identity)
    return context


def _call_with_psk(host: str, pair: tuple[str, str], results: list[str]) -> None:
    openssl = shutil.which("openssl")
    assert openssl
    with subprocess.Popen(
        [
            *(openssl, "s_client", "-connect", f"{host}:16993", "-quiet", "-no_tls1_3"),
            *("-psk_identity", pair[0], "-psk", pair[1].encode().hex(), "-cipher", "PSK:@SECLEVEL=0"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        writing, reading = program.stdin, program.stdout.fileno()

        def send(data: bytes) -> None:
            writing.write(data)
            writing.flush()

        try:
            _provision(send, lambda: os.read(reading, 65536), results)
        except OSError as error:
            results.append(f"{type(error).__name__}: {error}")
        program.kill()


def _provision(send: Callable[[bytes], None], receive: Callable[[], bytes], results: list[str]) -> None:
    """A read, then the calls; ends at the first that is not answered as it should be."""
    web = _Web(send, receive)
    for action in (GET, *CALLS):
        status, text = web.ask(action)
        value = re.search(r"ReturnValue>(\d+)<", text)
        results.append(f"{action.rpartition('/')[2]} {status}{f' {value[1]}' if value else ''}")
        if status != 200 or (value and value[1] != "0"):
            return


class _Web:
    """HTTP digest over whatever carries bytes."""

    def __init__(self, send: Callable[[bytes], None], receive: Callable[[], bytes]) -> None:
        self._send, self._receive = send, receive
        self._told: dict[str, str] = {}
        self._count = 0
        self._data = b""

    def ask(self, action: str) -> tuple[int, str]:
        if not self._told:
            _, head, _ = self._exchange(action, "")
            self._told = dict(re.findall(r'(realm|nonce)="([^"]*)"', head))
        self._count += 1
        one = _md5(f"admin:{self._told['realm']}:secret")
        nonce, count = self._told["nonce"], f"{self._count:08x}"
        answer = _md5(f"{one}:{nonce}:{count}:abcd:auth:{_md5('POST:/wsman')}")
        status, _, body = self._exchange(
            action,
            f'Authorization: Digest username="admin",realm="{self._told["realm"]}",nonce="{nonce}",'
            f'uri="/wsman",qop=auth,nc={count},cnonce="abcd",response="{answer}"\r\n',
        )
        return status, body

    def _exchange(self, action: str, more: str) -> tuple[int, str, str]:
        resource, _, method = action.rpartition("/")
        resource = f"{AMT}AMT_GeneralSettings" if action == GET else resource
        given = (
            '<r:DigestPassword xmlns:r="x">AAAA</r:DigestPassword>' if method == "SetAdminAclEntryEx" else ""
        )
        body = (
            '<a:Envelope xmlns:a="http://www.w3.org/2003/05/soap-envelope" '
            'xmlns:b="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
            'xmlns:c="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><a:Header>'
            f"<b:Action>{action}</b:Action><b:To>/wsman</b:To><c:ResourceURI>{resource}</c:ResourceURI>"
            f"<b:MessageID>7</b:MessageID></a:Header><a:Body>{given}</a:Body></a:Envelope>"
        )
        head = f"POST /wsman HTTP/1.1\r\nHost: device\r\n{more}Content-Length: {len(body)}\r\n"
        self._send(f"{head}Content-Type: application/soap+xml;charset=UTF-8\r\n\r\n{body}".encode())
        return self._answer()

    def _answer(self) -> tuple[int, str, str]:
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, _, rest = self._data.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length
        while len(rest) < int(length[1]):
            self._more()
            rest = self._data.partition(b"\r\n\r\n")[2]
        self._data = rest[int(length[1]) :]
        return int(head.split()[1]), head.decode(), rest[: int(length[1])].decode()

    def _more(self) -> None:
        data = self._receive()
        if not data:
            raise ConnectionResetError("the device ends it")
        self._data += data


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
