"""What tests of several parts share: running a command, and making events without a capture around them."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from amtdiag.cli.main import main
from amtdiag.model import CaptureInfo, ConnectionEvent, Endpoints, Evidence, Hello, HelloEvent, Outcome
from amtdiag.protocols.hello import build, parse
from amtdiag.protocols.ports import HELLO_PORTS
from amtdiag.provisioning.devices import Case, Followed, follow
from amtdiag.times import SECOND

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_pcaps"
HELLO_ONLY = SAMPLES / "recorded" / "h1_single.pcap"

# --------------------------------------------------------------------------------------------------- commands


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
    *words: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "amtdiag", *map(str, words)],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, **(env or {})},
    )


def unsafe_characters(text: str, *, allowed: str = "\n") -> list[str]:
    """Characters that could act on what shows them: control, bidi, surrogates, private, unassigned."""
    acting = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return [one for one in text if unicodedata.category(one) in acting and one not in allowed]


# ----------------------------------------------------------------------------------------------------- events

START = 1_772_442_072 * SECOND
"""2 March 2026."""
DEVICE, SERVER = "192.168.2.148", "192.168.2.10"
UUID = "939b524b-13d4-1d18-e487-1c697a6b7a2b"
OTHER_UUID = "4c4c4544-0042-3510-8052-b4c04f353532"
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
    src: str = DEVICE,
    mac: str | None = None,
    pid: str | None = None,
    digests: Sequence[bytes] = (b"\x5a" * 32,),
    segments: int = 1,
    **changes: Any,
) -> HelloEvent:
    """A Hello so many seconds after `START`; `changes` replace fields of the message."""
    wire = (
        build(uuid=uuid, version=2, pid=pid)
        if pid
        else build(uuid=uuid, digests=[(2, one) for one in digests])
    )
    message = parse(wire)
    assert isinstance(message, Hello)
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


def followed(*events: HelloEvent | ConnectionEvent, until: float = 600) -> Followed:
    """What becomes of events in a capture that ends so many seconds after `START`."""
    return follow(
        [one for one in events if isinstance(one, HelloEvent)],
        [one for one in events if isinstance(one, ConnectionEvent)],
        [capture(until)],
        frozenset(HELLO_PORTS),
        most_devices=100,
    )


def case_of(events: Iterable[HelloEvent | ConnectionEvent], until: float = 600) -> Case:
    """The one device that these events are about."""
    (case,) = followed(*events, until=until).cases
    return case
