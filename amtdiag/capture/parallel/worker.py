"""A process that reads files for another one, which started it and talks to it through pipes.

It walks a file as the scan does, with a selection that begins empty, and sends each packet that may matter to
the other process, as it was captured. There it is decoded and selected once more: what matters is decided in
one place, which knows what all files showed before.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from amtdiag.capture.decode.defragment import FragmentOrigin, Fragments, Whole
from amtdiag.capture.decode.ip import Fragment
from amtdiag.capture.decode.packet import Segment
from amtdiag.capture.files.container import Container
from amtdiag.capture.files.inputs import Input
from amtdiag.capture.filescan import FileScan
from amtdiag.capture.parallel.wire import Entry, Kind, Part, receive, send, unpack_file, unpack_setup
from amtdiag.capture.prefilter.flow_filter import FlowFilter
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.capture.prefilter.interface import Sieve
from amtdiag.capture.prefilter.kernel import sieve_for
from amtdiag.config import Limits

PART_BYTES = 1 << 20
"""Packets that are sent at a time."""
PART_FRAMES = 1 << 17
"""Frames after which a part ends: the fewer conversations share the bits of `seen`, the better."""


class _Unjoined(Fragments):
    """Fragments travel as they are: the rest of a datagram may be in another file."""

    came = False

    def add(self, *_: Fragment | bytes | int | FragmentOrigin) -> Iterator[Whole]:
        """Note that there was one."""
        self.came = True
        return iter(())


class Scout(FileScan):
    """The walk over one file for the scan of another process."""

    def __init__(  # noqa: PLR0917
        self, source: Input, interest: Interest, limits: Limits, sieve: Sieve,
        carried: Iterable[bytes], send_part: Callable[[Part], None],
    ) -> None:  # fmt: skip
        """Make ready to walk; `carried` are keys of conversations of which everything is wanted."""
        self._sieve = sieve
        self._unjoined = _Unjoined(Limits())
        super().__init__(0, source, FlowFilter(interest, limits, sieve, self), self._unjoined)
        self._carried = frozenset(carried)
        for key in self._carried:
            self._sieve.watch(key, key)
        self._send_part = send_part
        self._changed: dict[tuple[bytes, bytes], None] = {}
        self._wanted = False
        self._missed: set[bytes] = set()
        self._entries: list[bytes] = []
        self._size = 0
        self._last_frame = 0
        self._sieve.seen()

    def run(self) -> Part:
        """Read the file and return its last part; those before are sent. Leave the sieve as it was."""
        for _ in self.segments():
            pass  # packets leave in `decode`
        for key in self._carried:
            self._sieve.unwatch(key, key)
        for key in self._selection.watched:
            reverse = _reversed(key)
            if key <= reverse:
                self._sieve.unwatch(key, reverse)
        return self._part()

    def _part(self) -> Part:
        """Return what has come together since the last part."""
        seen = self._sieve.seen()
        if self._missed:
            bits = bytearray(seen)
            for key in self._missed:
                slot = self._sieve.slot(key)
                bits[slot >> 3] |= 1 << (slot & 7)
            seen = bytes(bits)
        frame = self._container.frame if self._container else 0
        part = Part(self.info(), self.position, frame, seen, b"".join(self._entries))
        self._missed.clear()
        self._entries.clear()
        self._size, self._last_frame = 0, frame
        return part

    def decode(self, packet: bytes, linktype: int, at: tuple[int, int, int], _: list[Segment]) -> None:
        """Send the packet, as it is, where it may matter."""
        ts, frame, wirelen = at
        self._wanted = self._unjoined.came = False
        rows: list[Segment] = []
        super().decode(packet, linktype, at, rows)
        if rows or self._wanted or self._unjoined.came:
            watched = self._selection.watched
            begun = tuple(pair for pair in self._changed if pair[0] in watched)
            ended = tuple(
                pair for pair in self._changed if pair[0] not in watched and pair[0] not in self._carried
            )
            self._changed.clear()
            entry = Entry(ts, frame, linktype, wirelen, packet, begun, ended).to_bytes()
            self._entries.append(entry)
            self._size += len(entry)
        if self._size >= PART_BYTES or frame - self._last_frame >= PART_FRAMES:
            self._send_part(self._part())

    def _select(self, segment: Segment, sport: bytes, dport: bytes, out: list[Segment]) -> None:
        """Send more than this selection would keep: the one that decides may know of the conversation."""
        super()._select(segment, sport, dport, out)
        selection = self._selection
        if out:
            return
        key = segment.src + segment.dst + sport + dport
        self._wanted = (
            key in selection.watched
            or key in self._carried
            or bool(self._changed)
            or (bool(segment.payload) and not selection.interest.contradicts(segment.payload, 0))
        )
        if not self._wanted:
            self._missed.add(key)

    def _batches(self, container: Container) -> Iterator[list[Segment]]:
        """Look at every record that the sieve leaves: packets are sent as they are."""
        return map(self._look_at, container.records(self._sieve))

    def watch(self, key: bytes, reverse: bytes, /) -> None:
        """Note, as a `Watcher` of its own selection, that a conversation began or ceased to be watched."""
        self._changed[min((key, reverse), (reverse, key))] = None

    unwatch = watch


def _reversed(key: bytes) -> bytes:
    """Return the key of the other direction."""
    size = (len(key) - 4) // 2
    return key[size:-4] + key[:size] + key[-2:] + key[-4:-2]


def serve(source: BinaryIO, out: BinaryIO) -> None:
    """Read files for as long as the other side asks for one."""

    def send_part(part: Part) -> None:
        send(out, Kind.PART, part.to_bytes())

    setup = receive(source)
    if setup is None:
        return
    interest, limits, seed = unpack_setup(setup[1])
    sieve, _ = sieve_for(interest, seed)
    send(out, Kind.READY)
    while (message := receive(source)) is not None:
        try:
            known, carried = unpack_file(message[1])
            scout = Scout(Input.again(known, limits), interest, limits, sieve, carried, send_part)
            send(out, Kind.LAST, scout.run().to_bytes())
        except BrokenPipeError:
            return
        except Exception as error:
            # What it was in the middle of is of no use any more.
            sieve, _ = sieve_for(interest, seed)
            send(out, Kind.FAILED, f"{type(error).__name__}: {error}".encode(errors="replace"))


def main() -> None:
    """Serve the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that reports
    serve(sys.stdin.buffer, sys.stdout.buffer)
