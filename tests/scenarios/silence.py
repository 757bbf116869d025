"""Scenarios that end at the server: it is not reached, or it does not call back."""

from __future__ import annotations

from amtdiag.simulator.hosts import SAMPLE_PID, AmtHost
from scenarios.datagrams import arp
from scenarios.packets import MILLISECOND, MINUTE, SECOND
from scenarios.scene import Scene

_WATCHED = 12 * MINUTE
"""How long the captures of these scenarios go on."""


def server_refuses(scene: Scene) -> None:
    """Four tries, each refused at once."""
    device = scene.net.device()
    at = scene.boot(device, scene.start)
    for pause in (0, 1, 2, 7):
        talk = scene.to_server(device, scene.look_up(device, at + pause * MINUTE))
        talk.refused()
    scene.chatter(at + 20 * SECOND, at + 8 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "connection", None)
    scene.must_find("server-refuses-hello", device, "error", catalogue="F07", by_address=True)


def server_silent(scene: Scene) -> None:
    """SYNs with growing pauses; the server's other packets show that its answer would be here."""
    device = scene.net.device()
    at = scene.boot(device, scene.start)
    for pause in (0, 1, 2):
        scene.to_server(device, at + pause * MINUTE).unanswered()
    scene.chatter(at + 10 * SECOND, at + 4 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "connection", None)
    scene.must_find("server-silent", device, "error", catalogue="F08", by_address=True)


def no_connect_back(scene: Scene) -> None:
    """Three good Hellos and ten quiet minutes."""
    _never_called(scene, scene.net.device(), "F10")


def psk_no_connect_back(scene: Scene) -> None:
    """The same with a PID: the server has no key for it."""
    _never_called(scene, scene.net.device(pid=SAMPLE_PID), "F13")


def bad_pid(scene: Scene) -> None:
    """A PID that no MEBx would have let in: its last character does not check the others."""
    device = scene.net.device(pid="0000037N")
    _never_called(scene, device, "F13")
    scene.must_find("pid-check-failed", device)


def _never_called(scene: Scene, device: AmtHost, catalogue: str) -> None:
    at = scene.boot(device, scene.start)
    scene.never_called(device, at)
    scene.chatter(at + 15 * SECOND, at + _WATCHED, (device, scene.net.router))
    scene.ends_at(device, "hello")
    scene.must_find("no-connect-back", device, "error", catalogue=catalogue)


def capture_ends_too_soon(scene: Scene) -> None:
    """A good Hello, and a capture that stops before any server could have called back."""
    device = scene.net.device()
    closed = scene.hello(device, scene.boot(device, scene.start))
    arp(scene.trace, closed + 45 * MILLISECOND, scene.net.router, scene.net.server)
    scene.ends_at(device, "hello")


def one_way_capture(scene: Scene) -> None:
    """Three Hellos, the device's half of them only: nothing that is missing means anything."""
    device = scene.net.device()
    at = scene.boot(device, scene.start)
    scene.never_called(device, at)
    scene.look_up(device, at + 6 * MINUTE)
    scene.trace.keep(lambda frame: frame.src is device)
    scene.ends_at(device, "hello")
