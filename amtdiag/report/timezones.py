"""The time zone in which a reader wants times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from amtdiag.errors import UsageError
from amtdiag.safetext import plain
from amtdiag.times import SECOND, clock

Wanted = str | tzinfo
"""`UTC`, `local` for the reader's own, a name such as `Europe/Berlin`, or a tzinfo."""

_EARLIEST, _LATEST = 86_400, 250_000_000_000
"""1970 and 9892: what a damaged time stamp says beyond them has the offset of the limit."""


class Zone:
    """Times as the clocks of one zone show them, summer time included."""

    def __init__(self, wanted: Wanted = "UTC") -> None:
        """Raise `UsageError` where this machine knows no such zone."""
        self._zone = _zone_of(wanted) if isinstance(wanted, str) else wanted

    def clock(self, ts: int) -> str:
        """Return date and time to the second."""
        return clock(ts + self._offset(ts) // timedelta(microseconds=1) * 1000)

    def name(self, ts: int) -> str:
        """Say which zone it is at that time: `UTC`, or `CET, UTC+01:00`."""
        if self._zone is UTC:
            return "UTC"
        minutes = self._offset(ts) // timedelta(minutes=1)
        hours, rest = divmod(abs(minutes), 60)
        offset = f"UTC{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"
        called = plain(self._at(ts).tzname() or "", 40)
        # Zones without letters of their own are called by their offset: +03.
        return f"{called}, {offset}" if called.isalpha() else offset

    def _offset(self, ts: int) -> timedelta:
        return self._at(ts).utcoffset() or timedelta()

    def _at(self, ts: int) -> datetime:
        seconds = min(max(ts // SECOND, _EARLIEST), _LATEST)
        return datetime.fromtimestamp(seconds, UTC).astimezone(self._zone)


def _zone_of(name: str) -> tzinfo | None:
    """Return a zone by its name; None is the one of this machine."""
    if name.upper() == "UTC":
        return UTC
    if name.lower() == "local":
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        known = "UTC, local, or a name such as Europe/Berlin"
        raise UsageError(f"no time zone {plain(name, 80)!r} here: {known}") from error
