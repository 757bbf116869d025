"""What matters: the one definition that sieves, the filters of live captures and the decoder read."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from amtdiag.capture.decode.linktypes import LINK_TYPES, LinkType
from amtdiag.capture.decode.packet import ICMP, ICMPV6

UNREACHABLE: Mapping[int, int] = {ICMP: 3, ICMPV6: 1}
"""By protocol: the type of the message that says that a packet could not be delivered (RFC 792, RFC 4443)."""


class Interest(NamedTuple):
    """What the protocols want to see: ports, and how a conversation on any other port has to begin.

    Besides, ARP messages are wanted.
    """

    ports: frozenset[int]
    """TCP ports whose conversations are wanted whole."""
    datagram_ports: frozenset[int]
    """UDP ports whose datagrams are wanted."""
    head: tuple[frozenset[int], ...]
    """The byte values that the first bytes may have, one set a byte."""
    messages: Mapping[int, int] = UNREACHABLE
    """By ICMP's protocol number for IPv4 and IPv6: the type of the messages that are wanted."""
    link_types: Mapping[int, LinkType] = LINK_TYPES
    """The link types that are read, by number; packets of others are counted."""

    def contradicts(self, payload: bytes, offset: int) -> bool:
        """True where `payload`, `offset` bytes into the stream, cannot belong to a wanted one."""
        head = self.head
        stop = min(len(head), offset + len(payload))
        return any(payload[i - offset] not in head[i] for i in range(max(offset, 0), stop))

    def capture_filter(self) -> str:
        """Return the filter, as of pcap-filter(7), that a user gives to tcpdump or dumpcap.

        It is as short as it can be and lets through a little more than what matters. It knows no tags and no
        tunnels.
        """
        both = self.ports & self.datagram_ports
        return " or ".join(
            [
                *_ranges("tcp ", self.ports - both),
                *_ranges("", both),
                *_ranges("udp ", self.datagram_ports - both),
                *("arp", "icmp", "icmp6"),
            ]
        )

    def exact_filter(self, *, any_port: bool) -> str:
        """Return the filter, as of pcap-filter(7), for what is wanted and little else.

        It looks behind one VLAN tag. With `any_port` it lets all TCP through.
        """
        tcp = "tcp" if any_port else f"tcp and ({_either(self.ports)})"
        wanted = (
            f"({tcp}) or (udp and ({_either(self.datagram_ports)})) or arp"
            f" or icmp[icmptype] = {self.messages[ICMP]} or (icmp6 and ip6[40] = {self.messages[ICMPV6]})"
            " or (ip[6:2] & 0x3fff != 0) or (ip6 and ip6[6] = 44)"
        )
        return f"{wanted} or (vlan and ({wanted}))"


def _either(ports: Iterable[int]) -> str:
    return " or ".join(f"port {port}" for port in sorted(ports))


def _ranges(protocol: str, ports: Iterable[int]) -> list[str]:
    """Name ports of one protocol, those that follow each other as a range."""
    ordered = sorted(ports)
    starts = [port for before, port in pairwise([-2, *ordered]) if port != before + 1]
    ends = [port for port, after in pairwise([*ordered, 1 << 17]) if after != port + 1]
    return [
        f"{protocol}port {first}" if first == last else f"{protocol}portrange {first}-{last}"
        for first, last in zip(starts, ends, strict=True)
    ]
