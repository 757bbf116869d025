"""Runs a capture beside its view: packets are taken in a thread, the main one draws.

So a slow terminal holds up the drawing and nothing else. Where the view fails, the capture goes on with
lines.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from amtdiag.model import Diagnosis
from amtdiag.watch import Teller, Watch


class Stop(Protocol):
    """Whether the run is to end; a signal may say so, too."""

    asked: bool


def watch_on_screen(watch: Watch, stop: Stop, folder: str | None) -> Diagnosis:
    """Capture and show what is seen until told to stop; `folder` is where the report is to be saved."""
    from amtdiag.screen.app import LiveApp
    from amtdiag.screen.state import State

    lines: Teller = watch.teller
    state = watch.teller = State(watch.names)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(watch.run, lambda: stop.asked)
        try:
            LiveApp(state, stop, folder, is_over=running.done).run()
        finally:
            watch.teller = lines
        return running.result()
