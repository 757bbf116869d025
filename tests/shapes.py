"""Captures in every nasty shape around Hellos, with the truth about each.

Nothing here uses amtdiag: packets and containers are packed by hand, and what is to be found in a capture is
derived from how it was made, never from reading it. `test_shapes_oracle.py` lets tshark check the makers;
`test_shapes.py` holds amtdiag to the truth.

The parts, in the order of the file:

    Message            the bytes of a Hello, and what they say
    Talk               one TCP connection, told step by step: ``Talk(m).open().send_all(400).close().packets``
    Link, records      what is around an IP packet, and the records that a container stores
    pcap, section ...  containers
    expected           the truth: what each record still carries of each message
    SHAPES             the table
"""

from __future__ import annotations

import bz2
import functools
import gzip
import ipaddress
import itertools
import json
import lzma
import random
import struct
import subprocess
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Self

DATA = Path(__file__).parent / "data"


class Unchecked(Enum):
    """A field that the truth leaves open."""

    ANY = "not compared"

    def __repr__(self) -> str:
        return "ANY"


ANY = Unchecked.ANY

# --------------------------------------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class Digest:
    index: int
    algorithm_id: int
    value: bytes
    offset: int  # of the record's algorithm byte in the message

    @property
    def end(self) -> int:
        return self.offset + 2 + len(self.value)


@dataclass(frozen=True, slots=True)
class Message:
    """What a device sends in one connection. ``version`` None: no Hello at all."""

    payload: bytes
    version: int | None = None
    retry: int = 0
    flag: int = 0
    uuid: str = ""
    digests: tuple[Digest, ...] = ()
    pid: bytes | None = None
    trailing: int | Unchecked = 0
    whole: bool | Unchecked = True

    @property
    def type(self) -> str:
        return {2: "psk", 3: "pki"}.get(self.version or 0, "unknown")


REAL_UUID = bytes.fromhex("4b529b93d413181de4871c697a6b7a2b")
INTEL_PID = b"0000037M"  # the example of Intel's documentation, with a right check character
SHA1, SHA256, SHA384, CODE4 = (1, 20), (2, 32), (3, 48), (4, 32)


def device_uuid(number: int) -> bytes:
    return REAL_UUID[:10] + number.to_bytes(6, "big")


def header(version: int, retry: int, flag: int, uuid_wire: bytes) -> bytes:
    return struct.pack("<HHI", flag, version, retry) + uuid_wire


def pki(
    entries: Iterable[tuple[int, bytes]],
    *,
    retry: int = 0,
    flag: int = 1,
    uuid_wire: bytes = REAL_UUID,
    trailing: bytes = b"",
    cut: int | None = None,
) -> Message:
    """A Type 3 Hello of (algorithm code, digest) entries; ``cut``: the sender stops after so many bytes."""
    entries = list(entries)
    payload = header(3, retry, flag, uuid_wire) + bytes([len(entries)])
    digests = []
    for index, (code, value) in enumerate(entries):
        digests.append(Digest(index, code, value, len(payload)))
        payload += bytes([code, len(value)]) + value
    payload = (payload + trailing)[:cut]
    return Message(
        payload,
        3,
        retry,
        flag,
        str(uuid.UUID(bytes_le=uuid_wire)),
        tuple(d for d in digests if d.end <= len(payload)),
        trailing=len(trailing),
        whole=cut is None,
    )


def psk(pid: bytes = INTEL_PID, *, retry: int = 0, flag: int = 1, uuid_wire: bytes = REAL_UUID) -> Message:
    payload = header(2, retry, flag, uuid_wire) + pid
    return Message(payload, 2, retry, flag, str(uuid.UUID(bytes_le=uuid_wire)), pid=pid)


def bare(version: int, rest: bytes = b"") -> Message:
    """A Hello of a version nobody documents: only its header means something."""
    payload = header(version, 0, 1, REAL_UUID) + rest
    text = str(uuid.UUID(bytes_le=REAL_UUID))
    return Message(payload, version, 0, 1, text, trailing=ANY if rest else 0, whole=ANY)


def noise(payload: bytes) -> Message:
    """Bytes that are no Hello."""
    return Message(payload)


def invented(count: int, *kinds: tuple[int, int], seed: int = 7) -> list[tuple[int, bytes]]:
    """Entries with made-up digests, the (code, length) kinds in turn."""
    generator = random.Random(seed)
    return [
        (code, generator.randbytes(size)) for code, size in itertools.islice(itertools.cycle(kinds), count)
    ]


def pid_check_ok(pid: bytes) -> bool:
    total = sum(pid[:7]) % 36
    return pid[7] == (0x30 if total < 10 else 0x37) + total


_REAL_FACTS = json.loads((DATA / "real_hello.json").read_text(encoding="utf-8"))
REAL_ENTRIES = [(d["algorithm_id"], bytes.fromhex(d["digest"])) for d in _REAL_FACTS["digests"]]


def real(*, retry: int = 0, flag: int = 1, uuid_wire: bytes = REAL_UUID, cut: int | None = None) -> Message:
    """The Hello of real hardware, as it is or with another header."""
    return pki(REAL_ENTRIES, retry=retry, flag=flag, uuid_wire=uuid_wire, cut=cut)


REAL = real()
if (
    REAL.payload.hex() != _REAL_FACTS["payload_hex"]
):  # the maker of messages against a message nobody here made
    raise AssertionError("the message put together from the real Hello's fields is not the real Hello")
SIZE = len(REAL.payload)

# -------------------------------------------------------------------------------------------- TCP connections

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
T0 = 1_700_000_000_001_234_567  # ns
STEP = 1_234_567
SERVER_ISN = 4096


@dataclass(frozen=True, slots=True)
class Flow:
    """Who talks to whom, device first."""

    src: str = "192.168.2.148"
    dst: str = "192.168.2.10"
    sport: int = 49160
    dport: int = 9971
    src_mac: str = "1c:69:7a:6b:7a:2b"
    dst_mac: str = "02:00:00:00:99:71"


FLOW = Flow()
STRICT = Flow(dport=40000)  # a port that means nothing: only the bytes can tell a Hello
FLOW6 = Flow(src="2001:db8:2::148", dst="2001:db8:2::10")


def device(number: int, dport: int = 9971) -> Flow:
    return Flow(
        f"192.168.2.{number}", sport=49160 + number, dport=dport, src_mac=f"1c:69:7a:00:00:{number:02x}"
    )


@dataclass(frozen=True, slots=True)
class Connection:
    flow: Flow
    message: Message
    isn: int
    start: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One IP packet. ``cargo``: which bytes of the message it carries."""

    at: int
    connection: Connection
    outbound: bool
    ip_id: int
    tcp: bytes
    payload: bytes
    cargo: tuple[int, int] | None
    network: Network
    ttl: int = 64
    routed: bool = False

    @property
    def addresses(self) -> tuple[str, str]:
        flow = self.connection.flow
        return (flow.src, flow.dst) if self.outbound else (flow.dst, flow.src)

    @property
    def macs(self) -> tuple[bytes, bytes]:
        """Source and destination; a router in between shows its own."""
        if self.routed:
            return mac("02:00:00:00:00:fe"), mac("02:00:00:00:00:fd")
        flow = self.connection.flow
        pair = mac(flow.src_mac), mac(flow.dst_mac)
        return pair if self.outbound else pair[::-1]

    @property
    def ip(self) -> bytes:
        return self.network(self)

    @property
    def version(self) -> int:
        return self.ip[0] >> 4


Network = Callable[[Packet], bytes]


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@functools.cache
def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def ip_header(
    src: str,
    dst: str,
    proto: int,
    size: int,
    *,
    ip_id: int = 1,
    ttl: int = 64,
    options: bytes = b"",
    fragment: int = 0,
    total: int | None = None,
    wrong: int = 0,
) -> bytes:
    """An IPv4 header; ``fragment`` is the whole flags-and-offset field, ``wrong`` spoils the checksum."""
    words = 5 + len(options) // 4
    total = words * 4 + size if total is None else total

    def build(check: int) -> bytes:
        start = struct.pack(">BBHHHBBH", 0x40 | words, 0, total, ip_id & 0xFFFF, fragment, ttl, proto, check)
        return start + packed(src) + packed(dst) + options

    return build(checksum(build(0)) ^ wrong)


def ipv4(
    packet: Packet, *, options: bytes = b"", no_length: bool = False, wrong_checksums: bool = False
) -> bytes:
    """``no_length``: total length 0, as a segmentation offload leaves it."""
    tcp = packet.tcp
    wrong = 0x5555 if wrong_checksums else 0
    if wrong:
        tcp = tcp[:16] + bytes([tcp[16] ^ 0x55, tcp[17] ^ 0x55]) + tcp[18:]
    head = ip_header(
        *packet.addresses,
        6,
        len(tcp),
        ip_id=packet.ip_id,
        ttl=packet.ttl,
        options=options,
        fragment=0x4000,
        total=0 if no_length else None,
        wrong=wrong,
    )
    return head + tcp


def ipv6_header(src: str, dst: str, following: int, size: int, hops: int = 64) -> bytes:
    return struct.pack(">IHBB", 6 << 28, size, following, hops) + packed(src) + packed(dst)


def ipv6(packet: Packet, extensions: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """``extensions``: (protocol number, body after the next-header byte) in order."""
    following = [number for number, _ in [*extensions, (6, b"")][1:]]
    chain = b"".join(bytes([n]) + body for n, (_, body) in zip(following, extensions, strict=True))
    first = extensions[0][0] if extensions else 6
    rest = chain + packet.tcp
    return ipv6_header(*packet.addresses, first, len(rest), packet.ttl) + rest


def auto(packet: Packet) -> bytes:
    return ipv6(packet) if ":" in packet.connection.flow.src else ipv4(packet)


class Talk:
    """One connection, told step by step; each step adds a packet and moves the clock."""

    def __init__(
        self,
        message: Message = REAL,
        flow: Flow = FLOW,
        *,
        isn: int = 0x10000000,
        start: int = T0,
        ip_id: int = 101,
        network: Network = auto,
        options: bytes = b"",
        step: int = STEP,
    ) -> None:
        self.connection = Connection(flow, message, isn, start)
        self.packets: list[Packet] = []
        self.clock, self.step = start, step
        self.ids = {True: itertools.count(ip_id), False: itertools.count(ip_id + 7000)}
        self.network, self.options = network, options
        self.acked = 0  # relative to the first data byte
        self.replied = 0  # bytes of data that the server has sent

    def add(
        self,
        flags: int,
        at: int,
        payload: bytes = b"",
        *,
        outbound: bool = True,
        cargo: tuple[int, int] | None = None,
        options: bytes | None = None,
    ) -> Self:
        """A packet whose first byte has position ``at`` in its sender's data (the SYN has -1)."""
        flow, isn = self.connection.flow, self.connection.isn
        if outbound:
            ports, seq, ack = (flow.sport, flow.dport), isn + 1 + at, SERVER_ISN + 1 + self.replied
        else:
            ports, seq, ack = (flow.dport, flow.sport), SERVER_ISN + 1 + at, isn + 1 + self.acked
        options = self.options if options is None else options
        ack = ack if flags & ACK else 0
        words = 5 + len(options) // 4

        def build(check: int) -> bytes:
            fixed = struct.pack(
                ">HHIIBBHHH", *ports, seq % 2**32, ack % 2**32, words << 4, flags, 64240, check, 0
            )
            return fixed + options + payload

        pair = (flow.src, flow.dst) if outbound else (flow.dst, flow.src)
        bare_tcp = build(0)
        pseudo = b"".join(map(packed, pair)) + struct.pack(">II", len(bare_tcp), 6)
        tcp = build(checksum(pseudo + bare_tcp))
        self.packets.append(
            Packet(
                self.clock,
                self.connection,
                outbound,
                next(self.ids[outbound]),
                tcp,
                payload,
                cargo,
                self.network,
            )
        )
        self.clock += self.step
        return self

    def syn(self) -> Self:
        return self.add(SYN, -1, options=b"\x02\x04\x05\xb4" + self.options)

    def syn_ack(self) -> Self:
        return self.add(SYN | ACK, -1, outbound=False, options=b"\x02\x04\x05\xb4" + self.options)

    def ack(self) -> Self:
        return self.add(ACK, 0)

    def open(self) -> Self:
        return self.syn().syn_ack().ack()

    def send(
        self, start: int = 0, end: int | None = None, *, data: bytes | None = None, flags: int = 0
    ) -> Self:
        """Bytes of the message; ``data`` puts other bytes in the place of the first of them."""
        piece = self.connection.message.payload[start:end]
        end = start + len(piece)
        if data is not None:
            piece = data + piece[len(data) :]
        return self.add(PSH | ACK | flags, start, piece, cargo=(start, end))

    def server_ack(self, upto: int | None = None) -> Self:
        self.acked = len(self.connection.message.payload) if upto is None else upto
        return self.add(ACK, self.replied, outbound=False)

    def send_all(self, *cuts: int, mss: int = 1460) -> Self:
        """The whole message, cut at these positions and wherever a segment would be too long."""
        size = len(self.connection.message.payload)
        edges = sorted({0, *cuts, *range(0, size, mss), size})
        for start, end in itertools.pairwise(edges):
            self.send(start, end).server_ack(end)
        return self

    def send_in_order(self, *ranges: tuple[int, int]) -> Self:
        for start, end in ranges:
            self.send(start, end)
        return self.server_ack()

    def fin(self) -> Self:
        self.add(FIN | ACK, len(self.connection.message.payload))
        self.acked = len(self.connection.message.payload) + 1
        return self

    def server_fin(self) -> Self:
        self.acked = len(self.connection.message.payload) + 1
        return self.add(FIN | ACK, self.replied, outbound=False)

    def close(self) -> Self:
        return self.fin().server_fin().add(ACK, len(self.connection.message.payload) + 1)

    def rst(self, at: int | None = None) -> Self:
        return self.add(RST | ACK, len(self.connection.message.payload) if at is None else at)

    def server_rst(self) -> Self:
        return self.add(RST | ACK, self.replied, outbound=False)

    def probe(self, at: int, garbage: bytes) -> Self:
        """A keep-alive probe when the next byte to send is number ``at``."""
        return self.add(ACK, at - 1, garbage)

    def reply(self, data: bytes) -> Self:
        self.add(PSH | ACK, self.replied, data, outbound=False)
        self.replied += len(data)
        return self

    def wait(self, nanoseconds: int) -> Self:
        self.clock += nanoseconds
        return self


def plain(
    message: Message = REAL, flow: Flow = FLOW, *cuts: int, mss: int = 1460, **how: Any
) -> list[Packet]:
    """The ordinary conversation: open, the message, close."""
    return Talk(message, flow, **how).open().send_all(*cuts, mss=mss).close().packets


def split2(**how: Any) -> list[Packet]:
    return plain(REAL, FLOW, 400, **how)


def interleaved(*conversations: Sequence[Packet]) -> list[Packet]:
    return sorted(itertools.chain(*conversations), key=lambda packet: packet.at)


def without(packets: Sequence[Packet], *indexes: int) -> list[Packet]:
    """Packets that the capture did not get, counted from 0."""
    return [packet for index, packet in enumerate(packets) if index not in indexes]


def twice(packets: Sequence[Packet], delay: int = 3_000, **changes: Any) -> list[Packet]:
    """As a mirror port that copies both ways shows them: the same packets again, a moment later."""
    return interleaved(packets, [replace(packet, at=packet.at + delay, **changes) for packet in packets])


def fragments(packet: Packet, *ranges: tuple[int, int], ipv6_id: int = 0xA17D) -> list[Packet]:
    """The packet in IP fragments, each a range of the TCP segment (multiples of 8 but for the end)."""
    size = len(packet.tcp)
    before = size - len(packet.payload)

    def build(start: int, end: int, template: Packet) -> bytes:
        more = end < size
        body = packet.tcp[start:end]
        if ":" in packet.addresses[0]:
            extension = struct.pack(">BBHI", 6, 0, start | more, ipv6_id)
            return ipv6_header(*packet.addresses, 44, 8 + len(body)) + extension + body
        field_value = (0x2000 if more else 0) | start // 8
        head = ip_header(*packet.addresses, 6, len(body), ip_id=template.ip_id, fragment=field_value)
        return head + body

    pieces = []
    for number, (start, stop) in enumerate(ranges):
        end = min(stop, size)
        low, high = max(start - before, 0), end - before
        pieces.append(
            replace(
                packet,
                at=packet.at + number * 1000,
                network=functools.partial(build, start, end),
                cargo=(low, high) if packet.cargo and high > low else None,
                payload=packet.payload[low : max(high, low)],
            )
        )
    return pieces


def with_data_in_fragments(packets: Sequence[Packet], *ranges: tuple[int, int]) -> list[Packet]:
    return list(
        itertools.chain(*(fragments(p, *ranges) if p.cargo and len(p.tcp) > 400 else [p] for p in packets))
    )


# ------------------------------------------------------------------------------------------ links and records


@dataclass(frozen=True, slots=True)
class Link:
    """What a capture stores around an IP packet. ``shows_mac``: the sender's hardware address is there."""

    type: int
    wrap: Callable[[Packet], bytes]
    vlan: tuple[int, ...] | Unchecked = ()
    shows_mac: bool | Unchecked = True


@dataclass(frozen=True, slots=True)
class Record:
    """One packet as a container stores it."""

    data: bytes
    packet: Packet | None
    at: int
    link: Link
    cargo: tuple[int, int] | None = None
    tail: int = 0  # bytes after the packet: padding, frame check sequence
    original: int | None = None
    interface: int = 0

    @property
    def length(self) -> int:
        return len(self.data) if self.original is None else self.original


def ether_type(packet: Packet) -> int:
    return 0x0800 if packet.version == 4 else 0x86DD


def ethernet(*tags: tuple[int, int], body: Callable[[Packet], tuple[int, bytes]] | None = None) -> Link:
    """Ethernet with (tag type, VLAN id) tags, outermost first; ``body`` gives an EtherType and the rest."""

    def wrap(packet: Packet) -> bytes:
        source, destination = packet.macs
        kind, content = body(packet) if body else (ether_type(packet), packet.ip)
        kinds = [tag for tag, _ in tags] + [kind]
        stack = b"".join(struct.pack(">HH", vid, k) for (_, vid), k in zip(tags, kinds[1:], strict=True))
        return destination + source + struct.pack(">H", kinds[0]) + stack + content

    return Link(1, wrap, tuple(vid for _, vid in tags))


def prefixed(linktype: int, prefix: Callable[[Packet], bytes] | bytes, *, shows_mac: bool = False) -> Link:
    def wrap(packet: Packet) -> bytes:
        return (prefix if isinstance(prefix, bytes) else prefix(packet)) + packet.ip

    return Link(linktype, wrap, shows_mac=shows_mac)


def pppoe(packet: Packet) -> tuple[int, bytes]:
    protocol = 0x0021 if packet.version == 4 else 0x0057
    return 0x8864, struct.pack(">BBHHH", 0x11, 0, 0x2A, len(packet.ip) + 2, protocol) + packet.ip


def mpls(*labels: int, pseudowire: bool = False) -> Callable[[Packet], tuple[int, bytes]]:
    def body(packet: Packet) -> tuple[int, bytes]:
        stack = b"".join(
            struct.pack(">I", label << 12 | (number == len(labels)) << 8 | 64)
            for number, label in enumerate(labels, 1)
        )
        inner = b"\0\0\0\0" + ethernet().wrap(packet) if pseudowire else packet.ip
        return 0x8847, stack + inner

    return body


def llc_snap(packet: Packet) -> tuple[int, bytes]:
    content = b"\xaa\xaa\x03\0\0\0" + struct.pack(">H", ether_type(packet)) + packet.ip
    return len(content), content


def sll(packet: Packet, *, vid: int | None = None) -> bytes:
    tag = b"" if vid is None else struct.pack(">HH", vid, ether_type(packet))
    kind = ether_type(packet) if vid is None else 0x8100
    return struct.pack(">HHH6sHH", 0 if packet.outbound else 4, 1, 6, packet.macs[0], 0, kind) + tag


def sll2(packet: Packet) -> bytes:
    return struct.pack(
        ">HHIHBB6sH", ether_type(packet), 0, 2, 1, 0 if packet.outbound else 4, 6, packet.macs[0], 0
    )


def tunnel(protocol: int, before: bytes, *, inner_ethernet: bool = False, udp_port: int = 0) -> Link:
    """The packet inside another IPv4 packet between two routers."""

    def body(packet: Packet) -> tuple[int, bytes]:
        content = before + (ethernet().wrap(packet) if inner_ethernet else packet.ip)
        if udp_port:
            content = struct.pack(">HHHH", 51000, udp_port, len(content) + 8, 0) + content
        return 0x0800, ip_header("10.9.0.1", "10.9.0.2", protocol, len(content), ip_id=packet.ip_id) + content

    return replace(ethernet(body=body), shows_mac=ANY, vlan=ANY)


RAW = Link(101, lambda packet: packet.ip, shows_mac=False)
ERSPAN2 = struct.pack(">HHI", 0x1000, 0x88BE, 1) + struct.pack(">HHI", 0x1000, 0x0005, 0)


def record(
    packet: Packet, link: Link, *, pad_to: int = 0, fill: bytes = b"\0", after: int = 0, fcs: bool = False
) -> Record:
    """``pad_to``: minimum frame size; ``after``: so many bytes more, whatever the size."""
    data = link.wrap(packet)
    tail = max(pad_to - len(data), 0) + after
    data += (fill * tail)[:tail]
    if fcs:
        data += zlib.crc32(data).to_bytes(4, "little")
    return Record(data, packet, packet.at, link, packet.cargo, tail + 4 * fcs)


def records(packets: Iterable[Packet], link: Link | None = None, **how: Any) -> list[Record]:
    return [record(packet, link or ethernet(), **how) for packet in packets]


def other(data: bytes, at: int = T0, link: Link | None = None) -> Record:
    """A frame that belongs to no conversation of ours."""
    return Record(data, None, at, link or ethernet())


def snapped(all_records: Iterable[Record], snaplen: int) -> list[Record]:
    """As a capture with a snapshot length stores them."""

    def cut(one: Record) -> Record:
        if len(one.data) <= snaplen:
            return one
        cargo = one.cargo
        if cargo:
            payload_at = len(one.data) - one.tail - (cargo[1] - cargo[0])
            end = min(cargo[0] + max(snaplen - payload_at, 0), cargo[1])
            cargo = (cargo[0], end) if end > cargo[0] else None
        return replace(one, data=one.data[:snaplen], cargo=cargo, original=one.length)

    return [cut(one) for one in all_records]


def through(number: int, chosen: Iterable[Record]) -> list[Record]:
    """The same records seen by interface ``number``."""
    return [replace(one, interface=number) for one in chosen]


def by_time(*groups: Iterable[Record]) -> list[Record]:
    return sorted(itertools.chain(*groups), key=lambda one: one.at)


# ------------------------------------------------------------------------------------------------- containers

Writer = Callable[[Sequence[Record]], bytes]


def pcap(
    stored: Sequence[Record],
    *,
    order: str = "<",
    version: tuple[int, int] = (2, 4),
    nanoseconds: bool = False,
    kuznetzov: bool = False,
    swapped_lengths: bool = False,
    fcs: int = 0,
    linktype: int | None = None,
    snaplen: int = 262144,
) -> bytes:
    """A classic capture file. ``kuznetzov``: patched libpcap of the 1990s, with longer record headers."""
    magic = 0xA1B2CD34 if kuznetzov else 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    if linktype is None:
        linktype = stored[0].link.type if stored else 1
    if fcs:  # length in 16-bit units in the top four bits, and the bit that says that it is there
        linktype |= (fcs // 2) << 28 | 1 << 26
    parts = [struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, linktype)]
    for one in stored:
        seconds, rest = divmod(one.at, 10**9)
        lengths = (len(one.data), one.length)
        if swapped_lengths:
            lengths = lengths[::-1]
        parts.append(struct.pack(order + "IIII", seconds, rest if nanoseconds else rest // 1000, *lengths))
        if kuznetzov:
            parts.append(struct.pack(order + "IHBB", 2, 0x0800, 0, 0))
        parts.append(one.data)
    return b"".join(parts)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def options(order: str, *pairs: tuple[int, bytes]) -> bytes:
    return b"".join(option(order, *pair) for pair in pairs) + (b"\0\0\0\0" if pairs else b"")


def block(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


@dataclass(frozen=True, slots=True)
class Interface:
    linktype: int = 1
    resolution: int | None = None  # the byte of if_tsresol
    offset: int | None = None  # seconds, if_tsoffset
    snaplen: int = 0
    extra: tuple[tuple[int, bytes], ...] = ()

    def block(self, order: str) -> bytes:
        pairs = list(self.extra)
        if self.resolution is not None:
            pairs.append((9, bytes([self.resolution])))
        if self.offset is not None:
            pairs.append((14, struct.pack(order + "q", self.offset)))
        return block(
            order, 1, struct.pack(order + "HHI", self.linktype, 0, self.snaplen) + options(order, *pairs)
        )

    def stamp(self, at: int) -> int:
        at -= (self.offset or 0) * 10**9
        resolution = 6 if self.resolution is None else self.resolution
        if resolution & 0x80:
            return (at << (resolution & 0x7F)) // 10**9
        return at * int(10**resolution) // 10**9


def section_header(order: str, *pairs: tuple[int, bytes], length: int = -1) -> bytes:
    return block(
        order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length) + options(order, *pairs)
    )


def enhanced(order: str, interface: Interface, one: Record, *pairs: tuple[int, bytes]) -> bytes:
    high, low = divmod(interface.stamp(one.at), 2**32)
    head = struct.pack(order + "IIIII", one.interface, high, low, len(one.data), one.length)
    return block(order, 6, head + one.data + b"\0" * (-len(one.data) % 4) + options(order, *pairs))


def simple(order: str, _interface: Interface, one: Record) -> bytes:
    return block(order, 3, struct.pack(order + "I", one.length) + one.data)


def obsolete(order: str, interface: Interface, one: Record) -> bytes:
    high, low = divmod(interface.stamp(one.at), 2**32)
    head = struct.pack(order + "HHIIII", one.interface, 0, high, low, len(one.data), one.length)
    return block(order, 2, head + one.data)


def custom(order: str, interface: Interface, one: Record) -> bytes:
    """Packets, and in place of other records custom blocks: Wireshark numbers those too."""
    if one.packet:
        return enhanced(order, interface, one)
    return block(order, 0xBAD, struct.pack(order + "I", 32473) + one.data)


def pcapng(
    stored: Sequence[Record],
    *,
    order: str = "<",
    interfaces: Sequence[Interface] = (),
    kind: Callable[[str, Interface, Record], bytes] = enhanced,
) -> bytes:
    """One section; several are several of these, one after the other."""
    known = list(interfaces) or [Interface(stored[0].link.type if stored else 1)]
    packets = (kind(order, known[one.interface], one) for one in stored)
    return b"".join([section_header(order), *(interface.block(order) for interface in known), *packets])


def talkative_pcapng(stored: Sequence[Record], *, order: str = "<") -> bytes:
    """With all that may stand around the packets: unknown blocks, names, statistics, options, comments."""
    interface = Interface(
        resolution=9,
        extra=(
            (1, b"nothing but a remark"),
            (2, b"eth0"),
            (3, b"uplink"),
            (11, b"\0tcp port 9971"),
            (12, b"Linux"),
        ),
    )
    unknown = block(order, 0x40000A17, b"whatever this is" * 3 + b"!")
    secrets = block(order, 10, struct.pack(order + "II", 0x544C534B, 15) + b"CLIENT_RANDOM x")
    names = struct.pack(order + "HH", 1, 9) + packed(FLOW.dst) + b"host\0" + b"\0\0\0" + b"\0\0\0\0"
    name_block = block(order, 4, names)
    statistics = block(
        order, 5, struct.pack(order + "III", 0, 0, 0) + options(order, (4, b"\1" + b"\0" * 7), (1, b"done"))
    )
    parts = [
        section_header(
            order, (1, b"a comment"), (2, b"some hardware"), (3, b"some system"), (4, b"a program")
        ),
        unknown,
        secrets,
        interface.block(order),
        name_block,
    ]
    for number, one in enumerate(stored):
        parts.append(
            enhanced(
                order, interface, one, (2, b"\1\0\0\0"), (1, f"packet {number}".encode()), (4, b"\0" * 8)
            )
        )
        parts.append((unknown, statistics, name_block)[number % 3])
    return b"".join(parts)


# ------------------------------------------------------------------------------------------------------ truth


@dataclass(frozen=True, slots=True)
class ExpectedHello:
    """What must be said of one Hello. ANY is not compared; of ``missing_bytes``, None is not either."""

    src: str
    dst: str
    sport: int
    dport: int
    uuid: str | Unchecked | None
    version: int | Unchecked | None
    type: str | Unchecked
    retry_count: int | Unchecked | None
    admin_credentials_raw: int | Unchecked | None
    pid: bytes | Unchecked | None
    pid_check_ok: bool | Unchecked | None
    digests: tuple[tuple[int, int, str], ...]  # (index, algorithm code, hex): to be reported, in order
    more_digests: tuple[tuple[int, int, str], ...]  # whole in the capture, yet findable only by a guess
    complete: bool | Unchecked
    evidence: tuple[tuple[str, int], ...] | Unchecked  # (file, frame) of each first transmission
    vlan: tuple[int, ...] | Unchecked
    src_mac: str | Unchecked | None
    trailing_bytes: int | Unchecked
    missing_bytes: int | None
    window: tuple[int, int] | Unchecked  # ns: when the connection took place
    present: tuple[tuple[int, int], ...]  # the message's byte ranges that the capture holds
    message: bytes
    first_seq: int  # the sequence number of the message's first byte
    exact_frames: bool = True  # False: some of them will do
    may_be_absent: bool = False

    @property
    def frames(self) -> tuple[int, ...] | None:
        """The 1-based frame numbers, file by file."""
        return None if isinstance(self.evidence, Unchecked) else tuple(number for _, number in self.evidence)


@dataclass(frozen=True, slots=True)
class Truth:
    packets: tuple[int | None, ...]  # per file
    hellos: tuple[ExpectedHello, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """``optional``: good to understand, no fault to miss. ``extra_ports``: further Hello ports."""

    name: str
    build: Callable[[Path], list[Path]]
    truth: Truth
    optional: bool = False
    extra_ports: tuple[int, ...] = ()
    needs: tuple[str, ...] = ()  # programs without which it cannot be built
    tshark_options: tuple[str, ...] = ()  # what tshark has to be told to see as much
    tshark_follows: bool = True  # False: tshark does not put this stream together

    def __repr__(self) -> str:
        return f"Shape({self.name})"


def ranges_of(positions: set[int]) -> tuple[tuple[int, int], ...]:
    """Sorted positions as half-open ranges."""
    edges: list[list[int]] = []
    for position in sorted(positions):
        if edges and edges[-1][1] == position:
            edges[-1][1] += 1
        else:
            edges.append([position, position + 1])
    return tuple((start, end) for start, end in edges)


def expected(files: Sequence[tuple[str, Sequence[Record]]], **changes: Any) -> tuple[ExpectedHello, ...]:
    """What the records carry of each message: a byte belongs to the first record that brings it."""
    numbered = [
        (name, number, one) for name, stored in files for number, one in enumerate(stored, 1) if one.packet
    ]
    if len(files) > 1:
        numbered.sort(key=lambda item: item[2].at)
    groups: dict[Connection, list[tuple[str, int, Record]]] = {}
    for item in numbered:
        assert item[2].packet is not None
        groups.setdefault(item[2].packet.connection, []).append(item)
    return tuple(
        replace(_expected_hello(connection, items), **changes)
        for connection, items in groups.items()
        if connection.message.version is not None
    )


def _expected_hello(connection: Connection, items: Sequence[tuple[str, int, Record]]) -> ExpectedHello:
    flow, message = connection.flow, connection.message
    have: set[int] = set()
    evidence: list[tuple[str, int]] = []
    carriers: list[Record] = []
    for name, number, one in items:
        fresh = set(range(*one.cargo)) - have if one.cargo else set()
        if fresh:
            have |= fresh
            evidence.append((name, number))
            carriers.append(one)

    def seen(start: int, end: int) -> bool:
        return all(position in have for position in range(start, end))

    # A record is certain while every byte that leads to it is there; after a lost length byte all is a guess.
    certain: list[tuple[int, int, str]] = []
    guess: list[tuple[int, int, str]] = []
    broken = not seen(2, 4) or not seen(24, 25)
    for digest in message.digests:
        broken = broken or not seen(digest.offset, digest.offset + 2)
        if seen(digest.offset, digest.end):
            fact = (digest.index, digest.algorithm_id, digest.value.hex())
            (guess if broken else certain).append(fact)
    size = len(message.payload)
    everything = seen(0, size)
    lost_head = not seen(0, 24)
    link = carriers[0].link if carriers else ethernet()
    times = [one.at for _, _, one in items]
    pid_known = message.pid is not None and seen(24, 32)
    return ExpectedHello(
        flow.src,
        flow.dst,
        flow.sport,
        flow.dport,
        message.uuid if seen(8, 24) else None,
        message.version if seen(2, 4) else None,
        message.type if seen(2, 4) else ANY,
        message.retry if seen(4, 8) else None,
        message.flag if seen(0, 2) else None,
        message.pid if pid_known or message.pid is None else ANY,
        pid_check_ok(message.pid) if message.pid is not None and pid_known else None,
        tuple(certain),
        tuple(guess),
        message.whole if everything else False,
        tuple(evidence),
        link.vlan,
        ANY if link.shows_mac is ANY else flow.src_mac if link.shows_mac else None,
        ANY if lost_head else message.trailing,
        (0 if message.whole is True else None) if everything else size - len(have),
        (min(times), max(times)),
        ranges_of(have),
        message.payload,
        (connection.isn + 1) % 2**32,
    )


def write_files(files: Sequence[tuple[str, Callable[[], bytes]]], folder: Path) -> list[Path]:
    paths = []
    for name, content in files:
        path = folder / name
        path.write_bytes(content())
        paths.append(path)
    return paths


def several(
    name: str,
    files: Sequence[tuple[str, Sequence[Record]]],
    write: Writer = pcap,
    *,
    encode: Callable[[bytes], bytes] = bytes,
    hellos: tuple[ExpectedHello, ...] | None = None,
    packets: tuple[int | None, ...] | None = None,
    notes: tuple[str, ...] = (),
    optional: bool = False,
    extra_ports: tuple[int, ...] = (),
    needs: tuple[str, ...] = (),
    tshark_options: tuple[str, ...] = (),
    tshark_follows: bool = True,
    **changes: Any,
) -> Shape:
    """A shape of several files; ``changes`` replace fields of every Hello that is expected."""

    def content(stored: Sequence[Record]) -> bytes:
        return encode(write(stored))

    contents = [(file, functools.partial(content, stored)) for file, stored in files]
    truth = Truth(
        packets or tuple(len(stored) for _, stored in files),
        expected(files, **changes) if hellos is None else hellos,
        notes,
    )
    build = functools.partial(write_files, contents)
    return Shape(name, build, truth, optional, extra_ports, needs, tshark_options, tshark_follows)


def single(
    name: str,
    content: Sequence[Packet] | Sequence[Record],
    write: Writer = pcap,
    *,
    suffix: str = ".pcap",
    link: Link | None = None,
    **how: Any,
) -> Shape:
    """A shape of one file, of packets (on Ethernet, or on ``link``) or of finished records."""
    stored = [one if isinstance(one, Record) else record(one, link or ethernet()) for one in content]
    return several(name, [(name + suffix, stored)], write, **how)


def ng(name: str, content: Sequence[Packet] | Sequence[Record], write: Writer = pcapng, **how: Any) -> Shape:
    return single(name, content, write, suffix=".pcapng", **how)


def cut(write: Writer, drop: int) -> Writer:
    """The file without its last bytes."""
    return lambda stored: write(stored)[:-drop]


# ----------------------------------------------------------------------------------------------------- shapes


def _segments() -> Iterator[Shape]:
    yield single("plain", plain())
    yield single("plain_psk", plain(psk()))
    yield single("split_2", split2())
    yield single("split_3", plain(REAL, FLOW, 25, 500))
    yield single("split_mss_536", plain(mss=536))
    yield single("one_byte_per_segment_9971", plain(mss=1))
    yield single("one_byte_per_segment_40000", plain(REAL, STRICT, mss=1))
    yield single("one_byte_per_segment_psk_40000", plain(psk(), STRICT, mss=1))
    for kind, message in (("pki", real), ("psk", psk)):
        conversations = (
            plain(
                message(uuid_wire=device_uuid(first)),
                replace(STRICT, sport=50000 + first),
                first,
                start=T0 + first * 10**9,
            )
            for first in range(1, 25)
        )
        yield single(f"first_segment_of_1_to_24_bytes_{kind}_40000", interleaved(*conversations))
    for port, flow in ((9971, FLOW), (40000, STRICT)):
        talk = Talk(flow=flow).open().send_in_order((400, SIZE), (0, 400)).close()
        yield single(f"out_of_order_2_{port}", talk.packets)
        talk = Talk(flow=flow).open().send_in_order((500, SIZE), (25, 500), (0, 25)).close()
        yield single(f"out_of_order_last_first_{port}", talk.packets)
        backwards = [(position, position + 1) for position in reversed(range(SIZE))]
        yield single(
            f"out_of_order_bytewise_reversed_{port}",
            Talk(flow=flow).open().send_in_order(*backwards).close().packets,
        )
    talk = Talk().open().send(400).server_ack(0).fin().send(0, 400).server_ack().server_fin()
    yield single("out_of_order_fin_before_data", talk.packets)
    yield single("tcp_timestamps", plain(REAL, FLOW, 400, options=b"\1\1\x08\x0a\0\0\x12\x34\0\0\x56\x78"))
    yield single("data_in_syn", _data_in_syn().packets)


def _data_in_syn() -> Talk:
    """TCP Fast Open: the SYN brings the first bytes."""
    talk = Talk()
    talk.add(SYN, -1, REAL.payload[:400], cargo=(0, 400), options=b"\x02\x04\x05\xb4")
    talk.acked = 400
    talk.syn_ack().send(400).server_ack()
    return talk.close()


def _order_and_loss() -> Iterator[Shape]:
    talk = Talk().open().send().server_ack(0).wait(200_000_000).send().server_ack().close()
    yield single("retransmission_whole", talk.packets)
    talk = Talk().open().send_in_order((0, 400), (200, 600), (600, SIZE)).close()
    yield single("retransmission_partial_overlap", talk.packets)
    talk = Talk().open().send(0, 400).send(200, 600, data=b"\xee" * 200).send(600).server_ack().close()
    yield single("retransmission_other_bytes_first_wins", talk.packets)
    talk = Talk().open().send(0, 400).send(400).send(0, SIZE, data=b"\xee" * SIZE).server_ack().close()
    yield single("retransmission_whole_other_bytes_first_wins", talk.packets)
    talk = Talk().open().send().server_ack(0).fin().send(flags=FIN).server_ack().server_fin()
    yield single("retransmission_with_fin", talk.packets)
    yield single(
        "lost_then_retransmitted",
        without(Talk().open().send(0, 400).send(400).send(0, 400).close().packets, 3),
    )
    yield single("syn_twice", Talk().syn().wait(10**9).open().send_all().close().packets)
    talk = Talk().open().probe(0, b"\xaa").server_ack(0).probe(0, b"").server_ack(0)
    yield single("keep_alive_before", talk.send_all().close().packets)
    talk = Talk().open().send_all().probe(SIZE, b"\xaa").server_ack().probe(SIZE, b"").server_ack()
    yield single("keep_alive_after", talk.close().packets)
    talk = (
        Talk(flow=STRICT)
        .open()
        .probe(0, b"\xaa")
        .server_ack(0)
        .send_all(400)
        .probe(SIZE, b"\xaa")
        .server_ack()
    )
    yield single("keep_alive_around_40000", talk.close().packets)
    talk = (
        Talk().open().send(0, 400).server_ack(400).probe(400, b"\xaa").server_ack(400).send(400).server_ack()
    )
    yield single("keep_alive_between", talk.close().packets)
    yield single(
        "zero_window_probe", Talk().open().send(0, 1).server_ack(0).send().server_ack().close().packets
    )
    for name, isn in (("inside", 2**32 - 300), ("at_edge", 2**32 - 401), ("at_syn", 2**32 - 1)):
        yield single(f"sequence_wrap_{name}", split2(isn=isn))
    talk = Talk(isn=2**32 - 300).open().send_in_order((400, SIZE), (0, 400)).close()
    yield single("sequence_wrap_out_of_order", talk.packets)

    for port, flow in ((9971, FLOW), (40000, STRICT)):
        yield single(f"no_syn_{port}", Talk(flow=flow).send_all(400).close().packets)
        yield single(f"only_syn_ack_{port}", without(plain(REAL, flow), 0))
        yield single(f"only_data_{port}", Talk(flow=flow).send().packets)
        yield single(f"only_data_with_fin_{port}", Talk(flow=flow).send(flags=FIN).packets)
    yield single("only_data_psk_40000", Talk(psk(), STRICT).send().packets)
    talk = Talk().send_in_order((400, SIZE), (0, 400)).close()
    yield single("no_syn_out_of_order", talk.packets, tshark_follows=False)
    yield single("one_direction", [packet for packet in split2() if packet.outbound])
    yield single(
        "keep_alive_garbage_no_syn",
        Talk().probe(0, b"\xaa").server_ack(0).send_all().close().packets,
        optional=True,
        notes=("nothing but the server's acknowledgement tells that the first byte is garbage",),
    )
    yield single("fin_in_data_segment", Talk().open().send(0, 400).send(400, flags=FIN).server_fin().packets)
    yield single("rst_instead_of_fin", Talk().open().send_all().rst().packets)
    yield single("server_rst_after_data", Talk().open().send_all().server_rst().packets)
    yield single("rst_after_close", Talk().open().send_all().close().rst(SIZE + 1).packets)
    yield single("no_end", Talk().open().send_all().packets)
    yield single(
        "rst_inside_hello", Talk().open().send(0, 400).server_ack(400).rst(400).packets, missing_bytes=None
    )

    lossy = plain(REAL, FLOW, 400, 600)  # the data is in packets 3, 5 and 7
    yield single("lost_middle_segment", without(lossy, 5))
    yield single("lost_middle_segment_40000", without(plain(REAL, STRICT, 400, 600), 5))
    yield single("lost_inside_one_digest", without(plain(REAL, FLOW, 30, 50), 5))
    yield single("lost_last_segment", without(lossy, 7))
    yield single("lost_last_segment_and_end", lossy[:6], missing_bytes=None)
    yield single("lost_first_segment", without(lossy, 3))
    yield single("lost_header", without(plain(REAL, FLOW, 24), 3))
    for snaplen in (60, 128, 300):
        yield single(
            f"snaplen_{snaplen}", snapped(records(plain()), snaplen), functools.partial(pcap, snaplen=snaplen)
        )
    yield single("snaplen_128_40000", snapped(records(plain(REAL, STRICT)), 128))
    yield single("snaplen_54_no_payload", snapped(records(plain()), 54), hellos=())


def _copies() -> Iterator[Shape]:
    yield single("span_both_ways", twice(split2()))
    yield single("span_both_ways_40000", twice(plain(REAL, STRICT, 400)))
    yield single("span_both_ways_bytewise", twice(plain(psk(), mss=1)))
    yield single("span_late_copies", twice(split2(), 2 * STEP + 1))
    yield single("span_routed_copies", twice(split2(), ttl=63, routed=True))
    yield single("span_ipv6", twice(plain(REAL, FLOW6, 400)))
    tagged = records(twice(split2(), 3_000)[1::2], ethernet((0x8100, 10)))
    yield single("span_tagged_copies", by_time(records(split2()), tagged))
    seen_late = [replace(packet, at=packet.at + 3_000) for packet in split2()]
    both = by_time(through(0, records(split2())), through(1, records(seen_late)))
    pair = functools.partial(pcapng, interfaces=(Interface(), Interface()))
    yield ng("pcapng_two_interfaces_same_packets", both, pair)
    bridge = by_time(through(0, records(split2())), through(1, records(seen_late, RAW)))
    mixed = functools.partial(pcapng, interfaces=(Interface(), Interface(101)))
    yield ng("pcapng_two_link_types_same_packets", bridge, mixed)


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


def _links() -> Iterator[Shape]:
    q, ad = 0x8100, 0x88A8
    tags: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
        ("8021q", ((q, 100),)),
        ("8021q_vid_4094", ((q, 4094),)),
        ("qinq", ((ad, 200), (q, 100))),
        ("qinq_8100_twice", ((q, 200), (q, 100))),
        ("triple_tags", ((ad, 300), (q, 200), (q, 100))),
        ("tag_9100", ((0x9100, 200), (q, 100))),
    )
    for name, stack in tags:
        yield single(f"vlan_{name}", split2(), link=ethernet(*stack))
        yield single(f"vlan_{name}_40000", plain(REAL, STRICT, 400), link=ethernet(*stack))
    priority = [record(packet, replace(ethernet((q, 0xE000)), vlan=ANY)) for packet in split2()]
    yield single("vlan_priority_tag", priority, notes=("[] and [0] are both fair: VLAN 0 is no VLAN",))
    bits = [record(packet, replace(ethernet((q, 0x7064)), vlan=(100,))) for packet in split2()]
    yield single("vlan_with_priority_bits", bits)

    snap = ethernet(body=llc_snap)
    stacks: tuple[tuple[str, Link], ...] = (
        ("pppoe", ethernet(body=pppoe)),
        ("pppoe_in_vlan", ethernet((q, 7), body=pppoe)),
        ("mpls_1_label", ethernet(body=mpls(16001))),
        ("mpls_3_labels", ethernet(body=mpls(16001, 16002, 16003))),
        ("mpls_in_vlan", ethernet((q, 7), body=mpls(16001))),
        ("llc_snap", snap),
        ("llc_snap_in_vlan", ethernet((q, 7), body=llc_snap)),
        ("sll", prefixed(113, sll, shows_mac=True)),
        ("sll_vlan", replace(prefixed(113, functools.partial(sll, vid=100), shows_mac=True), vlan=(100,))),
        ("sll2", prefixed(276, sll2, shows_mac=True)),
        ("null_little_endian", prefixed(0, struct.pack("<I", 2))),
        ("null_big_endian", prefixed(0, struct.pack(">I", 2))),
        ("loop", prefixed(108, struct.pack(">I", 2))),
        ("raw_101", RAW),
        ("raw_12", prefixed(12, b"")),
        ("ipv4_228", prefixed(228, b"")),
        ("ppp_9", prefixed(9, b"\0\x21")),
        ("ppp_9_address_control", prefixed(9, b"\xff\3\0\x21")),
        ("ppp_9_short_protocol", prefixed(9, b"\x21")),
        ("ppp_serial_50", prefixed(50, b"\xff\3\0\x21")),
    )
    for name, link in stacks:
        yield single(f"link_{name}", split2(), link=link)
        yield single(f"link_{name}_40000", plain(REAL, STRICT), link=link)
    wire = replace(ethernet(body=mpls(16001, 24, pseudowire=True)), shows_mac=ANY)
    told = ("-d", "mpls.label==24,pwethcw")  # left alone, tshark guesses that there is no control word
    for name, flow in (("", FLOW), ("_40000", STRICT)):
        packets = plain(REAL, flow, 400)
        yield single(f"link_mpls_pseudowire{name}", packets, link=wire, tshark_options=told)
    stacks6: tuple[tuple[str, Link], ...] = (
        ("raw_101", RAW),
        ("ipv6_229", prefixed(229, b"")),
        ("null_24", prefixed(0, struct.pack("<I", 24))),
        ("null_28", prefixed(0, struct.pack(">I", 28))),
        ("null_30", prefixed(0, struct.pack("<I", 30))),
        ("pppoe", ethernet(body=pppoe)),
        ("sll", prefixed(113, sll, shows_mac=True)),
        ("mpls", ethernet(body=mpls(16001))),
        ("llc_snap", snap),
    )
    for name, link in stacks6:
        yield single(f"link_{name}_ipv6", plain(REAL, FLOW6, 400), link=link)
    padded: dict[str, Any] = {"pad_to": 60, "after": 6}
    yield single("padding_of_zeros", records(plain(psk()), **padded))
    yield single("padding_of_garbage", records(plain(psk()), fill=b"\xfe\xed\3", **padded))
    yield single("padding_of_garbage_40000", records(plain(psk(), STRICT, 8), fill=b"\xfe\xed\3", **padded))
    yield single("padding_of_garbage_ipv6", records(plain(psk(), FLOW6), fill=b"\xfe\xed\3", **padded))
    yield single(
        "padding_in_llc_snap", records(plain(psk()), link=ethernet(body=llc_snap), fill=b"\xfe", pad_to=100)
    )
    tunnels: tuple[tuple[str, Link], ...] = (
        ("gre", tunnel(47, b"\0\0\x08\0")),
        ("erspan_2", tunnel(47, ERSPAN2, inner_ethernet=True)),
        ("vxlan", tunnel(17, b"\x08\0\0\0\0\0\x2a\0", inner_ethernet=True, udp_port=4789)),
        ("ip_in_ip", tunnel(4, b"")),
    )
    for name, link in tunnels:
        yield single(f"tunnel_{name}", split2(), link=link, optional=True)
    yield single("tunnel_ipv6_in_ipv4", plain(REAL, FLOW6, 400), link=tunnel(41, b""), optional=True)


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


def _several_conversations() -> Iterator[Shape]:
    first = plain(REAL, device(20), 400)
    second = plain(real(uuid_wire=device_uuid(21)), device(21), 300, 600, start=T0 + 500_000)
    yield single("two_devices_interleaved", interleaved(first, second))
    nat = [
        plain(psk(uuid_wire=device_uuid(n)), replace(FLOW, sport=50000 + n), 10, start=T0 + n * 1000)
        for n in range(1, 9)
    ]
    yield single("eight_devices_behind_one_address", interleaved(*nat))
    retries = [
        plain(
            real(retry=n),
            FLOW,
            400,
            isn=0x10000000 + n * 0x01234567,
            start=T0 + n * 60 * 10**9,
            ip_id=101 + 20 * n,
        )
        for n in range(3)
    ]
    yield single("retries_on_one_source_port", interleaved(*retries))
    for name, isn in (("far", 0x50000000), ("inside_old_range", 0x10000000 + 500), ("below", 0x0FFFFF00)):
        old = Talk(psk(), FLOW).open().send().rst()
        again = (
            Talk(real(retry=1), FLOW, start=old.clock + 2_000_000, isn=isn, ip_id=200)
            .open()
            .send_all(400)
            .close()
        )
        yield single(f"reused_after_rst_isn_{name}", old.packets + again.packets)
    old = Talk(REAL, FLOW).open().send(0, 400).rst(400)
    again = (
        Talk(real(retry=1), FLOW, start=old.clock + 2_000_000, isn=0x10000000 + 600, ip_id=200)
        .open()
        .send_all()
    )
    broken = single("reused_after_half_a_hello", old.packets + again.close().packets)
    hellos = tuple(replace(h, missing_bytes=None) for h in broken.truth.hellos)
    yield replace(broken, truth=replace(broken.truth, hellos=hellos))
    closed = [
        plain(real(retry=n), FLOW, isn=0x10000000 + n * 1000, start=T0 + n * 40 * STEP, ip_id=101 + 20 * n)
        for n in (0, 1)
    ]
    yield single("reused_after_close", interleaved(*closed))

    packets = plain(REAL, FLOW, 300, 600)
    ring = (("ring_a.pcap", packets[5:7]), ("ring_b.pcap", packets[7:]), ("ring_c.pcap", packets[:5]))
    yield several("ring_names_not_in_time_order", [(name, records(chosen)) for name, chosen in ring])
    packets = plain(REAL, FLOW, 300, 600)
    ring = (("ring_1.pcap", packets[:4]), ("ring_2.pcap", packets[4:6]), ("ring_3.pcap", packets[6:]))
    yield several("ring_in_order", [(name, records(chosen)) for name, chosen in ring])
    yield several("ring_pcapng", [(n + "ng", records(chosen)) for n, chosen in ring], pcapng)
    packets = plain(REAL, STRICT, 10)
    ring = (("ring_1.pcap", packets[:3]), ("ring_2.pcap", packets[3:5]), ("ring_3.pcap", packets[5:]))
    yield several("ring_boundary_after_syn_40000", [(name, records(chosen)) for name, chosen in ring])
    yield several("ring_gap", [(name, records(chosen)) for name, chosen in ring[::2]], may_be_absent=True)
    yield several("overlapping_files", [("east.pcap", records(first)), ("west.pcap", records(second))])
    late = [replace(packet, at=packet.at + 40_000) for packet in first]
    yield several(
        "overlapping_files_same_packets",
        [("east.pcap", records(first)), ("west.pcap", records(late))],
        evidence=tuple((file, frame) for file in ("east.pcap", "west.pcap") for frame in (4, 6)),
        notes=("one Hello, which both views show",),
    )
    yield several(
        "files_of_different_kinds",
        [("first.pcap", records(first)), ("second.pcap", records(second, RAW)), ("third.pcap", [])],
    )


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


SHAPES: tuple[Shape, ...] = (
    *_segments(),
    *_order_and_loss(),
    *_copies(),
    *_containers(),
    *_links(),
    *_networks(),
    *_messages(),
    *_several_conversations(),
    *_not_hellos(),
)
