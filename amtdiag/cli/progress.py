"""A progress bar on standard error, for people who wait; pipes and short inputs get none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from amtdiag.pipeline import Progress

LONG = 64 << 20
"""Bytes of input from which a bar is worth its lines."""


@contextmanager
def progress_bar() -> Iterator[Progress | None]:
    """Give a function that shows progress, or None where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None, visible=False)
        yield lambda done, total: bar.update(
            task, completed=done, total=max(total, done), visible=total >= LONG
        )
