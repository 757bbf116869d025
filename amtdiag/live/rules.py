"""Alerts that only a live run can give: they are about how long something lasts, or about what is new.

A report of a capture has no such finding: what they are about stands there as a device's stage, and as the
answers of DNS. They have the shape of findings, so that every surface shows them as it shows those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from amtdiag.model import DeviceRecord, Diagnosis, Evidence, Finding, LookupEvent, Severity
from amtdiag.rules.base import address_filter
from amtdiag.times import SECOND, span

MINUTE = 60 * SECOND
STUCK: Final = "live-stuck"
NEW_SERVER: Final = "live-new-server"
TITLES = {
    STUCK: "A device does not get on",
    NEW_SERVER: "A server that was not there before answers for the provisioning server's name",
}
"""By rule; they begin with `live-`, which no rule of a report does."""
_MOST_SERVERS = 1000
"""Addresses that are remembered; DNS that names more is forged, and what is forged is not counted on."""
_MOST_EVIDENCE = 8


class Alarms:
    """What has stood still for too long, and who answers in the provisioning server's name."""

    def __init__(self, stuck_after: int, servers: frozenset[str]) -> None:
        """`stuck_after` is in nanoseconds, 0 for never; `servers` are those that the user expects."""
        self._stuck_after = stuck_after
        self._expected = servers
        self._stood: dict[str, tuple[tuple[str, ...], int]] = {}
        """By device: where it stands, and since when."""
        self._servers: dict[str, Finding | None] = {}
        """Addresses that DNS has named, each with its alert."""

    def look(self, diagnosis: Diagnosis, now: int) -> list[Finding]:
        """Return what is the matter as of now. Diagnoses are looked at in the order of time."""
        return [*self._stuck(diagnosis, now), *self._new_servers(diagnosis.lookups)]

    def clock_step(self, by: int) -> None:
        """Take note that the clock was set: nobody has stood still for that."""
        self._stood = {name: (where, since + by) for name, (where, since) in self._stood.items()}

    def _stuck(self, diagnosis: Diagnosis, now: int) -> Iterator[Finding]:
        stood: dict[str, tuple[tuple[str, ...], int]] = {}
        for device in diagnosis.devices:
            if not device.is_amt or "operational" in (device.mode.name, device.stage):
                continue
            where = (device.mode.name, device.stage)
            before = [self._stood[name] for name in (device.id, *device.aliases) if name in self._stood]
            last = device.stages[-1].at if device.stages else device.first_seen
            since = min((at for place, at in before if place == where), default=min(last, now))
            stood[device.id] = where, since
            if self._stuck_after and now - since >= self._stuck_after:
                yield _stuck_at(device, since, self._stuck_after)
        self._stood = stood

    def _new_servers(self, lookups: Sequence[LookupEvent]) -> Iterator[Finding]:
        for lookup in lookups:
            for address in (*lookup.addresses, *lookup.other_addresses):
                if address not in self._servers and len(self._servers) < _MOST_SERVERS:
                    known = bool(self._expected or self._servers)
                    expected = address in self._expected
                    self._servers[address] = None if expected else _new_server(lookup, address, known=known)
        for finding in self._servers.values():
            if finding is not None:
                yield finding


def _stuck_at(device: DeviceRecord, since: int, allowed: int) -> Finding:
    stage = device.stages[-1] if device.stages else None
    name = device.stage.replace("_", "-")
    detail = f": {stage.detail}" if stage is not None and stage.detail else ""
    return _alarm(
        STUCK,
        "error",
        device.id,
        device.id,
        f"It has been at the stage {name} for {span(allowed)} and longer{detail}.",
        "See what the other findings say of it; if there are none, look at the server's log of that time.",
        stage.evidence if stage is not None else (),
        " || ".join(address_filter(address) for address in device.ips[:4]),
        since,
    )


def _new_server(lookup: LookupEvent, address: str, *, known: bool) -> Finding:
    severity: Severity = "warning" if known else "info"
    return _alarm(
        NEW_SERVER,
        severity,
        address,
        None,
        f"{lookup.server} told {lookup.client} that {lookup.name} is {address}"
        + (", which it was not before." if known else ": the first answer of this run."),
        "If that server is yours, name it with --server; if not, find who answers: whoever gets the Hello "
        "can take the machine.",
        lookup.evidence,
        f"dns && {address_filter(lookup.client)}",
        lookup.ts,
    )


def _alarm(  # noqa: PLR0917 - the fields of a finding, in their order
    rule: str,
    severity: Severity,
    subject: str,
    device: str | None,
    summary: str,
    remedy: str,
    evidence: tuple[Evidence, ...],
    display_filter: str,
    ts: int,
) -> Finding:
    return Finding(
        id=f"{rule}/{subject}",
        rule=rule,
        catalogue=None,
        category="provisioning" if device is not None else "security",
        severity=severity,
        device=device,
        basis="observed",
        confidence="high" if device is not None else "medium",
        count=1,
        first_ts=ts,
        last_ts=ts,
        summary=summary,
        remedy=remedy,
        evidence=evidence[:_MOST_EVIDENCE],
        display_filter=display_filter,
    )
