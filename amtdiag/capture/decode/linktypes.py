"""Link types: where the network layer of a packet begins, as a table with a row for each.

A row says where the fields of a link-layer header stand. Packets are read by it here, the compiled sieve gets
the same rows when it is made, and redaction finds the addresses by it. To add a link type, add a row to
`LINK_TYPES`. Where no row can say it, give the row a `reader`, a function that takes a packet and returns
where its network layer begins, or None: the sieves then leave every packet of that type to it.

Numbers are those of tcpdump.org's registry of link types, of IANA's EtherTypes and PPP protocols, and of the
address families of BSD, Linux and macOS.
"""

import struct
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Literal, NamedTuple

IPV4 = 0x0800
IPV6 = 0x86DD
VLAN_TAGS = frozenset({0x8100, 0x88A8, 0x9100, 0x9200, 0x9300})
PPPOE_SESSION = 0x8864
MPLS = frozenset({0x8847, 0x8848})
LLC_BELOW = 0x0600
"""A smaller EtherType is the length of an LLC frame (IEEE 802.3)."""
SNAP = (b"\xaa\xaa\x03\x00\x00\x00", b"\xaa\xaa\x03\x00\x00\xf8")
"""The LLC headers that an EtherType follows."""
_ETHERTYPE_OF_PPP = {0x0021: IPV4, 0x0057: IPV6, 0x0281: 0x8847, 0x0283: 0x8848}
_ETHERTYPE_OF_FAMILY = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}
"""IPv6 has another address family on each system."""
_ETHERTYPE_OF_VERSION = {4: IPV4, 6: IPV6}
_ETHERNET_HEADER = 14
_HDLC_ADDRESS = b"\xff\x03"
_MAC_BYTES = 6
_MAX_LABELS = 16
_MAX_TAGS = 16
_MAX_PSEUDOWIRES = 8


class NetworkStart(NamedTuple):
    """Where the network layer of a packet begins, and what the layers before it say."""

    ethertype: int
    """What it is."""
    offset: int
    """Of its first byte in the packet."""
    mac: bytes
    """Source MAC, 6 bytes; empty where the link type has none."""
    vlan: tuple[int, ...]
    """VLAN identifiers, outermost first."""


class Following(IntEnum):
    """How a link-layer header names what follows it. The numbers are those of `enum following` in sieve.h."""

    ETHERTYPE = 0
    """By an EtherType, in two bytes at `LinkType.type_at`."""
    FAMILY = 1
    """By an address family at `LinkType.type_at`, in the order of bytes in which it is the smaller number."""
    IP = 2
    """It is IP, and the first four bits of that name the version."""
    PPP = 3
    """By a PPP protocol number, which follows the header, in one byte where it was compressed."""
    HDLC = 4
    """So, with or without HDLC's two bytes of address and control before it."""
    READER = 5
    """As a function finds out."""


class LengthField(NamedTuple):
    """Where a header says how long it is."""

    at: int
    """Offset of the field."""
    size: Literal[1, 2, 4]
    """Bytes of the field."""
    order: Literal["little", "big"] = "big"
    rounding: int = 1
    """The network layer begins at the next multiple of so many bytes."""

    def value(self, data: bytes) -> int:
        """Return the length of the header in bytes, rounded up; 0 where the field was not captured."""
        if len(data) < self.at + self.size:
            return 0
        length = int.from_bytes(data[self.at : self.at + self.size], self.order)
        return length + -length % self.rounding


class LinkType(NamedTuple):
    """How packets of one link type begin."""

    name: str
    """In the registry, without LINKTYPE_."""
    following: Following
    header: int = 0
    """Bytes of the header, or the least of them where `length` says how many."""
    length: LengthField | None = None
    """None where every header is `header` bytes long."""
    type_at: int = 0
    """Offset of the field that names what follows; of no meaning where there is none."""
    type_size: Literal[1, 2, 4] = 2
    """Bytes of that field: 2 for an EtherType."""
    macs: tuple[int, ...] = ()
    """Offsets of all MAC addresses, that of the sender first."""
    mac_length: tuple[int, int] | None = None
    """Offset and size of a field that says how long the addresses are; None where they are all MACs."""
    mac_room: int = _MAC_BYTES
    """Bytes that an address has room for, from its offset on; a MAC fills the first six."""
    hardware: tuple[int, ...] = ()
    """Linux' numbers (ARPHRD) for the interfaces whose packets begin so."""
    reader: Callable[[bytes], NetworkStart | None] | None = None
    """Of a link type that a row cannot describe (`Following.READER`), what reads it."""

    @property
    def is_ethernet(self) -> bool:
        """True where packets begin as Ethernet's do."""
        layout = (self.following, self.header, self.length, self.type_at, self.macs[:1], self.mac_length)
        return layout == (Following.ETHERTYPE, _ETHERNET_HEADER, None, 12, (6,), None)

    def read(self, data: bytes) -> NetworkStart | None:
        """Return where the network layer of a packet begins; None where there is none that is read."""
        if self.reader is not None:
            return self.reader(data)
        start = self.header if self.length is None else self.length.value(data)
        if not self.header <= start <= len(data):
            return None
        return _READERS[self.following](data, self, start)

    def mac(self, data: bytes) -> bytes:
        """Return the sender's MAC; empty where there is none."""
        if not self.macs:
            return b""
        if self.mac_length is not None:
            at, size = self.mac_length
            if int.from_bytes(data[at : at + size]) != _MAC_BYTES:
                return b""
        return data[self.macs[0] : self.macs[0] + _MAC_BYTES]


def ethernet(data: bytes, offset: int = 0, depth: int = 0) -> NetworkStart | None:
    """Read an Ethernet header inside of a packet; `depth` pseudowires are around it."""
    start = offset + _ETHERNET_HEADER
    if len(data) < start or depth > _MAX_PSEUDOWIRES:
        return None
    kind = int.from_bytes(data[start - 2 : start])
    return _after_ethertype(data, kind, start, data[offset + 6 : offset + 12], depth)


def _after_ethertype(data: bytes, kind: int, offset: int, mac: bytes, depth: int = 0) -> NetworkStart | None:
    """Follow tags, LLC/SNAP, PPPoE and MPLS from an EtherType on; `offset` is right behind it."""
    vlan: tuple[int, ...] = ()
    while True:
        if kind in VLAN_TAGS:
            vlan = (*vlan, int.from_bytes(data[offset : offset + 2]) & 0x0FFF)
            offset += 2
            if len(vlan) > _MAX_TAGS:
                return None
        elif kind < LLC_BELOW:
            if data[offset : offset + 6] not in SNAP:
                return None
            offset += 6
        else:
            break
        if offset + 2 > len(data):
            return None
        kind = int.from_bytes(data[offset : offset + 2])
        offset += 2
    if kind == PPPOE_SESSION:
        return _after_ppp(data, offset + 6, mac, vlan)
    if kind in MPLS:
        return _after_labels(data, offset, mac, vlan, depth)
    return NetworkStart(kind, offset, mac, vlan)


def _after_labels(
    data: bytes, offset: int, mac: bytes, vlan: tuple[int, ...], depth: int = 0
) -> NetworkStart | None:
    """Pop MPLS labels; the first four bits of what follows tell what it is (RFC 4928)."""
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
    if nibble in _ETHERTYPE_OF_VERSION:
        return NetworkStart(_ETHERTYPE_OF_VERSION[nibble], offset, mac, vlan)
    # A pseudowire: Ethernet behind a control word (nibble 0) or right away.
    inner = ethernet(data, offset + 4 if nibble == 0 else offset, depth + 1)
    return inner and inner._replace(vlan=vlan + inner.vlan)


def _after_ppp(data: bytes, offset: int, mac: bytes, vlan: tuple[int, ...]) -> NetworkStart | None:
    """Read a PPP protocol number, in one byte where it was compressed."""
    if offset >= len(data):
        return None
    if data[offset] & 1:
        number, offset = data[offset], offset + 1
    else:
        number, offset = int.from_bytes(data[offset : offset + 2]), offset + 2
    kind = _ETHERTYPE_OF_PPP.get(number)
    if kind is None:
        return None
    return _after_labels(data, offset, mac, vlan) if kind in MPLS else NetworkStart(kind, offset, mac, vlan)


def _by_ethertype(data: bytes, link: LinkType, start: int) -> NetworkStart | None:
    if link.type_at + 2 > len(data):
        return None
    kind = int.from_bytes(data[link.type_at : link.type_at + 2])
    return _after_ethertype(data, kind, start, link.mac(data))


def _by_family(data: bytes, link: LinkType, start: int) -> NetworkStart | None:
    field = data[link.type_at : link.type_at + link.type_size]
    if len(field) < link.type_size:
        return None
    family = min(int.from_bytes(field, "little"), int.from_bytes(field, "big"))
    kind = _ETHERTYPE_OF_FAMILY.get(family)
    return None if kind is None else NetworkStart(kind, start, link.mac(data), ())


def _by_version(data: bytes, link: LinkType, start: int) -> NetworkStart | None:
    kind = _ETHERTYPE_OF_VERSION.get(data[start] >> 4) if start < len(data) else None
    return None if kind is None else NetworkStart(kind, start, link.mac(data), ())


def _by_ppp(data: bytes, link: LinkType, start: int) -> NetworkStart | None:
    return _after_ppp(data, start, link.mac(data), ())


def _by_hdlc(data: bytes, link: LinkType, start: int) -> NetworkStart | None:
    framed = data[start : start + 2] == _HDLC_ADDRESS
    return _after_ppp(data, start + 2 if framed else start, link.mac(data), ())


_READERS = {
    Following.ETHERTYPE: _by_ethertype,
    Following.FAMILY: _by_family,
    Following.IP: _by_version,
    Following.PPP: _by_ppp,
    Following.HDLC: _by_hdlc,
}

ETHERNET, RAW_IP = 1, 101

LINK_TYPES: Mapping[int, LinkType] = {
    0: LinkType("NULL", Following.FAMILY, header=4, type_size=4),
    ETHERNET: LinkType(
        "ETHERNET", Following.ETHERTYPE, header=_ETHERNET_HEADER, type_at=12, macs=(6, 0), hardware=(1, 772)
    ),
    9: LinkType("PPP", Following.HDLC),
    12: LinkType("RAW", Following.IP),
    14: LinkType("RAW", Following.IP),
    50: LinkType("PPP_HDLC", Following.HDLC),
    51: LinkType("PPP_ETHER", Following.PPP, header=6),
    RAW_IP: LinkType("RAW", Following.IP, hardware=(65534,)),
    104: LinkType("C_HDLC", Following.ETHERTYPE, header=4, type_at=2),
    108: LinkType("LOOP", Following.FAMILY, header=4, type_size=4),
    113: LinkType(
        "LINUX_SLL", Following.ETHERTYPE, header=16, type_at=14, macs=(6,), mac_length=(4, 2), mac_room=8
    ),
    166: LinkType("PPP_PPPD", Following.HDLC),
    204: LinkType("PPP_WITH_DIR", Following.HDLC, header=1),
    228: LinkType("IPV4", Following.IP),
    229: LinkType("IPV6", Following.IP),
    276: LinkType(
        "LINUX_SLL2", Following.ETHERTYPE, header=20, type_at=0, macs=(12,), mac_length=(11, 1), mac_room=8
    ),
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
    return known.name if known else OTHER_NAMES.get(linktype, f"LINKTYPE_{linktype}")


_ROW = struct.Struct("=IHHHHBBBBB3x")
_NO_MAC = 0xFFFF


def packed(link_types: Mapping[int, LinkType]) -> bytes:
    """Return a table as the compiled sieve takes it: an array of `struct link_row` (sieve.h)."""
    return b"".join(
        _ROW.pack(
            number,
            link.header,
            link.type_at,
            link.length.at if link.length else 0,
            link.macs[0] if link.macs and link.mac_length is None else _NO_MAC,
            link.following,
            link.type_size,
            link.length.size if link.length else 0,
            link.length is not None and link.length.order == "big",
            link.length.rounding if link.length else 1,
        )
        for number, link in link_types.items()
    )
