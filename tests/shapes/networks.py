"""A Hello in IPv4 and IPv6: options, extension headers, fragments, offloading."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

from shapes.conversations import plain, split2, with_data_in_fragments
from shapes.messages import ANY, REAL, SHA256, invented, pki
from shapes.packets import FLOW, FLOW6, STRICT, ipv4, ipv6, packed
from shapes.truth import Shape, single


def _networks() -> Iterator[Shape]:
    yield single("ipv6", plain(REAL, FLOW6, 400))
    yield single("ipv6_40000", plain(REAL, replace(FLOW6, dport=40000), 400))
    pad = b"\0\1\4\0\0\0\0"
    routing = b"\2\0\0\0\0\0\0" + packed("2001:db8::99")
    chain = functools.partial(ipv6, extensions=((0, pad), (60, pad), (43, routing)))
    yield single("ipv6_extension_headers", plain(REAL, FLOW6, 400, network=chain))
    record_route = functools.partial(ipv4, options=b"\x07\x07\x04\0\0\0\0\0")
    yield single("ipv4_options", split2(network=record_route))
    longest = functools.partial(ipv4, options=b"\1" * 40)
    yield single("ipv4_options_of_40_bytes", split2(network=longest))
    offload = plain(REAL, FLOW, network=lambda p: ipv4(p, no_length=len(p.payload) > 100))
    yield single("tso_length_0", offload)
    large = pki(invented(255, SHA256))
    offload = plain(large, FLOW, mss=65535, network=lambda p: ipv4(p, no_length=bool(p.payload)))
    yield single("tso_length_0_of_8695_bytes", offload)
    yield single("tso_large_segment", plain(large, FLOW, mss=65535))
    yield single("wrong_checksums", split2(network=functools.partial(ipv4, wrong_checksums=True)))

    thirds = ((0, 304), (304, 608), (608, 9999))
    layouts: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
        ("in_order", thirds),
        ("out_of_order", (thirds[2], thirds[0], thirds[1])),
        ("overlapping", ((0, 304), (200, 608), (600, 9999))),
        ("repeated", (thirds[0], thirds[0], *thirds[1:], thirds[1])),
        ("tiny_first", ((0, 8), (8, 512), (512, 9999))),
    )
    for name, layout in layouts:
        packets = with_data_in_fragments(plain(), *layout)
        yield single(f"ipv4_fragments_{name}", packets, exact_frames=False)
        packets = with_data_in_fragments(plain(REAL, STRICT), *layout)
        yield single(f"ipv4_fragments_{name}_40000", packets, exact_frames=False)
    for name, layout in layouts[:2]:
        packets = with_data_in_fragments(plain(REAL, FLOW6), *layout)
        yield single(f"ipv6_fragments_{name}", packets, exact_frames=False)
    for name, flow in (("ipv4", FLOW), ("ipv6", FLOW6)):
        packets = with_data_in_fragments(plain(REAL, flow), thirds[0], thirds[2])
        yield single(
            f"{name}_fragment_missing",
            packets,
            uuid=ANY,
            version=ANY,
            type=ANY,
            retry_count=ANY,
            admin_credentials_raw=ANY,
            digests=(),
            more_digests=tuple((d.index, d.algorithm_id, d.value.hex()) for d in REAL.digests),
            missing_bytes=None,
            evidence=ANY,
            may_be_absent=True,
            notes=("the rest of the datagram may be used or not; it must not pass for a whole Hello",),
        )


SHAPES: tuple[Shape, ...] = tuple(_networks())
