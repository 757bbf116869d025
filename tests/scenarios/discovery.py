"""Scenarios of what precedes a Hello: the lease, the names, the answers."""

from __future__ import annotations

from dataclasses import replace

from amtdiag.simulator.hosts import AmtHost, Host, checked_pid, device_over_ipv6, over_ipv6
from amtdiag.simulator.rmcp import Pong
from scenarios.datagrams import NXDOMAIN, SERVFAIL, Question, arp, dns, lease6, ping, terms
from scenarios.packets import MICROSECOND, MILLISECOND, MINUTE, SECOND
from scenarios.scene import Scene

_ROUNDS = (0, 20 * SECOND, MINUTE, 2 * MINUTE)
"""When a device that finds no server asks again."""
_BARE = "ProvisionServer"


def _quiet(scene: Scene, device: AmtHost, at: int, until: int) -> None:
    """A site that goes on with its life."""
    scene.chatter(at + 5 * SECOND, until, (device, scene.net.router))


def dns_nxdomain(scene: Scene) -> None:
    """Four rounds of both names, and the zone has neither."""
    device = scene.net.device()
    at = scene.join(device, scene.start)
    for pause in _ROUNDS:
        scene.look_up_in_vain(device, at + pause, _BARE, f"{_BARE}.{scene.net.suffix}")
    _quiet(scene, device, at, at + 5 * MINUTE)
    scene.ends_at(device, "resolution", suffix=scene.net.suffix)
    scene.must_find("no-server-record", device, "error", catalogue="F01", by_address=True)


def dns_bare_only(scene: Scene) -> None:
    """Without a domain there is one name to ask for, and it does not exist."""
    device = scene.net.device()
    at = scene.join(device, scene.start, replace(terms(scene.net, device), domain=None))
    for pause in _ROUNDS:
        scene.look_up_in_vain(device, at + pause, _BARE)
    _quiet(scene, device, at, at + 5 * MINUTE)
    scene.ends_at(device, "resolution", suffix=None)
    scene.must_find("no-suffix", device, "error", catalogue="F02", by_address=True)
    scene.must_find("no-option-15", device, "error", catalogue="F03", by_address=True)


def dhcp_no_dns(scene: Scene) -> None:
    """The device has nobody to ask. That it is an AMT device at all is what its pong says."""
    device = scene.net.device()
    at = scene.join(device, scene.start, replace(terms(scene.net, device), dns=None))
    admin = scene.net.host("admin", 20)
    asked = arp(scene.trace, at + MINUTE, admin, device)
    asked = ping(scene.trace, asked, admin, device, tag=7, pong=Pong(1, (9, 5)))
    _quiet(scene, device, asked, at + 5 * MINUTE)
    scene.ends_at(device, "discovery", suffix=scene.net.suffix, weight="decisive", firmware="AMT 9.5")
    scene.must_find("no-option-6", device, "error", catalogue="F04", by_address=True)


def dns_unanswered(scene: Scene) -> None:
    """Both names, three times each, in three rounds; the way to the DNS server swallows them."""
    net = scene.net
    device = net.device()
    far = Host("dns", net.router.mac, f"10.120.{net.number}.53")
    at = scene.join(device, scene.start, replace(terms(net, device), dns=far.ip))
    for pause in _ROUNDS[:3]:
        asked = at + pause
        for name in (_BARE, f"{_BARE}.{net.suffix}"):
            question = Question.new(scene.trace, net, device, name, far)
            for wait in (0, 2 * SECOND, 4 * SECOND):
                question.ask(scene.trace, asked + wait)
            asked += 8 * SECOND
    for minute in range(1, 5):
        arp(scene.trace, at + minute * MINUTE, net.router, device)
    scene.ends_at(device, "resolution", suffix=net.suffix)
    scene.must_find("dns-silent", device, "error", catalogue="F06", by_address=True)


def dns_servfail(scene: Scene) -> None:
    """The DNS server cannot reach those that know the zone."""
    device = scene.net.device()
    at = scene.join(device, scene.start)
    for pause in _ROUNDS:
        asked = scene.look_up_in_vain(device, at + pause, _BARE, rcode=NXDOMAIN)
        scene.look_up_in_vain(device, asked, f"{_BARE}.{scene.net.suffix}", rcode=SERVFAIL)
    for minute in range(1, 5):
        arp(scene.trace, at + minute * MINUTE, scene.net.router, device)
    scene.ends_at(device, "resolution", suffix=scene.net.suffix)
    scene.must_find("dns-fails", device, "error", catalogue="F06", by_address=True)


def resolved_no_connection(scene: Scene) -> None:
    """The server's address is known, and for three minutes there is nothing but ARP."""
    device = scene.net.device()
    at = scene.boot(device, scene.start)
    for second in range(15, 181, 15):
        other = (scene.net.server, scene.net.router)[second // 15 % 2]
        arp(scene.trace, at + second * SECOND, other, device)
    scene.ends_at(device, "resolution", suffix=scene.net.suffix)
    scene.must_find("resolved-no-connection", device, catalogue="F09", by_address=True)


def resolved_too_soon(scene: Scene) -> None:
    """The same, but the capture stops a second after the answer."""
    device = scene.net.device()
    at = scene.boot(device, scene.start)
    arp(scene.trace, at + SECOND, scene.net.router, scene.net.server)
    scene.ends_at(device, "resolution", suffix=scene.net.suffix)


def option_15_missing_but_works(scene: Scene) -> None:
    """The lease names no domain; the device has one from its MEBx."""
    device = scene.net.device()
    at = scene.join(device, scene.start, replace(terms(scene.net, device), domain=None))
    at = scene.provisioned(device, scene.find(device, at, f"{_BARE}.staging.{scene.net.suffix}"))
    _quiet(scene, device, at, at + 2 * MINUTE)
    scene.ends_at(device, "tls", None, suffix=None)
    scene.may_find("no-option-15", device=device, severity="warning")


def custom_fqdn(scene: Scene) -> None:
    """In MEBx stands the server's own name, and that alone is asked for."""
    device = scene.net.device(pid=checked_pid("0000Q01"))
    at = scene.find(device, scene.join(device, scene.start), f"vpro.{scene.net.suffix}")
    at = scene.provisioned(device, at)
    _quiet(scene, device, at, at + 2 * MINUTE)
    scene.ends_at(
        device,
        "tls",
        None,
        suffix=scene.net.suffix,
        stages=["discovery", "resolution", "connection", "hello", "connect_back", "tls"],
    )


def two_answers(scene: Scene) -> None:
    """A forged answer comes first, and the device goes where it says."""
    net, trace = scene.net, scene.trace
    device, rogue = net.device(), net.host("rogue", 66)
    at = scene.look_up_in_vain(device, scene.join(device, scene.start), _BARE)
    question = Question.new(trace, net, device, f"{_BARE}.{net.suffix}")
    question.ask(trace, at)
    at += trace.jitter(100, 300) * MICROSECOND
    question.answer(trace, at, rogue.ip, 0, sender=rogue)
    at += trace.jitter(300, 900) * MICROSECOND
    question.answer(trace, at, net.server.ip, 0)
    scene.net = replace(net, server=rogue)
    at = scene.provisioned(device, arp(trace, at + MILLISECOND, device, rogue), name_lookup=False)
    arp(trace, at + MINUTE, net.router, device)
    scene.ends_at(device, "tls", None, suffix=net.suffix)
    scene.must_find("two-answers", device, "critical")


def two_dhcp_servers(scene: Scene) -> None:
    """A second DHCP server offers a domain of its own; the device takes the first."""
    net = scene.net
    device, rogue = net.device(), net.host("rogue", 66)
    rival = replace(terms(net, device), server=rogue, address=net.host("", 166).ip, domain="corp.example")
    at = scene.look_up(device, scene.join(device, scene.start, rival=rival))
    at = scene.provisioned(device, at)
    _quiet(scene, device, at, at + 2 * MINUTE)
    scene.ends_at(device, "tls", None, suffix=net.suffix)
    scene.must_find("two-dhcp-servers", device)


def server_side_capture(scene: Scene) -> None:
    """At the server, behind a router: of what precedes the Hello nothing comes by here."""
    device = replace(scene.net.device(), mac=scene.net.router.mac)
    at = scene.provisioned(device, arp(scene.trace, scene.start, scene.net.router, scene.net.server))
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (scene.net.router,))
    scene.ends_at(device, "tls", None, stages=["connection", "hello", "connect_back", "tls"])


def ipv6(scene: Scene) -> None:
    """DHCPv6, AAAA, Hello and connection back, all over IPv6."""
    scene.net = over_ipv6(scene.net)
    device = device_over_ipv6(scene.net.device())
    at = lease6(scene.trace, scene.start, scene.net, device) + 30 * MILLISECOND
    at = scene.look_up(device, arp(scene.trace, at, device, scene.net.router))
    at = scene.provisioned(device, at)
    for second in range(10, 120, 30):
        arp(scene.trace, at + second * SECOND, scene.net.server, device)
        name = f"ntp.{scene.net.suffix}"
        dns(
            scene.trace,
            at + (second + 1) * SECOND,
            scene.net,
            scene.net.server,
            name,
            address=scene.net.router.ip,
        )
    scene.ends_at(device, "tls", None, suffix=scene.net.suffix)


def server_not_from_dns(scene: Scene) -> None:
    """DNS names the site's server; the device says Hello to another machine, which takes it over."""
    net = scene.net
    device, rogue = net.device(pid=checked_pid("0000Q12")), net.host("rogue", 66)
    at = arp(scene.trace, scene.boot(device, scene.start), device, rogue)
    scene.net = replace(net, server=rogue)
    at = scene.provisioned(device, at, name_lookup=False)
    scene.net = net
    _quiet(scene, device, at, at + 2 * MINUTE)
    scene.ends_at(device, "tls", None, suffix=net.suffix)
    scene.must_find("server-not-from-dns", device)


def round_robin(scene: Scene) -> None:
    """DNS names two servers, and the device goes to the second of them."""
    net, trace = scene.net, scene.trace
    device, second = net.device(pid=checked_pid("0000Q13")), net.host("sca-two", 11)
    at = scene.look_up_in_vain(device, scene.join(device, scene.start), _BARE)
    question = Question.new(trace, net, device, f"{_BARE}.{net.suffix}")
    question.ask(trace, at)
    at += trace.jitter(100, 900) * MICROSECOND
    question.answer(trace, at, net.server.ip, 0, more=(second.ip,))
    scene.net = replace(net, server=second)
    at = scene.provisioned(device, arp(trace, at + MILLISECOND, device, second), name_lookup=False)
    _quiet(scene, device, at, at + 2 * MINUTE)
    scene.ends_at(device, "tls", None, suffix=net.suffix)
