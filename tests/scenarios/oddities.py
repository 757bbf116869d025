"""Scenarios that are hard to read, and bytes on the Hello port that are no Hello at all."""

from __future__ import annotations

from amtdiag.simulator.hello import hello_bytes
from scenarios import tls
from scenarios.conversation import Conversation
from scenarios.packets import MICROSECOND, MILLISECOND, MINUTE, SECOND
from scenarios.scene import Scene

_PAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
    b"<html>Intel AMT provisioning server. This port is not for browsers.</html>"
)


def not_a_hello(scene: Scene) -> None:
    """A TLS client, a browser, a port scan and noise at the Hello port."""
    net, at = scene.net, scene.start
    for last, sent, answer in (
        (60, tls.client_hello(), b""),
        (
            61,
            b"GET / HTTP/1.1\r\nHost: provisionserver\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n",
            _PAGE,
        ),
        (62, b"\xa7" + scene.trace.rng.randbytes(90), b""),
    ):
        talk = scene.to_server(net.host("visitor", last), at)
        talk.open()
        talk.send(talk.client, sent)
        if answer:
            talk.wait(MILLISECOND, 4 * MILLISECOND)
            talk.send(talk.server, answer)
            talk.close(talk.server)
        else:
            talk.close(talk.client)
        at += 40 * SECOND
    scanner = net.host("scanner", 63)
    for port in (9969, 9970, 9971, 9973):
        talk = Conversation(scene.trace, scanner, net.server, port, at)
        if port == 9971:
            talk.open()
            talk.abort(talk.client)
        else:
            talk.refused()
        at += 3 * MILLISECOND
    scene.chatter(scene.start + 10 * SECOND, at + MINUTE, (net.router,))
    scene.must_find("not-a-hello", catalogue="F59")


def hard_to_read(scene: Scene) -> None:
    """Three segments, the middle one late and the first sent twice, all of it mirrored and tagged."""
    device = scene.net.device()
    scene.vlans = (300, 20)
    talk = scene.to_server(device, scene.start)
    number = scene.announce(talk, device, 0)
    talk.open()
    first, middle, last = talk.cut(talk.client, scene.trace.hellos[number].payload, (300, 300))
    for piece in (first, last, middle):
        talk.put(talk.client, piece, hello=number)
        talk.wait(40 * MICROSECOND, 90 * MICROSECOND)
    talk.wait(2 * MILLISECOND, 3 * MILLISECOND)
    talk.put(talk.client, first, hello=number, copy=True)
    talk.wait(40 * MICROSECOND, 90 * MICROSECOND)
    talk.acknowledge(talk.server)
    talk.wait(40 * MICROSECOND, 90 * MICROSECOND)
    talk.close(talk.client)
    scene.back_tls(device, talk.now, tls.session(scene.net.suffix, device.ip))
    scene.trace.mirror(3 * MICROSECOND)
    scene.ends_at(device, "tls", None)
    scene.must_find("hello-split", device, catalogue="F58")


def damaged_hello(scene: Scene) -> None:
    """A sender that stops in the middle of its list and closes in good order."""
    device = scene.net.device()
    at = scene.boot(device, scene.start)
    whole = hello_bytes(device, 0)
    scene.hello(device, at, payload=whole[: 25 + 9 * 34 + 12])
    scene.ends_at(device, "hello")
    scene.must_find("hello-damaged", device)


def lossy_capture(scene: Scene) -> None:
    """The capture lacks a segment that the server acknowledged: its machine was too slow, and says so."""
    device = scene.net.device()
    talk = scene.to_server(device, scene.boot(device, scene.start))
    number = scene.announce(talk, device, 0)
    talk.open()
    first, lost, last = talk.cut(talk.client, scene.trace.hellos[number].payload, (300, 300))
    talk.put(talk.client, first, hello=number)
    talk.wait(30 * MICROSECOND, 60 * MICROSECOND)
    talk.put(talk.client, lost, hello=number)
    gone = scene.trace.frames[-1]
    talk.wait(30 * MICROSECOND, 60 * MICROSECOND)
    talk.put(talk.client, last, hello=number)
    talk.wait(30 * MICROSECOND, 60 * MICROSECOND)
    talk.acknowledge(talk.server)
    talk.wait(30 * MICROSECOND, 60 * MICROSECOND)
    talk.close(talk.client)
    scene.back_tls(device, talk.now, tls.session(scene.net.suffix, device.ip))
    scene.trace.keep(lambda frame: frame is not gone)
    scene.dropped = 37
    scene.ends_at(device, "tls", None)
    scene.must_find("capture-loss", device)
    scene.must_find("capture-drops")
    # The bytes did arrive: neither the sender nor the server may be blamed.


def ring(scene: Scene) -> None:
    """Three devices in three files; the second one's Hello begins in one file and ends in the next."""
    well, split, late = (scene.net.device(last) for last in (50, 51, 52))
    at = scene.provisioned(well, scene.boot(well, scene.start))

    at = scene.boot(split, at + 3 * MINUTE)
    talk = scene.to_server(split, at)
    number = scene.announce(talk, split, 0)
    talk.open()
    first, second = talk.cut(talk.client, scene.trace.hellos[number].payload, (420,))
    talk.put(talk.client, first, hello=number)
    talk.wait(200 * MICROSECOND, 300 * MICROSECOND)
    boundary = talk.now
    talk.put(talk.client, second, hello=number)
    talk.wait(50 * MICROSECOND, 90 * MICROSECOND)
    talk.acknowledge(talk.server)
    talk.close(talk.client)
    at = scene.back_refused(split, talk.now)

    at += 3 * MINUTE
    scene.cuts = (boundary, at)
    at = scene.provisioned(late, scene.boot(late, at))
    scene.chatter(scene.start + 20 * SECOND, at + MINUTE, (well, split, late, scene.net.router), 50 * SECOND)

    scene.ends_at(well, "tls", None)
    scene.ends_at(split, "connect_back")
    scene.ends_at(late, "tls", None)
    scene.must_find("connect-back-refused", split, "error", catalogue="F11")
    scene.must_find("hello-split", split)
