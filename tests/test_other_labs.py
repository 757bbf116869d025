"""Captures of labs that are built otherwise than our samples: the right cause first, and no wrong one at all.

OpenSSL itself plays the device, judges by its own rules and sends its own alerts; servers try again, fall
back and give up; DHCP or the Hello are not in the capture. See `otherlabs`.
"""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from otherlabs import (
    V10,
    V12,
    V13,
    End,
    Flights,
    Lab,
    alert_of,
    device,
    programs,
    server,
    shake,
)  # fmt: skip
from webtalks import amt_answer, challenge, digest, mesh_get, post, reply

from amtdiag.model import Diagnosis
from amtdiag.pipeline import diagnose
from amtdiag.simulator import chains
from amtdiag.simulator.certificates import (
    CLIENT_AUTH,
    SERVER_AUTH,
    SETUP_OID,
    Authority,
    Identity,
    Wish,
    authority,
    certify,
    identity,
    seeded_key,
)  # fmt: skip
from amtdiag.simulator.hosts import SAMPLE_PID, network

SUFFIX = network(230).suffix
FIT = (SERVER_AUTH, CLIENT_AUTH, SETUP_OID)
NAME = f"provisionserver.{SUFFIX}"
GOOD = chains.good(SUFFIX)


class Expected(NamedTuple):
    """What the analysis has to say."""

    first: str | None
    """The rule of the first finding about provisioning that is at least a warning and was not overcome."""
    row: str | None = None
    unknown: str = ""
    """Words of what it says that it cannot tell; nothing else may be unknown about TLS."""
    besides: frozenset[str] = frozenset()
    """Other rules that may speak: they are true too."""
    overcome: frozenset[str] = frozenset()
    """What is told as a trouble that passed."""


CLOSED = frozenset({"connect-back-refused"})
ABOUT_TLS = ("why the device refuses", "whether the TLS handshake", "why the TLS handshake")


def holds(found: Diagnosis, expected: Expected) -> None:
    told = [one for one in found.findings if one.category == "provisioning" and one.severity != "info"]
    now = [one for one in told if not one.overcome]
    assert [(one.rule, one.catalogue) for one in now[:1]] == (
        [(expected.first, expected.row)] if expected.first else []
    ), [one.summary for one in now]
    assert {one.rule for one in now[1:]} <= expected.besides
    assert {one.rule for one in told if one.overcome} == expected.overcome
    unknown = [one.what for one in found.unknowns if one.what.startswith(ABOUT_TLS)]
    assert len(unknown) == bool(expected.unknown)
    assert all(expected.unknown in one for one in unknown)
    assert {span.name for one in found.devices for span in one.modes} <= {"setup", "unknown"}


def talk(theirs: ssl.SSLContext, ours: ssl.SSLContext) -> Flights:
    return shake(theirs, ours)[0]


# --------------------------------------------------------------------------------------- OpenSSL's own alerts


def leaf(*usages: str, by: Authority | None = None) -> Authority:
    return certify(Wish(NAME, usages=usages or FIT), by or chains.issuing())


def without_client_auth() -> Identity:
    return identity(leaf(SERVER_AUTH, SETUP_OID), chains.issuing(), authority())


def impostor() -> Identity:
    """The issuing CA of the right name has another key than the one that signed."""
    other = Authority(seeded_key("impostor"), chains.issuing().certificate)
    return identity(leaf(by=other), chains.issuing(), authority())


def of_four() -> Identity:
    second = certify(Wish("Second Issuing CA", days=1800), chains.issuing())
    return identity(leaf(by=second), second, chains.issuing(), authority())


def of_one() -> Identity:
    """A certificate that signed itself."""
    return identity(certify(Wish(NAME, usages=FIT)))


def doubled() -> Identity:
    return identity(leaf(), leaf(), chains.issuing(), authority())


def as_in_a_pfx() -> Identity:
    """Root first behind the leaf, and the leaf once more at the end."""
    return identity(leaf(), authority(), chains.issuing(), leaf())


def no_cipher() -> Flights:
    theirs, ours = server(GOOD), device()
    theirs.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    ours.set_ciphers("AES256-SHA256")
    return talk(theirs, ours)


REFUSALS: dict[str, tuple[int, Callable[[], Flights], Expected]] = {
    "unknown CA": (
        48, lambda: talk(server(chains.of_foreign_root(SUFFIX)), device()),
        Expected("chain-root-not-listed", "F19"),
    ),
    "certificate expired": (
        45, lambda: talk(server(chains.expired(SUFFIX)), device(clock=True)),
        Expected("certificate-dates", "F28"),
    ),
    "wrong purpose, and no mark for AMT": (
        43, lambda: talk(server(identity(leaf(SERVER_AUTH), chains.issuing(), authority())), device()),
        Expected("certificate-usage", "F24"),
    ),
    "wrong purpose for OpenSSL alone": (
        43, lambda: talk(server(without_client_auth()), device()),
        Expected("refused-for-no-visible-reason", "F30"),
    ),
    "a short key": (
        42, lambda: talk(server(chains.with_small_key(SUFFIX)), device(level=2)),
        Expected("chain-small-key", "F21"),
    ),
    "SHA-1": (
        42, lambda: talk(server(chains.with_sha1(SUFFIX)), device(level=2)), Expected("chain-sha1", "F20"),
    ),
    "a signature that does not hold": (
        51, lambda: talk(server(impostor()), device()), Expected("chain-signature"),
    ),
    "leaf alone": (
        48, lambda: talk(server(chains.leaf_only(SUFFIX)), device()), Expected("chain-not-whole", "F26"),
    ),
    "self-signed leaf": (
        48, lambda: talk(server(of_one()), device()),
        Expected("chain-root-not-listed", "F19"),
    ),
    "four certificates, root not trusted": (
        48, lambda: talk(server(of_four()), device(trusts=())),
        Expected("refused-for-no-visible-reason", "F30"),
    ),
    "the leaf twice": (
        48, lambda: talk(server(doubled()), device(trusts=())), Expected("chain-out-of-order", "F27"),
    ),
    "in the order of a PFX": (
        48, lambda: talk(server(as_in_a_pfx()), device(trusts=())), Expected("chain-out-of-order", "F27"),
    ),
    "another domain": (
        48, lambda: talk(server(chains.of_another_domain(SUFFIX)), device(trusts=())),
        Expected("certificate-domain", "F22"),
    ),
    "no certificate": (
        40, lambda: talk(server(None), device()), Expected("no-client-certificate", "F18"),
    ),
    "no cipher in common": (40, no_cipher, Expected("tls-ended")),
    "the device wants TLS 1.2": (
        70, lambda: talk(server(GOOD, V10), device(V12)), Expected("tls-version", "F47"),
    ),
    "the server wants TLS 1.2": (
        70, lambda: talk(server(GOOD, V12), device(V10)), Expected("tls-version", "F47"),
    ),
    "the server wants TLS 1.3": (
        70, lambda: talk(server(GOOD, V13), device(V12)), Expected("tls-version", "F47"),
    ),
    "the server does not trust the device": (
        48, lambda: talk(server(GOOD, trusts_device=False), device()),
        Expected("device-not-trusted", "F56"),
    ),
}  # fmt: skip
"""Who refuses with which alert, how it comes about, and what that is."""
ENDS: tuple[End, ...] = ("device FIN", "device RST", "server FIN", "server RST", "nothing")


@cache
def said_in(name: str) -> Flights:
    return REFUSALS[name][1]()


@pytest.mark.parametrize("name", REFUSALS)
def test_openssl_says_so_with_this_alert(name: str) -> None:
    assert alert_of(said_in(name)) == REFUSALS[name][0]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", REFUSALS)
def test_the_cause_comes_first(name: str, end: End, tmp_path: Path) -> None:
    """Five tries half a second apart, then the plain port, where the device does not listen."""
    lab = Lab()
    one = lab.device()
    lab.boots(one)
    lab.hello(one)
    for _ in range(5):
        lab.back(one, said_in(name), end)
    lab.refused(one, 16992, tries=3)
    lab.quiet()
    expected = REFUSALS[name][2]
    holds(diagnose([lab.written(tmp_path)]), expected._replace(besides=CLOSED))


@pytest.mark.parametrize("name", [*REFUSALS])
def test_a_server_that_has_no_such_root_and_a_usage_that_openssl_minds(name: str, tmp_path: Path) -> None:
    """The digest list of many a stand-in is made up: that the root is not in it may be said too."""
    lab = Lab()
    one = lab.device(roots=())
    lab.boots(one)
    lab.hello(one)
    lab.back(one, said_in(name))
    lab.quiet()
    found = diagnose([lab.written(tmp_path)])
    first, row = REFUSALS[name][2][:2]
    # Where the alert says "unknown CA", or the chain has no other fault, the root is the cause.
    of_the_root = (
        "refused-for-no-visible-reason", "certificate-domain", "chain-small-key", "chain-sha1",
    )  # fmt: skip
    if first in of_the_root:
        first, row = "chain-root-not-listed", "F19"
    told = [one for one in found.findings if one.category == "provisioning" and one.severity != "info"]
    assert (told[0].rule, told[0].catalogue) == (first, row)


# --------------------------------------------------------------------------------- what is not in the capture


class Gap(NamedTuple):
    """What a capture lacks."""

    dhcp: bool = True
    hello: bool = True
    most: int | None = None
    """Bytes of the Hello that the device sends."""


OPEN = Expected("tls-ended", unknown="why the device refuses", besides=CLOSED | {"hello-damaged"})
PARTS: dict[str, tuple[Gap, str, Expected]] = {
    "no DHCP, root unknown": (
        Gap(dhcp=False), "unknown CA", Expected("chain-root-not-listed", "F19", besides=CLOSED),
    ),
    "no DHCP, other domain": (Gap(dhcp=False), "another domain", OPEN),
    "no Hello, root unknown": (Gap(hello=False), "unknown CA", OPEN),
    "no Hello, no DHCP": (Gap(dhcp=False, hello=False), "unknown CA", OPEN),
    "no Hello, usage": (
        Gap(hello=False), "wrong purpose, and no mark for AMT",
        Expected("certificate-usage", "F24", besides=CLOSED),
    ),
    "no Hello, no chain": (
        Gap(hello=False), "leaf alone", Expected("chain-not-whole", "F26", besides=CLOSED),
    ),
    "Hello cut in its list": (Gap(most=60), "unknown CA", OPEN),
    "Hello cut in its header": (Gap(most=20), "unknown CA", OPEN),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_what_is_not_in_the_capture_is_no_cause(name: str, tmp_path: Path) -> None:
    gap, refusal, expected = PARTS[name]
    lab = Lab()
    one = lab.device()
    if gap.dhcp:
        lab.boots(one)
    if gap.hello:
        lab.hello(one, most=gap.most)
    for _ in range(5):
        lab.back(one, said_in(refusal))
    lab.refused(one, 16992)
    lab.quiet()
    holds(diagnose([lab.written(tmp_path)]), expected)


# -------------------------------------------------------------------------------------------- no alert at all

LEFT = {
    "device FIN": Expected("tls-ended"),
    "device RST": Expected("tls-ended"),
    "server FIN": Expected(None, unknown="why the TLS handshake"),
    "server RST": Expected(None, unknown="why the TLS handshake"),
    "nothing": Expected(None, unknown="why the TLS handshake"),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("flights", [1, 2])
def test_a_handshake_left_without_an_alert(flights: int, end: End, tmp_path: Path) -> None:
    """After the ClientHello, and after the device's answer: before anybody has seen the chain."""
    lab = Lab()
    one = lab.device()
    lab.boots(one)
    lab.hello(one)
    for _ in range(3):
        lab.back(one, said_in("unknown CA")[:flights], end)
    lab.quiet()
    holds(diagnose([lab.written(tmp_path)]), LEFT[end])


@pytest.mark.parametrize("end", ["device FIN", "device RST"])
def test_a_device_that_goes_when_it_has_seen_the_chain(end: End, tmp_path: Path) -> None:
    lab = Lab()
    one = lab.device()
    lab.boots(one)
    lab.hello(one)
    lab.back(one, said_in("unknown CA")[:3], end)
    lab.quiet()
    holds(diagnose([lab.written(tmp_path)]), Expected("chain-root-not-listed", "F19"))


# ---------------------------------------------------------------------------------------------------- TLS 1.3

HIDDEN = Expected(None, unknown="whether the TLS handshake")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [(None, HIDDEN), (chains.of_foreign_root(SUFFIX), HIDDEN), (GOOD, Expected(None))],
    ids=["certificate required (116)", "unknown CA", "accepted"],
)
def test_tls_13_hides_the_reason(shown: Identity | None, expected: Expected, tmp_path: Path) -> None:
    lab = Lab()
    one = lab.device()
    lab.boots(one)
    lab.hello(one)
    lab.back(one, talk(server(shown, V13), device(V13)), "device FIN" if expected.unknown else "server FIN")
    lab.quiet()
    holds(diagnose([lab.written(tmp_path)]), expected)


# ---------------------------------------------------------------------------------------------- what succeeds


def accepted(shown: Identity) -> Flights:
    said, _, finished = shake(server(shown), device())
    assert finished
    return said


@pytest.mark.parametrize(
    "shown",
    [GOOD, chains.without_root(SUFFIX), chains.disordered(SUFFIX), of_four(), doubled(), as_in_a_pfx()],
    ids=["three", "two, without root", "disordered", "four", "the leaf twice", "as in a PFX"],
)
def test_a_chain_that_the_device_takes_is_no_cause(shown: Identity, tmp_path: Path) -> None:
    lab = Lab()
    one = lab.device()
    lab.boots(one)
    lab.hello(one)
    lab.back(one, accepted(shown), "server FIN")
    lab.quiet()
    holds(diagnose([lab.written(tmp_path)]), Expected(None))


def test_a_root_that_is_listed_by_its_sha1_digest_is_listed(tmp_path: Path) -> None:
    lab = Lab()
    one = dataclasses.replace(lab.device(), digest="sha1")
    lab.boots(one)
    lab.hello(one)
    lab.back(one, said_in("wrong purpose for OpenSSL alone"))
    lab.quiet()
    holds(diagnose([lab.written(tmp_path)]), Expected("refused-for-no-visible-reason", "F30"))


def test_a_session_that_is_taken_up_shows_no_certificates(tmp_path: Path) -> None:
    theirs, ours = server(GOOD), device(ask=False)  # OpenSSL takes up none for which it asked a certificate
    ours.options |= ssl.OP_NO_TICKET
    _, session, _ = shake(theirs, ours)
    lab = Lab()
    one = lab.device()
    lab.boots(one)
    lab.hello(one)
    lab.back(one, shake(theirs, ours, session)[0], "server FIN")
    lab.quiet()
    found = diagnose([lab.written(tmp_path)])
    assert [link.tls.resumed for link in found.connections if link.tls] == [True]
    holds(found, Expected(None))


@pytest.mark.parametrize("name", REFUSALS)
def test_two_failures_and_a_success_are_a_trouble_that_passed(name: str, tmp_path: Path) -> None:
    lab = Lab()
    one = lab.device()
    lab.boots(one)
    lab.hello(one)
    for _ in range(2):
        lab.back(one, said_in(name))
    lab.back(one, accepted(GOOD), "server FIN")
    lab.quiet()
    rule = REFUSALS[name][2].first
    assert rule is not None
    holds(diagnose([lab.written(tmp_path)]), Expected(None, overcome=frozenset({rule})))


def test_of_two_devices_one_fails(tmp_path: Path) -> None:
    lab = Lab()
    well, ill = lab.device(50), lab.device(51)
    for one in (well, ill):
        lab.boots(one)
    lab.hello(well)
    lab.back(well, accepted(GOOD), "server FIN")
    lab.hello(ill)
    lab.back(ill, said_in("unknown CA"))
    lab.quiet()
    found = diagnose([lab.written(tmp_path)])
    holds(found, Expected("chain-root-not-listed", "F19"))
    assert [one.ips for one in found.devices if one.id == found.findings[0].device] == [(ill.ip,)]


# -------------------------------------------------------------------------------------------- pre-shared keys

PPS, OTHER_PPS = "00112233445566778899aabbccddeeff", "ff" * 16


@pytest.mark.parametrize(
    ("version", "key", "pid", "alert", "expected"),
    [
        ("-tls1_2", PPS, SAMPLE_PID, None, Expected(None)),
        ("-tls1_2", OTHER_PPS, SAMPLE_PID, 20, Expected("psk-differs", "F14")),
        ("-tls1_3", OTHER_PPS, SAMPLE_PID, 47, Expected("psk-differs", "F14")),
        ("-tls1_2", OTHER_PPS, "XXXXXXXX", 20, Expected("psk-identity-unknown", "F14")),
        ("-tls1_3", PPS, "XXXXXXXX", 40, Expected("psk-identity-unknown", "F14")),
    ],
    ids=["the same", "another key", "another key, TLS 1.3", "another name", "another name, TLS 1.3"],
)
def test_pre_shared_keys(  # noqa: PLR0917 - a table's columns
    version: str, key: str, pid: str, alert: int | None, expected: Expected,
    tmp_path: Path, need: Callable[[str], Path],
) -> None:  # fmt: skip
    said = programs(
        need("openssl"),
        ["-psk", PPS, "-nocert", "-psk_identity", SAMPLE_PID, version],
        ["-psk", key, "-psk_identity", pid, version],
    )
    assert alert_of(said) == alert
    lab = Lab()
    one = lab.device(pid=SAMPLE_PID)
    lab.boots(one)
    lab.hello(one)
    for _ in range(2):
        lab.back(one, said, "device RST" if alert else "server FIN")
    lab.quiet()
    holds(diagnose([lab.written(tmp_path)]), expected)


def test_a_device_with_a_key_is_offered_certificates(tmp_path: Path) -> None:
    lab = Lab()
    one = lab.device(pid=SAMPLE_PID)
    lab.boots(one)
    lab.hello(one)
    lab.back(one, [said_in("no certificate")[0], (False, b"\x15\x03\x03\0\2\2\x28")])
    lab.quiet()
    holds(diagnose([lab.written(tmp_path)]), Expected("psk-not-offered", "F15"))


# ------------------------------------------------------------------------------------------------------- 401

KERBEROS = "WWW-Authenticate: Negotiate"


def ask(nonce: str | None = None, count: int = 1, *, user: str = "admin") -> tuple[bool, bytes]:
    """A request, with credentials for this nonce."""
    fields = [] if nonce is None else [digest(user, nonce, count, "a" * 32)]
    return True, post(mesh_get("AMT_GeneralSettings", 1), *fields)


def no(nonce: str, *fields: str, stale: str = "false") -> tuple[bool, bytes]:
    return False, reply(401, b"", challenge(nonce, stale=stale), *fields, kind="text/html")


def yes() -> tuple[bool, bytes]:
    return False, reply(200, amt_answer("AMT_GeneralSettings", "Get", 1, None))


def browse(path: str) -> tuple[bool, bytes]:
    return True, f"GET {path} HTTP/1.1\r\nHost: device:16992\r\n\r\n".encode()


WRONG = Expected("password-wrong", "F32")
FOUND = Expected(None, overcome=frozenset({"password-wrong"}))
LOGINS: dict[str, tuple[list[Flights], Expected]] = {
    "MeshCommander": ([[ask(), no("N1")], [ask("N1"), yes()]], Expected(None)),
    "MeshCommander, wrong": ([[ask(), no("N1")], [ask("N1"), no("N2")], [ask("N2"), no("N3")]], WRONG),
    "MeshCommander, wrong, then right": (
        [[ask(), no("N1")], [ask("N1"), no("N2")], [ask("N2"), yes()]], FOUND,
    ),
    "curl": ([[ask(), no("N1"), ask("N1"), yes()]], Expected(None)),
    "curl, wrong": ([[ask(), no("N1"), ask("N1"), no("N2")]], WRONG),
    "curl, wrong, then right": ([[ask(), no("N1"), ask("N1"), no("N2")], [ask("N2"), yes()]], FOUND),
    "wrong, then another user": (
        [[ask(), no("N1"), ask("N1"), no("N2")], [ask("N2", user="other"), yes()]], FOUND,
    ),
    "Negotiate is offered too": ([[ask(), no("N1", KERBEROS), ask("N1"), yes()]], Expected(None)),
    "Negotiate is offered too, wrong": ([[ask(), no("N1", KERBEROS), ask("N1"), no("N2", KERBEROS)]], WRONG),
    "a stale nonce": (
        [[ask(), no("N1"), ask("N1"), yes(), ask("N1", 2), no("N2", stale="true"), ask("N2"), yes()]],
        Expected(None),
    ),
    "a stale nonce that is not called so": (
        [[ask(), no("N1"), ask("N1"), yes()], [ask("N1", 2), no("N2"), ask("N2"), yes()]], Expected(None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOGINS)
def test_a_401_is_a_wrong_password_only_where_the_nonce_was_fresh(name: str, tmp_path: Path) -> None:
    talks, expected = LOGINS[name]
    lab = Lab()
    one = lab.device(pid=SAMPLE_PID)
    lab.boots(one)
    lab.hello(one)
    for said in talks:
        lab.back(one, said, "device FIN", port=16992)
    lab.quiet()
    holds(diagnose([lab.written(tmp_path)]), expected)


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ([browse("/"), (False, reply(303, b"", "Location: /logon.htm"))], None),
        ([browse("/index.htm"), no("N1")], None),
        ([ask(), no("N1"), ask("N1"), yes()], None),
        ([ask(), no("N1"), ask("N1"), no("N2")], "password-wrong"),
    ],
    ids=["a browser", "a browser that asks for a password", "a console", "a console, wrong password"],
)
def test_a_device_under_management(said: Flights, first: str | None, tmp_path: Path) -> None:
    lab = Lab()
    one = lab.device()
    lab.back(one, said, port=16992)
    lab.quiet()
    found = diagnose([lab.written(tmp_path)])
    told = [one.rule for one in found.findings if one.category == "provisioning" and one.severity != "info"]
    assert told == ([first] if first else [])
    assert [(one.mode.name, one.mode.basis) for one in found.devices] == [("operational", "inferred")]


def test_mutual_tls_after_the_commit(tmp_path: Path) -> None:
    """The device is set up without TLS, is given certificates, and speaks TLS with both from then on."""
    from scenarios.web import Session

    lab = Lab()
    one = lab.device(pid=SAMPLE_PID)
    lab.boots(one)
    lab.hello(one)
    session = Session(one.ip)
    session.challenge()
    session.returns("SetMEBxPassword", 0, "Password=Another-Passw0rd1")
    session.returns("CommitChanges", 0)
    lab.back(one, [(said.from_client, said.data) for said in session.said], "server FIN", port=16992)
    lab.back(one, accepted(GOOD), "server FIN")
    lab.quiet()
    found = diagnose([lab.written(tmp_path)])
    assert [one.rule for one in found.findings if one.severity != "info"] == []
    assert [span.name for span in found.devices[0].modes] == ["setup", "operational"]


@pytest.mark.parametrize(
    ("login", "besides", "overcome"),
    [
        ([ask(), no("N1")], frozenset[str](), False),
        ([ask(), no("N1"), ask("N1"), no("N2")], frozenset({"password-wrong"}), False),
        ([ask(), no("N1"), ask("N1"), yes()], frozenset[str](), True),
    ],
    ids=["asks for a password", "refuses the password", "lets the server in"],
)
def test_a_server_that_falls_back_to_the_plain_port(
    login: Flights, besides: frozenset[str], overcome: bool, tmp_path: Path
) -> None:
    lab = Lab()
    one = lab.device()
    lab.boots(one)
    lab.hello(one)
    for _ in range(3):
        lab.back(one, said_in("unknown CA"))
    lab.back(one, login, port=16992)
    lab.quiet()
    cause = "chain-root-not-listed"
    passed = Expected(None, overcome=frozenset({cause}))
    holds(diagnose([lab.written(tmp_path)]), passed if overcome else Expected(cause, "F19", besides=besides))


@pytest.mark.parametrize(
    ("name", "is_likely"),
    [("wrong purpose for OpenSSL alone", True), ("four certificates, root not trusted", False)],
)
def test_what_openssl_minds_and_amt_does_not_is_named_where_the_alert_says_so(
    name: str, is_likely: bool, tmp_path: Path
) -> None:
    lab = Lab()
    one = lab.device()
    lab.boots(one)
    lab.hello(one)
    lab.back(one, said_in(name))
    lab.quiet()
    first = diagnose([lab.written(tmp_path)]).findings[0]
    assert ("client authentication" in first.candidates[0][0]) is is_likely
