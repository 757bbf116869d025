"""What a TLS conversation shows: real handshakes of every version; hand-made ones where none makes them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from test_psk import record_session
from tls_talks import Said, assembled, device, record, sca, segments, shake, talks, told, whole

from amtdiag.model import Evidence, TlsConversation
from amtdiag.protocols.tls import read_conversation
from amtdiag.protocols.tls.constants import version_name
from amtdiag.protocols.tls.handshake import MAX_LENGTH, MAX_MESSAGES
from amtdiag.protocols.tls.messages import MAX_CERTIFICATES, MAX_NAMES
from amtdiag.protocols.tls.suites import NAMES, SIGNALS, family, suite_name
from amtdiag.reassembly.stream import Assembled
from amtdiag.simulator.certificates import device_identity, server_identity

VERSIONS = ssl.TLSVersion


def stream(data: bytes, **changes: Any) -> Assembled:
    return Assembled(data)._replace(**changes)


def read(client: bytes, server: bytes) -> TlsConversation:
    found = read_conversation(stream(client), stream(server))
    assert found is not None
    return found


def alert(description: int, level: int = 2) -> bytes:
    return record(21, bytes([level, description]))


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3) + body


def vector(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size) + data


def client_hello(suites: bytes = b"\x00\x2f", version: bytes = b"\x03\x03", extensions: bytes = b"") -> bytes:
    body = version + bytes(32) + vector(b"", 1) + vector(suites, 2) + vector(b"\0", 1)
    return message(1, body + (vector(extensions, 2) if extensions else b""))


def server_hello(suite: bytes = b"\x00\x2f", version: bytes = b"\x03\x03", extensions: bytes = b"") -> bytes:
    body = version + bytes(32) + vector(b"", 1) + suite + b"\0"
    return message(2, body + (vector(extensions, 2) if extensions else b""))


def certificate(*ders: bytes) -> bytes:
    return message(11, vector(b"".join(vector(der, 3) for der in ders), 3))


HELLO, ANSWER = record(22, client_hello()), record(22, server_hello())
DONE = record(22, message(14, b""))


def ders(pem: bytes) -> tuple[bytes, ...]:
    return tuple(one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(pem))


def names(found: TlsConversation) -> list[tuple[str, str]]:
    return [(one.sender, one.name) for one in found.messages]


FULL = {
    "client": ["ClientHello", "Certificate", "ClientKeyExchange", "CertificateVerify"],
    "server": ["ServerHello", "Certificate", "ServerKeyExchange", "CertificateRequest", "ServerHelloDone"],
}


# ----------------------------------------------------------------------------------- what OpenSSL says of it


@pytest.mark.parametrize("version", [VERSIONS.TLSv1, VERSIONS.TLSv1_1, VERSIONS.TLSv1_2, VERSIONS.TLSv1_3])
def test_version_and_suite_are_those_of_openssl(version: ssl.TLSVersion) -> None:
    ours, theirs = sca(version), device(version)
    shaken = shake(ours, theirs, name="amt.corp.example")
    found = whole(shaken.said)
    assert shaken.error is None
    assert found.version is not None
    assert version_name(found.version).replace("TLS 1.0", "TLS 1").replace("TLS ", "TLSv") == shaken.version
    assert found.suite is not None
    standard = {one["name"]: one["id"] & 0xFFFF for one in ours.get_ciphers()}
    assert found.suite == standard[shaken.suite or ""]
    offered = {one["id"] & 0xFFFF for one in ours.get_ciphers()}
    assert set(found.suites) - SIGNALS <= offered
    assert found.suite in found.suites
    assert found.server_name == "amt.corp.example"
    assert found.notes == ()
    assert found.missing == ()


@pytest.mark.parametrize("name", ["tls1", "tls1_1", "tls1_2", "joined"])
def test_both_sides_show_their_certificates(name: str) -> None:
    found = whole(talks()[name])
    assert found.finished is True
    assert found.client_chain is not None
    assert found.server_chain is not None
    assert found.client_chain.der == ders(server_identity("corp.example").chain)
    assert found.server_chain.der == ders(device_identity().chain)
    assert found.client_chain.complete
    assert found.server_chain.complete
    for side, said in FULL.items():
        every = [one.name for one in found.messages if one.sender == side]
        assert [name for name in every if name != "NewSessionTicket"] == said
    request = found.certificate_request
    assert request is not None
    assert 1 in request.types
    assert bool(request.algorithms) == (name not in ("tls1", "tls1_1"))
    assert found.resumed is False
    assert found.renegotiation_info is True
    assert (found.client_changed, found.client_finished) == (True, True)
    assert (found.server_changed, found.server_finished) == (True, True)
    assert [(one.sender, one.certain, one.last, one.after_data) for one in found.hidden_alerts] == [
        ("client", True, True, True),
        ("server", True, True, True),
    ]


@pytest.mark.parametrize("version", [b"\x03\x01", b"\x03\x03"])
@pytest.mark.parametrize("answered", [True, False])
def test_the_authorities_that_a_server_names(version: bytes, answered: bool) -> None:
    """Hand-made: Python's ssl lets a server name none. Its form tells the version where nothing else does."""
    authorities = [b"\x30" + bytes([at]) * 20 for at in range(MAX_NAMES + 3)]
    schemes = vector(b"\x04\x01", 2) if version == b"\x03\x03" else b""
    body = vector(b"\x01\x40", 1) + schemes + vector(b"".join(vector(one, 2) for one in authorities), 2)
    hello = server_hello(version=version) if answered else b""
    request = read(HELLO, record(22, hello + message(13, body), version)).certificate_request
    assert request is not None
    assert request.types == (1, 64)
    assert request.algorithms == ((0x0401,) if schemes else ())
    assert request.names == tuple(authorities[:MAX_NAMES])
    assert request.authorities == MAX_NAMES + 3


def test_each_fact_has_its_frames() -> None:
    said = talks()["tls1_2"]
    found = whole(said, size=500)
    assert found.client_chain is not None
    frames = [one.frame for one in found.client_chain.evidence]
    assert frames == list(range(frames[0], frames[-1] + 1))
    sent = {one.frame: one.data for one in segments(said.client, "client", range(0, 99_999, 500))}
    seen = b"".join(sent[frame] for frame in frames)
    assert ders(server_identity("corp.example").chain)[0][:200] in seen
    hello = found.messages[0]
    assert (hello.sender, hello.name, hello.evidence) == ("client", "ClientHello", (Evidence("a.pcap", 101),))
    last = found.last("client")
    assert last is not None
    assert last.name == "CertificateVerify"


def test_no_certificate_is_a_statement() -> None:
    found = whole(talks()["no certificate"])
    assert found.client_chain is not None
    assert found.client_chain.der == ()
    assert found.client_chain.complete
    assert (found.finished, found.alert_by) == (False, "server")
    unasked = whole(talks()["not asked"])
    assert unasked.client_chain is None
    assert unasked.certificate_request is None


def test_a_refusal_of_the_client_certificate() -> None:
    found = whole(talks()["unknown root"])
    assert (found.finished, found.alert_by, found.alert) == (False, "server", 48)
    assert (found.client_changed, found.client_finished, found.server_changed) == (True, True, False)
    assert [(one.sender, one.level, one.description) for one in found.alerts] == [("server", 2, 48)]
    assert found.alerts[0].evidence


def test_no_common_version() -> None:
    found = whole(talks()["old client"])
    assert (found.finished, found.alert_by, found.alert) == (False, "server", 70)
    assert found.client_version == 0x0302
    assert found.version is None


@pytest.mark.parametrize("name", ["resumed", "resumed by ticket"])
def test_a_session_taken_up_again_shows_no_certificates(name: str) -> None:
    found = whole(talks()[name])
    assert found.resumed is True
    assert found.finished is True
    assert (found.client_chain, found.server_chain, found.missing) == (None, None, ())


def test_tls_13_hides_certificates_and_refusals() -> None:
    found = whole(talks()["tls1_3"])
    assert (found.finished, found.version, found.certificates_hidden) == (None, 0x0304, True)
    assert (found.client_changed, found.server_changed) == (None, None)
    assert (found.client_version, found.client_versions) == (0x0303, (0x0304,))
    assert names(found) == [("client", "ClientHello"), ("server", "ServerHello")]
    refused = whole(talks()["tls1_3 unknown root"])
    assert refused.alert is None
    assert [(one.sender, one.certain, one.last) for one in refused.hidden_alerts] == [("server", False, True)]
    again = whole(talks()["tls1_3 resumed"])
    assert (again.resumed, again.certificates_hidden) == (True, False)


def test_tls_13_asked_for_another_hello() -> None:
    found = whole(talks()["tls1_3 retry"])
    assert found.retry_requested
    assert sorted(names(found)) == [
        ("client", "ClientHello"), ("client", "ClientHello"),
        ("server", "HelloRetryRequest"), ("server", "ServerHello"),
    ]  # fmt: skip
    assert (found.finished, found.certificates_hidden) == (None, True)


@pytest.mark.parametrize(
    ("cipher", "suite"),
    [
        ("PSK-AES128-CBC-SHA", 0x008C),
        ("DHE-PSK-AES128-CBC-SHA", 0x0090),
        ("ECDHE-PSK-AES128-CBC-SHA", 0xC035),
    ],
)
@pytest.mark.parametrize("version", ["tls1_1", "tls1_2"])
def test_a_pre_shared_key(need: Any, tmp_path: Path, version: str, cipher: str, suite: int) -> None:
    words = [f"-{version}", "-cipher", f"{cipher}:@SECLEVEL=0"]
    client, server, _ = record_session(need("openssl"), tmp_path, *words)
    found = whole(Said(client, server))
    assert (found.suite, found.psk_identity, found.finished) == (suite, "0000037M", True)
    assert (found.client_chain, found.server_chain, found.resumed) == (None, None, False)


def test_a_hint_for_the_key_is_made_safe() -> None:
    hint = message(12, vector(b"shop\x1b[31m", 2))
    found = read(HELLO, record(22, server_hello(b"\x00\x8c") + hint + message(14, b"")))
    assert found.psk_hint == "shop\\x1b[31m"
    assert found.psk_identity is None
    named = read(
        HELLO + record(22, message(16, vector("\u202e1".encode(), 2))), record(22, server_hello(b"\x00\x8c"))
    )
    assert named.psk_identity == "\\xe2\\x80\\xae1"


def test_a_refused_key() -> None:
    found = whole(talks()["psk refused"])
    assert (found.finished, found.alert_by, found.alert) == (False, "server", 20)
    assert found.psk_identity == "0000037M"
    assert found.renegotiation_info is False


# -------------------------------------------------------------------- what no stack of today makes by itself


def test_ssl_30() -> None:
    """Hand-made: OpenSSL no longer speaks it. Its hellos have no extensions, its alerts none of TLS."""
    old = b"\x03\x00"
    found = read(
        record(22, client_hello(version=old), old) + record(21, b"\x01\x29", old),
        record(22, server_hello(version=old) + certificate(b"x" * 9) + message(14, b""), old),
    )
    assert (found.version, found.client_version) == (0x0300, 0x0300)
    assert found.renegotiation_info is False
    assert found.server_chain is not None
    assert found.server_chain.der == (b"x" * 9,)
    assert found.alert is None
    assert [(one.sender, one.level, one.description) for one in found.alerts] == [("client", 1, 41)]


def test_a_hello_in_the_format_of_ssl_20() -> None:
    suites = b"\x00\x00\x2f\x07\x00\xc0\x00\x00\x05"
    body = b"\x01\x03\x01" + len(suites).to_bytes(2) + b"\x00\x00\x00\x10" + suites + bytes(16)
    found = read((0x8000 | len(body)).to_bytes(2) + body, ANSWER)
    assert (found.client_version, found.suites) == (0x0301, (0x2F, 0x05))
    assert names(found) == [("client", "ClientHello"), ("server", "ServerHello")]


def test_an_alert_behind_the_change_of_cipher_is_nobodys_business() -> None:
    said = talks()["tls1_2"]
    found = read(said.client + alert(40), said.server)
    assert found.alert is None


@pytest.mark.parametrize("description", [40, 70, 90])
def test_the_client_gives_up(description: int) -> None:
    found = read(HELLO + alert(description), ANSWER)
    assert found[:3] == (False, "client", description)


def test_to_say_good_bye_is_no_failure() -> None:
    found = read(HELLO + alert(0, level=1), b"")
    assert found.alert is None
    assert len(found.alerts) == 1


def test_a_warning_ends_nothing_where_the_talk_goes_on() -> None:
    found = read(HELLO, alert(112, level=1) + ANSWER + DONE)
    assert found.alert is None
    assert [one.description for one in found.alerts] == [112]
    last = read(HELLO, ANSWER + alert(42, level=1))
    assert (last.alert_by, last.alert) == ("server", 42)


def test_an_alert_in_two_records() -> None:
    found = read(HELLO, record(21, b"\x02") + record(21, b"\x28"))
    assert (found.alert_by, found.alert) == ("server", 40)


def test_the_first_alert_counts() -> None:
    late = assembled(segments(ANSWER + alert(80), "server", [len(ANSWER)]), len(ANSWER) + 7)
    early = stream(HELLO + alert(42))
    found = told([early, late])
    assert found is not None
    assert (found.alert_by, found.alert) == ("client", 42)


def test_tls_13_hides_how_it_ends() -> None:
    chosen = record(22, server_hello(b"\x13\x01", extensions=b"\x00\x2b\x00\x02\x03\x04"))
    found = read(HELLO, chosen + record(23, bytes(50)))
    assert found[:3] == (None, None, None)
    assert found.certificates_hidden


def test_a_second_handshake_is_not_read() -> None:
    """Renegotiation is encrypted: its records are no messages, and its ChangeCipherSpec is a longer one."""
    said = talks()["tls1_2"]
    again = record(22, bytes(range(60))) + record(20, bytes(30)) + record(22, bytes(64))
    plain, twice = read(said.client, said.server), read(said.client + again, said.server + again)
    assert names(twice) == names(plain)
    assert twice.notes == ()
    assert twice.finished is True


# ------------------------------------------------------------------------------------------- what is missing


def with_gap(data: bytes, start: int, end: int) -> Assembled:
    """A capture of three frames, 101 to 103, of which the second is lost."""
    sent = segments(data, "client", [start, end])
    return assembled([one for one in sent if one.frame != 102], len(data))


def test_the_certificate_across_a_gap_is_named() -> None:
    said = talks()["tls1_2"]
    ours = ders(server_identity("corp.example").chain)
    at = said.client.index(ours[1])
    found = told([with_gap(said.client, at + 10, at + 610), stream(said.server)])
    assert found is not None
    assert [(one.what, one.side, one.bytes) for one in found.missing] == [("Certificate", "client", 600)]
    assert found.missing[0].frame_before == Evidence("a.pcap", 101)
    assert found.missing[0].frame_after == Evidence("a.pcap", 103)
    told_so = "the client Certificate is not in this capture (600 bytes missing at frame 101)"
    assert found.missing[0].text == told_so
    assert found.client_chain is not None
    assert found.client_chain.der == ours[:1]
    assert not found.client_chain.complete
    assert found.finished is True


def test_a_message_without_header_is_told_by_its_neighbours() -> None:
    said = talks()["tls1_2"]
    at = said.client.index(ders(server_identity("corp.example").chain)[0])
    found = told([with_gap(said.client, at - 15, at + 610), stream(said.server)])
    assert found is not None
    assert [(one.what, one.side, one.bytes) for one in found.missing] == [("Certificate", "client", 625)]
    assert found.client_chain is None
    assert found.finished is True


def test_the_capture_ends_inside_a_message() -> None:
    said = talks()["tls1_2"]
    at = said.client.index(ders(server_identity("corp.example").chain)[1])
    short = assembled(segments(said.client[:at], "client", ()), at, ended=False)
    found = told([short, stream(said.server[:1300])])
    assert found is not None
    lost = [one for one in found.missing if one.side == "client"]
    assert [(one.what, one.frame_after) for one in lost] == [("Certificate", None)]
    assert lost[0].bytes == len(ders(server_identity("corp.example").chain)[1])


def test_without_its_beginning_nothing_is_known() -> None:
    said = talks()["tls1_2"]
    assert read_conversation(stream(said.client, anchored=False), stream(said.server, anchored=False)) is None
    half = read_conversation(stream(said.client), stream(said.server, anchored=False))
    assert half is not None
    assert (half.finished, half.server_changed, half.version) == (None, None, None)
    assert half.client_chain is not None


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x02\x00\x00\x01\x01", b"\x16\x03"])
def test_what_is_no_tls(data: bytes) -> None:
    assert read_conversation(stream(data), stream(data)) is None


# ---------------------------------------------------------------------------------------------------- limits


def test_too_many_certificates() -> None:
    many = [bytes([at]) * 5 for at in range(MAX_CERTIFICATES + 5)]
    found = read(HELLO, ANSWER + record(22, certificate(*many)))
    assert found.server_chain is not None
    assert found.server_chain.der == tuple(many[:MAX_CERTIFICATES])
    assert not found.server_chain.complete
    assert found.notes == ("server: 25 certificates, of which 20 are kept",)


def test_a_message_that_is_too_long() -> None:
    found = read(HELLO, ANSWER + record(22, b"\x0b" + (MAX_LENGTH + 1).to_bytes(3) + bytes(90)))
    assert len(found.notes) == 1
    assert "cannot" not in found.notes[0]
    assert names(found)[-1] == ("server", "ServerHello")


def test_too_many_messages() -> None:
    found = read(HELLO, ANSWER + record(22, bytes(4 * 1000)))
    assert len([one for one in found.messages if one.sender == "server"]) == MAX_MESSAGES
    assert found.notes == (f"server: more than {MAX_MESSAGES} handshake messages",)


@pytest.mark.parametrize("body", [b"", b"\x00\x00\x05\x00\x00\x01", b"\x00\x00\x03\x00\x00\x09"])
def test_a_malformed_certificate_message(body: bytes) -> None:
    found = read(HELLO, ANSWER + record(22, message(11, body)) + DONE)
    assert found.server_chain is None
    assert len(found.notes) == 1
    assert names(found)[-1] == ("server", "ServerHelloDone")


def test_bytes_that_are_no_record() -> None:
    found = read(HELLO, ANSWER + b"HTTP/1.1 400 Bad Request\r\n")
    assert found.notes == (f"server: no TLS record at offset {len(ANSWER)}",)
    assert found.finished is False


# ---------------------------------------------------------------------------------------------------- suites


def test_suites_are_named_as_openssl_names_them() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    for one in context.get_ciphers():
        suite = one["id"] & 0xFFFF
        if suite not in NAMES:
            assert any(word in one["name"] for word in ("CAMELLIA", "ARIA", "SRP"))
            continue
        auth = one["auth"].removeprefix("auth-")
        keys = one["kea"]
        found = family(suite)
        if "any" in auth:
            assert found == "tls13"
        elif auth == "null":
            assert found == "anonymous"
        elif auth == "psk":
            assert found == "psk"
        elif keys == "kx-rsa-psk":
            assert found == "rsa-psk"
        else:
            assert found == "certificate", one["name"]


def test_a_suite_without_name() -> None:
    assert suite_name(0x0A0A) == "0x0A0A"
    assert family(0x0A0A) is None
    assert family(0x00FF) is None
