"""What tests of several parts share: running a command, and making events without a capture around them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from unittest.mock import patch

from amtdiag.cli.main import main
from amtdiag.devices.build import BuiltDevices, follow
from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.devices.visibility import CaptureSpans, Coverage
from amtdiag.model import (
    CaptureInfo,
    ConnectionEvent,
    DhcpEvent,
    Endpoints,
    Evidence,
    Hello,
    HelloEvent,
    LookupEvent,
    Mode,
    Outcome,
    PingEvent,
    PongEvent,
    Sighting,
    UnansweredArp,
)
from amtdiag.protocols.dns import is_discovery
from amtdiag.protocols.hello import build, parse
from amtdiag.protocols.ports import HELLO_PORTS
from amtdiag.rules.base import FleetEvidence
from amtdiag.sessions.event_log import EventLog
from amtdiag.times import SECOND

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_pcaps"
HELLO_ONLY = SAMPLES / "recorded" / "h1_single.pcap"

# --------------------------------------------------------------------------------------------------- commands

_Record = TypeVar("_Record")


def replace(record: _Record, /, **changes: Any) -> _Record:
    """A copy of a record with other fields: a named tuple or a dataclass, as the model has both."""
    if isinstance(record, tuple):
        return record._replace(**changes)  # type: ignore[attr-defined, no-any-return]
    return dataclasses.replace(record, **changes)  # type: ignore[type-var]


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


def run(*words: str | Path, stdin: bytes = b"", columns: int = 80) -> Ran:
    """Run a command in this process, with streams that are no terminal and as strict as real ones."""
    out, err = BytesIO(), BytesIO()
    stdout = TextIOWrapper(out, encoding="utf-8")
    stderr = TextIOWrapper(err, encoding="utf-8", errors="backslashreplace")
    given = TextIOWrapper(BytesIO(stdin), encoding="utf-8")
    with (
        patch.object(sys, "stdin", given),
        patch.dict(os.environ, {"COLUMNS": str(columns)}),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        code = main([str(word) for word in words])
        stdout.flush()
        stderr.flush()
    return Ran(code, out.getvalue(), err.getvalue().decode())


def spawn(
    *words: str | Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "amtdiag", *map(str, words)],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )


def unsafe_characters(text: str, *, allowed: str = "\n") -> list[str]:
    """Characters that could act on what shows them: control, bidi, surrogates, private, unassigned."""
    acting = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return [one for one in text if unicodedata.category(one) in acting and one not in allowed]


# ----------------------------------------------------------------------------------------------------- events

START = 1_772_442_072 * SECOND
"""2 March 2026."""
DEVICE, SERVER = "192.168.2.148", "192.168.2.10"
DNS_SERVER, DHCP_SERVER = "192.168.2.2", "192.168.2.3"
UUID = "939b524b-13d4-1d18-e487-1c697a6b7a2b"
OTHER_UUID = "4c4c4544-0042-3510-8052-b4c04f353532"
ODD_PORT = 9981
JUNK_UUID = "03000200-0400-0500-0006-000700080009"
MAC, OTHER_MAC, ROUTER_MAC = "1c:69:7a:00:00:01", "1c:69:7a:00:00:02", "02:00:00:00:00:fe"
FILE = "trace.pcapng"
MILLISECOND = SECOND // 1000


def ends(
    src: str = DEVICE, dst: str = SERVER, dport: int = 9971, src_mac: str | None = None, sport: int = 49160
) -> Endpoints:
    return Endpoints(src, sport, dst, dport, src_mac, None, (), "1:=")


def hello(
    after: float = 0,
    *,
    uuid: str = UUID,
    headless: bool = False,
    src: str = DEVICE,
    mac: str | None = None,
    pid: str | None = None,
    digests: Sequence[bytes] = (b"\x5a" * 32,),
    segments: int = 1,
    **changes: Any,
) -> HelloEvent:
    """A Hello so many seconds after `START`; `changes` replace fields of the message.

    `headless`: what carried its UUID is not in the capture.
    """
    wire = (
        build(uuid=uuid, version=2, pid=pid)
        if pid
        else build(uuid=uuid, digests=[(2, one) for one in digests])
    )
    message = parse(wire)
    assert isinstance(message, Hello)
    if headless:
        message = replace(message, uuid=None, complete=False)
    frames = tuple(Evidence(FILE, 4 + number) for number in range(segments))
    at = START + round(after * SECOND)
    return HelloEvent(at, ends(src, src_mac=mac), frames, segments, replace(message, **changes))


def link(
    after: float, outcome: Outcome, *, lasts: float = 0.03, mac: str | None = None, **fields: Any
) -> ConnectionEvent:
    """A connection of the device to its server, so many seconds after `START`."""
    where = {key: fields.pop(key) for key in ("src", "dst", "dport") if key in fields}
    at = START + round(after * SECOND)
    answered = outcome != "unanswered"
    event = ConnectionEvent(
        ts=at,
        last_ts=at + round(lasts * SECOND),
        ends=ends(**where, src_mac=mac),
        outcome=outcome,
        syns=1,
        client_bytes=0,
        server_bytes=0,
        closed_by="server" if answered else "nobody",
        server_seen=answered,
        evidence=(Evidence(FILE, 10 + round(after)), Evidence(FILE, 11 + round(after))),
    )
    return replace(event, **fields)


def back(after: float, outcome: Outcome, **fields: Any) -> ConnectionEvent:
    """A connection of the server to the device."""
    return link(after, outcome, **{"src": SERVER, "dst": DEVICE, "dport": 16993, **fields})


def capture(until: float = 600, since: float = -1, **changes: Any) -> CaptureInfo:
    """A capture from one second before `START` on, until so many seconds after it."""
    first, last = (START + round(seconds * SECOND) for seconds in (since, until))
    made = CaptureInfo(FILE, "pcapng", 4096, 36, ("ETHERNET",), first, last, 262_144, None, False, ())
    return replace(made, **changes)


def coverage(*captures: CaptureInfo) -> Coverage:
    """What one sensor watched that wrote these captures."""
    return Coverage(CaptureSpans([captures]))


def lookup(
    after: float,
    *addresses: str,
    name: str = "provisionserver.example.com",
    client: str = DEVICE,
    rcode: str | None = "NOERROR",
    **fields: Any,
) -> LookupEvent:
    """A DNS question of the device, and the answer with these addresses; `rcode` None: no answer."""
    event = LookupEvent(
        ts=START + round(after * SECOND),
        client=client,
        server=DNS_SERVER,
        name=name,
        type="A",
        queries=1,
        rcode=rcode,
        addresses=addresses,
        names=(),
        other_addresses=(),
        evidence=(Evidence(FILE, 100 + round(after)), Evidence(FILE, 101 + round(after))),
    )
    return replace(event, **fields)


def lease(after: float, kind: str = "ack", *, mac: str = MAC, **fields: Any) -> DhcpEvent:
    """A DHCP message with all that a device needs, to or from the device."""
    told = kind in ("offer", "ack")
    event = DhcpEvent(
        ts=START + round(after * SECOND),
        mac=mac,
        kind=kind,
        address=DEVICE if told else None,
        server=DHCP_SERVER if told or kind == "nak" else None,
        dns=(DNS_SERVER,) if told else (),
        domain="example.com" if told else None,
        host=None,
        fqdn=None,
        search=False,
        wanted=frozenset() if told else frozenset({1, 3, 6, 15}),
        whole=True,
        evidence=(Evidence(FILE, 200 + round(after)),),
    )
    return replace(event, **fields)


def pong(after: float, mode: Mode, *, device: str = DEVICE, version: str | None = "9.0") -> PongEvent:
    """The device's answer to an RMCP ping."""
    at = START + round(after * SECOND)
    return PongEvent(at, device, SERVER, mode, version, 16993, (Evidence(FILE, 300 + round(after)),))


def ping(after: float, target: str = DEVICE, *, asker: str = SERVER) -> PingEvent:
    """An RMCP ping."""
    return PingEvent(START + round(after * SECOND), asker, target, (Evidence(FILE, 400 + round(after)),))


def sighting(after: float, mac: str, address: str = DEVICE) -> Sighting:
    """An ARP message."""
    return Sighting(START + round(after * SECOND), mac, address, (Evidence(FILE, 500 + round(after)),))


def vain(after: float, target: str, *, asker: str = DEVICE, requests: int = 3) -> UnansweredArp:
    """ARP questions that nobody answers."""
    at = START + round(after * SECOND)
    return UnansweredArp(at, at + 2 * SECOND, asker, target, requests, (Evidence(FILE, 600 + round(after)),))


def odd(after: float, outcome: Outcome = "refused", **fields: Any) -> ConnectionEvent:
    """An attempt of the device at a port of its server where no Hello is expected."""
    return link(after, outcome, **{"dport": ODD_PORT, **fields})


def asks(after: float, **fields: Any) -> DhcpEvent:
    """A device asks for a lease."""
    return lease(after, "discover", **fields)


AnyEvent = (
    HelloEvent | ConnectionEvent | DhcpEvent | LookupEvent | PongEvent | PingEvent | Sighting | UnansweredArp
)


def gather(events: Iterable[AnyEvent]) -> EventLog:
    """Events of all kinds, each where the provisioning stage expects it."""
    made = EventLog()
    for one in events:
        match one:
            case HelloEvent():
                made.hellos.append(one)
            case ConnectionEvent():
                (made.odd_attempts if one.ends.dport == ODD_PORT else made.connections).append(one)
            case UnansweredArp():
                made.nobody.append(one)
            case DhcpEvent():
                made.dhcp.append(one)
            case LookupEvent():
                (made.lookups if is_discovery(one.name) else made.other_lookups).append(one)
            case PongEvent():
                made.pongs.append(one)
            case PingEvent():
                made.pings.append(one)
            case Sighting():
                made.sightings.append(one)
    return made


def followed(
    *events: AnyEvent, until: float = 600, captures: Sequence[CaptureInfo] = (), most: int = 100
) -> BuiltDevices:
    """What becomes of events in a capture that ends so many seconds after `START`."""
    return follow(gather(events), coverage(*captures or [capture(until)]), frozenset(HELLO_PORTS), most)


def scene_of(*events: AnyEvent, captures: Sequence[CaptureInfo] = ()) -> FleetEvidence:
    """All that a run shows whose events these are."""
    shown = captures or [capture()]
    found = followed(*events, captures=shown)
    return FleetEvidence(found.cases, gather(events), shown, found.strays, found.scanners)


def case_of(events: Iterable[AnyEvent], until: float = 600) -> DeviceEvidence:
    """The one device that these events are about."""
    (case,) = followed(*events, until=until).cases
    return case
