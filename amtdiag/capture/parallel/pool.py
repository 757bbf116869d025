"""The processes that read for this one, and who of them reads which file.

A thread here for each of them gives it the next file, in the order of their first packets, and collects what
it sends. All parts that wait together are bounded: a worker whose parts are not taken waits until
they are. A file that no worker has begun when it is wanted is left to the scan, so that the scan can always
go on.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread

from amtdiag.capture.files.inputs import Known
from amtdiag.capture.parallel.wire import Kind, Part, pack_file, receive, send
from amtdiag.errors import InputError

WAITING_BYTES = 64 << 20
"""Parts that wait in all."""
_ROOT = Path(__file__).resolve().parents[2]
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); import amtdiag; del sys.path[0]; "
    "from amtdiag.capture.parallel.worker import main; main()"
)
"""The same amtdiag that runs here, and nothing else from where that is."""


class Delivery:
    """What a worker sends of one file."""

    def __init__(self, carried: frozenset[bytes]) -> None:
        self.carried = carried
        """Conversations of which it sends everything."""
        self.waiting: deque[bytes] = deque()
        self.ended = False
        self.problem: str | None = None


class WorkerPool:
    """Workers for some files."""

    def __init__(
        self,
        files: Iterable[tuple[int, Known]],
        workers: int,
        setup: bytes,
        carried: Callable[[], list[bytes]],
    ) -> None:
        """Start to read `files`, in that order; `carried` says which conversations are followed by now."""
        self._setup = setup
        self._carried = carried
        self._queue = OrderedDict(files)
        self._deliveries: dict[int, Delivery] = {}
        self._waiting = 0
        self._wanted: int | None = None
        self._closed = False
        self._changed = Condition()
        self.processes: set[subprocess.Popen[bytes]] = set()
        self._threads = [Thread(target=self._employ, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def take(self, number: int) -> Delivery | None:
        """Return what comes of a file; None where no process reads it, nor will."""
        with self._changed:
            self._queue.pop(number, None)
            return self._deliveries.pop(number, None)

    def parts(self, number: int, delivery: Delivery) -> Iterator[Part]:
        """Yield the parts of a file as they come. Raises `InputError` where the worker failed."""
        while (data := self._next_part(number, delivery)) is not None:
            yield Part.from_bytes(data)
        if delivery.problem is not None:
            raise InputError(delivery.problem)

    def close(self) -> None:
        """End all workers, whatever they do."""
        with self._changed:
            self._closed = True
            for process in self.processes:
                process.kill()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _next_part(self, number: int, delivery: Delivery) -> bytes | None:
        with self._changed:
            self._wanted = number
            self._changed.notify_all()
            while not delivery.waiting and not delivery.ended:
                self._changed.wait(1)  # without an end, Ctrl-C would not be heard on Windows
            self._wanted = None
            if not delivery.waiting:
                return None
            data = delivery.waiting.popleft()
            self._waiting -= len(data)
            self._changed.notify_all()
            return data

    # What follows runs in the thread of a worker.

    def _employ(self) -> None:
        """Give one process file after file; another one in its place where it dies."""
        process: subprocess.Popen[bytes] | None = None
        try:
            while not self._closed and (process := process or self._start()) is not None:
                begun = self._begin()
                if begun is None:
                    break
                if not self._collect(process, *begun):
                    self._end(process)
                    process = None
        finally:
            if process is not None:
                self._end(process)

    def _start(self) -> subprocess.Popen[bytes] | None:
        """Return a process that is ready to read, None where there cannot be one."""
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, str(_ROOT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Not in the terminal's group: Ctrl-C is for the one that reports.
                process_group=None if sys.platform == "win32" else 0,
            )
        except OSError:
            return None
        with self._changed:
            self.processes.add(process)
            if self._closed:
                process.kill()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            send(process.stdin, Kind.SETUP, self._setup)
            ready = receive(process.stdout)
        except OSError:
            ready = None
        if ready is None:
            self._end(process)
            return None
        return process

    def _begin(self) -> tuple[int, Known, Delivery] | None:
        """Take on the next file."""
        with self._changed:
            if not self._queue or self._closed:
                return None
            number, known = self._queue.popitem(last=False)
            delivery = self._deliveries[number] = Delivery(frozenset(self._carried()))
            return number, known, delivery

    def _collect(
        self, process: subprocess.Popen[bytes], number: int, known: Known, delivery: Delivery
    ) -> bool:
        """Pass on what a worker sends of a file; False where it can read no more."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            send(process.stdin, Kind.FILE, pack_file(known, delivery.carried))
            while (message := receive(process.stdout)) is not None:
                kind, body = message
                if kind == Kind.FAILED:
                    self._finish(delivery, body.decode(errors="replace"))
                    return True
                self._enter(number, delivery, body)
                if kind == Kind.LAST:
                    self._finish(delivery)
                    return True
        except OSError:
            pass
        self._finish(delivery, f"the process that read it {_end_of(process)}")
        return False

    def _enter(self, number: int, delivery: Delivery, data: bytes) -> None:
        """Put a part with those that wait, once there is room or the scan waits for it."""
        with self._changed:
            while self._waiting >= WAITING_BYTES and self._wanted != number and not self._closed:
                self._changed.wait()
            delivery.waiting.append(data)
            self._waiting += len(data)
            self._changed.notify_all()

    def _finish(self, delivery: Delivery, problem: str | None = None) -> None:
        with self._changed:
            delivery.ended, delivery.problem = True, problem
            self._changed.notify_all()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End a process."""
        with self._changed:
            self.processes.discard(process)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was still to be written has no reader
                    pipe.close()


def _end_of(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    if code >= 0:
        return f"ended early, with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}"
