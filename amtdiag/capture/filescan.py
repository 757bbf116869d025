"""The walk over one file: what the sieve leaves is decoded from the link layer up, and selected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from amtdiag.capture.decode.decoder import Decoder
from amtdiag.capture.decode.defragment import Fragments
from amtdiag.capture.decode.linktypes import LINK_TYPES, link_name
from amtdiag.capture.decode.packet import Segment
from amtdiag.capture.files.container import Container, Record
from amtdiag.capture.files.inputs import Input
from amtdiag.capture.prefilter.flow_filter import FlowFilter
from amtdiag.capture.prefilter.interface import Passed, Rows
from amtdiag.errors import InputError
from amtdiag.model import CaptureInfo

_NEVER = 1 << 80


class FileScan(Decoder):
    """The walk over one file."""

    def __init__(self, number: int, source: Input, selection: FlowFilter, fragments: Fragments) -> None:
        super().__init__(number, selection, fragments)
        self.input = source
        self._linktypes: Counter[int] = Counter()
        """Of the packets that were looked at."""
        self._first_ts = _NEVER
        self._last_ts = -_NEVER
        self.end: int | None = None
        """When its last packet was captured; None until it has been read."""
        self._container: Container | None = None
        self._notes: list[str] = []

    def segments(self) -> Iterator[Segment]:
        """Yield the file's wanted segments in file order."""
        try:
            with self.input.opened() as container:
                self._container = container
                for segments in self._batches(container):
                    yield from segments
        except (OSError, InputError) as error:
            self._notes.append(f"reading stopped: {getattr(error, 'strerror', None) or error}")
        _, last = self._span()
        self.end = self.input.first_ts if last is None else last

    def _batches(self, container: Container) -> Iterator[list[Segment]]:
        """Yield what matters of the file, a list after the other; a sieve may decode plain packets itself."""
        sieve = self._selection.sieve
        if sieve is None:
            return map(self._look_at, container.records())
        return container.segments(sieve, Rows(self.number, Segment, []), self._look_at)

    def _look_at(self, record: Record) -> list[Segment]:
        """Decode a record that the sieve left."""
        ts, linktype, data, start, end, wirelen = record
        self._linktypes[linktype] += 1
        self._first_ts = min(self._first_ts, ts)
        self._last_ts = max(self._last_ts, ts)
        assert self._container is not None
        out: list[Segment] = []
        self.decode(bytes(data[start:end]), linktype, (ts, self._container.frame, wirelen), out)
        return out

    def _counts(self) -> Counter[int]:
        """Packets by link type, those that the sieve passed over among them."""
        return self._linktypes + Counter(self._passed().packets)

    def _span(self) -> tuple[int | None, int | None]:
        """Return the earliest and the latest stamp."""
        passed = self._passed()
        if not self._linktypes and not passed.packets:
            return None, None
        first, last = self._first_ts, self._last_ts
        return (
            first if passed.first_ts is None else min(first, passed.first_ts),
            last if passed.last_ts is None else max(last, passed.last_ts),
        )

    def _passed(self) -> Passed:
        return self._container.passed() if self._container else Passed()

    @property
    def packets(self) -> int:
        """Packets read so far."""
        return self._counts().total()

    @property
    def position(self) -> int:
        """Bytes of the file read so far, packed where it is packed."""
        return self.input.position()

    def info(self) -> CaptureInfo:
        """The file as the report shows it."""
        container = self._container
        counts = self._counts()
        first_ts, last_ts = self._span()
        notes = [*self.input.notes(), *(container.notes if container else ()), *self._notes]
        for linktype, count in sorted(counts.items()):
            if linktype not in LINK_TYPES:
                notes.append(
                    f"{count:,} packets of link type {link_name(linktype)} were counted but not read"
                )
        return CaptureInfo(
            file=self.input.label,
            format=self.input.format_name(container),
            bytes=self.input.size(),
            packets=counts.total(),
            linktypes=tuple(link_name(linktype) for linktype in sorted(counts)),
            first_ts=first_ts,
            last_ts=last_ts,
            snaplen=container.snaplen if container else None,
            drops=container.drops if container else None,
            truncated=bool(container and container.truncated) or self.input.cut,
            notes=tuple(notes),
            watched_until=container.watched_until if container else None,
            secrets=container.secrets.decode("ascii", "replace") if container else "",
        )
