"""What leaves the scan: packets as rows of numbers and bytes; no later stage parses a header again."""

from collections.abc import Iterator
from typing import NamedTuple

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
ARP = 0x0806
"""ARP is an EtherType, which no IP protocol number can be mistaken for."""


class Segment(NamedTuple):
    """One TCP segment, UDP datagram, ICMP or ARP message as it was captured; a row of `PacketBatch`.

    An ARP message has the sender's address and MAC, the target's address, its operation in `flags`. Of ICMP
    only the messages that report something unreachable are here, whole in `payload`. What a protocol does not
    have is 0.
    """

    ts: int
    """Nanoseconds since 1970, UTC."""
    file: int
    """Index of the capture file in the run."""
    frames: tuple[int, ...]
    """Frame numbers, counted from 1 as Wireshark does; more than one where IP fragments were joined."""
    src: bytes
    """Source address, 4 or 16 bytes."""
    dst: bytes
    sport: int
    dport: int
    flags: int
    """TCP flags, FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16."""
    seq: int
    ack: int
    ident: int
    """IPv4 identification, 0 for IPv6: with `checksum` it tells a duplicated frame from a retransmission."""
    checksum: int
    payload: bytes
    missing: int
    """Payload bytes that were on the wire but not captured (snap length, lost fragments)."""
    mac: bytes
    """Source MAC, 6 bytes, or empty where the link type has none."""
    vlan: tuple[int, ...]
    """VLAN identifiers, outermost first."""
    protocol: int = TCP


class PacketBatch:
    """A batch of packets, each a `Segment`.

    All are of one sensor: what two sensors saw of one connection are two views of it, not one stream.
    """

    __slots__ = ("_rows", "sensor")

    def __init__(self, rows: list[Segment], sensor: int = 0) -> None:
        self.sensor = sensor
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, *protocols: int) -> Iterator[Segment]:
        """Yield the packets of some protocols row by row."""
        for row in self._rows:
            if row.protocol in protocols:
                yield row
