"""Alerts that a live run alone gives: what stands still, and who answers in the server's name."""

from __future__ import annotations

import pytest
from helpers import SAMPLES, lookup, replace

from amtdiag.live.rules import MINUTE, NEW_SERVER, STUCK, Alarms
from amtdiag.model import Diagnosis
from amtdiag.pipeline import diagnose

NOBODY: frozenset[str] = frozenset()


@pytest.fixture(scope="module")
def refused() -> Diagnosis:
    return diagnose([SAMPLES / "recorded" / "mesh_closed.pcapng"])


def stuck(alarms: Alarms, diagnosis: Diagnosis, now: int) -> list[str]:
    return [one.summary for one in alarms.look(diagnosis, now) if one.rule == STUCK]


def test_a_device_that_does_not_get_on(refused: Diagnosis) -> None:
    (device,) = refused.devices
    alarms, began = Alarms(15 * MINUTE, NOBODY), device.stages[-1].at
    assert stuck(alarms, refused, began) == []
    assert stuck(alarms, refused, began + 15 * MINUTE - 1) == []
    (said,) = stuck(alarms, refused, began + 15 * MINUTE)
    assert said.startswith("It has been at the stage connect-back for 15 min and longer: 10.99.71.48 port")
    further = replace(refused, devices=(replace(device, stage="tls"),))
    last = began + 16 * MINUTE
    moved = replace(
        further,
        devices=(replace(device, stage="tls", stages=(replace(device.stages[-1], name="tls", at=last),)),),
    )
    assert stuck(alarms, moved, last + MINUTE) == []
    assert len(stuck(alarms, moved, last + 15 * MINUTE)) == 1


def test_who_has_got_there_or_is_no_amt_is_not_stuck(refused: Diagnosis) -> None:
    (device,) = refused.devices
    mode = replace(device.mode, name="operational")
    for one in (
        replace(device, mode=mode),
        replace(device, stage="operational"),
        replace(device, is_amt=False),
    ):
        alarms = Alarms(MINUTE, NOBODY)
        assert stuck(alarms, replace(refused, devices=(one,)), device.last_seen + 1000 * MINUTE) == []
    assert stuck(Alarms(0, NOBODY), refused, device.last_seen + 1000 * MINUTE) == []


def test_a_name_and_the_clock_may_change_meanwhile(refused: Diagnosis) -> None:
    (device,) = refused.devices
    mac = next(one for one in device.aliases if one.startswith("mac:"))
    alarms, began = Alarms(15 * MINUTE, NOBODY), device.stages[-1].at
    assert stuck(alarms, replace(refused, devices=(replace(device, id=mac, aliases=()),)), began) == []
    year = 365 * 24 * 60 * MINUTE
    alarms.clock_step(year)
    assert stuck(alarms, refused, began + year + 14 * MINUTE) == []
    assert len(stuck(alarms, refused, began + year + 15 * MINUTE)) == 1


def test_servers_that_answer(refused: Diagnosis) -> None:
    first, again, other = (
        lookup(0, addresses=("192.168.2.10",)),
        lookup(5, addresses=("192.168.2.10",)),
        lookup(9, addresses=("192.168.2.66",)),
    )
    alarms = Alarms(0, NOBODY)
    told = alarms.look(replace(refused, lookups=(first, again)), 1)
    assert [(one.rule, one.severity, one.id) for one in told] == [
        (NEW_SERVER, "info", "live-new-server/192.168.2.10")
    ]
    told = alarms.look(replace(refused, lookups=(first, again, other)), 2)
    assert [one.severity for one in told] == ["info", "warning"]
    assert "192.168.2.66, which it was not before" in told[-1].summary
    assert (
        len(alarms.look(replace(refused, lookups=()), 3)) == 2
    )  # it is not taken back when DNS is forgotten


def test_servers_that_are_expected(refused: Diagnosis) -> None:
    answers = replace(refused, lookups=(lookup(0, addresses=("192.168.2.10", "192.168.2.66")),))
    (told,) = Alarms(0, frozenset({"192.168.2.10"})).look(answers, 1)
    assert (told.id, told.severity) == ("live-new-server/192.168.2.66", "warning")


def test_forged_answers_without_end_are_bounded(refused: Diagnosis) -> None:
    lookups = tuple(lookup(at, addresses=(f"10.1.{at // 256}.{at % 256}",)) for at in range(3000))
    assert len(Alarms(0, NOBODY).look(replace(refused, lookups=lookups), 1)) == 1000
