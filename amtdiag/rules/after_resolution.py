"""With the server's address in hand: what the device does with it, and what it should not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import Candidate, Finding, LookupEvent, Unknown
from amtdiag.rules.base import DeviceRule, address_filter, frames, proof, rule, where
from amtdiag.rules.discovery import CONNECTS
from amtdiag.times import span


def _tries_anything(device: DeviceEvidence, found: Sequence[LookupEvent]) -> bool:
    """True where the device does something with the address that DNS gave it.

    A server that calls back has had its Hello: that is only not in this capture.
    """
    if device.odd_attempts or device.server_gone or device.sets_out_after(found[0].ts):
        return True
    servers = {address for lookup in found for address in lookup.addresses}
    return any(link.ends.src in servers for link in device.links)


def _idle(device: DeviceEvidence) -> list[LookupEvent]:
    """The lookups that gave an address, where the device does nothing with it."""
    found = device.resolved
    return [] if not found or _tries_anything(device, found) else found


def _is_ipv6_only(device: DeviceEvidence) -> bool:
    """True where all that DNS knows of the server is IPv6 addresses."""
    return all(":" in address for lookup in device.resolved for address in lookup.addresses)


def _too_soon(device: DeviceEvidence, waited: int) -> Unknown:
    return Unknown(
        f"whether the device connects to {device.resolved[-1].addresses[0]}",
        f"the capture ends {span(waited)} after DNS gave the address",
        device.id,
        "a capture that goes on for a minute",
    )


@rule
class ResolvedButSilent(DeviceRule):
    """DNS gives the server's address, and the device never connects to it."""

    subject = staticmethod(_idle)
    id = "resolved-no-connection"
    precedence = 510
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
    example = (("lookup", 0, "server"), ("arp", 0, "server"))
    near_miss = (*example, ("link", 50, "unanswered"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """An address in DNS, then nothing to any Hello port for a minute."""
        found = _idle(device)
        if not found or _is_ipv6_only(device):
            return
        waited = device.covered_until - found[-1].ts
        target = found[-1].addresses[0]
        if waited < CONNECTS:
            yield _too_soon(device, waited)
            return
        if not device.server_in_view:
            yield Unknown(
                f"whether the device connects to {target}",
                "this capture shows nothing that the server sent: it may be taken beside the way to it",
                device.id,
                "a capture on the device's own switch port, or on the server",
            )
            return
        yield self.about(
            device,
            found,
            f"DNS says that the server is {target} ({where(found)}); within {span(waited)} the "
            "device connects to no Hello port.",
            f"{address_filter(found[-1].client, target)} || dns",
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


@rule
class Ipv6Only(DeviceRule):
    """The server has an IPv6 address only, and the device does not say Hello to it."""

    subject = staticmethod(_idle)
    id = "ipv6-no-hello"
    precedence = 500
    title = "The server has IPv6 only, and the device says no Hello"
    label = "IPv6 only"
    catalogue = "F44"
    row = "a site with IPv6 only"
    basis = "inferred"
    confidence = "medium"
    remedy = (
        "Stage over IPv4, or have the local agent start setup with the IPv6 flag (StartConfigurationEx); "
        "before AMT 6.0 there is no IPv6."
    )
    source = "Intel's AMT guide, StartConfigurationEx: the flag that enables setup over IPv6"
    example = (("lookup", 0, "fd00::10"), ("arp", 0, "fd00::10"))
    near_miss = (*example, ("lookup", 1, "server"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """An IPv6 address from DNS and no other, then nothing to any Hello port for a minute."""
        found = _idle(device)
        if not found or not _is_ipv6_only(device):
            return
        waited = device.covered_until - found[-1].ts
        target = found[-1].addresses[0]
        if waited < CONNECTS:
            yield _too_soon(device, waited)
            return
        yield self.about(
            device,
            found,
            f"DNS gives {target} and no IPv4 address ({where(found)}); within {span(waited)} the "
            "device connects to no Hello port.",
            f"dns || {address_filter(found[-1].client)}",
            severity=None if device.server_in_view else "warning",
            confidence=None if device.server_in_view else "low",
        )


@rule
class NotLooking(DeviceRule):
    """An AMT device that does not look for a server."""

    subject = "pongs"
    id = "not-looking"
    precedence = 520
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
    example = (("pong", 0, "factory"),)
    near_miss = (("pong", 0, "operational"),)

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A pong that says "not configured" or "in progress", and a minute without question or Hello."""
        asked = [pong for pong in device.pongs if pong.mode in ("factory", "setup")]
        looks = device.lookups or device.attempts or device.hellos or device.server_gone
        if not asked or looks or device.device.mode.name == "operational" or device.lacks_lease:
            return
        watched = device.covered_until - asked[0].ts
        if watched < CONNECTS:
            return
        yield Unknown(
            "why the device does not look for its server",
            f"it says that it is not provisioned ({where(asked)}), and within {span(watched)} it "
            "asks for no server: its setup window may be closed or set to 0, AMT may have been enabled after "
            "the lease was given, or the lease has a fault",
            device.id,
            "a capture while setup is started by the local agent, after `ipconfig /renew`",
        )


@rule
class ServerOtherThanTold(DeviceRule):
    """The device says Hello to an address that DNS did not give it."""

    subject = "resolved"
    id = "server-not-from-dns"
    precedence = 590
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
    example = (("lookup", -9, "10.6.6.6"), ("hello", 0))
    near_miss = (("lookup", -9, "10.6.6.6"), ("lookup", -5, "server"), ("hello", 0))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A Hello to none of the addresses in the answers that came before it."""
        return self.examine(device, device.resolved)

    def examine(self, device: DeviceEvidence, resolved: Sequence[LookupEvent]) -> Iterator[Finding | Unknown]:
        """Look at the Hellos beside the answers."""
        for record in device.hellos:
            event = record.event
            if not resolved or event.ends.dst in resolved[0].addresses:
                continue
            answers = [lookup for lookup in resolved if lookup.ts <= event.ts]
            known = {a for lookup in answers for a in (*lookup.addresses, *lookup.other_addresses)}
            if known and event.ends.dst not in known:
                yield self.finding(
                    device,
                    f"DNS named {', '.join(sorted(known)[:3])} ({where(answers)}); the Hello goes to "
                    f"{event.ends.dst} ({frames(event.evidence)}).",
                    [*event.evidence, *proof(answers)],
                    f"dns || tcp.port=={event.ends.dport} && {address_filter(event.ends.src)}",
                    times=[event.ts],
                )
                return
