"""Which files were captured at one place: the parts of a ring, as against two sensors.

Files of one series, told by their names, that follow each other are one sensor's: a connection goes on from
one to the next. Any others are views of their own, and what two of them show of a connection are two views of
it, even if they do not run at the same time by their clocks: those may be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

_PAUSE = 60_000_000_000
"""Nanoseconds within which a capture goes on in a file whose name is less alike."""
SEAM = 1_000_000_000
"""Nanoseconds by which files of one ring may overlap: packets are written slightly out of order."""
_NUMBERING = r"(?i)(?:[-_.]?\d++|[-_.][a-z])*(?:\.(?:pcap|pcapng|cap|dmp))?\d*(?:\.(?:gz|zst|xz|bz2))?$"
"""What tells the files of a series apart: numbers, times, a letter, before the suffix or behind it."""


class _Sensor:
    def __init__(self, file: int, label: str) -> None:
        self.files = [file]
        self._label = label

    @cached_property
    def series(self) -> str:
        """Its name without what tells the files of a series apart."""
        return re.sub(_NUMBERING, "", self._label)

    @cached_property
    def pattern(self) -> str:
        """Its name with all numbers alike: some tools put the time in front."""
        return re.sub(r"\d+", "0", self._label)


class Sensors:
    """The sensors of a run, each with its files. Files are placed in the order of their first packets."""

    def __init__(self, labels: Sequence[str], end_of: Callable[[int], int | None]) -> None:
        """Begin with none. `end_of` says when a file's last packet was captured, None until it is read."""
        self._labels = labels
        self._end_of = end_of
        self._sensors: list[_Sensor] = []

    def place(self, file: int, start: int) -> int:
        """Return the sensor of a file that begins at `start`."""
        new = _Sensor(file, self._labels[file])
        free = {
            number: end
            for number, sensor in enumerate(self._sensors)
            if (end := self._end_of(sensor.files[-1])) is not None and end <= start + SEAM
        }
        same = [number for number in free if self._sensors[number].series == new.series]
        # Numbers elsewhere in a name may be times, or tell sensors apart: so the one before has just ended.
        alike = [
            number
            for number, end in free.items()
            if self._sensors[number].pattern == new.pattern and start - end <= _PAUSE
        ]
        if same or alike:
            number = max(same or alike, key=lambda sensor: free[sensor])
            self._sensors[number].files.append(file)
            return number
        self._sensors.append(new)
        return len(self._sensors) - 1

    def files(self) -> Iterator[tuple[int, ...]]:
        """Yield the files of each sensor."""
        for sensor in self._sensors:
            yield tuple(sensor.files)
