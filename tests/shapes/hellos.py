"""Hellos of all kinds, also such as no device sends."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

from shapes.containers import pcap
from shapes.conversations import plain
from shapes.messages import (
    ANY,
    CODE4,
    REAL,
    REAL_ENTRIES,
    SHA1,
    SHA256,
    SHA384,
    Message,
    bare,
    invented,
    pki,
    psk,
    real,
)
from shapes.packets import FLOW, STRICT
from shapes.truth import Shape, single


def _messages() -> Iterator[Shape]:
    messages: tuple[tuple[str, Message], ...] = (
        ("pki_1_digest", pki(invented(1, SHA256))),
        ("pki_33_sha384", pki(invented(33, SHA384))),
        ("pki_255_sha256", pki(invented(255, SHA256))),
        ("pki_23_sha1", pki(invented(23, SHA1))),
        ("pki_mixed", pki(invented(12, SHA1, SHA256, SHA384))),
        ("retry_14", real(retry=14)),
        ("retry_15", real(retry=15)),
        ("flag_0", real(flag=0)),
        ("all_zero_digest", pki([*invented(2, SHA256), (2, bytes(32)), *invented(1, SHA1)])),
        ("uuid_zero", real(uuid_wire=bytes(16))),
        ("uuid_ones", real(uuid_wire=b"\xff" * 16)),
        ("psk_flag_0", psk(flag=0)),
    )
    for name, message in messages:
        yield single(f"hello_{name}", plain(message))
        yield single(f"hello_{name}_40000", plain(message, STRICT))
    odd: tuple[tuple[str, Message], ...] = (
        ("pki_0_digests", pki([])),
        ("code_4_with_32_bytes", pki([*invented(2, SHA256), *invented(1, CODE4), *invented(2, SHA384)])),
        ("flag_2", real(flag=2)),
        ("flag_ffff", real(flag=0xFFFF)),
        ("retry_4294967295", real(retry=2**32 - 1)),
        ("trailing_3_zeros", pki(REAL_ENTRIES, trailing=bytes(3))),
        ("trailing_10_bytes", pki(REAL_ENTRIES, trailing=b"0123456789")),
        ("version_1", bare(1)),
        ("version_4", bare(4, b"\5something")),
        ("cut_in_digest", real(cut=300)),
        ("cut_between_digests", real(cut=365)),
        ("cut_after_length_byte", real(cut=367)),
        ("cut_before_count", real(cut=24)),
        ("psk_wrong_check", psk(b"0000037N")),
        ("psk_lower_case", psk(b"0000037m")),
    )
    for name, message in odd:
        yield single(f"hello_{name}", plain(message))
    yield single("hello_cut_in_uuid", plain(real(cut=12)), may_be_absent=True)
    unsafe = (
        ("escape", b"\x1b[31mX\x07\r"),
        ("bidi", "\u202eABC12".encode()),
        ("control", b"\0\1\n\r\t\x7f\x9b\xff"),
        ("formula", b"=1+1@SUM"),
    )
    for name, pid in unsafe:
        yield single(f"hello_psk_pid_{name}", plain(psk(pid)), pid=ANY)
    yield single("port_9972", plain(REAL, replace(FLOW, dport=9972)))
    yield single("port_9972_psk", plain(psk(), replace(FLOW, dport=9972)))
    for order, name in (("<", "little"), (">", "big")):
        for kind, message in (
            ("pki_0_digests", pki([])),
            ("psk_wrong_check", psk(b"0000037N")),
            ("version_4", bare(4)),
        ):
            packets = plain(message, replace(FLOW, dport=40001))
            write = functools.partial(pcap, order=order)
            yield single(f"extra_port_{kind}_{name}_endian", packets, write, extra_ports=(40001,))


SHAPES: tuple[Shape, ...] = tuple(_messages())
