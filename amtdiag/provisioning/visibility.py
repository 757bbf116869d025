"""What a capture can show at all: when it ran, and which directions of traffic it holds.

A rule about something that did not happen may speak only where it would have been seen.
"""

from __future__ import annotations

from collections.abc import Iterable

from amtdiag.model import CaptureInfo
from amtdiag.provisioning.case import Case
from amtdiag.times import SECOND

_SEAM = 60 * SECOND
"""Files that follow each other within this time are one capture."""


class Coverage:
    """The stretches of time during which somebody was capturing."""

    def __init__(self, captures: Iterable[CaptureInfo]) -> None:
        spans = sorted(
            (one.first_ts, one.last_ts)
            for one in captures
            if one.first_ts is not None and one.last_ts is not None
        )
        self._spans: list[tuple[int, int]] = []
        for first, last in spans:
            if self._spans and first <= self._spans[-1][1] + _SEAM:
                self._spans[-1] = (self._spans[-1][0], max(last, self._spans[-1][1]))
            else:
                self._spans.append((first, last))

    def until(self, ts: int) -> int:
        """Return the time up to which the capture goes on without a break after `ts`."""
        return next((last for first, last in self._spans if first <= ts <= last), ts)


def lanes_of(case: Case) -> dict[str, bool]:
    """Return, per lane, whether this capture shows it for a device: at least one packet that way."""
    asked = any(lease.kind in ("discover", "request", "inform") for lease in case.leases)
    told = any(lease.kind in ("offer", "ack", "nak") for lease in case.leases)
    return {
        "dhcp": asked and told,
        "rmcp": bool(case.pongs),
        "dns": any(lookup.rcode is not None for lookup in case.lookups),
        "device_to_server": bool(case.hellos) or any(link.syns for link in case.attempts),
        "server_to_device": any(link.server_seen for link in case.attempts)
        or any(link.syns for link in (*case.returns, *case.elsewhere)),
    }
