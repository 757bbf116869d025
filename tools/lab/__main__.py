"""Record the scenarios: python -m tools.lab DIRECTORY [NAME ...]."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.lab import calling, discovery, several, vantage  # noqa: F401 -- they fill the table
from tools.lab.credentials import Credentials
from tools.lab.net import leftovers, remove, run
from tools.lab.programs import NEEDED, without_machine
from tools.lab.site import Site
from tools.lab.table import SCENARIOS, Scenario
from tools.lab.truth import counts, expected

CANNOT = 4
INTERRUPTED = 130
LOCK = Path("/run/amtlab.lock")
AT_ONCE = 20


def main(words: Sequence[str] | None = None) -> int:
    """Record what was asked for; 1 if a recording does not show what it should, 4 if there is no lab here."""
    parser = argparse.ArgumentParser(prog="tools.lab", description="Record captures in network namespaces.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios; all of them unless given")
    asked = parser.parse_args(words)
    if os.geteuid() != 0:
        print("lab: needs root, for network namespaces and raw packets", file=sys.stderr)
        return CANNOT
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        print(f"lab: needs {', '.join(missing)}", file=sys.stderr)
        return CANNOT
    unknown = set(asked.names) - {one.name for one in SCENARIOS}
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    numbered = [(n, one) for n, one in enumerate(SCENARIOS, 1) if not asked.names or one.name in asked.names]
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("lab: another one is running", file=sys.stderr)
            return CANNOT
        failed = _record_all(numbered, asked.directory)
    print(f"lab: {len(numbered) - failed} of {len(numbered)} recorded", file=sys.stderr)
    return 1 if failed else 0


def _record_all(numbered: Sequence[tuple[int, Scenario]], target: Path) -> int:
    """Record scenarios side by side, the long ones first; return how many failed."""
    target.mkdir(parents=True, exist_ok=True)
    remove(leftovers())
    work = Path(tempfile.mkdtemp(prefix="amtlab-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        credentials = Credentials(work)
        pool = ThreadPoolExecutor(AT_ONCE)
        jobs = [
            pool.submit(_record, one, number, target, work / one.name, credentials)
            for number, one in sorted(numbered, key=lambda pair: -pair[1].seconds)
        ]
        return sum(not job.result() for job in jobs)
    except KeyboardInterrupt:
        _clear(work)
        os._exit(INTERRUPTED)  # the scenarios that sleep would keep the program alive
    finally:
        _clear(work)


def _clear(work: Path) -> None:
    remove(leftovers())
    shutil.rmtree(work, ignore_errors=True)


def _record(scenario: Scenario, number: int, target: Path, folder: Path, credentials: Credentials) -> bool:
    """Act a scenario, check its recording with tshark and keep it with its truth; False where that fails."""
    folder.mkdir()
    started = time.monotonic()
    try:
        site = Site(number, folder, credentials)
        try:
            scenario.act(site)
            files = [recorder.stop() for recorder in site.recorders]
        finally:
            site.close()
        for path in files:
            _correct(path, scenario.shifts.get(path.stem, 0))
        _check(scenario, files, number)
        kept = _keep(scenario.name, files, target)
        truth = expected(scenario.story, kept, site.hellos, site.truth)
        (target / f"{scenario.name}.expected.json").write_text(json.dumps(truth, indent=1) + "\n")
    except Exception:  # whatever it is: the others go on
        print(f"lab: {scenario.name} failed", traceback.format_exc(), sep="\n", file=sys.stderr)
        return False
    print(f"lab: {scenario.name} ({time.monotonic() - started:.0f} s)", file=sys.stderr)
    return True


def _correct(path: Path, shift: float) -> None:
    """Set a sensor's clock wrong where the scenario says so, and leave out what tells of this machine."""
    if shift:
        shifted = path.with_suffix(".shifted")
        run("editcap", "-F", "pcapng", "-t", str(shift), str(path), str(shifted))
        shifted.replace(path)
    path.write_bytes(without_machine(path.read_bytes()))


def _check(scenario: Scenario, files: Sequence[Path], number: int) -> None:
    """Hold a recording to what Wireshark has to see in it."""
    for path in files:
        wanted = {}
        for text, least in scenario.shows.items():
            sensor, colon, filter_ = text.partition(": ")
            if not colon or sensor == path.stem:
                wanted[(filter_ if colon else text).format(n=number)] = least
        got = counts(path, list(wanted))
        for filter_, least in wanted.items():
            if got[filter_] < least or (got[filter_] and not least):
                raise RuntimeError(f"{path.name}: {got[filter_]} frames of `{filter_}`, not {least}")


def _keep(name: str, files: Sequence[Path], target: Path) -> list[Path]:
    """Move a recording to its place: a file, or a folder of two sensors' files."""
    if len(files) == 1:
        return [Path(shutil.copy(files[0], target / f"{name}.pcapng"))]
    (target / name).mkdir(exist_ok=True)
    return [Path(shutil.copy(path, target / name / path.name)) for path in files]


if __name__ == "__main__":
    sys.exit(main())
