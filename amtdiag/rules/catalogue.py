"""All rules, and the run over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from amtdiag.config import Options
from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import SEVERITIES, Finding, Unknown
from amtdiag.rules.after_resolution import Ipv6Only, NotLooking, ResolvedButSilent, ServerOtherThanTold
from amtdiag.rules.base import DeviceRule, FleetEvidence, FleetRule, Rule
from amtdiag.rules.chain import (
    CertificateDates,
    CertificateDomain,
    CertificateServerAuth,
    CertificateUsage,
    ChainNotListed,
    ChainNotWhole,
    ChainOutOfOrder,
    ChainSha1,
    ChainSignature,
    ChainSmallKey,
    RefusedForNoVisibleReason,
)
from amtdiag.rules.connect_back import (
    ConnectBackRefused,
    ConnectBackRejected,
    ConnectBackUnanswered,
    ConnectsElsewhere,
    LeaseMoved,
    NoConnectBack,
)
from amtdiag.rules.discovery import (
    CustomNameUnknown,
    DnsRefuses,
    DnsSilent,
    NoServerRecord,
    NoSuffix,
    ServerAmbiguous,
)
from amtdiag.rules.fleet import PidReused, PkiAmongPsk, PskAmongPki, UnexpectedServer
from amtdiag.rules.handshake import (
    DeviceNotTrusted,
    NoClientCertificate,
    TlsEnded,
    TlsRenegotiation,
    TlsVersion,
)
from amtdiag.rules.hello_delivery import (
    RecordElsewhere,
    ServerNotThere,
    ServerRefusesHello,
    ServerRejected,
    ServerSilent,
    WrongPort,
)
from amtdiag.rules.hello_message import (
    AdminCredentialsUnset,
    CaptureLoss,
    HelloDamaged,
    HelloSplit,
    JunkUuid,
    PidCheckFailed,
    UndocumentedVersion,
)
from amtdiag.rules.keys import PskDiffers, PskIdentityUnknown, PskNotOffered
from amtdiag.rules.lease import (
    AnotherDhcpServer,
    LeaseRefused,
    NoDnsServer,
    NoDomainOption,
    NoLease,
    SecondDhcpServer,
)
from amtdiag.rules.management import (
    EmptyDigest,
    FallsBackToPlain,
    OldTls,
    PlainManagement,
    UnprovisionedInClear,
    VulnerableFirmware,
)
from amtdiag.rules.network_wide import (
    AnotherPath,
    CaptureDrops,
    NoHello,
    NotAHello,
    PortSweep,
    RmcpSweep,
)
from amtdiag.rules.preconditions import marks_of
from amtdiag.rules.roots import (
    DigestAdded,
    DigestVanished,
    ExpiredRoot,
    RootNotListed,
    UnknownDigest,
    WeakRoot,
    ZeroDigest,
)
from amtdiag.rules.schedule import (
    ClonedUuid,
    GaveUp,
    HelloAfterOperational,
    ModesDisagree,
    SharedAddress,
    StartsOver,
    WindowClosed,
)
from amtdiag.rules.user_chain import OwnChainDoubtful, OwnChainFits, OwnChainRefused
from amtdiag.rules.wsman_calls import BrokenAfterCommit, CallFails, EndsAfterPassword, PasswordWrong

CHECKS: tuple[type[DeviceRule], ...] = (
    ServerAmbiguous,
    NoLease,
    LeaseRefused,
    NoDnsServer,
    NoDomainOption,
    NoServerRecord,
    CustomNameUnknown,
    NoSuffix,
    DnsRefuses,
    DnsSilent,
    ServerNotThere,
    WrongPort,
    ServerRefusesHello,
    ServerRejected,
    ServerSilent,
    RecordElsewhere,
    ClonedUuid,
    ConnectsElsewhere,
    LeaseMoved,
    RootNotListed,
    OwnChainRefused,
    CertificateUsage,
    CertificateServerAuth,
    ChainOutOfOrder,
    ChainNotWhole,
    ChainSignature,
    ChainNotListed,
    CertificateDomain,
    ChainSha1,
    ChainSmallKey,
    CertificateDates,
    RefusedForNoVisibleReason,
    PskIdentityUnknown,
    PskDiffers,
    PskNotOffered,
    NoClientCertificate,
    TlsVersion,
    TlsRenegotiation,
    DeviceNotTrusted,
    TlsEnded,
    PasswordWrong,
    CallFails,
    BrokenAfterCommit,
    EndsAfterPassword,
    ConnectBackRefused,
    ConnectBackRejected,
    ConnectBackUnanswered,
    NoConnectBack,
    GaveUp,
    Ipv6Only,
    ResolvedButSilent,
    NotLooking,
    WindowClosed,
    StartsOver,
    SharedAddress,
    HelloAfterOperational,
    ModesDisagree,
    SecondDhcpServer,
    ServerOtherThanTold,
    HelloDamaged,
    JunkUuid,
    PidCheckFailed,
    ZeroDigest,
    EmptyDigest,
    VulnerableFirmware,
    FallsBackToPlain,
    UnprovisionedInClear,
    DigestVanished,
    DigestAdded,
    UnknownDigest,
    AdminCredentialsUnset,
    UndocumentedVersion,
    HelloSplit,
    OwnChainDoubtful,
    OwnChainFits,
    WeakRoot,
    ExpiredRoot,
    PlainManagement,
    OldTls,
    AnotherDhcpServer,
    CaptureLoss,
)
"""Every rule about a device, what stops it first."""

_MOST_CHOICES = 1024
"""Different sets of marks for which the rules are remembered; fleets have a few dozen."""


SCENE_CHECKS: tuple[type[FleetRule], ...] = (
    UnexpectedServer,
    PskAmongPki,
    PkiAmongPsk,
    PidReused,
    AnotherPath,
    NoHello,
    RmcpSweep,
    PortSweep,
    NotAHello,
    CaptureDrops,
)
"""Every rule about several devices, about strangers, and about the capture."""

RULES: tuple[type[Rule], ...] = (*CHECKS, *SCENE_CHECKS)


def examine(scene: FleetEvidence, options: Options) -> tuple[list[Finding], list[Unknown]]:
    """Run every rule over every device, and over all that was seen."""
    asked = (check for check in CHECKS if not check.option or getattr(options, check.option))
    choose = _Choice([check(options) for check in asked])
    results: list[Finding | Unknown] = []
    for case in scene.cases:
        for check in choose(case):
            results += check.look(case)
    for scene_check in SCENE_CHECKS:
        results += scene_check(options).look(scene)
    findings = likeliest_first(result for result in results if isinstance(result, Finding))
    return findings, [result for result in results if isinstance(result, Unknown)]


class _Choice:
    """Which rules have something to look at: few devices have all that some rule needs."""

    def __init__(self, checks: list[DeviceRule]) -> None:
        self._checks = checks
        self._chosen: dict[tuple[str, ...], list[DeviceRule]] = {}

    def __call__(self, case: DeviceEvidence) -> list[DeviceRule]:
        """Return the rules for a device, in their order."""
        marks = marks_of(case)
        chosen = self._chosen.get(marks)
        if chosen is None:
            if len(self._chosen) >= _MOST_CHOICES:
                self._chosen.clear()
            there = {"", *marks}
            chosen = self._chosen[marks] = [check for check in self._checks if check.needs in there]
        return chosen


def without_blameless_prospects(
    cases: Sequence[DeviceEvidence], findings: Iterable[Finding]
) -> list[DeviceEvidence]:
    """Leave out the machines that nothing shows to have AMT, and in whose lease no rule found a fault."""
    blamed = {one.device for one in findings}
    return [case for case in cases if not case.prospect or case.id in blamed]


def likeliest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort: what stops devices before what threatens them, and what stops many before what stops one."""
    listed = list(findings)
    devices = Counter((one.rule, one.severity, one.catalogue) for one in listed)
    order = {rule.id: place for place, rule in enumerate(RULES)}

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
