"""Runs a capture beside its view: packets are taken in a thread, the main one draws.

So a slow terminal holds up the drawing and nothing else. Where the view fails, the capture goes on with
lines.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from amtdiag.live.loop import CaptureLoop, Sink
from amtdiag.model import Diagnosis

if TYPE_CHECKING:
    from amtdiag.tui.app import StopFlag


def watch_on_screen(
    watch: CaptureLoop, stop: StopFlag, folder: str | None, at_end: Callable[[Diagnosis], None]
) -> Diagnosis:
    """Capture and show what is seen until `stop` is asked for; `folder` is where a report is to be saved.

    `at_end` is done before the screen is left: a terminal that does not take the last of it cannot hold up
    what is written.
    """
    from amtdiag.tui.app import LiveApp
    from amtdiag.tui.state import State

    def capture() -> Diagnosis:
        diagnosis = watch.run(lambda: stop.asked)
        at_end(diagnosis)
        return diagnosis

    lines: Sink = watch.sink
    state = watch.sink = State(watch.names)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(capture)
        try:
            # The mouse is left to the terminal: what is shown can be selected and copied.
            LiveApp(state, stop, folder, is_over=running.done).run(mouse=False)
        finally:
            watch.sink = lines
        return running.result()
