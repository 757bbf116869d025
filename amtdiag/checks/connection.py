"""Between device and server: the way to the Hello port, the silence after the Hello, the way back."""

from __future__ import annotations

from collections.abc import Iterator

from amtdiag.checks.base import Check, address_filter, frames
from amtdiag.model import Candidate, ConnectionEvent, Evidence, Finding, Unknown
from amtdiag.provisioning.case import Case
from amtdiag.times import SECOND, span

PATIENCE = 60 * SECOND
"""A server that would come back has done so by then: MeshCentral takes 15 to 30 ms."""
REACHED = frozenset({"established", "reset", "partial"})


def _proof(links: list[ConnectionEvent]) -> list[Evidence]:
    return [frame for link in links for frame in link.evidence]


def _times(links: list[ConnectionEvent]) -> list[int]:
    return [link.ts for link in links]


def _times_tried(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _overcome(case: Case, failed: list[ConnectionEvent]) -> bool:
    """True where a later attempt got through: the trouble is history."""
    last = failed[-1].ts
    return any(link.outcome in REACHED and link.ts > last for link in case.attempts) or any(
        record.event.ts > last for record in case.hellos
    )


class ServerRefusesHello(Check):
    """The device's SYN to the Hello port is answered by RST."""

    id = "server-refuses-hello"
    title = "The server refuses the connection for the Hello"
    label = "refused"
    catalogue = "F07"
    remedy = (
        "Start the setup and configuration application on the server, and check that it listens on the port "
        "that the device was given (MEBx or USB file; 9971 unless changed)."
    )
    source = "MeshCentral's default port; RFC 9293 (a RST answers a SYN to a closed port)"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """Refused attempts; an error unless a later one got through."""
        failed = [link for link in case.attempts if link.outcome == "refused"]
        if not failed:
            return
        ends = failed[0].ends
        overcome = _overcome(case, failed)
        yield self.finding(
            case,
            f"{ends.dst} refuses port {ends.dport}: the device tried {_times_tried(len(failed))} "
            f"({frames(_proof(failed))})" + (", later it got through." if overcome else "."),
            _proof(failed),
            f"tcp.port=={ends.dport} && {address_filter(ends.src, ends.dst)}",
            times=_times(failed),
            count=len(failed),
            overcome=overcome,
        )


class ServerSilent(Check):
    """The device's SYNs to the Hello port get no answer at all."""

    id = "server-silent"
    title = "The server does not answer the connection for the Hello"
    label = "no answer"
    catalogue = "F08"
    confidence = "medium"
    remedy = (
        "Open the Hello port (9971 unless changed) inbound on the server's firewall and on what lies "
        "between; check that the address is the server's."
    )
    source = "RFC 9293 (SYNs are repeated until answered)"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """Unanswered SYNs, a fault only where answers would have been seen."""
        failed = [link for link in case.attempts if link.outcome == "unanswered"]
        if not failed:
            return
        ends = failed[0].ends
        repeated = any(link.syns > 1 for link in failed) or len(failed) > 1
        patient = case.covered_until - failed[0].ts >= SECOND
        if not repeated and not patient:
            yield Unknown(
                f"whether {ends.dst} answers on port {ends.dport}",
                "the capture ends right after the device's SYN",
                case.id,
                "a capture that goes on for a minute",
            )
            return
        # A repeated SYN says that no answer reached the device, wherever the capture was taken.
        if not repeated:
            yield Unknown(
                f"whether {ends.dst} answers on port {ends.dport}",
                "one SYN without an answer in this capture, and no repetition by the device",
                case.id,
                "a capture that shows both directions",
            )
            return
        overcome = _overcome(case, failed)
        yield self.finding(
            case,
            f"{ends.dst} does not answer on port {ends.dport}: "
            f"{sum(link.syns for link in failed)} SYNs without an answer ({frames(_proof(failed))})"
            + (", later it got through." if overcome else "."),
            _proof(failed),
            f"tcp.port=={ends.dport} && {address_filter(ends.src, ends.dst)}",
            times=_times(failed),
            count=len(failed),
            overcome=overcome,
            candidates=(
                Candidate(
                    "a firewall drops the SYN before the server",
                    "a capture on the server: does the SYN arrive?",
                ),
                Candidate(
                    "the answer is lost on the way back", "a capture on the server: does it send a SYN-ACK?"
                ),
                Candidate("nobody has this address", "ARP for the address on the server's segment"),
            ),
        )


class NoConnectBack(Check):
    """The Hello arrives, and nobody ever connects to the device."""

    id = "no-connect-back"
    title = "The server gets the Hello and does nothing"
    label = "no connect-back"
    catalogue = "F10"
    basis = "inferred"
    confidence = "medium"
    remedy = (
        "Look at the server: does it know this UUID, has it a profile and a host name for it, is the service "
        "paused? With a PSK Hello: is the PID in its database? See what its log says of the device's "
        "address at that time."
    )
    source = "Altiris and Intel SCS troubleshooting notes; ITJ 12-4 on PID look-up; MeshCentral's source"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """Silence after the Hello, where the capture could have shown a connection."""
        hello = case.last_hello
        if hello is None:
            return
        back = [link for link in case.returns if link.ts >= case.hellos[0].event.ts]
        if back:
            return
        ends = hello.ends
        waited = case.covered_until - case.hellos[0].event.ts
        what = f"whether the server {ends.dst} connects back to the device"
        if case.elsewhere:
            return  # it does connect back, to the wrong address: a rule of its own
        if case.neighbour_returns:
            yield Unknown(
                what,
                f"it connects to {ends.src}, which several devices share",
                case.id,
                "a capture on the devices' own segment, behind the NAT or relay",
            )
            return
        if not case.device.visibility["server_to_device"]:
            yield Unknown(
                what,
                "this capture shows no packet from the server to the device",
                case.id,
                "a capture on the server, or on a SPAN port with both directions",
            )
        elif waited < PATIENCE:
            yield Unknown(
                what,
                f"the capture ends {span(waited)} after the Hello",
                case.id,
                "a capture that goes on for a few minutes after the Hello",
            )
        else:
            psk = hello.hello.type == "psk"
            evidence = [record.event.evidence[0] for record in case.hellos]
            yield self.finding(
                case,
                f"{ends.dst} accepts the Hello ({frames(evidence)}) and never connects back: "
                f"nothing came to ports 16992-16995 or 664 within {span(waited)}.",
                evidence,
                f"{address_filter(ends.src)} && tcp.port in {{{ends.dport}, 16992..16995, 664}}",
                times=[record.event.ts for record in case.hellos],
                count=len(case.hellos),
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


def _split(case: Case) -> tuple[list[ConnectionEvent], list[ConnectionEvent]]:
    """Connections back after the first Hello: those that got through, those that did not."""
    start = case.hellos[0].event.ts if case.hellos else 0
    back = [link for link in case.returns if link.ts >= start and not case.had_left(link.ends.dst, link.ts)]
    return [link for link in back if link.outcome in REACHED], [
        link for link in back if link.outcome not in REACHED
    ]


def _came_later(reached: list[ConnectionEvent], failed: list[ConnectionEvent]) -> bool:
    """True where an attempt got through after the last that failed."""
    return any(link.ts > failed[-1].ts for link in reached)


def _aftermath(reached: list[ConnectionEvent], failed: list[ConnectionEvent]) -> str:
    if not reached:
        return "."
    if _came_later(reached, failed):
        return ", later an attempt got through."
    return ", after an earlier attempt had got through."


class ConnectBackRefused(Check):
    """The server connects back and the device, or something on the way, answers RST."""

    id = "connect-back-refused"
    title = "The way back to the device is closed"
    label = "refused"
    catalogue = "F11"
    remedy = (
        "The address answers but nothing listens there: the setup window has closed, another host has the "
        "address, or a firewall refuses in its place. Restart setup on the device (local agent, MEBx, or a "
        "partial unprovision) and capture again within the window; check the device's DNS entries."
    )
    source = "Intel vPro expert blog on tcp_connect errors; recording of a real provisioning server"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """Refused connections back; a trouble that passed where one got through."""
        reached, failed = _split(case)
        refused = [link for link in failed if link.outcome == "refused"]
        if not refused:
            return
        ends = refused[0].ends
        plain = all(link.ends.dport in (16992, 16994) for link in refused)
        yield self.finding(
            case,
            f"{ends.src} tried {_times_tried(len(refused))} to connect back to port {ends.dport} and was "
            f"refused ({frames(_proof(refused))}){_aftermath(reached, refused)}",
            _proof(refused),
            f"tcp.port=={ends.dport} && {address_filter(ends.dst)}",
            times=_times(refused),
            count=len(refused),
            severity="warning" if reached else None,
            overcome=_came_later(reached, refused),
            catalogue="F49" if plain and any(link.ends.dport in _TLS for link in reached) else None,
            basis="inferred" if case.shared_address else None,
            confidence="medium" if case.shared_address else None,
            remedy="From AMT 16.1 on the plain ports 16992 and 16994 are closed: use TLS on 16993. "
            + self.remedy
            if plain
            else None,
        )


class ConnectBackUnanswered(Check):
    """The server connects back and nobody answers."""

    id = "connect-back-unanswered"
    title = "The way back to the device is silent"
    label = "no answer"
    catalogue = "F11"
    confidence = "medium"
    remedy = (
        "Check that the server connects to the address the Hello came from, that no firewall lies between, "
        "and that the setup window is still open; `telnet DEVICE 16993` from the server tells."
    )
    source = "Intel vPro expert blog on tcp_connect errors"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """SYNs back without an answer, repeated so that it is not the capture's end."""
        reached, failed = _split(case)
        silent = [link for link in failed if link.outcome == "unanswered"]
        if not silent or (len(silent) == 1 and silent[0].syns < 2):
            return
        ends = silent[0].ends
        yield self.finding(
            case,
            f"{ends.src} connects back to port {ends.dport} and gets no answer: "
            f"{sum(link.syns for link in silent)} SYNs ({frames(_proof(silent))})"
            f"{_aftermath(reached, silent)}",
            _proof(silent),
            f"tcp.port=={ends.dport} && {address_filter(ends.dst)}",
            times=_times(silent),
            count=len(silent),
            severity="warning" if reached else None,
            overcome=_came_later(reached, silent),
            basis="inferred" if case.shared_address else None,
        )


class TlsEnded(Check):
    """The connection back is made, bytes go both ways, and the device ends it."""

    id = "tls-ended"
    title = "The device ends the TLS connection"
    label = "device ends it"
    severity = "warning"
    basis = "inferred"
    confidence = "low"
    remedy = (
        "Look into the handshake: who sends which alert, and which certificates were shown. "
        "Then check the provisioning certificate against the device's digest list (--root-of)."
    )
    source = "Recording of a real provisioning server: its log says 408 alike for each of these"

    def look(self, case: Case) -> Iterator[Finding | Unknown]:
        """A conversation on a TLS port that the device ended within seconds, nothing better after it."""
        reached, _ = _split(case)
        talks = [
            link for link in reached if link.client_bytes and link.server_bytes and link.ends.dport in _TLS
        ]
        if not talks or case.device.mode.name == "operational":
            return
        last = talks[-1]
        if last.closed_by != "server" or last.last_ts - last.ts > _HANDSHAKE:
            return
        yield self.finding(
            case,
            f"The connection back was made ({frames(last.evidence)}), and the device ended it after "
            f"{span(last.last_ts - last.ts)}: it sent {last.server_bytes:,} bytes, the server "
            f"{last.client_bytes:,}. The handshake itself is not read by this version.",
            last.evidence,
            f"tls && tcp.port=={last.ends.dport} && {address_filter(last.ends.dst)}",
            times=_times(talks),
            count=len(talks),
            candidates=(
                Candidate(
                    "the device does not accept the server's certificate",
                    "an alert 42, 43, 46 or 48 from the device",
                ),
                Candidate("no common TLS version or cipher", "an alert 40 or 70 right after the ClientHello"),
                Candidate("with PSK: the PPS differs", "an alert 20 or 51 after the server's Finished"),
            ),
        )


_TLS = frozenset({16993, 664})
_HANDSHAKE = 5 * SECOND
