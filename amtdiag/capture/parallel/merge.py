"""Files that other processes read: their packets come from there, all decisions are made here.

A worker knows only the file it reads. It sends what may matter of that, and the bits of those conversations
of which it left something out. As long as none of these is watched here, what it sent is all that a walk
would have looked at. Where one is (it began in the file before, or in one that another sensor wrote at the
same time), the file is walked here, from where it matters to where it no longer does.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Protocol

from amtdiag.capture.decode.defragment import Fragments
from amtdiag.capture.decode.packet import Segment
from amtdiag.capture.files.container import Record
from amtdiag.capture.files.inputs import Input
from amtdiag.capture.filescan import FileScan
from amtdiag.capture.parallel.pool import Delivery, WorkerPool
from amtdiag.capture.parallel.wire import Entry, Part, pack_setup
from amtdiag.capture.prefilter.flow_filter import FlowFilter
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.capture.prefilter.interface import Sieve
from amtdiag.capture.prefilter.kernel import new_seed, sieve_for
from amtdiag.config import Cluster, Limits
from amtdiag.errors import InputError
from amtdiag.model import CaptureInfo

_THE_END = 1 << 64


class Readers(Protocol):
    """Those who read for this process: children of it, or a cluster."""

    def take(self, number: int, /) -> Delivery | None:
        """Return what comes of a file; None where no process reads it, nor will."""
        ...

    def parts(self, number: int, delivery: Delivery, /) -> Iterator[Part]:
        """Yield the parts of a file as they come. Raises `InputError` where reading failed."""
        ...

    def close(self) -> None:
        """End it, whatever they do."""
        ...


class Remotes:
    """All files of a run that workers read; a `Watcher` of its own selection."""

    def __init__(
        self,
        inputs: Sequence[Input],
        interest: Interest,
        limits: Limits,
        *,
        sieve: Sieve | None,
        workers: int,
        cluster: Cluster | None = None,
    ) -> None:
        """Set workers, here or on a cluster, on what can be read elsewhere; pipes cannot."""
        seed = new_seed()
        theirs, kernel = sieve_for(interest, seed)
        self._slot = theirs.slot
        self.selection = selection = FlowFilter(interest, limits, sieve, self)
        self.limits = limits
        self.open: set[RemoteFile] = set()
        """Files of which something has come and more may."""
        order = sorted(range(len(inputs)), key=lambda number: (inputs[number].first_ts, number))
        files = [(number, known) for number in order if (known := inputs[number].known()) is not None]
        setup = pack_setup(interest, limits, seed)
        self.readers: Readers
        if cluster is None:
            self.readers = WorkerPool(files, workers, setup, lambda: list(selection.watched))
        else:
            from amtdiag.capture.parallel.dask import Fleet

            self.readers = Fleet(files, cluster, setup, lambda: list(selection.watched), kernel)

    def file(self, number: int, source: Input, fragments: Fragments) -> FileScan:
        """Return the walk over one of the files."""
        return RemoteFile(number, source, fragments, self)

    def close(self) -> None:
        """End the workers."""
        self.readers.close()

    def left_out(self, key: bytes, part: Part) -> bool:
        """Tell whether a part may lack segments of a conversation's direction."""
        slot = self._slot(key)
        return bool(part.seen[slot >> 3] >> (slot & 7) & 1)

    def watch(self, key: bytes, reverse: bytes, /) -> None:
        """Parts that came before may lack something of the conversation."""
        for file in self.open:
            file.suspect(key)
            file.suspect(reverse)

    def unwatch(self, key: bytes, reverse: bytes, /) -> None:
        """Nothing of the conversation is wanted any more."""
        for file in self.open:
            file.suspects.discard(key)
            file.suspects.discard(reverse)


class RemoteFile(FileScan):
    """One file: what a worker sends of it, and where that does not suffice, the file itself."""

    def __init__(self, number: int, source: Input, fragments: Fragments, remotes: Remotes) -> None:
        super().__init__(number, source, remotes.selection, fragments)
        self._remotes = remotes
        self._info: CaptureInfo | None = None
        self._position = 0
        self._watching: set[bytes] = set()
        """Conversations of which the worker sends everything, as of `_at`."""
        self.suspects: set[bytes] = set()
        """Conversations that are watched here and of which the part at hand may lack something."""
        self._part: Part | None = None
        self._entries: Iterator[Entry] = iter(())
        self._entry: Entry | None = None
        """The next one of the part."""
        self._at = 0
        """The last frame that was looked at, or known to need no look."""
        self._own = self._own_records()

    def segments(self) -> Iterator[Segment]:
        """Yield the file's wanted segments in file order."""
        readers = self._remotes.readers
        delivery = readers.take(self.number)
        if delivery is None:
            yield from super().segments()
            return
        self._watching.update(delivery.carried)
        self._remotes.open.add(self)
        try:
            for part in readers.parts(self.number, delivery):
                yield from self._replay(part)
        except (OSError, InputError) as error:
            self._notes.append(f"reading stopped: {getattr(error, 'strerror', None) or error}")
        finally:
            self._remotes.open.discard(self)
            self._own.close()
            self._part = None
        last = self._info.last_ts if self._info else None
        self.end = self.input.first_ts if last is None else last

    def suspect(self, key: bytes) -> None:
        """Take note that a conversation is watched here from now on."""
        part = self._part
        if part is not None and key not in self._watching and self._remotes.left_out(key, part):
            self.suspects.add(key)

    def _replay(self, part: Part) -> Iterator[Segment]:
        self._info, self._position, self._part = part.info, part.position, part
        self._entries = part.entries()
        self._entry = next(self._entries, None)
        self._pass_entries(self._at + 1)
        self.suspects.clear()
        for key in self._selection.watched:
            self.suspect(key)
        out: list[Segment] = []
        while self._at < part.last_frame:
            if self.suspects:
                yield from self._walk_here(part.last_frame)
            elif self._entry is None:
                self._at = part.last_frame
            else:
                one = self._entry
                self._at = one.frame
                self._look(one.packet, one.linktype, (one.ts, one.frame, one.wirelen), out)
                if out:
                    yield from out
                    out.clear()
        self._pass_entries(_THE_END)

    def _walk_here(self, last: int) -> Iterator[Segment]:
        """Look at the file itself, as one process alone would, until that is needed no more."""
        out: list[Segment] = []
        for frame, (ts, linktype, data, start, end, wirelen) in self._own:
            if frame <= self._at:
                continue
            self._at = frame
            self._pass_entries(frame)
            self._look(bytes(data[start:end]), linktype, (ts, frame, wirelen), out)
            if out:
                yield from out
                out.clear()
            if frame >= last or not self.suspects:
                return
        self._at = _THE_END

    def _look(self, packet: bytes, linktype: int, at: tuple[int, int, int], out: list[Segment]) -> None:
        """Decode a packet; the worker's watching changes with it where the worker sent it too."""
        entry = self._entry
        if entry is None or entry.frame != at[1]:
            self.decode(packet, linktype, at, out)
            return
        for pair in entry.begun:
            self._watching.update(pair)
        self.decode(packet, linktype, at, out)
        self._cease(entry)
        self._entry = next(self._entries, None)

    def _pass_entries(self, frame: int) -> None:
        """Leave out entries before a frame, which were looked at in the file itself."""
        while (entry := self._entry) is not None and entry.frame < frame:
            for pair in entry.begun:
                self._watching.update(pair)
            self._cease(entry)
            self._entry = next(self._entries, None)

    def _cease(self, entry: Entry) -> None:
        for pair in entry.ended:
            self._watching.difference_update(pair)
            for key in pair:
                if key in self._selection.watched:
                    self.suspect(key)

    def _own_records(self) -> Generator[tuple[int, Record], None, None]:
        known = self.input.known()
        assert known is not None  # a pipe is not read elsewhere
        with Input.again(known, self._remotes.limits).opened() as container:
            for record in container.records(self._selection.sieve):
                yield container.frame, record

    @property
    def packets(self) -> int:
        """Packets read so far."""
        return self._info.packets if self._info else super().packets

    @property
    def position(self) -> int:
        """Bytes of the file read so far, packed where it is packed."""
        return self._position if self._info else super().position

    def info(self) -> CaptureInfo:
        """The file as the report shows it."""
        if self._info is None:
            return super().info()
        return self._info._replace(notes=(*self._info.notes, *self._notes))
