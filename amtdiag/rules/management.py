"""Management in the clear, and what attackers do with it: rules for security."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import ClassVar

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import FAILED, Category, ConnectionEvent, Finding, Unknown
from amtdiag.protocols.ports import PLAIN_PORTS
from amtdiag.rules.base import DeviceRule, Picking, address_filter, frames, picked_by, proof, rule, where
from amtdiag.rules.connect_back import TLS_PORTS
from amtdiag.rules.wsman_calls import calls_of, link_filter
from amtdiag.times import SECOND

_PLAIN = frozenset({16992, 16994, 623, 5900})
_PATIENCE = 30 * SECOND
_TLS12 = 0x0303
_UNPROVISION = frozenset({"Unprovision", "PartialUnprovision"})


@rule
class EmptyDigest(DeviceRule):
    """Somebody logs in with an empty or shortened digest: the probe for CVE-2017-5689."""

    subject = staticmethod(calls_of)
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

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Digest credentials whose response is absent, empty or shorter than 32 digits."""
        probes = [call for call in calls_of(device) if call.exchange.digest_short]
        if not probes:
            return
        let_in = [call for call in probes if call.exchange.status == 200]
        shown = let_in or probes
        link = shown[0].link
        what = "lets it in" if let_in else "does not let it in"
        yield self.finding(
            device,
            f"{link.ends.src} logs in to {link.ends.dst} port {link.ends.dport} with an "
            f"empty or short digest, and the device {what} ({where(shown)}).",
            proof(shown),
            f"http.authorization && {link_filter(link)}",
            times=[call.ts for call in probes],
            count=len(probes),
            severity=None if let_in else "error",
        )


@rule
class UnprovisionedInClear(DeviceRule):
    """Somebody unprovisions the device, and anybody on the way can see how."""

    subject = staticmethod(calls_of)
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

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Unprovision or PartialUnprovision on a plain port, answered well."""
        found = [
            call
            for call in calls_of(device)
            if call.method in _UNPROVISION and call.exchange.succeeded and call.link.ends.dport in _PLAIN
        ]
        if found:
            first = found[0]
            by = f" as {first.exchange.user}" if first.exchange.user else ""
            yield self.about(
                device,
                found,
                f"{first.link.ends.src}{by} calls {first.method} on {first.link.ends.dst} port "
                f"{first.link.ends.dport}, and the device does it ({where(found)}).",
                link_filter(first.link),
            )


class _LinkRule(DeviceRule):
    """A rule about some of the connections to a device's AMT ports, whoever makes them."""

    _members: ClassVar[list[Picking]] = []
    subject = staticmethod(picked_by(_members, attrgetter("links")))

    def __init_subclass__(cls) -> None:
        """Take note of the rule: all of them go through the connections of a device at once."""
        cls._members.append(cls)

    @staticmethod
    def picks(link: ConnectionEvent) -> bool:
        """Tell whether the rule is about this connection."""
        raise NotImplementedError

    def picked(self, device: DeviceEvidence) -> list[ConnectionEvent]:
        """Return the connections that it picks."""
        picked: dict[str, list[ConnectionEvent]] = type(self).subject(device)
        return picked.get(self.id, [])


@rule
class PlainManagement(_LinkRule):
    """The device is managed without encryption."""

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

    @staticmethod
    def picks(link: ConnectionEvent) -> bool:
        """One without TLS that carried data both ways."""
        carried = link.client_bytes and link.server_bytes and link.outcome not in FAILED
        return bool(carried) and link.ends.dport in PLAIN_PORTS

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A conversation on 16992 or 16994 that carried data both ways."""
        links = self.picked(device)
        if links:
            ports = " and ".join(str(port) for port in sorted({link.ends.dport for link in links}))
            by = ", ".join(sorted({link.ends.src for link in links})[:3])
            yield self.about(
                device,
                links,
                f"{by} talks to {links[0].ends.dst} on port {ports} without TLS ({where(links)}).",
                link_filter(links[0]),
            )


@rule
class FallsBackToPlain(_LinkRule):
    """After TLS has failed, the same server goes on without it."""

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

    @staticmethod
    def picks(link: ConnectionEvent) -> bool:
        """One to the plain port."""
        return link.ends.dport == 16992

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A TLS connection that came to nothing, and soon after it the same server at the plain port."""
        web = sorted(self.picked(device), key=lambda link: link.ts)
        for tried in sorted(device.links, key=lambda link: link.ts):
            if tried.ends.dport not in TLS_PORTS or (
                tried.tls is not None and tried.tls.finished is not False
            ):
                continue
            if tried.outcome in FAILED:
                continue
            later = [
                link
                for link in web
                if link.ends.src == tried.ends.src and 0 <= link.ts - tried.ts <= _PATIENCE
            ]
            if later:
                yield self.finding(
                    device,
                    f"{tried.ends.src} fails with TLS on port {tried.ends.dport} ({frames(tried.evidence)}) "
                    f"and then tries port 16992 ({frames(later[0].evidence)}).",
                    [*tried.evidence, *later[0].evidence],
                    f"tcp.port in {{16992,16993}} && {address_filter(tried.ends.dst)}",
                    times=[tried.ts, later[0].ts],
                )
                return


@rule
class VulnerableFirmware(_LinkRule):
    """The device says a firmware version in which CVE-2017-5689 is open."""

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

    @staticmethod
    def picks(link: ConnectionEvent) -> bool:
        """One in which the web server names its version."""
        return link.web is not None and link.web.version is not None

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A version in the Server header of its web server that lies before the mended build."""
        from amtdiag.trust.advisories import has_empty_digest_hole

        for link in self.picked(device):
            version = link.web.version if link.web is not None else None
            if version is not None and has_empty_digest_hole(version):
                yield self.finding(
                    device,
                    f"{link.ends.dst} says that it runs AMT {version} ({frames(link.evidence)}), in which "
                    "CVE-2017-5689 is open: an empty password digest is let in.",
                    link.evidence,
                    f"http.server && {link_filter(link)}",
                    times=[link.ts],
                )
                return


@rule
class OldTls(_LinkRule):
    """Device and server speak a version of TLS that is no longer thought safe."""

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

    @staticmethod
    def picks(link: ConnectionEvent) -> bool:
        """One whose handshake was finished below TLS 1.2."""
        tls = link.tls
        return bool(tls is not None and tls.finished and tls.version and tls.version < _TLS12)

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A finished handshake with SSL 3.0, TLS 1.0 or TLS 1.1."""
        links = self.picked(device)
        if links:
            from amtdiag.protocols.tls.constants import version_name

            assert links[0].tls is not None
            yield self.about(
                device,
                links,
                f"{links[0].ends.src} and {links[0].ends.dst} speak "
                f"{version_name(links[0].tls.version or 0)} ({where(links)}).",
                f"tls && {link_filter(links[0])}",
            )
