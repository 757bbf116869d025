"""Scenarios of series of Hellos, of identities that are not what they seem, and of modes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from amtdiag.simulator.hosts import DEVICE_PORT, AmtHost, Host, checked_pid
from amtdiag.simulator.rmcp import Pong
from scenarios.conversation import Conversation
from scenarios.datagrams import arp, dns, ping, terms
from scenarios.packets import MILLISECOND, MINUTE, SECOND
from scenarios.scene import BETWEEN_TRIES, TRIES, Scene

_MINUTES = (0, 1, 2, 3, 4, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50)
"""When a device says its 15 numbered Hellos, as one vendor documents the beginning of the schedule."""


def _to_the_last(scene: Scene, device: AmtHost) -> int:
    """All 15 Hellos, each after a new lookup; nobody follows them up. Return the time after the last."""
    at = closed = scene.join(device, scene.start)
    for retry, minute in enumerate(_MINUTES):
        found = scene.look_up(device, at + minute * MINUTE + scene.trace.jitter(0, 900) * MILLISECOND)
        closed = scene.hello(device, found, retry)
    return closed


def gave_up(scene: Scene) -> None:
    """After retry 14 the device neither asks nor speaks, for half an hour."""
    device = scene.net.device(pid=checked_pid("0000Q02"))
    last = _to_the_last(scene, device)
    scene.chatter(last + 20 * SECOND, last + 30 * MINUTE, (device, scene.net.router), every=2 * MINUTE)
    scene.ends_at(device, "hello", suffix=scene.net.suffix)
    scene.must_find("device-gave-up", device, catalogue="F34")
    scene.may_find("no-connect-back")


def gave_up_too_soon(scene: Scene) -> None:
    """After retry 14 the capture goes on for half a minute: the next Hello could yet come."""
    device = scene.net.device(pid=checked_pid("0000Q03"))
    last = _to_the_last(scene, device)
    arp(scene.trace, last + 30 * SECOND, scene.net.server, device)
    scene.ends_at(device, "hello", suffix=scene.net.suffix)
    scene.may_find("no-connect-back")


def _says_for(scene: Scene, device: AmtHost, hours: int) -> int:
    """A Hello every half hour; nobody follows them up. Return the time after the last."""
    at = closed = scene.boot(device, scene.start)
    for retry in range(2 * hours + 1):
        closed = scene.hello(
            device, at + retry * 30 * MINUTE + scene.trace.jitter(0, 900) * MILLISECOND, retry
        )
    return closed


def window_closed(scene: Scene) -> None:
    """Six hours long the device says Hello, then for an hour and a half nothing."""
    device = scene.net.device(pid=checked_pid("0000Q09"))
    last = _says_for(scene, device, 6)
    scene.chatter(scene.start + MINUTE, last + 100 * MINUTE, (device, scene.net.router), every=10 * MINUTE)
    scene.ends_at(device, "hello", suffix=scene.net.suffix)
    scene.must_find("window-closed", device, catalogue="F35")
    scene.may_find("no-connect-back")


def window_not_yet_closed(scene: Scene) -> None:
    """Two hours of Hellos and as much silence: no window is known to be as short as that."""
    device = scene.net.device(pid=checked_pid("0000Q10"))
    last = _says_for(scene, device, 2)
    scene.chatter(scene.start + MINUTE, last + 130 * MINUTE, (device, scene.net.router), every=10 * MINUTE)
    scene.ends_at(device, "hello", suffix=scene.net.suffix)
    scene.may_find("no-connect-back")


def starts_over(scene: Scene) -> None:
    """Five times in nine minutes the device boots and says its first Hello."""
    device = scene.net.device(pid=checked_pid("0000Q04"))
    last = scene.start
    for time in range(5):
        begun = scene.start + time * 2 * MINUTE + scene.trace.jitter(0, 20) * SECOND
        last = scene.hello(device, scene.boot(device, begun))
    scene.chatter(scene.start + 30 * SECOND, last + 2 * MINUTE, (scene.net.router,))
    scene.ends_at(device, "hello", suffix=scene.net.suffix)
    scene.must_find("starts-over", device, catalogue="F37")
    scene.may_find("no-connect-back")


def connect_back_elsewhere(scene: Scene) -> None:
    """The reverse zone still has the name of another machine, and the server goes by names."""
    net, trace = scene.net, scene.trace
    device, other = net.device(), net.host("other", 77)
    closed = scene.hello(device, scene.boot(device, scene.start))
    name = f"pc-old.{net.suffix}"
    at = dns(
        trace, closed + MILLISECOND, net, net.server, ip_address(device.ip).reverse_pointer, address=name
    )
    at = dns(trace, at, net, net.server, name, address=other.ip)
    at = arp(trace, at, net.server, other)
    for _ in range(TRIES):
        Conversation(trace, net.server, other, DEVICE_PORT, at).refused()
        at += BETWEEN_TRIES
    scene.chatter(at + 5 * SECOND, at + 4 * MINUTE, (device, net.router))
    scene.ends_at(device, "hello", suffix=net.suffix)
    scene.must_find("connect-back-elsewhere", device, catalogue="F12")
    scene.may_find("no-connect-back")


def address_changed(scene: Scene) -> None:
    """Two seconds after the Hello the device leases another address; the server calls the old one."""
    net = scene.net
    device = net.device()
    closed = scene.hello(device, scene.boot(device, scene.start))
    moved = replace(device, ip=net.host("", 150).ip)
    scene.join(moved, closed + 2 * SECOND, terms(net, moved))
    back = closed + 6 * SECOND
    for _ in range(2):
        talk = scene.back(device, back)
        talk.unanswered(3)
        back = talk.now + SECOND
    scene.chatter(closed + 40 * SECOND, closed + 4 * MINUTE, (moved, net.router))
    scene.ends_at(device, "connect_back", suffix=net.suffix)
    scene.must_find("address-changed", device, catalogue="F40")
    scene.may_find("connect-back-unanswered")


def cloned_uuid(scene: Scene) -> None:
    """Two boards that were flashed from one image; their Hellos take turns."""
    net = scene.net
    first = net.device(50)
    second = net.device(51, uuid=first.uuid)
    ready = last = scene.boot(first, scene.start)
    scene.boot(second, scene.start + 5 * SECOND)
    for retry in range(3):
        for device, late in ((first, 0), (second, 25 * SECOND)):
            at = ready + retry * MINUTE + late + 6 * SECOND + scene.trace.jitter(0, 900) * MILLISECOND
            last = scene.hello(device, at, retry)
    scene.chatter(ready + 15 * SECOND, last + 3 * MINUTE, (first, second, net.router))
    scene.ends_at(first, "hello", macs=sorted([first.mac, second.mac]))
    scene.must_find("cloned-uuid", first, "error", catalogue="F38")
    # No machine was restarted: two of them count.
    scene.may_find("no-connect-back")


def nat(scene: Scene) -> None:
    """Behind an address translator: two devices, one address, and no way back in."""
    net = scene.net
    outside = net.host("nat", 40)
    first, second = (replace(net.device(last), ip=outside.ip, mac=outside.mac) for last in (50, 51))
    at = arp(scene.trace, scene.start, outside, net.server)
    for retry in range(2):
        begun = at + retry * MINUTE
        closed = scene.hello(first, begun, retry)
        scene.hello(second, closed + 8 * SECOND, retry)
        scene.back_refused(first, closed)
    scene.chatter(at + 20 * SECOND, at + 4 * MINUTE, (outside, net.router))
    for device in (first, second):
        scene.ends_at(device, None)
        scene.must_find("shared-address", device, catalogue="F39")
    scene.must_find("connect-back-refused")
    # Connections do come to the address that both have: nobody can say that for one of them nothing came.


def routed_five(scene: Scene) -> None:
    """Five devices of another segment: all their frames have the router's MAC here."""
    net = scene.net
    at = scene.start
    for last in range(131, 136):
        device = replace(net.device(last), mac=net.router.mac)
        at = scene.provisioned(device, arp(scene.trace, at, net.router, net.server)) + 40 * SECOND
        scene.ends_at(device, "tls", None, macs=[])
    scene.chatter(scene.start + 10 * SECOND, at + 2 * MINUTE, (net.router,))


def pid_reused(scene: Scene) -> None:
    """Somebody typed one PID and PPS into two machines; both are provisioned with it."""
    at = scene.start
    for last in (50, 51):
        device = scene.net.device(last, pid=checked_pid("0000Q05"))
        at = scene.provisioned(device, scene.boot(device, at)) + MINUTE
        scene.ends_at(device, "tls", None, suffix=scene.net.suffix)
    scene.chatter(at, at + 2 * MINUTE, (scene.net.router,))
    scene.must_find("pid-reused")


def _asked(scene: Scene, device: Host, at: int, tag: int, pong: Pong | None) -> int:
    """An administrator's tool pings a machine."""
    admin = scene.net.host("admin", 20)
    return ping(scene.trace, arp(scene.trace, at, admin, device), admin, device, tag=tag, pong=pong)


def rmcp_modes(scene: Scene) -> None:
    """One that is not configured, one in setup, one in operation, and one machine without AMT."""
    net = scene.net
    at = scene.start
    for last, mode, pong in (
        (50, "factory", Pong(0, (16, 1))),
        (51, "setup", Pong(1, (9, 5))),
        (52, "operational", Pong(2, (11, 8), 16993)),
    ):
        device = net.device(last)
        at = _asked(scene, device, at, last, pong) + 2 * SECOND
        version = f"AMT {pong.version[0]}.{pong.version[1]}"
        scene.ends_at(device, None, mode, by_address=True, weight="decisive", firmware=version)
    _asked(scene, net.host("printer", 53), at, 53, None)


def rmcp_sweep(scene: Scene) -> None:
    """20 addresses in a row are pinged; one has a device, some have other machines, most have nobody."""
    net = scene.net
    scanner, at = net.host("scanner", 30), scene.start
    device = net.device(107)
    for last in range(100, 120):
        target = device if last == 107 else net.host("", last)
        pong = Pong(2, (11, 8), 16993) if last == 107 else None
        # Neighbours are known already: ARP for the device alone is in the capture.
        begin = arp(scene.trace, at, scanner, device) if last == 107 else at
        at = ping(scene.trace, begin, scanner, target, tag=last, pong=pong) + 10 * MILLISECOND
    scene.ends_at(device, None, "operational", by_address=True, weight="decisive", firmware="AMT 11.8")
    scene.must_find("rmcp-sweep")


def operational_then_hello(scene: Scene) -> None:
    """At first the device says that it is configured; five minutes later it looks for a server again."""
    net = scene.net
    device = net.device()
    at = _asked(scene, device, scene.start, 9, Pong(2, (11, 8), 16993))
    at = scene.provisioned(device, scene.boot(device, at + 5 * MINUTE))
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, net.router))
    scene.ends_at(device, "tls", None, suffix=net.suffix, firmware="AMT 11.8")
    scene.must_find("hello-after-operational", device, catalogue="F55")


def modes_disagree(scene: Scene) -> None:
    """Behind a translator two machines answer from one address: in setup, in operation, in setup."""
    net = scene.net
    device, admin = replace(net.device(), mac=net.router.mac), net.host("admin", 20)
    at = arp(scene.trace, scene.start, admin, net.router)
    for tag, pong in enumerate((Pong(1, (11, 8)), Pong(2, (11, 8), 16993), Pong(1, (11, 8)))):
        at = ping(scene.trace, at, admin, device, tag=tag, pong=pong) + 2 * MINUTE
    scene.chatter(at, at + 2 * MINUTE, (net.router,))
    scene.ends_at(device, None, "setup", by_address=True, weight="decisive", firmware="AMT 11.8")
    scene.must_find("modes-disagree", device, by_address=True)


def setup_then_operational(scene: Scene) -> None:
    """As it should be: in setup before the Hello, in operation after the connection back."""
    device = scene.net.device(pid=checked_pid("0000Q11"))
    at = _asked(scene, device, scene.start, 1, Pong(1, (9, 5)))
    at = scene.provisioned(device, scene.boot(device, at + MINUTE))
    at = _asked(scene, device, at + 2 * MINUTE, 2, Pong(2, (9, 5), 16993))
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, scene.net.router))
    scene.ends_at(
        device, "operational", "operational", suffix=scene.net.suffix, weight="decisive", firmware="AMT 9.5"
    )


def not_looking(scene: Scene) -> None:
    """The device says that it is in factory mode, and for four minutes it asks for no server."""
    device = scene.net.device()
    at = _asked(scene, device, scene.join(device, scene.start) + 10 * SECOND, 3, Pong(0, (16, 1)))
    scene.chatter(at + 5 * SECOND, at + 4 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, None, "factory", by_address=True, weight="decisive", firmware="AMT 16.1")
    scene.must_not_know("why the device does not look for its server")
    scene.must_find_nothing()
