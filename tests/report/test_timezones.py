"""Times as the clocks of one zone show them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from amtdiag.report.timezones import Zone
from amtdiag.times import SECOND


def test_summer_time_begins() -> None:
    zone = Zone("Europe/Berlin")
    before = 1_774_745_999 * SECOND  # 2026-03-29 00:59:59 UTC
    assert (zone.clock(before), zone.clock(before + SECOND)) == ("2026-03-29 01:59:59", "2026-03-29 03:00:00")
    assert zone.name(before + SECOND) == "CEST, UTC+02:00"


@given(st.integers(-(2**70), 2**70), st.sampled_from(["UTC", "local", "Asia/Tokyo", "America/Anchorage"]))
def test_any_time_can_be_shown(ts: int, name: str) -> None:
    zone = Zone(name)
    assert len(zone.clock(ts)) == len("2026-03-29 00:59:59")
    assert "UTC" in zone.name(ts)
