"""What a scenario knows about its capture, in the form in which it is written beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from amtdiag.simulator.hosts import AmtHost
from scenarios.packets import Frame, SentHello

BEFORE_HELLO = frozenset({"discovery", "resolution", "connection"})
"""Stages of a device that has not yet told its UUID."""


@dataclass(frozen=True, slots=True)
class Fate:
    """How far a device came: the furthest stage that was attempted, and the mode that this shows."""

    device: AmtHost
    stage: str | None
    mode: str | None = "setup"
    """None, here and for the stage: nothing to hold the analysis to."""
    by_address: bool = False
    """No Hello told a UUID, or only one that many machines share: the address has to do."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What else is known of it."""

    def json(self) -> dict[str, object]:
        """The entry of expected.json."""
        who = {"ip": self.device.ip} if self.by_address else {"uuid": self.device.uuid}
        told = {key: value for key, value in (("stage", self.stage), ("mode", self.mode)) if value}
        return {**who, **told, **self.facts}


@dataclass(frozen=True, slots=True)
class Claim:
    """A finding that must be reported, or may be; with what is not None in it."""

    rule: str
    device: AmtHost | None = None
    severity: str | None = None
    catalogue: str | None = None
    by_address: bool = False
    """As in `Fate`."""

    def json(self) -> dict[str, object]:
        """The entry of expected.json."""
        entry: dict[str, object] = {"rule": self.rule}
        if self.device is not None:
            entry.update({"ip": self.device.ip} if self.by_address else {"uuid": self.device.uuid})
        pairs = (("severity", self.severity), ("catalogue", self.catalogue))
        entry.update({key: value for key, value in pairs if value is not None})
        return entry


def hello_json(
    hello: SentHello,
    number: int,
    files: Iterable[tuple[str, list[Frame]]],
    lists: dict[tuple[bytes, ...], str],
) -> dict[str, object] | None:
    """The entry of expected.json for a Hello, with the frames that carry it in these files.

    None where not one of its bytes was captured. Devices of one firmware share their digest list: `lists`
    names each list once.
    """
    found = [
        (frame, [file, index])
        for file, content in files
        for index, frame in enumerate(content, start=1)
        if frame.hello == number
    ]
    if not found:
        return None
    device = hello.device
    entry: dict[str, object] = {
        "ts": min(frame.ts for frame, _ in found),
        "src": hello.src,
        "dst": hello.dst,
        "sport": hello.sport,
        "dport": hello.dport,
        "version": device.hello_version,
        "type": device.hello_type,
        "retry_count": hello.retry_count,
        "uuid": device.uuid,
        "pid": device.pid,
        "admin_credentials_raw": device.admin_credentials,
        "frames": [place for frame, place in found if not frame.copy],
    }
    copies = [place for frame, place in found if frame.copy]
    if copies:
        entry["copies"] = copies
    if sum(frame.carries for frame, _ in found if not frame.copy) == len(hello.payload):
        entry["digests"] = lists.setdefault(hello.digests, f"list-{len(lists) + 1}")
        entry["payload_sha256"] = hashlib.sha256(hello.payload).hexdigest()
    return entry


def messages_json(frames: Iterable[Frame]) -> list[dict[str, object]]:
    """The entries of expected.json for DHCP, DNS and RMCP messages, each with its frame number."""
    return [
        {"frame": number, **frame.says}
        for number, frame in enumerate(frames, start=1)
        if frame.says is not None
    ]
