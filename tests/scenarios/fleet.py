"""A morning in which 25 devices are unpacked, and what became of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from amtdiag.simulator.hosts import SAMPLE_PPS, AmtHost, Host, checked_pid
from amtdiag.simulator.roots import MODERN, PLANTED
from scenarios import psk, tls
from scenarios.datagrams import arp
from scenarios.packets import MINUTE, SECOND
from scenarios.scene import BETWEEN_TRIES, Scene

_MORNING = 120 * MINUTE
_SCHEDULE = (0, 1, 2, 3, 4, 5, 10, 15, 20, 25)
"""Minutes after the first Hello at which a device says the next ones, as one vendor documents it."""

Steps = Callable[[Scene, AmtHost, int], None]


@dataclass(frozen=True, slots=True)
class _Group:
    """Devices with one fate. `steps` add the packets; the rest is the truth about them."""

    count: int
    steps: Steps
    stage: str
    rule: str | None = None
    catalogue: str | None = None
    psk: bool = False
    planted: bool = False
    admin_credentials: int = 1


def _at_once(scene: Scene, device: AmtHost, at: int) -> None:
    scene.provisioned(device, at, name_lookup=False)


def _at_the_third(scene: Scene, device: AmtHost, at: int) -> None:
    """Refused twice, then someone opens the port."""
    for retry in range(2):
        scene.back_refused(device, scene.hello(device, at + retry * MINUTE, retry))
    scene.provisioned(device, at + 2 * MINUTE, 2, name_lookup=False)


def _refused(scene: Scene, device: AmtHost, at: int) -> None:
    for retry, minute in enumerate(_SCHEDULE[:4]):
        scene.back_refused(device, scene.hello(device, at + minute * MINUTE, retry))


def _unanswered(scene: Scene, device: AmtHost, at: int) -> None:
    for retry, minute in enumerate(_SCHEDULE[:5]):
        scene.back_unanswered(device, scene.hello(device, at + minute * MINUTE, retry))


def _ignored(scene: Scene, device: AmtHost, at: int) -> None:
    for retry, minute in enumerate(_SCHEDULE):
        scene.hello(device, at + minute * MINUTE, retry)


def _chain_rejected(scene: Scene, device: AmtHost, at: int) -> None:
    for retry, minute in enumerate(_SCHEDULE[:3]):
        closed = scene.hello(device, at + minute * MINUTE, retry)
        scene.back_tls(device, closed, tls.session(scene.net.suffix, device.ip, root_accepted=False))


def _key_rejected(scene: Scene, device: AmtHost, at: int) -> None:
    for retry, minute in enumerate(_SCHEDULE[:3]):
        closed = scene.hello(device, at + minute * MINUTE, retry)
        flights = psk.session(
            scene.trace.rng, device.pid or "", SAMPLE_PPS, host=device.ip, key_matches=False
        )
        back = scene.back_tls(device, closed, flights)
        scene.back_tls(device, back + BETWEEN_TRIES, flights, soon=False)


def _other_server(scene: Scene, last: int) -> Host:
    """An address from an old server list in MEBx: these devices ask no DNS."""
    return scene.net.host("old-sca", last)


def _retired_server(scene: Scene, device: AmtHost, at: int) -> None:
    old = _other_server(scene, 11)
    for minute in _SCHEDULE[:7]:
        begin = arp(scene.trace, at + minute * MINUTE, device, old)
        scene.to_server(device, begin, old).refused()


def _walled_server(scene: Scene, device: AmtHost, at: int) -> None:
    old = _other_server(scene, 12)
    for minute in _SCHEDULE[:6]:
        begin = arp(scene.trace, at + minute * MINUTE, device, old)
        scene.to_server(device, begin, old).unanswered()
    arp(scene.trace, at + 8 * MINUTE, old, scene.net.router)


_GROUPS = (
    _Group(6, _at_once, "tls"),
    _Group(1, _at_once, "tls", planted=True),
    _Group(1, _at_once, "tls", admin_credentials=0),
    _Group(2, _at_once, "tls", psk=True),
    _Group(1, _at_the_third, "tls"),
    _Group(4, _refused, "connect_back", "connect-back-refused", "F11"),
    _Group(1, _unanswered, "connect_back", "connect-back-unanswered", "F11"),
    _Group(3, _ignored, "hello", "no-connect-back", "F10"),
    _Group(1, _ignored, "hello", "no-connect-back", "F13", psk=True),
    _Group(2, _chain_rejected, "tls", "chain-root-not-listed", "F19"),
    _Group(1, _key_rejected, "tls", "psk-differs", "F14", psk=True),
    _Group(1, _retired_server, "connection", "server-refuses-hello", "F07"),
    _Group(1, _walled_server, "connection", "server-silent", "F08"),
)
_STATIC = (_retired_server, _walled_server)


def fleet(scene: Scene) -> None:
    """All groups, their devices unpacked in no order."""
    cast = [group for group in _GROUPS for _ in range(group.count)]
    scene.trace.rng.shuffle(cast)
    latest = _MORNING - 40 * MINUTE  # the last to start still has time for all its retries
    devices = []
    for place, group in enumerate(cast):
        device = scene.net.device(
            50 + place,
            pid=checked_pid(f"0000F{place:02}") if group.psk else None,
            roots=(*MODERN[:23], PLANTED) if group.planted else MODERN,
            admin_credentials=group.admin_credentials,
        )
        devices.append(device)
        at = scene.start + place * latest // len(cast) + scene.trace.jitter(0, 90) * SECOND
        static = group.steps in _STATIC
        group.steps(scene, device, at if static else scene.boot(device, at))
        _truth(scene, device, group)
    scene.chatter(
        scene.start + 30 * SECOND, scene.start + _MORNING, (scene.net.router, *devices), every=2 * MINUTE
    )


def _truth(scene: Scene, device: AmtHost, group: _Group) -> None:
    before = group.stage == "connection"
    scene.ends_at(device, group.stage, None if before or group.rule is None else "setup")
    if group.rule:
        scene.must_find(group.rule, device, "error", catalogue=group.catalogue, by_address=before)
    if group.planted:
        scene.must_find("unknown-digest", device)
    if not group.admin_credentials:
        scene.must_find("admin-credentials-unset", device)
    if group.steps is _at_the_third:
        # A device that was helped in the end may be said to have had trouble, but not to be in it.
        scene.may_find("connect-back-refused", device, "warning")
