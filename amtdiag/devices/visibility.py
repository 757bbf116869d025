"""What a capture can show at all: when it ran, and which directions of traffic it holds.

A rule about something that did not happen may speak only where it would have been seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from amtdiag.devices.evidence import DHCP_ANSWERS, DeviceEvidence
from amtdiag.model import CaptureInfo
from amtdiag.times import SECOND

_SEAM = 60 * SECOND
"""Files that follow each other within this time are one capture."""
_ASKED = frozenset({"discover", "request", "inform"})


class CaptureSpans:
    """When each sensor was capturing, by its own clock."""

    def __init__(self, sensors: Iterable[Sequence[CaptureInfo]]) -> None:
        """Take the captures of each sensor."""
        self._captures = tuple(sensors)
        self._spans = [_joined(captures) for captures in self._captures]

    def __len__(self) -> int:
        return len(self._captures)

    def name(self, sensor: int) -> str:
        """Return what to call a sensor: its first file, and how many more it has."""
        first, *more = self._captures[sensor]
        return f"{first.file} and {len(more)} more" if more else first.file

    def files(self, sensor: int) -> Iterator[str]:
        """Yield the files of a sensor."""
        for one in self._captures[sensor]:
            yield one.file

    def spans(self, sensor: int) -> tuple[tuple[int, int], ...]:
        """Return the stretches of time in which a sensor was capturing, in order."""
        return self._spans[sensor]


def _joined(captures: Iterable[CaptureInfo]) -> tuple[tuple[int, int], ...]:
    """The times of files, those joined that follow each other without a pause."""
    spans: list[tuple[int, int]] = []
    for first, last in sorted(
        (one.first_ts, max(one.last_ts, one.watched_until or one.last_ts))
        for one in captures
        if one.first_ts is not None and one.last_ts is not None
    ):
        if spans and first <= spans[-1][1] + _SEAM:
            spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
        else:
            spans.append((first, last))
    return tuple(spans)


class Coverage:
    """The stretches of time during which somebody was capturing, by the clock that all events go by."""

    def __init__(self, watch: CaptureSpans, offsets: Sequence[int] = (0,)) -> None:
        """Take what each sensor watched, and how far its clock is ahead."""
        # Of a sensor that saw nothing of interest no offset is known, and none is needed.
        known = [*offsets, *[0] * (len(watch) - len(offsets))]
        self._spans = [
            [(first - offset, last - offset) for first, last in watch.spans(sensor)]
            for sensor, offset in enumerate(known[: len(watch)])
        ]
        self._only = self._spans[0][0] if [len(spans) for spans in self._spans] == [1] else None
        self._sensor = {file: sensor for sensor in range(len(watch)) for file in watch.files(sensor)}

    def until(self, ts: int, files: Iterable[str]) -> int:
        """Return the time up to which somebody goes on watching after `ts` where these files were written.

        A capture that begins where another ends goes on with it, whatever it is called.
        """
        spans = self._spans
        if self._only is not None:  # one sensor that never paused: what most runs have
            first, last = self._only
            return last if first <= ts <= last and not self._sensor.keys().isdisjoint(files) else ts
        reached = ts
        sensors = {self._sensor[file] for file in files if file in self._sensor}
        found = [last for sensor in sensors for first, last in spans[sensor] if first <= ts <= last]
        while found and max(found) > reached:
            reached = max(found)
            found = [last for one in spans for first, last in one if abs(first - reached) <= _SEAM]
        return reached


def lanes_of(case: DeviceEvidence) -> dict[str, bool]:
    """Return, per lane, whether this capture shows it for a device: at least one packet that way."""
    kinds = [lease.kind for lease in case.leases]
    asked = not _ASKED.isdisjoint(kinds)
    told = not DHCP_ANSWERS.isdisjoint(kinds)
    return {
        "dhcp": asked and told,
        "rmcp": bool(case.pongs),
        "dns": any([lookup.rcode is not None for lookup in case.lookups]),
        "device_to_server": bool(case.hellos) or any([link.syns for link in case.attempts]),
        "server_to_device": any([link.server_seen for link in case.attempts])
        or any([link.syns for link in case.returns])
        or any([link.syns for link in case.elsewhere]),
    }
