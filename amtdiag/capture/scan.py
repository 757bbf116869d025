"""The scan: every record of every file looked at once, the few that matter decoded to columns.

`PacketBatch` leave it in time order, with frame numbers, and nothing else does but `CaptureInfo` per file.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Container as Collection
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from amtdiag.capture.decode.defragment import Fragments
from amtdiag.capture.decode.packet import PacketBatch, Segment
from amtdiag.capture.files.inputs import Input
from amtdiag.capture.files.sensors import SEAM, Sensors
from amtdiag.capture.filescan import FileScan
from amtdiag.capture.prefilter.flow_filter import FlowFilter
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.capture.prefilter.interface import Sieve
from amtdiag.config import Cluster, Limits
from amtdiag.model import CaptureInfo

if TYPE_CHECKING:
    from amtdiag.capture.parallel.merge import Remotes

BATCH = 4096

_MAX_AHEAD = 16 * BATCH


class Scan:
    """All files of a run. Iterate over it for `PacketBatch`; afterwards read `captures` and `sensors`."""

    def __init__(
        self,
        inputs: list[Input],
        interest: Interest,
        limits: Limits,
        *,
        sieve: Sieve | None = None,
        workers: int = 1,
        cluster: Cluster | None = None,
    ) -> None:
        """Make ready to read; from two `workers` on, so many processes help from now on, or a cluster.

        Without a sieve for the same interest, every packet is decoded.
        """
        self._fragments = Fragments(limits)
        self._remotes: Remotes | None = None
        if workers > 1 or cluster:
            from amtdiag.capture.parallel.merge import Remotes

            self._remotes = Remotes(inputs, interest, limits, sieve=sieve, workers=workers, cluster=cluster)
            self._selection = self._remotes.selection
        else:
            self._selection = FlowFilter(interest, limits, sieve)
        self._files = [self._file(number, source) for number, source in enumerate(inputs)]
        self.sensors = Sensors([source.label for source in inputs], lambda number: self._files[number].end)
        """Where each file was captured."""
        self.interrupted = False
        """The caller pressed Ctrl-C: what had been read until then was given."""

    def __iter__(self) -> Iterator[PacketBatch]:
        """Yield batches in time order across files: a file is opened when the clock reaches its start.

        A batch holds packets of one sensor; in time order are those of each sensor.
        """
        batches: dict[int, list[Segment]] = {}
        count = 0
        try:
            for file, rows in self._in_time_order():
                batch = batches.setdefault(file.sensor, [])
                count -= len(batch)
                batch.extend(rows)
                count += len(batch)
                if count >= BATCH:
                    yield from _packets(batches)
                    count = 0
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            if self._remotes is not None:
                self._remotes.close()
        for row in self._leftovers():
            batches.setdefault(self._files[row.file].sensor, []).append(row)
        yield from _packets(batches)

    def _file(self, number: int, source: Input) -> FileScan:
        if self._remotes is not None and source.known() is not None:
            return self._remotes.file(number, source, self._fragments)
        return FileScan(number, source, self._selection, self._fragments)

    def _leftovers(self) -> list[Segment]:
        return self._files[-1].leftovers() if self._files else []

    def openings(self, pairs: Collection[tuple[bytes, bytes]]) -> Iterator[PacketBatch]:
        """Yield the conversations on unexpected ports that came to nothing, between certain addresses.

        `pairs` are the addresses that opened them and those that they were for.
        """
        batches: dict[int, list[Segment]] = {}
        for row in self._selection.openings(pairs):
            batches.setdefault(self._files[row.file].sensor, []).append(row)
        yield from _packets(batches)

    def _in_time_order(self) -> Iterator[tuple[FileScan, Iterable[Segment]]]:
        """Merge the files' segments, and yield at most a batch of them together.

        Files that do not overlap are open one at a time.
        """
        waiting = sorted(self._files, key=lambda file: (file.input.first_ts, file.number), reverse=True)
        heap: list[tuple[int, int, Segment, _Rows]] = []
        while waiting or heap:
            while waiting and (not heap or waiting[-1].input.first_ts <= heap[0][0]):
                one = waiting.pop()
                for *_, rows in heap:
                    rows.look_ahead(one.input.first_ts + SEAM)
                one.sensor = self.sensors.place(one.number, one.input.first_ts)
                rows = _Rows(one)
                first = next(rows, None)
                if first is not None:
                    heapq.heappush(heap, (first.ts, one.number, first, rows))
            if not heap:
                continue
            if len(heap) == 1 and not waiting:
                _, _, first, rows = heap[0]
                rest = rows.rest()
                while first is not None:
                    yield rows.file, chain((first,), islice(rest, BATCH - 1))
                    first = next(rest, None)
                return
            _, number, row, rows = heap[0]
            yield rows.file, (row,)
            following = next(rows, None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (following.ts, number, following, rows))

    @property
    def incomplete_datagrams(self) -> int:
        """IP datagrams of which not all fragments are in the capture."""
        return self._fragments.incomplete

    @property
    def captures(self) -> list[CaptureInfo]:
        """What there is to say of each file, in the order of their first packets."""
        return [file.info() for file in self._files]

    @property
    def packets(self) -> int:
        """Packets read so far."""
        return sum(file.packets for file in self._files)

    @property
    def evicted(self) -> int:
        """Conversations on unexpected ports that were given up because there was no room."""
        return self._selection.evicted

    @property
    def bytes_read(self) -> int:
        """Bytes of the input files read so far, packed where they are packed."""
        return sum(file.position for file in self._files)


def _packets(batches: dict[int, list[Segment]]) -> Iterator[PacketBatch]:
    """Yield what has come together of each sensor, and begin anew."""
    for sensor, rows in batches.items():
        yield PacketBatch(rows, sensor)
    batches.clear()


class _Rows:
    """The segments of one file, one after the other, with a look ahead."""

    def __init__(self, file: FileScan) -> None:
        self.file = file
        self._rows = file.segments()
        self._ahead: deque[Segment] = deque()

    def __iter__(self) -> Iterator[Segment]:
        return self

    def __next__(self) -> Segment:
        return self._ahead.popleft() if self._ahead else next(self._rows)

    def rest(self) -> Iterator[Segment]:
        """Return all that is left, to be read from there alone."""
        return chain(self._ahead, self._rows)

    def look_ahead(self, ts: int) -> None:
        """Read on until the time `ts`, or to the end of the file where that comes before."""
        while not self._ahead or (self._ahead[-1].ts <= ts and len(self._ahead) < _MAX_AHEAD):
            row = next(self._rows, None)
            if row is None:
                return
            self._ahead.append(row)
