"""The table of scenarios. What is not in it is not in sample_pcaps/."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from amtdiag.simulator.hosts import network
from scenarios import callback, discovery, handshakes, leases, management, mixed, oddities, series, silence
from scenarios.fleet import fleet
from scenarios.packets import MINUTE, SECOND, Trace, need_scapy
from scenarios.scene import Scene

Container = Literal["pcap", "pcap-ns", "pcap.gz", "pcapng", "pcapng.gz"]

FIRST_START = 1_772_438_400 * SECOND
"""2026-03-02 08:00:00 UTC. The scenarios follow each other, so that all samples can be read at once."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story in one line, how to play it, and in which kind of file it is kept."""

    name: str
    story: str
    play: Callable[[Scene], None]
    container: Container = "pcapng"
    minutes: int = 20
    """How long after its start the next one begins."""
    messages: bool = False
    """expected.json says what its DHCP, DNS and RMCP messages hold."""


def _early(
    name: str, story: str, play: Callable[[Scene], None], container: Container = "pcapng", minutes: int = 10
) -> Scenario:
    """A scenario in which it is the messages before the Hello, or beside it, that count."""
    return Scenario(name, story, play, container, minutes, messages=minutes == 10)


def _packed(name: str, story: str, play: Callable[[Scene], None]) -> Scenario:
    """A scenario about what follows the Hello; certificates and envelopes are long, so that it is packed."""
    return Scenario(name, story, play, "pcapng.gz", 10)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "pki-connects",
        "Remote configuration as it should be: lease, DNS, Hello with 24 roots, connection back, TLS 1.2.",
        callback.pki_connects,
    ),
    Scenario(
        "psk-hello",
        "A pre-shared key as it should be: Hello with PID 0000-037M, TLS-PSK on the connection back.",
        callback.psk_hello,
    ),
    Scenario(
        "server-refuses",
        "Nothing listens on the server's port 9971: each SYN of the device is answered by RST.",
        silence.server_refuses,
    ),
    Scenario(
        "server-silent",
        "A firewall drops the device's SYNs to 9971, while the server's other traffic is seen.",
        silence.server_silent,
    ),
    Scenario(
        "no-connect-back",
        "Three good Hellos a minute apart and ten minutes more: the server never connects back.",
        silence.no_connect_back,
    ),
    Scenario(
        "psk-no-connect-back",
        "The same with a pre-shared key: the server does not know the PID.",
        silence.psk_no_connect_back,
        "pcap",
    ),
    Scenario(
        "capture-ends-too-soon",
        "A good Hello; the capture ends 50 ms later, before a server could have connected back.",
        silence.capture_ends_too_soon,
        "pcap",
    ),
    Scenario(
        "one-way-capture",
        "Only what the devices send was captured: nobody can tell what the server did.",
        silence.one_way_capture,
        "pcap",
    ),
    Scenario(
        "connect-back-refused",
        "The server connects back five times after each Hello; the device's port 16993 is closed.",
        callback.connect_back_refused,
    ),
    Scenario(
        "connect-back-unanswered",
        "The server's SYNs to port 16993 get no answer, though the device answers ARP.",
        callback.connect_back_unanswered,
    ),
    Scenario(
        "connect-back-overcome",
        "Two tries to connect back are refused, the third gets through and carries TLS.",
        callback.connect_back_overcome,
        "pcap-ns",
    ),
    Scenario(
        "tls-cut-by-device",
        "The root of the server's chain is not in the Hello: the device ends TLS with alert 48, twice.",
        callback.tls_cut_by_device,
    ),
    Scenario(
        "not-a-hello",
        "A TLS client, a browser, noise and a port scan on port 9971.",
        oddities.not_a_hello,
    ),
    Scenario(
        "planted-root",
        "23 known roots and one that no catalogue names; provisioning works.",
        callback.planted_root,
    ),
    Scenario(
        "old-firmware",
        "SHA-1 digests of an ME 8 list, 1024-bit and expired roots among them; the capture ends early.",
        callback.old_firmware,
        "pcap.gz",
    ),
    Scenario(
        "admin-flag-unset",
        "The Hello says that the administrator's password was never set; provisioning works.",
        callback.admin_flag_unset,
    ),
    Scenario(
        "bad-pid",
        "The PID's check character is wrong, and the server never connects back.",
        silence.bad_pid,
        "pcap",
    ),
    Scenario(
        "junk-uuid",
        "The UUID is a board maker's placeholder that many machines share; provisioning works.",
        callback.junk_uuid,
    ),
    Scenario(
        "damaged-hello",
        "The sender stops in the tenth of 24 digests and closes; the capture ends there.",
        oddities.damaged_hello,
    ),
    Scenario(
        "lossy-capture",
        "One of the Hello's three segments is not in the capture, which counts 37 dropped packets.",
        oddities.lossy_capture,
    ),
    Scenario(
        "hard-to-read",
        "A Hello in three segments, out of order, one sent twice; double VLAN tags, every frame twice.",
        oddities.hard_to_read,
    ),
    Scenario(
        "ring",
        "Three files of a ring buffer, a Hello across the boundary of the first two.",
        oddities.ring,
        "pcap",
    ),
    Scenario(
        "fleet",
        "25 devices in two hours: 11 succeed, 14 fail in eight ways, PKI and PSK.",
        fleet,
        "pcapng.gz",
        140,
    ),
    _early(
        "dns-nxdomain",
        "The zone has no record for provisionserver: every lookup is answered NXDOMAIN.",
        discovery.dns_nxdomain,
    ),
    _early(
        "dns-bare-only",
        "DHCP gives no domain: only the bare name is asked for, and it does not exist.",
        discovery.dns_bare_only,
    ),
    _early(
        "dhcp-no-dns",
        "DHCP gives no DNS server, nothing is asked; an RMCP pong says that it is an AMT device.",
        discovery.dhcp_no_dns,
    ),
    _early(
        "dns-unanswered",
        "The device gets its lease, and none of its repeated DNS questions is answered.",
        discovery.dns_unanswered,
        "pcap",
    ),
    _early(
        "dns-servfail",
        "DNS answers the question for the server with SERVFAIL.",
        discovery.dns_servfail,
        "pcap",
    ),
    _early(
        "resolved-no-connection",
        "DNS gives the server's address; three minutes of ARP follow, and no connection.",
        discovery.resolved_no_connection,
    ),
    _early(
        "resolved-too-soon",
        "DNS gives the server's address; the capture ends a second later.",
        discovery.resolved_too_soon,
        "pcap-ns",
    ),
    _early(
        "option-15-missing-but-works",
        "No domain in the lease, but one in MEBx; provisioning works.",
        discovery.option_15_missing_but_works,
    ),
    _early(
        "custom-fqdn",
        "The device asks for its server by a configured name, not for provisionserver; all is well.",
        discovery.custom_fqdn,
    ),
    _early(
        "two-answers",
        "A forged DNS answer arrives before the real one; the device says Hello to the forger.",
        discovery.two_answers,
    ),
    _early(
        "two-dhcp-servers",
        "A second DHCP server offers another domain; the device takes the first, all is well.",
        discovery.two_dhcp_servers,
    ),
    _early(
        "server-side-capture",
        "Captured at the server, behind a router: no DHCP or DNS of the device; all is well.",
        discovery.server_side_capture,
    ),
    _early(
        "ipv6",
        "DHCPv6, AAAA, Hello and connection back over IPv6; all is well.",
        discovery.ipv6,
    ),
    _early(
        "connect-back-elsewhere",
        "Reverse DNS names another machine: the server connects to that, and never to the device.",
        series.connect_back_elsewhere,
    ),
    _early(
        "address-changed",
        "A new lease moves the device right after its Hello; the server calls the old address.",
        series.address_changed,
    ),
    _early(
        "cloned-uuid",
        "Two machines carry one UUID, and their Hellos take turns.",
        series.cloned_uuid,
    ),
    _early(
        "nat",
        "Two devices behind one translated address; the server's way back ends at the translator.",
        series.nat,
    ),
    _early(
        "routed-five",
        "Five devices behind one router, all with its MAC in the capture; provisioning works.",
        series.routed_five,
        "pcapng.gz",
    ),
    _early(
        "gave-up",
        "Hellos with retry 0 to 14 in 50 minutes, then 30 minutes of silence.",
        series.gave_up,
        "pcap.gz",
        90,
    ),
    _early(
        "gave-up-too-soon",
        "Hellos with retry 0 to 14; the capture ends half a minute after the last.",
        series.gave_up_too_soon,
        "pcap.gz",
        55,
    ),
    _early(
        "starts-over",
        "The device boots five times in nine minutes, and each time says its first Hello.",
        series.starts_over,
    ),
    _early(
        "pid-reused",
        "Two devices with one and the same PID; both are provisioned.",
        series.pid_reused,
    ),
    _early(
        "rmcp-modes",
        "RMCP pings: a device in factory mode, one in setup, one in operation, and a printer.",
        series.rmcp_modes,
    ),
    _early(
        "rmcp-sweep",
        "Somebody sends RMCP pings to 20 addresses; one device answers.",
        series.rmcp_sweep,
        "pcap",
    ),
    _early(
        "operational-then-hello",
        "An RMCP pong says operational; five minutes later the device says Hello.",
        series.operational_then_hello,
    ),
    _early(
        "lease-refused",
        "The DHCP server refuses the address that the device has, and offers no other; its pong says AMT.",
        leases.refused,
    ),
    _early(
        "lease-refused-then-given",
        "A machine from another site is refused its address there, gets a right one; all is well.",
        leases.refused_then_given,
    ),
    _early(
        "another-dhcp-server",
        "A second DHCP server offers the same domain; the device takes the first, all is well.",
        leases.another_server,
    ),
    _early(
        "dhcp-offered-twice",
        "One DHCP server offers twice, by two relays; all is well.",
        leases.one_server_twice,
    ),
    _early(
        "connect-back-rejected",
        "The router answers the server's SYNs to port 16993 with ICMP administratively prohibited.",
        callback.connect_back_rejected,
    ),
    _early(
        "connect-back-let-through",
        "Two tries to connect back are prohibited by ICMP, the third gets through and carries TLS.",
        callback.connect_back_let_through,
    ),
    _early(
        "window-closed",
        "Hellos every half hour for six hours, then an hour and a half of silence.",
        series.window_closed,
        "pcap.gz",
        480,
    ),
    _early(
        "window-not-yet-closed",
        "Hellos every half hour for two hours, then two hours of silence.",
        series.window_not_yet_closed,
        "pcap.gz",
        270,
    ),
    _early(
        "modes-disagree",
        "RMCP pongs from one address: in setup, in operation and in setup again, within four minutes.",
        series.modes_disagree,
    ),
    _early(
        "setup-then-operational",
        "RMCP pongs before and after: in setup, then in operation; provisioning works.",
        series.setup_then_operational,
    ),
    _early(
        "server-not-from-dns",
        "DNS names the server, and the device says Hello to another machine.",
        discovery.server_not_from_dns,
    ),
    _early(
        "round-robin",
        "DNS names two servers, the device says Hello to the second; all is well.",
        discovery.round_robin,
    ),
    _early(
        "zero-digest",
        "23 known roots and a digest of zeros; provisioning works.",
        callback.zero_digest,
    ),
    _early(
        "undocumented-version",
        "A Hello of version 4, which no document describes; provisioning works.",
        callback.undocumented_version,
    ),
    _early(
        "dell-uuid",
        "The UUID carries a Dell's service tag, SAMPLE7; provisioning works.",
        callback.dell_uuid,
    ),
    _early(
        "unexpected-server",
        "Four devices say Hello to the server that DNS names, a fifth to one of its own.",
        mixed.unexpected_server,
    ),
    _early(
        "two-servers",
        "Three devices say Hello to one server, three to another; provisioning works.",
        mixed.two_servers,
    ),
    _early(
        "psk-among-pki",
        "The server connects back to two devices with certificates, never to the one with a PID.",
        mixed.psk_among_pki,
    ),
    _early(
        "pki-among-psk",
        "The server connects back to two devices with a PID, never to the one with certificates.",
        mixed.pki_among_psk,
    ),
    _early(
        "psk-and-pki",
        "The server connects back to both kinds, and never to a third device, with a PID unknown to it.",
        mixed.psk_and_pki,
    ),
    _early(
        "port-sweep",
        "Somebody tries port 9971 at 20 addresses; the server takes the connection, nobody else.",
        mixed.port_sweep,
    ),
    _early(
        "not-looking",
        "An RMCP pong says factory mode; the device asks for no server in four minutes.",
        series.not_looking,
    ),
    _early(
        "no-hello",
        "Three machines without AMT get leases and ask for names: no AMT device is seen.",
        mixed.no_amt,
    ),
    Scenario(
        "root-vanishes",
        "A root that the site had added is gone from the second Hello; provisioning works both times.",
        callback.root_vanishes,
        "pcapng.gz",
        10,
    ),
    Scenario(
        "root-appears",
        "A root that no catalogue names has come into the list by the second Hello.",
        callback.root_appears,
        "pcapng.gz",
        10,
    ),
    Scenario(
        "built-in-roots-replaced",
        "The second Hello has more built-in roots than the first, as after a firmware update.",
        callback.built_in_root_replaced,
        "pcapng.gz",
        10,
    ),
    _packed(
        "web-commit",
        "Provisioning without TLS to its end: digest, SetMEBxPassword, CommitChanges.",
        management.committed,
    ),
    _packed(
        "web-password-wrong",
        "The device answers 401 to credentials with a fresh nonce, in two connections.",
        management.password_wrong,
    ),
    _packed(
        "web-password-found",
        "The first password is wrong, the second is right, and the setup is committed.",
        management.password_found,
    ),
    _packed(
        "web-call-fails",
        "The device refuses a certificate with a fault; the commit never comes.",
        management.call_fails,
    ),
    _packed(
        "web-commit-refused",
        "CommitChanges returns 1.",
        management.commit_refused,
    ),
    _packed(
        "web-ends-at-password",
        "The device closes the connection at SetMEBxPassword.",
        management.ends_at_password,
    ),
    _packed(
        "web-broken-after-commit",
        "After CommitChanges the device ends every TLS handshake with alert 80.",
        management.broken_after_commit,
    ),
    _packed(
        "web-unprovisioned",
        "A server unprovisions a device that works, in the clear.",
        management.unprovisioned,
    ),
    _packed(
        "web-partly-unprovisioned",
        "Partial unprovision, then a Hello, and provisioning again.",
        management.partly_unprovisioned,
    ),
    _packed(
        "web-probed",
        "A scanner logs in with an empty digest (CVE-2017-5689) and is refused.",
        management.probed,
    ),
    _packed(
        "web-probe-succeeds",
        "The same, and the device lets it in.",
        management.probe_succeeds,
    ),
    _packed(
        "web-falls-back",
        "TLS fails for its version, and the server provisions over the plain port.",
        management.falls_back,
    ),
    _packed(
        "redirection-in-clear",
        "A console runs serial over LAN on port 16994.",
        management.redirected,
    ),
    _packed(
        "chain-root-not-listed",
        "The server shows a chain whose root the device does not list: alert 48, twice.",
        handshakes.root_not_listed,
    ),
    _packed(
        "chain-web-certificate",
        "The server shows an ordinary web certificate: alert 43.",
        handshakes.web_certificate,
    ),
    _packed(
        "chain-console-oid",
        "The certificate has the OID of the remote console instead of that of provisioning: alert 42.",
        handshakes.console_certificate,
    ),
    _packed(
        "chain-no-server-auth",
        "The certificate lacks server authentication: alert 43.",
        handshakes.without_server_auth,
    ),
    _packed(
        "chain-leaf-only",
        "The server sends its leaf and nothing else: alert 48.",
        handshakes.leaf_only,
    ),
    _packed(
        "chain-without-root",
        "The server leaves its root out, as web servers do: alert 48.",
        handshakes.without_root,
    ),
    _packed(
        "chain-disordered",
        "Root and issuing CA have changed places: alert 42.",
        handshakes.disordered,
    ),
    _packed(
        "chain-expired",
        "The leaf ended in 2025: alert 45.",
        handshakes.expired,
    ),
    _packed(
        "chain-not-yet-valid",
        "The leaf begins half a year after the capture: alert 46.",
        handshakes.not_yet_valid,
    ),
    _packed(
        "chain-other-domain",
        "The certificate is for another domain than option 15 gives: alert 42.",
        handshakes.another_domain,
    ),
    _packed(
        "chain-sha1",
        "The leaf has a SHA-1 signature: alert 42.",
        handshakes.sha1_leaf,
    ),
    _packed(
        "chain-small-key",
        "The leaf has an RSA key of 1024 bits: alert 42.",
        handshakes.small_key,
    ),
    _packed(
        "chain-refused-all-the-same",
        "The chain breaks no rule and is refused with alert 48.",
        handshakes.no_visible_reason,
    ),
    _packed(
        "chain-accepted",
        "Leaf, issuing CA and root as they should be, and the device takes them.",
        handshakes.accepted,
    ),
    _packed(
        "chain-accepted-by-unit",
        "A leaf marked by its OU alone, and the device takes it.",
        handshakes.accepted_by_unit,
    ),
    _packed(
        "psk-differs",
        "The right PID, another PPS on either side: alert 20 after the first Finished.",
        handshakes.psk_differs,
    ),
    _packed(
        "psk-not-offered",
        "A device with a PID is offered no PSK suite: alert 40.",
        handshakes.psk_not_offered,
    ),
    _packed(
        "tls-old-version",
        "The device chooses TLS 1.0, which the server no longer speaks: alert 70.",
        handshakes.old_version,
    ),
    _packed(
        "tls-renegotiation",
        "The device lacks renegotiation_info, and OpenSSL 3 ends it with alert 40.",
        handshakes.renegotiation,
    ),
    _packed(
        "tls-device-not-trusted",
        "The server does not accept the device's certificate: its alert 42.",
        handshakes.device_not_trusted,
    ),
    _packed(
        "tls-internal-error",
        "The device answers every ClientHello with alert 80, and nothing tells why.",
        handshakes.internal_error,
    ),
)


def names() -> tuple[str, ...]:
    """The names of all scenarios."""
    return tuple(scenario.name for scenario in SCENARIOS)


def play(scenario: Scenario) -> Scene:
    """Play a scenario: all its packets and the truth about them. Needs scapy."""
    need_scapy()
    place = SCENARIOS.index(scenario)
    before = sum(earlier.minutes for earlier in SCENARIOS[:place])
    scene = Scene(Trace(scenario.name), network(place + 1), FIRST_START + before * MINUTE)
    scenario.play(scene)
    return scene
