"""Memory of a live capture in floods, with the limits that a user has.

    python benchmarks/stress.py                    every flood of tests/live/floods.py, a process each
    python benchmarks/stress.py half_open --strokes 1000000

In the midst of each is a recorded device, whose diagnosis has to be that without the flood. No socket is
opened: packets are fed as they would come from one. Memory is the resident size of the process, which ends
with an error where it grows by more than a tenth over the last quarter.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import floods  # noqa: E402 - of the tests

from amtdiag.capture.decode.linktypes import ETHERNET  # noqa: E402
from amtdiag.capture.live.source import LivePacket, Tap  # noqa: E402
from amtdiag.config import Options  # noqa: E402
from amtdiag.live.engine import Live  # noqa: E402
from amtdiag.times import SECOND  # noqa: E402

SAMPLE = ROOT / "sample_pcaps" / "recorded" / "mesh_closed.pcapng"
BATCH = 1000
STEP = SECOND // 5000
POINTS = 20
GROWS = 1.1


def mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def play(name: str, strokes: int) -> int:
    from test_floods import frames_of, story

    flood = next(one for one in floods.FLOODS if one.__name__ == name)
    target = floods.Target(bytes((10, 99, 71, 1)), bytes((10, 99, 71, 48)))
    real, _ = frames_of(SAMPLE)
    ts = real[0].ts - strokes // 2 * STEP
    running = Live("live:eth0", [Tap("eth0", ETHERNET)], Options())
    alone = Live("live:eth0", [Tap("eth0", ETHERNET)], Options())
    alone.feed(real)
    begin = time.process_time()
    sizes: list[float] = []
    packets, batch = 0, list[LivePacket]()
    for number in range(strokes):
        batch += [LivePacket(ts, 0, data, len(data)) for data in flood(number, target)]
        if number == strokes // 2:
            batch += real
        ts = max(ts + STEP, real[-1].ts if number == strokes // 2 else 0)
        if len(batch) >= BATCH:
            packets += len(batch)
            running.feed(batch)
            batch = []
        if number % (strokes // POINTS) == strokes // POINTS - 1:
            sizes.append(mib())
    running.feed(batch)
    took = time.process_time() - begin
    found, expected = running.finish(ts), alone.finish(ts)
    devices = frozenset(one.id for one in expected.devices)
    is_same = story(found, devices) == story(expected, devices)
    first, third, last = sizes[POINTS // 4], max(sizes[: POINTS * 3 // 4]), max(sizes[POINTS * 3 // 4 :])
    judging = time.process_time() - begin - took
    print(
        f"| {name} | {packets:,} | {first:.0f} | {third:.0f} | {last:.0f} | {took:.0f} "
        f"| {mib():.0f} | {judging:.0f} | {'same' if is_same else 'OTHER'} |",
        flush=True,
    )
    return 0 if is_same and last <= third * GROWS else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Memory of a live capture in floods.")
    parser.add_argument("floods", nargs="*", default=[one.__name__ for one in floods.FLOODS])
    parser.add_argument("--strokes", type=int, default=400_000)
    parser.add_argument("--here", action="store_true", help="in this process")
    arguments = parser.parse_args()
    if arguments.here:
        return play(arguments.floods[0], arguments.strokes)
    print(
        "| flood | packets | MiB after a quarter | most until the last | most in it | CPU s "
        "| MiB when judged | CPU s of that | device |"
    )
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    failed = 0
    for name in arguments.floods:
        words = [sys.executable, __file__, name, "--here", "--strokes", str(arguments.strokes)]
        failed |= subprocess.run(words, check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
