"""A cluster of dask.distributed that reads for this process, a file a task.

It takes the place of `pool.WorkerPool`: the tasks and what comes back are bytes of our own format
(`capture.task`), handed out in the order of the files' first packets, so many at a time that every worker has
one in hand and one to come. What has been read waits on the workers until it is wanted here.

dask itself pickles: whoever is part of the cluster can run code on all machines of it, this one included. So
the network has to be trusted, or the cluster has to use TLS, which in dask proves both sides.
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from amtdiag.capture.files.inputs import Known
from amtdiag.capture.parallel.dask_task import unpack_answer
from amtdiag.capture.parallel.pool import Delivery
from amtdiag.capture.parallel.wire import Part, pack_file
from amtdiag.config import Cluster
from amtdiag.errors import InputError, MissingToolError, UsageError
from amtdiag.safetext import safe

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 10
"""For the scheduler to answer, and for a first worker to be there."""
PATIENCE_SECONDS = 30
"""Without any worker, while a file is waited for."""
_LOOK_SECONDS = 1
_AHEAD = 2
"""Files a worker thread that are ordered before they are wanted."""
_CHARACTERS = 300
_TLS = "distributed.comm.tls"


class _LostError(Exception):
    pass


class Fleet:
    """The workers of a cluster, for some files."""

    def __init__(
        self,
        files: Iterable[tuple[int, Known]],
        cluster: Cluster,
        setup: bytes,
        carried: Callable[[], list[bytes]],
        kernel: str,
    ) -> None:
        """Start to read `files`, in that order; `carried` says which conversations are followed by now.

        Raises `UsageError` for an address that will not do, `MissingToolError` where there is no cluster.
        """
        self._setup = setup
        self._carried = carried
        self._kernel = kernel
        self._queue = OrderedDict(files)
        self._labels = {number: known.label for number, known in self._queue.items()}
        self._tasks: dict[int, tuple[Future[object], frozenset[bytes]]] = {}
        self._client = _connect(cluster)
        self._threads = self._count_threads()
        self._task = _task()
        self._lost = False
        """The cluster reads no more: what is left is read here."""
        self._order()

    def take(self, number: int) -> Delivery | None:
        """Wait for what comes of a file; None where it is too much to be sent, or the cluster is lost.

        Raises `MissingToolError` where a worker has no amtdiag, or another one than this.
        """
        self._order(number)
        if self._lost:
            return None
        future, carried = self._tasks.pop(number)
        delivery = Delivery(carried)
        delivery.ended = True
        try:
            data = self._wait(future)
        except InputError as error:
            delivery.problem = str(error)
            return delivery
        except _LostError:
            self._lost = True
            return None
        future.release()
        self._order()
        answer = unpack_answer(data, self._kernel)
        if answer.too_much:
            return None
        delivery.waiting.extend(answer.parts)
        delivery.problem = answer.problem
        return delivery

    def parts(self, number: int, delivery: Delivery) -> Iterator[Part]:
        """Yield the parts of a file. Raises `InputError` where it could not be read, or they are damaged."""
        while delivery.waiting:
            part = Part.from_bytes(delivery.waiting.popleft())
            if part.info.file != self._labels[number]:
                raise InputError("the worker's answer is about another file")
            yield part
        if delivery.problem is not None:
            raise InputError(delivery.problem)

    def close(self) -> None:
        """Leave the cluster and cancel what it has under way."""
        self._tasks.clear()
        self._client.close(timeout=_LOOK_SECONDS)

    def _order(self, wanted: int | None = None) -> None:
        """Order the file that is wanted, and as many more as the workers can be busy with."""
        if wanted is not None and wanted in self._queue:
            self._submit(wanted)
        while self._queue and not self._lost and len(self._tasks) < _AHEAD * self._threads:
            self._submit(next(iter(self._queue)))

    def _submit(self, number: int) -> None:
        carried = frozenset(self._carried())
        order = pack_file(self._queue.pop(number), carried)
        # Not pure: two runs, or two calls, never share a result.
        key = f"amtdiag-{os.urandom(8).hex()}"
        try:
            future = self._client.submit(self._task, self._setup, order, pure=False, key=key)
            self._tasks[number] = future, carried
        except Exception:  # the connection is gone; dask's exception for that is not public
            self._lost = True

    def _wait(self, future: Future[object]) -> object:
        """Return what a task gave. Raises `InputError` where it failed, `_LostError` where it never will."""
        from distributed import KilledWorker

        alone_since: float | None = None
        while True:
            try:
                return future.result(timeout=_LOOK_SECONDS)
            except TimeoutError as error:
                if future.status == "error":  # of the task itself
                    raise InputError(f"the task failed: {_reason(error)}") from error
            except KilledWorker as error:
                raise InputError(
                    "the process that read it died, and so did each that took over"
                    f" ({error.allowed_failures + 1} in all)"
                ) from error
            except ImportError as error:
                reason = "a worker of the cluster lacks this amtdiag: install the same everywhere"
                raise MissingToolError(f"{reason} ({_reason(error)})") from error
            except Exception as error:
                if future.status != "error":
                    raise _LostError from error
                raise InputError(f"the task failed: {_reason(error)}") from error
            if threads := self._count_threads():
                self._threads = threads  # more workers may have come
                alone_since = None
                continue
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since > PATIENCE_SECONDS:
                raise _LostError

    def _count_threads(self) -> int:
        try:
            return sum(self._client.nthreads().values())
        except Exception:  # whatever dask makes of a connection that is gone
            return 0


def _task() -> Callable[[bytes, bytes], object]:
    """Return what a worker runs, a function that pickles by value because it stands inside another.

    dask would look up a function of a module as soon as the task reaches a scheduler or worker: one without
    amtdiag then loses its connection, and the task waits for ever. This one fails there, with an ImportError.
    """

    def read_on_worker(setup: bytes, order: bytes) -> object:
        from amtdiag.capture.parallel.dask_task import read_file

        return read_file(setup, order)

    return read_on_worker


def _connect(cluster: Cluster) -> Client:
    """Return the connection to a scheduler that has a worker at least."""
    tls = _checked(cluster)
    try:
        import dask
        from distributed import Client, Security
    except ImportError as error:
        raise MissingToolError("--cluster takes dask.distributed: pip install 'amtdiag[cluster]'") from error
    settings = [f"{_TLS}.{name}" for name in ("ca-file", "client.cert")]
    missing = [name for name in settings if tls and not dask.config.get(name, None)]
    if missing:
        raise UsageError(f"tls:// takes certificates: dask's configuration has no {' and no '.join(missing)}")
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):
            # What goes wrong is said in one line, by whoever catches it.
            logging.getLogger(name).setLevel(logging.CRITICAL)
    where = safe(cluster.address, _CHARACTERS)
    try:
        client = Client(
            cluster.address,
            timeout=CONNECT_SECONDS,
            set_as_default=False,
            # Also for connections other than this one: to a worker, for one.
            security=Security(require_encryption=True) if tls else None,
        )
    except Exception as error:  # besides OSError whatever OpenSSL, dask and its configuration come to
        raise MissingToolError(f"the scheduler {where} cannot be used: {_reason(error)}") from error
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except Exception as error:
        client.close(timeout=_LOOK_SECONDS)
        raise MissingToolError(f"the scheduler {where} has no workers: {_reason(error)}") from error
    return client


def _checked(cluster: Cluster) -> bool:
    """Tell whether the address asks for TLS. Raises `UsageError` for one that will not do."""
    shown = safe(cluster.address, _CHARACTERS)
    try:
        parts = urlsplit(cluster.address)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if host is None or port is None or scheme not in ("tls", "tcp"):
        raise UsageError(f"a cluster's address is tls://HOST:PORT or tcp://HOST:PORT, not {shown}")
    if scheme == "tcp" and not cluster.insecure and not _is_loopback(host):
        raise UsageError(
            f"{shown} is another machine, and without TLS anybody in between could run code here and there: "
            "use tls://, or say --cluster-insecure"
        )
    return scheme == "tls"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reason(error: BaseException) -> str:
    return safe(f"{type(error).__name__}: {error}".partition("\n")[0], _CHARACTERS)
