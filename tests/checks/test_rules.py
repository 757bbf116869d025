"""Every rule once where it has to speak, and once where it has to hold its tongue by a hair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest
from helpers import (
    DEVICE,
    FILE,
    JUNK_UUID,
    MAC,
    OTHER_MAC,
    OTHER_UUID,
    SERVER,
    START,
    AnyEvent,
    back,
    capture,
    case_of,
    followed,
    gather,
    hello,
    lease,
    link,
    lookup,
    ping,
    pong,
    replace,
    sighting,
)

from amtdiag.checks import connection, discovery, message, roots, schedule
from amtdiag.checks.base import Check
from amtdiag.checks.catalogue import (
    CAPTURE_DROPS,
    CHECKS,
    NOT_A_HELLO,
    OTHER_TITLES,
    capture_findings,
    examine,
    likeliest_first,
    stray_findings,
)
from amtdiag.checks.fleet import ODD_SERVER, PID_REUSED, SWEEP, compare, silence, traffic_findings
from amtdiag.config import Options
from amtdiag.model import SEVERITIES, ConnectionEvent, Finding, HelloEvent, Outcome, Severity, Unknown
from amtdiag.times import SECOND, clock
from amtdiag.trust.catalogue import Root
from amtdiag.trust.catalogue import roots as catalogue

Event = AnyEvent

TODAY = clock(START)[:10]
DAY = 86_400 * SECOND
OWN_ROOT = b"\xaa" * 32
OWN = Options(root_name="Example Root", root_digests=frozenset({OWN_ROOT}))


def digest_of(root: Root) -> bytes:
    return bytes.fromhex(root.sha256)


GOOD = digest_of(next(root for root in catalogue() if root.not_after > TODAY and not root.is_weak))
WEAK = digest_of(next(root for root in catalogue() if root.not_after > TODAY and root.is_weak))
EXPIRED_ROOT = next(root for root in catalogue() if root.not_after < TODAY)
EXPIRED = digest_of(EXPIRED_ROOT)


def on_the_last_day() -> HelloEvent:
    """A Hello captured on the day on which its root expires."""
    event = hello(digests=[EXPIRED])
    days = next(days for days in range(10_000) if clock(START - days * DAY)[:10] == EXPIRED_ROOT.not_after)
    return replace(event, ts=START - days * DAY)


def at_length(outcome: Outcome = "established", **fields: Any) -> ConnectionEvent:
    """A conversation on the device's TLS port that lasts a second and that the device ends."""
    talk = {"client_bytes": 517, "server_bytes": 7, "closed_by": "server", "lasts": 1.0, **fields}
    return back(1, outcome, **talk)


ANSWERED: list[Event] = [link(0, "established"), hello()]
"""A Hello that the server took."""
CUT: dict[str, Any] = {
    "complete": False,
    "problems": ("the message is cut by the sender: 60 of 841 bytes reach",),
}
LOST: dict[str, Any] = {
    "complete": False,
    "problems": ("bytes 300-599 of the message are not in the capture",),
}


ELSEWHERE = "192.168.2.149"
HOUR = 3600
DENIED = lookup(0, rcode="NXDOMAIN")
BARE = lookup(0, rcode="NXDOMAIN", name="provisionserver")
FAILED = lookup(0, rcode="SERVFAIL")
ASKED = lookup(1, SERVER)
REDIRECTION = back(0, "established", dport=16994, client_bytes=9, server_bytes=9)


def series(*hours: float) -> list[HelloEvent]:
    return [hello(HOUR * number) for number in hours]


def counts(*retries: int) -> list[HelloEvent]:
    return [hello(60 * place, retry_count=number) for place, number in enumerate(retries)]


@dataclass(frozen=True)
class Example:
    """What a device did that is a fault, and what is none though it looks much like it."""

    rule: type[Check]
    fault: Sequence[Event]
    near_miss: Sequence[Event]
    options: Options = Options()  # noqa: RUF009
    until: float = 600


EXAMPLES = [
    Example(connection.ServerRefusesHello, [link(0, "refused")], [link(0, "unanswered", syns=3)]),
    Example(connection.ServerSilent, [link(0, "unanswered", syns=2)], [link(0, "unanswered")]),
    Example(connection.NoConnectBack, ANSWERED, [*ANSWERED, back(5, "refused")]),
    Example(connection.ConnectBackRefused, [hello(), back(1, "refused")], [hello(2), back(1, "refused")]),
    Example(
        connection.ConnectBackUnanswered,
        [hello(), back(1, "unanswered", syns=2)],
        [hello(), back(1, "unanswered")],
    ),
    Example(connection.TlsEnded, [hello(), at_length()], [hello(), at_length(closed_by="client")]),
    Example(roots.RootNotListed, [hello()], [hello(digests=[GOOD, OWN_ROOT])], OWN),
    Example(roots.ZeroDigest, [hello(digests=[GOOD, bytes(32)])], [hello(digests=[GOOD, bytes(31) + b"\1"])]),
    Example(roots.UnknownDigest, [hello(digests=[GOOD, b"\1" * 32])], [hello(digests=[GOOD, bytes(32)])]),
    Example(roots.WeakRoot, [hello(digests=[GOOD, WEAK])], [hello(digests=[GOOD, b"\1" * 32])]),
    Example(roots.ExpiredRoot, [hello(digests=[GOOD, EXPIRED])], [on_the_last_day()]),
    Example(message.HelloDamaged, [hello(**CUT)], [hello(**LOST)]),
    Example(message.CaptureLoss, [hello(**LOST)], [hello(**CUT)]),
    Example(message.HelloSplit, [hello(segments=2)], [hello(segments=2, **CUT)]),
    Example(message.JunkUuid, [hello(uuid=JUNK_UUID)], [hello(uuid=JUNK_UUID[:-1] + "8")]),
    Example(message.PidCheckFailed, [hello(pid="0000037N")], [hello(pid="0000037M")]),
    Example(message.AdminCredentialsUnset, [hello(admin_credentials=0)], [hello(admin_credentials=None)]),
    Example(message.UndocumentedVersion, [hello(version=4)], [hello(version=None)]),
    Example(discovery.NoServerRecord, [DENIED], [DENIED, lookup(1, SERVER, name="provisionserver.corp")]),
    Example(discovery.NoSuffix, [BARE], [BARE, lookup(1, name="provisionserver.corp")]),
    Example(discovery.NoDomainOption, [lease(0, domain=None), ASKED], [lease(0), ASKED]),
    Example(discovery.NoDnsServer, [lease(0, dns=()), pong(1, "setup")], [lease(0), pong(1, "setup")]),
    Example(discovery.DnsRefuses, [FAILED], [FAILED, lookup(1, SERVER)]),
    Example(
        discovery.DnsSilent,
        [lookup(0, rcode=None, queries=2)],
        [lookup(0, rcode=None, queries=3), lookup(1, rcode="NXDOMAIN")],
    ),
    Example(discovery.ResolvedButSilent, [lookup(0, SERVER)], [lookup(0, SERVER), link(50, "unanswered")]),
    Example(
        discovery.ServerAmbiguous,
        [lookup(0, SERVER, other_addresses=("10.6.6.6",))],
        [lookup(0, SERVER, "10.6.6.6")],
    ),
    Example(
        discovery.SecondDhcpServer,
        [lease(0, "offer", server="10.6.6.6", domain="example.net"), lease(1), lookup(2, SERVER)],
        [lease(0, "offer", server="10.6.6.6"), lease(1), lookup(2, SERVER)],
    ),
    Example(schedule.GaveUp, [hello(retry_count=14)], [hello(retry_count=13)]),
    Example(schedule.WindowClosed, series(0, 3, 6), series(0, 2, 4), until=13 * HOUR),
    Example(schedule.StartsOver, counts(0, 1, 0, 1, 0), counts(0, 1, 2, 0, 1)),
    Example(
        schedule.ClonedUuid,
        [hello(mac=MAC), hello(10, src=ELSEWHERE, mac=OTHER_MAC), hello(60, mac=MAC)],
        [hello(mac=MAC), hello(10, src=ELSEWHERE, mac=MAC)],
    ),
    Example(
        schedule.ConnectsElsewhere,
        [hello(), back(1, "refused", dst="10.7.7.7")],
        [hello(), back(1, "refused", dst="10.7.7.7"), back(2, "refused")],
    ),
    Example(
        schedule.LeaseMoved,
        [hello(mac=MAC), lease(10, address=ELSEWHERE), back(20, "unanswered")],
        [hello(mac=MAC), back(5, "unanswered"), lease(10, address=ELSEWHERE)],
    ),
    Example(schedule.HelloAfterOperational, [REDIRECTION, hello(60)], [hello(-60), REDIRECTION]),
]  # fmt: skip
every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.rule.id)


def looked(
    rule: type[Check], events: Iterable[Event], until: float = 600, options: Options = OWN
) -> list[Finding | Unknown]:
    """What one rule says of one device."""
    return list(rule(options).look(case_of(events, until)))


def found(rule: type[Check], events: Iterable[Event], until: float = 600) -> Finding:
    """The one finding of a rule."""
    (finding,) = looked(rule, events, until)
    assert isinstance(finding, Finding)
    return finding


def unknown(rule: type[Check], events: Iterable[Event], until: float = 600) -> Unknown:
    """The one thing that a rule cannot tell."""
    (result,) = looked(rule, events, until)
    assert isinstance(result, Unknown)
    return result


# ------------------------------------------------------------------------------------------------- every rule


def test_every_rule_has_an_example() -> None:
    # Two devices are needed for that one: see test_two_devices_at_one_address.
    assert {example.rule for example in EXAMPLES} == set(CHECKS) - {schedule.SharedAddress}


@every_example
def test_the_fault_is_found(example: Example) -> None:
    rule = example.rule
    finding = found(rule, example.fault, example.until)
    assert (finding.rule, finding.severity, finding.category) == (rule.id, rule.severity, rule.category)
    assert finding.catalogue == rule.catalogue
    assert finding.device == case_of(example.fault).id
    assert (finding.basis, finding.confidence) == (rule.basis, rule.confidence)
    assert finding.count >= 1
    assert finding.evidence
    assert {one.file for one in finding.evidence} == {FILE}
    assert finding.first_ts is not None
    assert finding.last_ts is not None
    assert finding.first_ts <= finding.last_ts
    assert finding.summary.endswith(".")
    assert any(one in finding.display_filter for one in (DEVICE, ELSEWHERE, SERVER, MAC))
    assert not finding.overcome


@every_example
def test_the_near_miss_is_none(example: Example) -> None:
    results = looked(example.rule, example.near_miss, example.until)
    assert [one for one in results if isinstance(one, Finding)] == []


@pytest.mark.parametrize(
    "example",
    [
        one
        for one in EXAMPLES
        if issubclass(one.rule, message._HelloCheck) and one.rule is not message.JunkUuid
    ],
    ids=lambda example: example.rule.id,
)
def test_a_good_hello_hides_no_bad_one(example: Example) -> None:
    for events in permutations([*example.near_miss, *example.fault, hello(60)]):
        assert found(example.rule, events).count == 1


@every_example
def test_a_healthy_device_has_no_findings(example: Example) -> None:
    healthy: list[Event] = [
        link(0, "established"),
        hello(digests=[GOOD, OWN_ROOT]),
        at_length(closed_by="client", lasts=30.0),
    ]
    if example.rule is roots.UnknownDigest:
        healthy[1] = hello(digests=[GOOD])
    assert looked(example.rule, healthy) == []


# ---------------------------------------------------------------------------------- trouble that was overcome


@pytest.mark.parametrize(
    ("rule", "failed", "later"),
    [
        (connection.ServerRefusesHello, [link(0, "refused")], hello(9)),
        (connection.ServerRefusesHello, [link(0, "refused")], link(9, "established")),
        (connection.ServerSilent, [link(0, "unanswered", syns=3)], hello(9)),
        (connection.ConnectBackRefused, [hello(), back(1, "refused")], back(9, "established")),
        (connection.ConnectBackUnanswered, [hello(), back(1, "unanswered", syns=3)], back(9, "reset")),
    ],
)
def test_what_was_overcome_is_a_warning(rule: type[Check], failed: Sequence[Event], later: Event) -> None:
    assert found(rule, failed).severity == "error"
    finding = found(rule, [*failed, later])
    assert (finding.severity, finding.overcome) == ("warning", True)
    assert "got through" in finding.summary


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [(connection.ConnectBackRefused, "refused"), (connection.ConnectBackUnanswered, "unanswered")],
)
def test_what_failed_after_a_success_is_not_overcome(rule: type[Check], outcome: Outcome) -> None:
    failed = back(9, outcome, syns=3)
    finding = found(rule, [hello(), back(1, "established"), failed])
    assert (finding.severity, finding.overcome) == ("warning", False)
    assert "after an earlier attempt" in finding.summary


def test_attempts_are_counted_and_few_frames_are_named() -> None:
    finding = found(connection.ServerRefusesHello, [link(second, "refused") for second in range(20)])
    assert finding.count == 20
    assert len(finding.evidence) == 8
    assert (finding.first_ts, finding.last_ts) == (START, START + 19 * SECOND)


# ------------------------------------------------------------------------------------ what cannot be told yet


@pytest.mark.parametrize("seconds", [0.05, 30, 59])
def test_silence_is_no_fault_while_the_server_has_time(seconds: float) -> None:
    assert "the capture ends" in unknown(connection.NoConnectBack, ANSWERED, seconds).why


@pytest.mark.parametrize("seconds", [61, 600])
def test_silence_is_a_fault_once_patience_is_over(seconds: float) -> None:
    assert "never connects back" in found(connection.NoConnectBack, ANSWERED, seconds).summary


def test_silence_is_no_fault_where_the_server_is_not_seen() -> None:
    one_way: list[Event] = [link(0, "partial", server_seen=False, client_bytes=841), hello()]
    assert "no packet from the server" in unknown(connection.NoConnectBack, one_way).why


def test_silence_is_no_fault_where_the_capture_has_a_gap() -> None:
    """Two files a day apart: nobody was looking when the server would have connected back."""
    captures = [capture(5), capture(90_000, since=86_400)]
    cases = followed(*ANSWERED, captures=captures).cases
    (result,) = connection.NoConnectBack(OWN).look(cases[0])
    assert isinstance(result, Unknown)


def test_connections_before_the_first_hello_do_not_break_the_silence() -> None:
    assert found(connection.NoConnectBack, [back(-30, "established"), *ANSWERED]).count == 1


def test_a_psk_device_has_a_row_of_its_own() -> None:
    finding = found(connection.NoConnectBack, [link(0, "established"), hello(pid="0000037M")])
    assert finding.catalogue == "F13"
    assert "PID" in finding.candidates[0].cause


def test_no_hello_no_silence() -> None:
    assert looked(connection.NoConnectBack, [link(0, "refused")]) == []


def test_a_single_syn_at_the_end_of_a_capture_says_nothing() -> None:
    assert "ends right after" in unknown(connection.ServerSilent, [link(0, "unanswered")], until=0.5).why


def test_a_single_syn_without_repetition_says_nothing() -> None:
    assert "no repetition" in unknown(connection.ServerSilent, [link(0, "unanswered")]).why


def test_a_list_that_is_not_whole_may_hold_the_root() -> None:
    assert "Example Root" in unknown(roots.RootNotListed, [hello(**LOST)]).what


def test_without_a_root_of_ones_own_none_is_missed() -> None:
    assert looked(roots.RootNotListed, [hello()], options=Options()) == []


def test_a_pid_without_a_list_is_no_list_without_the_root() -> None:
    assert looked(roots.RootNotListed, [hello(pid="0000037M")]) == []


# ------------------------------------------------------------------------------------------- single questions


@pytest.mark.parametrize(
    "talk",
    [
        at_length(lasts=6.0),
        at_length(server_bytes=0),
        at_length(client_bytes=0),
        at_length(dport=16992),
        at_length("refused"),
    ],
    ids=["too long for a handshake", "device silent", "server silent", "no TLS port", "refused"],
)
def test_what_is_no_ended_handshake(talk: ConnectionEvent) -> None:
    assert looked(connection.TlsEnded, [hello(), talk]) == []


def test_only_the_last_handshake_counts() -> None:
    better = replace(at_length(closed_by="client"), ts=START + 9 * SECOND, last_ts=START + 10 * SECOND)
    assert looked(connection.TlsEnded, [hello(), at_length(), better]) == []


def test_an_operational_device_may_end_its_sessions() -> None:
    session = back(0.5, "established", dport=16994, client_bytes=9, server_bytes=9)
    assert looked(connection.TlsEnded, [hello(), session, at_length()]) == []


def test_a_plain_port_that_is_closed_gets_its_own_advice() -> None:
    assert "16.1" in found(connection.ConnectBackRefused, [hello(), back(1, "refused", dport=16992)]).remedy
    assert "16.1" not in found(connection.ConnectBackRefused, [hello(), back(1, "refused")]).remedy


def test_a_shared_address_makes_the_way_back_a_guess() -> None:
    case, _ = followed(hello(), hello(1, uuid=OTHER_UUID), back(0.5, "refused")).cases
    (finding,) = connection.ConnectBackRefused(OWN).look(case)
    assert isinstance(finding, Finding)
    assert (finding.basis, finding.confidence) == ("inferred", "medium")


def test_the_latest_list_is_judged() -> None:
    assert looked(roots.ZeroDigest, [hello(digests=[bytes(32)]), hello(60, digests=[GOOD])]) == []


def test_every_hello_of_a_kind_is_counted() -> None:
    hellos = [hello(second, admin_credentials=second % 2) for second in range(9)]
    finding = found(message.AdminCredentialsUnset, hellos)
    assert finding.count == 5
    assert finding.last_ts == START + 8 * SECOND


# ---------------------------------------------------------------------------------------- before the Hello


@pytest.mark.parametrize(
    ("rule", "events"),
    [
        (discovery.NoServerRecord, [DENIED, hello(30)]),
        (discovery.NoDomainOption, [lease(0, domain=None), link(5, "refused", mac=MAC)]),
        (discovery.DnsRefuses, [FAILED, link(5, "established"), hello(6)]),
        (discovery.NoDnsServer, [lease(0, dns=()), link(5, "refused", mac=MAC)]),
    ],
)
def test_who_reaches_a_server_has_overcome_it(rule: type[Check], events: Sequence[Event]) -> None:
    finding = found(rule, events)
    assert (finding.overcome, finding.severity) == (True, "warning")


@pytest.mark.parametrize(
    ("rule", "events", "until"),
    [
        (discovery.NoSuffix, [BARE], 4),
        (discovery.DnsSilent, [lookup(0, rcode=None), lookup(60, rcode=None)], 600),
        (discovery.DnsSilent, [lookup(0, rcode=None)], 600),
        (discovery.ResolvedButSilent, [lookup(0, SERVER)], 59),
        (schedule.GaveUp, [hello(retry_count=14)], 30),
    ],
)
def test_what_did_not_happen_yet_is_unknown(rule: type[Check], events: Sequence[Event], until: float) -> None:
    assert "capture" in unknown(rule, events, until).would_decide


@pytest.mark.parametrize(
    "rule", [rule for rule in CHECKS if rule.__module__.endswith("discovery")], ids=lambda rule: rule.id
)
def test_a_capture_at_the_server_blames_neither_dhcp_nor_dns(rule: type[Check]) -> None:
    """Taken where neither goes by: that they are not there says nothing."""
    assert looked(rule, [link(0, "established"), hello(), back(1, "refused")]) == []
    assert looked(rule, [link(0, "refused")]) == []


@pytest.mark.parametrize("kind", ["discover", "offer", "request", "nak"])
def test_only_an_acknowledged_lease_can_lack_options(kind: str) -> None:
    events: list[Event] = [sighting(-1, MAC), lease(0, kind, domain=None, dns=()), lookup(1, SERVER)]
    assert looked(discovery.NoDomainOption, events) == []
    assert looked(discovery.NoDnsServer, events) == []


def test_who_goes_on_to_a_server_was_answered_elsewhere() -> None:
    assert looked(discovery.DnsSilent, [lookup(0, rcode=None, queries=5), hello(30)]) == []


def test_a_question_asked_anew_was_not_answered() -> None:
    assert found(discovery.DnsSilent, [lookup(0, rcode=None), lookup(5, rcode=None)]).count == 2


def test_one_lease_with_a_domain_is_enough() -> None:
    assert looked(discovery.NoDomainOption, [lease(0, domain=None), lease(9), lookup(10, SERVER)]) == []


def test_what_the_client_asked_for_and_got_instead_is_said() -> None:
    events = [lease(0, "request", wanted=frozenset({1, 3})), lease(1, domain=None, search=True)]
    summary = found(discovery.NoDomainOption, [*events, lookup(2, SERVER)]).summary
    assert "did not ask" in summary
    assert "119" in summary


def test_an_answer_without_addresses_denies_the_name() -> None:
    assert "knows no address" in found(discovery.NoServerRecord, [lookup(0)]).summary


def test_a_device_that_falls_silent_after_a_connection_back_has_not_given_up() -> None:
    assert looked(schedule.GaveUp, [hello(retry_count=14), back(9, "established")]) == []


def test_two_devices_at_one_address() -> None:
    one, other = followed(hello(), hello(1, uuid=OTHER_UUID)).cases
    for case in (one, other):
        (finding,) = schedule.SharedAddress(OWN).look(case)
        assert isinstance(finding, Finding)
        assert (finding.severity, finding.catalogue) == ("warning", "F39")
    apart = followed(hello(), hello(1, uuid=OTHER_UUID, src=ELSEWHERE)).cases
    assert [list(schedule.SharedAddress(OWN).look(case)) for case in apart] == [[], []]


# ----------------------------------------------------------------------------------- devices compared


def device(number: int, **changes: Any) -> HelloEvent:
    return hello(
        number,
        **{
            "uuid": f"0000{number:04x}-13d4-1d18-e487-1c697a6b7a2b",
            "src": f"10.0.0.{number}",
            **changes,
        },
    )


def rules_of(*events: Event) -> list[tuple[str, str | None]]:
    return [(one.rule, one.device) for one in compare(followed(*events).cases)]


def test_a_pid_of_two_devices() -> None:
    shared = [device(number, pid="0000037M") for number in (1, 2)]
    assert rules_of(*shared) == [(PID_REUSED, None)]
    assert rules_of(device(1, pid="0000037M"), device(1, pid="0000037M")) == []


def to_server(event: HelloEvent, server: str) -> HelloEvent:
    return replace(event, ends=replace(event.ends, dst=server))


@pytest.mark.parametrize(("others", "odd"), [(3, False), (4, True)])
def test_one_that_goes_to_another_server(others: int, odd: bool) -> None:
    hellos = [device(number) for number in range(1, others + 1)]
    stray = to_server(device(99), "10.6.6.6")
    expected = [(ODD_SERVER, f"uuid:{stray.hello.uuid}")] if odd else []
    assert rules_of(*hellos, stray) == expected
    assert rules_of(*hellos, stray, to_server(device(98), "10.6.6.6")) == [], (
        "two of them are a second server"
    )


@pytest.mark.parametrize(("targets", "sweeps"), [(15, False), (16, True)])
def test_pings_to_many_addresses(targets: int, sweeps: bool) -> None:
    pings = [ping(number, f"10.0.0.{number}") for number in range(targets)]
    found = traffic_findings(gather([*pings, *(ping(number, asker="10.1.1.1") for number in range(99))]))
    assert [(one.rule, one.severity, one.count) for one in found] == (
        [(SWEEP, "info", targets)] if sweeps else []
    )
    assert all(len(one.evidence) <= 8 for one in found)


CUT_LEASE = lease(0, domain=None, dns=(), whole=False)
SIX_ONLY = lease(0, domain=None, dns=(), address=None)


@pytest.mark.parametrize(
    ("rule", "events"),
    [
        (discovery.NoDomainOption, [CUT_LEASE, ASKED]),
        (discovery.NoDomainOption, [SIX_ONLY, ASKED]),
        (discovery.NoDnsServer, [CUT_LEASE, pong(1, "setup")]),
        (discovery.NoServerRecord, [lookup(0, rcode="NOERROR", type="AAAA")]),
        (discovery.NoServerRecord, [DENIED, lookup(1, SERVER, name="provisionserver")]),
        (schedule.HelloAfterOperational, [hello(), pong(5, "operational"), lookup(9)]),
        (
            schedule.ConnectsElsewhere,
            [back(-5, "established", dst="10.7.7.7"), hello(), back(1, "refused", dst="10.7.7.7")],
        ),
        (schedule.ConnectsElsewhere, [hello(), *(back(1, "refused", dst=f"10.7.7.{n}") for n in range(3))]),
    ],
)  # fmt: skip
def test_what_proves_nothing(rule: type[Check], events: list[Event]) -> None:
    """Messages cut by the capture, of the other IP version, or meant for other machines."""
    case = case_of(events)
    assert not [one for one in rule(Options()).look(case) if isinstance(one, Finding)]


def test_silence_is_said_only_where_there_is_silence() -> None:
    stories: list[tuple[list[Event], bool]] = [
        ([], True),
        ([DENIED], False),
        ([hello()], False),
        ([link(0, "refused")], False),
    ]
    for events, silent in stories:
        assert bool(silence(gather(events), followed(*events).cases)) is silent


# -------------------------------------------------------------------------------------- beyond single devices


def test_strangers_at_the_hello_port() -> None:
    strays = [link(n, "established", src="10.0.0.9", foreign="an HTTP request") for n in range(3)]
    strays.append(link(5, "established", src="10.0.0.9", foreign="a TLS handshake"))
    strays.append(link(6, "established", src="10.0.0.8"))
    first, second = stray_findings(strays)
    assert (first.rule, first.count, first.severity, first.device) == (NOT_A_HELLO, 3, "info", None)
    assert first.summary == f"10.0.0.9 sent an HTTP request to port 9971 of {SERVER}: no Hello."
    assert second.count == 1
    assert first.id != second.id


def test_dropped_packets() -> None:
    captures = [capture(), capture(drops=0), capture(drops=37, file="lossy.pcapng")]
    (finding,) = capture_findings(captures)
    assert (finding.rule, finding.count, finding.device) == (CAPTURE_DROPS, 37, None)
    assert finding.summary.startswith("lossy.pcapng: ")


def test_examine_runs_every_rule_over_every_device() -> None:
    devices = [
        hello(n, uuid=f"0000000{n}-13d4-1d18-e487-1c697a6b7a2b", src=f"10.0.0.{n}", admin_credentials=0)
        for n in range(1, 4)
    ]
    findings, unknowns = examine(followed(*devices).cases, OWN)
    assert {(one.rule, one.device) for one in findings} >= {
        (rule, f"uuid:{event.hello.uuid}")
        for rule in ("admin-credentials-unset", "unknown-digest", "root-not-listed")
        for event in devices
    }
    assert {one.device for one in unknowns} == {f"uuid:{event.hello.uuid}" for event in devices}


# -------------------------------------------------------------------------------------------------- catalogue


def test_ids_are_unique_and_stable_words() -> None:
    ids = [check.id for check in CHECKS] + list(OTHER_TITLES)
    assert len(set(ids)) == len(ids)
    assert all(one.replace("-", "").isalnum() and one.islower() for one in ids)


@pytest.mark.parametrize("rule", CHECKS, ids=lambda rule: rule.id)
def test_every_rule_says_what_it_is(rule: type[Check]) -> None:
    assert rule.title[0].isupper()
    assert not rule.title.endswith(".")
    assert len(rule.title) <= 60
    assert rule.remedy.endswith(".")
    assert len(rule.source) > 10
    assert rule.__doc__
    assert rule.catalogue is None or (rule.catalogue[0] == "F" and rule.catalogue[1:].isdigit())
    if rule.category == "provisioning" and rule.severity == "error":
        assert rule.label, "what stands beside the stage in the table"


def ranked(*findings: tuple[str, Severity, int]) -> list[tuple[str, Severity]]:
    """Sort findings of (rule, severity, devices), given in the wrong order; each rule once."""
    template = found(message.AdminCredentialsUnset, [hello(admin_credentials=0)])
    made = [
        replace(template, rule=rule, severity=severity, device=f"ip:{number}")
        for rule, severity, devices in findings
        for number in range(devices)
    ]
    assert likeliest_first(made) == likeliest_first(reversed(made))
    return list(dict.fromkeys((one.rule, one.severity) for one in likeliest_first(made)))


def test_the_gravest_come_first() -> None:
    rules: list[tuple[str, Severity, int]] = [("weak-root", severity, 1) for severity in SEVERITIES]
    assert [severity for _, severity in ranked(*rules)] == list(reversed(SEVERITIES))


def test_of_equal_gravity_what_concerns_more_devices_comes_first() -> None:
    assert ranked(
        ("server-silent", "error", 1), ("no-connect-back", "error", 3), ("junk-uuid", "warning", 9)
    ) == [
        ("no-connect-back", "error"),
        ("server-silent", "error"),
        ("junk-uuid", "warning"),
    ]


def test_of_equal_number_the_earlier_step_comes_first() -> None:
    order: list[tuple[str, Severity, int]] = [
        ("not-a-rule", "error", 2),
        ("no-connect-back", "error", 2),
        ("server-refuses-hello", "error", 2),
    ]
    assert [rule for rule, _ in ranked(*order)] == [rule for rule, _, _ in reversed(order)]
