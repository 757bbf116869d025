"""What only the comparison of devices, or the traffic around them, shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from amtdiag.checks.base import MOST_EVIDENCE, address_filter, frames
from amtdiag.model import Finding, PingEvent, Unknown
from amtdiag.provisioning.case import Case
from amtdiag.provisioning.events import Events

PID_REUSED = "pid-reused"
ODD_SERVER = "unexpected-server"
SWEEP = "rmcp-sweep"
TITLES = {
    PID_REUSED: "Several devices share one PID",
    ODD_SERVER: "A device sends its Hello to another server than the rest",
    SWEEP: "Somebody searches the network for AMT devices",
}
_FEW_DEVICES = 4
"""Devices that agree on a server before one that does not is odd."""
_MAJORITY = 0.8
"""Share of the devices that has to agree."""
_SWEEP = 16
"""Addresses that are pinged before it is called a sweep."""


def _finding(rule: str, subject: str, summary: str, remedy: str, **more: Any) -> Finding:
    """Return a finding of one of these rules; what is not given is what most of them have."""
    standing: dict[str, Any] = {
        "catalogue": None,
        "category": "security",
        "severity": "warning",
        "device": None,
        "basis": "observed",
        "confidence": "high",
        "count": 1,
    }
    times = more.pop("times")
    more["evidence"] = tuple(more["evidence"])[:MOST_EVIDENCE]
    return Finding(
        id=f"{rule}/{subject}",
        rule=rule,
        summary=summary,
        remedy=remedy,
        first_ts=min(times),
        last_ts=max(times),
        **{**standing, **more},
    )


def compare(cases: Sequence[Case]) -> list[Finding]:
    """Compare the devices with each other."""
    return [*_reused_pids(cases), *_odd_servers(cases)]


def _reused_pids(cases: Sequence[Case]) -> list[Finding]:
    users: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases:
        for pid in {r.event.hello.pid for r in case.hellos if r.event.hello.pid}:
            users[pid].append(case)
    found = []
    for pid, sharing in users.items():
        if len(sharing) < 2:
            continue
        records = [r for case in sharing for r in case.hellos if r.event.hello.pid == pid]
        evidence = [record.event.evidence[0] for record in records]
        found.append(
            _finding(
                PID_REUSED,
                pid,
                f"{len(sharing)} devices use the PID {pid} ({frames(evidence)}): one leak opens them all.",
                "Give every device a pair of its own; HP and Intel advise unique PID/PPS pairs.",
                evidence=evidence,
                times=[record.event.ts for record in records],
                display_filter=f"tcp.port=={records[0].event.ends.dport}",
                count=len(sharing),
            )
        )
    return found


def _odd_servers(cases: Sequence[Case]) -> list[Finding]:
    """A device whose Hello goes where no other's does, while the others agree."""
    targets = {case.id: {r.event.ends.dst for r in case.hellos} for case in cases if case.hellos}
    votes = Counter(server for servers in targets.values() for server in servers)
    if not votes:
        return []
    usual, count = votes.most_common(1)[0]
    if count < max(_FEW_DEVICES, _MAJORITY * len(targets)):
        return []
    found = []
    for case in cases:
        if case.id in targets and usual not in targets[case.id] and len(targets[case.id]) == 1:
            (server,) = targets[case.id]
            if votes[server] == 1:
                last = case.hellos[-1].event
                found.append(
                    _finding(
                        ODD_SERVER,
                        case.id,
                        f"Its Hello goes to {server} ({frames(last.evidence)}), those of {count} others to "
                        f"{usual}.",
                        "Check whether that server is yours: whoever gets the Hello can take the machine.",
                        evidence=last.evidence,
                        times=[last.ts],
                        basis="inferred",
                        confidence="low",
                        display_filter=f"tcp.port=={last.ends.dport} && {address_filter(server)}",
                        device=case.id,
                    )
                )
    return found


def silence(events: Events, cases: Sequence[Case]) -> list[Unknown]:
    """Say what a capture without any Hello cannot tell (F36, F45)."""
    if events.hellos or cases:
        return []
    return [
        Unknown(
            "why no device says Hello here",
            "a device that is off, whose setup window is closed or was never opened (an OEM timer of 0), "
            "that missed the lease, or that is set up from its own system or by CIRA, sends nothing to see",
            None,
            "its MEBx and local agent; then a capture on its own segment while setup is restarted",
        )
    ]


def traffic_findings(events: Events) -> list[Finding]:
    """Say what the traffic shows that belongs to no device: sweeps."""
    sent: defaultdict[str, list[PingEvent]] = defaultdict(list)
    for ping in events.pings:
        sent[ping.asker].append(ping)
    found = []
    for asker, pings in sent.items():
        asked = {ping.target for ping in pings}
        if len(asked) >= _SWEEP:
            found.append(
                _finding(
                    SWEEP,
                    asker,
                    f"{asker} sends RMCP pings to {len(asked)} addresses: it looks for AMT devices.",
                    "An inventory tool of yours, or somebody else's: find the host.",
                    evidence=[frame for ping in pings[:MOST_EVIDENCE] for frame in ping.evidence],
                    times=[ping.ts for ping in pings],
                    display_filter=f"udp.port==623 && {address_filter(asker)}",
                    severity="info",
                    count=len(pings),
                )
            )
    return found
