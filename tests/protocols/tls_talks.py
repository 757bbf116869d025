"""Genuine TLS conversations, made by OpenSSL in memory, and ways to take them apart."""

from __future__ import annotations

import itertools
import random
import ssl
import tempfile
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from scenarios import psk

from amtdiag.config import Limits
from amtdiag.model import TlsConversation
from amtdiag.model.tls import TlsSide
from amtdiag.protocols.tls import read_conversation
from amtdiag.reassembly.stream import Assembled, Stream
from amtdiag.simulator.certificates import device_identity, root_pem, server_identity

SUFFIX = "corp.example"
FIRST_FRAME = {"client": 101, "server": 501}
NO_CHECK_TIME = 0x20_0000
SIDES: tuple[TlsSide, TlsSide] = ("client", "server")


class Said(NamedTuple):
    """What both sides of a conversation sent."""

    client: bytes
    server: bytes
    flights: tuple[tuple[TlsSide, bytes], ...] = ()
    """The same in the order of time."""


class Shaken(NamedTuple):
    """A conversation and what OpenSSL says of it."""

    said: Said
    version: str | None
    suite: str | None
    client_session: ssl.SSLSession | None
    error: ssl.SSLError | None


def certified(context: ssl.SSLContext, pem: bytes) -> ssl.SSLContext:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "identity.pem"
        file.write_bytes(pem)
        context.load_cert_chain(file)
    return context


def limited(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    if version < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def sca(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2, *, with_certificate: bool = True) -> ssl.SSLContext:
    context = limited(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), version)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    identity = server_identity(SUFFIX)
    return certified(context, identity.key + identity.chain) if with_certificate else context


def device(
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2, *, root: bool = True, ask: bool = True
) -> ssl.SSLContext:
    context = limited(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), version)
    if ask:
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    if root:
        context.load_verify_locations(cadata=root_pem().decode("ascii"))
    identity = device_identity()
    return certified(context, identity.key + identity.chain)


def shake(
    client_context: ssl.SSLContext,
    server_context: ssl.SSLContext,
    session: ssl.SSLSession | None = None,
    name: str | None = None,
) -> Shaken:
    """Let both talk: handshake, a line each way, good-bye."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name, session=session)
    server = server_context.wrap_bio(box := ssl.MemoryBIO(), out := ssl.MemoryBIO(), server_side=True)
    flights: list[tuple[TlsSide, bytes]] = []
    error: ssl.SSLError | None = None

    def carry() -> None:
        if data := to_server.read():
            flights.append(("client", data))
            box.write(data)
        if data := out.read():
            flights.append(("server", data))
            to_client.write(data)

    def attempt(*steps: object) -> None:
        nonlocal error
        for step in steps:
            try:
                step()  # type: ignore[operator]
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as found:
                error = error or found
            carry()

    for _ in range(5):
        attempt(client.do_handshake, server.do_handshake)
    if error is None:
        attempt(
            lambda: client.write(b"request " * 40), lambda: server.read(4096),
            lambda: server.write(b"response " * 90), lambda: client.read(4096),
        )  # fmt: skip
        attempt(client.unwrap, server.unwrap, client.unwrap)
    else:
        attempt(lambda: client.read(10), lambda: server.read(10))
    cipher = client.cipher()
    kept = client.session if error is None else None
    return Shaken(put_together(flights), client.version(), cipher[0] if cipher else None, kept, error)


@cache
def talks() -> dict[str, Said]:
    """Conversations of every kind."""
    v10, v11, v12, v13 = (
        ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3,
    )  # fmt: skip
    made = {
        "tls1": shake(sca(v10), device(v10)).said,
        "tls1_1": shake(sca(v11), device(v11)).said,
        "tls1_2": shake(sca(v12), device(v12), name="device.corp.example").said,
        "no certificate": shake(sca(v12, with_certificate=False), device(v12)).said,
        "not asked": shake(sca(v12), device(v12, ask=False)).said,
        "unknown root": shake(sca(v12), device(v12, root=False)).said,
        "old client": shake(sca(v11), device(v12)).said,
        "tls1_3": shake(sca(v13), device(v13)).said,
        "tls1_3 unknown root": shake(sca(v13), device(v13, root=False)).said,
        "resumed": resumed(v12, ticket=False),
        "resumed by ticket": resumed(v12, ticket=True),
        "tls1_3 resumed": resumed(v13, ticket=True),
        "tls1_3 retry": retried(),
        "psk": from_flights(keys=True),
        "psk refused": from_flights(keys=False),
    }
    flights = shake(sca(v12), device(v12)).said.flights
    made["joined"] = put_together([(side, cut_anew(data, [16_000])) for side, data in flights])
    return made


def resumed(version: ssl.TLSVersion, *, ticket: bool) -> Said:
    ours, theirs = sca(version), device(version, ask=False)
    if not ticket:
        theirs.options |= ssl.OP_NO_TICKET
        ours.options |= ssl.OP_NO_TICKET
    first = shake(ours, theirs)
    assert first.client_session is not None
    return shake(ours, theirs, first.client_session).said


def retried() -> Said:
    """A server that wants another group than the client guesses."""
    theirs = device(ssl.TLSVersion.TLSv1_3, ask=False)
    theirs.set_ecdh_curve("secp521r1")
    return shake(sca(ssl.TLSVersion.TLSv1_3), theirs).said


def from_flights(*, keys: bool) -> Said:
    flights = psk.session(random.Random(5), "0000037M", b"k" * 32, host="10.0.0.5", key_matches=keys)
    return put_together([("client" if one.from_client else "server", one.data) for one in flights])


def put_together(flights: Sequence[tuple[TlsSide, bytes]]) -> Said:
    client, server = (b"".join(data for side, data in flights if side == of) for of in SIDES)
    return Said(client, server, tuple(flights))


# -------------------------------------------------------------------------------- taking apart


def records(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """Type, version and body of each record."""
    found, at = [], 0
    while at < len(data):
        end = at + 5 + int.from_bytes(data[at + 3 : at + 5])
        found.append((data[at], data[at + 1 : at + 3], data[at + 5 : end]))
        at = end
    return found


def record(kind: int, body: bytes, version: bytes = b"\x03\x03") -> bytes:
    return bytes([kind]) + version + len(body).to_bytes(2) + body


def cut_anew(data: bytes, sizes: Sequence[int]) -> bytes:
    """Put the handshake messages in the clear into records of these sizes, in turn."""
    out, held, version, turn = b"", b"", b"\x03\x01", 0

    def flush() -> None:
        nonlocal out, held, turn
        while held:
            size = sizes[turn % len(sizes)]
            out += record(22, held[:size], version)
            held = held[size:]
            turn += 1

    changed = False
    for kind, of, body in records(data):
        if kind == 22 and not changed:
            held, version = held + body, of
            continue
        flush()
        changed = changed or kind == 20
        out += record(kind, body, of)
    flush()
    return out


class Segment(NamedTuple):
    start: int
    data: bytes
    frame: int


def segments(data: bytes, side: TlsSide, cuts: Sequence[int]) -> list[Segment]:
    ends = sorted({cut for cut in cuts if 0 < cut < len(data)} | {0, len(data)})
    return [
        Segment(start, data[start:end], FIRST_FRAME[side] + at)
        for at, (start, end) in enumerate(itertools.pairwise(ends))
    ]


def assembled(sent: Sequence[Segment], length: int, *, ended: bool = True) -> Assembled:
    """What a capture makes of these segments, in the order of their coming; `length` bytes were sent."""
    stream = Stream(Limits(), keep=True)
    stream.anchor(1000)
    for at, one in enumerate(sent):
        stream.add(1000 + one.start, one.data, 0, 1_000_000 + at, (0, (one.frame,)))
    if ended:
        stream.close(1000 + length)
    return stream.assemble()


def told(sides: Sequence[Assembled]) -> TlsConversation | None:
    client, server = sides
    return read_conversation(client, server, ["a.pcap"])


def whole(said: Said, size: int = 1460) -> TlsConversation:
    """What is read where nothing is missing."""
    sides = []
    for side in SIDES:
        data = getattr(said, side)
        sides.append(assembled(segments(data, side, range(0, len(data), size)), len(data)))
    found = told(sides)
    assert found is not None
    return found


# -------------------------------------------------------------------------------- judging

PLAIN = (
    "version", "client_version", "client_versions", "suite", "suites", "server_name", "renegotiation_info",
    "resumed", "psk_identity", "psk_hint", "retry_requested", "certificates_hidden",
    "client_changed", "server_changed", "client_finished", "server_finished",
)  # fmt: skip
NOTHING = (None, (), False)


def bare(found: TlsConversation) -> dict[str, object]:
    """The facts without times and frames."""
    facts = found._asdict()
    for name in ("client_chain", "server_chain"):
        facts[name] = facts[name] and facts[name][:2]
    facts["certificate_request"] = facts["certificate_request"] and facts["certificate_request"][:-1]
    facts["messages"] = {side: said_by(found, side) for side in SIDES}
    facts["alerts"] = sorted(one[:3] for one in found.alerts)
    facts["hidden_alerts"] = sorted(one[:4] for one in found.hidden_alerts)
    return facts


def said_by(found: TlsConversation, side: TlsSide) -> list[str]:
    return [one.name for one in found.messages if one.sender == side]


def is_subsequence(some: Sequence[str], every: Sequence[str]) -> bool:
    rest = iter(every)
    return all(one in rest for one in some)


def contradictions(part: TlsConversation, every: TlsConversation, *, cut: bool) -> list[str]:
    """The facts of a part that are not those of the whole. `cut`: the capture ended early."""
    wrong = []
    told, known = bare(part), bare(every)
    for name in PLAIN:
        is_other = told[name] not in NOTHING and told[name] != known[name]
        is_denied = told[name] is False and known[name] is True and name not in DEFAULT_FALSE
        if is_other or (is_denied and not cut):
            wrong.append(name)
    if part.finished is not None and part.finished != every.finished and not (cut and not part.finished):
        wrong.append("finished")
    if part.alert is not None and (part.alert, part.alert_by) != (every.alert, every.alert_by):
        wrong.append("alert")
    for one, other, name in (
        (part.client_chain, every.client_chain, "client_chain"),
        (part.server_chain, every.server_chain, "server_chain"),
    ):
        if one is not None and (
            other is None
            or one.der != other.der[: len(one.der)]
            or (one.complete and one.der != other.der)
            or not (one.complete or one.der)
        ):
            wrong.append(name)
    if told["certificate_request"] not in (None, known["certificate_request"]):
        wrong.append("certificate_request")
    for side in SIDES:
        if not is_subsequence(said_by(part, side), said_by(every, side)):
            wrong.append(f"messages of {side}")
        gone = said_by(every, side)
        for name in said_by(part, side):
            if name in gone:
                gone.remove(name)
        if "HelloRetryRequest" in gone:  # on the wire it is a ServerHello
            gone.append("ServerHello")
        wrong += [
            f"missing {lost.what} of {side}"
            for lost in part.missing
            if lost.side == side and lost.what is not None and lost.what not in gone
        ]
    if not {one[:3] for one in part.alerts} <= {one[:3] for one in every.alerts}:
        wrong.append("alerts")
    if not {one[:2] for one in part.hidden_alerts} <= {one[:2] for one in every.hidden_alerts}:
        wrong.append("hidden_alerts")
    return wrong


DEFAULT_FALSE = frozenset({"retry_requested", "certificates_hidden"})
