"""Scenarios of several devices of which one goes its own way, and of those who only look around."""

from __future__ import annotations

from dataclasses import replace

from amtdiag.simulator.hosts import HELLO_PORT, AmtHost, Host, checked_pid
from scenarios.conversation import Conversation
from scenarios.datagrams import arp
from scenarios.packets import MILLISECOND, MINUTE, SECOND
from scenarios.scene import Scene


def _device(scene: Scene, last: int, *, psk: bool) -> AmtHost:
    return scene.net.device(last, pid=checked_pid(f"00{scene.net.number}M{last}") if psk else None)


def _static(scene: Scene, device: AmtHost, at: int, server: Host) -> int:
    """The device has this server's address from its MEBx, and is provisioned."""
    site = scene.net
    scene.net = replace(site, server=server)
    at = scene.provisioned(device, arp(scene.trace, at, device, server), name_lookup=False)
    scene.net = site
    return at


def unexpected_server(scene: Scene) -> None:
    """Four devices go where DNS sends them; the fifth asks nobody and goes to a machine of its own."""
    at = scene.start
    rogue = scene.net.host("rogue", 66)
    devices = [_device(scene, last, psk=True) for last in range(50, 55)]
    for device in devices[:4]:
        at = scene.provisioned(device, scene.boot(device, at), name_lookup=False) + 20 * SECOND
    at = _static(scene, devices[4], scene.join(devices[4], at), rogue)
    _stays(scene, at, *devices)
    scene.must_find("unexpected-server", devices[4])


def two_servers(scene: Scene) -> None:
    """Two servers, three devices for each: neither is the odd one."""
    at = scene.start
    second = scene.net.host("sca-two", 11)
    devices = [_device(scene, last, psk=True) for last in range(50, 56)]
    for place, device in enumerate(devices):
        joined = scene.join(device, at)
        at = _static(scene, device, joined, second if place % 2 else scene.net.server) + 20 * SECOND
    _stays(scene, at, *devices)


def psk_among_pki(scene: Scene) -> None:
    """The server provisions by certificate; somebody has entered PID and PPS into one machine."""
    _odd_one(scene, psk=True)


def pki_among_psk(scene: Scene) -> None:
    """The server provisions by pre-shared key; one machine has none."""
    _odd_one(scene, psk=False)


def psk_and_pki(scene: Scene) -> None:
    """The server serves both types; of one PID alone it knows nothing."""
    served = [_device(scene, last, psk=last == 51) for last in (50, 51)]
    ignored = _device(scene, 52, psk=True)
    _served_and_ignored(scene, served, ignored)


def _odd_one(scene: Scene, *, psk: bool) -> None:
    served = [_device(scene, last, psk=not psk) for last in (50, 51)]
    odd = _device(scene, 52, psk=psk)
    _served_and_ignored(scene, served, odd)
    rule, row = ("psk-among-pki", "F17") if psk else ("pki-among-psk", "F16")
    scene.must_find(rule, odd, catalogue=row)


def _served_and_ignored(scene: Scene, served: list[AmtHost], ignored: AmtHost) -> None:
    at = scene.start
    for device in served:
        at = scene.provisioned(device, scene.boot(device, at), name_lookup=False) + 20 * SECOND
    at = scene.never_called(ignored, scene.boot(ignored, at))
    _stays(scene, at, *served)
    scene.ends_at(ignored, "hello", suffix=scene.net.suffix)
    row = "F10" if ignored.pid is None else "F13"
    scene.must_find("no-connect-back", ignored, "error", catalogue=row)


def _stays(scene: Scene, at: int, *provisioned: AmtHost) -> None:
    """The site goes on with its life; these devices are provisioned."""
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (*provisioned, scene.net.router))
    for device in provisioned:
        scene.ends_at(device, "tls", None, suffix=scene.net.suffix)


def port_sweep(scene: Scene) -> None:
    """The Hello port of 20 addresses is tried: the server takes it, two refuse, the others are nobody's."""
    net, trace = scene.net, scene.trace
    scanner, at = net.host("scanner", 30), scene.start
    there = {net.server.ip: net.server, net.router.ip: net.router, net.host("", 5).ip: net.host("printer", 5)}
    for last in range(1, 21):
        target = there.get(net.host("", last).ip)
        if target is None:
            for _ in range(3):
                arp(trace, at, scanner, net.host("", last), answered=False)
                at += SECOND
            continue
        talk = Conversation(trace, scanner, target, HELLO_PORT, arp(trace, at, scanner, target))
        if target is net.server:
            talk.open()
            talk.abort(talk.client)
        else:
            talk.refused()
        at += 20 * MILLISECOND
    scene.chatter(at, at + MINUTE, (net.router,))
    scene.must_find("port-sweep")


def no_amt(scene: Scene) -> None:
    """An office in the morning: leases, names and neighbours, and nobody has AMT."""
    net, at = scene.net, scene.start
    machines = [replace(net.device(last), name=f"PC-{last}") for last in (50, 51, 52)]
    for machine in machines:
        at = scene.join(machine, at)
        for name in ("intranet", "mail"):
            at = scene.find(machine, at + 4 * SECOND, f"{name}.{net.suffix}")
        at += 30 * SECOND
    scene.chatter(at, at + 4 * MINUTE, (*machines, net.router))
    scene.must_not_know("why no device says Hello here")
    scene.must_find_nothing()
    scene.verdict = "No AMT device was seen"
