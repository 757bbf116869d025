"""Containers: damage, bombs, folders, and what is no capture at all."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import random
import struct
import sys
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amtdiag.capture.files.inputs import open_inputs
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.capture.scan import Scan
from amtdiag.config import Limits, Options
from amtdiag.errors import InputError
from amtdiag.model import CaptureInfo
from amtdiag.pipeline import diagnose
from amtdiag.protocols.hello import HEAD

PACKET = bytes(range(60))


def pcap(count: int = 3, order: str = "<", magic: int = 0xA1B2C3D4) -> bytes:
    head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    return head + b"".join(struct.pack(order + "IIII", n, 0, 60, 60) + PACKET for n in range(count))


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def pcapng(*blocks: bytes) -> bytes:
    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    return section + block(1, struct.pack("<HHI", 1, 0, 0)) + b"".join(blocks)


def packet_block(n: int = 0, interface: int = 0) -> bytes:
    return block(6, struct.pack("<IIIII", interface, 0, n, 60, 60) + PACKET)


def read(path: Path, limits: Limits | None = None) -> CaptureInfo:
    return diagnose([path], Options(limits=limits or Limits())).captures[0]


def written(tmp_path: Path, data: bytes, name: str = "a.pcap") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_cut_at_every_byte_keeps_all_before(tmp_path: Path) -> None:
    whole = pcap()
    for cut in range(4, len(whole)):
        info = read(written(tmp_path, whole[:cut]))
        assert info.packets == max(0, cut - 24) // 76
        assert info.truncated == (cut < 24 or (cut - 24) % 76 != 0)
        assert bool(info.notes) == info.truncated


def test_pcapng_cut_at_every_byte(tmp_path: Path) -> None:
    whole = pcapng(packet_block(1), packet_block(2))
    size = len(packet_block())
    for cut in range(4, len(whole)):
        info = read(written(tmp_path, whole[:cut]))
        behind = (len(whole) - cut + size - 1) // size
        assert info.packets == max(0, 2 - behind)
        assert bool(info.notes) or cut in (28, 28 + 20, len(whole) - size)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.sampled_from(
        [pcap(), pcap(order=">"), pcapng(packet_block(), block(3, struct.pack("<I", 60) + PACKET))]
    ),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_no_mutation_raises_or_hangs(tmp_path: Path, data: bytes, changes: list[tuple[int, int]]) -> None:
    mutated = bytearray(data)
    for at, value in changes:
        mutated[at % len(mutated)] = value
    with contextlib.suppress(InputError):
        read(written(tmp_path, bytes(mutated)))


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("suffix", PACKERS)
def test_compressed_is_told_by_content(tmp_path: Path, suffix: str) -> None:
    info = read(written(tmp_path, PACKERS[suffix](pcap()), "no-suffix"))
    assert (info.packets, info.format) == (3, f"pcap.{suffix}")
    info = read(written(tmp_path, PACKERS[suffix](pcap()[:100]) + PACKERS[suffix](pcap()[100:])))
    assert info.packets == 3, "concatenated members are one stream"
    # bzip2 packs blocks of 900 KB: two of them, so that one is whole before the cut.
    cut = read(written(tmp_path, PACKERS[suffix](pcap(20_000))[:-40]))
    assert cut.truncated
    assert 0 < cut.packets <= 20_000


def test_gzip_without_isal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = gzip.compress(pcap(20_000))
    paths = [
        written(tmp_path, content, name)
        for name, content in (
            ("whole", data + gzip.compress(b"")),
            ("cut", data[:-40]),
            ("crc", data[:-8] + bytes(8)),
        )
    ]
    fast = [read(path) for path in paths]
    monkeypatch.setitem(sys.modules, "isal", None)
    slow = [read(path) for path in paths]
    assert [one.notes for one in slow] == [one.notes for one in fast]
    assert [one.truncated for one in slow] == [one.truncated for one in fast] == [False, True, True]
    assert [one.packets for one in slow] == [one.packets for one in fast]


def test_zstd_and_its_window_limit(tmp_path: Path) -> None:
    zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    frame = b"\x50\x2a\x4d\x18\x04\0\0\0skip" + zstd.compress(pcap())
    assert read(written(tmp_path, frame)).format == "pcap.zst"
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    compressor = zstd.ZstdCompressor(options=options)
    wide = compressor.compress(pcap(5)) + compressor.flush()
    small = Limits(decompressor_memory=1 << 20)
    with pytest.raises(InputError, match="more than 1 MiB"):
        read(written(tmp_path, wide), small)


def test_xz_dictionary_limit(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 64 << 20}]
    data = lzma.compress(pcap(), filters=filters)
    with pytest.raises(InputError, match="decompressor memory"):
        read(written(tmp_path, data), Limits(decompressor_memory=1 << 20))


def test_bomb_is_stopped_and_said(tmp_path: Path) -> None:
    limits = Limits(decompression_ratio_from=1 << 20, decompression_ratio=100)
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(pcap(1) + bytes(64 << 20)) + packer.flush()
    info = read(written(tmp_path, bomb), limits)
    assert any("bomb" in note for note in info.notes)
    total = Limits(decompressed_total=1 << 20)
    assert any("reading stopped" in note for note in read(written(tmp_path, bomb), total).notes)


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (pcap(1) + struct.pack("<IIII", 0, 0, 0xFFFFFFF0, 60), "damaged"),
        (pcapng(packet_block(), struct.pack("<III", 6, 0, 0)), "shorter than a block"),
        (pcapng(packet_block(), struct.pack("<III", 6, 0xFFFFFFF0, 0)), "claims"),
        (pcapng(packet_block(), packet_block(interface=9)), "interface 9"),
        (pcapng(packet_block(), block(6, struct.pack("<IIIII", 0, 0, 0, 900, 900) + PACKET)), "claims 900"),
        (pcapng(packet_block(), packet_block()[:-4] + bytes(4)), "disagree"),
        (
            pcapng(packet_block(), block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 9, 0, -1))),
            "version 9.0",
        ),
    ],
)
def test_damage_ends_the_file_with_a_note(tmp_path: Path, data: bytes, note: str) -> None:
    info = read(written(tmp_path, data))
    assert info.packets == 1
    assert note in info.notes[-1]


def test_too_many_interfaces(tmp_path: Path) -> None:
    interface = block(1, struct.pack("<HHI", 1, 0, 0))
    info = read(written(tmp_path, pcapng(interface * 20, packet_block())), Limits(interfaces=10))
    assert "interfaces" in info.notes[-1]


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"GMBU" + bytes(200), "trace.cap", "editcap"),
        (struct.pack("<I", 65536) + bytes(200), "net.etl", "pktmon etl2pcap"),
        (b"PK\x03\x04" + bytes(100), "a.zip", "ZIP"),
        (b"hello world\n", "notes.txt", "text file"),
        (b"", "empty.pcap", "empty"),
        (random.Random(9971).randbytes(3000), "noise.bin", "not a capture"),
        (gzip.compress(b"hello world", mtime=0), "a.gz", "gz-compressed, and inside it a text file"),
        (b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 50, "b.gz", "damaged"),
    ],
)
def test_not_a_capture_is_one_line_that_helps(tmp_path: Path, data: bytes, name: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, data, name))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders(tmp_path: Path) -> None:
    outside = written(tmp_path, pcap(), "outside.pcap")
    folder = tmp_path / "ring"
    (folder / "deep").mkdir(parents=True)
    (folder / "2.pcap").write_bytes(pcap(2))
    (folder / "deep" / "1.pcap").write_bytes(pcap(1))
    (folder / "readme.txt").write_text("no capture")
    (folder / "broken.etl").write_bytes(b"ElfFile\0" + bytes(64))
    (folder / "link.pcap").symlink_to(outside)
    (folder / "inside.pcap").symlink_to(folder / "2.pcap")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    diagnosis = diagnose([folder])
    assert [one.packets for one in diagnosis.captures] == [2, 1]
    assert any("lead out" in note for note in diagnosis.notes)
    assert any("1 files are not captures" in note for note in diagnosis.notes)
    assert any("broken.etl" in line for line in diagnosis.problems)


def test_the_same_file_is_read_once(tmp_path: Path) -> None:
    path = written(tmp_path, pcap())
    diagnosis = diagnose([path, path, tmp_path])
    assert len(diagnosis.captures) == 1


def test_strict_wants_every_input(tmp_path: Path) -> None:
    good, bad = written(tmp_path, pcap()), written(tmp_path, b"nothing", "b.txt")
    assert diagnose([good, bad]).problems
    with pytest.raises(InputError):
        diagnose([good, bad], Options(strict=True))


def test_many_files_are_open_one_at_a_time(tmp_path: Path) -> None:
    for n in range(30):
        start = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
        records = b"".join(struct.pack("<IIII", n * 100 + i, 0, 60, 60) + PACKET for i in range(3))
        (tmp_path / f"{(n * 7) % 30:03}.pcap").write_bytes(start + records)
    opened = open_inputs([tmp_path], Limits())
    scan = Scan(opened.inputs, Interest(frozenset({9971}), frozenset(), HEAD), Limits())
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in scan:
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    assert scan.packets == 90
