"""tshark's word on the captures of `shapes`: the makers are right, whatever amtdiag makes of the captures.

What tshark and capinfos read is compared with the truth: how many packets there are, which frames carry which
bytes of a Hello, from whom to whom, when, behind which tags, and that the stream put together again holds the
message. Captures without a Hello are only counted.
"""

from __future__ import annotations

import bz2
import itertools
import lzma
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from shapes import ANY, SHAPES, ExpectedHello, Shape, ranges_of

FIELDS = (
    "frame.number",
    "frame.time_epoch",
    "eth.src",
    "sll.src.eth",
    "ieee8021ad.id",
    "vlan.id",
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.flags.syn",
    "tcp.seq_raw",
    "tcp.payload",
)
UNPACK: dict[str, Callable[[bytes], bytes]] = {".xz": lzma.decompress, ".bz2": bz2.decompress}
TEST = "test_tshark_sees_what_the_truth_says"
NO_DATA = ("=", "Filter", "Node")  # lines around the bytes of a followed stream
NAMES = {shape.name for shape in SHAPES}

# The same packets with another port number tell tshark nothing new.
WITH_HELLO = [
    shape
    for shape in SHAPES
    if shape.truth.hellos and shape.name.removesuffix("_40000") not in NAMES - {shape.name}
]


@dataclass(frozen=True, slots=True)
class Frame:
    number: int
    time: int  # ns
    macs: list[str]
    vlan: tuple[int, ...]
    src: str
    dst: str
    sport: int
    dport: int
    seq: int  # of the first byte of payload
    payload: bytes

    @property
    def ends(self) -> tuple[str, str, int, int]:
        return self.src, self.dst, self.sport, self.dport


@dataclass(frozen=True, slots=True)
class Reading:
    """What tshark says of one file."""

    frames: dict[int, Frame]  # those with TCP payload
    streams: list[bytes]


_TRUE = ("1", "True")
"""How tshark shows a flag that is set: before and since version 4.2."""


def readable(path: Path) -> Path:
    """The file in a form that Wireshark's tools open."""
    if path.suffix not in UNPACK:
        return path
    plain = path.with_suffix("")
    plain.write_bytes(UNPACK[path.suffix](path.read_bytes()))
    return plain


def parse_frames(lines: Iterator[str]) -> Iterator[Frame]:
    for line in lines:
        if line.startswith("=") or line.count("|") != len(FIELDS) - 1:
            return
        number, time, eth, cooked, service, vlan, ip_src, ip6_src, ip_dst, ip6_dst, *tcp = line.split("|")
        if not tcp[-1]:
            continue
        seconds, _, fraction = time.partition(".")
        sport, dport, syn, seq, payload = (value.split(",")[-1] for value in tcp)
        yield Frame(
            int(number),
            int(seconds) * 10**9 + int(fraction.ljust(9, "0")) if time else 0,
            [mac for mac in f"{eth},{cooked}".split(",") if mac],
            tuple(int(vid) for vid in f"{service},{vlan}".split(",") if vid),
            ip6_src or ip_src.split(",")[-1],
            ip6_dst or ip_dst.split(",")[-1],
            int(sport),
            int(dport),
            int(seq) + (syn in _TRUE),
            bytes.fromhex(payload),
        )


def parse_streams(text: str) -> list[bytes]:
    """Each direction of each stream of ``-z follow,tcp,raw``."""
    streams = []
    for section in text.split("Follow: tcp,raw")[1:]:
        lines = [line for line in section.splitlines() if line and not line.startswith(NO_DATA)]
        for tabs in (False, True):
            mine = [line.strip() for line in lines if line.startswith("\t") is tabs]
            if mine and all(set(line) <= set("0123456789abcdef") for line in mine):
                streams.append(bytes.fromhex("".join(mine)))
    return streams


def read(tshark: Path, path: Path, streams: int, options: Sequence[str]) -> Reading:
    command = [
        str(tshark),
        "-n",
        "-r",
        str(path),
        "-T",
        "fields",
        "-E",
        "separator=|",
        "-E",
        "occurrence=a",
        *options,
    ]
    command += itertools.chain(*(("-e", name) for name in FIELDS))
    command += itertools.chain(*(("-z", f"follow,tcp,raw,{number}") for number in range(streams)))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (line for line in done.stdout.splitlines() if line)
    return Reading({frame.number: frame for frame in parse_frames(lines)}, parse_streams(done.stdout))


@dataclass(frozen=True, slots=True)
class Oracle:
    """Reads shapes; in the background those whose turn comes later."""

    tshark: Path
    folder: Path
    pool: ThreadPoolExecutor
    pending: dict[str, Future[dict[str, Reading]]]

    def read_now(self, shape: Shape) -> dict[str, Reading]:
        folder = self.folder / shape.name
        folder.mkdir()
        streams = 2 * len(shape.truth.hellos)
        return {
            path.name: read(self.tshark, readable(path), streams, shape.tshark_options)
            for path in shape.build(folder)
        }

    def submit(self, shape: Shape) -> Future[dict[str, Reading]]:
        if shape.name not in self.pending:
            self.pending[shape.name] = self.pool.submit(self.read_now, shape)
        return self.pending[shape.name]


def missing(shape: Shape) -> list[str]:
    return [tool for tool in shape.needs if shutil.which(tool) is None]


@pytest.fixture(scope="session")
def oracle(
    tshark: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Oracle]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        it = Oracle(tshark, tmp_path_factory.mktemp("shapes"), pool, {})
        if "PYTEST_XDIST_WORKER" not in os.environ:  # there the workers are what runs side by side
            mine = {item.name for item in request.session.items if item.path == Path(__file__)}
            for shape in WITH_HELLO:
                if f"{TEST}[{shape.name}]" in mine and not missing(shape):
                    it.submit(shape)
        yield it
        pool.shutdown(cancel_futures=True)


def name_of(shape: Shape) -> str:
    return shape.name


def place(frames: list[Frame], hello: ExpectedHello) -> dict[int, int]:
    """The message's bytes by position; of two bytes for one position, the first."""
    found: dict[int, int] = {}
    for frame in frames:
        offset = (frame.seq - hello.first_seq + 2**31) % 2**32 - 2**31
        for position, byte in enumerate(frame.payload, offset):
            if 0 <= position < len(hello.message):
                found.setdefault(position, byte)
    return found


def first_carriers(frames: list[Frame], hello: ExpectedHello) -> list[int]:
    """The numbers of the frames that bring a byte that no frame before them brought."""
    found: set[int] = set()
    numbers = []
    for frame in frames:
        fresh = place([frame], hello).keys() - found
        if fresh:
            found |= fresh
            numbers.append(frame.number)
    return numbers


def disagreements(shape: Shape, hello: ExpectedHello, readings: dict[str, Reading]) -> list[str]:
    everything = [frame for reading in readings.values() for frame in reading.frames.values()]
    ends = (hello.src, hello.dst, hello.sport, hello.dport)
    problems = []
    if hello.evidence is ANY or not hello.exact_frames:
        frames = [frame for frame in everything if frame.ends == ends]
    else:
        absent = [(file, number) for file, number in hello.evidence if number not in readings[file].frames]
        if absent:
            return [f"no TCP payload in {absent}"]
        frames = [readings[file].frames[number] for file, number in hello.evidence]
        mine = [frame for frame in everything if frame.ends == ends]
        if (
            len(shape.truth.hellos) == len(readings) == 1
            and tuple(first_carriers(mine, hello)) != hello.frames
        ):
            problems.append(f"first brought by frames {first_carriers(mine, hello)}, not {hello.frames}")

    found = place(frames, hello)
    if not hello.may_be_absent and ranges_of(set(found)) != hello.present:
        problems.append(f"bytes present: {ranges_of(set(found))}, not {hello.present}")
    wrong = [position for position, byte in sorted(found.items()) if byte != hello.message[position]]
    if wrong:
        problems.append(f"other bytes than the message's at {wrong[:9]}")
    for frame in frames:
        where = f"frame {frame.number}: "
        if frame.ends != ends:
            problems.append(f"{where}{frame.ends}, not {ends}")
        if hello.window is not ANY and not (hello.window[0] - 10**6 <= frame.time <= hello.window[1] + 10**6):
            problems.append(f"{where}time {frame.time} outside {hello.window}")
    if frames and hello.vlan is not ANY and frames[0].vlan != hello.vlan:
        problems.append(f"tags {frames[0].vlan}, not {hello.vlan}")
    macs = [hello.src_mac] if hello.src_mac else []
    if frames and hello.src_mac is not ANY and frames[0].macs[-1:] != macs:
        problems.append(f"hardware address {frames[0].macs}, not {hello.src_mac}")
    whole = hello.present == ((0, len(hello.message)),)
    streams = [stream for reading in readings.values() for stream in reading.streams]
    followed = whole and len(readings) == 1 and shape.tshark_follows
    if followed and not any(hello.message in stream for stream in streams):
        problems.append("no stream holds the message")
    return problems


@pytest.mark.parametrize("shape", WITH_HELLO, ids=name_of)
def test_tshark_sees_what_the_truth_says(shape: Shape, oracle: Oracle, need: Callable[[str], Path]) -> None:
    for tool in shape.needs:
        need(tool)
    readings = oracle.submit(shape).result()
    problems = [
        f"{hello.src}:{hello.sport}: {problem}"
        for hello in shape.truth.hellos
        for problem in disagreements(shape, hello, readings)
    ]
    assert not problems, "\n".join(problems)


def test_capinfos_counts_the_packets(capinfos: Path, tmp_path: Path) -> None:
    counts: dict[str, int | None] = {}
    for shape in SHAPES:
        if missing(shape):
            continue
        folder = tmp_path / shape.name
        folder.mkdir()
        for path, count in zip(shape.build(folder), shape.truth.packets, strict=True):
            counts[str(readable(path))] = count
    command = [str(capinfos), "-c", "-M", "-T", "-r", "-B", *counts]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = (line.rpartition("\t") for line in done.stdout.splitlines())
    seen = {path: int(number) if number.isdigit() else None for path, _, number in rows}
    wrong = [
        f"{path}: capinfos {seen.get(path)}, truth {count}"
        for path, count in counts.items()
        if count is not None and seen.get(path) != count
    ]
    assert not wrong, "\n".join(wrong)
