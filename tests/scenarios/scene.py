"""The steps that scenarios are made of: a device boots, says Hello, is called back or is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from amtdiag.simulator.hello import digests_of, hello_bytes
from amtdiag.simulator.hosts import DEVICE_PORT, HELLO_PORT, SAMPLE_PPS, AmtHost, Host, Network
from scenarios import psk, tls
from scenarios.conversation import Conversation
from scenarios.datagrams import NXDOMAIN, Terms, arp, dns, lease
from scenarios.packets import MICROSECOND, MILLISECOND, MINUTE, SECOND, SentHello, Trace
from scenarios.tls import Flight
from scenarios.truth import BEFORE_HELLO, Claim, Fate

BETWEEN_TRIES = 500 * MILLISECOND
"""MeshCentral's pause between two tries to connect back."""
TRIES = 5


@dataclass(slots=True)
class Scene:
    """A trace in the making and the truth about it. Steps take a time and return the time after them."""

    trace: Trace
    net: Network
    start: int
    fates: list[Fate] = field(default_factory=list)
    found: list[Claim] = field(default_factory=list)
    also: list[Claim] = field(default_factory=list)
    """What may be reported besides; anything else that is graver than a hint is an invention."""
    silent: bool = False
    """Not even a hint may be reported."""
    unknowns: list[str] = field(default_factory=list)
    """Words of what the analysis has to say that it cannot tell."""
    verdict: str | None = None
    """Words of the answer in one sentence."""
    cuts: tuple[int, ...] = ()
    """Times at which a new file begins."""
    dropped: int | None = None
    """Packets that the capturing machine says it lost."""
    vlans: tuple[int, ...] = ()

    # ------------------------------------------------------------------------------------ before the Hello

    def boot(self, device: AmtHost, at: int) -> int:
        """The device leases an address, and finds its server by the two names that it asks for."""
        return self.look_up(device, self.join(device, at))

    def join(
        self, device: AmtHost, at: int, given: Terms | None = None, *, rival: Terms | None = None
    ) -> int:
        """The device leases an address and finds its router."""
        at = lease(self.trace, at, self.net, device, given, rival=rival) + 30 * MILLISECOND
        return arp(self.trace, at, device, self.net.router)

    def look_up(self, device: AmtHost, at: int) -> int:
        """ProvisionServer alone is not found, ProvisionServer with the leased domain is."""
        at = dns(self.trace, at, self.net, device, "ProvisionServer", address=None)
        return self.find(device, at, f"ProvisionServer.{self.net.suffix}")

    def find(self, device: AmtHost, at: int, name: str) -> int:
        """Some name is that of the server."""
        at = dns(self.trace, at, self.net, device, name, address=self.net.server.ip)
        return arp(self.trace, at, device, self.net.server)

    def look_up_in_vain(self, device: AmtHost, at: int, *names: str, rcode: int = NXDOMAIN) -> int:
        """None of these names is that of the server."""
        for name in names:
            at = dns(self.trace, at, self.net, device, name, address=None, rcode=rcode)
        return at

    def chatter(self, at: int, until: int, hosts: tuple[Host, ...], every: int = 30 * SECOND) -> None:
        """What else a quiet site shows: the server renews its ARP entries and looks up its time server."""
        number = 0
        while at < until:
            arp(self.trace, at, self.net.server, hosts[number % len(hosts)])
            if number % 4 == 1:
                dns(
                    self.trace,
                    at + 900 * MILLISECOND,
                    self.net,
                    self.net.server,
                    f"ntp.{self.net.suffix}",
                    address=self.net.router.ip,
                )
            number += 1
            at += every + self.trace.jitter(0, 900) * MILLISECOND

    # ------------------------------------------------------------------------------------------- the Hello

    def to_server(self, device: Host, at: int, server: Host | None = None) -> Conversation:
        """A conversation to the Hello port, not yet begun."""
        return Conversation(self.trace, device, server or self.net.server, HELLO_PORT, at, self.vlans)

    def announce(self, talk: Conversation, device: AmtHost, retry: int, payload: bytes | None = None) -> int:
        """Note the Hello that is about to be sent; return its number."""
        digests = digests_of(device)
        whole = hello_bytes(device, retry)
        if payload is None:
            payload = whole
        else:
            # Every digest of a sample has one length; those that the payload holds to their end are whole.
            size = len(digests[0]) + 2
            digests = digests[: (len(payload) - 25) // size]
        return self.trace.sent(
            SentHello(device, retry, device.ip, talk.server_host.ip, talk.sport, HELLO_PORT, payload, digests)
        )

    def hello(self, device: AmtHost, at: int, retry: int = 0, payload: bytes | None = None) -> int:
        """A Hello in one segment; the device closes, as all do."""
        talk = self.to_server(device, at)
        number = self.announce(talk, device, retry, payload)
        talk.open()
        talk.send(talk.client, self.trace.hellos[number].payload, hello=number)
        talk.close(talk.client)
        return talk.now

    # ---------------------------------------------------------------------------------- the connection back

    def back(self, device: AmtHost, at: int) -> Conversation:
        """A connection to the device's port, not yet begun."""
        return Conversation(self.trace, self.net.server, device, DEVICE_PORT, at, self.vlans)

    def soon(self, at: int) -> int:
        """When the server calls back: 15-30 ms after the Hello's connection has closed."""
        return at + self.trace.jitter(15_000, 30_000) * MICROSECOND

    def back_refused(self, device: AmtHost, at: int, tries: int = TRIES) -> int:
        """Tries to connect back, each answered by a reset."""
        at = self.soon(at)
        for _ in range(tries):
            talk = self.back(device, at)
            talk.refused()
            at += BETWEEN_TRIES + self.trace.jitter(4, 9) * MILLISECOND
        return at

    def back_unanswered(self, device: AmtHost, at: int, retransmissions: int = 4) -> int:
        """One try to connect back that nothing answers."""
        talk = self.back(device, self.soon(at))
        talk.unanswered(retransmissions)
        return talk.now

    def back_rejected(self, device: AmtHost, at: int, by: Host, tries: int = TRIES) -> int:
        """Tries to connect back, each answered by somebody's ICMP message."""
        at = self.soon(at)
        for _ in range(tries):
            self.back(device, at).rejected(by)
            at += BETWEEN_TRIES + self.trace.jitter(4, 9) * MILLISECOND
        return at

    def back_tls(self, device: AmtHost, at: int, flights: list[Flight], *, soon: bool = True) -> int:
        """A connection back that carries TLS. The sender of the last flight closes it."""
        talk = self.back(device, self.soon(at) if soon else at)
        talk.open()
        for flight in flights:
            # The management engine is slow at RSA; the server is not.
            talk.wait(
                *(
                    (300 * MICROSECOND, 2 * MILLISECOND)
                    if flight.from_client
                    else (MILLISECOND, 9 * MILLISECOND)
                )
            )
            talk.send(talk.client if flight.from_client else talk.server, flight.data)
        talk.close(talk.client if flights[-1].from_client else talk.server)
        return talk.now

    def provisioned(self, device: AmtHost, at: int, retry: int = 0, *, name_lookup: bool = True) -> int:
        """A Hello, and a connection back whose TLS session carries data both ways."""
        at = self.hello(device, at, retry)
        if name_lookup:
            name = ip_address(device.ip).reverse_pointer
            dns(self.trace, at + 2 * MILLISECOND, self.net, self.net.server, name, address=None)
        if device.pid is None:
            flights = tls.session(self.net.suffix, f"[{device.ip}]" if ":" in device.ip else device.ip)
        else:
            flights = psk.session(self.trace.rng, device.pid, SAMPLE_PPS, host=device.ip)
        return self.back_tls(device, at, flights)

    def never_called(self, device: AmtHost, at: int, hellos: int = 3) -> int:
        """Hellos a minute apart that nobody follows up."""
        for retry in range(hellos):
            self.hello(device, at + retry * MINUTE + self.trace.jitter(0, 400) * MILLISECOND, retry)
        return at + hellos * MINUTE

    # -------------------------------------------------------------------------------------------- the truth

    def ends_at(
        self,
        device: AmtHost,
        stage: str | None,
        mode: str | None = "setup",
        *,
        by_address: bool = False,
        **facts: object,
    ) -> None:
        """How far the device came, and what else the capture shows of it: keys of expected.json."""
        self.fates.append(Fate(device, stage, mode, by_address or stage in BEFORE_HELLO, facts))

    def must_find(
        self,
        rule: str,
        device: AmtHost | None = None,
        severity: str | None = None,
        *,
        catalogue: str | None = None,
        by_address: bool = False,
    ) -> None:
        """A finding that the analysis has to report."""
        self.found.append(Claim(rule, device, severity, catalogue, by_address))

    def may_find(self, rule: str, device: AmtHost | None = None, severity: str | None = None) -> None:
        """A finding that the analysis may report, being true too, though not the point."""
        self.also.append(Claim(rule, device, severity))

    def must_not_know(self, what: str) -> None:
        """Something of which the analysis has to say that it cannot be told from the capture."""
        self.unknowns.append(what)

    def must_find_nothing(self) -> None:
        """No finding at all may be reported."""
        self.silent = True
