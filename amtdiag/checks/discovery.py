"""Before the Hello: the lease, the name of the server, the answer of DNS."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from amtdiag.checks.base import Check, address_filter, frames
from amtdiag.model import Candidate, Evidence, Finding, LookupEvent, Unknown
from amtdiag.protocols.dns import HOST
from amtdiag.provisioning.case import Case
from amtdiag.times import SECOND, span

_PATIENCE = 5 * SECOND
"""A resolver has given up or asked again by then."""
_ASKS_AGAIN = 20 * SECOND
"""A resolver that got no answer repeats its question well within this time."""
_CONNECTS = 60 * SECOND
"""A device that has its server's address has connected by then."""


def _proof(lookups: list[LookupEvent]) -> list[Evidence]:
    return [frame for lookup in lookups for frame in lookup.evidence]


def _names(lookups: list[LookupEvent]) -> str:
    return ", ".join(dict.fromkeys(lookup.name for lookup in lookups))


def _arrived(case: Case, ts: int) -> bool:
    """True where the device reached out to a server after `ts`: by whatever way, it knows one."""
    return any(link.ts >= ts for link in case.attempts) or any(r.event.ts >= ts for r in case.hellos)


def _filter(case: Case) -> str:
    """Packets of the device's discovery; by its MAC where that is known."""
    if case.macs:
        return f"eth.addr=={case.macs[0]} && (dhcp || dns)"
    return f"(dhcp || dns) && {address_filter(case.device.ips[-1])}" if case.device.ips else "dhcp || dns"


class NoServerRecord(Check):
    """The name of the provisioning server does not exist in the device's zone."""

    id = "no-server-record"
    title = "DNS has no record for the provisioning server"
    label = "no such name"
    catalogue = "F01"
    remedy = (
        "Add an A record or CNAME for provisionserver in that zone, pointing at the provisioning server, or "
        "give the device the server's address in MEBx or a USB file."
    )
    source = "Intel's AMT guide, Hello message: how the server is found"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """Suffixed names that DNS denies, and none that it knows."""
        denied = [one for one in case.lookups if one.name != HOST and _is_denied(one)]
        if not denied or case.resolved:
            return
        reached = _arrived(case, denied[-1].ts)
        yield self.finding(
            case,
            f"{denied[0].server} knows no address for {_names(denied)} ({frames(_proof(denied))})"
            + (", and the device found a server all the same." if reached else "."),
            _proof(denied),
            _filter(case),
            times=[one.ts for one in denied],
            count=len(denied),
            overcome=reached,
        )


def _is_denied(lookup: LookupEvent) -> bool:
    """True for NXDOMAIN, and for an answer to the IPv4 question that has no address.

    Most names have no IPv6 address, so that an empty answer to that question says nothing.
    """
    empty = lookup.rcode == "NOERROR" and not lookup.addresses and lookup.type == "A"
    return lookup.rcode == "NXDOMAIN" or empty


class NoSuffix(Check):
    """Only the bare name is asked for: the device has no domain."""

    id = "no-suffix"
    title = "The device does not know its domain"
    label = "no domain"
    catalogue = "F02"
    basis = "inferred"
    remedy = "Set DHCP option 15 in the scope, or the domain in MEBx."
    source = "Intel's AMT guide, Hello message and USB file: the bare name is asked where no suffix is known"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """The bare name without an address, and never a suffixed one."""
        bare = [one for one in case.lookups if one.name == HOST]
        suffixed = [one for one in case.lookups if one.name != HOST]
        if not bare or suffixed or any(one.addresses for one in bare) or _arrived(case, bare[0].ts):
            return
        if case.covered_until - bare[-1].ts < _PATIENCE:
            yield Unknown(
                "whether the device asks for its server with a domain too",
                "the capture ends right after it asked for the bare name",
                case.id,
                "a capture that goes on for a minute",
            )
            return
        yield self.finding(
            case,
            f"The device asks for the bare name {HOST} only ({frames(_proof(bare))}): it has no domain.",
            _proof(bare),
            _filter(case),
            times=[one.ts for one in bare],
            count=len(bare),
        )


class NoDomainOption(Check):
    """The lease carries no option 15."""

    id = "no-option-15"
    title = "DHCP gives the device no domain (option 15)"
    label = "no option 15"
    catalogue = "F03"
    remedy = (
        "Add option 15 (domain name) to the DHCP scope: the device builds the server's name from it and "
        "holds the certificate's suffix against it. A search list (option 119) does not stand in."
    )
    source = "Intel's AMT guide, overview of automatic configuration; prerequisites of remote configuration"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """Acknowledged leases, whole in the capture, none with a domain."""
        acks = [ack for ack in case.acks if ack.address is not None and ack.whole]
        if not acks or any(ack.domain for ack in case.acks):
            return
        evidence = [frame for ack in acks for frame in ack.evidence]
        unasked = acks[-1].mac in case.macs and _never_asks(case, 15)
        extra = " The client did not ask for it." if unasked else ""
        if any(ack.search for ack in acks):
            extra += " There is a search list (option 119) instead."
        yield self.finding(
            case,
            f"The DHCP server {acks[-1].server or 'of this network'} gives no option 15 "
            f"({frames(evidence)}).{extra}",
            evidence,
            _filter(case),
            times=[ack.ts for ack in acks],
            count=len(acks),
            overcome=_arrived(case, acks[0].ts),
        )


def _never_asks(case: Case, option: int) -> bool:
    requests = [lease for lease in case.leases if lease.kind in ("discover", "request") and lease.wanted]
    return bool(requests) and not any(option in lease.wanted for lease in requests)


class NoDnsServer(Check):
    """The lease carries no DNS server."""

    id = "no-option-6"
    title = "DHCP gives the device no DNS server (option 6)"
    label = "no option 6"
    catalogue = "F04"
    remedy = "Add option 6 (DNS servers) to the DHCP scope."
    source = "Intel's AMT guide, overview of automatic configuration"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """Acknowledged leases, whole in the capture, without a DNS server, and no question asked."""
        acks = [ack for ack in case.acks if ack.address is not None and ack.whole]
        if not acks or any(ack.dns for ack in case.acks) or case.lookups:
            return
        evidence = [frame for ack in acks for frame in ack.evidence]
        yield self.finding(
            case,
            f"The DHCP server {acks[-1].server or 'of this network'} names no DNS server "
            f"({frames(evidence)}).",
            evidence,
            _filter(case),
            times=[ack.ts for ack in acks],
            count=len(acks),
            overcome=_arrived(case, acks[0].ts),
        )


def _by_question(lookup: LookupEvent) -> tuple[str, str, int]:
    return lookup.name, lookup.type, lookup.ts


class DnsSilent(Check):
    """The device asks and DNS does not answer."""

    id = "dns-silent"
    title = "DNS does not answer the device"
    label = "no answer"
    catalogue = "F06"
    confidence = "medium"
    remedy = (
        "Check that the DNS server runs and that the device's VLAN can reach it (routing, firewall, UDP 53)."
    )
    source = "RFC 1035 (a resolver asks again)"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """Questions that were repeated and none of which was answered."""
        silent = [one for one in case.lookups if one.rcode is None]
        if not silent or len(silent) < len(case.lookups):
            return
        asked = sum(one.queries for one in silent)
        if _arrived(case, silent[0].ts):
            return  # it went on to a server, so that it was answered, elsewhere than here
        # A question asked again says that no answer reached the device, wherever the capture was taken.
        again = any(
            (a.name, a.type) == (b.name, b.type) and b.ts - a.ts <= _ASKS_AGAIN
            for a, b in pairwise(sorted(silent, key=_by_question))
        )
        if not again and not any(one.queries > 1 for one in silent):
            yield Unknown(
                f"whether {silent[0].server} answers the device's DNS question",
                "no answer in this capture, and the device does not ask again",
                case.id,
                "a capture that goes on for a minute and shows both directions",
            )
            return
        yield self.finding(
            case,
            f"{silent[0].server} does not answer: {asked} questions for {_names(silent)} "
            f"({frames(_proof(silent))}).",
            _proof(silent),
            _filter(case),
            times=[one.ts for one in silent],
            count=asked,
            candidates=(
                Candidate("the DNS server is down or not reachable", "a capture on the DNS server"),
                Candidate(
                    "answers take another way than this capture", "a capture on the device's own segment"
                ),
            ),
        )


class DnsRefuses(Check):
    """DNS answers with an error of its own."""

    id = "dns-fails"
    title = "DNS fails to answer the device"
    label = "DNS error"
    catalogue = "F06"
    remedy = "Look at the DNS server: it refuses this client, or cannot reach the zone's servers."
    source = "RFC 1035, response codes"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """SERVFAIL, REFUSED and the like, and no address from anybody."""
        failed = [one for one in case.lookups if one.rcode not in (None, "NOERROR", "NXDOMAIN")]
        if not failed or case.resolved:
            return
        yield self.finding(
            case,
            f"{failed[0].server} answers {failed[0].rcode} for {_names(failed)} ({frames(_proof(failed))}).",
            _proof(failed),
            _filter(case),
            times=[one.ts for one in failed],
            count=len(failed),
            overcome=_arrived(case, failed[0].ts),
        )


class ResolvedButSilent(Check):
    """DNS gives the server's address, and the device never connects to it."""

    id = "resolved-no-connection"
    title = "The device finds its server and does not connect"
    label = "no connection"
    catalogue = "F09"
    severity = "warning"
    basis = "inferred"
    confidence = "low"
    remedy = (
        "Compare the address in the DNS answer with the server's, and the port in MEBx or the USB file with "
        "the one that the server listens on (9971 unless changed; --port N reads another)."
    )
    source = "Intel's AMT guide; setup.bin fields as MeshCommander reads them"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """An address in DNS, then nothing to any Hello port for a minute."""
        found = case.resolved
        if not found or _arrived(case, found[0].ts):
            return
        waited = case.covered_until - found[-1].ts
        target = found[-1].addresses[0]
        if waited < _CONNECTS:
            yield Unknown(
                f"whether the device connects to {target}",
                f"the capture ends {span(waited)} after DNS gave the address",
                case.id,
                "a capture that goes on for a minute",
            )
            return
        yield self.finding(
            case,
            f"DNS says that the server is {target} ({frames(_proof(found))}); within {span(waited)} the "
            "device connects to no Hello port.",
            _proof(found),
            f"{address_filter(found[-1].client, target)} || dns",
            times=[one.ts for one in found],
            count=len(found),
            candidates=(
                Candidate(
                    "the capture does not show the way from device to server",
                    "a capture on the device's segment",
                ),
                Candidate(
                    "the device connects to another port", "tshark -Y 'tcp.flags.syn==1' for its address"
                ),
                Candidate(
                    "somebody else asked: an administrator who tests the record", "who has this address?"
                ),
            ),
        )


class ServerAmbiguous(Check):
    """One question for the server, two answers that disagree."""

    id = "two-answers"
    title = "Two answers name different provisioning servers"
    label = "two answers"
    category = "security"
    severity = "critical"
    remedy = (
        "Somebody besides the DNS server answers: whoever is taken for the provisioning server can take the "
        "machine. Find the sender of the second answer by its MAC before you provision anything here."
    )
    source = "Public work on provisioning by a rogue server (Ververis); RFC 5452"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """A second answer to the same question with other addresses."""
        forged = [one for one in case.lookups if one.other_addresses]
        if forged:
            one = forged[0]
            yield self.finding(
                case,
                f"{one.name} was answered twice: {', '.join(one.addresses) or one.rcode} and "
                f"{', '.join(one.other_addresses)} ({frames(_proof(forged))}).",
                _proof(forged),
                _filter(case),
                times=[lookup.ts for lookup in forged],
                count=len(forged),
            )


class SecondDhcpServer(Check):
    """A second DHCP server, or a changed scope: the device was given more than one domain."""

    id = "two-dhcp-servers"
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

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """Offers and acknowledgements with more than one domain."""
        told = [lease for lease in case.leases if lease.kind in ("offer", "ack") and lease.domain]
        domains = list(dict.fromkeys(lease.domain for lease in told if lease.domain))
        if len(domains) < 2:
            return
        servers = list(dict.fromkeys(lease.server or "?" for lease in told))
        evidence = [frame for lease in told for frame in lease.evidence]
        yield self.finding(
            case,
            f"The device was given the domains {' and '.join(domains)} by {' and '.join(servers)} "
            f"({frames(evidence)}).",
            evidence,
            _filter(case),
            times=[lease.ts for lease in told],
            count=len(told),
        )
