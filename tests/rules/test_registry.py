"""What holds of every rule: it speaks of its example and not of the near miss, and says what it is."""

from __future__ import annotations

import pytest
from helpers import DEVICE, FILE, MAC, SERVER, START, AnyEvent, hello, link, replace

from amtdiag.model import SEVERITIES, Finding, Severity, TlsConversation, Unknown
from amtdiag.rules.after_resolution import NotLooking
from amtdiag.rules.base import DeviceRule, FleetRule, Rule, Story, rule
from amtdiag.rules.catalogue import DEVICE_RULES, FLEET_RULES, RULES, examine, likeliest_first
from amtdiag.rules.hello_message import AdminCredentialsUnset
from amtdiag.rules.network_wide import NoHello
from amtdiag.rules.roots import UnknownDigest
from amtdiag.rules.user_chain import OwnChainDoubtful, OwnChainRefused
from amtdiag.times import SECOND
from rules.stories import ELSEWHERE, GOOD, OWN, OWN_ROOT, digest, found, looked, said, tls, told

every_rule = pytest.mark.parametrize("tested", RULES, ids=lambda tested: tested.id)
every_device_rule = pytest.mark.parametrize("tested", DEVICE_RULES, ids=lambda tested: tested.id)

ONLY_UNKNOWNS = (NotLooking, NoHello)
"""Rules that say what cannot be told, and never more."""


def addresses(story: Story) -> set[str]:
    """The addresses that an example brings with it."""
    changes = [word for event in story for word in event if isinstance(word, dict)]
    return {str(change[end]) for change in changes for end in ("src", "dst", "client") if end in change}


@every_rule
def test_the_example_is_found(tested: type[Rule]) -> None:
    results = said(tested, tested.example)
    if tested in ONLY_UNKNOWNS:
        assert [type(result) for result in results] == [Unknown]
        return
    finding = results[0]
    assert isinstance(finding, Finding)
    assert (finding.rule, finding.severity, finding.category) == (tested.id, tested.severity, tested.category)
    assert (finding.basis, finding.confidence) == (tested.basis, tested.confidence)
    # Of a chain, the row is that of the rule which it breaks.
    if tested not in (OwnChainRefused, OwnChainDoubtful):
        assert finding.catalogue == tested.catalogue
    assert finding.count >= 1
    assert finding.first_ts is not None
    assert finding.last_ts is not None
    assert finding.first_ts <= finding.last_ts
    assert finding.summary.endswith(".")
    assert not finding.overcome
    if tested.category != "capture" or finding.device:
        assert finding.evidence
        assert {frame.file for frame in finding.evidence} == {FILE}
        assert finding.display_filter
    if issubclass(tested, DeviceRule):
        hosts = {DEVICE, ELSEWHERE, SERVER, MAC, *addresses(tested.example)}
        assert any(host in finding.display_filter for host in hosts)


@every_device_rule
def test_a_finding_names_its_device(tested: type[DeviceRule]) -> None:
    devices = {case.id for case in told(tested.example).evidence.cases}
    results = said(tested, tested.example)
    assert {result.device for result in results} <= devices
    # One finding a device; two where the fault is that there are two of them.
    assert len(results) == len({result.device for result in results})


@every_rule
def test_the_near_miss_is_none(tested: type[Rule]) -> None:
    results = said(tested, tested.near_miss)
    if tested in ONLY_UNKNOWNS:
        assert results == []
    assert [result for result in results if isinstance(result, Finding)] == []


@every_device_rule
def test_a_healthy_device_has_no_findings(tested: type[DeviceRule]) -> None:
    listed = [digest(GOOD)] if tested is UnknownDigest else [digest(GOOD), OWN_ROOT]
    healthy: list[AnyEvent] = [
        link(0, "established"),
        hello(digests=listed),
        tls(1, TlsConversation(finished=True, alert_by=None, alert=None), closed_by="client", lasts=30.0),
    ]
    assert looked(tested, healthy) == []


def test_examine_runs_every_rule_over_every_device() -> None:
    story = tuple(("hello", n, {"device": n, "admin_credentials": 0}) for n in range(1, 4))
    devices = {f"uuid:{event.hello.uuid}" for event in told(story).evidence.events.hellos}
    findings, unknowns = examine(told(story).evidence, OWN)
    assert {(finding.rule, finding.device) for finding in findings} >= {
        (rule, device)
        for rule in ("admin-credentials-unset", "unknown-digest", "root-not-listed")
        for device in devices
    }
    assert {unknown.device for unknown in unknowns} == devices


# ------------------------------------------------------------------------------------------- standing texts


def test_ids_are_stable_words() -> None:
    assert all(tested.id.replace("-", "").isalnum() and tested.id.islower() for tested in RULES)


@every_rule
def test_every_rule_says_what_it_is(tested: type[Rule]) -> None:
    assert tested.title[0].isupper()
    assert not tested.title.endswith(".")
    assert len(tested.title) <= 60
    assert tested.remedy.endswith(".")
    assert len(tested.source) > 10
    assert tested.__doc__
    assert tested.catalogue is None or (tested.catalogue[0] == "F" and tested.catalogue[1:].isdigit())
    if tested.category == "provisioning" and tested.severity == "error":
        assert tested.label, "what stands beside the stage in the table"


@pytest.mark.parametrize(("name", "precedence"), [("no-lease", 5), ("new-rule", RULES[0].precedence)])
def test_two_rules_cannot_share_a_name_or_a_place(name: str, precedence: int) -> None:
    taken = type("Taken", (DeviceRule,), {"id": name, "precedence": precedence})
    with pytest.raises(ValueError, match="has the id or the precedence"):
        rule(taken)
    assert taken not in RULES


def test_the_order_is_that_of_the_precedences() -> None:
    assert [tested.precedence for tested in RULES] == sorted({tested.precedence for tested in RULES})
    assert (*DEVICE_RULES, *FLEET_RULES) == RULES
    assert all(issubclass(tested, FleetRule) for tested in FLEET_RULES)


# ------------------------------------------------------------------------------------------------- the order


def ranked(*findings: tuple[str, Severity, int]) -> list[tuple[str, Severity]]:
    """Sort findings of (rule, severity, devices), given in the wrong order; each rule once."""
    template = found(AdminCredentialsUnset, [hello(admin_credentials=0)])
    made = [
        replace(template, rule=rule, severity=severity, device=f"ip:{number}")
        for rule, severity, devices in findings
        for number in range(devices)
    ]
    assert likeliest_first(made) == likeliest_first(reversed(made))
    return list(dict.fromkeys((finding.rule, finding.severity) for finding in likeliest_first(made)))


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


def test_attempts_are_counted_and_few_frames_are_named() -> None:
    from amtdiag.rules.hello_delivery import ServerRefusesHello

    finding = found(ServerRefusesHello, [link(second, "refused") for second in range(20)])
    assert finding.count == 20
    assert len(finding.evidence) == 8
    assert (finding.first_ts, finding.last_ts) == (START, START + 19 * SECOND)
    assert SERVER in finding.summary
