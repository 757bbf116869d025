"""Scenarios of DHCP servers that refuse, and of more than one of them."""

from __future__ import annotations

from dataclasses import replace

from amtdiag.simulator.hosts import AmtHost, checked_pid
from amtdiag.simulator.rmcp import Pong
from scenarios.datagrams import Terms, arp, lease_in_vain, lease_refused, ping, terms
from scenarios.packets import MINUTE, SECOND
from scenarios.scene import Scene


def refused(scene: Scene) -> None:
    """The scope was moved: the address that the device has is refused, and no other is offered.

    That it is an AMT device is what its pong says, while it still has its address.
    """
    net, trace = scene.net, scene.trace
    device, admin = net.device(), net.host("admin", 20)
    asked = arp(trace, scene.start, admin, device)
    at = ping(trace, asked, admin, device, tag=5, pong=Pong(1, (9, 5))) + MINUTE
    for minute in (0, 1, 3):
        lease_in_vain(trace, lease_refused(trace, at + minute * MINUTE, net, device), device)
    scene.chatter(at + 10 * SECOND, at + 5 * MINUTE, (net.router,))
    scene.ends_at(device, "discovery", by_address=True, weight="decisive", firmware="AMT 9.5")
    scene.must_find("lease-refused", device, "error", by_address=True)


def refused_then_given(scene: Scene) -> None:
    """A machine from another site asks for the address that it had there, and then for any."""
    net = scene.net
    device = net.device(pid=checked_pid("0000Q06"))
    away = replace(device, ip="10.120.7.50")
    _goes_well(scene, device, lease_refused(scene.trace, scene.start, net, away))
    scene.may_find("lease-refused", device=device, severity="warning")


def another_server(scene: Scene) -> None:
    """A second DHCP server offers an address too, and names the same domain."""
    device = scene.net.device(pid=checked_pid("0000Q07"))
    rival = replace(terms(scene.net, device), server=scene.net.host("standby", 2), address=_other(scene))
    _goes_well(scene, device, scene.start, rival)
    scene.must_find("another-dhcp-server", device)


def one_server_twice(scene: Scene) -> None:
    """Two relays pass the question on: one server offers twice, by two routes."""
    net = scene.net
    device = net.device(pid=checked_pid("0000Q08"))
    relay = replace(net.router, mac=net.host("relay", 2).mac)
    _goes_well(scene, device, scene.start, replace(terms(net, device), server=relay))


def _other(scene: Scene) -> str:
    return scene.net.host("", 166).ip


def _goes_well(scene: Scene, device: AmtHost, at: int, rival: Terms | None = None) -> None:
    """The device leases an address and is provisioned."""
    at = scene.provisioned(device, scene.look_up(device, scene.join(device, at, rival=rival)))
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "tls", None, suffix=scene.net.suffix)
