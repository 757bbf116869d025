"""Devices as rows of the table, and one of them in full."""

from __future__ import annotations

import pytest
from helpers import SAMPLES, unsafe_characters

from amtdiag.pipeline import diagnose
from amtdiag.report.verdict import label_of, trouble
from amtdiag.times import SECOND
from amtdiag.tui.detail import detail_of
from amtdiag.tui.rows import age, filtered, rows_of

SOME = ["fleet.pcapng.gz", "cloned-uuid.pcapng", "dns-unanswered.pcap", "recorded/mesh_closed.pcapng"]


@pytest.mark.parametrize("name", SOME)
def test_rows_say_what_the_report_says(name: str) -> None:
    found = diagnose([SAMPLES / name])
    rows = rows_of(found)
    assert {row.id for row in rows} == {one.id for one in found.devices}
    by_id = {one.id: one for one in found.devices}
    held = [by_id[row.id].state == "stuck" for row in rows]
    assert held == sorted(held, reverse=True), "the stuck ones first"
    for row in rows:
        device = by_id[row.id]
        assert (row.mode, row.stage) == (device.mode.name, device.stage.replace("_", "-"))
        assert row.last_ts >= device.last_seen
        first = trouble(device)
        if first is not None:
            assert row.verdict == label_of(first.rule)


@pytest.mark.parametrize("name", SOME)
def test_in_full_all_that_was_found_is_there(name: str) -> None:
    found = diagnose([SAMPLES / name])
    for device in found.devices:
        text = detail_of(found, device.id).plain
        assert unsafe_characters(text) == []
        for one in found.findings:
            if one.device == device.id:
                assert one.summary in text
                assert one.remedy in text
                assert one.display_filter in text
        for stage in device.stages:
            assert stage.detail in text


def test_filters() -> None:
    rows = rows_of(diagnose([SAMPLES / "fleet.pcapng.gz"]))
    assert filtered(rows, "") == rows
    assert filtered(rows, "  ") == rows
    assert {row.verdict for row in filtered(rows, "REFUSED")} == {"refused"}
    assert len(filtered(rows, "02:a4:d7:00:17:45")) == 1
    assert filtered(rows, "connect-back-refused psk") == []


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d")],
)
def test_ages(seconds: int, shown: str) -> None:
    assert age(seconds * SECOND) == shown
    assert len(age(10**6 * 86_400 * SECOND)) <= 4
