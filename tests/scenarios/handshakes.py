"""Scenarios in which the server reaches the device and TLS is where it ends."""

from __future__ import annotations

import hashlib
from functools import cache

from amtdiag.simulator import chains
from amtdiag.simulator.certificates import authority
from amtdiag.simulator.chains import Chain
from amtdiag.simulator.hosts import SAMPLE_PID, SAMPLE_PPS, AmtHost
from amtdiag.simulator.roots import MODERN, ListedRoot
from scenarios import psk, tls
from scenarios.packets import MINUTE, SECOND
from scenarios.scene import BETWEEN_TRIES, Scene
from scenarios.tls import Flight

BAD_CERTIFICATE, UNSUPPORTED, EXPIRED, UNKNOWN, UNKNOWN_CA = 42, 43, 45, 46, 48


@cache
def own_root() -> ListedRoot:
    """The samples' CA, as a site adds it to its devices."""
    der = authority().der
    return ListedRoot(
        "own", hashlib.sha1(der, usedforsecurity=False).hexdigest(), hashlib.sha256(der).hexdigest()
    )


def with_own_root(scene: Scene) -> AmtHost:
    """A device that lists the samples' root."""
    return scene.net.device(roots=(*MODERN[:23], own_root()))


def _tries(scene: Scene, device: AmtHost, *tries: list[Flight]) -> None:
    """The device says Hello and is called back with each of these sessions."""
    at = scene.soon(scene.hello(device, scene.boot(device, scene.start)))
    for flights in tries:
        at = scene.back_tls(device, at, flights, soon=False) + BETWEEN_TRIES
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, scene.net.router))
    scene.must_find("unknown-digest", device)


def _refused(scene: Scene, chain: Chain, alert: int) -> AmtHost:
    """Twice the server shows this chain, twice the device says no."""
    device = with_own_root(scene)
    shown = chain(scene.net.suffix)
    _tries(scene, device, tls.refused(shown, alert), tls.refused(shown, alert))
    scene.ends_at(device, "tls")
    return device


def _cause(scene: Scene, chain: Chain, alert: int, rule: str, row: str) -> None:
    device = _refused(scene, chain, alert)
    scene.must_find(rule, device, "error", catalogue=row)


def root_not_listed(scene: Scene) -> None:
    """The chain ends in a root that the device does not list."""
    _cause(scene, chains.of_foreign_root, UNKNOWN_CA, "chain-root-not-listed", "F19")


def web_certificate(scene: Scene) -> None:
    """Somebody bought an ordinary certificate."""
    _cause(scene, chains.web_certificate, UNSUPPORTED, "certificate-usage", "F24")


def console_certificate(scene: Scene) -> None:
    """The OID is that of the remote console."""
    _cause(scene, chains.console_oid, BAD_CERTIFICATE, "certificate-usage", "F24")


def without_server_auth(scene: Scene) -> None:
    """The template lacks server authentication."""
    _cause(scene, chains.without_server_auth, UNSUPPORTED, "certificate-server-auth", "F25")


def leaf_only(scene: Scene) -> None:
    """Nothing but the leaf is sent."""
    _cause(scene, chains.leaf_only, UNKNOWN_CA, "chain-not-whole", "F26")


def without_root(scene: Scene) -> None:
    """The root is left out."""
    _cause(scene, chains.without_root, UNKNOWN_CA, "chain-not-whole", "F26")


def disordered(scene: Scene) -> None:
    """Root and issuing CA have changed places."""
    _cause(scene, chains.disordered, BAD_CERTIFICATE, "chain-out-of-order", "F27")


def expired(scene: Scene) -> None:
    """The leaf ended last year."""
    _cause(scene, chains.expired, EXPIRED, "certificate-dates", "F28")


def not_yet_valid(scene: Scene) -> None:
    """The leaf begins in half a year."""
    _cause(scene, chains.not_yet_valid, UNKNOWN, "certificate-dates", "F28")


def another_domain(scene: Scene) -> None:
    """The certificate's domain is not that of option 15."""
    _cause(scene, chains.of_another_domain, BAD_CERTIFICATE, "certificate-domain", "F22")


def sha1_leaf(scene: Scene) -> None:
    """A SHA-1 signature before a device that may be too new for it."""
    _cause(scene, chains.with_sha1, BAD_CERTIFICATE, "chain-sha1", "F20")


def small_key(scene: Scene) -> None:
    """1024 bits before a device that may be too new for it."""
    _cause(scene, chains.with_small_key, BAD_CERTIFICATE, "chain-small-key", "F21")


def no_visible_reason(scene: Scene) -> None:
    """The chain breaks no rule that can be seen, and is refused: the digest may be inactive."""
    _cause(scene, chains.good, UNKNOWN_CA, "refused-for-no-visible-reason", "F30")


def accepted(scene: Scene) -> None:
    """The same chain, and the device takes it."""
    device = with_own_root(scene)
    flights = tls.session(scene.net.suffix, device.ip, chains.good(scene.net.suffix))
    _tries(scene, device, flights)
    scene.ends_at(device, "tls", None)


def accepted_by_unit(scene: Scene) -> None:
    """Marked by its OU alone, and the device takes it."""
    device = with_own_root(scene)
    flights = tls.session(scene.net.suffix, device.ip, chains.by_unit(scene.net.suffix))
    _tries(scene, device, flights)
    scene.ends_at(device, "tls", None)


def psk_differs(scene: Scene) -> None:
    """The right PID, and another PPS on either side."""
    device = scene.net.device(pid=SAMPLE_PID)
    at = scene.soon(scene.hello(device, scene.boot(device, scene.start)))
    for _ in range(2):
        flights = psk.session(scene.trace.rng, SAMPLE_PID, SAMPLE_PPS, host=device.ip, key_matches=False)
        at = scene.back_tls(device, at, flights, soon=False) + BETWEEN_TRIES
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "tls")
    scene.must_find("psk-differs", device, "error", catalogue="F14")


def psk_not_offered(scene: Scene) -> None:
    """A device with a PID is offered no suite for pre-shared keys: alert 40."""
    device = scene.net.device(pid=SAMPLE_PID)
    at = scene.soon(scene.hello(device, scene.boot(device, scene.start)))
    for _ in range(2):
        flights = [Flight(True, tls.client_hello()), Flight(False, tls.fatal_alert(40))]
        at = scene.back_tls(device, at, flights, soon=False) + BETWEEN_TRIES
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, scene.net.router))
    scene.ends_at(device, "tls")
    scene.must_find("psk-not-offered", device, "error", catalogue="F15")


def old_version(scene: Scene) -> None:
    """A device with TLS 1.0 and a server whose library has given it up."""
    device = with_own_root(scene)
    _tries(scene, device, tls.old_version(), tls.old_version())
    scene.ends_at(device, "tls")
    scene.must_find("tls-version", device, "error", catalogue="F47")


def renegotiation(scene: Scene) -> None:
    """A device without secure renegotiation and a server whose library insists on it."""
    device = with_own_root(scene)
    _tries(scene, device, tls.without_secure_renegotiation(), tls.without_secure_renegotiation())
    scene.ends_at(device, "tls")
    scene.must_find("tls-renegotiation", device, "error", catalogue="F47")


def device_not_trusted(scene: Scene) -> None:
    """The server does not know who issued the device's certificate: its own alert, 42."""
    device = with_own_root(scene)
    flights = tls.refused(chains.good(scene.net.suffix), 0)[:2]
    flights.append(Flight(True, tls.fatal_alert(BAD_CERTIFICATE)))
    _tries(scene, device, flights, flights)
    scene.ends_at(device, "tls")
    scene.must_find("device-not-trusted", device, "error", catalogue="F56")


def internal_error(scene: Scene) -> None:
    """The device answers the ClientHello with alert 80: nothing else tells why."""
    device = with_own_root(scene)
    flights = [Flight(True, tls.client_hello()), Flight(False, tls.fatal_alert(80))]
    _tries(scene, device, flights, flights)
    scene.ends_at(device, "tls")
    scene.must_find("tls-ended", device, "error")
