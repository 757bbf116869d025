"""What `amtdiag.sniff` does: a live capture from a script or a notebook, with an `Analysis` at its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from amtdiag.api.analysis import Analysis, checked_ports, own_certificates
from amtdiag.capture.live.interfaces import open_source
from amtdiag.config import Options
from amtdiag.errors import UsageError
from amtdiag.live.loop import CaptureLoop, CaptureSettings
from amtdiag.pipeline import interest
from amtdiag.times import SECOND

if TYPE_CHECKING:
    from amtdiag.live.diff import Update
    from amtdiag.live.loop import Counters
    from amtdiag.model import HelloEvent


def sniff(
    *interfaces: str,
    duration: float | None = None,
    count: int | None = None,
    file: str | PathLike[str] | None = None,
    ports: Iterable[int] = (),
    servers: Iterable[str] = (),
    root_of: str | PathLike[str] | None = None,
    cert: str | PathLike[str] | None = None,
    cert_password: str | None = None,
    any_port: bool = False,
    narrowed: str = "",
    promiscuous: bool = True,
) -> Analysis:
    """Capture on interfaces and return what is seen.

    It ends after `duration` seconds, after `count` packets that may matter (others are not handed over by the
    kernel), or when it is interrupted (Ctrl-C, in Jupyter the stop button), and then returns what there is;
    without either it goes on until then. `file` keeps the packets as pcapng. `servers` are the addresses of
    your provisioning servers; the rest is as for `amtdiag.read`, `any_port`, `narrowed` (its `-f`) and
    `promiscuous` as in `amtdiag live`. Nothing is sent. It blocks, in Jupyter too, and needs no event loop:
    in a coroutine use ``await asyncio.to_thread(amtdiag.sniff, "eth0", duration=60)``. The rights of the
    process are left as they are. Raises `MissingToolError` where the right to capture is missing,
    `InputError` where there is no such interface, `UsageError` for what makes no sense.
    """
    extra = checked_ports(ports)
    if not interfaces:
        raise UsageError('name an interface, such as amtdiag.sniff("eth0", duration=60)')
    for name, value in (("duration", duration), ("count", count)):
        if value is not None and value <= 0:
            raise UsageError(f"{name} is more than 0, not {value}")
    options = own_certificates(
        Options(extra, servers=frozenset(map(_address, servers))), root_of, cert, cert_password
    )
    source = open_source(
        interfaces, interest(options), any_port=any_port, promiscuous=promiscuous, narrowed=narrowed
    )
    try:
        plan = CaptureSettings(Path(file) if file is not None else None, seconds=duration, packets=count)
        watch = CaptureLoop(source, options, plan, NullSink())
        with _interruption() as is_interrupted:
            return Analysis(watch.run(is_interrupted))
    finally:
        source.close()


@contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """Have an interrupt noted, so that it breaks nothing off; only the main thread gets to know of one."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


class NullSink:
    """A sink that drops everything: what happened is in the analysis."""

    counts_every = 3600 * SECOND

    def hello(self, event: HelloEvent) -> None:
        """Ignore a Hello."""

    def prepare(self, news: Update) -> None:
        """Have nothing to prepare."""

    def judged(self, news: Update) -> None:
        """Ignore a diagnosis."""

    def counted(self, counters: Counters) -> None:
        """Ignore where the capture stands."""

    def noted(self, now: int, text: str) -> None:
        """Ignore a note: it is in the analysis."""


def _address(text: str) -> str:
    from ipaddress import ip_address

    try:
        return str(ip_address(text))
    except ValueError:
        raise UsageError(f"a server is an IP address, not {text!r}") from None
