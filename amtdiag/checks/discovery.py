"""DNS: the name of the provisioning server, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from amtdiag.checks.base import Check, address_filter, discovery_filter, frames, proof, times_tried
from amtdiag.model import Candidate, Finding, LookupEvent, Unknown
from amtdiag.protocols.dns import HOST
from amtdiag.provisioning.case import Case
from amtdiag.times import SECOND, span

_PATIENCE = 5 * SECOND
"""A resolver has given up or asked again by then."""
_ASKS_AGAIN = 20 * SECOND
"""A resolver that got no answer repeats its question well within this time."""
_CONNECTS = 30 * SECOND
"""A device that has its server's address has connected by then."""


def _names(lookups: list[LookupEvent]) -> str:
    return ", ".join(dict.fromkeys(lookup.name for lookup in lookups))


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
        reached = case.sets_out_after(denied[-1].ts)
        yield self.finding(
            case,
            f"{denied[0].server} knows no address for {_names(denied)} ({frames(proof(denied))})"
            + (", and the device found a server all the same." if reached else "."),
            proof(denied),
            discovery_filter(case),
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


class CustomNameUnknown(Check):
    """A device that is known to be in setup asks in vain for a name that may be its server's."""

    id = "custom-name-unknown"
    title = "DNS does not know a name that the device keeps asking for"
    label = "no such name"
    catalogue = "F01"
    severity = "warning"
    basis = "inferred"
    confidence = "low"
    remedy = (
        "If the name stands in MEBx as that of the provisioning server, give it a record in DNS or correct "
        "it in MEBx."
    )
    source = "Intel's AMT guide: a configured FQDN takes the place of ProvisionServer"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """A name that is asked for again and denied each time; nothing of ProvisionServer, no attempt."""
        denied = case.vain_lookups
        if not denied or case.lookups or case.attempts or case.hellos:
            return
        yield self.finding(
            case,
            f"The device asks {times_tried(sum(one.queries for one in denied))} for {_names(denied)}, which "
            f"{denied[0].server} does not know ({frames(proof(denied))}). It may be the name that was set "
            "for its server.",
            proof(denied),
            discovery_filter(case),
            times=[one.ts for one in denied],
            count=len(denied),
            candidates=(
                Candidate(
                    "it is the provisioning server's name, from MEBx or a USB file", "the FQDN in MEBx"
                ),
                Candidate("the system on the device asks for something else", "a capture with it shut down"),
            ),
        )


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
        if not bare or suffixed or any(one.addresses for one in bare) or case.sets_out_after(bare[0].ts):
            return
        # While a question is open the resolver goes on asking it, and the other name has to wait.
        answered = any(one.rcode is not None for one in bare)
        if case.covered_until - bare[-1].ts < (_PATIENCE if answered else _CONNECTS):
            yield Unknown(
                "whether the device asks for its server with a domain too",
                "the capture ends right after it asked for the bare name",
                case.id,
                "a capture that goes on for a minute",
            )
            return
        yield self.finding(
            case,
            f"The device asks for the bare name {HOST} only ({frames(proof(bare))}): it has no domain.",
            proof(bare),
            discovery_filter(case),
            times=[one.ts for one in bare],
            count=len(bare),
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
        """Questions that were repeated, or that an ICMP message answers, and none of which was answered."""
        silent = [one for one in case.lookups if one.rcode is None]
        if not silent or len(silent) < len(case.lookups):
            return
        asked = sum(one.queries for one in silent)
        if case.sets_out_after(silent[0].ts):
            return  # it went on to a server, so that it was answered, elsewhere than here
        # The same question sent again says that no answer reached the device, wherever the capture was taken;
        # one that is asked anew says so where an answer would be in the capture.
        again = any(one.queries > 1 for one in silent) or (
            case.is_spoken_to
            and any(
                (a.name, a.type) == (b.name, b.type) and b.ts - a.ts <= _ASKS_AGAIN
                for a, b in pairwise(sorted(silent, key=_by_question))
            )
        )
        rejected = next((one.rejection for one in silent if one.rejection), None)
        if not again and rejected is None:
            yield Unknown(
                f"whether {silent[0].server} answers the device's DNS question",
                "no answer in this capture, and no question that the device sent again",
                case.id,
                "a capture that goes on for a minute and shows both directions",
            )
            return
        yield self.finding(
            case,
            f"{silent[0].server} does not answer: {asked} questions for {_names(silent)} "
            f"({frames(proof(silent))}){f'; {rejected}' if rejected else ''}.",
            proof(silent),
            discovery_filter(case),
            times=[one.ts for one in silent],
            count=asked,
            candidates=()
            if rejected
            else (
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
        # Many servers refuse the bare name, and rightly: it counts where no other was asked for.
        asked = [one for one in case.lookups if one.name != HOST] or case.lookups
        failed = [one for one in asked if one.rcode not in (None, "NOERROR", "NXDOMAIN")]
        if not failed or case.resolved:
            return
        yield self.finding(
            case,
            f"{failed[0].server} answers {failed[0].rcode} for {_names(failed)} ({frames(proof(failed))}).",
            proof(failed),
            discovery_filter(case),
            times=[one.ts for one in failed],
            count=len(failed),
            overcome=case.sets_out_after(failed[0].ts),
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
        if not found or _tries_anything(case) or _is_ipv6_only(case):
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
        if not case.server_in_view:
            yield Unknown(
                f"whether the device connects to {target}",
                "this capture shows nothing that the server sent: it may be taken beside the way to it",
                case.id,
                "a capture on the device's own switch port, or on the server",
            )
            return
        yield self.finding(
            case,
            f"DNS says that the server is {target} ({frames(proof(found))}); within {span(waited)} the "
            "device connects to no Hello port.",
            proof(found),
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


def _tries_anything(case: Case) -> bool:
    """True where the device does something with the address that DNS gave it."""
    return bool(case.odd_attempts or case.server_gone) or case.sets_out_after(case.resolved[0].ts)


def _is_ipv6_only(case: Case) -> bool:
    """True where all that DNS knows of the server is IPv6 addresses."""
    return all(":" in address for lookup in case.resolved for address in lookup.addresses)


class Ipv6Only(Check):
    """The server has an IPv6 address only, and the device does not say Hello to it."""

    id = "ipv6-no-hello"
    title = "The server has IPv6 only, and the device says no Hello"
    label = "IPv6 only"
    catalogue = "F44"
    basis = "inferred"
    confidence = "medium"
    remedy = (
        "Stage over IPv4, or have the local agent start setup with the IPv6 flag (StartConfigurationEx); "
        "before AMT 6.0 there is no IPv6."
    )
    source = "Intel's AMT guide, StartConfigurationEx: the flag that enables setup over IPv6"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """An IPv6 address from DNS and no other, then nothing to any Hello port for a minute."""
        found = case.resolved
        if not found or _tries_anything(case) or not _is_ipv6_only(case):
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
            f"DNS gives {target} and no IPv4 address ({frames(proof(found))}); within {span(waited)} the "
            "device connects to no Hello port.",
            proof(found),
            f"dns || {address_filter(found[-1].client)}",
            times=[one.ts for one in found],
            count=len(found),
        )


class NotLooking(Check):
    """An AMT device that does not look for a server."""

    id = "not-looking"
    title = "A device that is not set up does not look for its server"
    label = "not looking"
    severity = "info"
    basis = "inferred"
    confidence = "low"
    remedy = (
        "Open its setup window: by the local agent, in MEBx or by a USB file. Renew its lease, so that AMT "
        "sees the answer of DHCP."
    )
    source = (
        "HP white papers: notebooks ship with a window of 0; Intel's AMT guide on AMT enabled after the lease"
    )

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """A pong that says "not configured" or "in progress", and a minute without question or Hello."""
        asked = [pong for pong in case.pongs if pong.mode in ("factory", "setup")]
        if not asked or case.lookups or case.attempts or case.hellos or case.server_gone:
            return
        watched = case.covered_until - asked[0].ts
        if watched < _CONNECTS:
            return
        yield Unknown(
            "why the device does not look for its server",
            f"it says that it is not provisioned ({frames(proof(asked))}), and within {span(watched)} it "
            "asks for no server: its setup window may be closed or set to 0, AMT may have been enabled after "
            "the lease was given, or the lease has a fault",
            case.id,
            "a capture while setup is started by the local agent, after `ipconfig /renew`",
        )


class ServerOtherThanTold(Check):
    """The device says Hello to an address that DNS did not give it."""

    id = "server-not-from-dns"
    title = "The Hello goes to another address than DNS gave"
    label = "other server"
    category = "security"
    severity = "warning"
    basis = "inferred"
    confidence = "medium"
    remedy = (
        "Check whose server it is: whoever gets the Hello can take the machine. An address that stands in "
        "MEBx, or a name that the device asked for before this capture, explains it."
    )
    source = "Intel's AMT guide, Hello message: how the server is found; Ververis on rogue servers"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """A Hello to none of the addresses in the answers that came before it."""
        for record in case.hellos:
            event = record.event
            told = [lookup for lookup in case.resolved if lookup.ts <= event.ts]
            known = {a for lookup in told for a in (*lookup.addresses, *lookup.other_addresses)}
            if known and event.ends.dst not in known:
                yield self.finding(
                    case,
                    f"DNS named {', '.join(sorted(known)[:3])} ({frames(proof(told))}); the Hello goes to "
                    f"{event.ends.dst} ({frames(event.evidence)}).",
                    [*event.evidence, *proof(told)],
                    f"dns || tcp.port=={event.ends.dport} && {address_filter(event.ends.src)}",
                    times=[event.ts],
                )
                return


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
                f"{', '.join(one.other_addresses)} ({frames(proof(forged))}).",
                proof(forged),
                discovery_filter(case),
                times=[lookup.ts for lookup in forged],
                count=len(forged),
            )
