"""Scenarios in which the server calls the device back."""

from __future__ import annotations

from dataclasses import replace

from amtdiag.simulator.hosts import SAMPLE_PID, AmtHost
from amtdiag.simulator.roots import MODERN, OLD, PLANTED, ZERO, ListedRoot
from scenarios import tls
from scenarios.datagrams import arp
from scenarios.packets import MINUTE, SECOND
from scenarios.scene import BETWEEN_TRIES, Scene


def _succeeds(scene: Scene, device: AmtHost, *, by_address: bool = False) -> None:
    """The device boots, is called back, talks, and nothing is wrong on the way."""
    at = scene.provisioned(device, scene.boot(device, scene.start))
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "tls", None, by_address=by_address)


def pki_connects(scene: Scene) -> None:
    """All goes well, with certificates."""
    device = scene.net.device()
    _succeeds(scene, device)
    # Of the two expired roots in the list Baltimore is one: every real device of the time has it.
    scene.must_find("expired-root", device)


def psk_hello(scene: Scene) -> None:
    """All goes well, with a pre-shared key."""
    _succeeds(scene, scene.net.device(pid=SAMPLE_PID))


def planted_root(scene: Scene) -> None:
    """23 roots that are known and one that is not."""
    device = scene.net.device(roots=(*MODERN[:23], PLANTED))
    _succeeds(scene, device)
    scene.must_find("unknown-digest", device)


def _changes_its_list(scene: Scene, before: tuple[ListedRoot, ...], after: tuple[ListedRoot, ...]) -> AmtHost:
    """Provisioned, minutes later it says Hello again with another list, and is provisioned again."""
    device = scene.net.device(roots=before)
    at = scene.provisioned(device, scene.boot(device, scene.start))
    device = replace(device, roots=after)
    at = scene.provisioned(device, scene.boot(device, at + 4 * MINUTE))
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "tls", None)
    return device


def root_vanishes(scene: Scene) -> None:
    """A full unprovision has erased the root that the site had added."""
    device = _changes_its_list(scene, (*MODERN[:23], PLANTED), MODERN[:23])
    scene.must_find("digest-vanished", device, catalogue="F31")


def root_appears(scene: Scene) -> None:
    """Somebody adds a root that no catalogue names, while the capture runs."""
    device = _changes_its_list(scene, MODERN[:23], (*MODERN[:23], PLANTED))
    scene.must_find("digest-added", device)
    scene.must_find("unknown-digest", device)


def built_in_root_replaced(scene: Scene) -> None:
    """A firmware update brings another list of built-in roots: nobody added or erased any."""
    _changes_its_list(scene, MODERN[:20], MODERN)


def zero_digest(scene: Scene) -> None:
    """23 roots that are known and an entry of zeros."""
    device = scene.net.device(roots=(*MODERN[:23], ZERO))
    _succeeds(scene, device)
    scene.must_find("zero-digest", device)


def undocumented_version(scene: Scene) -> None:
    """A Hello of version 4, of which only the header can be read; the server knows how to go on."""
    device = replace(scene.net.device(), own_version=4)
    _succeeds(scene, device)
    scene.must_find("undocumented-version", device)


def dell_uuid(scene: Scene) -> None:
    """The UUID that Dell gives a board: DELL, and the service tag among its other bytes (here SAMPLE7)."""
    device = scene.net.device(uuid="4c4c4544-0053-4110-804d-d0c04f4c4537")
    at = scene.provisioned(device, scene.boot(device, scene.start))
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "tls", None, hints=["Dell", "SAMPLE7"])


def admin_flag_unset(scene: Scene) -> None:
    """The flag in the Hello says that the password is still the vendor's."""
    device = scene.net.device(admin_credentials=0)
    _succeeds(scene, device)
    scene.must_find("admin-credentials-unset", device)


def junk_uuid(scene: Scene) -> None:
    """The UUID that a board maker forgot to set, and that thousands of boards share."""
    device = scene.net.device(uuid="03000200-0400-0500-0006-000700080009")
    _succeeds(scene, device, by_address=True)
    scene.must_find("junk-uuid", device, by_address=True)


def old_firmware(scene: Scene) -> None:
    """A list of SHA-1 digests; the capture stops while the server connects."""
    device = scene.net.device(roots=OLD, digest="sha1")
    talk = scene.back(device, scene.soon(scene.hello(device, scene.boot(device, scene.start))))
    talk.open()
    talk.send(talk.client, tls.client_hello())
    scene.ends_at(device, "connect_back")
    scene.must_find("weak-root", device)
    scene.must_find("expired-root", device)


def connect_back_refused(scene: Scene) -> None:
    """Five tries after each of two Hellos, all reset."""
    device = scene.net.device()
    at = scene.boot(device, scene.start)
    for retry in range(2):
        closed = scene.hello(device, at + retry * MINUTE, retry)
        scene.back_refused(device, closed)
    scene.chatter(at + 20 * SECOND, at + 5 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "connect_back")
    scene.must_find("connect-back-refused", device, "error", catalogue="F11")


def connect_back_unanswered(scene: Scene) -> None:
    """SYNs into the void after each of two Hellos, though the device's ARP is seen."""
    device = scene.net.device()
    at = scene.boot(device, scene.start)
    for retry in range(2):
        closed = scene.hello(device, at + retry * MINUTE, retry)
        scene.back_unanswered(device, closed)
    scene.chatter(at + 20 * SECOND, at + 5 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "connect_back")
    scene.must_find("connect-back-unanswered", device, "error", catalogue="F11")


def connect_back_overcome(scene: Scene) -> None:
    """Two tries refused, the third goes through: the port was late, and no harm was done."""
    device = scene.net.device()
    closed = scene.hello(device, scene.boot(device, scene.start))
    at = scene.back_refused(device, closed, tries=2)
    at = scene.back_tls(device, at, tls.session(scene.net.suffix, device.ip), soon=False)
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "tls", None)
    scene.may_find("connect-back-refused", severity="warning")


def _behind_router(scene: Scene) -> AmtHost:
    """A device whose frames come from the router here."""
    return replace(scene.net.device(), mac=scene.net.router.mac)


def connect_back_rejected(scene: Scene) -> None:
    """The router lets Hellos pass and forbids what comes back: ICMP for each of five tries, twice."""
    device, router = _behind_router(scene), scene.net.router
    at = arp(scene.trace, scene.start, router, scene.net.server)
    for retry in range(2):
        closed = scene.hello(device, at + retry * MINUTE, retry)
        scene.back_rejected(device, closed, router)
    scene.chatter(at + 20 * SECOND, at + 5 * MINUTE, (router,))
    scene.ends_at(device, "connect_back")
    scene.must_find("connect-back-rejected", device, "error", catalogue="F11")


def connect_back_let_through(scene: Scene) -> None:
    """The same until somebody mends the router's rules: the third try gets through."""
    device, router = _behind_router(scene), scene.net.router
    at = arp(scene.trace, scene.start, router, scene.net.server)
    at = scene.back_rejected(device, scene.hello(device, at), router, tries=2)
    at = scene.back_tls(device, at, tls.session(scene.net.suffix, device.ip), soon=False)
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (router,))
    scene.ends_at(device, "tls", None)
    scene.may_find("connect-back-rejected", severity="warning")


def tls_cut_by_device(scene: Scene) -> None:
    """The device shows its certificate, sees the server's, says alert 48 and goes; twice."""
    device = scene.net.device()
    at = scene.soon(scene.hello(device, scene.boot(device, scene.start)))
    for _ in range(2):
        flights = tls.session(scene.net.suffix, device.ip, root_accepted=False)
        at = scene.back_tls(device, at, flights, soon=False) + BETWEEN_TRIES
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "tls")
    scene.must_find("chain-root-not-listed", device, "error", catalogue="F19")
