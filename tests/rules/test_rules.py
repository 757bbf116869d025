"""Every rule once where it has to speak, and once where it has to hold its tongue by a hair."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any, Literal

import conversations
import pytest
from conversations import Example
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
    asks,
    back,
    capture,
    case_of,
    followed,
    hello,
    lease,
    link,
    lookup,
    odd,
    ping,
    pong,
    replace,
    scene_of,
    sighting,
    vain,
)

from amtdiag.config import Options
from amtdiag.model import (
    SEVERITIES,
    ConnectionEvent,
    Crossing,
    Evidence,
    Finding,
    HelloEvent,
    Mode,
    Outcome,
    Severity,
    TlsConversation,
    Unknown,
    WebServer,
)
from amtdiag.model.tls import Missing
from amtdiag.rules import (
    after_resolution,
    connect_back,
    discovery,
    fleet,
    handshake,
    hello_delivery,
    hello_message,
    network_wide,
    roots,
    schedule,
    user_chain,
    wsman_calls,
)
from amtdiag.rules import lease as lease_rules
from amtdiag.rules.base import DeviceRule, FleetRule, Rule
from amtdiag.rules.catalogue import CHECKS, RULES, examine, likeliest_first
from amtdiag.simulator.certificates import SERVER_AUTH, SETUP_OID, Wish, authority, certify
from amtdiag.times import SECOND, clock
from amtdiag.trust.catalogue import CatalogueRoot
from amtdiag.trust.catalogue import roots as catalogue

Event = AnyEvent

TODAY = clock(START)[:10]
DAY = 86_400 * SECOND
OWN_ROOT = b"\xaa" * 32
OWN = Options(root_name="Example Root", root_digests=frozenset({OWN_ROOT}))


FIT = (SERVER_AUTH, SETUP_OID)
CHAIN = tuple(one.der for one in (certify(Wish("setup.example.com", usages=FIT), authority()), authority()))
LISTED = hello(digests=[hashlib.sha256(CHAIN[-1]).digest()])
OWN_CHAIN = Options(chain=CHAIN, chain_name="setup.example.com")


def digest_of(root: CatalogueRoot) -> bytes:
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


HIDDEN = TlsConversation(finished=None, alert_by=None, alert=None, version=0x0304)


def shaking(alert: int | None = None, by: Literal["client", "server"] = "server") -> TlsConversation:
    """A handshake that is not finished."""
    return TlsConversation(False, None if alert is None else by, alert)


def at_length(outcome: Outcome = "established", **fields: Any) -> ConnectionEvent:
    """A conversation on the device's TLS port that lasts a second and that the device ends."""
    talk = {
        "client_bytes": 517,
        "server_bytes": 7,
        "closed_by": "server",
        "lasts": 1.0,
        "tls": shaking(48),
        **fields,
    }
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
NAT_OFFER = "10.6.6.6"
FAILED = lookup(0, rcode="SERVFAIL")
ASKED = lookup(1, SERVER)
REDIRECTION = back(0, "established", dport=16994, client_bytes=9, server_bytes=9)


def series(*hours: float) -> list[HelloEvent]:
    return [hello(HOUR * number) for number in hours]


def counts(*retries: int) -> list[HelloEvent]:
    return [hello(60 * place, retry_count=number) for place, number in enumerate(retries)]


EXAMPLES = [
    *conversations.EXAMPLES,
    Example(hello_delivery.ServerRefusesHello, [link(0, "refused")], [link(0, "unanswered", syns=3)]),
    Example(hello_delivery.ServerSilent, [link(0, "unanswered", syns=2)], [link(0, "unanswered")]),
    Example(connect_back.NoConnectBack, ANSWERED, [*ANSWERED, back(5, "refused")]),
    Example(connect_back.ConnectBackRefused, [hello(), back(1, "refused")], [hello(2), back(1, "refused")]),
    Example(
        connect_back.ConnectBackUnanswered,
        [hello(), back(1, "unanswered", syns=2)],
        [hello(), back(1, "unanswered")],
    ),
    Example(
        handshake.TlsEnded,
        [hello(), at_length()],
        [hello(), at_length(tls=TlsConversation(finished=True, alert_by=None, alert=None))],
    ),
    Example(
        hello_delivery.ServerNotThere,
        [lookup(0, SERVER), vain(1, SERVER)],
        [lookup(0, SERVER), vain(1, "10.1.1.1")],
    ),
    Example(hello_delivery.ServerRejected, [link(0, "rejected", rejection="10.0.0.1 says: prohibited")], [
        link(0, "rejected", rejection="10.0.0.1 says: the host is not there")
    ]),
    Example(
        hello_delivery.WrongPort,
        [lookup(0, SERVER), odd(1)],
        [lookup(0, SERVER), odd(1), link(2, "refused")],
    ),
    Example(
        connect_back.ConnectBackRejected,
        [hello(), back(1, "rejected", rejection="10.0.0.1 says: prohibited")],
        [hello(2), back(1, "rejected", rejection="10.0.0.1 says: prohibited")],
    ),
    Example(
        discovery.CustomNameUnknown,
        [pong(0, "setup"), *(lookup(n, rcode="NXDOMAIN", name="sca.example.com") for n in (1, 9))],
        [pong(0, "setup"), lookup(1, rcode="NXDOMAIN", name="sca.example.com")],
    ),
    Example(
        after_resolution.Ipv6Only,
        [lookup(0, "fd00::10"), sighting(0, OTHER_MAC, "fd00::10")],
        [lookup(0, "fd00::10"), sighting(0, OTHER_MAC, "fd00::10"), lookup(1, SERVER)],
    ),
    Example(
        after_resolution.ServerOtherThanTold,
        [lookup(-9, "10.6.6.6"), hello()],
        [lookup(-9, "10.6.6.6"), lookup(-5, SERVER), hello()],
    ),
    Example(
        lease_rules.NoLease,
        [sighting(-9, MAC), pong(-9, "setup"), *(asks(n) for n in (0, 3, 9))],
        [sighting(-9, MAC), pong(-9, "setup"), *(asks(n) for n in (0, 3, 9)), lease(10, "offer")],
    ),
    Example(
        lease_rules.LeaseRefused,
        [sighting(-9, MAC), pong(-9, "setup"), asks(0), lease(1, "nak")],
        [sighting(-9, MAC), pong(-9, "setup"), asks(0), lease(1, "nak"), lease(5)],
    ),
    Example(
        lease_rules.AnotherDhcpServer,
        [lease(0, "offer", server=NAT_OFFER), lease(1), ASKED],
        [lease(0, "offer"), lease(1), ASKED],
    ),
    Example(
        schedule.ModesDisagree,
        [hello(), pong(5, "operational"), hello(30)],
        [hello(), pong(5, "operational"), hello(700)],
    ),
    Example(roots.RootNotListed, [hello()], [hello(digests=[GOOD, OWN_ROOT])], OWN),
    Example(user_chain.OwnChainRefused, [lease(-9), hello()], [lease(-9), LISTED], OWN_CHAIN),
    Example(
        user_chain.OwnChainDoubtful,
        [lease(-9, domain="a.example.com"), replace(LISTED, ts=START + 400 * DAY)],
        [lease(-9, domain="a.example.com"), LISTED],
        OWN_CHAIN,
    ),
    Example(user_chain.OwnChainFits, [lease(-9), LISTED], [lease(-9), hello()], OWN_CHAIN),
    Example(roots.ZeroDigest, [hello(digests=[GOOD, bytes(32)])], [hello(digests=[GOOD, bytes(31) + b"\1"])]),
    Example(roots.UnknownDigest, [hello(digests=[GOOD, b"\1" * 32])], [hello(digests=[GOOD, bytes(32)])]),
    Example(
        roots.DigestVanished,
        [hello(digests=[GOOD, OWN_ROOT]), hello(60, digests=[GOOD])],
        [hello(digests=[GOOD, WEAK]), hello(60, digests=[GOOD])],
    ),
    Example(
        roots.DigestAdded,
        [hello(digests=[GOOD]), hello(60, digests=[GOOD, OWN_ROOT])],
        [hello(digests=[GOOD], **LOST), hello(60, digests=[GOOD, OWN_ROOT])],
    ),
    Example(roots.WeakRoot, [hello(digests=[GOOD, WEAK])], [hello(digests=[GOOD, b"\1" * 32])]),
    Example(roots.ExpiredRoot, [hello(digests=[GOOD, EXPIRED])], [on_the_last_day()]),
    Example(hello_message.HelloDamaged, [hello(**CUT)], [hello(**LOST)]),
    Example(hello_message.CaptureLoss, [hello(**LOST)], [hello(**CUT)]),
    Example(hello_message.HelloSplit, [hello(segments=2)], [hello(segments=2, **CUT)]),
    Example(hello_message.JunkUuid, [hello(uuid=JUNK_UUID)], [hello(uuid=JUNK_UUID[:-1] + "8")]),
    Example(hello_message.PidCheckFailed, [hello(pid="0000037N")], [hello(pid="0000037M")]),
    Example(
        hello_message.AdminCredentialsUnset, [hello(admin_credentials=0)], [hello(admin_credentials=None)]
    ),
    Example(hello_message.UndocumentedVersion, [hello(version=4)], [hello(version=None)]),
    Example(discovery.NoServerRecord, [DENIED], [DENIED, lookup(1, SERVER, name="provisionserver.corp")]),
    Example(discovery.NoSuffix, [BARE], [BARE, lookup(1, name="provisionserver.corp")]),
    Example(
        lease_rules.NoDomainOption,
        [lease(0, domain=None), lookup(1, SERVER, name="provisionserver")],
        [lease(0), lookup(1, SERVER, name="provisionserver")],
    ),
    Example(lease_rules.NoDnsServer, [lease(0, dns=()), pong(1, "setup")], [lease(0), pong(1, "setup")]),
    Example(discovery.DnsRefuses, [FAILED], [FAILED, lookup(1, SERVER)]),
    Example(
        discovery.DnsSilent,
        [lookup(0, rcode=None, queries=2)],
        [lookup(0, rcode=None, queries=3), lookup(1, rcode="NXDOMAIN")],
    ),
    Example(
        after_resolution.ResolvedButSilent,
        [lookup(0, SERVER), sighting(0, OTHER_MAC, SERVER)],
        [lookup(0, SERVER), sighting(0, OTHER_MAC, SERVER), link(50, "unanswered")],
    ),
    Example(
        discovery.ServerAmbiguous,
        [lookup(0, SERVER, other_addresses=("10.6.6.6",))],
        [lookup(0, SERVER, "10.6.6.6")],
    ),
    Example(
        lease_rules.SecondDhcpServer,
        [lease(0, "offer", server="10.6.6.6", domain="example.net"), lease(1), lookup(2, SERVER)],
        [lease(0, "offer", server=NAT_OFFER), lease(1), lookup(2, SERVER)],
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
        connect_back.ConnectsElsewhere,
        [hello(), back(1, "refused", dst="10.7.7.7")],
        [hello(), back(1, "refused", dst="10.7.7.7"), back(2, "refused")],
    ),
    Example(
        connect_back.LeaseMoved,
        [hello(mac=MAC), lease(10, address=ELSEWHERE), back(20, "unanswered")],
        [hello(mac=MAC), back(5, "unanswered"), lease(10, address=ELSEWHERE)],
    ),
    Example(schedule.HelloAfterOperational, [REDIRECTION, hello(60)], [hello(-60), REDIRECTION]),
]  # fmt: skip
every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.rule.id)


def looked(
    rule: type[DeviceRule], events: Iterable[Event], until: float = 600, options: Options = OWN
) -> list[Finding | Unknown]:
    """What one rule says of one device."""
    return list(rule(options).look(case_of(events, until)))


def found(
    rule: type[DeviceRule], events: Iterable[Event], until: float = 600, options: Options = OWN
) -> Finding:
    """The one finding of a rule."""
    (finding,) = looked(rule, events, until, options)
    assert isinstance(finding, Finding)
    return finding


def unknown(
    rule: type[DeviceRule], events: Iterable[Event], until: float = 600, options: Options = OWN
) -> Unknown:
    """The one thing that a rule cannot tell."""
    (result,) = looked(rule, events, until, options)
    assert isinstance(result, Unknown)
    return result


# ------------------------------------------------------------------------------------------------- every rule


def test_every_rule_has_an_example() -> None:
    # Two devices are needed for two of them, and one says only what it cannot tell: see below.
    elsewhere = {schedule.SharedAddress, hello_delivery.RecordElsewhere, after_resolution.NotLooking}
    assert {example.rule for example in EXAMPLES} == set(CHECKS) - elsewhere


@every_example
def test_the_fault_is_found(example: Example) -> None:
    rule = example.rule
    finding = found(rule, example.fault, example.until, example.options)
    assert (finding.rule, finding.severity, finding.category) == (rule.id, rule.severity, rule.category)
    # Of a chain, the row is that of the rule which it breaks.
    row = (
        finding.catalogue
        if rule in (user_chain.OwnChainRefused, user_chain.OwnChainDoubtful)
        else rule.catalogue
    )
    assert finding.catalogue == row
    assert finding.device == case_of(example.fault).id
    if rule is lease_rules.LeaseRefused:
        return  # graver where no lease follows, see below
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
    results = looked(example.rule, example.near_miss, example.until, example.options)
    assert [one for one in results if isinstance(one, Finding)] == []


@pytest.mark.parametrize(
    "example",
    [
        one
        for one in EXAMPLES
        if issubclass(one.rule, hello_message._HelloCheck) and one.rule is not hello_message.JunkUuid
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
        at_length(
            closed_by="client", lasts=30.0, tls=TlsConversation(finished=True, alert_by=None, alert=None)
        ),
    ]
    if example.rule is roots.UnknownDigest:
        healthy[1] = hello(digests=[GOOD])
    assert looked(example.rule, healthy) == []


# ---------------------------------------------------------------------------------- trouble that was overcome


@pytest.mark.parametrize(
    ("rule", "failed", "later"),
    [
        (hello_delivery.ServerRefusesHello, [link(0, "refused")], hello(9)),
        (hello_delivery.ServerRefusesHello, [link(0, "refused")], link(9, "established")),
        (hello_delivery.ServerSilent, [link(0, "unanswered", syns=3)], hello(9)),
        (connect_back.ConnectBackRefused, [hello(), back(1, "refused")], back(9, "established")),
        (connect_back.ConnectBackUnanswered, [hello(), back(1, "unanswered", syns=3)], back(9, "reset")),
    ],
)
def test_what_was_overcome_is_a_warning(
    rule: type[DeviceRule], failed: Sequence[Event], later: Event
) -> None:
    assert found(rule, failed).severity == "error"
    finding = found(rule, [*failed, later])
    assert (finding.severity, finding.overcome) == ("warning", True)
    assert "got through" in finding.summary


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [(connect_back.ConnectBackRefused, "refused"), (connect_back.ConnectBackUnanswered, "unanswered")],
)
def test_what_failed_after_a_success_is_not_overcome(rule: type[DeviceRule], outcome: Outcome) -> None:
    failed = back(9, outcome, syns=3)
    finding = found(rule, [hello(), back(1, "established"), failed])
    assert (finding.severity, finding.overcome) == ("warning", False)
    assert "after an earlier attempt" in finding.summary


def test_attempts_are_counted_and_few_frames_are_named() -> None:
    finding = found(hello_delivery.ServerRefusesHello, [link(second, "refused") for second in range(20)])
    assert finding.count == 20
    assert len(finding.evidence) == 8
    assert (finding.first_ts, finding.last_ts) == (START, START + 19 * SECOND)


# ------------------------------------------------------------------------------------ what cannot be told yet


@pytest.mark.parametrize("seconds", [0.05, 15, 29])
def test_silence_is_no_fault_while_the_server_has_time(seconds: float) -> None:
    assert "the capture ends" in unknown(connect_back.NoConnectBack, ANSWERED, seconds).why


@pytest.mark.parametrize("seconds", [31, 600])
def test_silence_is_a_fault_once_patience_is_over(seconds: float) -> None:
    assert "never connects back" in found(connect_back.NoConnectBack, ANSWERED, seconds).summary


def test_silence_is_no_fault_where_the_server_is_not_seen() -> None:
    one_way: list[Event] = [link(0, "partial", server_seen=False, client_bytes=841), hello()]
    assert "no packet from the server" in unknown(connect_back.NoConnectBack, one_way).why


def test_silence_is_no_fault_where_the_capture_has_a_gap() -> None:
    """Two files a day apart: nobody was looking when the server would have connected back."""
    captures = [capture(5), capture(90_000, since=86_400)]
    cases = followed(*ANSWERED, captures=captures).cases
    (result,) = connect_back.NoConnectBack(OWN).look(cases[0])
    assert isinstance(result, Unknown)


def test_connections_before_the_first_hello_do_not_break_the_silence() -> None:
    assert found(connect_back.NoConnectBack, [back(-30, "established"), *ANSWERED]).count == 1


def test_a_psk_device_has_a_row_of_its_own() -> None:
    finding = found(connect_back.NoConnectBack, [link(0, "established"), hello(pid="0000037M")])
    assert finding.catalogue == "F13"
    assert "PID" in finding.candidates[0].cause


def test_no_hello_no_silence() -> None:
    assert looked(connect_back.NoConnectBack, [link(0, "refused")]) == []


def test_a_single_syn_at_the_end_of_a_capture_says_nothing() -> None:
    assert "ends right after" in unknown(hello_delivery.ServerSilent, [link(0, "unanswered")], until=0.5).why


def test_a_single_syn_without_repetition_says_nothing() -> None:
    assert "sent again" in unknown(hello_delivery.ServerSilent, [link(0, "unanswered")]).why


def test_a_list_that_is_not_whole_may_hold_the_root() -> None:
    assert "Example Root" in unknown(roots.RootNotListed, [hello(**LOST)]).what


def test_without_a_root_of_ones_own_none_is_missed() -> None:
    assert looked(roots.RootNotListed, [hello()], options=Options()) == []


def test_a_pid_without_a_list_is_no_list_without_the_root() -> None:
    assert looked(roots.RootNotListed, [hello(pid="0000037M")]) == []


def test_a_chain_of_ones_own_needs_a_lease_and_a_whole_list() -> None:
    said = unknown(user_chain.OwnChainFits, [LISTED], options=OWN_CHAIN)
    assert "setup.example.com" in said.what
    assert "DHCP" in said.would_decide
    lost = replace(hello(), hello=replace(hello().hello, complete=False))
    assert "not whole" in unknown(user_chain.OwnChainFits, [lease(-9), lost], options=OWN_CHAIN).why


@pytest.mark.parametrize("events", [[hello(pid="0000037M")], [pong(0, "operational")]])
def test_who_asks_for_no_certificate(events: Sequence[Event]) -> None:
    for rule in (user_chain.OwnChainRefused, user_chain.OwnChainDoubtful, user_chain.OwnChainFits):
        assert looked(rule, events, options=OWN_CHAIN) == []


def test_a_chain_that_breaks_a_rule_names_row_frames_and_remedy() -> None:
    finding = found(
        user_chain.OwnChainRefused, [lease(-9, domain="office.example"), LISTED], options=OWN_CHAIN
    )
    assert (finding.catalogue, finding.severity, finding.basis) == ("F22", "error", "inferred")
    assert "office.example" in finding.summary
    assert "option 15" in finding.remedy
    assert [one.frame for one in finding.evidence] == [4, 191]
    unlisted = found(user_chain.OwnChainRefused, [lease(-9), hello()], options=OWN_CHAIN)
    assert unlisted.catalogue == "F18"


def test_the_last_domain_of_each_dhcp_counts() -> None:
    leases = [
        lease(-9, domain="old.example"),
        lease(-8, domain="example.com"),
        lease(-7, version=6, domain="a.b"),
    ]
    assert user_chain.context_of(case_of([*leases, LISTED])).suffixes == ("example.com", "a.b")
    assert user_chain.context_of(case_of([lease(-9, domain=None), LISTED])).suffixes == ()
    assert user_chain.context_of(case_of([lease(-9, domain=None, whole=False), LISTED])).suffixes is None


def test_a_device_that_is_set_up_is_not_stuck_for_a_chain_it_is_not_shown() -> None:
    events: list[Event] = [hello(), pong(300, "operational")]
    assert found(user_chain.OwnChainRefused, events, options=OWN_CHAIN).severity == "warning"


# ------------------------------------------------------------------------------------------- single questions


@pytest.mark.parametrize(
    "talk",
    [
        at_length(server_bytes=0, tls=None),
        at_length(client_bytes=0, tls=shaking()),
        at_length(dport=16992),
        at_length("refused"),
        at_length(closed_by="client", tls=HIDDEN),
    ],
    ids=[
        "device silent",
        "server silent",
        "no TLS port",
        "refused",
        "TLS 1.3",
    ],
)
def test_what_is_no_ended_handshake(talk: ConnectionEvent) -> None:
    assert looked(handshake.TlsEnded, [hello(), talk]) == []


@pytest.mark.parametrize(
    ("talk", "who"),
    [
        (at_length(lasts=6.0, tls=shaking()), "the device"),
        (at_length(closed_by="client", tls=shaking()), "the server"),
        (at_length(closed_by="nobody", tls=shaking()), "nobody"),
    ],
    ids=["too long for a handshake", "the server ends it", "nobody does"],
)
def test_of_a_handshake_that_is_left_off_nothing_is_known_but_who(talk: ConnectionEvent, who: str) -> None:
    assert unknown(handshake.TlsEnded, [hello(), talk]).why.startswith(f"{who} ended it")


def test_tls_13_hides_why_the_device_hangs_up() -> None:
    assert "TLS 1.3" in unknown(handshake.TlsEnded, [hello(), at_length(tls=HIDDEN)]).why
    done = replace(
        at_length(), ts=START + 9 * SECOND, tls=TlsConversation(finished=True, alert_by=None, alert=None)
    )
    assert looked(handshake.TlsEnded, [hello(), at_length(tls=HIDDEN), done]) == []


def test_what_is_missing_of_a_handshake_is_named() -> None:
    lost = Missing("Certificate", "client", 1260, Evidence(FILE, 31), None)
    part = TlsConversation(finished=None, alert_by=None, alert=None, version=0x0303, missing=(lost,))
    text = "the client Certificate is not in this capture (1,260 bytes missing at frame 31)"
    assert unknown(handshake.TlsEnded, [hello(), at_length(tls=part)]).why == text
    done = replace(
        at_length(), ts=START + 9 * SECOND, tls=TlsConversation(finished=True, alert_by=None, alert=None)
    )
    assert looked(handshake.TlsEnded, [hello(), at_length(tls=part), done]) == []


def test_a_handshake_that_is_finished_later_is_what_counts() -> None:
    done = at_length(tls=TlsConversation(finished=True, alert_by=None, alert=None))
    better = replace(done, ts=START + 9 * SECOND, last_ts=START + 10 * SECOND)
    finding = found(handshake.TlsEnded, [hello(), at_length(), better])
    assert (finding.overcome, finding.severity) == (True, "warning")


@pytest.mark.parametrize(
    ("alert", "by", "who", "candidates"),
    [(48, "server", "The device", 1), (40, "client", "The server", 1), (90, "server", "The device", 3)],
)
def test_who_breaks_a_handshake_off_is_said(
    alert: int, by: Literal["client", "server"], who: str, candidates: int
) -> None:
    finding = found(handshake.TlsEnded, [hello(), at_length(tls=shaking(alert, by))])
    assert finding.summary.startswith(who)
    assert f"alert {alert} (" in finding.summary
    assert len(finding.candidates) == candidates


def test_without_an_alert_the_end_is_a_guess() -> None:
    finding = found(handshake.TlsEnded, [hello(), at_length(tls=shaking())])
    assert (finding.severity, finding.basis, finding.confidence) == ("warning", "inferred", "low")


def test_an_operational_device_may_end_its_sessions() -> None:
    session = back(0.5, "established", dport=16994, client_bytes=9, server_bytes=9)
    assert looked(handshake.TlsEnded, [hello(), session, at_length()]) == []


def test_a_plain_port_that_is_closed_gets_its_own_advice() -> None:
    assert "16.1" in found(connect_back.ConnectBackRefused, [hello(), back(1, "refused", dport=16992)]).remedy
    assert "16.1" not in found(connect_back.ConnectBackRefused, [hello(), back(1, "refused")]).remedy


def test_a_shared_address_makes_the_way_back_a_guess() -> None:
    case, _ = followed(hello(), hello(1, uuid=OTHER_UUID), back(0.5, "refused")).cases
    (finding,) = connect_back.ConnectBackRefused(OWN).look(case)
    assert isinstance(finding, Finding)
    assert (finding.basis, finding.confidence) == ("inferred", "medium")


def test_the_latest_list_is_judged() -> None:
    assert looked(roots.ZeroDigest, [hello(digests=[bytes(32)]), hello(60, digests=[GOOD])]) == []


def test_every_hello_of_a_kind_is_counted() -> None:
    hellos = [hello(second, admin_credentials=second % 2) for second in range(9)]
    finding = found(hello_message.AdminCredentialsUnset, hellos)
    assert finding.count == 5
    assert finding.last_ts == START + 8 * SECOND


# ---------------------------------------------------------------------------------------- before the Hello


@pytest.mark.parametrize(
    ("rule", "events"),
    [
        (discovery.NoServerRecord, [DENIED, hello(30)]),
        (lease_rules.NoDomainOption, [lease(0, domain=None), link(5, "refused", mac=MAC)]),
        (discovery.DnsRefuses, [FAILED, link(5, "established"), hello(6)]),
        (lease_rules.NoDnsServer, [lease(0, dns=()), link(5, "refused", mac=MAC)]),
    ],
)
def test_who_reaches_a_server_has_overcome_it(rule: type[DeviceRule], events: Sequence[Event]) -> None:
    finding = found(rule, events)
    assert (finding.overcome, finding.severity) == (True, "warning")


@pytest.mark.parametrize(
    ("rule", "events", "until"),
    [
        (discovery.NoSuffix, [BARE], 4),
        (discovery.DnsSilent, [lookup(0, rcode=None), lookup(60, rcode=None)], 600),
        (discovery.DnsSilent, [lookup(0, rcode=None)], 600),
        (after_resolution.ResolvedButSilent, [lookup(0, SERVER)], 29),
        (schedule.GaveUp, [hello(retry_count=14)], 30),
    ],
)
def test_what_did_not_happen_yet_is_unknown(
    rule: type[DeviceRule], events: Sequence[Event], until: float
) -> None:
    assert "capture" in unknown(rule, events, until).would_decide


@pytest.mark.parametrize(
    "rule",
    [rule for rule in CHECKS if rule.__module__.endswith(("discovery", "lease", "resolved"))],
    ids=lambda rule: rule.id,
)
def test_a_capture_at_the_server_blames_neither_dhcp_nor_dns(rule: type[DeviceRule]) -> None:
    """Taken where neither goes by: that they are not there says nothing."""
    assert looked(rule, [link(0, "established"), hello(), back(1, "refused")]) == []
    assert looked(rule, [link(0, "refused")]) == []


@pytest.mark.parametrize("kind", ["discover", "offer", "request", "nak"])
def test_only_an_acknowledged_lease_can_lack_options(kind: str) -> None:
    events: list[Event] = [sighting(-1, MAC), lease(0, kind, domain=None, dns=()), lookup(1, SERVER)]
    assert looked(lease_rules.NoDomainOption, events) == []
    assert looked(lease_rules.NoDnsServer, events) == []


def test_who_goes_on_to_a_server_was_answered_elsewhere() -> None:
    assert looked(discovery.DnsSilent, [lookup(0, rcode=None, queries=5), hello(30)]) == []


def test_a_question_asked_anew_was_not_answered() -> None:
    asked = [lookup(0, rcode=None), lookup(5, rcode=None)]
    assert found(discovery.DnsSilent, [sighting(-9, MAC), lease(-5), *asked]).count == 2


def test_a_question_asked_anew_may_have_been_answered_where_no_answer_would_be_seen() -> None:
    assert (
        "shows both directions"
        in unknown(discovery.DnsSilent, [lookup(0, rcode=None), lookup(5, rcode=None)]).would_decide
    )


@pytest.mark.parametrize("attempts", [1, 3])
def test_new_attempts_may_follow_refusals_that_are_not_seen(attempts: int) -> None:
    """Of a capture that holds what one side sends: a SYN that is sent again is another thing."""
    silent = [link(9 * n, "unanswered") for n in range(attempts)]
    assert "both directions" in unknown(hello_delivery.ServerSilent, silent).would_decide
    called = [back(9 * n, "unanswered") for n in range(attempts)]
    assert looked(connect_back.ConnectBackUnanswered, [lookup(-9, SERVER, queries=0), *called]) == []


def test_the_server_that_dns_names_may_be_out_of_view() -> None:
    assert (
        "nothing that the server sent" in unknown(after_resolution.ResolvedButSilent, [lookup(0, SERVER)]).why
    )


def test_one_lease_with_a_domain_is_enough() -> None:
    assert looked(lease_rules.NoDomainOption, [lease(0, domain=None), lease(9), lookup(10, SERVER)]) == []


def test_what_the_client_asked_for_and_got_instead_is_said() -> None:
    events = [lease(0, "request", wanted=frozenset({1, 3})), lease(1, domain=None, search=True)]
    summary = found(lease_rules.NoDomainOption, [*events, lookup(2, SERVER)]).summary
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


# ----------------------------------------------------------------------- what nobody answers, and who says so


def test_a_new_question_for_a_lease_may_follow_a_refusal_that_is_not_seen() -> None:
    asked = [asks(n, xid=n) for n in (1, 4, 9)]
    assert (
        "both directions"
        in unknown(lease_rules.NoLease, [sighting(-9, MAC), pong(-9, "setup"), *asked]).would_decide
    )


def test_a_device_that_asks_with_a_domain_has_one_from_elsewhere() -> None:
    finding = found(lease_rules.NoDomainOption, [lease(0, domain=None), DENIED])
    assert (finding.severity, finding.overcome) == ("warning", False)


def test_without_a_packet_of_the_server_ipv6_is_a_guess() -> None:
    finding = found(after_resolution.Ipv6Only, [lookup(0, "fd00::10")])
    assert (finding.severity, finding.confidence) == ("warning", "low")


def test_one_question_for_a_lease_says_nothing() -> None:
    assert "sent again" in unknown(lease_rules.NoLease, [sighting(-9, MAC), pong(-9, "setup"), asks(0)]).why


def test_dhcpv6_in_vain_is_the_rule_in_most_networks() -> None:
    solicits = [asks(n, version=6) for n in (0, 3, 9)]
    assert looked(lease_rules.NoLease, [sighting(-9, MAC), pong(-9, "setup"), *solicits]) == []


def test_a_machine_that_nothing_shows_to_have_amt_is_conjecture() -> None:
    events = [asks(0), lease(1, dns=())]
    finding = found(lease_rules.NoDnsServer, events)
    assert (finding.severity, finding.basis, finding.confidence) == ("warning", "inferred", "low")
    assert not case_of(events).device.is_amt


def test_beside_a_device_other_clients_are_none() -> None:
    cases = followed(hello(), asks(0, mac=OTHER_MAC), asks(5, mac=OTHER_MAC)).cases
    assert [case.id for case in cases] == [f"uuid:{hello().hello.uuid}"]


def test_a_lease_without_a_fault_makes_no_device() -> None:
    assert followed(asks(0), lease(1)).cases == []


def test_the_device_that_is_gone_when_it_is_called_back() -> None:
    finding = found(connect_back.ConnectBackUnanswered, [hello(), vain(1, DEVICE, asker=SERVER)])
    assert "who has" in finding.summary
    assert finding.severity == "error"
    assert looked(connect_back.NoConnectBack, [*ANSWERED, vain(1, DEVICE, asker=SERVER)]) == []


@pytest.mark.parametrize(
    "events",
    [
        [vain(-30, DEVICE, asker=SERVER), hello()],
        [hello(), vain(1, DEVICE, asker="10.9.9.9")],
        [hello(), vain(90, DEVICE, asker=SERVER)],
        [hello(), back(1, "established"), vain(9, DEVICE, asker=SERVER)],
        [hello(), lease(5, mac=MAC), vain(1, DEVICE, asker=SERVER)],
    ],
    ids=["before the Hello", "somebody else asks", "long after", "it had been reached", "DHCP looks first"],
)
def test_who_is_asked_for_in_vain_and_was_not_called_back(events: list[Event]) -> None:
    assert looked(connect_back.ConnectBackUnanswered, events) == []


def test_a_server_that_is_reached_later_was_there_after_all() -> None:
    assert found(
        hello_delivery.ServerNotThere, [lookup(0, SERVER), vain(1, SERVER), link(9, "established")]
    ).overcome


def test_what_two_sensors_show_is_said() -> None:
    lost = link(0, "unanswered", crossing=Crossing("SYN", "device.pcapng", "server.pcapng"))
    finding = found(hello_delivery.ServerSilent, [lost])
    assert "in device.pcapng and not in server.pcapng" in finding.summary
    assert finding.confidence == "high"
    assert finding.candidates == ()


REVERSE = "148.2.168.192.in-addr.arpa"


@pytest.mark.parametrize(("address", "says"), [("10.7.7.7", "the address 10.7.7.7"), (None, "no address")])
def test_a_name_that_leads_the_server_elsewhere(address: str | None, says: str) -> None:
    asked = [
        lookup(1, client=SERVER, name=REVERSE, type="PTR", names=("pc-old.example.com",)),
        lookup(1.1, *([address] if address else []), client=SERVER, name="pc-old.example.com"),
    ]
    finding = found(connect_back.ConnectsElsewhere, [*ANSWERED, *asked])
    assert says in finding.summary
    assert looked(connect_back.NoConnectBack, [*ANSWERED, *asked]) == []


def test_a_name_that_leads_to_the_device_is_right() -> None:
    asked = [
        lookup(1, client=SERVER, name=REVERSE, type="PTR", names=("pc.example.com",)),
        lookup(1.1, DEVICE, client=SERVER, name="pc.example.com"),
    ]
    assert looked(connect_back.ConnectsElsewhere, [*ANSWERED, *asked]) == []


def test_a_server_that_stopped_over_a_hello() -> None:
    finding = found(hello_delivery.ServerRefusesHello, [*ANSWERED, link(60, "refused")])
    assert "it has stopped since" in finding.summary
    assert "ended" in finding.candidates[0].cause


def test_a_server_that_stopped_will_not_call_back_however_short_the_capture() -> None:
    assert found(connect_back.NoConnectBack, [*ANSWERED, link(5, "refused")], until=6).catalogue == "F10"


def test_a_sweep_on_its_own_segment_is_mostly_arp() -> None:
    asked = [vain(n, f"10.0.0.{n}", asker=SERVER) for n in range(20)]
    (finding,) = seen(network_wide.RmcpSweep, ping(0), *asked)
    assert isinstance(finding, Finding)
    assert "21 addresses" in finding.summary
    assert seen(network_wide.RmcpSweep, *asked) == []


def test_a_question_that_cannot_be_delivered_needs_no_repetition() -> None:
    finding = found(
        discovery.DnsSilent, [lookup(0, rcode=None, rejection="10.0.0.1 says: the port is closed")]
    )
    assert "the port is closed" in finding.summary


def test_a_refused_bare_name_is_no_fault_beside_another() -> None:
    events = [lookup(0, rcode="REFUSED", name="provisionserver"), DENIED]
    assert looked(discovery.DnsRefuses, events) == []
    assert found(discovery.DnsRefuses, [lookup(0, rcode="REFUSED", name="provisionserver")]).count == 1


def test_dns_leads_one_device_astray_and_not_the_other() -> None:
    events: list[Event] = [lookup(0, "10.6.6.6"), link(1, "refused", dst="10.6.6.6"), hello(src=ELSEWHERE)]
    cases = followed(*events).cases
    results = [one for case in cases for one in hello_delivery.RecordElsewhere(OWN).look(case)]
    (finding,) = results
    assert isinstance(finding, Finding)
    assert (finding.catalogue, finding.severity) == ("F05", "warning")
    alone = followed(*events[:2]).cases
    assert [one for case in alone for one in hello_delivery.RecordElsewhere(OWN).look(case)] == []


@pytest.mark.parametrize(("mode", "asks_why"), [("factory", True), ("setup", True), ("operational", False)])
def test_a_device_that_does_not_look_for_its_server(mode: Mode, asks_why: bool) -> None:
    results = looked(after_resolution.NotLooking, [pong(0, mode)])
    assert [isinstance(one, Unknown) for one in results] == [True] * asks_why
    assert looked(after_resolution.NotLooking, [pong(0, mode)], until=20) == []


def test_a_cloned_uuid_behind_a_router() -> None:
    turns = [hello(60 * n, src=(DEVICE, ELSEWHERE)[n % 2]) for n in range(4)]
    assert found(schedule.ClonedUuid, turns).confidence == "medium"
    assert looked(schedule.ClonedUuid, turns[:3]) == []


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


def seen(
    rule: type[FleetRule], *events: Event, options: Options = OWN, **changes: Any
) -> list[Finding | Unknown]:
    """What a rule says of all that was seen."""
    return list(rule(options).look(scene_of(*events, **changes)))


def rules_of(*events: Event, options: Options = OWN) -> list[tuple[str, str | None]]:
    rules = (fleet.PidReused, fleet.UnexpectedServer, fleet.PskAmongPki, fleet.PkiAmongPsk)
    results = [one for rule in rules for one in seen(rule, *events, options=options)]
    return [(one.rule, one.device) for one in results if isinstance(one, Finding)]


def test_a_pid_of_two_devices() -> None:
    shared = [device(number, pid="0000037M") for number in (1, 2)]
    assert rules_of(*shared) == [("pid-reused", None)]
    assert rules_of(device(1, pid="0000037M"), device(1, pid="0000037M")) == []


def to_server(event: HelloEvent, server: str) -> HelloEvent:
    return replace(event, ends=replace(event.ends, dst=server))


@pytest.mark.parametrize(("others", "odd"), [(3, False), (4, True)])
def test_one_that_goes_to_another_server(others: int, odd: bool) -> None:
    hellos = [device(number) for number in range(1, others + 1)]
    stray = to_server(device(99), "10.6.6.6")
    expected = [("unexpected-server", f"uuid:{stray.hello.uuid}")] if odd else []
    assert rules_of(*hellos, stray) == expected
    assert rules_of(*hellos, stray, to_server(device(98), "10.6.6.6")) == [], (
        "two of them are a second server"
    )


def test_a_server_that_was_not_named() -> None:
    mine = Options(servers=frozenset({SERVER}))
    assert rules_of(device(1), options=mine) == []
    stray = to_server(device(99), "10.6.6.6")
    assert rules_of(device(1), stray, options=mine) == [("unexpected-server", f"uuid:{stray.hello.uuid}")]


@pytest.mark.parametrize(
    ("odd_one", "usual", "rule"),
    [("0000037M", None, "psk-among-pki"), (None, "0000037M", "pki-among-psk")],
)
def test_a_type_that_the_server_does_not_serve(odd_one: str | None, usual: str | None, rule: str) -> None:
    served: list[Event] = [device(1, pid=usual), back(2, "established", dst="10.0.0.1")]
    left = device(9, pid=odd_one)
    assert rules_of(*served, left) == [(rule, f"uuid:{left.hello.uuid}")]
    alike = rules_of(*served, device(9, pid=usual, digests=[b"\1" * 32]))
    assert alike == ([] if usual is None else [("pid-reused", None)])
    assert rules_of(left) == []


@pytest.mark.parametrize(("targets", "scans"), [(3, False), (4, True)])
def test_attempts_at_many_servers(targets: int, scans: bool) -> None:
    tries = [link(n, "refused", src="10.9.9.9", dst=f"10.0.0.{n}") for n in range(targets)]
    results = seen(network_wide.PortSweep, *tries)
    assert [one.count for one in results if isinstance(one, Finding)] == ([targets] if scans else [])


def test_a_scanner_on_its_own_segment_is_told_by_arp_too() -> None:
    """Three addresses are somebody's; one of them was slow to answer ARP, six are nobody's."""
    tries = [link(n, "refused", src="10.9.9.9", dst=f"10.9.9.{n}") for n in (1, 2, 3)]
    asked = [vain(n, f"10.9.9.{n}", asker="10.9.9.9") for n in range(3, 10)]
    (found,) = seen(network_wide.PortSweep, *tries, *asked, vain(9, "10.9.9.99", asker="10.9.9.8"))
    assert isinstance(found, Finding)
    assert "at 3 addresses" in found.summary
    assert found.summary.endswith("and asks in vain for 6 more.")


def test_other_ways_of_management_are_named_where_no_hello_is() -> None:
    talk: dict[str, Any] = {"client_bytes": 99, "server_bytes": 99}
    cira = link(0, "established", dport=4433, dst="10.0.0.44", **talk)
    web = back(1, "established", dport=16992, dst=ELSEWHERE, web=WebServer("11.8.50", 401), **talk)
    name = lookup(2, "10.0.0.80", client="10.0.0.5", name="rps.example.com")
    other = lookup(3, "10.0.0.81", client="10.0.0.5", name="rpsomething.example.com")
    results = seen(network_wide.AnotherPath, cira, web, name, other)
    said = [one.summary for one in results if isinstance(one, Finding)]
    assert [text.partition(":")[0] for text in said] == [DEVICE, ELSEWHERE, "10.0.0.5"]
    assert "rpsomething" not in said[2]
    assert seen(network_wide.AnotherPath, cira, web, name, hello(src="10.0.0.99")) == []


@pytest.mark.parametrize(("targets", "sweeps"), [(15, False), (16, True)])
def test_pings_to_many_addresses(targets: int, sweeps: bool) -> None:
    pings = [ping(number, f"10.0.0.{number}") for number in range(targets)]
    results = seen(network_wide.RmcpSweep, *pings, *(ping(number, asker="10.1.1.1") for number in range(99)))
    found = [one for one in results if isinstance(one, Finding)]
    assert [(one.rule, one.severity, one.count) for one in found] == (
        [("rmcp-sweep", "info", targets)] if sweeps else []
    )
    assert all(len(one.evidence) <= 8 for one in found)


CUT_LEASE = lease(0, domain=None, dns=(), whole=False)
SIX_ONLY = lease(0, domain=None, dns=(), address=None)


@pytest.mark.parametrize(
    ("rule", "events"),
    [
        (lease_rules.NoDomainOption, [CUT_LEASE, ASKED]),
        (lease_rules.NoDomainOption, [SIX_ONLY, ASKED]),
        (lease_rules.NoDnsServer, [CUT_LEASE, pong(1, "setup")]),
        (discovery.NoServerRecord, [lookup(0, rcode="NOERROR", type="AAAA")]),
        (discovery.NoServerRecord, [DENIED, lookup(1, SERVER, name="provisionserver")]),
        (schedule.HelloAfterOperational, [hello(), pong(5, "operational"), lookup(9)]),
        (
            connect_back.ConnectsElsewhere,
            [back(-5, "established", dst="10.7.7.7"), hello(), back(1, "refused", dst="10.7.7.7")],
        ),
        (
            connect_back.ConnectsElsewhere,
            [hello(), *(back(1, "refused", dst=f"10.7.7.{n}") for n in range(3))],
        ),
    ],
)  # fmt: skip
def test_what_proves_nothing(rule: type[DeviceRule], events: list[Event]) -> None:
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
        assert bool(seen(network_wide.NoHello, *events)) is silent


# -------------------------------------------------------------------------------------- beyond single devices


def test_strangers_at_the_hello_port() -> None:
    strays = [link(n, "established", src="10.0.0.9", foreign="an HTTP request") for n in range(3)]
    strays.append(link(5, "established", src="10.0.0.9", foreign="a TLS handshake"))
    strays.append(link(6, "established", src="10.0.0.8"))
    first, second = (one for one in seen(network_wide.NotAHello, *strays) if isinstance(one, Finding))
    assert (first.rule, first.count, first.severity, first.device) == ("not-a-hello", 3, "info", None)
    assert first.summary == f"10.0.0.9 sent an HTTP request to port 9971 of {SERVER}: no Hello."
    assert second.count == 1
    assert first.id != second.id


def test_dropped_packets() -> None:
    captures = [capture(), capture(drops=0), capture(drops=37, file="lossy.pcapng")]
    (finding,) = seen(network_wide.CaptureDrops, captures=captures)
    assert isinstance(finding, Finding)
    assert (finding.rule, finding.count, finding.device) == ("capture-drops", 37, None)
    assert finding.summary.startswith("lossy.pcapng: ")


def test_examine_runs_every_rule_over_every_device() -> None:
    devices = [
        hello(n, uuid=f"0000000{n}-13d4-1d18-e487-1c697a6b7a2b", src=f"10.0.0.{n}", admin_credentials=0)
        for n in range(1, 4)
    ]
    findings, unknowns = examine(scene_of(*devices), OWN)
    assert {(one.rule, one.device) for one in findings} >= {
        (rule, f"uuid:{event.hello.uuid}")
        for rule in ("admin-credentials-unset", "unknown-digest", "root-not-listed")
        for event in devices
    }
    assert {one.device for one in unknowns} == {f"uuid:{event.hello.uuid}" for event in devices}


# -------------------------------------------------------------------------------------------------- catalogue


def test_ids_are_unique_and_stable_words() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert all(one.replace("-", "").isalnum() and one.islower() for one in ids)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_says_what_it_is(rule: type[Rule]) -> None:
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
    template = found(hello_message.AdminCredentialsUnset, [hello(admin_credentials=0)])
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


def test_a_return_value_that_a_source_explains_has_its_own_remedy() -> None:
    refused = conversations.exchange(1, "SetMEBxPassword", value=16)
    other = conversations.exchange(1, "SetMEBxPassword", value=2054)
    told = [
        found(wsman_calls.CallFails, [hello(), conversations.web(1, one)]).remedy for one in (refused, other)
    ]
    assert told[0].startswith("MEBx has a policy for this call")
    assert told[1] == wsman_calls.CallFails.remedy
