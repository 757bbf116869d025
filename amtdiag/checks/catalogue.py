"""All rules, and the run over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from amtdiag.checks.base import Check, address_filter
from amtdiag.checks.connection import (
    ConnectBackRefused,
    ConnectBackUnanswered,
    NoConnectBack,
    ServerRefusesHello,
    ServerSilent,
    TlsEnded,
)
from amtdiag.checks.discovery import (
    DnsRefuses,
    DnsSilent,
    NoDnsServer,
    NoDomainOption,
    NoServerRecord,
    NoSuffix,
    ResolvedButSilent,
    SecondDhcpServer,
    ServerAmbiguous,
)
from amtdiag.checks.fleet import TITLES, compare
from amtdiag.checks.message import (
    AdminCredentialsUnset,
    CaptureLoss,
    HelloDamaged,
    HelloSplit,
    JunkUuid,
    PidCheckFailed,
    UndocumentedVersion,
)
from amtdiag.checks.roots import ExpiredRoot, RootNotListed, UnknownDigest, WeakRoot, ZeroDigest
from amtdiag.checks.schedule import (
    ClonedUuid,
    ConnectsElsewhere,
    GaveUp,
    HelloAfterOperational,
    LeaseMoved,
    SharedAddress,
    StartsOver,
    WindowClosed,
)
from amtdiag.config import Options
from amtdiag.model import SEVERITIES, CaptureInfo, ConnectionEvent, Finding, Unknown
from amtdiag.provisioning.case import Case

CHECKS: tuple[type[Check], ...] = (
    ServerAmbiguous,
    NoDnsServer,
    NoDomainOption,
    NoServerRecord,
    NoSuffix,
    DnsRefuses,
    DnsSilent,
    ServerRefusesHello,
    ServerSilent,
    ClonedUuid,
    ConnectsElsewhere,
    LeaseMoved,
    RootNotListed,
    TlsEnded,
    ConnectBackRefused,
    ConnectBackUnanswered,
    NoConnectBack,
    GaveUp,
    ResolvedButSilent,
    WindowClosed,
    StartsOver,
    SharedAddress,
    HelloAfterOperational,
    SecondDhcpServer,
    HelloDamaged,
    JunkUuid,
    PidCheckFailed,
    ZeroDigest,
    UnknownDigest,
    AdminCredentialsUnset,
    UndocumentedVersion,
    HelloSplit,
    WeakRoot,
    ExpiredRoot,
    CaptureLoss,
)
"""Every rule about a device, what stops it first."""


def examine(cases: Sequence[Case], options: Options) -> tuple[list[Finding], list[Unknown]]:
    """Run every rule over every device."""
    checks = [check(options) for check in CHECKS]
    findings: list[Finding] = []
    unknowns: list[Unknown] = []
    for case in cases:
        for check in checks:
            for result in check.look(case):
                if isinstance(result, Finding):
                    findings.append(result)
                else:
                    unknowns.append(result)
    return findings + compare(cases), unknowns


NOT_A_HELLO = "not-a-hello"
CAPTURE_DROPS = "capture-drops"
OTHER_TITLES = {
    NOT_A_HELLO: "Something else came to a Hello port",
    CAPTURE_DROPS: "The capturing side dropped packets",
    **TITLES,
}
"""Titles of the rules that are about no device."""


def stray_findings(strays: Sequence[ConnectionEvent]) -> list[Finding]:
    """Say once a source what came to a Hello port and was no Hello (F59)."""
    by_source: dict[tuple[str, str], list[ConnectionEvent]] = {}
    for link in strays:
        if link.foreign:
            by_source.setdefault((link.ends.src, link.foreign), []).append(link)
    found = []
    for (source, foreign), links in by_source.items():
        ends = links[0].ends
        found.append(
            Finding(
                id=f"{NOT_A_HELLO}/{source}/{foreign}",
                rule=NOT_A_HELLO,
                catalogue="F59",
                category="provisioning",
                severity="info",
                device=None,
                basis="observed",
                confidence="high",
                count=len(links),
                first_ts=links[0].ts,
                last_ts=links[-1].ts,
                summary=f"{source} sent {foreign} to port {ends.dport} of {ends.dst}: no Hello.",
                remedy="Not AMT: a browser, a test or a scanner. Leave it out of the diagnosis.",
                evidence=tuple(frame for link in links for frame in link.evidence)[:8],
                display_filter=f"tcp.port=={ends.dport} && {address_filter(source)}",
            )
        )
    return found


def capture_findings(captures: Sequence[CaptureInfo]) -> list[Finding]:
    """Say where the capturing side itself reports lost packets."""
    return [
        Finding(
            id=f"{CAPTURE_DROPS}/{one.file}",
            rule=CAPTURE_DROPS,
            catalogue=None,
            category="capture",
            severity="info",
            device=None,
            basis="observed",
            confidence="high",
            count=one.drops,
            first_ts=one.first_ts,
            last_ts=one.last_ts,
            summary=f"{one.file}: the capturing side dropped {one.drops:,} packets.",
            remedy="Capture with a filter (tcp port 9971 or portrange 16992-16995) or a larger buffer.",
            evidence=(),
            display_filter="",
        )
        for one in captures
        if one.drops
    ]


def likeliest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort: what stops devices before what threatens them, and what stops many before what stops one."""
    listed = list(findings)
    devices = Counter((one.rule, one.severity, one.catalogue) for one in listed)
    order = {check.id: place for place, check in enumerate(CHECKS)}

    def rank(one: Finding) -> tuple[object, ...]:
        return (
            -SEVERITIES.index(one.severity),
            -devices[one.rule, one.severity, one.catalogue],
            order.get(one.rule, len(order)),
            one.rule,
            one.catalogue or "",
            one.first_ts or 0,
            one.device or "",
        )

    return sorted(listed, key=rank)
