"""What several processes bring: amtdiag with one worker and with several, beside as many `cat`.

    python benchmarks/workers.py                       40 files of 50 MB, two workers
    python benchmarks/workers.py --files 8 --gzip
    python benchmarks/workers.py --help

The files are one made capture, split by Wireshark's editcap. Every round runs each once, so that a change of
the machine's speed meets all of them; what is quoted are medians of the ratios within a round. The reports
with one worker and with several have to be the same.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from task import MEGA, PROGRAM

ANALYZE = (PROGRAM, "analyze", "--json", "--fail-on", "never")
Commands = Sequence[Sequence[str]]


def make(folder: Path, files: int, size: int, *, packed: bool) -> list[str]:
    """Make a ring of captures, each of `size` million bytes."""
    whole = folder / "whole"
    maker = Path(__file__).with_name("captures.py")
    size_in_all = str(files * size * MEGA)
    made = subprocess.run(
        [sys.executable, maker, whole, "--size", size_in_all], check=True, capture_output=True
    )
    each = str(json.loads(made.stdout)["packets"] // files + 1)
    ring = folder / "ring.pcap"
    subprocess.run(["editcap", "-F", "pcap", "-c", each, whole, ring], check=True, capture_output=True)
    whole.unlink()
    for path in folder.iterdir() if packed else ():
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    return sorted(map(str, folder.iterdir()))


def run(commands: Commands) -> tuple[float, float, bytes]:
    """Run all at the same time: seconds, CPU seconds, and what the first one says."""
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled once
    with tempfile.TemporaryFile() as said, Path(os.devnull).open("wb") as nothing:
        before, begin = os.times(), time.perf_counter()
        children = [
            subprocess.Popen(
                words, stdout=nothing if words[0] == "cat" else said, stderr=nothing, env=environment
            )
            for words in commands
        ]
        codes = [child.wait() for child in children]
        seconds, after = time.perf_counter() - begin, os.times()
        if any(codes):
            sys.exit(f"workers: {commands[0][0]} ended with {codes}")
        said.seek(0)
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return seconds, cpu, said.read()


def middle(figures: Sequence[float]) -> str:
    """Return the median with the least and the greatest."""
    return f"{statistics.median(figures):.2f} ({min(figures):.2f}-{max(figures):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description="amtdiag with several workers beside as many cat.")
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--size", type=int, default=50, help="of each in MB, before it is packed (50)")
    parser.add_argument("--gzip", action="store_true", help="pack them")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dir", type=Path, help="where the captures go for the time being")
    arguments = parser.parse_args()
    many = arguments.workers
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        files = make(Path(folder), arguments.files, arguments.size, packed=arguments.gzip)
        tasks: dict[str, Commands] = {
            "amtdiag, one": [(*ANALYZE, "--workers", "1", *files)],
            f"amtdiag, {many}": [(*ANALYZE, "--workers", str(many), *files)],
            "cat, one": [("cat", *files)],
            f"cat, {many}": [("cat", *files[number::many]) for number in range(many)],
        }
        runs: dict[str, list[tuple[float, float, bytes]]] = {name: [] for name in tasks}
        for number in range(arguments.rounds + 1):
            for name, commands in tasks.items():
                once = run(commands)
                if number:  # the first round warms the page cache and compiles Python modules
                    runs[name].append(once)
    one, several, cat, cats = runs.values()
    if {said for *_, said in one} != {said for *_, said in several}:
        sys.exit("workers: the reports are not the same")
    print(f"{len(files)} files, {arguments.rounds} rounds")
    for name, found in runs.items():
        print(f"{name}: {middle([each[0] for each in found])} s, CPU {middle([each[1] for each in found])} s")
    print(f"gain of {many} workers: {middle([a[0] / b[0] for a, b in zip(one, several, strict=True)])}")
    print(f"gain of {many} cat:     {middle([a[0] / b[0] for a, b in zip(cat, cats, strict=True)])}")


if __name__ == "__main__":
    main()
