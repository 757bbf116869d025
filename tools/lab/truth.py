"""What a recording holds, in the form of sample_pcaps/README.md, by scenario, stand-ins and tshark."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scenarios.packets import SentHello

from tools.lab.net import run

_FIELDS = (
    *("frame.number", "frame.time_epoch", "ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "tcp.seq_raw"),
    "tcp.payload",
)


@dataclass
class Truth:
    """What a scenario says about its recording."""

    devices: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    also_true: set[str] = field(default_factory=set)
    """Rules that may be reported, though they are not the point."""
    overcome: set[str] = field(default_factory=set)
    """Rules that may be reported as a trouble that passed, and not as an error."""

    def also(self) -> list[dict[str, Any]]:
        """What may be reported besides the findings."""
        passed = [{"rule": rule, "severity": "warning"} for rule in sorted(self.overcome)]
        return [{"rule": rule} for rule in sorted(self.also_true)] + passed


def expected(story: str, files: Sequence[Path], hellos: Sequence[SentHello], truth: Truth) -> dict[str, Any]:
    """All of expected.json."""
    lists: dict[tuple[bytes, ...], str] = {}
    segments = [segment for path in files for segment in _segments(path)]
    found = [entry for hello in hellos if (entry := _hello(hello, segments, lists)) is not None]
    return {
        "story": story,
        "origin": "lab",
        "packets": {path.name: _packets(path) for path in files},
        "digest_lists": {name: [digest.hex() for digest in digests] for digests, name in lists.items()},
        "hellos": sorted(found, key=lambda entry: entry["ts"]),
        "devices": truth.devices,
        "findings": truth.findings,
        **({"also": truth.also()} if truth.also() else {}),
    }


def counts(path: Path, filters: Sequence[str]) -> dict[str, int]:
    """How many frames each of these display filters picks."""
    if not filters:
        return {}
    printed = run("tshark", "-q", "-r", str(path), "-z", ",".join(("io,stat,0", *filters)))
    rows = [line for line in printed.splitlines() if re.match(r"\|\s*[\d.]+ <> ", line)]
    numbers = [int(number) for number in re.findall(r"\d+(?= +\|)", rows[-1].split("|", 2)[2])[::2]]
    return dict(zip(filters, numbers, strict=True))


def _segments(path: Path) -> list[dict[str, Any]]:
    shown = [word for name in _FIELDS for word in ("-e", name)]
    printed = run("tshark", "-r", str(path), "-Y", "tcp.len > 0 && !icmp", "-T", "fields", *shown)
    segments = []
    for line in printed.splitlines():
        frame, ts, src, sport, dst, dport, seq, data = line.split("\t")
        whole, fraction = ts.split(".")
        segments.append(
            {
                "place": [path.name, int(frame)],
                "ts": int(whole) * 10**9 + int(fraction.ljust(9, "0")),
                "ends": (src, int(sport), dst, int(dport)),
                "seq": int(seq),
                "data": bytes.fromhex(data),
            }
        )
    return segments


def _hello(
    hello: SentHello, segments: Sequence[dict[str, Any]], lists: dict[tuple[bytes, ...], str]
) -> dict[str, Any] | None:
    """The entry of a Hello; None where not one of its bytes was captured."""
    ends = (hello.src, hello.sport, hello.dst, hello.dport)
    mine = [segment for segment in segments if segment["ends"] == ends]
    fresh: dict[int, dict[str, Any]] = {}
    copies = []
    for segment in mine:
        if segment["seq"] in fresh:
            copies.append(segment["place"])
        else:
            fresh[segment["seq"]] = segment
    if not mine:
        return None
    if b"".join(fresh[seq]["data"] for seq in sorted(fresh)) != hello.payload:
        raise RuntimeError(f"the frames of {ends} do not carry the Hello that was sent")
    device = hello.device
    entry: dict[str, Any] = {
        "ts": min(segment["ts"] for segment in mine),
        "src": hello.src,
        "dst": hello.dst,
        "sport": hello.sport,
        "dport": hello.dport,
        "version": device.hello_version,
        "type": "pki" if device.pid is None else "psk",
        "retry_count": hello.retry_count,
        "uuid": device.uuid,
        "pid": device.pid,
        "admin_credentials_raw": device.admin_credentials,
        "frames": [segment["place"] for segment in fresh.values()],
        "digests": lists.setdefault(hello.digests, f"list-{len(lists) + 1}"),
        "payload_sha256": hashlib.sha256(hello.payload).hexdigest(),
    }
    return entry | ({"copies": copies} if copies else {})


def _packets(path: Path) -> int:
    return int(run("capinfos", "-c", "-M", "-T", "-r", str(path)).split("\t")[1])
