"""Two sensors on one way: one clock, every fact once, and what got lost between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import (
    DEVICE,
    MAC,
    ROUTER_MAC,
    SAMPLES,
    SERVER,
    START,
    AnyEvent,
    back,
    gather,
    hello,
    lease,
    link,
    lookup,
    pong,
    replace,
)
from webtalks import provisioning, talk_of

from amtdiag.model import ConnectionEvent, Evidence, TlsConversation
from amtdiag.model.tls import TlsMessage
from amtdiag.pipeline import diagnose
from amtdiag.sessions.correlate import SensorView, Together, bring_together
from amtdiag.times import SECOND

LAB = SAMPLES / "lab"
ALWAYS = ((START - 3600 * SECOND, START + 3600 * SECOND),)


def seen_by(name: str, *events: AnyEvent, ahead: float = 0) -> SensorView:
    """What a sensor saw whose clock is so many seconds ahead."""
    offset = round(ahead * SECOND)
    moved = []
    for event in events:
        times = {key: getattr(event, key) for key in ("ts", "last_ts", "answer_ts") if hasattr(event, key)}
        shifted = {key: ts + offset for key, ts in times.items() if ts is not None}
        evidence = tuple(Evidence(name, frame.frame) for frame in event.evidence)
        moved.append(replace(event, evidence=evidence, **shifted))
    return SensorView(name, gather(moved), tuple((a + offset, b + offset) for a, b in ALWAYS))


def opened(after: float = 0, isn: int = 7, **fields: Any) -> ConnectionEvent:
    at = START + round(after * SECOND)
    return link(after, "established", isn=isn, answer_ts=at + SECOND // 1000, **fields)


def both(*events: AnyEvent, ahead: float = 0) -> Together:
    return bring_together([seen_by("a", *events), seen_by("b", *events, ahead=ahead)])


@pytest.mark.parametrize("ahead", [-3600, -2.5, 0, 0.001, 40, 86_400])
def test_the_clocks_are_compared(ahead: float) -> None:
    together = both(opened(), ahead=ahead)
    assert together.offsets == (0, round(ahead * SECOND))
    assert [one.ts for one in together.events.connections] == [START]
    assert bool(together.notes) == (abs(ahead) >= 0.01)


def test_the_fuller_view_of_a_tls_talk_counts_and_its_times_are_put_right() -> None:
    said = TlsMessage("client", "ClientHello", START + SECOND, (Evidence("b", 5),))
    part = TlsConversation(finished=None, alert_by=None, alert=None)
    full = part._replace(finished=False, alert_by="server", alert=48, messages=(said,))
    near, far = opened(tls=part), opened(tls=full.earlier(-40 * SECOND))
    together = bring_together([seen_by("a", near), seen_by("b", far, ahead=40)])
    assert [one.tls for one in together.events.connections] == [full]


def test_the_fuller_view_of_a_web_talk_counts_and_its_times_are_put_right() -> None:
    full = talk_of(provisioning()).earlier(-START)
    part = full._replace(exchanges=full.exchanges[:2], missing=("server: from byte 900 on",))
    near, far = opened(talk=part), opened(talk=full.earlier(-40 * SECOND))
    together = bring_together([seen_by("a", near), seen_by("b", far, ahead=40)])
    assert [one.talk for one in together.events.connections] == [full]
    assert full.exchanges[0].answered == START + 3_000_000


def test_the_way_there_and_back_is_no_difference_of_clocks() -> None:
    near = opened()
    far = replace(near, ts=near.ts + SECOND // 50, answer_ts=(near.answer_ts or 0) - SECOND // 50)
    together = bring_together([seen_by("a", near), seen_by("b", far, ahead=2.5)])
    assert together.offsets == (0, 5 * SECOND // 2)


def test_without_a_common_connection_clocks_are_taken_as_they_are() -> None:
    together = bring_together([seen_by("a", opened()), seen_by("b", opened(isn=8, src="10.0.0.9"))])
    assert together.offsets == (0, 0)
    assert "without a connection in common" in together.notes[0]


def test_clocks_are_compared_from_one_sensor_to_the_next() -> None:
    first, second = opened(), opened(5, isn=9, src="10.0.0.9")
    views = [
        seen_by("a", first),
        seen_by("b", first, second, ahead=3),
        seen_by("c", second, ahead=5),
    ]
    together = bring_together(views)
    assert together.offsets == (0, 3 * SECOND, 5 * SECOND)
    assert [one.ts for one in together.events.connections] == [first.ts, second.ts]


def test_every_fact_counts_once() -> None:
    events: list[AnyEvent] = [
        lease(-9), lookup(-8, SERVER), opened(), hello(), back(1, "refused", isn=3), pong(5, "setup")
    ]  # fmt: skip
    found = both(*events, ahead=7).events
    for kind in ("dhcp", "lookups", "hellos", "pongs"):
        assert len(getattr(found, kind)) == 1, kind
    assert len(found.connections) == 2
    assert {frame.file for frame in found.hellos[0].evidence} == {"a", "b"}


def test_what_happened_twice_counts_twice() -> None:
    events: list[AnyEvent] = [opened(), hello(), opened(60, isn=8), hello(60, retry_count=1)]
    assert [one.hello.retry_count for one in both(*events, ahead=7).events.hellos] == [0, 1]
    alone = bring_together([seen_by("a", *events)]).events
    assert len(alone.hellos) == 2


def test_the_mac_that_is_nearest_to_the_sender_counts() -> None:
    """Behind the router every frame has the router's."""
    near = opened(mac=MAC)
    far = replace(
        near, ends=near.ends._replace(src_mac=ROUTER_MAC), ts=near.ts + 100_000, answer_ts=near.answer_ts
    )
    for views in ([("a", near), ("b", far)], [("b", far), ("a", near)]):
        (one,) = bring_together([seen_by(name, event) for name, event in views]).events.connections
        assert one.ends.src_mac == MAC


def test_what_left_one_side_and_never_came_to_the_other() -> None:
    lost = link(5, "unanswered", syns=4, isn=9)
    other = opened(src="10.0.0.9", isn=1)
    found = bring_together([seen_by("a", lost), seen_by("b", other)]).events.connections
    crossing = next(one.crossing for one in found if one.ends.src == DEVICE)
    assert crossing is not None
    assert tuple(crossing) == ("SYN", "a", "b")


@pytest.mark.parametrize("watching", [True, False])
def test_who_was_not_watching_did_not_miss_anything(watching: bool) -> None:
    lost = link(5, "unanswered", syns=4, isn=9)
    there = seen_by("b", opened(src="10.0.0.9", isn=1))
    if not watching:
        there = there._replace(spans=((START - SECOND, START + SECOND),))
    found = bring_together([seen_by("a", lost), there]).events.connections
    assert any(one.crossing for one in found) is watching


def test_who_never_sees_the_server_misses_nothing_of_it() -> None:
    lost = link(5, "unanswered", syns=4, isn=9)
    elsewhere = opened(src="10.0.0.9", dst="10.0.0.8", isn=1)
    found = bring_together([seen_by("a", lost), seen_by("b", elsewhere)]).events.connections
    assert not any(one.crossing for one in found)


def test_an_answer_that_got_lost() -> None:
    asked = link(0, "unanswered", syns=3, isn=9)
    answered = replace(opened(isn=9), syns=3)
    (one,) = bring_together([seen_by("a", asked), seen_by("b", answered)]).events.connections
    assert one.outcome == "unanswered"
    assert one.crossing is not None
    assert tuple(one.crossing) == ("answer", "b", "a")


# ------------------------------------------------------------------------------------------------ recordings


def test_the_recorded_clocks() -> None:
    found = diagnose([LAB / "two-sensors-ok"])
    (note,) = [note for note in found.notes if "clock" in note]
    assert "2.5 s" in note
    assert len(found.hellos) == len(found.devices) == 1
    assert found.devices[0].gaps == ()


def test_the_recorded_loss() -> None:
    found = diagnose([LAB / "two-sensors-dropped"])
    (silent,) = [one for one in found.findings if one.rule == "server-silent"]
    assert "device.pcapng and not in" in silent.summary
    assert silent.confidence == "high"
    alone = diagnose([LAB / "two-sensors-dropped" / "device.pcapng"])
    assert all("not in" not in one.summary for one in alone.findings)


@pytest.mark.parametrize("order", [("device.pcapng", "server.pcapng"), ("server.pcapng", "device.pcapng")])
@pytest.mark.parametrize("name", ["two-sensors-ok", "two-sensors-dropped", "two-sensors-back-dropped"])
def test_the_order_of_the_files_does_not_matter(name: str, order: tuple[str, str]) -> None:
    whole = diagnose([LAB / name])
    found = diagnose([LAB / name / file for file in order])
    assert [one.rule for one in found.findings] == [one.rule for one in whole.findings]
    assert [one.stage for one in found.devices] == [one.stage for one in whole.devices]


def test_one_capture_twice_is_one_capture(tmp_path: Path) -> None:
    """A copy under another name runs at the same time: nothing may count twice."""
    original = LAB / "retries.pcapng"
    for name in ("one.pcapng", "two.pcapng"):
        (tmp_path / name).write_bytes(original.read_bytes())
    once, twice = diagnose([original]), diagnose([tmp_path])
    assert [one.retry_counts for one in twice.devices] == [one.retry_counts for one in once.devices]
    assert [(one.rule, one.count) for one in twice.findings] == [
        (one.rule, one.count) for one in once.findings
    ]
