"""Whose is it? Captures that invite the wrong answer."""

from __future__ import annotations

from helpers import (
    DEVICE,
    DNS_SERVER,
    JUNK_UUID,
    MAC,
    OTHER_MAC,
    OTHER_UUID,
    ROUTER_MAC,
    SERVER,
    UUID,
    AnyEvent,
    back,
    case_of,
    followed,
    hello,
    lease,
    link,
    lookup,
    pong,
    sighting,
)

from amtdiag.devices.identity import uuid_hints

ELSEWHERE = "192.168.2.149"
IP_ID = f"ip:{DEVICE}@2026-03-02T09:01:12.000000000Z"


def uuid_of(number: int) -> str:
    return f"0000{number:04x}-13d4-1d18-e487-1c697a6b7a2b"


def ids(*events: AnyEvent) -> list[str]:
    return [case.id for case in followed(*events).cases]


# ----------------------------------------------------------------------------------------------- routers


def test_five_devices_behind_a_router() -> None:
    """Taken at the server: every packet comes from the router's MAC, which is nobody's."""
    events: list[AnyEvent] = []
    for number in range(1, 6):
        address = f"10.0.{number}.9"
        events.append(hello(number, uuid=uuid_of(number), src=address, mac=ROUTER_MAC))
        events.append(lookup(number - 0.5, SERVER, client=address))
        events.append(back(number + 0.1, "refused", dst=address))
    cases = followed(*events).cases
    assert [case.id for case in cases] == [f"uuid:{uuid_of(number)}" for number in range(1, 6)]
    assert all(case.device.macs == () for case in cases)
    assert [(len(case.lookups), len(case.returns)) for case in cases] == [(1, 1)] * 5


def test_five_attempts_behind_a_router() -> None:
    attempts = [link(number, "refused", src=f"10.0.{number}.9", mac=ROUTER_MAC) for number in range(1, 6)]
    assert [one.partition("@")[0] for one in ids(*attempts)] == [
        f"ip:10.0.{number}.9" for number in range(1, 6)
    ]


def test_a_router_that_answers_arp_for_others() -> None:
    """Proxy ARP: one MAC claims the addresses of all of them."""
    addresses = [f"10.0.0.{number}" for number in range(1, 7)]
    claims = [sighting(0, ROUTER_MAC, one) for one in addresses]
    asked = [lookup(number, SERVER, client=one) for number, one in enumerate(addresses)]
    cases = followed(*claims, *asked).cases
    assert len(cases) == 6
    assert all(case.device.macs == () for case in cases)


def test_arp_names_the_device_behind_a_lookup() -> None:
    assert ids(sighting(-5, MAC), lookup(0, SERVER)) == [f"mac:{MAC}"]


# ------------------------------------------------------------------------------------------------- UUIDs


def test_one_uuid_of_two_machines() -> None:
    """They are one device to the server; both MACs show."""
    case = case_of([hello(mac=MAC), hello(5, src=ELSEWHERE, mac=OTHER_MAC), hello(20, mac=MAC)])
    assert case.id == f"uuid:{UUID}"
    assert set(case.macs) == {MAC, OTHER_MAC}
    assert case.device.ips == (DEVICE, ELSEWHERE)


def test_a_placeholder_uuid_of_two_machines() -> None:
    assert ids(
        hello(uuid=JUNK_UUID, mac=MAC),
        hello(5, uuid=JUNK_UUID, src=ELSEWHERE, mac=OTHER_MAC),
        lease(1, mac=MAC),
    ) == [f"mac:{MAC}", f"mac:{OTHER_MAC}"]


def test_two_uuids_of_one_address() -> None:
    cases = followed(hello(), hello(5, uuid=OTHER_UUID), lookup(-1, SERVER)).cases
    assert {case.id for case in cases} == {f"uuid:{UUID}", f"uuid:{OTHER_UUID}"}
    assert all(case.shared_address for case in cases)


def test_what_a_uuid_hints_at() -> None:
    assert uuid_hints(None, []) == ()
    assert uuid_hints(UUID, [MAC]) == ()
    (hint,) = uuid_hints(UUID, ["1c:69:7a:6b:7a:2b"])
    assert "1c:69:7a:6b:7a:2b" in hint
    (hint,) = uuid_hints(OTHER_UUID, [])
    assert "Dell" in hint
    assert "5B" in hint or "tag" in hint


# ------------------------------------------------------------------------------------------------ leases


def test_a_lease_that_moves() -> None:
    """One device, two addresses; what goes to its old one is still for it until somebody else is there."""
    case = case_of(
        [
            lease(0),
            lookup(1, SERVER),
            hello(2, headless=True),
            lease(100, address=ELSEWHERE),
            lookup(101, SERVER, client=ELSEWHERE),
            hello(102, src=ELSEWHERE, headless=True),
            back(103, "refused", dst=ELSEWHERE),
            back(104, "unanswered"),
        ]
    )
    assert case.id == f"mac:{MAC}"
    assert case.device.macs == (MAC,)
    assert case.device.ips == (DEVICE, ELSEWHERE)
    assert (len(case.leases), len(case.lookups), len(case.hellos), len(case.returns)) == (2, 2, 2, 2)


def test_a_lease_that_passes_to_another_device() -> None:
    cases = followed(
        lease(0),
        lookup(1, SERVER),
        lease(100, mac=OTHER_MAC),
        lookup(101, SERVER),
        back(50, "refused"),
        back(150, "established"),
    ).cases
    assert [(case.id, len(case.lookups)) for case in cases] == [(f"mac:{MAC}", 1), (f"mac:{OTHER_MAC}", 1)]
    assert [[one.outcome for one in case.returns] for case in cases] == [["refused"], ["established"]]


def test_the_mac_of_the_lease_names_the_device_before_its_hello() -> None:
    case = case_of([lease(0), lookup(1, SERVER), link(2, "established"), hello(2)])
    assert (case.id, case.device.macs) == (f"uuid:{UUID}", (MAC,))
    assert f"mac:{MAC}" in case.device.aliases
    assert case.device.suffix == "example.com"
    assert len(case.leases) == 1


def test_an_offer_gives_no_address() -> None:
    assert ids(lease(0, "offer"), lookup(1, SERVER)) == [IP_ID.replace("09:01:12", "09:01:13")]


def test_a_lease_alone_is_no_device() -> None:
    assert ids(lease(0), lease(5, mac=OTHER_MAC, address=ELSEWHERE)) == []


# --------------------------------------------------------------------------------------------------- DNS


def test_who_never_says_hello_but_looks_for_a_server() -> None:
    case = case_of([lookup(0, rcode="NXDOMAIN"), lookup(9, rcode="NXDOMAIN")])
    assert (case.id, len(case.lookups), case.hellos) == (IP_ID, 2, [])
    assert case.device.mode.name == "setup"
    assert case.device.mode.basis == "inferred"


def test_a_resolver_that_passes_the_question_on_is_no_device() -> None:
    forwarded = lookup(0.01, SERVER, client=DNS_SERVER, server="203.0.113.53")
    assert ids(lookup(0, SERVER), forwarded) == [IP_ID]


def test_a_name_of_its_own() -> None:
    """It asks for a name that is not the usual one, and goes where the answer says."""
    own = lookup(-1, SERVER, name="sca.corp.example")
    other = lookup(-1, "203.0.113.80", name="www.example.com")
    late = lookup(30, SERVER, name="late.corp.example")
    case = case_of([other, own, link(0, "established"), hello(), late])
    assert [one.name for one in case.lookups] == ["sca.corp.example"]


def test_a_custom_name_alone_is_no_device() -> None:
    assert ids(lookup(0, SERVER, name="sca.corp.example")) == []


# -------------------------------------------------------------------------------------------------- RMCP


def test_a_pong_makes_a_device() -> None:
    case = case_of([sighting(-1, MAC), pong(0, "factory")])
    assert (case.id, case.device.mode.name, case.device.stage) == (f"mac:{MAC}", "factory", "discovery")
    assert case.device.firmware == "AMT 9.0 (it says so itself)"


def test_a_pong_belongs_to_who_says_hello_there() -> None:
    case = case_of([pong(-10, "setup"), hello()])
    assert (case.id, len(case.pongs)) == (f"uuid:{UUID}", 1)


# ------------------------------------------------------------------------------------- a server elsewhere


def test_a_connection_to_a_stranger_right_after_the_hello() -> None:
    assert len(case_of([hello(), back(5, "refused", dst="10.7.7.7")]).elsewhere) == 1
    assert case_of([hello(), back(90, "refused", dst="10.7.7.7")]).elsewhere == []
    assert case_of([hello(), back(5, "refused", src="10.9.9.9", dst="10.7.7.7")]).elsewhere == []
    assert case_of([hello(), back(1, "established"), back(5, "refused", dst="10.7.7.7")]).elsewhere == []


def test_who_lived_where() -> None:
    found = followed(
        *(hello(), hello(10), hello(100, uuid=OTHER_UUID, src=DEVICE), hello(200, src=ELSEWHERE)),
        *(pong(50, "setup"), pong(150, "setup"), pong(250, "setup", device=ELSEWHERE)),
    )
    answers = [pong.owner for case in found.cases for pong in case.pongs]
    assert answers == [f"uuid:{UUID}", f"uuid:{UUID}", f"uuid:{OTHER_UUID}"]
