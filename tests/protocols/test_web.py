"""HTTP conversations with a device: what is read of whole ones, and that losses never make a wrong fact."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from webtalks import (
    AMT,
    CIM,
    EOI,
    IPS,
    REALM,
    SETUP,
    Flight,
    Segment,
    amt_answer,
    amt_fault,
    assemble,
    challenge,
    digest,
    frames_of,
    mesh_call,
    post,
    provisioning,
    read,
    refused,
    reply,
    segments,
    talk_of,
)

from amtdiag.model import WebServer
from amtdiag.model.web import Exchange, HttpConversation, WebCall
from amtdiag.protocols.web import http_session as web_talk
from amtdiag.protocols.web.credentials import read_challenge, read_credentials
from amtdiag.protocols.web.http_messages import HttpMessage, answers, requests
from amtdiag.protocols.web.nonces import Nonces
from amtdiag.reassembly.stream import Assembled
from amtdiag.report.formats.json import dumps, talk_json
from amtdiag.times import SECOND

CALL = mesh_call(SETUP, "CommitChanges", 7)


def one(*flights: Flight) -> Exchange:
    """The last exchange of a whole conversation."""
    return talk_of(flights).exchanges[-1]


# ------------------------------------------------------------------------------------------------ whole talks


def test_a_provisioning_conversation() -> None:
    talk = talk_of(provisioning())
    assert talk.server == WebServer("15.0.35.2039", 401)
    assert (talk.missing, talk.dropped) == ((), 0)
    assert [exchange.denial for exchange in talk.exchanges] == [
        "challenge",
        "refused",
        None,
        None,
        None,
        None,
    ]
    calls = [
        (exchange.call and exchange.call.method, exchange.result and exchange.result.return_value)
        for exchange in talk.exchanges[2:]
    ]
    assert calls == [("GetUuid", 0), ("SetMEBxPassword", 16), ("Get", None), ("CommitChanges", 0)]
    first, second = talk.exchanges[:2]
    assert (first.auth, first.user, first.realm, first.offered) == (None, None, REALM, ("Digest",))
    assert (second.auth, second.user, second.digest_short) == ("Digest", "admin", False)
    fault = talk.exchanges[4].result
    assert fault is not None
    assert fault[3:] == ("Sender", "AccessDenied", "The sender was not authorized")
    frames = [[frame.frame for frame in exchange.evidence] for exchange in talk.exchanges]
    assert list(chain.from_iterable(frames)) == list(range(1, len(segments(provisioning())) + 1))


def test_the_call_by_its_addresses() -> None:
    assert one(
        (True, post(CALL)), (False, reply(200, amt_answer(SETUP, "CommitChanges", 7)))
    ).call == WebCall(
        protocol="wsman",
        service=SETUP,
        method="CommitChanges",
        action=f"{AMT}{SETUP}/CommitChanges",
        resource=f"{AMT}{SETUP}",
        selectors=("InstanceID",),
        changes="makes pending settings take effect; ends setup",
    )


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_segments_make_no_difference(size: int) -> None:
    wanted, got = talk_of(provisioning()), talk_of(provisioning(), size)
    assert facts(got) == facts(wanted)


def test_pipelined_requests() -> None:
    asking = [post(mesh_call(SETUP, "GetUuid", number), digest(nc=number)) for number in (1, 2, 3)]
    told = [reply(200, amt_answer(SETUP, "GetUuid", number, number)) for number in (1, 2, 3)]
    talk = talk_of([(True, b"".join(asking)), (False, b"".join(told))])
    assert [exchange.result and exchange.result.return_value for exchange in talk.exchanges] == [1, 2, 3]


def test_continue_is_no_answer() -> None:
    last = one(
        (True, post(CALL, "Expect: 100-continue")), (False, b"HTTP/1.1 100 Continue\r\n\r\n" + refused())
    )
    assert (last.status, last.denial) == (401, "challenge")


def test_an_answer_to_head_has_no_body() -> None:
    head = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"
    talk = talk_of([(True, head), (False, answer), (True, post(CALL)), (False, refused())])
    assert [exchange.status for exchange in talk.exchanges] == [200, 401]


def test_a_body_that_ends_with_the_connection() -> None:
    body = amt_answer(SETUP, "CommitChanges", 7, 2057)
    flights = [(True, post(CALL)), (False, b"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n" + body)]
    assert (last := talk_of(flights).exchanges[0].result) is not None
    assert last.name == "PT_STATUS_DATA_MISSING"
    open_end = read(segments(flights))
    assert open_end is not None
    assert open_end.exchanges[0].missing == ("answer body",)
    assert open_end.exchanges[0].result is None


def test_no_answer_is_a_fact_only_where_the_end_was_seen() -> None:
    asking = [(True, post(CALL)), (False, b"")]
    assert talk_of(asking).exchanges[0].missing == ()
    never_ended = read(segments(asking))
    assert never_ended is not None
    assert never_ended.exchanges[0].missing == ("answer",)
    assert never_ended.missing == ("client: the end", "server: the end")


@pytest.mark.parametrize(("room", "kept"), [(0, 0), (2, 2), (9, 6)])
def test_more_exchanges_than_are_kept(room: int, kept: int) -> None:
    wire = segments(provisioning())
    sides = [assemble(wire, by_client=side) for side in (True, False)]
    talk = web_talk.read_web(sides[0], sides[1], frames_of, room=room)
    assert talk is not None
    assert (len(talk.exchanges), talk.dropped) == (kept, 6 - kept)


def test_a_flood_of_requests() -> None:
    flights = [
        (True, b"G / HTTP/1.1\r\n\r\n" * 4000),
        (False, b"HTTP/1.1 200 \r\nContent-Length:0\r\n\r\n" * 1800),
    ]
    talk = talk_of(flights)
    assert (len(talk.exchanges), talk.dropped) == (256, 256)
    assert [one.rpartition(" ")[0] for one in talk.missing] == [
        "client: from byte 8192",
        "server: from byte 17920",
    ]


@pytest.mark.parametrize(
    "data", [b"\x10\x00\x00\x00SOL ", b"\x16\x03\x01\x00\x05hello", b"SSH-2.0-x\r\n", b"\x00" * 50]
)
def test_what_is_no_http(data: bytes) -> None:
    assert read(segments([(True, data), (False, data)])) is None


# ----------------------------------------------------------------------------------------- who is turned away


def denial_of(*flights: Flight) -> str | None:
    return one(*flights).denial


def test_an_old_nonce_is_no_wrong_password() -> None:
    first = [(True, post(CALL)), (False, refused("N1"))]
    assert (
        denial_of(*first, (True, post(CALL, digest(nonce="N1"))), (False, refused("N2", stale="TRUE")))
        == "stale"
    )
    done = (True, post(CALL, digest(nonce="N1"))), (False, reply(200, CALL))
    again = (True, post(CALL, digest(nonce="N1", nc=2))), (False, refused("N2"))
    assert denial_of(*first, *done, *again) == "open"


def test_a_nonce_of_another_connection() -> None:
    assert denial_of((True, post(CALL, digest(nonce="N7", nc=1))), (False, refused("N8"))) == "likely"
    assert denial_of((True, post(CALL, digest(nonce="N7", nc=9))), (False, refused("N8"))) == "open"


def test_a_nonce_given_on_the_connection_before() -> None:
    """MeshCommander: a connection for each try, its count of uses runs on from nonce to nonce."""
    nonces = Nonces()
    tries = [(), (digest(nonce="N1", nc=1),), (digest(nonce="N2", nc=2),), (digest(nonce="N2", nc=3),)]
    got: list[str | None] = []
    for number, fields in enumerate(tries):
        flights = [(True, post(CALL, *fields)), (False, refused(f"N{number + 1}"))]
        got.append(talk_of(flights, nonces=nonces, after=500 * number).exchanges[0].denial)
    assert got == ["challenge", "refused", "likely", "open"]


def test_a_nonce_of_long_ago_may_be_too_old() -> None:
    told = read_credentials(digest(nonce="N1", nc=2).partition(": ")[2].encode())
    refusal = read_challenge([challenge("N2").partition(": ")[2].encode()])
    for after, denial in ((9, "likely"), (11, "open"), (-1, "open")):
        nonces = Nonces()
        nonces.give(b"N1", 100 * SECOND)
        nonces.begin()
        assert nonces.judge(told, refusal, (100 + after) * SECOND) == denial


def test_nonces_are_forgotten_in_the_end() -> None:
    nonces = Nonces()
    told = read_credentials(digest(nonce="0", nc=1).partition(": ")[2].encode())
    for number in range(5000):
        nonces.give(str(number).encode(), 0)
    assert nonces.judge(told, read_challenge([]), 1) == "likely"


def test_a_nonce_announced_with_an_answer_is_fresh() -> None:
    told = reply(200, CALL, 'Authentication-Info: nextnonce="N5"')
    first = (True, post(CALL, digest(nonce="N1"))), (False, told)
    assert denial_of(*first, (True, post(CALL, digest(nonce="N5"))), (False, refused("N6"))) == "refused"


def test_kerberos_takes_several_rounds() -> None:
    asking = (True, post(CALL, "Authorization: Negotiate YIIabc=")), (False, refused("N1"))
    assert (denial_of(*asking), one(*asking).auth, one(*asking).user) == ("open", "Negotiate", None)


@pytest.mark.parametrize(
    ("response", "short"), [("", True), ("0" * 31, True), ("0" * 32, False), ("0" * 64, False)]
)
def test_a_probe_for_cve_2017_5689(response: str, *, short: bool) -> None:
    last = one((True, post(CALL, digest(response=response))), (False, reply(200, CALL)))
    assert (last.digest_short, last.status, last.user) == (short, 200, "admin")


def test_schemes_in_one_field_or_several() -> None:
    assert read_challenge([b'Negotiate, Digest realm="a, Basic b", nonce="x", Basic realm="y"']).schemes == (
        "Negotiate", "Digest", "Basic",
    )  # fmt: skip
    several = read_challenge(
        [b"Negotiate", b'digest realm="R", nonce="N", stale=true', b'Basic realm="other"']
    )
    assert several == (("Negotiate", "Digest", "Basic"), "R", b"N", True)


def test_a_quoted_name_is_read_as_it_is_meant() -> None:
    said = read_credentials(
        rb'Digest username="a\"d, response=x", realm="r", response="' + b"0" * 32 + b'", nc=00000001'
    )
    assert said is not None
    assert (said.user, said.short, said.first_use) == ('a"d, response=x', False, True)


FIELD_NAMES = (
    "Authorization",
    "WWW-Authenticate",
    "Server",
    "Content-Type",
    "Authentication-Info",
    "Content-Encoding",
)


@given(
    st.sampled_from(FIELD_NAMES),
    st.binary(max_size=60).filter(lambda value: not {10, 13} & set(value)),
    st.sampled_from([b"", b"Digest ", b'Digest username="']),
)
@example("Authorization", b"\x0b", b"")
def test_any_field(name: str, value: bytes, begin: bytes) -> None:
    """Whatever a field says, the next message is read, or nothing is said of it."""
    line = name.encode() + b": " + begin + value
    flights = [
        (True, b"GET / HTTP/1.1\r\n" + line + b"\r\n\r\n"),
        (False, b"HTTP/1.1 401 x\r\n" + line + b"\r\nContent-Length: 0\r\n\r\n"),
    ]
    talk = talk_of([*flights, (True, post(CALL)), (False, refused())])
    assert talk.missing or talk.exchanges[-1].denial == "challenge"


def test_a_path_is_shown_without_what_may_be_secret() -> None:
    for target in (
        "/logon.htm?password=s",
        "http://admin:s@device:16992/logon.htm#s",
        "/logon.htm;session=s",
    ):
        assert one((True, post(b"", path=target)), (False, refused())).path == "/logon.htm"


# ----------------------------------------------------------------------------------------------- SOAP and EOI


def test_the_older_soap_interface() -> None:
    space = f"{EOI}SecurityAdministration/2004/01"
    body = '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>{}</soap:Body></soap:Envelope>'
    ask = post(
        body.format(f'<CommitChanges xmlns="{space}"/>').encode(), f'SOAPAction: "{space}#CommitChanges"'
    )
    told = f'<t:CommitChangesResponse xmlns:t="{space}"><t:Status>2057</t:Status></t:CommitChangesResponse>'
    last = one((True, ask), (False, reply(200, body.format(told).encode(), kind="text/xml")))
    assert last.call is not None
    assert last.result is not None
    assert last.call[:3] == ("eoi", "SecurityAdministration", "CommitChanges")
    assert last.result[:2] == (2057, "PT_STATUS_DATA_MISSING")


def test_a_fault_of_soap_1_1() -> None:
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault><faultcode>e:Server'
        "</faultcode><faultstring>no</faultstring></e:Fault></e:Body></e:Envelope>"
    )
    last = one((True, post(CALL)), (False, reply(500, body.encode())))
    assert last.result is not None
    assert last.result[3:] == ("Server", None, "no")


def test_numbers_mean_what_the_called_class_says() -> None:
    def name_of(service: str, method: str, value: int, schema: str) -> str | None:
        asking = post(mesh_call(service, method, 1, schema=schema))
        result = one(
            (True, asking), (False, reply(200, amt_answer(service, method, 1, value, schema=schema)))
        ).result
        assert result is not None
        assert result.return_value == value
        return result.name

    assert name_of(SETUP, "Unprovision", 2076, AMT) == "PT_STATUS_BLOCKING_COMPONENT"
    assert name_of("IPS_HostBasedSetupService", "AddNextCertInChain", 2, IPS) == "InternalError"
    assert name_of("IPS_HostBasedSetupService", "AdminSetup", 2, IPS) == "InvalidState"
    assert name_of("IPS_HostBasedSetupService", "AdminSetup", 4, IPS) is None
    assert name_of("CIM_PowerManagementService", "RequestPowerStateChange", 2, CIM) is None
    assert name_of("AMT_RedirectionService", "RequestStateChange", 1, AMT) is None
    assert name_of(SETUP, "CommitChanges", 4711, AMT) is None


def test_a_return_value_elsewhere_is_none() -> None:
    """What a device stores and hands out again may look like an answer."""
    inside = "<g:Data><g:ReturnValue>0</g:ReturnValue></g:Data>"
    last = one(
        (True, post(CALL)), (False, reply(200, amt_answer(SETUP, "CommitChanges", 7, None, content=inside)))
    )
    assert last.result is not None
    assert last.result.return_value is None


# --------------------------------------------------------------------------------------------- hostile bodies


def envelope(inside: str, head: str = "") -> bytes:
    return (
        f'{head}<E:Envelope xmlns:E="http://www.w3.org/2003/05/soap-envelope"><E:Body>{inside}</E:Body></E:Envelope>'
    ).encode()


LAUGHS = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
BOMBS = {
    "billion laughs": (envelope("&l9;", f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>'), "document type"),
    "external entity": (
        envelope("&x;", '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        "document type",
    ),
    "external DTD": (envelope("", '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">'), "document type"),
    "parameter entity": (envelope("", '<!DOCTYPE x [<!ENTITY % a "b"> %a;]>'), "document type"),
    "unknown entity": (envelope("&nbsp;"), "entities"),
    "nesting": (envelope("<a>" * 5000 + "</a>" * 5000), "too deep"),
    "elements": (envelope("<a/>" * 12_000), "too large"),
    "attributes": (envelope("<a " + " ".join(f'a{n}="x"' for n in range(500)) + "/>"), "too large"),
    "huge address": (
        envelope(f"<E:Fault><E:Reason><E:Text>{'x' * 60_000}</E:Text></E:Reason></E:Fault>"),
        "too long",
    ),
    "other root": (b"<other><body/></other>", "no SOAP envelope"),
    "broken": (envelope("<a><b></a>"), "broken XML at byte"),
    "cut": (envelope("")[:-5], "broken XML at byte"),
    "another encoding": ("<?xml version='1.0' encoding='utf-16'?><a/>".encode("utf-16"), None),
    "codec by name": (b"<?xml version='1.0' encoding='idna'?><a>\xff</a>", "SOAP"),
}


@pytest.mark.parametrize(("body", "why"), BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("side", ["request", "answer"])
@pytest.mark.timeout(5)
def test_hostile_xml_is_refused_and_noted(body: bytes, why: str | None, side: str) -> None:
    flights = [
        (True, post(body if side == "request" else CALL)),
        (False, reply(200, body if side == "answer" else CALL)),
    ]
    last = one(*flights)
    if why is None:
        assert last.problems == ()
    else:
        assert [problem for problem in last.problems if why in problem] == list(last.problems) != []
    assert last.status == 200
    if side == "answer":
        assert last.result is None


@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_any_bytes(client: bytes, server: bytes) -> None:
    read(segments([(True, client), (False, server)]))
    read(segments([(True, post(CALL)[:-1] + client), (False, refused()[:-3] + server)]))


# ----------------------------------------------------------------------------------------------------- losses

WHOLE = provisioning()
SENT = segments(WHOLE, 300)
FACTS = talk_of(WHOLE, 300)


def facts(talk: HttpConversation) -> list[Exchange]:
    """Exchanges without their times and frames."""
    return [one._replace(ts=0, answered=None, evidence=()) for one in talk.exchanges]


def holds(part: object, whole: object) -> bool:
    """True where a fact is the same, unknown, or made of such."""
    if part is None or part in ((), whole):
        return True
    if isinstance(part, tuple) and isinstance(whole, tuple) and hasattr(part, "_fields"):
        return len(part) == len(whole) and all(map(holds, part, whole))
    return False


def check(talk: HttpConversation | None, whole: HttpConversation, *, aligned: bool = True) -> None:
    """Nothing that `whole` does not say, and where something is not said, it is said to be missing."""
    if talk is None:
        return
    lost = bool(talk.missing)
    if talk.server is not None and aligned:
        assert holds(talk.server, whole.server)
    for index, got in enumerate(facts(talk)):
        known = got._replace(missing=(), problems=(), denial=None if got.denial == "open" else got.denial)
        assert got.problems == ()
        if aligned and index < len(whole.exchanges):
            assert holds(known, facts(whole)[index]), (got, facts(whole)[index])
        else:
            assert any(holds(known, other) for other in facts(whole)), got
        lost = lost or bool(got.missing)
    if not lost:
        assert facts(talk) == facts(whole)


@pytest.mark.parametrize("at", range(len(SENT)))
@pytest.mark.parametrize("anchored", [True, False])
def test_a_lost_segment(at: int, *, anchored: bool) -> None:
    lost = SENT[:at] + SENT[at + 1 :]
    check(read(lost, WHOLE, anchored=anchored), FACTS, aligned=anchored)


@given(st.sets(st.integers(0, len(SENT) - 1), max_size=6), st.booleans())
def test_lost_segments(lost: set[int], anchored: bool) -> None:
    left = [one for at, one in enumerate(SENT) if at not in lost]
    check(read(left, WHOLE, anchored=anchored), FACTS, aligned=anchored)


def test_a_hole_in_a_body_costs_that_body_alone() -> None:
    """MeshCommander's calls are longer than 700 bytes: the second segment is in the body."""
    wire = segments(WHOLE)
    first_body = [one for one in wire if one.by_client][1]
    talk = read([one for one in wire if one is not first_body], WHOLE)
    assert talk is not None
    assert len(talk.exchanges) == len(FACTS.exchanges)
    assert talk.exchanges[0].missing == ("request body",)
    assert facts(talk)[1:] == facts(talk_of(WHOLE))[1:]
    assert talk.missing == (f"client: {len(first_body.data)} bytes",)


@given(st.permutations(SENT), st.lists(st.sampled_from(SENT)))
def test_order_and_repetition_change_nothing(wire: list[Segment], again: list[Segment]) -> None:
    talk = read([*wire, *again], WHOLE)
    assert talk is not None
    assert facts(talk) == facts(FACTS)
    assert talk.missing == ()


EVERY_BYTE = segments(WHOLE, 1)


@given(st.integers(0, len(EVERY_BYTE)))
@settings(max_examples=60)
@example(0)
def test_cut_at_any_byte(at: int) -> None:
    check(read(EVERY_BYTE[:at]), FACTS)


def truncated(flights: Sequence[Flight], *, by_client: bool, to: int) -> Assembled:
    """A side as it would be, had the capture stopped after so many of its bytes."""
    data = b"".join(said for side, said in flights if side is by_client)[:to]
    return assemble([Segment(by_client, 0, data, 1)] if data else [], by_client=by_client)


@pytest.mark.parametrize("by_client", [True, False])
def test_one_side_cut_at_each_byte(*, by_client: bool) -> None:
    """Each byte of one side; the other side is whole."""
    length = sum(len(said) for side, said in WHOLE if side is by_client)
    for to in range(0, length, 7):
        sides = [
            truncated(WHOLE, by_client=side, to=to if side is by_client else 1 << 20)
            for side in (True, False)
        ]
        check(web_talk.read_web(sides[0], sides[1], frames_of), FACTS)


def test_an_answer_that_says_where_it_belongs_is_paired_without_the_beginning() -> None:
    """A capture that was started in the middle: the first answer belongs to a request that was not seen."""
    flights = [
        (False, reply(200, amt_answer(SETUP, "GetUuid", 1))),
        (True, post(mesh_call(SETUP, "CommitChanges", 2), digest())),
        (False, reply(200, amt_answer(SETUP, "CommitChanges", 2, 38))),
    ]
    talk = read(segments(flights), anchored=False)
    assert talk is not None
    paired, alone = talk.exchanges
    assert paired.result is not None
    assert (paired.user, paired.result.name) == ("admin", "PT_STATUS_FLASH_WRITE_LIMIT_EXCEEDED")
    assert (alone.method, alone.missing) == (None, ("request",))
    assert alone.call is not None
    assert (alone.call.method, alone.call.selectors) == ("GetUuid", None)


def test_an_answer_to_another_request_is_not_paired() -> None:
    talk = talk_of([(True, post(CALL)), (False, reply(200, amt_answer(SETUP, "Unprovision", 99)))])
    assert [(one.method, one.status) for one in talk.exchanges] == [("POST", None), (None, 200)]


# ------------------------------------------------------------------------------------------------- h11 agrees

TOKEN = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True)
VALUE = st.from_regex(r"([!-~]([ -~]{0,20}[!-~])?)?", fullmatch=True)
FRAMING = {
    "content-length",
    "transfer-encoding",
    "connection",
    "expect",
    "host",
    "upgrade",
    "content-encoding",
}
FIELDS = st.lists(st.tuples(TOKEN.filter(lambda name: name.lower() not in FRAMING), VALUE), max_size=5)
BODIES = st.binary(max_size=300)


def wire_of(start: str, fields: Sequence[tuple[str, str]], body: bytes, chunk: int) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in fields)]
    if not chunk:
        return "\r\n".join([*lines, f"Content-Length: {len(body)}"]).encode() + b"\r\n\r\n" + body
    parts = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    coded = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in parts)
    return (
        "\r\n".join([*lines, "Transfer-Encoding: chunked"]).encode()
        + b"\r\n\r\n"
        + coded
        + b"0\r\nX-T: 1\r\n\r\n"
    )


MESSAGES = st.lists(st.tuples(FIELDS, BODIES, st.integers(0, 40)), min_size=1, max_size=4)


def by_h11(data: bytes, count: int, *, asking: bool) -> list[tuple[bytes, list[tuple[bytes, bytes]], bytes]]:
    """What h11 reads of `count` messages in a row."""
    ours = h11.Connection(h11.SERVER if asking else h11.CLIENT)
    ours.receive_data(data)
    found = []
    for _ in range(count):
        if not asking:
            ours.send(
                h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")])
            )
            ours.send(h11.EndOfMessage())
        head, body = ours.next_event(), b""
        assert isinstance(head, h11.Request | h11.Response)
        while isinstance(event := ours.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage)
        start = head.target if isinstance(head, h11.Request) else str(head.status_code).encode()
        found.append((start, list(head.headers), body))
        if asking:
            ours.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            ours.send(h11.EndOfMessage())
        ours.start_next_cycle()
    return found


def ours(message: HttpMessage) -> tuple[bytes, list[tuple[bytes, bytes]], bytes | None]:
    start = message.target or str(message.status).encode()
    return start, sorted((k, v) for k, values in message.fields.items() for v in values), message.body


@given(MESSAGES)
def test_requests_as_h11_reads_them(said: list[tuple[list[tuple[str, str]], bytes, int]]) -> None:
    data = b"".join(
        wire_of(f"POST /{n} HTTP/1.1", [("Host", "x"), *f], body, c) for n, (f, body, c) in enumerate(said)
    )
    wanted = [(s, sorted(h), b) for s, h, b in by_h11(data, len(said), asking=True)]
    side = requests(assemble(segments([(True, data)]), by_client=True))
    assert ([ours(one) for one in side.messages], side.stopped) == (wanted, None)


@given(MESSAGES, st.sampled_from([200, 401, 400, 500]))
def test_answers_as_h11_reads_them(said: list[tuple[list[tuple[str, str]], bytes, int]], status: int) -> None:
    data = b"".join(wire_of(f"HTTP/1.1 {status} x", f, body, c) for f, body, c in said)
    wanted = [(s, sorted(h), b) for s, h, b in by_h11(data, len(said), asking=False)]
    side = answers(assemble(segments([(False, data)]), by_client=False), [b"POST"] * len(said))
    assert ([ours(one) for one in side.messages], side.stopped) == (wanted, None)


# ---------------------------------------------------------------------------------------------------- secrecy

SECRET = re.compile("s3cret", re.I)


def test_no_credential_leaves_the_reader() -> None:
    secret = "S3CRET"
    values = "".join(
        f"<r:{name}>{secret}</r:{name}>"
        for name in (
            "Password",
            "DigestPassword",
            "KeyBlob",
            "OTP",
            "NetworkAdminPassword",
            "ReturnValue",
            "Status",
        )
    )
    selector = mesh_call(SETUP, "SetMEBxPassword", 2, values=values).replace(
        b"Intel(r) AMT 0", secret.encode()
    )
    proof = (
        f'Authorization: Digest username="admin",realm="{REALM}",nonce="{secret}1",uri="/wsman?{secret}",'
        f'qop=auth,response="{secret * 6}",nc=00000001,cnonce="{secret}",opaque="{secret}"'
    )
    asking = f'WWW-Authenticate: Digest realm="{REALM}",nonce="{secret}1",opaque="{secret}",qop="auth"'
    cookie = f"Cookie: session={secret}"
    basic = "Authorization: Basic UzNDUkVUOlMzQ1JFVA=="
    flights = [
        (True, post(selector, cookie, path=f"/wsman?password={secret}")),
        (False, reply(401, b"", asking, f"Set-Cookie: session={secret}")),
        (True, post(selector, proof, cookie)),
        (False, reply(401, amt_fault(2), asking, f'Authentication-Info: nextnonce="{secret}"')),
        (True, post(selector, basic, path=f"http://admin:{secret}@device/wsman")),
        (False, reply(200, amt_answer(SETUP, "SetMEBxPassword", 2, content=values.replace("r:", "g:")))),
        (True, post(selector, f"Authorization: Negotiate {secret}", "Proxy-Authorization: Basic UzNDUkVU")),
        (False, reply(200, envelope(f"<x>{secret}</x>"), f"Server2: {secret}")),
        (True, post(selector[:-20], proof)),
        (False, refused()),
    ]  # fmt: skip
    talk = talk_of(flights)
    shown = repr(talk) + dumps(talk_json(talk))
    assert shown.count("admin") == 4
    assert not SECRET.search(shown)
    assert "UzND" not in shown
    for at in range(len(segments(flights))):
        wire = segments(flights)
        assert not SECRET.search(repr(read(wire[:at] + wire[at + 1 :], flights)))
