"""Link layers down to IP: one small function each, in a table by link type.

A function takes the packet and returns where its network layer begins, or None where there is none we
read. Numbers are those of tcpdump.org's link-type registry and IANA's EtherTypes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

IPV4 = 0x0800
IPV6 = 0x86DD
_VLAN_TAGS = frozenset({0x8100, 0x88A8, 0x9100, 0x9200, 0x9300})
_PPPOE_SESSION = 0x8864
_MPLS = frozenset({0x8847, 0x8848})
_PPP_TO_ETHERTYPE = {0x0021: IPV4, 0x0057: IPV6, 0x0281: 0x8847, 0x0283: 0x8848}
_BSD_TO_ETHERTYPE = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}
"""Address families of BSD loopback: IPv6 has another number on each system."""
_ETHERNET_HEADER = 14
_LLC_BELOW = 0x0600
_SNAP = (b"\xaa\xaa\x03\x00\x00\x00", b"\xaa\xaa\x03\x00\x00\xf8")
_MAX_LABELS = 16
_MAX_TAGS = 16
_MAX_PSEUDOWIRES = 8


class NetworkStart(NamedTuple):
    """Where the network layer of a packet begins, and what the layers before it said."""

    ethertype: int
    offset: int
    mac: bytes
    """Source MAC, empty where there is none."""
    vlan: tuple[int, ...]


def ethernet(data: bytes, offset: int = 0, depth: int = 0) -> NetworkStart | None:
    """Ethernet II or LLC/SNAP with VLAN tags, PPPoE and MPLS; `depth` pseudowires are around it."""
    if len(data) < offset + _ETHERNET_HEADER or depth > _MAX_PSEUDOWIRES:
        return None
    mac = data[offset + 6 : offset + 12]
    return _ethertype(data, offset + 12, mac, (), depth)


def _ethertype(
    data: bytes, offset: int, mac: bytes, vlan: tuple[int, ...], depth: int = 0
) -> NetworkStart | None:
    """Follow the chain of EtherTypes that begins at `offset`."""
    while True:
        kind = int.from_bytes(data[offset : offset + 2])
        offset += 2
        if kind in _VLAN_TAGS:
            vlan = (*vlan, int.from_bytes(data[offset : offset + 2]) & 0x0FFF)
            offset += 2
            if len(vlan) > _MAX_TAGS:
                return None
        elif kind < _LLC_BELOW:
            if data[offset : offset + 6] not in _SNAP:
                return None
            offset += 6
        else:
            break
        if offset + 2 > len(data):
            return None
    if kind == _PPPOE_SESSION:
        return _ppp_protocol(data, offset + 6, mac, vlan)
    if kind in _MPLS:
        return _mpls(data, offset, mac, vlan, depth)
    return NetworkStart(kind, offset, mac, vlan)


def _mpls(data: bytes, offset: int, mac: bytes, vlan: tuple[int, ...], depth: int = 0) -> NetworkStart | None:
    """Pop labels; what follows is told by its first nibble, as RFC 4928 has it."""
    for _ in range(_MAX_LABELS):
        if offset + 4 >= len(data):
            return None
        bottom = data[offset + 2] & 1
        offset += 4
        if bottom:
            break
    else:
        return None
    nibble = data[offset] >> 4
    if nibble == 4:
        return NetworkStart(IPV4, offset, mac, vlan)
    if nibble == 6:
        return NetworkStart(IPV6, offset, mac, vlan)
    # A pseudowire: Ethernet behind a control word (nibble 0) or right away.
    inner = ethernet(data, offset + 4 if nibble == 0 else offset, depth + 1)
    return inner and inner._replace(vlan=vlan + inner.vlan)


def _ppp_protocol(data: bytes, offset: int, mac: bytes, vlan: tuple[int, ...]) -> NetworkStart | None:
    """A PPP protocol number, in one byte where it was compressed."""
    if offset >= len(data):
        return None
    if data[offset] & 1:
        number, offset = data[offset], offset + 1
    else:
        number, offset = int.from_bytes(data[offset : offset + 2]), offset + 2
    kind = _PPP_TO_ETHERTYPE.get(number)
    if kind is None:
        return None
    return _mpls(data, offset, mac, vlan) if kind in _MPLS else NetworkStart(kind, offset, mac, vlan)


def _ppp(data: bytes) -> NetworkStart | None:
    """PPP with or without the address and control bytes of HDLC framing."""
    return _ppp_protocol(data, 2 if data[:2] == b"\xff\x03" else 0, b"", ())


def _ppp_ether(data: bytes) -> NetworkStart | None:
    return _ppp_protocol(data, 6, b"", ())


def _ppp_with_direction(data: bytes) -> NetworkStart | None:
    return _ppp(data[1:]) and _shift(_ppp(data[1:]), 1)


def _shift(network: NetworkStart | None, by: int) -> NetworkStart | None:
    return network and network._replace(offset=network.offset + by)


def _cisco_hdlc(data: bytes) -> NetworkStart | None:
    return _ethertype(data, 2, b"", ()) if len(data) > 4 else None


def _cooked(data: bytes) -> NetworkStart | None:
    """Linux cooked capture v1: 16 bytes, the address length at 4, EtherType at 14."""
    if len(data) < 16:
        return None
    return _ethertype(data, 14, _cooked_mac(data, 4, 6), ())


def _cooked_v2(data: bytes) -> NetworkStart | None:
    """Linux cooked capture v2: 20 bytes, EtherType first."""
    if len(data) < 20:
        return None
    mac = data[12:18] if data[11] == 6 else b""
    # The tags or the IP header follow the 20 bytes, not the EtherType itself.
    return _after_ethertype(data, int.from_bytes(data[:2]), 20, mac)


def _cooked_mac(data: bytes, length_at: int, address_at: int) -> bytes:
    return data[address_at : address_at + 6] if data[length_at : length_at + 2] == b"\x00\x06" else b""


def _after_ethertype(data: bytes, kind: int, offset: int, mac: bytes) -> NetworkStart | None:
    """Like `_ethertype`, where the first EtherType does not stand right before what it names."""
    chain = kind.to_bytes(2) + data[offset:]
    return _shift(_ethertype(chain, 0, mac, ()), offset - 2)


def _loopback(data: bytes) -> NetworkStart | None:
    """BSD loopback: the address family in the byte order of the capturing machine, or in network order."""
    if len(data) < 4:
        return None
    family = int.from_bytes(data[:4], "little")
    if family > 0xFFFF:
        family = int.from_bytes(data[:4])
    kind = _BSD_TO_ETHERTYPE.get(family)
    return None if kind is None else NetworkStart(kind, 4, b"", ())


def _raw(data: bytes) -> NetworkStart | None:
    if not data:
        return None
    kind = {4: IPV4, 6: IPV6}.get(data[0] >> 4)
    return None if kind is None else NetworkStart(kind, 0, b"", ())


ETHERNET = 1

LINK_TYPES: dict[int, tuple[str, Callable[[bytes], NetworkStart | None]]] = {
    0: ("NULL", _loopback),
    ETHERNET: ("ETHERNET", ethernet),
    9: ("PPP", _ppp),
    12: ("RAW", _raw),
    14: ("RAW", _raw),
    50: ("PPP_HDLC", _ppp),
    51: ("PPP_ETHER", _ppp_ether),
    101: ("RAW", _raw),
    104: ("C_HDLC", _cisco_hdlc),
    108: ("LOOP", _loopback),
    113: ("LINUX_SLL", _cooked),
    166: ("PPP_PPPD", _ppp),
    204: ("PPP_WITH_DIR", _ppp_with_direction),
    228: ("IPV4", _raw),
    229: ("IPV6", _raw),
    276: ("LINUX_SLL2", _cooked_v2),
}

OTHER_NAMES = {
    6: "IEEE802_5", 10: "FDDI", 105: "IEEE802_11", 119: "IEEE802_11_PRISM", 127: "IEEE802_11_RADIOTAP",
    147: "USER0", 163: "IEEE802_11_AVS", 187: "BLUETOOTH_HCI_H4", 189: "USB_LINUX", 192: "PPI",
    195: "IEEE802_15_4", 197: "ERF", 201: "BLUETOOTH_HCI_H4_WITH_PHDR", 220: "USB_LINUX_MMAPPED",
    227: "CAN_SOCKETCAN", 239: "NFLOG", 249: "USBPCAP", 252: "WIRESHARK_UPPER_PDU", 253: "NETLINK",
}  # fmt: skip
"""Names of link types that are counted but not read."""


def link_name(linktype: int) -> str:
    """The registry's name of a link type, or its number."""
    known = LINK_TYPES.get(linktype)
    return known[0] if known else OTHER_NAMES.get(linktype, f"LINKTYPE_{linktype}")
