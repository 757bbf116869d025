"""What a start costs: amtdiag's commands on a small capture, beside a Python that imports three modules.

    AMTDIAG=build/plain/bin/amtdiag python benchmarks/start.py

Every round runs each command once; what is quoted are medians, as multiples of the Python's. Measure a plain
installation: an editable one takes longer to start.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from pathlib import Path

AMTDIAG = Path(os.environ.get("AMTDIAG", "amtdiag"))
CAPTURE = Path(__file__).parents[1] / "sample_pcaps" / "recorded" / "mesh_closed.pcapng"
ROUNDS = 15
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
COMMANDS = {
    "python": [str(AMTDIAG.with_name("python")), "-c", "import argparse, json, dataclasses"],
    "--version": [str(AMTDIAG), "--version"],
    "analyze --json": [str(AMTDIAG), "analyze", "--json", str(CAPTURE)],
    "analyze": [str(AMTDIAG), "analyze", str(CAPTURE)],
}


def measure(words: list[str]) -> tuple[float, float]:
    """Seconds of the wall and of the processor that a process takes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, env=ENVIRONMENT)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    for words in COMMANDS.values():
        measure(words)  # compiles what was never compiled, and fills the page cache
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, words in COMMANDS.items():
            runs[name].append(measure(words))
    wall, cpu = (
        {name: statistics.median(run[which] for run in found) for name, found in runs.items()}
        for which in (0, 1)
    )
    print(f"{'':16} {'seconds':>8} {'x python':>8} {'cpu':>8} {'x python':>8}")
    for name in COMMANDS:
        ratios = wall[name] / wall["python"], cpu[name] / cpu["python"]
        print(f"{name:16} {wall[name]:8.3f} {ratios[0]:8.2f} {cpu[name]:8.3f} {ratios[1]:8.2f}")


if __name__ == "__main__":
    main()
