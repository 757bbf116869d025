"""Times beside those of datetime."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from amtdiag.times import SECOND, clock, rfc3339

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = (
    int((datetime(*day, tzinfo=UTC) - EPOCH).total_seconds()) for day in ((1900, 1, 1), (9999, 12, 31))
)


def test_every_day_is_that_of_the_calendar() -> None:
    for days in range(FIRST // 86_400, LAST // 86_400, 29):
        assert clock(days * 86_400 * SECOND)[:10] == str((EPOCH + timedelta(days=days)).date())


@given(st.integers(FIRST * SECOND, (LAST + 86_399) * SECOND))
@example(951_782_399 * SECOND)  # the last second of 28 February 2000
@example(951_868_799 * SECOND)  # and of the 29th
@example(4_107_542_400 * SECOND)  # 1 March 2100: no leap year
@example(-1)
def test_a_time_is_that_of_the_calendar(ts: int) -> None:
    moment = EPOCH + timedelta(seconds=ts // SECOND)
    assert rfc3339(ts) == f"{moment:%Y-%m-%dT%H:%M:%S}.{ts % SECOND:09}Z"
    assert clock(ts) == f"{moment:%Y-%m-%d %H:%M:%S}"


@given(st.integers())
def test_beyond_four_digits_the_limit_stands(ts: int) -> None:
    assert "1900-01-01T00:00:00.000000000Z" <= rfc3339(ts) <= "9999-12-31T23:59:59.999999999Z"
    assert len(rfc3339(ts)) == 30
