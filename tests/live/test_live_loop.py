"""The loop of a live capture, with a source that brings nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence

from amtdiag.api.sniff import NullSink
from amtdiag.capture.live.source import Counts, LivePacket, Tap
from amtdiag.config import Options
from amtdiag.live.loop import CaptureLoop, CaptureSettings


class Silent:
    """An interface on which nothing comes; it takes its time to say so."""

    taps: Sequence[Tap] = (Tap("silent0", 1),)

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        return False

    def read(self) -> list[LivePacket]:
        return []

    def counts(self) -> list[Counts]:
        return [Counts()]

    def check(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


def test_a_judgement_costs_what_it_takes_and_not_until_it_is_noticed() -> None:
    """The next waits many times as long as the last took: seconds, where a quiet interface was waited for."""
    watch = CaptureLoop(Silent(), Options(), CaptureSettings(None), NullSink())
    for number in range(2):  # what the first takes is importing, and does not count
        watch._judge(time.time_ns(), time.monotonic_ns())
        judging = watch._judging
        assert judging is not None
        _, took = judging.result()
        time.sleep(0.4)
        watch._tend()
        assert watch._cost == (took if number else 0)
    watch._judge_thread.shutdown()
