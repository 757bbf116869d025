"""Hellos that come through a pipe, in pieces that end anywhere."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hello_truth import BY_NAME, ROOT, build, judge, parse_lines

THROUGH_A_PIPE = (
    "plain",
    "one_byte_per_segment_40000",
    "span_both_ways",
    "pcap_big_endian_nanoseconds",
    "pcapng_sections_of_both_orders",
    "pcapng_simple_packets_snaplen",
    "pcapng_link_types_and_resolutions_big_endian",
    "pcap_cut_in_hello",
    "compressed_gzip_members",
    "compressed_gzip_truncated",
    "compressed_zstd",
    "compressed_xz",
    "none_random_bytes",
)


@pytest.mark.parametrize("name", THROUGH_A_PIPE)
def test_hellos_from_a_pipe(name: str, tmp_path: Path, need: Callable[[str], Path]) -> None:
    shape = BY_NAME[name]
    (path,) = build(shape, tmp_path, need)
    data = Path(path).read_bytes()
    command = [sys.executable, "-m", "amtdiag", "hellos", "--jsonl", "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as child:
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its exit code and words say more
            for start in range(0, len(data), 999):  # in pieces that end anywhere
                child.stdin.write(data[start : start + 999])
                child.stdin.flush()
        output, complaint = child.communicate()
    assert child.returncode in {0, 1}, complaint.decode()
    lines = parse_lines(output.decode())
    for line in lines:  # whatever the input is called here
        line["file"] = Path(path).name
        for one in line["evidence"]:
            one["file"] = Path(path).name
    judge(shape, lines)
