"""Events to devices: who they are, which of them an event belongs to, and how far they came."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations
from typing import get_args

import pytest
from helpers import (
    DEVICE,
    FILE,
    JUNK_UUID,
    MAC,
    OTHER_MAC,
    OTHER_UUID,
    ROUTER_MAC,
    SERVER,
    START,
    UUID,
    AnyEvent,
    asks,
    back,
    capture,
    case_of,
    coverage,
    ends,
    followed,
    hello,
    lease,
    link,
    lookup,
    pong,
    sighting,
    vain,
)
from hypothesis import given
from hypothesis import strategies as st

from amtdiag.devices.identity import Macs, scanners
from amtdiag.devices.modes import TRANSITIONS, UNKNOWN, Sign, Trigger, history
from amtdiag.model import ConnectionEvent, Evidence, HelloEvent, Outcome, StageReached
from amtdiag.protocols.hello import is_junk_uuid
from amtdiag.times import SECOND

ELSEWHERE = "192.168.2.149"
NOBODY = "00000000-0000-0000-0000-000000000000"


def ids(*events: AnyEvent) -> list[str]:
    return [case.id for case in followed(*events).cases]


# --------------------------------------------------------------------------------------------------- identity


@pytest.mark.parametrize(
    ("uuid", "junk"),
    [(NOBODY, True), ("ffffffff-ffff-ffff-ffff-ffffffffffff", True), (JUNK_UUID, True), (UUID, False)],
)
def test_junk_uuids(uuid: str, junk: bool) -> None:
    assert is_junk_uuid(uuid) is junk


@pytest.mark.parametrize(
    ("uuid", "mac", "identity"),
    [
        (UUID, MAC, f"uuid:{UUID}"),
        (UUID, None, f"uuid:{UUID}"),
        (JUNK_UUID, MAC, f"mac:{MAC}"),
        (NOBODY, MAC, f"mac:{MAC}"),
        (JUNK_UUID, None, f"ip:{DEVICE}@2026-03-02T09:01:12.000000000Z"),
    ],
)
def test_the_strongest_name_counts(uuid: str, mac: str | None, identity: str) -> None:
    assert ids(hello(uuid=uuid, mac=mac)) == [identity]


def test_a_hello_without_its_header_is_named_by_its_mac() -> None:
    assert ids(hello(mac=MAC, headless=True)) == [f"mac:{MAC}"]


def test_devices_with_one_junk_uuid_are_told_apart_by_mac() -> None:
    one, other = (
        hello(uuid=JUNK_UUID, src=src, mac=mac) for src, mac in ((DEVICE, MAC), (ELSEWHERE, OTHER_MAC))
    )
    assert ids(one, other) == [f"mac:{MAC}", f"mac:{OTHER_MAC}"]


def test_a_mac_of_several_addresses_is_a_router() -> None:
    behind = [hello(n, uuid=JUNK_UUID, src=f"10.0.0.{n}", mac=ROUTER_MAC) for n in (1, 2)]
    cases = followed(*behind).cases
    assert [case.id.partition("@")[0] for case in cases] == ["ip:10.0.0.1", "ip:10.0.0.2"]
    assert all(case.device.macs == () for case in cases)
    assert not any(ROUTER_MAC in alias for case in cases for alias in case.device.aliases)


@pytest.mark.parametrize("local", ["fe80::1e69:7aff:fe00:1", "169.254.3.4"])
def test_a_link_local_address_makes_no_router(local: str) -> None:
    macs = Macs()
    for address in (DEVICE, local):
        macs.learn(ends(src=address, src_mac=MAC))
    assert macs.at(DEVICE, START, MAC) == MAC
    macs.learn(ends(src=ELSEWHERE, src_mac=MAC))
    assert macs.at(DEVICE, START, MAC) is None


def test_no_mac_identifies_nobody() -> None:
    assert Macs().at(DEVICE, START) is None
    assert Macs().at(DEVICE, START, MAC) is None


def test_a_hello_without_a_name_goes_to_who_lived_there() -> None:
    whole = hello(30)
    for events in permutations([hello(headless=True), whole, hello(60, headless=True)]):
        assert ids(*events) == [f"uuid:{UUID}"]
        assert [record.event.ts for record in case_of(events).hellos] == sorted(one.ts for one in events)


def test_a_uuid_that_many_share_is_not_that_of_who_lived_there() -> None:
    """Whoever has the placeholder has no other UUID: it is another device."""
    shared = [hello(second, uuid=JUNK_UUID) for second in (60, 90)]
    assert ids(hello(), *shared) == [f"uuid:{UUID}", f"ip:{DEVICE}@2026-03-02T09:02:12.000000000Z"]


def test_one_address_with_a_shared_uuid_stays_one_device() -> None:
    case = case_of([hello(second, uuid=JUNK_UUID) for second in (0, 20, 50)])
    assert (case.id, len(case.hellos)) == (f"ip:{DEVICE}@2026-03-02T09:01:12.000000000Z", 3)
    assert not case.shared_address


def test_every_name_of_a_device_is_an_alias() -> None:
    device = case_of([hello(mac=MAC)]).device
    assert device.aliases == (f"mac:{MAC}", f"ip:{DEVICE}@2026-03-02T09:01:12.000000000Z")
    assert device.id not in device.aliases


# --------------------------------------------------------------------------------------------------- scanners


def scan(count: int) -> list[ConnectionEvent]:
    return [link(n / 10, "refused", src="10.9.9.9", dst=f"10.0.0.{n}") for n in range(count)]


@pytest.mark.parametrize(("servers", "is_scanner"), [(3, False), (4, True), (30, True)])
def test_who_tries_many_servers_scans(servers: int, is_scanner: bool) -> None:
    attempts = scan(servers)
    assert scanners(attempts, []) == (frozenset({"10.9.9.9"}) if is_scanner else frozenset())
    found = followed(*attempts)
    assert bool(found.cases) is not is_scanner
    assert len(found.strays) == (servers if is_scanner else 0)


def test_on_its_own_segment_a_scan_is_mostly_arp() -> None:
    """Of 200 addresses two are there; for the others nobody answers, and no SYN is sent."""
    asked = [vain(n / 10, f"10.0.0.{n}", asker="10.9.9.9") for n in range(30, 60)]
    tries = scan(2)
    assert scanners(tries, asked) == frozenset({"10.9.9.9"})
    assert followed(*tries, *asked).cases == []
    assert scanners(tries, [vain(1, SERVER, asker="10.9.9.9")]) == frozenset()


def test_a_console_is_no_server_that_calls_back() -> None:
    """Somebody else than the server tries the device's ports: that is none of its story."""
    visit = back(300, "refused", src="10.0.0.99")
    case = case_of([hello(), back(1, "established"), visit])
    assert (len(case.returns), [link.ends for link in case.visits]) == (1, [visit.ends])
    assert [link.kind for link in case.links] == ["connect_back", "console"]
    soon = case_of([hello(), back(1, "refused", src="10.0.0.11")])
    assert len(soon.returns) == 1, "a server may have several addresses"


def test_many_attempts_at_one_server_are_no_scan() -> None:
    assert scanners([link(n, "refused") for n in range(100)], []) == frozenset()


def test_a_device_is_a_device_even_if_it_scans() -> None:
    assert ids(*scan(30), hello(src="10.9.9.9")) == [f"uuid:{UUID}"]


# -------------------------------------------------------------------------------------- whose is a connection


@pytest.mark.parametrize(
    ("mac", "identity"), [(MAC, f"mac:{MAC}"), (None, f"ip:{DEVICE}@2026-03-02T09:01:12.000000000Z")]
)
def test_a_failed_attempt_alone_makes_a_device(mac: str | None, identity: str) -> None:
    (case,) = followed(link(0, "refused", mac=mac), link(9, "refused", mac=mac)).cases
    assert (case.id, len(case.attempts)) == (identity, 2)
    assert (case.device.uuid, case.device.hello_type) == (None, None)
    assert case.device.macs == ((mac,) if mac else ())


def test_an_established_connection_without_a_hello_makes_none() -> None:
    found = followed(link(0, "established"))
    assert found.cases == []
    assert len(found.strays) == 1


def test_attempts_before_the_first_hello_are_the_devices() -> None:
    case = case_of([link(-30, "refused"), link(0, "established"), hello()])
    assert case.id == f"uuid:{UUID}"
    assert [one.outcome for one in case.attempts] == ["refused", "established"]


def test_what_is_no_hello_is_a_stray() -> None:
    found = followed(hello(), link(5, "established", foreign="an HTTP request"))
    assert found.cases[0].attempts == []
    assert [one.foreign for one in found.strays] == ["an HTTP request"]


def test_connections_to_strangers_are_nobodys() -> None:
    case = case_of([hello(), back(1, "refused", dst="10.7.7.7")])
    assert case.returns == []


def test_a_hello_on_an_odd_port_makes_that_port_a_hello_port() -> None:
    event = hello()
    odd = HelloEvent(event.ts, ends(dport=40_000), event.evidence, 1, event.hello)
    case = case_of([odd, link(-1, "refused", dport=40_000)])
    assert len(case.attempts) == 1


def test_two_uuids_behind_one_address() -> None:
    """What comes back to a shared address may be for either: that is inferred."""
    found = followed(hello(), hello(10, uuid=OTHER_UUID), back(5, "established"), back(15, "refused"))
    first, second = found.cases
    assert first.shared_address
    assert second.shared_address
    assert ([one.outcome for one in first.returns], [one.outcome for one in second.returns]) == (
        ["established"],
        ["refused"],
    )
    for case in found.cases:
        assert stage(case.device.stages, "connect_back").basis == "inferred"
        assert stage(case.device.stages, "hello").basis == "observed"


def test_one_uuid_at_an_address_is_observed() -> None:
    case = case_of([hello(), hello(10), back(15, "refused")])
    assert not case.shared_address
    assert stage(case.device.stages, "connect_back").basis == "observed"


def test_a_device_whose_address_changes() -> None:
    """What goes to the old address later on, when another device has it, is that one's."""
    found = followed(
        hello(mac=MAC),
        back(1, "refused"),
        hello(100, src=ELSEWHERE, mac=MAC),
        back(101, "established", dst=ELSEWHERE),
        hello(200, uuid=OTHER_UUID, src=DEVICE, mac=OTHER_MAC),
        back(201, "unanswered"),
    )
    moved, newcomer = found.cases
    assert moved.device.ips == (DEVICE, ELSEWHERE)
    assert [one.outcome for one in moved.returns] == ["refused", "established"]
    assert [one.outcome for one in newcomer.returns] == ["unanswered"]
    assert moved.device.macs == (), "a MAC with two addresses proves nothing"
    assert newcomer.device.macs == (OTHER_MAC,)


def test_the_order_of_events_does_not_matter() -> None:
    hellos = [hello(0), hello(60), hello(5, uuid=OTHER_UUID, src=ELSEWHERE)]
    links = [link(-1, "established"), back(1, "refused"), back(61, "established")]
    results = {
        tuple(case.device for case in followed(*h, *c).cases).__repr__()
        for h in permutations(hellos)
        for c in permutations(links)
    }
    assert len(results) == 1


def test_no_more_devices_than_asked_for() -> None:
    hellos = [hello(n, uuid=f"0000{n:04x}-13d4-1d18-e487-1c697a6b7a2b", src=f"10.0.0.{n}") for n in range(20)]
    found = followed(*hellos, most=5)
    assert len(found.cases) == len(found.hellos) == 5


def test_what_a_device_record_adds_up() -> None:
    events = [hello(second, retry_count=number) for number, second in enumerate((0, 20, 50))]
    device = case_of([*events, back(51, "established", lasts=4)]).device
    assert (device.hellos, device.retry_counts, device.gaps) == (3, (0, 1, 2), (20 * SECOND, 30 * SECOND))
    assert (device.first_seen, device.last_seen) == (START, START + 55 * SECOND)
    assert (device.server, device.hello_type, device.suffix) == (SERVER, "pki", None)


# ----------------------------------------------------------------------------------------------------- stages


def stage(stages: Sequence[StageReached], name: str) -> StageReached:
    (found,) = (one for one in stages if one.name == name)
    return found


def reached(*events: AnyEvent) -> list[tuple[str, bool | None]]:
    return [(one.name, one.passed) for one in case_of(events).device.stages]


@pytest.mark.parametrize(
    ("outcome", "passed"),
    [("established", True), ("reset", True), ("partial", True), ("refused", False), ("unanswered", False)],
)
def test_connections_pass_or_fail(outcome: Outcome, passed: bool) -> None:
    assert reached(hello(), link(-1, outcome))[0] == ("connection", passed)
    assert reached(hello(), back(1, outcome))[-1] == ("connect_back", passed)


def test_one_success_is_enough() -> None:
    assert reached(link(-9, "refused"), link(-1, "established"), hello())[0] == ("connection", True)


def test_a_hello_that_is_not_whole_is_open() -> None:
    cut = hello(complete=False)
    assert reached(cut) == [("hello", None)]
    assert reached(cut, hello(9)) == [("hello", True)]


@pytest.mark.parametrize(
    ("talk", "stages"),
    [
        ({"client_bytes": 1, "server_bytes": 1}, ["hello", "connect_back", "tls"]),
        ({"client_bytes": 1, "server_bytes": 1, "dport": 664}, ["hello", "connect_back", "tls"]),
        ({"client_bytes": 1, "server_bytes": 1, "dport": 16992}, ["hello", "connect_back"]),
        ({"client_bytes": 1}, ["hello", "connect_back"]),
        ({"server_bytes": 1}, ["hello", "connect_back"]),
    ],
)
def test_tls_wants_bytes_both_ways_on_its_port(talk: dict[str, int], stages: list[str]) -> None:
    device = case_of([hello(), back(1, "established", **talk)]).device
    assert [one.name for one in device.stages] == stages
    assert device.stage == stages[-1]


def test_what_came_before_the_first_hello_is_another_story() -> None:
    assert reached(back(-60, "established", client_bytes=9, server_bytes=9), hello()) == [("hello", True)]


def test_a_stage_names_its_frames() -> None:
    device = case_of([link(0, "refused"), link(9, "established"), hello(9)]).device
    assert stage(device.stages, "connection").evidence == link(9, "established").evidence
    assert stage(device.stages, "connection").at == START


# ------------------------------------------------------------------------------------------------------ modes


def sign(at: int, trigger: Trigger) -> Sign:
    return Sign(at, trigger, (Evidence("trace.pcapng", at),))


def test_every_trigger_has_one_row() -> None:
    assert sorted(row.trigger for row in TRANSITIONS) == sorted(get_args(Trigger))
    assert all((row.basis == "observed") is (row.weight == "decisive") for row in TRANSITIONS)
    assert {row.trigger for row in TRANSITIONS if row.basis == "observed"} == {
        "hello", "pong-factory", "pong-setup", "pong-operational", "commit", "unprovision",
        "partial-unprovision",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("triggers", "modes"),
    [
        ("", "unknown"),
        ("hello", "setup"),
        ("hello hello hello", "setup"),
        ("redirection", "operational"),
        ("hello redirection", "setup operational"),
        ("hello redirection cira", "setup operational"),
        ("cira hello", "operational setup"),
        ("hello cira hello", "setup operational setup"),
    ],
)
def test_modes_follow_the_table(triggers: str, modes: str) -> None:
    signs = [sign(at, trigger) for at, trigger in enumerate(triggers.split(), 1)]  # type: ignore[arg-type]
    for given_order in (signs, signs[::-1]):
        assert [span.name for span in history(given_order)] == modes.split()


def test_nothing_seen_nothing_known() -> None:
    assert history([]) == (UNKNOWN,)
    assert (UNKNOWN.basis, UNKNOWN.since, UNKNOWN.evidence) == ("none", None, ())
    assert case_of([link(0, "refused")]).device.mode == UNKNOWN


def test_a_mode_begins_with_its_first_sign() -> None:
    first, second = history([sign(9, "cira"), sign(3, "hello"), sign(5, "hello"), sign(7, "redirection")])
    assert (first.since, first.basis, first.evidence[0].frame) == (3, "observed", 3)
    assert (second.since, second.basis, second.evidence[0].frame) == (7, "inferred", 7)


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from([row.trigger for row in TRANSITIONS]))))
def test_histories_are_in_order_and_change_each_time(signs: list[tuple[int, Trigger]]) -> None:
    spans = history([sign(*one) for one in signs])
    assert all(one.name != following.name for one, following in pairwise(spans))
    starts = [span.since for span in spans if span.since is not None]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("event", "mode"),
    [
        (back(5, "established", dport=16994, client_bytes=1, server_bytes=1), "operational"),
        (back(5, "reset", dport=16995, client_bytes=1, server_bytes=1), "operational"),
        (back(5, "established", dport=16994, client_bytes=1), "setup"),
        (back(5, "refused", dport=16994), "setup"),
        (back(5, "established", dport=16993, client_bytes=999, server_bytes=999), "setup"),
        (link(5, "established", dst="10.8.8.8", dport=4433, client_bytes=1, server_bytes=1), "operational"),
        (link(5, "unanswered", dst="10.8.8.8", dport=4433), "setup"),
    ],
    ids=[
        "redirection",
        "redirection reset",
        "one way",
        "refused",
        "TLS is not enough",
        "CIRA",
        "CIRA silent",
    ],
)
def test_what_shows_a_mode(event: ConnectionEvent, mode: str) -> None:
    assert case_of([hello(), event]).device.mode.name == mode


# ------------------------------------------------------------------------------------------------- visibility


@pytest.mark.parametrize(
    ("events", "to_server", "to_device"),
    [
        ([hello()], True, False),
        ([hello(), link(0, "established")], True, True),
        ([hello(), link(0, "partial", server_seen=False)], True, False),
        ([hello(), back(1, "unanswered")], True, True),
        ([link(0, "unanswered", syns=3)], True, False),
        ([link(0, "refused")], True, True),
    ],
)
def test_directions_that_a_capture_shows(
    events: list[HelloEvent | ConnectionEvent], to_server: bool, to_device: bool
) -> None:
    assert case_of(events).device.visibility == {
        "dhcp": False,
        "dns": False,
        "rmcp": False,
        "device_to_server": to_server,
        "server_to_device": to_device,
    }


def test_coverage_goes_on_across_the_seam_of_two_files() -> None:
    covered = coverage(capture(100), capture(300, since=130))
    assert covered.until(START, [FILE]) == START + 300 * SECOND


def test_coverage_ends_at_a_gap() -> None:
    covered = coverage(capture(300, since=161), capture(100))
    assert covered.until(START, [FILE]) == START + 100 * SECOND
    assert covered.until(START + 200 * SECOND, [FILE]) == START + 300 * SECOND


def test_a_file_within_another_does_not_shorten_it() -> None:
    assert coverage(capture(300), capture(10)).until(START, [FILE]) == START + 300 * SECOND


def test_outside_of_all_captures_nothing_is_covered() -> None:
    covered = coverage(capture(100), capture(first_ts=None, last_ts=None))
    assert covered.until(START + 101 * SECOND, [FILE]) == START + 101 * SECOND
    assert coverage().until(START, [FILE]) == START


# --------------------------------------------------------------------------------------------- lanes together


def test_the_whole_way() -> None:
    events: list[AnyEvent] = [
        lease(0, "discover"),
        lease(1),
        lookup(2, SERVER),
        link(3, "established"),
        hello(3),
        back(4, "established", client_bytes=9, server_bytes=9),
    ]
    device = case_of(events).device
    assert [(one.name, one.passed) for one in device.stages] == [
        ("discovery", True),
        ("resolution", True),
        ("connection", True),
        ("hello", True),
        ("connect_back", True),
        ("tls", None),
    ]
    assert [one.at for one in device.stages] == sorted(one.at for one in device.stages)
    seen = ("dhcp", "dns", "device_to_server", "server_to_device")
    assert device.visibility == {**dict.fromkeys(seen, True), "rmcp": False}


def test_stages_that_failed() -> None:
    is_amt: list[AnyEvent] = [sighting(-9, MAC), pong(-9, "setup")]
    assert reached(*is_amt, asks(0, xid=1), asks(4, xid=1)) == [("discovery", False)]
    assert reached(*is_amt, lease(0, "request"), lease(1, "nak")) == [("discovery", False)]


@pytest.mark.parametrize(
    "leases",
    [
        [lease(0, "discover")],  # the capture ends
        [lease(0, "discover", xid=1), lease(1, "discover", xid=2)],  # it may have been refused in between
        [lease(0, "discover", xid=1), lease(3, "offer"), lease(3, "discover", xid=1)],
    ],
)
def test_a_lease_that_may_yet_come(leases: list[AnyEvent]) -> None:
    assert reached(sighting(-9, MAC), pong(-9, "setup"), *leases) == [("discovery", None)]


def test_who_asks_dns_has_an_address() -> None:
    asked = [asks(n, xid=1) for n in (0, 4, 8)]
    assert reached(sighting(-1, MAC), *asked, lookup(9, rcode="NXDOMAIN")) == [
        ("discovery", None),
        ("resolution", False),
    ]


@pytest.mark.parametrize(
    ("events", "lanes"),
    [
        ([lease(0, "request"), lease(1)], {"dhcp"}),
        ([lease(1)], set()),
        ([lookup(0, SERVER)], {"dns"}),
        ([lookup(0, rcode="SERVFAIL")], {"dns"}),
        ([lookup(0, rcode=None)], set()),
    ],
)
def test_dhcp_and_dns_are_seen_where_both_ways_are(events: list[AnyEvent], lanes: set[str]) -> None:
    visibility = case_of([sighting(-1, MAC), *events, link(9, "refused")]).device.visibility
    assert {lane for lane in ("dhcp", "dns") if visibility[lane]} == lanes


def test_a_decisive_sign_replaces_a_strong_one() -> None:
    (span,) = history([sign(1, "discovery"), sign(5, "hello"), sign(9, "pong-setup")])
    assert (span.name, span.basis, span.weight, span.since) == ("setup", "observed", "decisive", 1)
    assert span.evidence[0].frame == 5


def test_a_strong_sign_does_not_replace_a_decisive_one() -> None:
    (span,) = history([sign(1, "hello"), sign(5, "discovery")])
    assert (span.basis, span.weight, span.evidence[0].frame) == ("observed", "decisive", 1)


def test_signs_that_contradict_each_other_stay() -> None:
    spans = history([sign(1, "pong-operational"), sign(2, "hello"), sign(3, "pong-factory"), sign(4, "cira")])
    assert [(one.name, one.weight) for one in spans] == [
        ("operational", "decisive"),
        ("setup", "decisive"),
        ("factory", "decisive"),
        ("operational", "strong"),
    ]


def test_a_pong_of_unknown_mode_says_nothing() -> None:
    assert case_of([pong(0, "unknown")]).device.mode == UNKNOWN
