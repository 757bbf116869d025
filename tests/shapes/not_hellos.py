"""What looks like a Hello and is none."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import replace

from shapes.conversations import Talk, interleaved, plain, split2
from shapes.messages import REAL, REAL_UUID, SIZE, bare, header, noise, psk
from shapes.packets import FLOW, STRICT, T0, checksum, ip_header, mac
from shapes.stored import Record, by_time, other, records
from shapes.truth import Shape, single

CLIENT_HELLO = (
    bytes.fromhex("160301006f0100006b0303") + bytes(range(32)) + bytes.fromhex("000004c02fc030") + bytes(68)
)
HTTP_GET = b"GET / HTTP/1.1\r\nHost: 192.168.2.10:9971\r\nUser-Agent: Mozilla/5.0\r\n\r\n"


def smb(length: int) -> bytes:
    """A NetBIOS session message with an SMB 2 request of that length."""
    return struct.pack(">I", length) + (b"\xfeSMB\x40\0" + bytes(length))[:length]


def _not_hellos() -> Iterator[Shape]:
    start = header(3, 0, 1, REAL_UUID)
    on_9971: tuple[tuple[str, bytes], ...] = (
        ("tls_client_hello", CLIENT_HELLO),
        ("http_get", HTTP_GET),
        ("ssh_banner", b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"),
        ("nul_bytes", bytes(64)),
        ("nul_bytes_900", bytes(900)),
        ("ff_bytes", b"\xff" * 64),
        ("smb", smb(0x6C)),
        ("rdp", bytes.fromhex("030000130ee000000000000100080003000000")),
        ("newline", b"\r\n"),
        ("one_nul", b"\0"),
    )
    for name, payload in on_9971:
        yield single(f"none_{name}_9971", plain(noise(payload)))
    on_40000: tuple[tuple[str, bytes], ...] = (
        ("pki_of_25_bytes_no_digests", start + b"\0"),
        ("pki_of_25_bytes_23_announced", start + b"\x17"),
        ("pki_without_a_whole_digest", start + b"\x17\2\x20" + b"\xaa" * 31),
        ("pki_with_unknown_codes", start + b"\2" + b"\x63\x20" + b"\xaa" * 32 + b"\x63\x20" + b"\xaa" * 32),
        ("psk_wrong_check", psk(b"0000037N").payload),
        ("psk_control_bytes", psk(b"\x1b[31mXXX").payload),
        ("version_4", bare(4, b"\x17" + REAL.payload[25:]).payload),
        ("version_1", bare(1).payload),
        ("header_only", start),
        ("hello_later_in_stream", HTTP_GET + REAL.payload),
        ("nul_bytes", bytes(900)),
        ("ascii", b"A" * 900),
    )
    for name, payload in on_40000:
        cuts = (len(HTTP_GET),) if payload.startswith(HTTP_GET) else ()
        yield single(f"none_{name}_40000", plain(noise(payload), STRICT, *cuts))
    for length in (0x100, 0x300, 0x200):  # read as a Hello's version: 1, 3, 2
        yield single(f"none_smb_of_{length}_bytes_445", plain(noise(smb(length)), replace(FLOW, dport=445)))

    generator = random.Random(1)
    conversations = []
    for number, size in enumerate((1, 7, 24, 25, 31, 32, 33, 64, 200, 807, 1147, 1400)):
        for port in (9971, 40000, 443):
            payload = bytes([200 + number, 77, 99, 201]) + generator.randbytes(
                size
            )  # neither flag nor version
            flow = replace(FLOW, sport=50000 + number, dport=port)
            conversations.append(plain(noise(payload[:size]), flow, start=T0 + number * 10**9))
    yield single("none_random_bytes", interleaved(*conversations))
    scan = []
    for number in range(40):
        flow = replace(FLOW, sport=41000 + number, dport=9971 if number % 2 else 9950 + number)
        talk = Talk(noise(b""), flow, start=T0 + number * 10**7).syn()
        scan.append((talk.server_rst() if number % 3 else talk.syn_ack().rst(0)).packets)
    yield single("none_port_scan", interleaved(*scan))
    yield single("none_connection_without_data", Talk(noise(b"")).open().close().packets)
    for port, flow in ((9971, FLOW), (40000, STRICT)):
        yield single(
            f"none_hello_from_server_{port}",
            Talk(noise(b""), flow).open().reply(REAL.payload).close().packets,
        )
        talk = Talk(noise(HTTP_GET), flow).open().send_all().reply(REAL.payload)
        yield single(f"none_hello_in_answer_{port}", talk.close().packets)
        yield single(
            f"none_psk_hello_in_answer_{port}",
            Talk(noise(b"x"), flow).open().send().reply(psk().payload).packets,
        )
    datagram = struct.pack(">HHHH", 49160, 9971, SIZE + 8, 0) + REAL.payload
    yield single("none_hello_in_udp", [_ethernet_frame(17, datagram)])
    refused = Talk(flow=STRICT).send().packets[0].ip
    body = struct.pack(">BBHI", 3, 3, 0, 0) + refused
    body = body[:2] + struct.pack(">H", checksum(body)) + body[4:]
    yield single("none_hello_quoted_by_icmp", [_ethernet_frame(1, body)])
    yield single(
        "none_arp",
        [
            other(
                b"\xff" * 6 + mac(FLOW.src_mac) + b"\x08\x06" + bytes.fromhex("0001080006040001") + bytes(20)
            )
        ],
    )
    generator = random.Random(3)
    garbage = [other(generator.randbytes(size), T0 + size) for size in (1, 13, 14, 15, 33, 34, 54, 60, 600)]
    yield single("none_garbage_frames", garbage)
    yield single("hello_among_garbage_frames", by_time(records(split2()), garbage))


def _ethernet_frame(protocol: int, content: bytes) -> Record:
    head = mac(FLOW.dst_mac) + mac(FLOW.src_mac) + b"\x08\0"
    return other(head + ip_header(FLOW.src, FLOW.dst, protocol, len(content)) + content)


SHAPES: tuple[Shape, ...] = tuple(_not_hellos())
