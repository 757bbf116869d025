"""The lease: whether the device gets an address, and what comes with it."""

from __future__ import annotations

from collections.abc import Iterator

from amtdiag.devices.evidence import DHCP_ANSWERS, DHCP_QUESTIONS, DeviceEvidence
from amtdiag.model import Candidate, DhcpEvent, Finding, Unknown
from amtdiag.protocols.dns import HOST
from amtdiag.rules.base import DeviceRule, discovery_filter, frames, proof, rule, times_tried, where
from amtdiag.times import SECOND, span

_PATIENCE = 4 * SECOND
"""A DHCP client that got no answer asks again within this time (RFC 2131: after 4 seconds, then doubling)."""


@rule
class NoLease(DeviceRule):
    """The device asks for an address and no DHCP server offers one."""

    subject = "leases"
    id = "no-lease"
    precedence = 20
    title = "DHCP gives the device no address"
    label = "no lease"
    catalogue = "F46"
    row = "no DHCP where the agent says NOT_READY"
    confidence = "medium"
    remedy = (
        "Check that a DHCP server serves this VLAN (relay, scope, free addresses, 802.1X or port security on "
        "the switch port)."
    )
    source = "RFC 2131 (a client asks again); Intel's AMT guide: setup cannot start without DHCP"
    example = (
        ("arp", -9),
        ("pong", -9, "setup"),
        ("lease", 0, "discover"),
        ("lease", 3, "discover"),
        ("lease", 9, "discover"),
    )
    near_miss = (*example, ("lease", 10, "offer"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Discovers or requests that are repeated, and no offer, acknowledgement or refusal."""
        asked = [lease for lease in device.leases if lease.kind in DHCP_QUESTIONS and lease.version == 4]
        if not asked or any(lease.kind in DHCP_ANSWERS for lease in device.leases):
            return
        if device.lookups or device.sets_out_after(asked[0].ts):
            return  # it has an address: it was answered, elsewhere than here
        if not device.asked_in_vain or asked[-1].ts - asked[0].ts < _PATIENCE // 2:
            yield Unknown(
                "whether a DHCP server answers the device",
                "no answer in this capture, and no question that the device sent again",
                device.id,
                "a capture that goes on for a minute and shows both directions",
            )
            return
        yield self.about(
            device,
            asked,
            f"{asked[0].mac} asks for an address {times_tried(len(asked))} within "
            f"{span(asked[-1].ts - asked[0].ts)}, and no DHCP server answers ({where(asked)}).",
            discovery_filter(device),
            candidates=(
                Candidate("no DHCP server serves this segment", "the DHCP server's log; its relay's"),
                Candidate(
                    "answers take another way than this capture", "a capture on the device's own switch port"
                ),
            ),
        )


@rule
class LeaseRefused(DeviceRule):
    """A DHCP server refuses the address that the device asks for."""

    subject = "leases"
    id = "lease-refused"
    precedence = 30
    title = "DHCP refuses the device's address"
    label = "DHCP refuses"
    remedy = (
        "The device asks for an address of another network, or of somebody else: look at the scope and its "
        "reservations. A device that was moved gets over it by asking anew."
    )
    source = "RFC 2131, DHCPNAK"
    example = (("arp", -9), ("pong", -9, "setup"), ("lease", 0, "discover"), ("lease", 1, "nak"))
    near_miss = (*example, ("lease", 5))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A refusal that no acknowledged lease follows."""
        refused = [lease for lease in device.leases if lease.kind == "nak"]
        if not refused or any(ack.ts > refused[-1].ts for ack in device.acks):
            return
        yield self.about(
            device,
            refused,
            f"The DHCP server {refused[-1].server or 'of this network'} refuses the address "
            f"({where(refused)}), and no lease follows.",
            discovery_filter(device),
            overcome=device.sets_out_after(refused[-1].ts),
        )


@rule
class NoDomainOption(DeviceRule):
    """The lease carries no option 15."""

    subject = "leases"
    id = "no-option-15"
    precedence = 50
    title = "DHCP gives the device no domain (option 15)"
    label = "no option 15"
    catalogue = "F03"
    row = "the lease has no option 15"
    remedy = (
        "Add option 15 (domain name) to the DHCP scope: the device builds the server's name from it and "
        "holds the certificate's suffix against it. A search list (option 119) does not stand in."
    )
    source = "Intel's AMT guide, overview of automatic configuration; prerequisites of remote configuration"
    example = (("lease", 0, {"domain": None}), ("lookup", 1, "server", {"name": "provisionserver"}))
    near_miss = (("lease", 0), ("lookup", 1, "server", {"name": "provisionserver"}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Acknowledged leases, whole in the capture, none with a domain."""
        acks = [ack for ack in device.acks if ack.address is not None and ack.whole]
        if not acks or any(ack.domain for ack in device.acks):
            return
        evidence = proof(acks)
        unasked = acks[-1].mac in device.macs and _never_asks(device, 15)
        extra = " The client did not ask for it." if unasked else ""
        if any(ack.search for ack in acks):
            extra += " There is a search list (option 119) instead."
        yield self.finding(
            device,
            f"The DHCP server {acks[-1].server or 'of this network'} gives no option 15 "
            f"({frames(evidence)}).{extra}",
            evidence,
            discovery_filter(device),
            times=[ack.ts for ack in acks],
            count=len(acks),
            overcome=device.sets_out_after(acks[0].ts),
            # It has a domain from elsewhere, such as MEBx: the check of the certificate's suffix is left.
            severity="warning" if any(lease.name != HOST for lease in device.lookups) else None,
        )


def _never_asks(device: DeviceEvidence, option: int) -> bool:
    requests = [lease for lease in device.leases if lease.kind in ("discover", "request") and lease.wanted]
    return bool(requests) and not any(option in lease.wanted for lease in requests)


@rule
class NoDnsServer(DeviceRule):
    """The lease carries no DNS server."""

    subject = "leases"
    id = "no-option-6"
    precedence = 40
    title = "DHCP gives the device no DNS server (option 6)"
    label = "no option 6"
    catalogue = "F04"
    row = "the lease has no DNS server"
    remedy = "Add option 6 (DNS servers) to the DHCP scope."
    source = "Intel's AMT guide, overview of automatic configuration"
    example = (("lease", 0, {"dns": ()}), ("pong", 1, "setup"))
    near_miss = (("lease", 0), ("pong", 1, "setup"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Acknowledged leases, whole in the capture, without a DNS server, and no question asked."""
        acks = [ack for ack in device.acks if ack.address is not None and ack.whole]
        if not acks or any(ack.dns for ack in device.acks) or device.lookups:
            return
        evidence = proof(acks)
        yield self.finding(
            device,
            f"The DHCP server {acks[-1].server or 'of this network'} names no DNS server "
            f"({frames(evidence)}).",
            evidence,
            discovery_filter(device),
            times=[ack.ts for ack in acks],
            count=len(acks),
            overcome=device.sets_out_after(acks[0].ts),
        )


@rule
class SecondDhcpServer(DeviceRule):
    """A second DHCP server, or a changed scope: the device was given more than one domain."""

    subject = "leases"
    id = "two-dhcp-servers"
    precedence = 580
    title = "DHCP gives the device different domains"
    label = "two domains"
    category = "security"
    severity = "warning"
    confidence = "medium"
    remedy = (
        "Option 15 decides where the device looks for its server and which certificate it accepts. Find out "
        "which DHCP server gives which domain; one that is not yours can send the device elsewhere."
    )
    source = "Intel's AMT guide on remote configuration; US patent 8438618 on the unsecured DNS suffix"
    example = (
        ("lease", 0, "offer", {"server": "10.6.6.6", "domain": "example.net"}),
        ("lease", 1),
        ("lookup", 2, "server"),
    )
    near_miss = (("lease", 0, "offer", {"server": "10.6.6.6"}), ("lease", 1), ("lookup", 2, "server"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Offers and acknowledgements with more than one domain."""
        answers = [lease for lease in _answers(device) if lease.domain]
        domains = list(dict.fromkeys(lease.domain for lease in answers if lease.domain))
        if len(domains) < 2:
            return
        servers = list(dict.fromkeys(lease.server or "?" for lease in answers))
        evidence = proof(answers)
        yield self.finding(
            device,
            f"The device was given the domains {' and '.join(domains)} by {' and '.join(servers)} "
            f"({frames(evidence)}).",
            evidence,
            discovery_filter(device),
            times=[lease.ts for lease in answers],
            count=len(answers),
        )


@rule
class AnotherDhcpServer(DeviceRule):
    """More than one DHCP server answers the device, and they agree on its domain."""

    subject = "leases"
    id = "another-dhcp-server"
    precedence = 800
    title = "Several DHCP servers answer the device"
    category = "security"
    severity = "info"
    remedy = (
        "A pair of servers that share a scope is as it should be. One that you do not know can at any time "
        "give the device another domain and so send it to another provisioning server."
    )
    source = "Intel's AMT guide on remote configuration; US patent 8438618 on the unsecured DNS suffix"
    example = (("lease", 0, "offer", {"server": "10.6.6.6"}), ("lease", 1), ("lookup", 1, "server"))
    near_miss = (("lease", 0, "offer"), ("lease", 1), ("lookup", 1, "server"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Offers or acknowledgements of two servers, with one domain."""
        answers = _answers(device)
        servers = list(dict.fromkeys(lease.server for lease in answers if lease.server))
        if len(servers) < 2 or len({lease.domain for lease in answers if lease.domain}) > 1:
            return
        yield self.about(
            device,
            answers,
            f"{' and '.join(servers[:4])} answer it ({where(answers)}).",
            discovery_filter(device),
            count=len(servers),
        )


def _answers(device: DeviceEvidence) -> list[DhcpEvent]:
    """What DHCP servers told the device."""
    return [lease for lease in device.leases if lease.kind in ("offer", "ack")]
