"""Scenarios in which a device's web server is spoken to: a whole provisioning, passwords, resets, probes."""

from __future__ import annotations

from amtdiag.simulator import chains
from amtdiag.simulator.hosts import AmtHost, Host
from scenarios import tls
from scenarios.conversation import Conversation
from scenarios.handshakes import with_own_root
from scenarios.packets import MICROSECOND, MILLISECOND, MINUTE, SECOND
from scenarios.scene import BETWEEN_TRIES, Scene
from scenarios.web import Session

_PLAIN, _REDIRECTION = 16992, 16994


def _talk(scene: Scene, device: AmtHost, at: int, session: Session, by: Host | None = None) -> Conversation:
    """A connection to the device's web server that carries a session; nobody closes it."""
    talk = Conversation(scene.trace, by or scene.net.server, device, _PLAIN, at, scene.vlans)
    talk.open()
    for said in session.said:
        talk.wait(
            *((200 * MICROSECOND, MILLISECOND) if said.from_client else (2 * MILLISECOND, 20 * MILLISECOND))
        )
        talk.send(talk.client if said.from_client else talk.server, said.data)
    return talk


def _said(scene: Scene, device: AmtHost, at: int, session: Session, by: Host | None = None) -> int:
    """The same, closed by the client."""
    talk = _talk(scene, device, at, session, by)
    talk.close(talk.client)
    return talk.now


def _called_back(scene: Scene) -> tuple[AmtHost, int]:
    """A device with a PID has said Hello; its server provisions it without TLS."""
    device = scene.net.device(pid="0000037M")
    return device, scene.soon(scene.hello(device, scene.boot(device, scene.start)))


def _quiet(scene: Scene, device: AmtHost, at: int) -> None:
    scene.chatter(at + 5 * SECOND, at + 2 * MINUTE, (device, scene.net.router))


def _provision(session: Session) -> None:
    """The calls in MeshCentral's order, up to the commit."""
    session.challenge()
    session.reads()
    session.returns("SetMEBxPassword", 0, "Password=Another-Passw0rd1")


def committed(scene: Scene) -> None:
    """Provisioning without TLS, to its end."""
    device, at = _called_back(scene)
    session = Session(device.ip)
    _provision(session)
    session.returns("CommitChanges", 0)
    _quiet(scene, device, _said(scene, device, at, session))
    scene.ends_at(device, "operational", "operational")
    scene.must_find("plain-management", device)


def password_wrong(scene: Scene) -> None:
    """The password is not the one that was set in MEBx: a 401 to each fresh nonce."""
    device, at = _called_back(scene)
    for _ in range(2):
        session = Session(device.ip, password="wrong")
        session.challenge()
        session.reads()
        at = _said(scene, device, at, session) + BETWEEN_TRIES
    _quiet(scene, device, at)
    scene.ends_at(device, "authentication", None)
    scene.must_find("password-wrong", device, "error", catalogue="F32")


def password_found(scene: Scene) -> None:
    """The first password is wrong, the second is right: no harm is done."""
    device, at = _called_back(scene)
    session = Session(device.ip, password="wrong")
    session.challenge()
    session.reads()
    at = _said(scene, device, at, session) + BETWEEN_TRIES
    session = Session(device.ip)
    _provision(session)
    session.returns("CommitChanges", 0)
    _quiet(scene, device, _said(scene, device, at, session))
    scene.ends_at(device, "operational", "operational")
    scene.may_find("password-wrong", severity="warning")


def call_fails(scene: Scene) -> None:
    """The device refuses to take a certificate: a fault, and the commit never comes."""
    device, at = _called_back(scene)
    session = Session(device.ip)
    _provision(session)
    key = "http://intel.com/wbem/wscim/1/amt-schema/1/AMT_PublicKeyManagementService"
    session.fails("AddCertificate", "InvalidRepresentation", "The certificate exists already", resource=key)
    _quiet(scene, device, _said(scene, device, at, session))
    scene.ends_at(device, "authentication", None)
    scene.must_find("call-fails", device, "error", catalogue="F53")


def commit_refused(scene: Scene) -> None:
    """CommitChanges returns an error."""
    device, at = _called_back(scene)
    session = Session(device.ip)
    _provision(session)
    session.returns("CommitChanges", 1)
    _quiet(scene, device, _said(scene, device, at, session))
    scene.ends_at(device, "commit", "setup")
    scene.must_find("call-fails", device, "error")


def ends_at_password(scene: Scene) -> None:
    """The device closes the connection at the call that sets its password."""
    device, at = _called_back(scene)
    session = Session(device.ip, version="20.0.5.1000")
    session.challenge()
    session.reads()
    session.unanswered("SetMEBxPassword", "Password=Another-Passw0rd1")
    talk = _talk(scene, device, at, session)
    talk.wait(MILLISECOND, 3 * MILLISECOND)
    talk.close(talk.server)
    _quiet(scene, device, talk.now)
    scene.ends_at(device, "authentication", None)
    scene.must_find("ends-after-password", device, "warning", catalogue="F57")


def broken_after_commit(scene: Scene) -> None:
    """The commit succeeds, and from then on the device ends every handshake."""
    device, at = _called_back(scene)
    session = Session(device.ip)
    _provision(session)
    session.returns("CommitChanges", 0)
    at = _said(scene, device, at, session) + 5 * SECOND
    shown = chains.good(scene.net.suffix)
    for _ in range(2):
        flights = tls.refused(shown, 80, device_name=device.name)
        at = scene.back_tls(device, at, flights, soon=False) + BETWEEN_TRIES
    _quiet(scene, device, at)
    scene.ends_at(device, None, "operational")
    scene.must_find("broken-after-commit", device, "error", catalogue="F54")


def unprovisioned(scene: Scene) -> None:
    """A device that works is unprovisioned by its server, in the clear."""
    device = scene.net.device()
    session = Session(device.ip)
    session.challenge()
    session.reads()
    session.returns("Unprovision", 0, "ProvisioningMode=1")
    at = scene.join(device, scene.start)
    _quiet(scene, device, _said(scene, device, at, session))
    scene.ends_at(device, None, "factory", by_address=True)
    scene.must_find("unprovisioned-in-clear", device, "warning", by_address=True)


def partly_unprovisioned(scene: Scene) -> None:
    """Partial unprovision: the device goes back to setup, says Hello and is provisioned again."""
    device = scene.net.device(pid="0000037M")
    session = Session(device.ip)
    session.challenge()
    session.returns("PartialUnprovision", 0)
    at = _said(scene, device, scene.join(device, scene.start), session)
    at = scene.soon(scene.hello(device, scene.look_up(device, at + MINUTE)))
    session = Session(device.ip)
    _provision(session)
    session.returns("CommitChanges", 0)
    _quiet(scene, device, _said(scene, device, at, session))
    scene.ends_at(device, "operational", "operational")
    scene.must_find("unprovisioned-in-clear", device)
    scene.may_find("hello-after-operational")


def probed(scene: Scene) -> None:
    """A scanner tries an empty digest, and the device does not fall for it."""
    device, scanner = scene.net.device(), scene.net.host("scanner", 66)
    session = Session(device.ip)
    session.challenge()
    session.probe(succeeds=False)
    at = _said(scene, device, scene.join(device, scene.start), session, scanner)
    _quiet(scene, device, at)
    scene.ends_at(device, None, "operational", by_address=True)
    scene.must_find("empty-digest", device, "error", by_address=True)
    scene.may_find("password-wrong")


def probe_succeeds(scene: Scene) -> None:
    """The same, and the device lets it in."""
    device, scanner = scene.net.device(), scene.net.host("scanner", 66)
    session = Session(device.ip, version="9.1.20.1035")
    session.challenge()
    session.probe(succeeds=True)
    at = _said(scene, device, scene.join(device, scene.start), session, scanner)
    _quiet(scene, device, at)
    scene.ends_at(device, None, "operational", by_address=True)
    scene.must_find("empty-digest", device, "critical", by_address=True)
    scene.must_find("vulnerable-firmware", device, by_address=True)


def falls_back(scene: Scene) -> None:
    """TLS fails, and the server goes on in the clear."""
    device = with_own_root(scene)
    at = scene.soon(scene.hello(device, scene.boot(device, scene.start)))
    at = scene.back_tls(device, at, tls.old_version(), soon=False) + BETWEEN_TRIES
    session = Session(device.ip)
    _provision(session)
    session.returns("CommitChanges", 0)
    _quiet(scene, device, _said(scene, device, at, session))
    scene.ends_at(device, "operational", "operational")
    scene.must_find("falls-back-to-plain", device, "warning", catalogue="F48")
    scene.must_find("plain-management", device)
    scene.must_find("unknown-digest", device)
    scene.may_find("tls-version")


def redirected(scene: Scene) -> None:
    """Serial over LAN in the clear, by a console."""
    device, console = scene.net.device(), scene.net.host("console", 67)
    at = scene.join(device, scene.start)
    talk = Conversation(scene.trace, console, device, _REDIRECTION, at, scene.vlans)
    talk.open()
    for from_client, data in (
        (True, b"\x10\0\0\0SOL "),
        (False, b"\x11\0\0\0\x01\0\0\0\x03\0\0\0\0"),
        (True, b"\x13\0\0\0\0\0\0\0\0"),
        (False, b"\x14\0\0\0\0\x02\0\0\0\x01\x04"),
    ):
        talk.wait(MILLISECOND, 4 * MILLISECOND)
        talk.send(talk.client if from_client else talk.server, data)
    talk.close(talk.client)
    _quiet(scene, device, talk.now)
    scene.ends_at(device, None, "operational", by_address=True)
    scene.must_find("plain-management", device, by_address=True)
