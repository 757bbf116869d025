"""`amtdiag simulate device`: plays devices that really talk, to test a provisioning server without hardware.

It says what it will do before it does anything, and does nothing without the server's address.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from amtdiag.cli.common import address, port, read_file, until_signal
from amtdiag.errors import MissingToolError, UsageError
from amtdiag.safetext import safe
from amtdiag.times import clock, rfc3339

if TYPE_CHECKING:
    from amtdiag.simulator.plan import SimulationPlan
    from amtdiag.simulator.roots import ListedRoot
    from amtdiag.simulator.run import SimulatorEvent

_MAX_DEVICES = 1000
_MAX_SECONDS = 255 * 3600
"""The longest setup window there is (Intel's guide)."""
_DIGEST_DIGITS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    device = verbs.add_parser(
        "device",
        help="say Hello to a provisioning server and be called back, as a device does",
        description="Say Hello to a provisioning server and be called back, as a device does. What it will "
        "do is printed first. Exit code 0: every device was provisioned (CommitChanges); 1: not every one.",
    )
    device.add_argument(
        "--server",
        action="append",
        required=True,
        metavar="HOST",
        help="the provisioning server; there is no default (may be repeated: --dns may answer any of them)",
    )
    device.add_argument("--type", choices=("pki", "psk"), default="pki", help="kind of setup (default: pki)")
    device.add_argument(
        "--scenario",
        default="success",
        metavar="NAME",
        help="how it behaves (default: success)",
    )
    device.add_argument(
        "--count", type=_whole(_MAX_DEVICES), default=1, metavar="N", help="so many devices (default: 1)"
    )
    device.add_argument(
        "--bind",
        type=address,
        action="append",
        metavar="ADDRESS",
        help="address of this machine for the next device (may be repeated; default: towards the server)",
    )
    device.add_argument(
        "--roots",
        action="append",
        default=[],
        metavar="FILE|SHA256",
        help="list these roots too: certificates in PEM, or a digest (may be repeated)",
    )
    device.add_argument(
        "--psk",
        metavar="FILE",
        help="a PID and PPS a line, for each device (default: Intel's printed sample)",
    )
    device.add_argument(
        "--domain", default="", metavar="NAME", help="the DNS suffix that DHCP option 15 gives"
    )
    device.add_argument(
        "--dns",
        type=address,
        metavar="ADDRESS",
        help="look ProvisionServer.DOMAIN up there before each Hello",
    )
    device.add_argument("--firmware", type=_version, metavar="VERSION", help="AMT version, as 16.0.15.1735")
    device.add_argument(
        "--plain", action="store_true", help="take management without TLS too, on 16992, as old devices do"
    )
    device.add_argument(
        "--password", metavar="TEXT", help="the administrator's password (default: any will do)"
    )
    device.add_argument("--port", type=port, metavar="N", help="the server's Hello port (default: 9971)")
    device.add_argument(
        "--interval", type=_seconds, metavar="SECONDS", help="between Hellos (default: one vendor's schedule)"
    )
    device.add_argument("--hellos", type=_whole(1 << 20), metavar="N", help="so many Hellos a device at most")
    device.add_argument(
        "--window", type=_seconds, metavar="SECONDS", help="end so long after the first Hello (default: 6 h)"
    )
    device.add_argument(
        "--stay",
        type=_seconds,
        metavar="SECONDS",
        help="once there is no more to say, end after so long without an event (default: 10)",
    )
    device.add_argument("--jsonl", action="store_true", help="one JSON object a line on standard output")
    device.add_argument("--dry-run", action="store_true", help="print what it would do, and do nothing")
    device.set_defaults(run=run_device)
    listing = verbs.add_parser("scenarios", help="list the ways in which a device can behave")
    listing.set_defaults(run=run_scenarios)


def _whole(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 0 < int(text[:12]) <= most:
            raise argparse.ArgumentTypeError(f"a number from 1 to {most:,} is wanted, not {text!r}")
        return int(text)

    return read


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0.1 <= seconds <= _MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"seconds from 0.1 to {_MAX_SECONDS:,} are wanted, not {text!r}")
    return seconds


def _version(text: str) -> str:
    parts = text.split(".")
    if not 2 <= len(parts) <= 4 or not all(
        part.isascii() and part.isdigit() and len(part) < 6 and int(part) < 65536 for part in parts
    ):
        raise argparse.ArgumentTypeError(f"a version such as 16.0.15.1735 is wanted, not {text!r}")
    if max(int(part) for part in parts[:2]) > 255:
        raise argparse.ArgumentTypeError(f"the first two numbers of a version are below 256, not {text!r}")
    return text


def run_device(arguments: argparse.Namespace) -> int:
    """Play devices; 0 where every one was provisioned."""
    from amtdiag.simulator.plan import lines

    plan = plan_of(arguments)
    print("amtdiag: simulated devices; this is what they will do", file=sys.stderr)
    for line in lines(plan):
        print(f"  {line}", file=sys.stderr)
    sys.stderr.flush()
    if arguments.dry_run:
        return 0
    from amtdiag.simulator.run import Run

    printer = _EventPrinter(arguments.jsonl, several=len(plan.cards) > 1)
    with until_signal() as stop, Run(plan, printer) as run:
        outcome = run.play(lambda: stop.asked)
    print(
        f"amtdiag: {outcome.provisioned:,} of {outcome.devices:,} devices provisioned; "
        f"{outcome.hellos:,} Hellos, {outcome.connections:,} connections back",
        file=sys.stderr,
    )
    return 0 if outcome.provisioned == outcome.devices else 1


def run_scenarios(_arguments: argparse.Namespace) -> int:
    """List the scenarios, and what a capture of each shows."""
    from amtdiag.simulator.scenarios import SCENARIOS

    indent = " " * (max(map(len, SCENARIOS)) + 2)
    columns = shutil.get_terminal_size().columns
    for name, scenario in SCENARIOS.items():
        only = f" ({scenario.kind} only)" if scenario.kind else ""
        faults = ", ".join(sorted(scenario.expected.findings)) or "no fault"
        shown = f"amtdiag then says{' (--plain)' if scenario.needs_plain else ''}: {faults}"
        for first, text in (
            (name.ljust(len(indent)), scenario.does + only),
            (indent, f"{shown}; stage {scenario.expected.stage}"),
        ):
            print(textwrap.fill(text, columns, initial_indent=first, subsequent_indent=indent))
    return 0


def plan_of(arguments: argparse.Namespace) -> SimulationPlan:
    """Return what the arguments ask for. UsageError where that makes no sense."""
    from amtdiag.simulator import plan as plans
    from amtdiag.simulator.roots import MODERN
    from amtdiag.simulator.scenarios import SCENARIOS

    scenario = SCENARIOS.get(arguments.scenario)
    if scenario is None:
        raise UsageError(
            f"no scenario {safe(arguments.scenario, 100)}; `amtdiag simulate scenarios` lists all"
        )
    kind = arguments.type
    if scenario.kind not in (None, kind):
        raise UsageError(f"the scenario {arguments.scenario} goes with --type {scenario.kind}")
    servers = tuple(dict.fromkeys(found for host in arguments.server for found in _addresses(host)))
    if (arguments.psk or kind == "psk") and arguments.roots:
        raise UsageError("--roots goes with --type pki")
    if arguments.psk and kind != "psk":
        raise UsageError("--psk goes with --type psk")
    plan = plans.SimulationPlan(
        servers=servers,
        kind=kind,
        name=arguments.scenario,
        scenario=scenario,
        cards=plans.cards(
            arguments.count,
            tuple(dict.fromkeys(arguments.bind or [_towards(servers[0])])),
            _pairs(arguments.psk, arguments.count) if kind == "psk" else (),
        ),
        roots=(*MODERN, *(root for given in arguments.roots for root in _roots(given))),
        firmware=arguments.firmware or plans.FIRMWARE[kind],
        domain=_domain(arguments.domain),
        dns=arguments.dns or "",
        password=arguments.password,
        plain=arguments.plain,
        interval=arguments.interval,
        hellos=arguments.hellos,
    )
    if kind == "psk" and plan.release >= plans.FIRST_WITHOUT_PSK:
        raise UsageError(f"AMT {plan.release} has no pre-shared keys: they were removed in 11.0")
    given = {"window": arguments.window, "stay": arguments.stay, "hello_port": arguments.port}
    return plan._replace(**{name: value for name, value in given.items() if value is not None})


def _addresses(host: str) -> list[str]:
    """The addresses behind what names the server; it is printed before anything is sent there."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UsageError(f"{safe(host, 300)}: no such host") from None
    return [str(where[0]) for *_, where in found]


def _towards(server: str) -> str:
    """The address of this machine from which the server is reached; nothing is sent to find it out."""
    kind = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(kind, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((server, 9))
        except OSError as error:
            raise MissingToolError(
                f"{server} cannot be reached from here: {error.strerror or error}"
            ) from None
        return str(probe.getsockname()[0])


def _domain(name: str) -> str:
    labels = name.strip(".").split(".")
    if name and not all(
        label.isascii() and 0 < len(label) < 64 and label.replace("-", "").replace("_", "").isalnum()
        for label in labels
    ):
        raise UsageError(f"{safe(name, 300)} is no domain")
    return ".".join(labels)


def _pairs(file: str | None, count: int) -> tuple[tuple[str, str], ...]:
    """A PID and PPS for each device."""
    if file is None:
        if count > 1:
            raise UsageError("several devices with pre-shared keys need --psk FILE, with a pair for each")
        from amtdiag.simulator.plan import sample_pair

        return (sample_pair(),)
    from amtdiag.protocols.pid import read_pairs

    try:
        pairs = read_pairs(read_file(file))
    except UsageError as error:
        raise UsageError(f"{safe(file, 4096)}: {error}") from error
    if len(pairs) < count:
        raise UsageError(f"{safe(file, 4096)}: {len(pairs)} pairs for {count} devices")
    return pairs[:count]


def _roots(given: str) -> list[ListedRoot]:
    """The roots that a file holds, or the one of which this is the digest."""
    import hashlib

    from amtdiag.simulator.roots import ListedRoot

    text = given.replace(":", "").lower()
    if len(text) == _DIGEST_DIGITS and not set(text) - set("0123456789abcdef"):
        return [ListedRoot("given", "", text)]
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificates

    try:
        found = load_pem_x509_certificates(read_file(given))
    except ValueError:
        raise UsageError(f"{safe(given, 4096)}: no certificates in PEM, and no SHA-256 digest") from None
    ders = [certificate.public_bytes(Encoding.DER) for certificate in found]
    return [
        ListedRoot(
            "given", hashlib.sha1(der, usedforsecurity=False).hexdigest(), hashlib.sha256(der).hexdigest()
        )
        for der in ders
    ]


class _EventPrinter:
    """Says what happens, a line each; many threads call it."""

    def __init__(self, lines: bool, *, several: bool) -> None:
        self._lines = lines
        self._several = several
        self._lock = threading.Lock()

    def __call__(self, event: SimulatorEvent) -> None:
        """Print it."""
        text = safe(event.text, 1000)
        if self._lines:
            from json import dumps

            line = dumps(
                {"timestamp": rfc3339(event.ts), "event_type": event.kind, "uuid": event.uuid, "text": text}
            )
        else:
            who = f"{event.uuid[:8]}  " if self._several else ""
            line = f"{clock(event.ts)}  {who}{event.kind:<10}  {text}"
        with self._lock:
            print(line, flush=True)
