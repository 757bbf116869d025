"""amtdiag beside other tools, each as a whole process on the same files in one run.

    make bench                         300 MB, a few minutes
    make bench SIZE=1G                 and the same at four times the size
    python benchmarks/run.py --help

Every round runs each tool once, so that a change of the machine's speed meets all of them. What is quoted
are medians, and medians of the ratios within a round. Each tool's exit status and counts are held against the
truth about the file. Tools that take minutes a gigabyte read a slice, and what a gigabyte would come to is
labelled as extrapolated. Memory is the peak of the process; a child begins as a copy of this one, so that
less than this program has (some 17 MiB) cannot be told.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from task import DISPLAY_FILTER, FILTER, PROGRAM, Format, Kind, Truth, put_into, size_of

HERE = Path(__file__).parent
ROOT = HERE.parent
READERS = str(HERE / "readers.py")
RESULTS = ROOT / "build" / "bench.json"
BASE = "tcpdump"


@dataclass(frozen=True)
class Tool:
    """A command, where it is installed, and what of its output has to be right."""

    name: str
    words: tuple[str, ...]
    """`{}` is the file."""
    is_right: Callable[[str, Truth], bool]
    environment: tuple[tuple[str, str], ...] = ()
    statuses: tuple[int, ...] = (0,)
    module: str = ""
    """Python module without which it cannot run."""

    def is_missing(self) -> bool:
        if self.module:
            return importlib.util.find_spec(self.module) is None
        return shutil.which(self.words[0]) is None


@dataclass(frozen=True)
class Run:
    seconds: float
    cpu: float
    mib: float


@dataclass
class Work:
    """One file, and the runs of each tool on it."""

    title: str
    kind: Kind
    form: Format
    size: int
    tools: Sequence[Tool]
    truth: Truth | None = None
    runs: dict[str, list[Run]] = field(default_factory=dict)

    def median(self, tool: str) -> Run:
        runs = self.runs[tool]
        return Run(
            *(statistics.median(getattr(one, name) for one in runs) for name in ("seconds", "cpu", "mib"))
        )

    def ratios(self, tool: str, base: str = BASE) -> list[float]:
        return [
            one.seconds / other.seconds for one, other in zip(self.runs[tool], self.runs[base], strict=True)
        ]


def analysis_is_right(output: str, truth: Truth) -> bool:
    summary = json.loads(output)["summary"]
    return bool(summary["packets"] == truth.packets and summary["hellos"] == truth.hellos)


def kernel(name: str) -> Callable[[str, Truth], bool]:
    return lambda output, truth: (
        analysis_is_right(output, truth) and json.loads(output)["tool"]["kernel"] == name
    )


def counts(wanted: Callable[[Truth], int]) -> Callable[[str, Truth], bool]:
    """The last word of the output is a number."""
    return lambda output, truth: int(output.split()[-1].replace(",", "")) == wanted(truth)


def lines_are_right(output: str, truth: Truth) -> bool:
    return output.count("\n") == truth.relevant


def always(_output: str, _truth: Truth) -> bool:
    return True


def relevant(truth: Truth) -> int:
    return truth.relevant


def python_tool(name: str) -> Tool:
    words = (sys.executable, READERS, name, "{}")
    return Tool(name, words, counts(relevant), module=name)


ANALYZE = (PROGRAM, "analyze", "--json", "--fail-on", "never", "{}")
AMTDIAG = Tool("amtdiag", ANALYZE, kernel("c"), (("AMTDIAG_KERNEL", "c"),))
PLAIN = Tool("amtdiag, Python walk", ANALYZE, kernel("python"), (("AMTDIAG_KERNEL", "python"),))
TCPDUMP = Tool(BASE, ("tcpdump", "-r", "{}", "-w", "/dev/null", FILTER), always)
CAT = Tool("cat", ("cat", "{}"), always)
CAPINFOS = Tool("capinfos", ("capinfos", "-c", "-M", "{}"), counts(lambda truth: truth.packets))
TSHARK = Tool(
    "tshark",
    ("tshark", "-n", "-r", "{}", "-Y", DISPLAY_FILTER, "-T", "fields", "-e", "frame.number"),
    lines_are_right,
)
FAST = (AMTDIAG, TCPDUMP, CAT)
SLOW = (TSHARK, python_tool("pyshark"), python_tool("scapy"), python_tool("dpkt"))


def works(size: int, small: int, piece: int) -> list[Work]:
    return [
        Work("mixed, pcap", "mixed", "pcap", size, (*FAST, PLAIN, CAPINFOS)),
        Work("mixed, pcap, four times as long", "mixed", "pcap", 4 * size, FAST),
        Work("mixed, pcapng", "mixed", "pcapng", size, FAST),
        Work("80 bytes a packet, pcap", "small", "pcap", small, (*FAST, PLAIN)),
        Work("mixed, pcap, a slice for the slow", "mixed", "pcap", piece, (AMTDIAG, TCPDUMP, *SLOW)),
    ]


def run(tool: Tool, path: Path, truth: Truth) -> Run:
    """Run once; end the benchmark where the tool fails or says something else than what is so."""
    words = [word.replace("{}", str(path)) for word in tool.words]
    environment = {**os.environ, **dict(tool.environment)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled once
    with tempfile.TemporaryFile() as output, Path(os.devnull).open("wb") as nothing:
        out = nothing if tool is CAT else output
        moves = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, nothing.fileno(), 2)]
        program = shutil.which(words[0]) or words[0]
        begin = time.perf_counter()
        child = os.posix_spawn(program, words, environment, file_actions=moves)
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - begin
        output.seek(0)
        said = output.read().decode()
    code = os.waitstatus_to_exitcode(status)
    if code not in tool.statuses or not tool.is_right(said, truth):
        sys.exit(f"bench: {tool.name} on {path.name}: status {code}, wants {truth}, says {said[-300:]!r}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def check_filter(path: Path, truth: Truth) -> None:
    """tcpdump's filter finds what is relevant, so that its time is that of the same task."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "kept.pcap")
        words = ["tcpdump", "-r", str(path), "-w", str(kept), FILTER]
        subprocess.run(words, check=True, capture_output=True)
        data, pos, count = kept.read_bytes(), 24, 0
        while pos < len(data):
            pos += 16 + int.from_bytes(data[pos + 8 : pos + 12], "little")
            count += 1
    if count != truth.relevant:
        sys.exit(f"bench: tcpdump keeps {count} packets, {truth.relevant} are relevant")


def measure(work: Work, folder: Path, rounds: int) -> None:
    path = folder / f"{work.kind}.{work.form}"
    maker = [sys.executable, str(HERE / "captures.py"), str(path), "--kind", work.kind, "--format", work.form]
    made = subprocess.run([*maker, "--size", str(work.size)], check=True, capture_output=True)
    work.truth = Truth(**json.loads(made.stdout))
    tools = [tool for tool in work.tools if not tool.is_missing()]
    for tool in set(work.tools) - set(tools):
        print(f"bench: no {tool.name} here, left out", file=sys.stderr)
    if work.form == "pcap":
        check_filter(path, work.truth)
    try:
        for number in range(rounds + 1):
            for tool in tools:
                once = run(tool, path, work.truth)
                if number:  # the first round warms the page cache and compiles Python modules
                    work.runs.setdefault(tool.name, []).append(once)
    finally:
        path.unlink()


def table(work: Work) -> Iterator[str]:
    assert work.truth is not None
    truth = work.truth
    yield f"{work.title}: {truth.bytes / 1e6:,.0f} MB, {truth.packets:,} packets, {truth.relevant:,} relevant"
    yield ""
    is_slice = any(tool in SLOW for tool in work.tools)
    last = " s a GB, extrapolated |" if is_slice else ""
    yield f"| tool | seconds | CPU seconds | of tcpdump's time | MiB |{last}"
    yield "|---|---|---|---|---|" + ("---|" if is_slice else "")
    for name in work.runs:
        middle, ratios = work.median(name), work.ratios(name)
        spread = "" if name == BASE else f" ({min(ratios):.2f}-{max(ratios):.2f})"
        cells = [
            name,
            f"{middle.seconds:.2f}",
            f"{middle.cpu:.2f}",
            f"{statistics.median(ratios):.2f}{spread}",
            f"{middle.mib:.0f}",
        ]
        if is_slice:
            cells.append(f"{middle.seconds * 1e9 / truth.bytes:.0f}")
        yield f"| {' | '.join(cells)} |"
    yield ""


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} processors, Python {platform.python_version()}, {platform.system()}"


def main() -> None:
    parser = argparse.ArgumentParser(description="amtdiag beside other tools on the same captures.")
    parser.add_argument("--size", type=size_of, default=size_of("300M"), help="of the mixed captures (300M)")
    parser.add_argument("--small", type=size_of, default=size_of("300M"), help="of 80-byte packets (300M)")
    parser.add_argument("--slice", type=size_of, default=size_of("10M"), help="for the slow tools (10M)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", type=Path, help="where the captures go for the time being")
    parser.add_argument("--page", type=Path, help="put the tables into this page")
    arguments = parser.parse_args()
    planned = works(arguments.size, arguments.small, arguments.slice)
    lines = [f"{machine()}; {arguments.rounds} rounds, page cache warm.", ""]
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        for work in planned:
            print(f"bench: {work.title} ...", file=sys.stderr)
            measure(work, Path(folder), arguments.rounds)
            lines += table(work)
    first, _, blocks = planned[:3]
    if first.truth and blocks.truth:
        times = blocks.median("amtdiag").seconds / first.median("amtdiag").seconds
        lines += [f"pcapng takes {times:.2f} times as long as pcap for the same packets.", ""]
    text = "\n".join(lines)
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    saved = [
        {
            "title": one.title,
            "truth": one.truth and asdict(one.truth),
            "runs": {name: [asdict(each) for each in runs] for name, runs in one.runs.items()},
        }
        for one in planned
    ]
    RESULTS.write_text(json.dumps({"machine": machine(), "works": saved}, indent=1) + "\n")
    if arguments.page:
        put_into(arguments.page, "figures", text)


if __name__ == "__main__":
    main()
