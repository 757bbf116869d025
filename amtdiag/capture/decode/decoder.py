"""One packet decoded from the link layer up and offered to the selection, from a file or an interface."""

from __future__ import annotations

import struct

from amtdiag.capture.decode.defragment import FragmentOrigin, Fragments, Whole
from amtdiag.capture.decode.ip import VXLAN_PORT, walk
from amtdiag.capture.decode.linktypes import ETHERNET, NetworkStart
from amtdiag.capture.decode.packet import ARP, ICMP, ICMPV6, TCP, UDP, Segment
from amtdiag.capture.prefilter.flow_filter import FlowFilter

_IPV4_NO_OPTIONS = b"\x08\x00\x45"
_UNFRAGMENTED = frozenset({b"\x00\x00", b"\x40\x00"})
"""IPv4 flags and offset of a whole datagram, without and with "don't fragment"."""
_PLAIN_HEADERS = 54
"""Ethernet, IPv4 and TCP without any options."""
_PLAIN_UDP_HEADERS = 42
_PLAIN_TCP = struct.Struct(">6x6s4xHH6x4s4sHHIIBB2xH2x").unpack_from
_PLAIN_UDP = struct.Struct(">6x6s4xHH6x4s4sHH2xH").unpack_from
"""The fields of such packets that a `Segment` has, and the lengths of the datagram and of the TCP header."""
_IP_AT = 14
_TRANSPORT_AT = 34
_TCP_HEADER = 20
_UDP_HEADER = 8
_HEADERS = {TCP: _TCP_HEADER, UDP: _UDP_HEADER, ICMP: 8, ICMPV6: 8}
"""By protocol: the least bytes of its header."""
_TCP_FIELDS = struct.Struct(">HHIIBB2xH").unpack_from
_UDP_FIELDS = struct.Struct(">HH2xH").unpack_from
_ARP_LENGTH = 28
_ARP_ETHERNET_IPV4 = b"\x00\x01\x08\x00\x06\x04"
_SYN = 2
_ACK = 16
_new = tuple.__new__
"""Makes a `Segment` in half the time that it takes by name."""


class Decoder:
    """Decodes the packets of one file, or of one live capture."""

    def __init__(self, number: int, selection: FlowFilter, fragments: Fragments) -> None:
        self.number = number
        self.sensor = 0
        self._selection = selection
        self._fragments = fragments

    def decode(self, packet: bytes, linktype: int, at: tuple[int, int, int], out: list[Segment]) -> None:
        """Decode one packet from the link layer up; append to `out` what is selected."""
        ts, frame, wirelen = at
        if (
            linktype == ETHERNET
            and packet[12:15] == _IPV4_NO_OPTIONS
            and packet[20:22] in _UNFRAGMENTED
            and len(packet) >= _PLAIN_UDP_HEADERS
            and self._plain(packet, at, out)
        ):
            return
        link = self._selection.interest.link_types.get(linktype)
        network = link and link.read(packet)
        if not network:
            return
        if network.ethertype == ARP:
            self._address_resolution(packet, network, at, out)
            return
        datagram = walk(packet, network.ethertype, network.offset, wirelen)
        if datagram is None:
            return
        origin = FragmentOrigin(
            ts,
            self.number,
            frame,
            datagram.src,
            datagram.dst,
            datagram.ident,
            datagram.mac or network.mac,
            network.vlan + datagram.vlan,
            datagram.fragment.key[2] if datagram.fragment else datagram.protocol,
        )
        if datagram.fragment is not None:
            if datagram.fragment.key[2] in _HEADERS:
                payload = packet[datagram.start : datagram.end]
                for whole in self._fragments.add(
                    datagram.fragment, payload, datagram.missing, origin, self.sensor
                ):
                    self._transport(whole.payload, whole.missing, whole.origin, whole, out)
        elif datagram.protocol in _HEADERS:
            payload = packet[datagram.start : datagram.end]
            self._transport(payload, datagram.missing, origin, None, out)

    def _plain(self, packet: bytes, at: tuple[int, int, int], out: list[Segment]) -> bool:
        """Decode what most packets are, in a third of the time; False for one with anything odd about it.

        The packet is Ethernet and IPv4 without options, and not a fragment.
        """
        protocol = packet[23]
        if protocol == TCP and len(packet) >= _PLAIN_HEADERS:
            mac, total, ident, src, dst, sport, dport, seq, ack, words, flags, checksum = _PLAIN_TCP(packet)
            body = _TRANSPORT_AT + (words >> 4) * 4
            if body < _TRANSPORT_AT + _TCP_HEADER:
                return False
        elif protocol == UDP and packet[36:38] != VXLAN_PORT:
            mac, total, ident, src, dst, sport, dport, checksum = _PLAIN_UDP(packet)
            seq = ack = flags = 0
            body = _TRANSPORT_AT + _UDP_HEADER
        else:
            return False
        end = _IP_AT + total
        if not body <= end <= len(packet):
            return False
        ts, frame, _ = at
        segment = _new(Segment, (
            ts, self.number, (frame,), src, dst, sport, dport, flags, seq, ack, ident, checksum,
            packet[body:end], 0, mac, (), protocol,
        ))  # fmt: skip
        interest = self._selection.interest
        wanted = interest.ports if protocol == TCP else interest.datagram_ports
        if sport in wanted or dport in wanted:
            out.append(segment)
        elif protocol == TCP:
            self._select(segment, packet[34:36], packet[36:38], out)
        return True

    def _transport(
        self, data: bytes, missing: int, origin: FragmentOrigin, whole: Whole | None, out: list[Segment]
    ) -> None:
        """Read a TCP, UDP or ICMP header; keep what is wanted, let the flow filter decide about other TCP."""
        interest = self._selection.interest
        protocol = origin.protocol
        header = _HEADERS[protocol]
        if len(data) < header:
            return
        sport = dport = flags = seq = ack = 0
        if protocol == TCP:
            sport, dport, seq, ack, words, flags, checksum = _TCP_FIELDS(data)
            header = (words >> 4) * 4
            if header < _TCP_HEADER:
                return
            missing = max(
                0, missing - max(0, header - len(data))
            )  # a cut inside the TCP options costs no payload
        elif protocol == UDP:
            sport, dport, checksum = _UDP_FIELDS(data)
            if not (sport in interest.datagram_ports or dport in interest.datagram_ports):
                return
        elif data[0] == interest.messages[protocol]:
            checksum = int.from_bytes(data[2:4])
        else:
            return
        segment = Segment(
            ts=origin.ts,
            file=origin.file,
            frames=whole.frames(header) if whole else (origin.frame,),
            src=origin.src,
            dst=origin.dst,
            sport=sport,
            dport=dport,
            flags=flags,
            seq=seq,
            ack=ack,
            ident=origin.ident,
            checksum=checksum,
            payload=data if protocol in interest.messages else data[header:],
            missing=missing,
            mac=origin.mac,
            vlan=origin.vlan,
            protocol=protocol,
        )
        if protocol == TCP:
            self._select(segment, data[0:2], data[2:4], out)
        else:
            out.append(segment)

    def _select(self, segment: Segment, sport: bytes, dport: bytes, out: list[Segment]) -> None:
        """Keep a TCP segment on a wanted port; let the selection decide about one that it may want."""
        selection = self._selection
        ports = selection.interest.ports
        if segment.sport in ports or segment.dport in ports:
            out.append(segment)
            return
        key = segment.src + segment.dst + sport + dport
        begins = segment.payload and segment.payload[0] in selection.interest.head[0]
        if begins or key in selection.watched or segment.flags & (_SYN | _ACK) == _SYN:
            selection.offer(key, segment.dst + segment.src + dport + sport, segment, out)

    def _address_resolution(
        self, packet: bytes, network: NetworkStart, at: tuple[int, int, int], out: list[Segment]
    ) -> None:
        """Read an ARP message of Ethernet and IPv4."""
        body = packet[network.offset : network.offset + _ARP_LENGTH]
        if len(body) == _ARP_LENGTH and body[:6] == _ARP_ETHERNET_IPV4:
            ts, frame, _ = at
            out.append(
                Segment(
                    ts, self.number, (frame,), body[14:18], body[24:28], 0, 0, body[7], 0, 0, 0, 0, b"", 0,
                    body[8:14], network.vlan, ARP,
                )
            )  # fmt: skip

    def leftovers(self) -> list[Segment]:
        """Return what can be made of datagrams that still wait for fragments when all files are read."""
        out: list[Segment] = []
        for whole in self._fragments.flush():
            self._transport(whole.payload, whole.missing, whole.origin, whole, out)
        return out
