"""From the server back to the device: the silence after the Hello, the attempts to connect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import FAILED, Candidate, ConnectionEvent, Finding, LookupEvent, UnansweredArp, Unknown
from amtdiag.rules.base import (
    DeviceRule,
    address_filter,
    frames,
    lost_between,
    proof,
    rule,
    times_tried,
    where,
)
from amtdiag.times import SECOND, span

PATIENCE = 30 * SECOND
"""A server that would come back has done so by then: MeshCentral takes 15 to 30 ms."""
TLS_PORTS = frozenset({16993, 664})


def _is_uncalled(device: DeviceEvidence) -> bool:
    """True where no connection back came since the first Hello."""
    if not device.hellos:
        return False
    first = device.hellos[0].event.ts
    return not any([link.ts >= first for link in device.returns])


@rule
class NoConnectBack(DeviceRule):
    """The Hello arrives, and nobody ever connects to the device."""

    subject = staticmethod(_is_uncalled)
    id = "no-connect-back"
    precedence = 480
    title = "The server gets the Hello and does nothing"
    label = "no connect-back"
    catalogue = "F10"
    row = "the server takes the Hello and does nothing"
    other_rows = (("F13", "the server does not know the PID"),)
    basis = "inferred"
    confidence = "medium"
    remedy = (
        "Look at the server: does it know this UUID, has it a profile and a host name for it, is the service "
        "paused? With a PSK Hello: is the PID in its database? See what its log says of the device's "
        "address at that time."
    )
    source = "Altiris and Intel SCS troubleshooting notes; ITJ 12-4 on PID look-up; MeshCentral's source"
    example = (("link", 0, "established"), ("hello", 0))
    near_miss = (*example, ("back", 5, "refused"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Silence after the Hello, where the capture could have shown a connection."""
        hello = device.last_hello
        if hello is None or not _is_uncalled(device) or device.sought:
            return
        ends = hello.ends
        waited = device.covered_until - device.hellos[0].event.ts
        stopped = any(
            link.outcome == "refused" and link.ts > hello.ts and link.ends.dst == ends.dst
            for link in device.attempts
        )
        what = f"whether the server {ends.dst} connects back to the device"
        if device.elsewhere or _misnamed(device):
            return  # it does connect back, to the wrong address: a rule of its own
        if device.neighbour_returns:
            yield Unknown(
                what,
                f"it connects to {ends.src}, which several devices share",
                device.id,
                "a capture on the devices' own segment, behind the NAT or relay",
            )
            return
        if not device.device.visibility["server_to_device"]:
            yield Unknown(
                what,
                "this capture shows no packet from the server to the device",
                device.id,
                "a capture on the server, or on a SPAN port with both directions",
            )
        elif waited < PATIENCE and not stopped:
            yield Unknown(
                what,
                f"the capture ends {span(waited)} after the Hello",
                device.id,
                "a capture that goes on for a few minutes after the Hello",
            )
        else:
            psk = hello.hello.type == "psk"
            evidence = [record.event.evidence[0] for record in device.hellos]
            yield self.finding(
                device,
                f"{ends.dst} accepts the Hello ({frames(evidence)}) and never connects back: "
                f"nothing came to ports 16992-16995 or 664 within {span(waited)}.",
                evidence,
                f"{address_filter(ends.src)} && tcp.port in {{{ends.dport}, 16992..16995, 664}}",
                times=[record.event.ts for record in device.hellos],
                count=len(device.hellos),
                catalogue="F13" if psk else None,
                candidates=_psk_candidates() if psk else _pki_candidates(),
            )


def _pki_candidates() -> tuple[Candidate, ...]:
    return (
        Candidate(
            "the server does not know the device or has no profile for it", "the server's log and device list"
        ),
        Candidate(
            "the server has no certificate whose root the device lists",
            "run again with --root-of YOUR-CHAIN.pem",
        ),
        Candidate(
            "it connects to another address, taken from reverse DNS",
            "a capture on the server's own interface",
        ),
    )


def _psk_candidates() -> tuple[Candidate, ...]:
    return (
        Candidate("the PID is not in the server's database", "look the PID up on the server"),
        Candidate("the server has no profile for the device", "the server's log and device list"),
        Candidate(
            "it connects to another address, taken from reverse DNS",
            "a capture on the server's own interface",
        ),
    )


def calls_back(device: DeviceEvidence) -> tuple[list[ConnectionEvent], list[ConnectionEvent]]:
    """Connections back after the first Hello: those that got through, those that did not."""
    start = device.hellos[0].event.ts if device.hellos else 0
    back = [
        link for link in device.returns if link.ts >= start and not device.had_left(link.ends.dst, link.ts)
    ]
    return [link for link in back if link.outcome not in FAILED], [
        link for link in back if link.outcome in FAILED
    ]


def failed_calls(device: DeviceEvidence) -> list[ConnectionEvent | UnansweredArp]:
    """Return the connections back that failed, and the ARP questions for the device that got no answer."""
    return [*[link for link in device.returns if link.outcome in FAILED], *device.asked_for]


_Attempts = Sequence[ConnectionEvent | UnansweredArp]


def _came_later(reached: Sequence[ConnectionEvent], failed: _Attempts) -> bool:
    """True where an attempt got through after the last that failed."""
    return any(link.ts > failed[-1].ts for link in reached)


def _aftermath(reached: Sequence[ConnectionEvent], failed: _Attempts) -> str:
    if not reached:
        return "."
    if _came_later(reached, failed):
        return ", later an attempt got through."
    return ", after an earlier attempt had got through."


@rule
class ConnectBackRefused(DeviceRule):
    """The server connects back and the device, or something on the way, answers RST."""

    subject = staticmethod(failed_calls)
    id = "connect-back-refused"
    precedence = 450
    title = "The way back to the device is closed"
    label = "refused"
    catalogue = "F11"
    row = "the way back to the device is closed"
    other_rows = (("F49", "the plain ports are gone from 16.1 on"),)
    remedy = (
        "The address answers but nothing listens there: the setup window has closed, another host has the "
        "address, or a firewall refuses in its place. Restart setup on the device (local agent, MEBx, or a "
        "partial unprovision) and capture again within the window; check the device's DNS entries."
    )
    source = "Intel vPro expert blog on tcp_connect errors; recording of a real provisioning server"
    example = (("hello", 0), ("back", 1, "refused"))
    near_miss = (("hello", 2), ("back", 1, "refused"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Refused connections back; a trouble that passed where one got through."""
        reached, failed = calls_back(device)
        refused = [link for link in failed if link.outcome == "refused"]
        if not refused:
            return
        ends = refused[0].ends
        plain = all(link.ends.dport in (16992, 16994) for link in refused)
        yield self.about(
            device,
            refused,
            f"{ends.src} tried {times_tried(len(refused))} to connect back to port {ends.dport} and was "
            f"refused ({where(refused)}){_aftermath(reached, refused)}",
            f"tcp.port=={ends.dport} && {address_filter(ends.dst)}",
            severity="warning" if reached else None,
            overcome=_came_later(reached, refused),
            catalogue="F49" if plain and any(link.ends.dport in TLS_PORTS for link in reached) else None,
            basis="inferred" if device.shared_address else None,
            confidence="medium" if device.shared_address else None,
            remedy="From AMT 16.1 on the plain ports 16992 and 16994 are closed: use TLS on 16993. "
            + self.remedy
            if plain
            else None,
        )


@rule
class ConnectBackUnanswered(DeviceRule):
    """The server connects back and nobody answers."""

    subject = staticmethod(failed_calls)
    id = "connect-back-unanswered"
    precedence = 470
    title = "The way back to the device is silent"
    label = "no answer"
    catalogue = "F11"
    confidence = "medium"
    remedy = (
        "Check that the server connects to the address the Hello came from, that no firewall lies between, "
        "and that the setup window is still open; `telnet DEVICE 16993` from the server tells."
    )
    source = "Intel vPro expert blog on tcp_connect errors"
    example = (("hello", 0), ("back", 1, "unanswered", {"syns": 2}))
    near_miss = (("hello", 0), ("back", 1, "unanswered"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """SYNs back without an answer, repeated so that it is not the capture's end; or ARP in vain."""
        reached, failed = calls_back(device)
        silent = [link for link in failed if link.outcome == "unanswered"]
        crossing = next((link.crossing for link in silent if link.crossing), None)
        # A new attempt may follow a refusal that this capture does not show, the likelier where it shows
        # others; a SYN that is sent again cannot.
        again = any(link.syns > 1 for link in silent)
        refuses = any(link.outcome == "refused" for link in failed)
        if not again and crossing is None and (len(silent) < 2 or not device.is_heard or refuses):
            silent = []
        if not silent:
            yield from self._gone(device, reached)
            return
        ends = silent[0].ends
        yield self.about(
            device,
            silent,
            f"{ends.src} connects back to port {ends.dport} and gets no answer: "
            f"{sum(link.syns for link in silent)} SYNs ({where(silent)})"
            f"{_aftermath(reached, silent)}{lost_between(crossing)}",
            f"tcp.port=={ends.dport} && {address_filter(ends.dst)}",
            severity="warning" if reached else None,
            overcome=_came_later(reached, silent),
            basis="inferred" if device.shared_address else None,
            confidence="high" if crossing is not None else None,
        )

    def _gone(self, device: DeviceEvidence, reached: Sequence[ConnectionEvent]) -> Iterator[Finding]:
        """The server does not even find the device's address."""
        sought = [question for question in device.sought if not device.had_left(question.target, question.ts)]
        if not sought:
            return
        question = sought[0]
        yield self.about(
            device,
            sought,
            f"{question.asker} wants to connect back and asks {times_tried(question.requests)} who has "
            f"{question.target}; nobody answers ({where(sought)}){_aftermath(reached, sought)}",
            f"arp.dst.proto_ipv4=={question.target}",
            severity="warning" if reached else None,
            overcome=_came_later(reached, sought),
            remedy="The device is off, asleep or cut from the network, or has another address since: look "
            "at its link and at its lease. " + self.remedy,
        )


@rule
class ConnectBackRejected(DeviceRule):
    """The server connects back, and an ICMP message says that it cannot or may not pass."""

    subject = staticmethod(failed_calls)
    id = "connect-back-rejected"
    precedence = 460
    title = "The way back to the device is turned away"
    label = "turned away"
    catalogue = "F11"
    remedy = (
        "Whoever sent the ICMP message refuses it: open ports 16992 to 16995 from the server to the device "
        "there, or mend its routing."
    )
    source = "RFC 1812 and RFC 4443: administratively prohibited, host or network unreachable"
    example = (("hello", 0), ("back", 1, "rejected", {"rejection": "10.0.0.1 says: prohibited"}))
    near_miss = (("hello", 2), ("back", 1, "rejected", {"rejection": "10.0.0.1 says: prohibited"}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Connections back that an ICMP message answers."""
        reached, failed = calls_back(device)
        rejected = [link for link in failed if link.outcome == "rejected"]
        if not rejected:
            return
        ends = rejected[0].ends
        yield self.about(
            device,
            rejected,
            f"{rejected[0].rejection}: {ends.src} tried {times_tried(len(rejected))} to connect back to port "
            f"{ends.dport} ({where(rejected)}){_aftermath(reached, rejected)}",
            f"(tcp.port=={ends.dport} || icmp || icmpv6) && {address_filter(ends.dst)}",
            severity="warning" if reached else None,
            overcome=_came_later(reached, rejected),
            basis="inferred" if device.shared_address else None,
        )


def _misnamed(device: DeviceEvidence) -> list[LookupEvent]:
    """What DNS told the server of the device's name that leads it to another address, or to none.

    Nothing where the name also leads to the device.
    """
    asked = [lookup for lookup in device.names if lookup.type in ("A", "AAAA") and lookup.rcode is not None]
    if not asked or any(set(lookup.addresses) & set(device.device.ips) for lookup in asked):
        return []
    return asked


def _is_astray(device: DeviceEvidence) -> bool:
    """True where nothing comes back to the device, and something shows where it goes instead."""
    return bool(not device.returns and (device.elsewhere or device.names))


@rule
class ConnectsElsewhere(DeviceRule):
    """The server connects to an address that no device has."""

    subject = staticmethod(_is_astray)
    id = "connect-back-elsewhere"
    precedence = 180
    title = "The server connects to another address than the device's"
    label = "wrong address"
    catalogue = "F12"
    row = "the server connects to another address"
    basis = "inferred"
    confidence = "medium"
    remedy = (
        "The server took the address from a name: mend the device's PTR and A records, or the DDNS that "
        "writes them."
    )
    source = "MeshCentral's source (reverse DNS, then connects to the name); Intel vPro expert blog"
    example = (("hello", 0), ("back", 1, "refused", {"dst": "10.7.7.7"}))
    near_miss = (*example, ("back", 2, "refused"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Connections to AMT ports of a stranger right after the Hello, or names that lead elsewhere."""
        hello = device.last_hello
        if hello is None or not _is_astray(device) or device.sought:
            return
        misnamed = _misnamed(device)
        if not device.elsewhere and not misnamed:
            return
        reverse = [lookup for lookup in device.names if lookup.type == "PTR" and lookup.names]
        name = reverse[0].names[0] if reverse else "?"
        links = device.elsewhere
        targets = sorted({link.ends.dst for link in links})
        named = [address for lookup in misnamed for address in lookup.addresses]
        evidence = [*proof(links), *proof(reverse), *proof(misnamed)]
        if links:
            what = f"the server {hello.ends.dst} connects to {', '.join(targets[:3])} ({where(links)})"
        elif named:
            what = f"the server {hello.ends.dst} is told that its name {name} has the address {named[0]}"
        else:
            what = f"the server {hello.ends.dst} is told that its name {name} has no address"
        asked = f" It had asked DNS for the name ({where([*reverse, *misnamed])})." if reverse else ""
        yield self.finding(
            device,
            f"After the Hello from {hello.ends.src} {what}, and it never connects to the device.{asked}",
            evidence,
            f"{address_filter(hello.ends.dst)} && (dns || arp || tcp.port in {{16992..16995, 664}})",
            times=[*(link.ts for link in links), *(lookup.ts for lookup in misnamed)],
            count=len(links) or len(misnamed),
        )


@rule
class LeaseMoved(DeviceRule):
    """The device's address changed between its Hello and the connection back."""

    subject = "leases"
    id = "address-changed"
    precedence = 190
    title = "The server connects to the device's old address"
    label = "address changed"
    catalogue = "F40"
    row = "the device's address changes midway"
    confidence = "medium"
    remedy = "Make leases longer; the next Hello, from the new address, mends it."
    source = "Intel vPro expert blog on tcp_connect errors"
    example = (
        ("hello", 0, {"mac": "device"}),
        ("lease", 10, {"address": "other"}),
        ("back", 20, "unanswered"),
    )
    near_miss = (
        ("hello", 0, {"mac": "device"}),
        ("back", 5, "unanswered"),
        ("lease", 10, {"address": "other"}),
    )

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A lease of another address after the Hello, and failing connections to the old one."""
        hello = device.last_hello
        if hello is None:
            return
        moved = [
            ack for ack in device.acks if ack.ts > hello.ts and ack.address not in (None, hello.ends.src)
        ]
        links = [
            link
            for link in (*device.returns, *device.elsewhere)
            if link.outcome in FAILED and device.had_left(link.ends.dst, link.ts)
        ]
        sought = [
            question for question in device.sought if device.had_left(question.target, question.last_ts)
        ]
        if not moved or not (links or sought):
            return
        failed = [*proof(links), *proof(sought)]
        yield self.finding(
            device,
            f"The device got {moved[0].address} ({frames(moved[0].evidence)}) after its Hello from "
            f"{hello.ends.src}; the server looks for it at the old address ({frames(failed)}).",
            [*moved[0].evidence, *failed],
            f"{address_filter(hello.ends.src)} && (tcp.port in {{16992..16995, 664}} || arp || dhcp)",
            times=[*(link.ts for link in links), *(question.ts for question in sought)],
            count=len(links) + len(sought),
        )
