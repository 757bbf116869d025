"""Holds what amtdiag says of each Hello in the captures of `shapes` against the truth, field by field."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from shapes import ANY, SHAPES, ExpectedHello, Shape

from amtdiag.cli.main import main

ROOT = Path(__file__).parents[1]
BY_NAME = {shape.name: shape for shape in SHAPES}
ALGORITHMS = {(1, 20): "sha1", (2, 32): "sha256", (3, 48): "sha384"}
TOLERANCE = 2 * 10**6  # ns: the coarsest clock of the captures ticks in milliseconds
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

Line = dict[str, Any]


def parse_lines(text: str) -> list[Line]:
    return [json.loads(line) for line in text.splitlines()]


def build(shape: Shape, folder: Path, need: Callable[[str], Path]) -> list[str]:
    for tool in shape.needs:
        need(tool)
    return [str(path) for path in shape.build(folder)]


def community_id(src: str, dst: str, sport: int, dport: int) -> str:
    """Version 1 with seed 0, as its specification has it: the smaller end first."""
    ends = sorted([(ipaddress.ip_address(src).packed, sport), (ipaddress.ip_address(dst).packed, dport)])
    (low, low_port), (high, high_port) = ends
    text = b"\0\0" + low + high + struct.pack(">BBHH", 6, 0, low_port, high_port)
    return "1:" + base64.b64encode(hashlib.sha1(text).digest()).decode()


def nanoseconds(value: object) -> int:
    """A time as a number of seconds or as ISO 8601."""
    if isinstance(value, (int, float)):
        return round(value * 10**9)
    text = re.sub(r"(\.\d{6})\d+", r"\1", str(value))
    return round(datetime.fromisoformat(text).timestamp() * 10**6) * 1000


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, content in value.items():
            yield from strings(key)
            yield from strings(content)
    elif isinstance(value, list):
        for content in value:
            yield from strings(content)


def plain_fields(hello: ExpectedHello) -> Iterator[tuple[str, object]]:
    """The fields that are compared as they are."""
    yield from (("src", hello.src), ("dst", hello.dst), ("sport", hello.sport), ("dport", hello.dport))
    yield "community_id", community_id(hello.src, hello.dst, hello.sport, hello.dport)
    yield from (("uuid", hello.uuid), ("version", hello.version), ("type", hello.type))
    yield from (("retry_count", hello.retry_count), ("admin_credentials_raw", hello.admin_credentials_raw))
    raw = hello.admin_credentials_raw
    yield (
        "admin_credentials_set",
        ANY if raw is ANY else {0: False, 1: True}.get(raw) if raw is not None else None,
    )
    yield from (
        ("pid_check_ok", hello.pid_check_ok),
        ("complete", hello.complete),
        ("src_mac", hello.src_mac),
    )
    yield "vlan", hello.vlan if hello.vlan is ANY else list(hello.vlan)


def digest_differences(hello: ExpectedHello, hashes: Iterable[Line]) -> Iterator[str]:
    hashes = list(hashes)
    got = [(one["index"], one["algorithm_id"], one["digest"]) for one in hashes]
    certain = [one for one in got if one not in hello.more_digests]
    if certain != list(hello.digests):
        lost = [one for one in hello.digests if one not in got]
        invented = [one for one in certain if one not in hello.digests]
        yield f"hashes: {len(lost)} not reported {lost[:3]}, {len(invented)} not there {invented[:3]}"
    if got != sorted(got):
        yield f"hashes: not in order: {[index for index, _, _ in got]}"
    for one in hashes:
        size = len(one["digest"]) // 2
        if one["length"] != size:
            yield f"hashes[{one['index']}].length: {one['length']}, not {size}"
        name = ALGORITHMS.get((one["algorithm_id"], size))
        if name and one["algorithm"] != name:
            yield f"hashes[{one['index']}].algorithm: {one['algorithm']}, not {name}"


def frame_differences(hello: ExpectedHello, got: Line) -> Iterator[str]:
    if hello.evidence is ANY or hello.frames is None:
        return
    told = {(Path(one["file"]).name, one["frame"]) for one in got["evidence"]}
    true = set(hello.evidence)
    if told != true if hello.exact_frames else not (told and told <= true):
        yield f"evidence: {sorted(told)[:9]}, not {sorted(true)[:9]}"
    files = {name for name, _ in hello.evidence}
    if Path(got["file"]).name not in files:
        yield f"file: {got['file']}, not one of {sorted(files)}"
    if len(files) == 1 and set(got["frames"]) != {frame for _, frame in told}:
        yield f"frames: {got['frames'][:9]} beside evidence {sorted(told)[:9]}"


def differences(hello: ExpectedHello, got: Line) -> Iterator[str]:
    for name, value in plain_fields(hello):
        if value is not ANY and got[name] != value:
            yield f"{name}: {got[name]!r}, not {value!r}"
    if hello.pid is None or isinstance(hello.pid, bytes):
        pid = None if hello.pid is None else hello.pid.decode("ascii")
        told = got["pid"]
        if (told.replace("-", "") if told else told) != pid:
            yield f"pid: {told!r}, not {pid!r}"
    if hello.trailing_bytes is not ANY and (got["trailing_bytes"] or 0) != hello.trailing_bytes:
        yield f"trailing_bytes: {got['trailing_bytes']}, not {hello.trailing_bytes}"
    if hello.missing_bytes is not None and (got["missing_bytes"] or 0) != hello.missing_bytes:
        yield f"missing_bytes: {got['missing_bytes']}, not {hello.missing_bytes}"
    if hello.window is not ANY:
        time = nanoseconds(got["ts"])
        if not hello.window[0] - TOLERANCE <= time <= hello.window[1] + TOLERANCE:
            yield f"ts: {got['ts']}, not within {hello.window} ns"
    yield from digest_differences(hello, got["hashes"])
    yield from frame_differences(hello, got)


def fits(hello: ExpectedHello, got: Line) -> bool:
    """Whether the line speaks of this Hello: ends and retry count tell those of one capture apart."""
    ends = (hello.src, hello.dst, hello.sport, hello.dport) == (
        got["src"],
        got["dst"],
        got["sport"],
        got["dport"],
    )
    return ends and hello.retry_count in {ANY, got["retry_count"]}


def compare(shape: Shape, lines: Sequence[Line]) -> list[str]:
    """Every difference between the truth and what was said."""
    left = list(lines)
    found: list[str] = []
    for hello in shape.truth.hellos:
        where = f"{hello.src}:{hello.sport} -> {hello.dport}, retry {hello.retry_count}"
        got = next((line for line in left if fits(hello, line)), None)
        if got is not None:
            left.remove(got)
            found += (f"{where}: {difference}" for difference in differences(hello, got))
        elif not hello.may_be_absent:
            found.append(f"{where}: not found")
    found += (f"no such Hello: {json.dumps(line)[:300]}" for line in left)
    found += (f"unsafe text {text!r}" for line in lines for text in strings(line) if UNSAFE.search(text))
    return found


def judge(shape: Shape, lines: Sequence[Line]) -> None:
    found = compare(shape, lines)
    if found and shape.optional:
        pytest.xfail("optional: " + found[0])
    assert not found, "\n".join([f"{shape.name}:", *found, *shape.truth.notes])


def ports(shape: Shape) -> list[str]:
    return [word for port in shape.extra_ports for word in ("--port", str(port))]


def hellos(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> list[Line]:
    """What ``amtdiag hellos --jsonl`` prints, run in this process."""
    code = main(["hellos", "--jsonl", *arguments])
    output = capsys.readouterr()
    assert code in {0, 1}, f"exit code {code}\n{output.err}"
    return parse_lines(output.out)


def hellos_are_found(shapes: Sequence[Shape]) -> Callable[..., None]:
    """A test with a case for each shape."""

    @pytest.mark.parametrize("shape", shapes, ids=lambda shape: shape.name)
    def test(
        shape: Shape, capsys: pytest.CaptureFixture[str], tmp_path: Path, need: Callable[[str], Path]
    ) -> None:
        judge(shape, hellos(capsys, [*ports(shape), *build(shape, tmp_path, need)]))

    return test
