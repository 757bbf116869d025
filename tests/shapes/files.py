"""A Hello in containers of all kinds, whole, cut and compressed."""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from shapes.containers import (
    Interface,
    Writer,
    custom,
    enhanced,
    obsolete,
    pcap,
    pcapng,
    section_header,
    simple,
    talkative_pcapng,
)
from shapes.conversations import plain, split2
from shapes.messages import ANY, REAL, device_uuid, real
from shapes.packets import STEP, T0, device
from shapes.stored import Record, by_time, other, record, records, snapped, through
from shapes.truth import Shape, cut, expected, ng, single
from shapes.wrappings import RAW, ethernet, prefixed, sll


def _containers() -> Iterator[Shape]:
    stored = records(split2())
    plain_variants: tuple[tuple[str, Writer], ...] = (
        ("nanoseconds", functools.partial(pcap, nanoseconds=True)),
        ("big_endian", functools.partial(pcap, order=">")),
        ("big_endian_nanoseconds", functools.partial(pcap, order=">", nanoseconds=True)),
        ("kuznetzov", functools.partial(pcap, kuznetzov=True)),
        ("kuznetzov_big_endian", functools.partial(pcap, kuznetzov=True, order=">")),
        ("version_2_3", functools.partial(pcap, version=(2, 3))),
        ("version_2_2", functools.partial(pcap, version=(2, 2), swapped_lengths=True)),
        ("snaplen_field_0", functools.partial(pcap, snaplen=0)),
    )
    for name, write in plain_variants:
        yield single(f"pcap_{name}", stored, write)
    short = snapped(stored, 300)  # only where the two lengths differ does their order matter
    for minor in (2, 3):
        write = functools.partial(pcap, version=(2, minor), swapped_lengths=True, snaplen=300)
        yield single(f"pcap_version_2_{minor}_swapped_lengths", short, write)
    with_fcs = records(split2(), pad_to=60, fcs=True)
    yield single("pcap_fcs_declared", with_fcs, functools.partial(pcap, fcs=4))
    yield single("pcap_fcs_declared_big_endian", with_fcs, functools.partial(pcap, fcs=4, order=">"))
    yield single("pcap_fcs_undeclared", with_fcs)
    yield single("pcap_cut_in_last_record", stored, cut(pcap, 10), packets=(len(stored) - 1,))
    rest = tuple((d.index, d.algorithm_id, d.value.hex()) for d in REAL.digests if d.end > 400)
    for name, cut_write, suffix in (
        ("pcap", cut(pcap, 100), ".pcap"),
        ("pcapng", cut(pcapng, 100), ".pcapng"),
    ):
        file = f"{name}_cut_in_hello{suffix}"
        hellos = expected(
            [(file, stored[:5])], more_digests=rest, missing_bytes=None, exact_frames=False, evidence=ANY
        )
        yield single(
            f"{name}_cut_in_hello", stored[:6], cut_write, suffix=suffix, packets=(5,), hellos=hellos
        )
    yield single("pcap_cut_in_record_header", stored, lambda s: pcap(s) + b"\0" * 7, packets=(len(stored),))
    yield single("pcap_empty", [], hellos=())
    yield ng("pcapng_empty", [], hellos=())
    yield ng("pcapng_only_section_header", [], lambda _: section_header("<"), hellos=())

    yield ng("pcapng", stored)
    yield ng("pcapng_big_endian", stored, functools.partial(pcapng, order=">"))
    yield ng("pcapng_cut_in_last_block", stored, cut(pcapng, 10), packets=(len(stored) - 1,))
    yield ng("pcapng_sections_of_both_orders", stored, lambda s: pcapng(s[:5]) + pcapng(s[5:], order=">"))
    restarted = records(split2()[:5]) + records(split2()[5:], RAW)
    yield ng("pcapng_sections_restart_interfaces", restarted, lambda s: pcapng(s[:5]) + pcapng(s[5:]))
    yield ng("pcapng_section_length", stored, _with_section_length)
    yield ng("pcapng_late_interface", through(1, stored[:6]) + stored[6:], _late_interface)
    yield ng("pcapng_blocks_options_comments", stored, talkative_pcapng)
    yield ng(
        "pcapng_blocks_options_comments_big_endian", stored, functools.partial(talkative_pcapng, order=">")
    )
    yield ng("pcapng_simple_packets", stored, functools.partial(pcapng, kind=simple), window=ANY)
    limited = functools.partial(pcapng, kind=simple, interfaces=(Interface(snaplen=300),))
    yield ng("pcapng_simple_packets_snaplen", short, limited, window=ANY)
    yield ng("pcapng_obsolete_packets", stored, functools.partial(pcapng, kind=obsolete))
    between = by_time(stored, (other(b"a note", one.at) for one in stored[::2]))
    with_notes = functools.partial(pcapng, kind=custom)
    yield ng("pcapng_custom_blocks", between, with_notes, packets=(len(stored),), optional=True)
    fcs_interface = (Interface(extra=((13, b"\4"),)),)
    yield ng("pcapng_fcs_length", with_fcs, functools.partial(pcapng, interfaces=fcs_interface))
    interfaces = (
        Interface(1, 6),
        Interface(101, 9),
        Interface(1, 3),
        Interface(101, 0x80 | 20),
        Interface(113),
    )
    links = (ethernet(), RAW, ethernet(), RAW, prefixed(113, sll, shows_mac=True))
    conversations = [
        through(
            number,
            records(
                plain(real(uuid_wire=device_uuid(number)), device(20 + number), start=T0 + number * 77_000),
                link,
            ),
        )
        for number, link in enumerate(links)
    ]
    for order, name in (("<", "little"), (">", "big")):
        write = functools.partial(pcapng, interfaces=interfaces, order=order)
        yield ng(f"pcapng_link_types_and_resolutions_{name}_endian", by_time(*conversations), write)
    both_ways = [replace(record(p, links[p.outbound]), interface=p.outbound) for p in split2()]
    write = functools.partial(pcapng, interfaces=interfaces)
    yield ng("pcapng_each_direction_on_its_link_type", both_ways, write)
    for resolution, offset in ((6, 3600), (9, 1_600_000_000), (6, -7200)):
        write = functools.partial(pcapng, interfaces=(Interface(1, resolution, offset),))
        yield ng(f"pcapng_time_offset_{offset}_resolution_{resolution}".replace("-", "minus_"), stored, write)

    encodings: tuple[tuple[str, str, Writer, Callable[[bytes], bytes], tuple[str, ...]], ...] = (
        ("gzip", ".pcap.gz", pcap, gzip.compress, ()),
        ("gzip_pcapng", ".pcapng.gz", pcapng, gzip.compress, ()),
        ("gzip_members", ".pcap.gz", pcap, _gzip_members, ()),
        ("gzip_misnamed", ".pcap", pcap, gzip.compress, ()),
        ("zstd", ".pcap.zst", pcap, _zstd, ("zstd",)),
        ("zstd_frames", ".pcap.zst", pcap, lambda b: _zstd(b[:900]) + _zstd(b[900:]), ("zstd",)),
        ("xz", ".pcap.xz", pcap, lzma.compress, ()),
        ("bzip2", ".pcap.bz2", pcap, bz2.compress, ()),
    )
    for name, suffix, write, encode, needs in encodings:
        yield single(f"compressed_{name}", stored, write, suffix=suffix, encode=encode, needs=needs)
    generator = random.Random(11)
    end = stored[-1].at
    filler = [
        other(b"\2" * 12 + b"\x88\xb5" + generator.randbytes(500), end + n * STEP) for n in range(1, 300)
    ]
    yield single(
        "compressed_gzip_truncated",
        stored + filler,
        suffix=".pcap.gz",
        encode=lambda data: gzip.compress(data)[:90_000],
        packets=(None,),
    )


def _with_section_length(stored: Sequence[Record]) -> bytes:
    body = pcapng(stored)[len(section_header("<")) :]
    return section_header("<", length=len(body)) + body


def _late_interface(stored: Sequence[Record]) -> bytes:
    """The interface that the last packets name comes first; the other one is described as late as allowed."""
    first, second = Interface(), Interface(resolution=9)
    early = [replace(one, interface=0) for one in stored[:6]]
    late = [replace(one, interface=1) for one in stored[6:]]
    parts = [section_header("<"), first.block("<"), *(enhanced("<", first, one) for one in early)]
    return b"".join([*parts, second.block("<"), *(enhanced("<", second, one) for one in late)])


def _gzip_members(data: bytes) -> bytes:
    return b"".join(gzip.compress(piece) for piece in (data[:10], data[10:700], data[700:]))


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


SHAPES: tuple[Shape, ...] = tuple(_containers())
