"""DNS: the name of the provisioning server, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import Candidate, Finding, LookupEvent, Unknown
from amtdiag.protocols.dns import HOST
from amtdiag.rules.base import DeviceRule, discovery_filter, rule, times_tried, where
from amtdiag.times import SECOND

_PATIENCE = 5 * SECOND
"""A resolver has given up or asked again by then."""
_ASKS_AGAIN = 20 * SECOND
"""A resolver that got no answer repeats its question well within this time."""
CONNECTS = 30 * SECOND
"""A device that has its server's address has connected by then."""


def _names(lookups: list[LookupEvent]) -> str:
    return ", ".join(dict.fromkeys(lookup.name for lookup in lookups))


def _unresolved(device: DeviceEvidence) -> Sequence[LookupEvent]:
    """The device's questions for its server, where none is answered with an address."""
    return () if any([lookup.addresses for lookup in device.lookups]) else device.lookups


@rule
class NoServerRecord(DeviceRule):
    """The name of the provisioning server does not exist in the device's zone."""

    subject = staticmethod(_unresolved)
    id = "no-server-record"
    precedence = 60
    title = "DNS has no record for the provisioning server"
    label = "no such name"
    catalogue = "F01"
    row = "DNS has no record for the server"
    remedy = (
        "Add an A record or CNAME for provisionserver in that zone, pointing at the provisioning server, or "
        "give the device the server's address in MEBx or a USB file."
    )
    source = "Intel's AMT guide, Hello message: how the server is found"
    example = (("lookup", 0, {"rcode": "NXDOMAIN"}),)
    near_miss = (*example, ("lookup", 1, "server", {"name": "provisionserver.corp"}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Suffixed names that DNS denies, and none that it knows."""
        denied = [lookup for lookup in device.lookups if lookup.name != HOST and _is_denied(lookup)]
        if not denied or device.resolved:
            return
        reached = device.sets_out_after(denied[-1].ts)
        yield self.about(
            device,
            denied,
            f"{denied[0].server} knows no address for {_names(denied)} ({where(denied)})"
            + (", and the device found a server all the same." if reached else "."),
            discovery_filter(device),
            overcome=reached,
        )


def _is_denied(lookup: LookupEvent) -> bool:
    """True for NXDOMAIN, and for an answer to the IPv4 question that has no address.

    Most names have no IPv6 address, so that an empty answer to that question says nothing.
    """
    empty = lookup.rcode == "NOERROR" and not lookup.addresses and lookup.type == "A"
    return lookup.rcode == "NXDOMAIN" or empty


@rule
class CustomNameUnknown(DeviceRule):
    """A device that is known to be in setup asks in vain for a name that may be its server's."""

    subject = "vain_lookups"
    id = "custom-name-unknown"
    precedence = 70
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
    example = (
        ("pong", 0, "setup"),
        ("lookup", 1, {"rcode": "NXDOMAIN", "name": "sca.example.com"}),
        ("lookup", 9, {"rcode": "NXDOMAIN", "name": "sca.example.com"}),
    )
    near_miss = (("pong", 0, "setup"), ("lookup", 1, {"rcode": "NXDOMAIN", "name": "sca.example.com"}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A name that is asked for again and denied each time; nothing of ProvisionServer, no attempt."""
        denied = device.vain_lookups
        if not denied or device.lookups or device.attempts or device.hellos:
            return
        yield self.about(
            device,
            denied,
            f"The device asks {times_tried(sum(lookup.queries for lookup in denied))} for {_names(denied)}, "
            f"which {denied[0].server} does not know ({where(denied)}). It may be the name that was set "
            "for its server.",
            discovery_filter(device),
            candidates=(
                Candidate(
                    "it is the provisioning server's name, from MEBx or a USB file", "the FQDN in MEBx"
                ),
                Candidate("the system on the device asks for something else", "a capture with it shut down"),
            ),
        )


@rule
class NoSuffix(DeviceRule):
    """Only the bare name is asked for: the device has no domain."""

    subject = staticmethod(_unresolved)
    id = "no-suffix"
    precedence = 80
    title = "The device does not know its domain"
    label = "no domain"
    catalogue = "F02"
    row = "the device has no suffix to ask with"
    basis = "inferred"
    remedy = "Set DHCP option 15 in the scope, or the domain in MEBx."
    source = "Intel's AMT guide, Hello message and USB file: the bare name is asked where no suffix is known"
    example = (("lookup", 0, {"rcode": "NXDOMAIN", "name": "provisionserver"}),)
    near_miss = (*example, ("lookup", 1, {"name": "provisionserver.corp"}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """The bare name without an address, and never a suffixed one."""
        bare = [lookup for lookup in device.lookups if lookup.name == HOST]
        suffixed = [lookup for lookup in device.lookups if lookup.name != HOST]
        if (
            not bare
            or suffixed
            or any(lookup.addresses for lookup in bare)
            or device.sets_out_after(bare[0].ts)
        ):
            return
        # While a question is open the resolver goes on asking it, and the other name has to wait.
        answered = any(lookup.rcode is not None for lookup in bare)
        if device.covered_until - bare[-1].ts < (_PATIENCE if answered else CONNECTS):
            yield Unknown(
                "whether the device asks for its server with a domain too",
                "the capture ends right after it asked for the bare name",
                device.id,
                "a capture that goes on for a minute",
            )
            return
        yield self.about(
            device,
            bare,
            f"The device asks for the bare name {HOST} only ({where(bare)}): it has no domain.",
            discovery_filter(device),
        )


def _by_question(lookup: LookupEvent) -> tuple[str, str, int]:
    return lookup.name, lookup.type, lookup.ts


@rule
class DnsSilent(DeviceRule):
    """The device asks and DNS does not answer."""

    subject = "lookups"
    id = "dns-silent"
    precedence = 100
    title = "DNS does not answer the device"
    label = "no answer"
    catalogue = "F06"
    row = "DNS does not answer"
    confidence = "medium"
    remedy = (
        "Check that the DNS server runs and that the device's VLAN can reach it (routing, firewall, UDP 53)."
    )
    source = "RFC 1035 (a resolver asks again)"
    example = (("lookup", 0, {"rcode": None, "queries": 2}),)
    near_miss = (("lookup", 0, {"rcode": None, "queries": 3}), ("lookup", 1, {"rcode": "NXDOMAIN"}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Questions that were repeated, or that an ICMP message answers, and none of which was answered."""
        silent = [lookup for lookup in device.lookups if lookup.rcode is None]
        if not silent or len(silent) < len(device.lookups):
            return
        asked = sum(lookup.queries for lookup in silent)
        if device.sets_out_after(silent[0].ts):
            return  # it went on to a server, so that it was answered, elsewhere than here
        # The same question sent again says that no answer reached the device, wherever the capture was taken;
        # one that is asked anew says so where an answer would be in the capture.
        again = any(lookup.queries > 1 for lookup in silent) or (
            device.is_spoken_to
            and any(
                (a.name, a.type) == (b.name, b.type) and b.ts - a.ts <= _ASKS_AGAIN
                for a, b in pairwise(sorted(silent, key=_by_question))
            )
        )
        rejected = next((lookup.rejection for lookup in silent if lookup.rejection), None)
        if not again and rejected is None:
            yield Unknown(
                f"whether {silent[0].server} answers the device's DNS question",
                "no answer in this capture, and no question that the device sent again",
                device.id,
                "a capture that goes on for a minute and shows both directions",
            )
            return
        yield self.about(
            device,
            silent,
            f"{silent[0].server} does not answer: {asked} questions for {_names(silent)} "
            f"({where(silent)}){f'; {rejected}' if rejected else ''}.",
            discovery_filter(device),
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


@rule
class DnsRefuses(DeviceRule):
    """DNS answers with an error of its own."""

    subject = staticmethod(_unresolved)
    id = "dns-fails"
    precedence = 90
    title = "DNS fails to answer the device"
    label = "DNS error"
    catalogue = "F06"
    remedy = "Look at the DNS server: it refuses this client, or cannot reach the zone's servers."
    source = "RFC 1035, response codes"
    example = (("lookup", 0, {"rcode": "SERVFAIL"}),)
    near_miss = (*example, ("lookup", 1, "server"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """SERVFAIL, REFUSED and the like, and no address from anybody."""
        # Many servers refuse the bare name, and rightly: it counts where no other was asked for.
        asked = [lookup for lookup in device.lookups if lookup.name != HOST] or device.lookups
        failed = [lookup for lookup in asked if lookup.rcode not in (None, "NOERROR", "NXDOMAIN")]
        if not failed or device.resolved:
            return
        yield self.about(
            device,
            failed,
            f"{failed[0].server} answers {failed[0].rcode} for {_names(failed)} ({where(failed)}).",
            discovery_filter(device),
            overcome=device.sets_out_after(failed[0].ts),
        )


@rule
class ServerAmbiguous(DeviceRule):
    """One question for the server, two answers that disagree."""

    subject = "lookups"
    id = "two-answers"
    precedence = 10
    title = "Two answers name different provisioning servers"
    label = "two answers"
    category = "security"
    severity = "critical"
    remedy = (
        "Somebody besides the DNS server answers: whoever is taken for the provisioning server can take the "
        "machine. Find the sender of the second answer by its MAC before you provision anything here."
    )
    source = "Public work on provisioning by a rogue server (Ververis); RFC 5452"
    example = (("lookup", 0, "server", {"other_addresses": ("10.6.6.6",)}),)
    near_miss = (("lookup", 0, "server", "10.6.6.6"),)

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A second answer to the same question with other addresses."""
        forged = [lookup for lookup in device.lookups if lookup.other_addresses]
        if forged:
            lookup = forged[0]
            yield self.about(
                device,
                forged,
                f"{lookup.name} was answered twice: {', '.join(lookup.addresses) or lookup.rcode} and "
                f"{', '.join(lookup.other_addresses)} ({where(forged)}).",
                discovery_filter(device),
            )
