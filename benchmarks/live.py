"""`amtdiag live` beside other tools on the same load, in network namespaces (Linux, root).

    make bench-live                              a short run: some three minutes
    make bench-live ARGS="--full --page docs/performance.md"
    python benchmarks/live.py --help

A cable lies between two ends of a namespace. `blast.c` sends 100,000 packets a second into one end, of which
one in a hundred is provisioning; the tools listen at the other, one after the other on the same load, each
with a filter for the same ports. What is measured of each: CPU of its whole process tree while the load runs
(the kernel's filter is not in it, as the sender's side runs it), relevant packets that it did not see, time
from its start to the first packet it saw. Of amtdiag too: how long after a Hello its line comes, and memory
while so many conversations go by.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import traffic
from run import HERE, ROOT, machine
from task import FILTER, PROGRAM, put_into

RESULTS = ROOT / "build" / "bench-live.json"
NEAR, FAR = "near0", "far0"
LISTENERS = str(HERE / "listeners.py")
SETTLES, DRAINS = 4.0, 1.0
"""Seconds that a tool is given until the load begins, and after it ended."""
TRICKLE = 2000
"""Relevant packets a second while tools are started."""
EVERY = 100
TICKS = os.sysconf("SC_CLK_TCK")
FAILS = 2.0
"""In thousandths: a load that falls behind by more is said."""


@dataclass(frozen=True)
class Tool:
    """A listener; `{file}` is where it may write, and `counted` reads how many packets it took."""

    name: str
    words: tuple[str, ...]
    counted: Callable[[str, Path], int]
    first: Callable[[str, Path], int]
    """When the first packet came, in nanoseconds since 1970."""
    module: str = ""
    only_relevant: bool = True

    def is_missing(self) -> bool:
        return shutil.which(self.words[0]) is None or bool(self.module and find_spec(self.module) is None)


@dataclass
class Result:
    """What one tool did under the load."""

    relevant: int
    seen: int | None
    """None where what it counts is not the relevant packets alone."""
    hellos: int
    hellos_seen: int | None
    dropped: int | None
    core: float
    """CPU seconds a second while the load ran."""
    cpu: float
    """CPU seconds from its start to its end."""
    mib: float
    starts: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Memory:
    """Memory while conversations go by."""

    conversations: int
    rate: int
    dropped: int
    samples: list[tuple[float, float]]
    """Seconds and MiB."""


def lines_of(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def amtdiag_counted(output: str, _kept: Path) -> int:
    return int(next(line["packets"] for line in lines_of(output) if line["event_type"] == "summary"))


def first_record(_output: str, kept: Path) -> int:
    """When the first packet of a capture was taken."""
    from amtdiag.capture.files.inputs import Input
    from amtdiag.config import Limits

    with Input(kept, kept.name, Limits()).opened() as container:
        return next(iter(container.records()))[0]


def records_in(_output: str, kept: Path) -> int:
    said = subprocess.run(["capinfos", "-c", "-M", str(kept)], check=True, capture_output=True, text=True)
    return int(said.stdout.split()[-1].replace(",", ""))


def word(at: int) -> Callable[[str, Path], int]:
    return lambda output, _kept: int(output.split()[at])


def listener(name: str) -> Tool:
    return Tool(name, (sys.executable, LISTENERS, name, FAR), word(1), word(0), module=name)


LIVE = (PROGRAM, "live", "-i", FAR, "--jsonl", "--fail-on", "never")
AMTDIAG = Tool("amtdiag live", LIVE, amtdiag_counted, first_record)
ANY_PORT = Tool(
    "amtdiag live --any-port", (*LIVE, "--any-port"), amtdiag_counted, first_record, only_relevant=False
)
TOOLS = (
    AMTDIAG,
    ANY_PORT,
    Tool("dumpcap", ("dumpcap", "-q", "-i", FAR, "-f", FILTER, "-w", "{file}"), records_in, first_record),
    Tool("tcpdump", ("tcpdump", "-Z", "root", "-i", FAR, "-w", "{file}", FILTER), records_in, first_record),
    listener("scapy"),
    listener("pyshark"),
)


# ---------------------------------------------------------------------------------------------- the namespace


@contextmanager
def namespace() -> Iterator[str]:
    name = f"amtdiag-bench-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for kind in ("all", "default"):
            words = ["sysctl", "-qw", f"net.ipv6.conf.{kind}.disable_ipv6=1"]
            subprocess.run(within(name, words), check=False, capture_output=True)
        ip = ["ip", "-n", name, "link"]
        subprocess.run([*ip, "add", NEAR, "type", "veth", "peer", "name", FAR], check=True)
        for end in (NEAR, FAR):
            subprocess.run([*ip, "set", end, "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def within(name: str, words: Sequence[str]) -> list[str]:
    return ["ip", "netns", "exec", name, *words]


class Load:
    """The sender: compiled, with its frames."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._program = str(folder / "blast")
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-O2", "-o", self._program, str(HERE / "blast.c")], check=True)
        self._files = {}
        for kind, frames in (
            ("bulk", traffic.bulk()),
            ("scene", traffic.scene()),
            ("conversation", traffic.conversation()),
        ):
            path = folder / kind
            path.write_bytes(traffic.packed(frames))
            self._files[kind] = str(path), len(frames)

    def begin(self, times: int, rate: int, every: int, kind: str) -> subprocess.Popen[str]:
        """Play a scene so many times."""
        path, length = self._files[kind]
        words = [self._program, NEAR, str(times * length * every), str(rate), str(every)]
        words += [self._files["bulk"][0], path]
        return subprocess.Popen(within(self._name, words), stdout=subprocess.PIPE, text=True)

    def length(self, kind: str) -> int:
        return self._files[kind][1]


def sent_by(sender: subprocess.Popen[str], rate: int) -> tuple[int, int, float]:
    """Wait for the end; return relevant packets, times around and seconds."""
    out, _ = sender.communicate()
    if sender.returncode:
        sys.exit("bench: the load could not be sent")
    packets, relevant, times, nanoseconds = map(int, out.split())
    seconds = nanoseconds / 1e9
    if packets / seconds < rate * (1 - FAILS / 1000):
        print(f"bench: only {packets / seconds:,.0f} packets/s were sent", file=sys.stderr)
    return relevant, times, seconds


# ------------------------------------------------------------------------------------------------- the tools


class Listening:
    """A running tool, and all processes that it started."""

    def __init__(self, tool: Tool, name: str, folder: Path, *more: str) -> None:
        self.kept = folder / "kept"
        self.kept.unlink(missing_ok=True)
        words = [one.replace("{file}", str(self.kept)) for one in tool.words]
        environment = {**os.environ}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.latencies: list[float] = []
        self._lines: list[str] = []
        self._errors = (folder / "errors").open("w+")
        self.began = time.time_ns()
        self.process = subprocess.Popen(
            within(name, [*words, *more]), stdout=subprocess.PIPE, stderr=self._errors, text=True,
            start_new_session=True, env=environment,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        """Take what it says, and when it said it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            now = time.time()
            self._lines.append(line)
            if line.startswith("{") and '"event_type": "hello"' in line:
                at = datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
                self.latencies.append(now - at)

    def cpu(self) -> float:
        """CPU seconds of all its processes so far."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError, IndexError, ValueError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.process.pid:  # its session
                    ticks += sum(map(int, fields[11:15]))  # its own, and of children that ended
        return ticks / TICKS

    def mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def is_ready(self, text: str) -> bool:
        return text in Path(self._errors.name).read_text()

    def end(self) -> str:
        """Return all that it said."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join()
        self._errors.close()
        return "".join(self._lines)


def start_time(tool: Tool, name: str, load: Load, folder: Path, seconds: float) -> float:
    """Seconds from the start of a tool to the first packet it took, while packets come all the time."""
    more = ("-w", str(folder / "kept")) if tool.words[0] == PROGRAM else ()
    times = round((seconds + 1) * TRICKLE / load.length("scene"))
    sender = load.begin(times, TRICKLE, 1, "scene")
    time.sleep(0.3)
    running = Listening(tool, name, folder, *more)
    try:
        time.sleep(seconds)
    finally:
        output = running.end()
        sender.kill()
        sender.communicate()
    return (tool.first(output, running.kept) - running.began) / 1e9


def under_load(tool: Tool, name: str, load: Load, folder: Path, *, seconds: float, rate: int) -> Result:
    running = Listening(tool, name, folder)
    try:
        time.sleep(SETTLES)
        before = running.cpu()
        times = max(round(seconds * rate / EVERY / load.length("scene")), 1)
        relevant, hellos, took = sent_by(load.begin(times, rate, EVERY, "scene"), rate)
        time.sleep(DRAINS)
        used, mib = running.cpu() - before, running.mib()
    finally:
        began = running.cpu()
        output = running.end()
    said = lines_of(output) if tool.words[0] == PROGRAM else []
    counted = tool.counted(output, running.kept)
    drops = [line["stats"]["capture"]["kernel_drops"] for line in said if line["event_type"] == "stats"]
    return Result(
        relevant=relevant,
        seen=counted if tool.only_relevant else None,
        hellos=hellos,
        hellos_seen=sum(line["event_type"] == "hello" for line in said) if said else None,
        dropped=drops[-1] if drops else None,
        core=used / took,
        cpu=began,
        mib=mib,
        latencies=running.latencies,
    )


def memory(name: str, load: Load, folder: Path, conversations: int, rate: int) -> Memory:
    """Let so many conversations go by."""
    running = Listening(AMTDIAG, name, folder)
    samples = []
    try:
        time.sleep(SETTLES)
        sender = load.begin(conversations, rate, 1, "conversation")
        begin = time.monotonic()
        while sender.poll() is None:
            samples.append((time.monotonic() - begin, running.mib()))
            time.sleep(0.5)
        sent_by(sender, rate)
        time.sleep(DRAINS)
    finally:
        output = running.end()
    stats = [line for line in lines_of(output) if line["event_type"] == "stats"][-1]["stats"]["capture"]
    return Memory(conversations, rate, stats["kernel_drops"], samples)


# ------------------------------------------------------------------------------------------------- the tables


def cells_of(tool: str, one: Result) -> list[str]:
    hellos = "" if one.hellos_seen is None else f"{one.hellos - one.hellos_seen:,} of {one.hellos:,}"
    if one.seen is not None:
        lost = f"{one.relevant - one.seen:,} of {one.relevant:,}"
    else:  # it takes others too: no more than were dropped of all
        lost = f"{min(one.dropped or 0, one.relevant):,} of {one.relevant:,} at most"
    start = f"{statistics.median(one.starts):.2f} ({min(one.starts):.2f}-{max(one.starts):.2f})"
    late = ""
    if one.latencies:
        ordered = sorted(one.latencies)
        middle, most = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
        late = f"{middle * 1000:.0f}, {most * 1000:.0f}"
    return [
        tool,
        lost,
        hellos,
        "" if one.dropped is None else f"{one.dropped:,}",
        f"{one.core * 100:.1f} %",
        start,
        late,
        f"{one.mib:.0f}",
    ]


def table(results: dict[str, Result], seconds: float, rate: int) -> Iterator[str]:
    yield f"{rate:,} packets a second for {seconds:.0f} s, one in {EVERY} relevant:"
    yield ""
    yield (
        "| tool | relevant packets lost | Hellos lost | dropped by the kernel | of one core "
        "| s from start to first packet | ms from a Hello to its line, median, 99 of 100 | MiB |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for name, one in results.items():
        yield f"| {' | '.join(cells_of(name, one))} |"
    yield ""


def memory_lines(one: Memory) -> Iterator[str]:
    end = one.samples[-1][0]

    def between(low: float, high: float) -> list[float]:
        return [mib for at, mib in one.samples if low <= at / end <= high]

    third, last = statistics.median(between(0.5, 0.75)), statistics.median(between(0.75, 1))
    yield (
        f"{one.conversations:,} conversations in {end:.0f} s, {one.rate:,} packets a second, "
        f"{one.dropped:,} packets dropped:"
    )
    first, second = max(between(0, 0.5)), max(between(0.5, 1))
    yield f"{first:.0f} MiB at most in the first half, {second:.0f} in the second;"
    yield f"median of the third quarter {third:.0f}, of the last {last:.0f}."
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description="amtdiag live beside other tools on the same load.")
    parser.add_argument("--seconds", type=float, default=8, help="of load for each tool (8)")
    parser.add_argument("--rate", type=int, default=100_000, help="packets a second (100000)")
    parser.add_argument(
        "--starts", type=int, default=3, help="of each tool, for the time to its first packet"
    )
    parser.add_argument("--conversations", type=int, default=50_000, help="while memory is watched (50000)")
    parser.add_argument("--memory-rate", type=int, default=14_000, help="their packets a second, four each")
    parser.add_argument("--full", action="store_true", help="60 s of load, 5 starts, 1,000,000 conversations")
    parser.add_argument("--tools", nargs="*", help="only those whose name begins so")
    parser.add_argument("--dir", type=Path, help="where files go for the time being")
    parser.add_argument("--page", type=Path, help="put the tables into this page")
    arguments = parser.parse_args()
    if arguments.full:
        arguments.seconds, arguments.starts, arguments.conversations = 60, 5, 1_000_000
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"):
        sys.exit("bench: network namespaces take Linux, root, and ip(8)")
    wanted = [one for one in TOOLS if not arguments.tools or one.name.startswith(tuple(arguments.tools))]
    tools = [one for one in wanted if not one.is_missing()]
    for one in wanted:
        if one not in tools:
            print(f"bench: no {one.name} here, left out", file=sys.stderr)
    busy = os.getloadavg()[0]
    results: dict[str, Result] = {}
    remembered: Memory | None = None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.dir)))
        name = stack.enter_context(namespace())
        load = Load(name, folder)
        for one in tools:
            print(f"bench: {one.name} ...", file=sys.stderr)
            try:
                results[one.name] = under_load(
                    one, name, load, folder, seconds=arguments.seconds, rate=arguments.rate
                )
            except (IndexError, StopIteration):  # it ended without a word
                print(f"bench: {one.name} told nothing, left out", file=sys.stderr)
        for _ in range(arguments.starts):
            for one in [one for one in tools if one.name in results]:
                wait = 5.0 if one.module else 2.0
                results[one.name].starts.append(start_time(one, name, load, folder, wait))
        if arguments.conversations and AMTDIAG in tools:
            print(f"bench: {arguments.conversations:,} conversations ...", file=sys.stderr)
            count, rate = arguments.conversations, arguments.memory_rate
            remembered = memory(name, load, folder, count, rate)
    lines = [f"{machine()}; load average {busy:.1f} before it.", ""]
    lines += table(results, arguments.seconds, arguments.rate)
    if remembered is not None:
        lines += memory_lines(remembered)
    text = "\n".join(lines)
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    saved = {
        "machine": machine(), "seconds": arguments.seconds, "rate": arguments.rate,
        "tools": {name: asdict(one) for name, one in results.items()},
        "memory": remembered and asdict(remembered),
    }  # fmt: skip
    RESULTS.write_text(json.dumps(saved, indent=1) + "\n")
    if arguments.page:
        put_into(arguments.page, "live", text)


if __name__ == "__main__":
    main()
