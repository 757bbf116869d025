"""From the device to the server: the way to the port on which Hellos are awaited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import FAILED, Candidate, ConnectionEvent, Finding, UnansweredArp, Unknown
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
from amtdiag.times import SECOND


def _overcome(device: DeviceEvidence, failed: Sequence[ConnectionEvent]) -> bool:
    """True where a later attempt got through: the trouble is history."""
    last = failed[-1].ts
    return any(link.outcome not in FAILED and link.ts > last for link in device.attempts) or any(
        record.event.ts > last for record in device.hellos
    )


def failed_attempts(device: DeviceEvidence) -> list[ConnectionEvent]:
    """Return the attempts to reach a Hello port that did not get through."""
    return [link for link in device.attempts if link.outcome in FAILED]


def _failed(device: DeviceEvidence, outcome: str) -> list[ConnectionEvent]:
    return [link for link in failed_attempts(device) if link.outcome == outcome]


def _is_missing(link: ConnectionEvent) -> bool:
    rejection = link.rejection if link.outcome == "rejected" else None
    return rejection is not None and ("not there" in rejection or "no route" in rejection)


def _absent_server(device: DeviceEvidence) -> list[ConnectionEvent | UnansweredArp]:
    """What shows that no host has the address of the server: ARP without answer, what routers say."""
    missing = [link for link in device.attempts if link.rejection and _is_missing(link)]
    return [*device.server_gone, *missing]


def _filter(link: ConnectionEvent) -> str:
    ends = link.ends
    return f"(tcp.port=={ends.dport} || icmp || icmpv6) && {address_filter(ends.src, ends.dst)}"


_STALE = Candidate(
    "the address is not the server's: DNS has an old or foreign record",
    "compare the address with the server's own",
)


@rule
class ServerNotThere(DeviceRule):
    """The address that DNS gives for the provisioning server is nobody's."""

    subject = staticmethod(_absent_server)
    id = "server-not-there"
    precedence = 110
    title = "DNS names an address that nobody has"
    label = "nobody there"
    catalogue = "F05"
    row = "DNS names an old or foreign address"
    remedy = (
        "Correct the record of the provisioning server: it is old, or of another site. If the address is "
        "right, the server is off."
    )
    source = "RFC 826 (a host that is there answers ARP); Altiris troubleshooting notes on stale records"
    example = (("lookup", 0, "server"), ("unanswered-arp", 1, "server"))
    near_miss = (("lookup", 0, "server"), ("unanswered-arp", 1, "10.1.1.1"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """ARP for the server's address in vain, or a router that says that the host is not there."""
        events = _absent_server(device)
        gone = device.server_gone
        missing = [event for event in events if isinstance(event, ConnectionEvent)]
        if not events:
            return
        target = gone[0].target if gone else missing[0].ends.dst
        last = max(event.ts for event in events)
        overcome = any(link.outcome not in FAILED and link.ts > last for link in device.attempts)
        lookups = [lookup for lookup in device.resolved if target in lookup.addresses]
        named = f"DNS says that the server is {target} ({where(lookups)}). " if lookups else ""
        what = (
            f"The device asks {times_tried(sum(arp.requests for arp in gone))} who has {target}, and nobody "
            f"answers ({where(gone)})"
            if gone
            else f"{missing[0].rejection} ({where(missing)})"
        )
        yield self.finding(
            device,
            f"{named}{what}{', later it got through.' if overcome else '.'}",
            [*proof(gone), *proof(missing), *proof(lookups)],
            f"arp.dst.proto_ipv4=={target} || icmp || dns" if ":" not in target else f"ipv6.addr=={target}",
            times=[event.ts for event in events],
            count=len(events),
            overcome=overcome,
            candidates=(
                Candidate("the record is old or foreign", "compare the address with the server's own"),
                Candidate("the server is off or cut from the network", "ARP for it on its own segment"),
            ),
        )


@rule
class ServerRefusesHello(DeviceRule):
    """The device's SYN to the Hello port is answered by RST."""

    subject = staticmethod(failed_attempts)
    id = "server-refuses-hello"
    precedence = 130
    title = "The server refuses the connection for the Hello"
    label = "refused"
    catalogue = "F07"
    row = "the server refuses the Hello's connection"
    remedy = (
        "Start the setup and configuration application on the server, and check that it listens on the port "
        "that the device was given (MEBx or USB file; 9971 unless changed)."
    )
    source = "MeshCentral's default port; RFC 9293 (a RST answers a SYN to a closed port)"
    example = (("link", 0, "refused"),)
    near_miss = (("link", 0, "unanswered", {"syns": 3}),)

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Refused attempts; an error unless a later one got through."""
        failed = _failed(device, "refused")
        if not failed:
            return
        ends = failed[0].ends
        overcome = _overcome(device, failed)
        before = [
            r.event for r in device.hellos if r.event.ends.dst == ends.dst and r.event.ts < failed[0].ts
        ]
        stopped = (
            f", although it took a Hello before ({frames(before[-1].evidence)}): it has stopped since."
            if before and not overcome
            else ", later it got through."
        )
        yield self.about(
            device,
            failed,
            f"{ends.dst} refuses port {ends.dport}: the device tried {times_tried(len(failed))} "
            f"({where(failed)})" + (stopped if before or overcome else "."),
            _filter(failed[0]),
            overcome=overcome,
            candidates=_why_refused(bool(before), device),
        )


def _why_refused(took_one: bool, device: DeviceEvidence) -> tuple[Candidate, ...]:
    """Candidates, likeliest first."""
    stopped = Candidate(
        "the server's process ended, perhaps over the Hello itself (MeshCentral 1.1.55 does so where its "
        "certificate chain begins with the root)",
        "the server's log at that time",
    )
    down = Candidate("the service does not run, or listens on another port", "netstat on the server")
    if took_one:
        return (stopped, down)
    return (down, _STALE) if device.resolved else (down,)


@rule
class ServerSilent(DeviceRule):
    """The device's SYNs to the Hello port get no answer at all."""

    subject = staticmethod(failed_attempts)
    id = "server-silent"
    precedence = 150
    title = "The server does not answer the connection for the Hello"
    label = "no answer"
    catalogue = "F08"
    row = "a firewall drops the Hello's connection"
    confidence = "medium"
    remedy = (
        "Open the Hello port (9971 unless changed) inbound on the server's firewall and on what lies "
        "between; check that the address is the server's."
    )
    source = "RFC 9293 (SYNs are repeated until answered)"
    example = (("link", 0, "unanswered", {"syns": 2}),)
    near_miss = (("link", 0, "unanswered"),)

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Unanswered SYNs, a fault only where answers would have been seen."""
        failed = _failed(device, "unanswered")
        if not failed:
            return
        ends = failed[0].ends
        crossing = next((link.crossing for link in failed if link.crossing), None)
        # A new attempt may follow a refusal that this capture does not show; a SYN that is sent again cannot.
        again = any(link.syns > 1 for link in failed)
        repeated = again or (len(failed) > 1 and device.is_spoken_to)
        patient = device.covered_until - failed[0].ts >= SECOND
        if not repeated and not patient:
            yield Unknown(
                f"whether {ends.dst} answers on port {ends.dport}",
                "the capture ends right after the device's SYN",
                device.id,
                "a capture that goes on for a minute",
            )
            return
        # A repeated SYN says that no answer reached the device, wherever the capture was taken.
        if not repeated and crossing is None:
            yield Unknown(
                f"whether {ends.dst} answers on port {ends.dport}",
                "no answer in this capture, and no SYN that the device sent again",
                device.id,
                "a capture that shows both directions",
            )
            return
        overcome = _overcome(device, failed)
        yield self.about(
            device,
            failed,
            f"{ends.dst} does not answer on port {ends.dport}: "
            f"{sum(link.syns for link in failed)} SYNs without an answer ({where(failed)})"
            + (", later it got through." if overcome else ".")
            + lost_between(crossing),
            _filter(failed[0]),
            overcome=overcome,
            confidence="high" if crossing is not None else None,
            candidates=() if crossing is not None else _why_silent(device),
        )


def _why_silent(device: DeviceEvidence) -> tuple[Candidate, ...]:
    """Candidates, likeliest first."""
    return (
        Candidate(
            "a firewall drops the SYN before the server, or on it",
            "a capture on the server, read together with this one: does the SYN arrive?",
        ),
        Candidate("the answer is lost on the way back", "a capture on the server: does it send a SYN-ACK?"),
        _STALE if device.resolved else Candidate("nobody has this address", "ARP on the server's segment"),
    )


@rule
class ServerRejected(DeviceRule):
    """A firewall, router or the server itself answers the device's SYN with an ICMP message."""

    subject = staticmethod(failed_attempts)
    id = "server-rejected"
    precedence = 140
    title = "The connection for the Hello is turned away"
    label = "turned away"
    catalogue = "F08"
    remedy = (
        "Whoever sent the ICMP message refuses it: open the Hello port (9971 unless changed) there, or mend "
        "its routing."
    )
    source = "RFC 1812 and RFC 4443: administratively prohibited, port or network unreachable"
    example = (("link", 0, "rejected", {"rejection": "10.0.0.1 says: prohibited"}),)
    near_miss = (("link", 0, "rejected", {"rejection": "10.0.0.1 says: the host is not there"}),)

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Attempts that an ICMP message answers, other than that the host is not there."""
        failed = [link for link in _failed(device, "rejected") if not _is_missing(link)]
        if not failed:
            return
        ends = failed[0].ends
        overcome = _overcome(device, failed)
        yield self.about(
            device,
            failed,
            f"{failed[0].rejection}: the device tried {times_tried(len(failed))} to reach port {ends.dport} "
            f"of {ends.dst} ({where(failed)})" + (", later it got through." if overcome else "."),
            _filter(failed[0]),
            overcome=overcome,
        )


@rule
class WrongPort(DeviceRule):
    """The device looks for its server on a port on which that does not listen."""

    subject = "odd_attempts"
    id = "wrong-port"
    precedence = 120
    title = "The device tries another port than the server's"
    label = "wrong port"
    catalogue = "F09"
    row = "the device uses another port"
    basis = "inferred"
    confidence = "medium"
    remedy = (
        "Give both sides one port: MEBx or the USB file on the device, the setting of the setup and "
        "configuration application on the server (9971 unless changed)."
    )
    source = "Port of the setup and configuration server in setup.bin, as MeshCommander reads it"
    example = (("lookup", 0, "server"), ("odd", 1))
    near_miss = (*example, ("link", 2, "refused"))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Failing attempts to the address that DNS named, on a port that is no Hello port."""
        odd = device.odd_attempts
        if not odd or device.attempts or device.hellos:
            return
        ports = ", ".join(str(port) for port in sorted({link.ends.dport for link in odd})[:4])
        answer = "is refused" if odd[0].outcome == "refused" else "gets no answer"
        yield self.about(
            device,
            odd,
            f"DNS named {odd[0].ends.dst} as the server; the device tries its port {ports} and {answer} "
            f"({where(odd)}), and tries no Hello port.",
            f"tcp.port=={odd[0].ends.dport} && {address_filter(odd[0].ends.src, odd[0].ends.dst)}",
            candidates=(
                Candidate("the port was changed in MEBx or by a USB file", "the port field in MEBx"),
                Candidate(
                    "the attempts are of the system on the device, not of AMT",
                    "a capture with the system shut down",
                ),
            ),
        )


@rule
class RecordElsewhere(DeviceRule):
    """DNS sends the device to an address that takes no Hello, while another server does."""

    subject = staticmethod(failed_attempts)
    id = "server-record-elsewhere"
    precedence = 160
    title = "DNS names another address than that of the server that works"
    label = "other server"
    catalogue = "F05"
    severity = "warning"
    basis = "inferred"
    confidence = "low"
    remedy = "Compare the record with the address of your server; look for a second zone (split horizon)."
    source = "Altiris troubleshooting notes on stale records"
    example = (
        ("lookup", 0, "10.6.6.6"),
        ("link", 1, "refused", {"dst": "10.6.6.6"}),
        ("hello", 0, {"src": "other"}),
    )
    near_miss = (("lookup", 0, "10.6.6.6"), ("link", 1, "refused", {"dst": "10.6.6.6"}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Attempts that failed at the address from DNS, and Hellos of others that arrived elsewhere."""
        lookups = {address for lookup in device.resolved for address in lookup.addresses}
        failed = [link for link in failed_attempts(device) if link.ends.dst in lookups]
        others = device.working_servers - lookups
        if not failed or not others or lookups & device.working_servers:
            return
        yield self.finding(
            device,
            f"DNS sends it to {failed[0].ends.dst} ({where(device.resolved)}), which takes no Hello; "
            f"{', '.join(sorted(others)[:3])} takes those of others.",
            [*proof(device.resolved), *proof(failed)],
            f"dns || {_filter(failed[0])}",
            times=[link.ts for link in failed],
            count=len(failed),
            overcome=_overcome(device, failed),
        )
