"""Management in the clear, and what attackers do with it: rules for security."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import FAILED, Category, Evidence, Finding, Unknown
from amtdiag.protocols.ports import PLAIN_PORTS
from amtdiag.rules.base import DeviceRule, address_filter, frames, proof, rule
from amtdiag.rules.connect_back import TLS_PORTS
from amtdiag.rules.wsman_calls import Called, calls_of, link_filter
from amtdiag.times import SECOND

_PLAIN = frozenset({16992, 16994, 623, 5900})
_PATIENCE = 30 * SECOND
_TLS12 = 0x0303
_UNPROVISION = frozenset({"Unprovision", "PartialUnprovision"})


@rule
class EmptyDigest(DeviceRule):
    """Somebody logs in with an empty or shortened digest: the probe for CVE-2017-5689."""

    needs = "spoken"
    id = "empty-digest"
    precedence = 640
    title = "Somebody logs in with an empty digest (CVE-2017-5689)"
    label = "empty digest"
    category: ClassVar[Category] = "security"
    severity = "critical"
    remedy = (
        "Find out who owns the asking address. If the device answered with 200 it is vulnerable: take it off "
        "the network, update its firmware (6.x to 11.6 are affected) and unprovision it."
    )
    source = "CVE-2017-5689, Intel SA-00075; Trend Micro 1117552, Tenable, Embedi"
    example = (("hello", 0), ("web", 1, (1, None, {"digest_short": True})))
    near_miss = (("hello", 0), ("web", 1, (1, None)))

    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Digest credentials whose response is absent, empty or shorter than 32 digits."""
        probes = [one for one in calls_of(case) if one.exchange.digest_short]
        if not probes:
            return
        let_in = [one for one in probes if one.exchange.status == 200]
        shown = (let_in or probes)[0]
        evidence = _evidence(let_in or probes)
        what = "lets it in" if let_in else "does not let it in"
        yield self.finding(
            case,
            f"{shown.link.ends.src} logs in to {shown.link.ends.dst} port {shown.link.ends.dport} with an "
            f"empty or short digest, and the device {what} ({frames(evidence)}).",
            evidence,
            f"http.authorization && {link_filter(shown.link)}",
            times=[one.exchange.ts for one in probes],
            count=len(probes),
            severity=None if let_in else "error",
        )


def _evidence(calls: Sequence[Called]) -> list[Evidence]:
    return [frame for one in calls for frame in one.exchange.evidence]


@rule
class UnprovisionedInClear(DeviceRule):
    """Somebody unprovisions the device, and anybody on the way can see how."""

    needs = "spoken"
    id = "unprovisioned-in-clear"
    precedence = 670
    title = "The device was unprovisioned in the clear"
    label = "unprovisioned"
    category: ClassVar[Category] = "security"
    severity = "warning"
    remedy = "If nobody of yours did it, somebody resets your devices: change the password and use TLS."
    source = "Intel's AMT guide on unconfiguring a device"
    example = (("hello", 0), ("web", 1, (1, "Unprovision")))
    near_miss = (("hello", 0), ("web", 1, (1, "Unprovision", {"value": 1})))

    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Unprovision or PartialUnprovision on a plain port, answered well."""
        found = [
            one
            for one in calls_of(case)
            if one.exchange.call is not None
            and one.exchange.call.method in _UNPROVISION
            and one.exchange.succeeded
            and one.link.ends.dport in _PLAIN
        ]
        if found:
            first = found[0]
            assert first.exchange.call is not None
            by = f" as {first.exchange.user}" if first.exchange.user else ""
            yield self.finding(
                case,
                f"{first.link.ends.src}{by} calls {first.exchange.call.method} on {first.link.ends.dst} port "
                f"{first.link.ends.dport}, and the device does it ({frames(_evidence(found))}).",
                _evidence(found),
                link_filter(first.link),
                times=[one.exchange.ts for one in found],
                count=len(found),
            )


@rule
class PlainManagement(DeviceRule):
    """The device is managed without encryption."""

    needs = "plain-links"
    id = "plain-management"
    precedence = 780
    title = "The device is managed in the clear"
    category: ClassVar[Category] = "security"
    severity = "info"
    remedy = (
        "Use TLS (16993, 16995): digests of passwords can be guessed offline, and a redirection session "
        "shows all that is typed."
    )
    source = "Intel's AMT guide on security; criticism of the plain ports by V. Ververis"
    example = (("hello", 0), ("web", 1))
    near_miss = (("hello", 0), ("web", 1, {"server_bytes": 0}))

    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A conversation on 16992 or 16994 that carried data both ways."""
        spoken = [
            link
            for link in (*case.returns, *case.visits)
            if link.ends.dport in PLAIN_PORTS
            and link.outcome not in FAILED
            and link.client_bytes
            and link.server_bytes
        ]
        if spoken:
            ports = " and ".join(str(port) for port in sorted({link.ends.dport for link in spoken}))
            by = ", ".join(sorted({link.ends.src for link in spoken})[:3])
            yield self.finding(
                case,
                f"{by} talks to {spoken[0].ends.dst} on port {ports} without TLS ({frames(proof(spoken))}).",
                proof(spoken),
                link_filter(spoken[0]),
                times=[link.ts for link in spoken],
                count=len(spoken),
            )


@rule
class FallsBackToPlain(DeviceRule):
    """After TLS has failed, the same server goes on without it."""

    needs = "several-links"
    id = "falls-back-to-plain"
    precedence = 660
    title = "The server falls back to the plain port when TLS fails"
    label = "falls back"
    catalogue = "F48"
    row = "the server falls back to the plain port"
    category: ClassVar[Category] = "security"
    severity = "warning"
    remedy = (
        "Mend what ends the handshakes (see the other findings), and forbid the server to fall back: whoever "
        "can disturb TLS gets the password's digest in the clear."
    )
    source = "MeshCentral issue 6565"
    example = (("hello", 0), ("tls", 1, {"alert": 70, "by": "client"}), ("web", 3))
    near_miss = (("hello", 0), ("tls", 1, {"finished": True}), ("web", 3))

    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A TLS connection that came to nothing, and soon after it the same server at the plain port."""
        links = sorted((*case.returns, *case.visits), key=lambda link: link.ts)
        for tried in links:
            if tried.ends.dport not in TLS_PORTS or (
                tried.tls is not None and tried.tls.finished is not False
            ):
                continue
            if tried.outcome in FAILED:
                continue
            later = [
                link
                for link in links
                if link.ends.dport == 16992
                and link.ends.src == tried.ends.src
                and 0 <= link.ts - tried.ts <= _PATIENCE
            ]
            if later:
                yield self.finding(
                    case,
                    f"{tried.ends.src} fails with TLS on port {tried.ends.dport} ({frames(tried.evidence)}) "
                    f"and then tries port 16992 ({frames(later[0].evidence)}).",
                    [*tried.evidence, *later[0].evidence],
                    f"tcp.port in {{16992,16993}} && {address_filter(tried.ends.dst)}",
                    times=[tried.ts, later[0].ts],
                )
                return


@rule
class VulnerableFirmware(DeviceRule):
    """The device says a firmware version in which CVE-2017-5689 is open."""

    needs = "spoken"
    id = "vulnerable-firmware"
    precedence = 650
    title = "The firmware can be entered without a password"
    category: ClassVar[Category] = "security"
    severity = "warning"
    confidence = "medium"
    remedy = (
        "Update the firmware. Until then keep ports 16992 to 16995 of this device away from all but the "
        "servers that manage it, or unprovision it."
    )
    source = "CVE-2017-5689, Intel SA-00075: versions 6 to 11.6 before the mended builds"
    example = (("hello", 0), ("web", 1, {"version": "9.1.20.1035"}))
    near_miss = (("hello", 0), ("web", 1, {"version": "9.1.41.3024"}))

    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A version in the Server header of its web server that lies before the mended build."""
        from amtdiag.trust.advisories import has_empty_digest_hole

        for link in (*case.returns, *case.visits):
            version = link.web.version if link.web is not None else None
            if version is not None and has_empty_digest_hole(version):
                yield self.finding(
                    case,
                    f"{link.ends.dst} says that it runs AMT {version} ({frames(link.evidence)}), in which "
                    "CVE-2017-5689 is open: an empty password digest is let in.",
                    link.evidence,
                    f"http.server && {link_filter(link)}",
                    times=[link.ts],
                )
                return


@rule
class OldTls(DeviceRule):
    """Device and server speak a version of TLS that is no longer thought safe."""

    needs = "shaken"
    id = "old-tls"
    precedence = 790
    title = "Device and server speak an old version of TLS"
    category: ClassVar[Category] = "security"
    severity = "info"
    remedy = (
        "Update the firmware: TLS 1.2 came with AMT 12. Until then keep this traffic to a network you trust."
    )
    source = "RFC 8996 (TLS 1.0 and 1.1 deprecated), RFC 7568 (SSL 3.0); Intel's AMT guide on TLS by release"
    example = (("hello", 0), ("tls", 1, {"finished": True, "version": 0x0301}))
    near_miss = (("hello", 0), ("tls", 1, {"finished": True, "version": 0x0303}))

    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A finished handshake with SSL 3.0, TLS 1.0 or TLS 1.1."""
        spoken = [
            link
            for link in (*case.returns, *case.visits)
            if link.tls is not None and link.tls.finished and link.tls.version and link.tls.version < _TLS12
        ]
        if spoken:
            from amtdiag.protocols.tls.constants import version_name

            assert spoken[0].tls is not None
            yield self.finding(
                case,
                f"{spoken[0].ends.src} and {spoken[0].ends.dst} speak "
                f"{version_name(spoken[0].tls.version or 0)} ({frames(proof(spoken))}).",
                proof(spoken),
                f"tls && {link_filter(spoken[0])}",
                times=[link.ts for link in spoken],
                count=len(spoken),
            )
